//! The memory spool: a queue for each destination under one lock, bounded in bytes over all, for each account and for each destination.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{Notify, watch};

use super::{Pending, Refused, Submission};
use crate::clock::{Clock, UnixNanos, monotonic};
use crate::outcome::{Account, Outcome};

/// What a record costs beside its lines: its places in the queue and in the table of live records, and the allocation's own head. Without it a
/// flood of tiny records would need many times the bound.
pub(super) const RECORD_OVERHEAD: u64 = 256;

/// The most of the spool that one destination may hold while there are others, so that a paused bucket cannot starve them.
const DESTINATION_SHARE: f64 = 0.75;

/// How long the drain's speed is averaged over.
const DRAIN_WINDOW: Duration = Duration::from_secs(1);

/// Where lines came from; shared by all parts of a divided record.
pub(super) struct Origin {
    pub(super) sequence: u64,
    pub(super) accepted: UnixNanos,
    pub(super) account: Arc<Account>,
    pub(super) destination: Arc<str>,
}

/// Lines that wait in a queue, or that a [`super::Record`] holds.
pub(super) struct Waiting {
    pub(super) origin: Arc<Origin>,
    pub(super) lines: Bytes,
    pub(super) points: u32,
}

/// A submission of which some points have not ended.
struct Live {
    accepted: UnixNanos,
    /// Points that have not ended.
    points: u32,
    /// What it holds of the bound.
    cost: u64,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// Waiting and in flight.
    bytes: u64,
    arrived: Arc<Notify>,
    /// Whether the lanes have been told of it.
    announced: bool,
}

struct State {
    closed: bool,
    sequence: u64,
    points: u64,
    bytes: u64,
    /// By sequence, so that the first is the oldest.
    live: BTreeMap<u64, Live>,
    queues: HashMap<Arc<str>, Queue>,
    /// Bytes by the account's address: an entry stands only while a live record holds the account.
    accounts: HashMap<usize, u64>,
    drain: Drain,
}

pub(super) struct Memory {
    limit: u64,
    clock: Clock,
    state: Mutex<State>,
    destinations: watch::Sender<Vec<Arc<str>>>,
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("pending", &self.pending()).finish()
    }
}

impl Memory {
    pub(super) fn new(limit: u64, clock: Clock) -> Self {
        let state = State {
            closed: false,
            sequence: 0,
            points: 0,
            bytes: 0,
            live: BTreeMap::new(),
            queues: HashMap::new(),
            accounts: HashMap::new(),
            drain: Drain::new(monotonic()),
        };
        Self { limit, clock, state: Mutex::new(state), destinations: watch::Sender::new(Vec::new()) }
    }

    pub(super) fn append(&self, submission: Submission) -> Result<(), Refused> {
        let Submission { account, share, destination, points, lines } = submission;
        let mut state = self.lock();
        if state.closed {
            return Err(Refused::Closed);
        }
        if points == 0 || lines.is_empty() {
            return Ok(());
        }
        let cost = lines.len() as u64 + RECORD_OVERHEAD;
        if cost > self.limit {
            return Err(Refused::TooLarge { limit: self.limit });
        }
        state.admit(self.limit, &account, share, &destination, cost)?;

        state.sequence += 1;
        let sequence = state.sequence;
        let accepted = self.clock.now();
        state.points += u64::from(points);
        state.bytes += cost;
        *state.accounts.entry(address(&account)).or_default() += cost;
        state.live.insert(sequence, Live { accepted, points, cost });
        // At the commit and under the lock: no snapshot shows a point that waits and was not accepted.
        account.accepted(u64::from(points));
        let origin = Arc::new(Origin { sequence, accepted, account, destination: Arc::clone(&destination) });
        let queue = state.queues.entry(Arc::clone(&destination)).or_default();
        queue.bytes += cost;
        queue.waiting.push_back(Waiting { origin, lines, points });
        queue.arrived.notify_one();
        if !std::mem::replace(&mut queue.announced, true) {
            self.destinations.send_modify(|all| all.push(destination));
        }
        Ok(())
    }

    pub(super) fn pending(&self) -> Pending {
        let state = self.lock();
        let oldest = state.live.first_key_value().map(|(_, live)| live.accepted);
        Pending { points: state.points, bytes: state.bytes, limit: self.limit, oldest }
    }

    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        for queue in state.queues.values() {
            queue.arrived.notify_one();
        }
    }

    pub(super) async fn next(&self, destination: &Arc<str>) -> Option<Waiting> {
        loop {
            let arrived = {
                let mut state = self.lock();
                let closed = state.closed;
                let queue = state.queues.entry(Arc::clone(destination)).or_default();
                if let Some(waiting) = queue.waiting.pop_front() {
                    return Some(waiting);
                }
                if closed {
                    return None;
                }
                Arc::clone(&queue.arrived)
            };
            // `notify_one` leaves a permit when nobody waits: an arrival between the look and this await is not missed.
            arrived.notified().await;
        }
    }

    pub(super) fn try_next(&self, destination: &Arc<str>) -> Option<Waiting> {
        self.lock().queues.get_mut(destination)?.waiting.pop_front()
    }

    pub(super) fn destinations(&self) -> watch::Receiver<Vec<Arc<str>>> {
        self.destinations.subscribe()
    }

    pub(super) fn settle(&self, waiting: &Waiting, outcome: Outcome) {
        let Waiting { origin, points, .. } = waiting;
        let mut state = self.lock();
        origin.account.ended(outcome, u64::from(*points));
        state.points = state.points.saturating_sub(u64::from(*points));
        let Some(live) = state.live.get_mut(&origin.sequence) else {
            debug_assert!(false, "record {} was settled twice", origin.sequence);
            return;
        };
        debug_assert!(live.points >= *points, "points of record {} were settled twice", origin.sequence);
        live.points = live.points.saturating_sub(*points);
        if live.points == 0 {
            let cost = live.cost;
            state.live.remove(&origin.sequence);
            state.free(origin, cost);
        }
    }

    pub(super) fn give_back(&self, waiting: Waiting) {
        let mut state = self.lock();
        let queue = state.queues.entry(Arc::clone(&waiting.origin.destination)).or_default();
        queue.waiting.push_front(waiting);
        queue.arrived.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing between two changes of the state can panic but an allocation failure, which aborts.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn admit(
        &self,
        limit: u64,
        account: &Arc<Account>,
        share: f64,
        destination: &Arc<str>,
        cost: u64,
    ) -> Result<(), Refused> {
        let full = |excess: u64| Err(Refused::Full { retry_after: self.drain.time_for(excess, monotonic()) });
        if self.bytes + cost > limit {
            return full(self.bytes + cost - limit);
        }
        // A share that nothing is held of lets one submission in, however small the share: else it could never pass.
        let held = self.accounts.get(&address(account)).copied().unwrap_or(0);
        let allowed = part(limit, share);
        if held > 0 && held + cost > allowed {
            return full(held + cost - allowed);
        }
        let others = self.queues.len() > usize::from(self.queues.contains_key(destination));
        let held = self.queues.get(destination).map_or(0, |queue| queue.bytes);
        let allowed = part(limit, DESTINATION_SHARE);
        if others && held > 0 && held + cost > allowed {
            return full(held + cost - allowed);
        }
        Ok(())
    }

    fn free(&mut self, origin: &Origin, cost: u64) {
        self.bytes = self.bytes.saturating_sub(cost);
        if let Some(queue) = self.queues.get_mut(&origin.destination) {
            queue.bytes = queue.bytes.saturating_sub(cost);
        }
        let key = address(&origin.account);
        if let Some(held) = self.accounts.get_mut(&key) {
            *held = held.saturating_sub(cost);
            if *held == 0 {
                self.accounts.remove(&key);
            }
        }
        self.drain.freed(cost, monotonic());
    }
}

fn address(account: &Arc<Account>) -> usize {
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
