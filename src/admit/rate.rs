//! One rate: a governor limiter that charges whole batches and says how long to wait.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::StateInformationMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use super::Exceeded;

/// Cells (points or bytes) a second, with a burst. Intervals are whole nanoseconds: at 10 million a second the true rate is at
/// most 1% above the one that was asked for.
pub(super) struct Rate<C: Clock> {
    limit: &'static str,
    quota: Quota,
    limiter: RateLimiter<NotKeyed, InMemoryState, C, StateInformationMiddleware>,
}

impl<C: Clock> Rate<C> {
    pub(super) fn new(limit: &'static str, per_second: u32, burst: u32, clock: C) -> Self {
        let at_least_one = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(at_least_one(per_second)).allow_burst(at_least_one(burst));
        let limiter = RateLimiter::direct_with_clock(quota, clock).with_middleware::<StateInformationMiddleware>();
        Self { limit, quota, limiter }
    }

    /// Charges all `cells`, and gives how many are left; or none, and gives the wait after which they would pass.
    pub(super) fn charge(&self, cells: u32) -> Result<u32, Exceeded> {
        // More than the burst could never pass: it costs the whole burst instead.
        let Some(cells) = NonZeroU32::new(cells.min(self.burst())) else {
            return Ok(u32::MAX);
        };
        match self.limiter.check_n(cells) {
            Ok(Ok(state)) => Ok(state.remaining_burst_capacity()),
            Ok(Err(not_until)) => {
                Err(Exceeded { limit: self.limit, retry_after: not_until.wait_time_from(self.limiter.clock().now()) })
            }
            Err(_) => Err(Exceeded { limit: self.limit, retry_after: self.quota.burst_size_replenished_in() }),
        }
    }

    /// The time in which one cell comes back.
    pub(super) fn interval(&self) -> Duration {
        self.quota.replenish_interval().max(Duration::from_nanos(1))
    }

    /// The most cells at once.
    pub(super) fn burst(&self) -> u32 {
        self.quota.burst_size().get()
    }
}

impl<C: Clock> fmt::Debug for Rate<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rate").field("limit", &self.limit).field("quota", &self.quota).finish_non_exhaustive()
    }
}
