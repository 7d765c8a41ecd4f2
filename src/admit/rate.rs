//! One rate: a governor limiter that lets the last request overdraw, and says exactly how long the debt lasts.
//!
//! A limiter of its own refuses what it has no room for. So it is made larger than the burst by the largest charge less one, and
//! that extra room is the overdraft: a tenant of which only overdraft is left is refused, and as long as one cell more is there, any
//! charge fits. The debt stands in the limiter's one word; it is paid by the passing of time alone, and never twice.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::StateInformationMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use super::Exceeded;

type Limiter<C> = RateLimiter<NotKeyed, InMemoryState, C, StateInformationMiddleware>;

/// Cells (points or bytes) a second, with a burst. Intervals are whole nanoseconds: at 10 million a second the true rate is at
/// most 1% above the one that was asked for.
pub(super) struct Rate<C: Clock> {
    limit: &'static str,
    /// As governor sees it: its burst is the tenant's burst and the overdraft.
    quota: Quota,
    /// The most cells of one charge; the overdraft is one less.
    largest: u32,
    limiter: Limiter<C>,
    /// The last charge left less than one cell, so that the tenant may be in debt still.
    spent: bool,
}

impl<C: Clock + Clone> Rate<C> {
    /// `per_second` and `burst` cells, at least one of each, and charges of up to `largest` cells.
    pub(super) fn new(limit: &'static str, per_second: u32, burst: u32, largest: u32, clock: C) -> Self {
        let at_least_one = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        // Both together are a u32 of governor's.
        let largest = largest.clamp(1, u32::MAX / 2);
        let room = burst.max(1).saturating_add(largest - 1);
        let quota = Quota::per_second(at_least_one(per_second)).allow_burst(at_least_one(room));
        Self { limit, quota, largest, limiter: full(quota, clock), spent: false }
    }

    /// Whether a cell is left, and if not, when it will be. Takes nothing.
    pub(super) fn solvent(&mut self) -> Result<(), Exceeded> {
        if !self.spent {
            return Ok(());
        }
        // Governor has no look without taking. But to ask for all of its room is one: refused, it says when all of it will be
        // there; granted, all of it was there, and a limiter that has all its room is a new one.
        let Ok(Err(not_until)) = self.limiter.check_n(self.quota.burst_size()) else {
            self.limiter = full(self.quota, self.limiter.clock().clone());
            self.spent = false;
            return Ok(());
        };
        let until_full = not_until.wait_time_from(self.limiter.clock().now());
        // With `largest` cells of the room there, one lies above the overdraft.
        let above = self.quota.burst_size().get() - self.largest;
        let retry_after = until_full.saturating_sub(self.interval().saturating_mul(above));
        if !retry_after.is_zero() {
            return Err(Exceeded { limit: self.limit, retry_after });
        }
        self.spent = false;
        Ok(())
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
        self.spent = left < self.largest;
    }

    /// Whether [`solvent`](Self::solvent) may say no.
    pub(super) fn spent(&self) -> bool {
        self.spent
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
