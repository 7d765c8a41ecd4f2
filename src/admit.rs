//! Admission: may this tenant send now?
//!
//! *Comes in*: "a request of so many bytes", later "it holds so many points". *Goes out*: a [`Permit`], or [`Exceeded`] with
//! the wait after which, if that tenant sends nothing else meanwhile, the same request passes. *Never*: one tenant's
//! budget charged for another's request; a batch admitted in part.
//!
//! The budgets are governor's direct limiters (GCRA: one atomic word each), held by the tenant's profile itself: nothing is
//! looked up, and nothing grows.

mod rate;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};

use crate::config::Limits;

use rate::Rate;

/// What a client is told to wait when too many of its tenant's requests are in flight: they last milliseconds, and a
/// second is the least that `Retry-After` can say.
const IN_FLIGHT_WAIT: Duration = Duration::from_secs(1);

/// One tenant's budget on this replica: points and bytes a second, requests in flight.
pub struct Quota<C: Clock = DefaultClock> {
    points: Rate<C>,
    bytes: Option<Rate<C>>,
    max_in_flight: u32,
    in_flight: AtomicU32,
}

/// The tenant's budget does not allow it now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exceeded {
    /// Which limit: the name of its setting, such as `points_per_second`.
    pub limit: &'static str,
    /// After this, with no other traffic of that tenant, it passes. In whole seconds it must be rounded up.
    pub retry_after: Duration,
}

/// A place among the tenant's requests in flight; given back on drop.
pub struct Permit<'q, C: Clock = DefaultClock> {
    quota: &'q Quota<C>,
    /// How long a second request would have to wait at the door.
    door_wait: Duration,
    /// How long, in nanoseconds, a second body like this one would have to wait: a refused batch is sent again whole.
    bytes_wait: AtomicU64,
}

impl Quota {
    /// A budget of these limits, with the rates divided by `replicas` (at least 1 a second).
    ///
    /// Bursts are not divided, since one request reaches one replica: at least `max_events` points and `max_body` bytes, so that
    /// no request that the gateway takes at all is refused for ever.
    pub fn new(limits: Limits, replicas: u32, max_events: usize, max_body: usize) -> Self {
        Self::with_clock(limits, replicas, max_events, max_body, &DefaultClock::default())
    }
}

impl<C: Clock + Clone> Quota<C> {
    fn with_clock(limits: Limits, replicas: u32, max_events: usize, max_body: usize, clock: &C) -> Self {
        let share = |rate: u32| rate / replicas.max(1);
        let burst = |burst: u32, floor: usize| burst.max(u32::try_from(floor).unwrap_or(u32::MAX));
        let bytes = |rate| Rate::new("bytes_per_second", share(rate), burst(rate, max_body), clock.clone());
        Self {
            points: Rate::new(
                "points_per_second",
                share(limits.points_per_second),
                burst(limits.burst, max_events),
                clock.clone(),
            ),
            bytes: limits.bytes_per_second.map(bytes),
            max_in_flight: limits.in_flight,
            in_flight: AtomicU32::new(0),
        }
    }
}

impl<C: Clock> Quota<C> {
    /// Before the body is read: takes a place in flight and looks whether the tenant is in debt. A request costs one point
    /// here, which it keeps even if it is refused later: refusing costs too.
    ///
    /// The wait is that of a request of one point and no body, for nobody knows yet what this one holds; a larger one may pass
    /// here and learn its own wait from [`Permit::charge_bytes`] and [`Permit::charge_points`].
    pub fn enter(&self) -> Result<Permit<'_, C>, Exceeded> {
        let taken = self
            .in_flight
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < self.max_in_flight).then_some(n + 1));
        if taken.is_err() {
            return Err(Exceeded { limit: "in_flight", retry_after: IN_FLIGHT_WAIT });
        }
        // From here on the place is given back by drop, on the way out through an error too.
        let mut permit = Permit { quota: self, door_wait: Duration::ZERO, bytes_wait: AtomicU64::new(0) };
        if self.points.charge(1)? == 0 {
            permit.door_wait = self.points.interval();
        }
        Ok(permit)
    }

    /// Requests in flight now.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }
}

impl<C: Clock> Permit<'_, C> {
    /// The body as received: `bytes`, charged before inflating. Here too the wait is that of a request of one point.
    pub fn charge_bytes(&self, bytes: usize) -> Result<(), Exceeded> {
        let (Some(rate), Ok(bytes)) = (&self.quota.bytes, u32::try_from(bytes)) else {
            return Ok(());
        };
        match rate.charge(bytes) {
            Ok(remaining) => {
                let again = rate.interval().saturating_mul(bytes.saturating_sub(remaining));
                let again = u64::try_from(again.as_nanos()).unwrap_or(u64::MAX);
                self.bytes_wait.store(again, Ordering::Relaxed);
                Ok(())
            }
            // The retry pays at the door again.
            Err(exceeded) => Err(exceeded.at_least(self.door_wait)),
        }
    }

    /// After parsing: the whole batch, or nothing.
    pub fn charge_points(&self, points: usize) -> Result<(), Exceeded> {
        let points = u32::try_from(points).unwrap_or(u32::MAX);
        // The first was paid at the door. The burst holds any batch that decoding lets through; were it not so, such a batch
        // could never pass.
        let rest = points.min(self.quota.points.burst()).saturating_sub(1);
        if rest == 0 {
            return Ok(());
        }
        let bytes_wait = Duration::from_nanos(self.bytes_wait.load(Ordering::Relaxed));
        self.quota.points.charge(rest).map(|_| ()).map_err(|exceeded| {
            // The retry pays at the door again, and for its bytes.
            let retry_after = exceeded.retry_after.saturating_add(self.quota.points.interval());
            Exceeded { retry_after, ..exceeded }.at_least(bytes_wait)
        })
    }
}

impl Exceeded {
    fn at_least(self, wait: Duration) -> Self {
        Self { retry_after: self.retry_after.max(wait), ..self }
    }
}

impl<C: Clock> Drop for Permit<'_, C> {
    fn drop(&mut self) {
        self.quota.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<C: Clock> fmt::Debug for Quota<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quota")
            .field("points", &self.points)
            .field("bytes", &self.bytes)
            .field("in_flight", &self.in_flight)
            .field("max_in_flight", &self.max_in_flight)
            .finish()
    }
}

impl<C: Clock> fmt::Debug for Permit<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("quota", self.quota).finish_non_exhaustive()
    }
}
