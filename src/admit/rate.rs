//! One rate: a governor limiter that lets the last request overdraw, and says exactly how long the debt lasts.
//!
//! A limiter of its own refuses what it has no room for. So it is made larger than the burst by the largest charge less one, and
//! that extra room is the overdraft: a tenant of which only overdraft is left is refused, and as long as one cell more is there, any
//! charge fits. The debt stands in the limiter's one word; it is paid by the passing of time alone, and never twice.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, Reference};
use governor::middleware::StateInformationMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use super::{Exceeded, Limit};

type Limiter<C> = RateLimiter<NotKeyed, InMemoryState, C, StateInformationMiddleware>;

/// Cells (points or bytes) a second, with a burst. Intervals are whole nanoseconds: at 10 million a second the true rate is at
/// most 1% above the one that was asked for.
pub(super) struct Rate<C: Clock> {
    limit: Limit,
    /// As governor sees it: its burst is the tenant's burst and the overdraft.
    quota: Quota,
    /// The most cells of one charge; the overdraft is one less.
    largest: u32,
    limiter: Limiter<C>,
    /// Shut until then, whatever the limiter says: what was owed under other terms.
    shut: Option<C::Instant>,
    /// The last charge left less than one cell, so that the tenant may be in debt still.
    spent: bool,
}

impl<C: Clock + Clone> Rate<C> {
    /// `per_second` and `burst` cells, at least one of each, and charges of up to `largest` cells.
    pub(super) fn new(limit: Limit, per_second: u32, burst: u32, largest: u32, clock: C) -> Self {
        let at_least_one = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        // Both together are a u32 of governor's.
        let largest = largest.clamp(1, u32::MAX / 2);
        let room = burst.max(1).saturating_add(largest - 1);
        let quota = Quota::per_second(at_least_one(per_second)).allow_burst(at_least_one(room));
        Self { limit, quota, largest, limiter: full(quota, clock), shut: None, spent: false }
    }

    /// Whether a cell is left, and if not, when it will be. Takes nothing.
    pub(super) fn solvent(&mut self) -> Result<(), Exceeded> {
        if !self.spent {
            return Ok(());
        }
        // With `largest` cells of the room there, one lies above the overdraft.
        let retry_after = match self.until_open() {
            Duration::ZERO => self.until_full().saturating_sub(self.interval().saturating_mul(self.burst() - 1)),
            shut => shut,
        };
        if !retry_after.is_zero() {
            return Err(Exceeded { limit: self.limit, retry_after });
        }
        self.spent = false;
        Ok(())
    }

    /// When all of the room is there, the burst and the overdraft; while it is shut, when it opens. Takes nothing.
    pub(super) fn until_full(&mut self) -> Duration {
        let shut = self.until_open();
        if !shut.is_zero() {
            return shut;
        }
        // Governor has no look without taking. But to ask for all of its room is one: refused, it says when all of it will be
        // there; granted, all of it was there, and a limiter that has all its room is a new one.
        if let Ok(Err(not_until)) = self.limiter.check_n(self.quota.burst_size()) {
            return not_until.wait_time_from(self.limiter.clock().now());
        }
        self.limiter = full(self.quota, self.limiter.clock().clone());
        self.spent = false;
        Duration::ZERO
    }

    /// Other terms from now on. Who waits, waits for as long as before, so that what somebody was told stays true; what was taken of the
    /// burst is taken of the new one, but for its last cell, so that nobody falls into debt by a change, and none hands anything out.
    pub(super) fn change(&mut self, per_second: u32, burst: u32, largest: u32) {
        let clock = self.limiter.clock().clone();
        let mut next = Self::new(self.limit, per_second, burst, largest, clock.clone());
        if let Err(exceeded) = self.solvent() {
            next.shut = Some(clock.now() + exceeded.retry_after.into());
            next.spent = true;
        } else {
            next.take_of_burst(self.until_full().as_nanos().div_ceil(self.interval().as_nanos()));
        }
        *self = next;
    }

    /// The settings give more a second: what is owed is paid that much faster. For before a [change](Self::change).
    pub(super) fn hasten(&mut self, before: u32, after: u32) {
        if after > before
            && let Err(exceeded) = self.solvent()
        {
            let nanos = exceeded.retry_after.as_nanos() * u128::from(before) / u128::from(after);
            let wait = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
            self.shut = Some(self.limiter.clock().now() + wait.into());
        }
    }

    /// How long it is shut still. When that is over, the first cell is there, and those that came since.
    fn until_open(&mut self) -> Duration {
        let Some(open) = self.shut else {
            return Duration::ZERO;
        };
        let now = self.limiter.clock().now();
        if open > now {
            return open.duration_since(now).into();
        }
        self.shut = None;
        self.limiter = full(self.quota, self.limiter.clock().clone());
        let since: Duration = now.duration_since(open).into();
        self.take_of_burst(u128::from(self.burst() - 1).saturating_sub(since.as_nanos() / self.interval().as_nanos()));
        Duration::ZERO
    }

    /// Takes so many cells of a limiter that is full, and leaves one of the burst.
    fn take_of_burst(&mut self, cells: u128) {
        let cells = u32::try_from(cells).unwrap_or(u32::MAX).min(self.burst() - 1);
        if let Some(cells) = NonZeroU32::new(cells) {
            // All of the room is there, so it fits.
            let _ = self.limiter.check_n(cells);
        }
    }

    /// Charges all `cells` (more than the largest charge cost that) and goes into debt for what is not there. Only for who is
    /// [solvent](Self::solvent): in debt, what does not fit into the overdraft is not charged.
    pub(super) fn charge(&mut self, cells: u32) {
        let Some(cells) = NonZeroU32::new(cells.min(self.largest)) else {
            return;
        };
        let left = match self.limiter.check_n(cells) {
            Ok(Ok(state)) => state.remaining_burst_capacity(),
            Ok(Err(_)) | Err(_) => 0,
        };
        self.spent = left < self.largest || self.shut.is_some();
    }

    /// Whether [`solvent`](Self::solvent) may say no.
    pub(super) fn spent(&self) -> bool {
        self.spent
    }

    fn burst(&self) -> u32 {
        self.quota.burst_size().get() - (self.largest - 1)
    }

    /// The time in which one cell comes back.
    fn interval(&self) -> Duration {
        self.quota.replenish_interval().max(Duration::from_nanos(1))
    }
}

fn full<C: Clock>(quota: Quota, clock: C) -> Limiter<C> {
    RateLimiter::direct_with_clock(quota, clock).with_middleware::<StateInformationMiddleware>()
}

impl<C: Clock> fmt::Debug for Rate<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rate")
            .field("limit", &self.limit)
            .field("quota", &self.quota)
            .field("largest", &self.largest)
            .field("spent", &self.spent)
            .finish_non_exhaustive()
    }
}
