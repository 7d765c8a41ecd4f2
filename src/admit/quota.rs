//! One tenant's budget: points and bytes a second, requests in flight, large bodies.

use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use tokio::sync::Semaphore;

use crate::config::{DryRun, Limits};

use super::rate::Rate;
use super::{Admission, Exceedances, Exceeded, LargeBody, Limit, NoPlace, large, saturating};

/// What a client is told to wait when too many of its tenant's requests are in flight: they last milliseconds, and a
/// second is the least that `Retry-After` can say.
const IN_FLIGHT_WAIT: Duration = Duration::from_secs(1);

/// A request costs a point for so many bytes of its inflated body at least. Events are a few hundred bytes, so that it is their number that counts
/// where a body holds any.
const BYTES_OF_A_POINT: usize = 2 << 10;

/// One tenant's budget on this replica: points and bytes a second, requests in flight.
///
/// A reload makes another `Quota` of the same account ([`Quota::reloaded`]): while requests of both are under way, they are charged to one
/// budget. The later terms hold from the first charge under them.
pub struct Quota<C: Clock + Clone = DefaultClock> {
    terms: Terms,
    account: Arc<Account<C>>,
}

/// What the settings say.
#[derive(Clone, Copy, PartialEq)]
struct Terms {
    limits: Limits,
    max_events: u32,
    max_body: u32,
    /// One more with each reload.
    edition: u64,
}

/// What a tenant has used, whatever the terms.
struct Account<C: Clock + Clone> {
    admission: Admission,
    budgets: Mutex<Budgets<C>>,
    /// Whether one of the budgets may be spent: a tenant well within them passes the door without the lock.
    spent: AtomicBool,
    in_flight: AtomicU32,
    large_bodies: Arc<Semaphore>,
    exceedances: Exceedances,
}

/// Under one lock, so that a request is charged for its points and its bytes or for neither, and that of two requests that would
/// both go into debt only one does.
struct Budgets<C: Clock> {
    points: Rate<C>,
    bytes: Option<Rate<C>>,
    /// What they follow.
    terms: Terms,
    replicas: u32,
    clock: C,
}

/// A place among the tenant's requests in flight; given back on drop.
///
/// A request that was neither charged nor refused until then (its body could not be read as telemetry) pays for its bytes and its weight, for
/// they were received, inflated and parsed.
pub struct Permit<'q, C: Clock + Clone = DefaultClock> {
    quota: &'q Quota<C>,
    /// Whether it holds a place: beyond the last one a dry run lets requests in without.
    place: bool,
    /// The bytes of the body that are still to be paid.
    bytes: Cell<u32>,
    /// The least that it costs in points, by its size; still to be paid.
    weight: Cell<u32>,
    /// Whether a limit in dry run would have refused it.
    let_through: Cell<bool>,
}

impl Quota {
    /// A budget of these limits, with the rates divided by the replicas (at least 1 a second).
    ///
    /// Bursts are not divided, since one request reaches one replica: at least `max_events` points and `max_body` bytes. These
    /// are also the most that one request is charged, and so the most that a tenant can owe.
    pub fn new(limits: Limits, admission: impl Into<Admission>, max_events: usize, max_body: usize) -> Self {
        Self::with_clock(limits, admission, max_events, max_body, &DefaultClock::default())
    }
}

impl<C: Clock + Clone> Quota<C> {
    pub(super) fn with_clock(
        limits: Limits,
        admission: impl Into<Admission>,
        max_events: usize,
        max_body: usize,
        clock: &C,
    ) -> Self {
        let admission = admission.into();
        let terms = Terms { limits, max_events: saturating(max_events), max_body: saturating(max_body), edition: 0 };
        let account = Account {
            budgets: Mutex::new(Budgets::new(&terms, admission.replicas(), clock)),
            spent: AtomicBool::new(false),
            in_flight: AtomicU32::new(0),
            large_bodies: Arc::new(Semaphore::new(admission.large_share())),
            exceedances: Exceedances::default(),
            admission,
        };
        Self { terms, account: Arc::new(account) }
    }

    /// The same tenant under other limits: it owes what it owed, for as long, and its requests in flight are counted on. Changes nothing
    /// until it is used.
    pub fn reloaded(self: &Arc<Self>, limits: Limits, max_events: usize, max_body: usize) -> Arc<Self> {
        let terms = Terms { limits, max_events: saturating(max_events), max_body: saturating(max_body), ..self.terms };
        if terms == self.terms {
            return Arc::clone(self);
        }
        let terms = Terms { edition: terms.edition + 1, ..terms };
        Arc::new(Self { terms, account: Arc::clone(&self.account) })
    }

    /// Before the body is read: takes a place in flight and looks whether anything of the budgets is left. Takes nothing of them.
    pub fn enter(&self) -> Result<Permit<'_, C>, Exceeded> {
        let max = self.terms.limits.in_flight;
        let in_flight = &self.account.in_flight;
        let taken = in_flight.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < max).then_some(n + 1));
        // From here on the place is given back by drop, on the way out through an error too.
        let permit = Permit {
            quota: self,
            place: taken.is_ok(),
            bytes: Cell::new(0),
            weight: Cell::new(0),
            let_through: Cell::new(false),
        };
        // Who is in debt besides is told how long that lasts: when a place is free, the debt is not paid.
        permit.look((!permit.place).then_some(Exceeded { limit: Limit::InFlight, retry_after: IN_FLIGHT_WAIT }))?;
        Ok(permit)
    }

    /// Requests in flight now.
    pub fn in_flight(&self) -> u32 {
        self.account.in_flight.load(Ordering::Relaxed)
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.terms.limits
    }

    /// How often each limit was exceeded.
    pub fn exceedances(&self) -> &Exceedances {
        &self.account.exceedances
    }

    /// The limit that is used up now, a dry run's too, and how long.
    pub fn waits(&self) -> Option<Exceeded> {
        longest(self.with_budgets(Budgets::waits))
    }

    fn with_budgets<T>(&self, work: impl FnOnce(&mut Budgets<C>) -> T) -> T {
        let mut budgets = self.account.lock();
        budgets.follow(&self.terms, self.account.admission.replicas());
        let result = work(&mut budgets);
        self.account.spent.store(budgets.spent(), Ordering::Relaxed);
        result
    }

    fn dry_run(&self, limit: Limit) -> bool {
        let DryRun { points_per_second, bytes_per_second, in_flight, .. } = self.terms.limits.dry_run;
        match limit {
            Limit::PointsPerSecond => points_per_second,
            Limit::BytesPerSecond => bytes_per_second,
            Limit::InFlight => in_flight,
            Limit::LargeBodies | Limit::Address => false,
        }
    }

    fn count(&self, limit: Limit, enforced: bool) {
        self.account.exceedances.count(limit, enforced);
        self.account.admission.exceedances().count(limit, enforced);
    }
}

impl<C: Clock + Clone> Account<C> {
    fn lock(&self) -> MutexGuard<'_, Budgets<C>> {
        // Each charge is one word, stored in one step: what a panic left is whole.
        self.budgets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of the limits that are used up, the one that is so for longest; of equals the first.
fn longest(exceeded: impl IntoIterator<Item = Option<Exceeded>>) -> Option<Exceeded> {
    let longer = |one: Exceeded, other: Exceeded| if other.retry_after > one.retry_after { other } else { one };
    exceeded.into_iter().flatten().reduce(longer)
}

impl<C: Clock + Clone> Budgets<C> {
    fn new(terms: &Terms, replicas: u32, clock: &C) -> Self {
        let rate =
            |limit, [per_second, burst, largest]: [u32; 3]| Rate::new(limit, per_second, burst, largest, clock.clone());
        Self {
            points: rate(Limit::PointsPerSecond, terms.points(replicas)),
            bytes: terms.bytes(replicas).map(|bytes| rate(Limit::BytesPerSecond, bytes)),
            terms: *terms,
            replicas,
            clock: clock.clone(),
        }
    }

    /// Takes on these terms, unless later ones are in force, and the number of replicas.
    fn follow(&mut self, terms: &Terms, replicas: u32) {
        let before = self.terms.limits;
        // Of a request of before the reload: the next one under the later terms sees to it.
        let earlier = terms.edition < self.terms.edition;
        if earlier || (terms.edition == self.terms.edition && replicas == self.replicas) {
            return;
        }
        // Replicas come and go, and who waits must not gain by it; limits change because somebody wants it.
        self.points.hasten(before.points_per_second, terms.limits.points_per_second);
        if let (Some(bytes), Some(before), Some(after)) =
            (&mut self.bytes, before.bytes_per_second, terms.limits.bytes_per_second)
        {
            bytes.hasten(before, after);
        }
        let [per_second, burst, largest] = terms.points(replicas);
        self.points.change(per_second, burst, largest);
        self.bytes = match (self.bytes.take(), terms.bytes(replicas)) {
            (Some(mut rate), Some([per_second, burst, largest])) => {
                rate.change(per_second, burst, largest);
                Some(rate)
            }
            (None, Some([per_second, burst, largest])) => {
                Some(Rate::new(Limit::BytesPerSecond, per_second, burst, largest, self.clock.clone()))
            }
            (_, None) => None,
        };
        (self.terms, self.replicas) = (*terms, replicas);
    }

    /// What of the points and of the bytes is used up.
    fn waits(&mut self) -> [Option<Exceeded>; 2] {
        [self.points.solvent().err(), self.bytes.as_mut().and_then(|bytes| bytes.solvent().err())]
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

impl Terms {
    /// Points a second, burst, and the most of one request.
    fn points(&self, replicas: u32) -> [u32; 3] {
        let Limits { points_per_second, burst, .. } = self.limits;
        [points_per_second / replicas.max(1), burst.max(self.max_events), self.max_events]
    }

    fn bytes(&self, replicas: u32) -> Option<[u32; 3]> {
        let per_second = self.limits.bytes_per_second?;
        Some([per_second / replicas.max(1), per_second.max(self.max_body), self.max_body])
    }
}

impl<C: Clock + Clone> Permit<'_, C> {
    /// The body as received: `bytes`, before it is inflated. They are charged with the points; but who went into debt while the body
    /// arrived is refused here, before the dear part.
    pub fn charge_bytes(&self, bytes: usize) -> Result<(), Exceeded> {
        self.look(None)?;
        self.bytes.set(saturating(bytes));
        Ok(())
    }

    /// The body inflated, before it is parsed. Parsing costs by size, whatever comes of it: so many bytes cost a point at least, or a few kilobytes
    /// that inflate to the cap and hold nothing would cost a tenant nothing, and all others their worker. Who went into debt meanwhile is refused.
    pub fn weigh(&self, inflated: usize) -> Result<(), Exceeded> {
        self.look(None).inspect_err(|_| {
            self.bytes.set(0);
            self.weight.set(0);
        })?;
        self.weight.set(saturating(inflated.div_ceil(BYTES_OF_A_POINT)));
        Ok(())
    }

    /// After parsing: the whole batch (its weight, where that is more) and its body, even where that is more than is left; or, when nothing is left
    /// since another request was charged meanwhile, neither.
    pub fn charge_points(&self, points: usize) -> Result<(), Exceeded> {
        let (bytes, weight) = (self.bytes.take(), self.weight.take());
        self.quota.with_budgets(|budgets| {
            self.judge(budgets.waits())?;
            if self.pays(Limit::PointsPerSecond) {
                budgets.points.charge(saturating(points).max(weight));
            }
            if self.pays(Limit::BytesPerSecond) {
                budgets.charge_bytes(bytes);
            }
            Ok(())
        })
    }

    /// A place for a body that inflates to more than a worker takes on by itself. Waits a moment for one. Without one the request is refused, and
    /// costs nothing: its bytes could be a debt that lasts longer than what the client is told to wait.
    pub async fn large_body(&self) -> Result<LargeBody, NoPlace> {
        let taken = large::take(&self.quota.account.large_bodies, &self.quota.account.admission).await;
        match taken {
            // Until it is inflated and weighed; what is cut off at the cap is as heavy as can be.
            Ok(_) => self.weight.set(u32::MAX),
            Err(_) => self.bytes.set(0),
        }
        if let Err(NoPlace::Share(exceeded)) = taken {
            self.quota.count(exceeded.limit, true);
        }
        taken
    }

    /// Whether it may go on, `besides` what the budgets say. What passes here wrongly, since another's charge is not seen yet, is found when it is
    /// charged.
    fn look(&self, besides: Option<Exceeded>) -> Result<(), Exceeded> {
        let spent = self.quota.account.spent.load(Ordering::Relaxed);
        let [points, bytes] = if spent { self.quota.with_budgets(Budgets::waits) } else { [None; 2] };
        self.judge([besides, points, bytes])
    }

    /// Refuses by the limits in force, and counts. What only a limit in dry run would refuse is counted once, and let through.
    fn judge<const N: usize>(&self, used_up: [Option<Exceeded>; N]) -> Result<(), Exceeded> {
        let in_force = |exceeded: &Exceeded| !self.quota.dry_run(exceeded.limit);
        if let Some(exceeded) = longest(used_up.map(|one| one.filter(in_force))) {
            self.quota.count(exceeded.limit, true);
            return Err(exceeded);
        }
        if let Some(exceeded) = longest(used_up)
            && !self.let_through.replace(true)
        {
            self.quota.count(exceeded.limit, false);
        }
        Ok(())
    }

    /// Whether it is charged under `limit`: a dry run charges nothing for what would have been refused, so that it counts what would be
    /// refused in earnest, and no debt grows.
    fn pays(&self, limit: Limit) -> bool {
        !(self.let_through.get() && self.quota.dry_run(limit))
    }
}

impl<C: Clock + Clone> Drop for Permit<'_, C> {
    fn drop(&mut self) {
        let unpaid = |cell: &Cell<u32>, limit| if self.pays(limit) { cell.take() } else { 0 };
        let (weight, bytes) =
            (unpaid(&self.weight, Limit::PointsPerSecond), unpaid(&self.bytes, Limit::BytesPerSecond));
        if weight > 0 || bytes > 0 {
            self.quota.with_budgets(|budgets| {
                budgets.points.charge(weight);
                budgets.charge_bytes(bytes);
            });
        }
        if self.place {
            self.quota.account.in_flight.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl<C: Clock + Clone> fmt::Debug for Quota<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let budgets = self.account.lock();
        f.debug_struct("Quota")
            .field("limits", &self.terms.limits)
            .field("edition", &self.terms.edition)
            .field("points", &budgets.points)
            .field("bytes", &budgets.bytes)
            .field("in_flight", &self.account.in_flight)
            .finish_non_exhaustive()
    }
}

impl<C: Clock + Clone> fmt::Debug for Permit<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("quota", self.quota).field("bytes", &self.bytes).finish_non_exhaustive()
    }
}
