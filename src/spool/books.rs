//! Who holds how much of the spool, and who may hold more.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Refused;
use crate::clock::monotonic;
use crate::outcome::Account;

/// The most of the spool that one destination may hold while there are others, so that a paused bucket cannot starve them.
const DESTINATION_SHARE: f64 = 0.75;

/// How long the drain's speed is averaged over.
const DRAIN_WINDOW: Duration = Duration::from_secs(1);

/// Bytes that were admitted and have not ended.
pub(super) struct Books {
    /// The most bytes over all.
    pub(super) limit: u64,
    pub(super) bytes: u64,
    /// By the account's address: an entry stands only while it holds something.
    accounts: HashMap<usize, u64>,
    destinations: HashMap<Arc<str>, u64>,
    drain: Drain,
}

/// Why something is not admitted.
pub(super) enum Excess {
    /// The whole spool is full: `drop_oldest` can make room.
    Whole(Duration),
    /// A share of it is.
    Share(Duration),
}

impl From<Excess> for Refused {
    fn from(excess: Excess) -> Self {
        let (Excess::Whole(retry_after) | Excess::Share(retry_after)) = excess;
        Self::Full { retry_after }
    }
}

impl Books {
    pub(super) fn new(limit: u64) -> Self {
        let drain = Drain::new(monotonic());
        Self { limit, bytes: 0, accounts: HashMap::new(), destinations: HashMap::new(), drain }
    }

    /// Whether `cost` more bytes may be held; `used` of the limit are taken, which may be more than is held (what has ended can still lie on the
    /// disk).
    pub(super) fn admit(
        &self,
        account: &Arc<Account>,
        share: f64,
        destination: &Arc<str>,
        cost: u64,
        used: u64,
    ) -> Result<(), Excess> {
        if used + cost > self.limit {
            return Err(Excess::Whole(self.time_for(used + cost - self.limit)));
        }
        // A share that nothing is held of lets one submission in, however small the share: else it could never pass.
        let held = self.accounts.get(&address(account)).copied().unwrap_or(0);
        let allowed = part(self.limit, share);
        if held > 0 && held + cost > allowed {
            return Err(Excess::Share(self.time_for(held + cost - allowed)));
        }
        let others = self.destinations.len() > usize::from(self.destinations.contains_key(destination));
        let held = self.destinations.get(destination).copied().unwrap_or(0);
        let allowed = part(self.limit, DESTINATION_SHARE);
        if others && held > 0 && held + cost > allowed {
            return Err(Excess::Share(self.time_for(held + cost - allowed)));
        }
        Ok(())
    }

    /// When so many bytes will probably be free.
    pub(super) fn time_for(&self, bytes: u64) -> Duration {
        self.drain.time_for(bytes, monotonic())
    }

    pub(super) fn hold(&mut self, account: &Arc<Account>, destination: &Arc<str>, cost: u64) {
        self.bytes += cost;
        *self.accounts.entry(address(account)).or_default() += cost;
        match self.destinations.get_mut(destination) {
            Some(held) => *held += cost,
            None => drop(self.destinations.insert(Arc::clone(destination), cost)),
        }
    }

    /// Gives back what was held and came to nothing.
    pub(super) fn release(&mut self, account: &Arc<Account>, destination: &Arc<str>, cost: u64) {
        self.bytes = self.bytes.saturating_sub(cost);
        if let Some(held) = self.destinations.get_mut(destination) {
            *held = held.saturating_sub(cost);
        }
        let key = address(account);
        if let Some(held) = self.accounts.get_mut(&key) {
            *held = held.saturating_sub(cost);
            if *held == 0 {
                self.accounts.remove(&key);
            }
        }
    }

    /// Gives back what was held by points that ended: that is the drain.
    pub(super) fn free(&mut self, account: &Arc<Account>, destination: &Arc<str>, cost: u64) {
        self.release(account, destination, cost);
        self.drain.freed(cost, monotonic());
    }
}

#[cfg(test)]
impl Books {
    /// What accounts and destinations hold, summed up.
    pub(super) fn sums(&self) -> (u64, u64) {
        (self.accounts.values().sum(), self.destinations.values().sum())
    }
}

/// The identity of an account.
pub(super) fn address(account: &Arc<Account>) -> usize {
    Arc::as_ptr(account) as usize
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a bound fits where the bound does"
)]
fn part(limit: u64, share: f64) -> u64 {
    (limit as f64 * share.clamp(0.0, 1.0)) as u64
}

/// How fast bytes become free, averaged over the last few windows.
pub(super) struct Drain {
    since: Instant,
    freed: u64,
    /// Bytes a second.
    rate: f64,
}

impl Drain {
    pub(super) fn new(now: Instant) -> Self {
        Self { since: now, freed: 0, rate: 0.0 }
    }

    pub(super) fn freed(&mut self, bytes: u64, now: Instant) {
        self.freed += bytes;
        let took = now.saturating_duration_since(self.since);
        if took >= DRAIN_WINDOW {
            self.rate = (self.rate + self.freed as f64 / took.as_secs_f64()) / 2.0;
            self.freed = 0;
            self.since = now;
        }
    }

    /// When `bytes` will probably be free: 1 to 60 s. A drain that stands still lowers the rate by the time that has passed.
    pub(super) fn time_for(&self, bytes: u64, now: Instant) -> Duration {
        let took = now.saturating_duration_since(self.since).as_secs_f64();
        let rate = (self.rate * DRAIN_WINDOW.as_secs_f64() + self.freed as f64) / (DRAIN_WINDOW.as_secs_f64() + took);
        let seconds = if rate > 0.0 { bytes as f64 / rate } else { 60.0 };
        Duration::from_secs_f64(seconds.clamp(1.0, 60.0).ceil())
    }
}
