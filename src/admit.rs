//! Admission: may this tenant send now?
//!
//! *Comes in*: "a request", later "its body has so many bytes" and "it holds so many points". *Goes out*: a [`Permit`], or
//! [`Exceeded`] with the wait after which, if that tenant sends nothing else meanwhile, the same request passes. *Never*: one
//! tenant's budget charged for another's request; a batch admitted in part; a cost for what it refused itself.
//!
//! How much a request holds is known only after it was parsed, but whether it may come in is asked before its body is read. So a
//! tenant of which anything is left comes in, its batch is charged whole, and what the budget did not hold is debt:
//! until that is paid the door is shut, and how long that takes does not depend on what the next request holds. Many requests
//! may pass the door before one of them is charged; so each charge looks again, and whatever the concurrency, a tenant's points
//! in any time are at most its rate by that time, its burst, and one batch.
//!
//! The budgets are governor's direct limiters (GCRA: one word each), held by the tenant's profile itself: nothing is looked up,
//! and nothing grows.

mod rate;
mod series;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};

use crate::config::Limits;

use rate::Rate;
pub use series::{Demoted, Detail, Distinct, Judge, SeriesBudget, Usage};

/// What a client is told to wait when too many of its tenant's requests are in flight: they last milliseconds, and a
/// second is the least that `Retry-After` can say.
const IN_FLIGHT_WAIT: Duration = Duration::from_secs(1);

/// One tenant's budget on this replica: points and bytes a second, requests in flight.
pub struct Quota<C: Clock + Clone = DefaultClock> {
    budgets: Mutex<Budgets<C>>,
    /// Whether one of the budgets may be spent: a tenant well within them passes the door without the lock.
    spent: AtomicBool,
    max_in_flight: u32,
    in_flight: AtomicU32,
}

/// Under one lock, so that a request is charged for its points and its bytes or for neither, and that of two requests that would
/// both go into debt only one does.
struct Budgets<C: Clock> {
    points: Rate<C>,
    bytes: Option<Rate<C>>,
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
///
/// A request that was neither charged nor refused until then (its body could not be read as telemetry) pays for its bytes, for
/// they were received and inflated.
pub struct Permit<'q, C: Clock + Clone = DefaultClock> {
    quota: &'q Quota<C>,
    /// The bytes of the body that are still to be paid.
    bytes: Cell<u32>,
}

impl Quota {
    /// A budget of these limits, with the rates divided by `replicas` (at least 1 a second).
    ///
    /// Bursts are not divided, since one request reaches one replica: at least `max_events` points and `max_body` bytes. These
    /// are also the most that one request is charged, and so the most that a tenant can owe.
    pub fn new(limits: Limits, replicas: u32, max_events: usize, max_body: usize) -> Self {
        Self::with_clock(limits, replicas, max_events, max_body, &DefaultClock::default())
    }
}

impl<C: Clock + Clone> Quota<C> {
    fn with_clock(limits: Limits, replicas: u32, max_events: usize, max_body: usize, clock: &C) -> Self {
        let rate = |limit, per_second: u32, burst: u32, largest: usize| {
            let largest = saturating(largest);
            Rate::new(limit, per_second / replicas.max(1), burst.max(largest), largest, clock.clone())
        };
        let bytes = |per_second| rate("bytes_per_second", per_second, per_second, max_body);
        let budgets = Budgets {
            points: rate("points_per_second", limits.points_per_second, limits.burst, max_events),
            bytes: limits.bytes_per_second.map(bytes),
        };
        Self {
            budgets: Mutex::new(budgets),
            spent: AtomicBool::new(false),
            max_in_flight: limits.in_flight,
            in_flight: AtomicU32::new(0),
        }
    }

    /// Before the body is read: takes a place in flight and looks whether anything of the budgets is left. Takes nothing of them.
    pub fn enter(&self) -> Result<Permit<'_, C>, Exceeded> {
        let taken = self
            .in_flight
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < self.max_in_flight).then_some(n + 1));
        if taken.is_err() {
            return Err(Exceeded { limit: "in_flight", retry_after: IN_FLIGHT_WAIT });
        }
        // From here on the place is given back by drop, on the way out through an error too.
        let permit = Permit { quota: self, bytes: Cell::new(0) };
        self.look()?;
        Ok(permit)
    }

    /// Requests in flight now.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Whether a request may go on. What passes here wrongly, since another's charge is not seen yet, is found when it is charged.
    fn look(&self) -> Result<(), Exceeded> {
        if !self.spent.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.with_budgets(Budgets::solvent)
    }

    fn with_budgets<T>(&self, work: impl FnOnce(&mut Budgets<C>) -> T) -> T {
        let mut budgets = self.lock();
        let result = work(&mut budgets);
        self.spent.store(budgets.spent(), Ordering::Relaxed);
        result
    }

    fn lock(&self) -> MutexGuard<'_, Budgets<C>> {
        // Each charge is one word, stored in one step: what a panic left is whole.
        self.budgets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: Clock + Clone> Budgets<C> {
    /// Whether something is left of both budgets, and if not, when it will be: the longer of the two waits.
    fn solvent(&mut self) -> Result<(), Exceeded> {
        let points = self.points.solvent();
        let bytes = self.bytes.as_mut().map_or(Ok(()), Rate::solvent);
        match (points, bytes) {
            (Err(points), Err(bytes)) if bytes.retry_after > points.retry_after => Err(bytes),
            (Err(points), _) => Err(points),
            (Ok(()), bytes) => bytes,
        }
    }

    fn charge_bytes(&mut self, bytes: u32) {
        if let Some(rate) = &mut self.bytes {
            rate.charge(bytes);
        }
    }

    fn spent(&self) -> bool {
        self.points.spent() || self.bytes.as_ref().is_some_and(Rate::spent)
    }
}

impl<C: Clock + Clone> Permit<'_, C> {
    /// The body as received: `bytes`, before it is inflated. They are charged with the points; but who went into debt while the body
    /// arrived is refused here, before the dear part.
    pub fn charge_bytes(&self, bytes: usize) -> Result<(), Exceeded> {
        self.quota.look()?;
        self.bytes.set(saturating(bytes));
        Ok(())
    }

    /// After parsing: the whole batch and its body, even where that is more than is left; or, when nothing is left since another
    /// request was charged meanwhile, neither.
    pub fn charge_points(&self, points: usize) -> Result<(), Exceeded> {
        let bytes = self.bytes.take();
        self.quota.with_budgets(|budgets| {
            budgets.solvent()?;
            budgets.points.charge(saturating(points));
            budgets.charge_bytes(bytes);
            Ok(())
        })
    }
}

impl<C: Clock + Clone> Drop for Permit<'_, C> {
    fn drop(&mut self) {
        let unpaid = self.bytes.take();
        if unpaid > 0 {
            self.quota.with_budgets(|budgets| budgets.charge_bytes(unpaid));
        }
        self.quota.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

fn saturating(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

impl<C: Clock + Clone> fmt::Debug for Quota<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let budgets = self.lock();
        f.debug_struct("Quota")
            .field("points", &budgets.points)
            .field("bytes", &budgets.bytes)
            .field("in_flight", &self.in_flight)
            .field("max_in_flight", &self.max_in_flight)
            .finish_non_exhaustive()
    }
}

impl<C: Clock + Clone> fmt::Debug for Permit<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("quota", self.quota).field("bytes", &self.bytes).finish()
    }
}
