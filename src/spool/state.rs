//! The spool's state: a queue for each destination under one lock, bounded in bytes over all, for each account and for each destination.
//!
//! Without a log it holds everything in memory. With one, a record is in the log before it is here, its lines are held in memory while there is
//! room (`memory`), and the oldest give way: what has given way is read from the log again when its turn comes.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

use super::aside::Asides;
use super::books::{Books, Excess};
use super::log::Log;
use super::log::segment::{Owner, Tally};
use super::log::segments::{Placed, Segments};
use super::queue::{Queue, Turn};
use super::{Pending, Refused, Submission};
use crate::clock::{Clock, UnixNanos};
use crate::config::OnFull;
use crate::outcome::Outcome;

/// What a record costs beside its lines in memory: its places in the queue and in the table of live records, and the allocation's own head. Without it
/// a flood of tiny records would need many times the bound.
pub(super) const RECORD_OVERHEAD: u64 = 256;

/// The least that may wait for its commit: the largest request, and some more.
const COMMIT_MEMORY: u64 = 128 << 20;

/// Where lines came from; shared by all parts of a divided record.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) sequence: u64,
    pub(super) accepted: UnixNanos,
    pub(super) owner: Owner,
    /// What the whole record is.
    pub(super) tally: Tally,
}

/// Lines that wait in a queue, or that a [`super::Record`] holds.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) origin: Arc<Origin>,
    pub(super) lines: Bytes,
    pub(super) points: u32,
}

impl Waiting {
    /// What it takes in memory.
    pub(super) fn cost(&self) -> u64 {
        self.lines.len() as u64 + RECORD_OVERHEAD
    }

    pub(super) fn is_whole(&self) -> bool {
        u64::from(self.points) == self.origin.tally.points
    }
}

/// A submission of which some points have not ended, and whose lines are in memory.
pub(super) struct Live {
    pub(super) origin: Arc<Origin>,
    /// Points that have not ended.
    pub(super) points: u64,
    /// How the others did.
    ends: Vec<(Outcome, u64)>,
}

/// How much may be held.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Over all.
    pub(super) bytes: u64,
    /// What lines in memory take, of a spool with a log.
    pub(super) memory: u64,
    pub(super) on_full: OnFull,
}

pub(super) struct State {
    pub(super) closed: bool,
    pub(super) books: Books,
    pub(super) points: u64,
    /// Admitted, and not in the log yet.
    pub(super) reserved: u64,
    /// By sequence, so that the first is the oldest.
    pub(super) live: BTreeMap<u64, Live>,
    pub(super) queues: HashMap<Arc<str>, Queue>,
    /// Accounts whose records of a destination wait apart from the others'.
    pub(super) aside: Asides,
    /// What lines that wait in memory take, bytes.
    pub(super) resident: u64,
    pub(super) segments: Segments,
}

pub(super) struct Core {
    pub(super) bounds: Bounds,
    pub(super) clock: Clock,
    pub(super) state: Mutex<State>,
    pub(super) log: Option<Log>,
    destinations: watch::Sender<Vec<Arc<str>>>,
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").field("pending", &self.pending()).finish_non_exhaustive()
    }
}

impl Core {
    pub(super) fn new(bounds: Bounds, clock: Clock, log: Option<Log>, segments: Segments) -> Self {
        let state = State {
            closed: false,
            books: Books::new(bounds.bytes),
            points: 0,
            reserved: 0,
            live: BTreeMap::new(),
            queues: HashMap::new(),
            aside: Asides::default(),
            resident: 0,
            segments,
        };
        let core = Self { bounds, clock, state: Mutex::new(state), log, destinations: watch::Sender::new(Vec::new()) };
        core.take_up_backlog();
        core
    }

    /// What the segments hold waits, on the disk.
    fn take_up_backlog(&self) {
        let mut state = self.lock();
        let mut owners: Vec<(Owner, Tally)> = Vec::new();
        for segment in state.segments.iter() {
            owners.extend(segment.owners().map(|(owner, tally)| (owner.clone(), tally)));
        }
        let all = 0..state.segments.next;
        for (Owner { account, destination }, tally) in owners {
            state.points += tally.points;
            state.books.hold(&account, &destination, tally.bytes);
            state.queues.entry(Arc::clone(&destination)).or_default().unread = all.clone();
            self.announce(&mut state, &destination);
        }
    }

    fn announce(&self, state: &mut State, destination: &Arc<str>) {
        let queue = state.queues.entry(Arc::clone(destination)).or_default();
        if !std::mem::replace(&mut queue.announced, true) {
            self.destinations.send_modify(|all| all.push(Arc::clone(destination)));
        }
    }

    /// Whether a submission may come in; its bytes are held from now on.
    pub(super) fn admit(&self, submission: &Submission, cost: u64) -> Result<(), Refused> {
        let Submission { account, share, destination, .. } = submission;
        let mut state = self.lock();
        if state.closed {
            return Err(Refused::Closed);
        }
        if cost > self.bounds.bytes {
            return Err(Refused::TooLarge { limit: self.bounds.bytes });
        }
        // What waits for its commit lies in memory, and the disk may take its time.
        if self.log.is_some() && state.reserved + cost > self.bounds.memory.max(COMMIT_MEMORY) {
            return Err(Refused::Full { retry_after: Duration::from_secs(1) });
        }
        loop {
            // What is done and cannot be deleted fills the disk all the same; what is about to be, not.
            let lingering = state.segments.lingering().saturating_sub(self.bounds.bytes / 4);
            let used = state.books.bytes.max(state.segments.disk() + state.reserved) + lingering;
            match state.books.admit(account, *share, destination, cost, used) {
                Ok(()) => break,
                Err(Excess::Whole(_))
                    if self.bounds.on_full == OnFull::DropOldest && lingering == 0 && self.drop_oldest(&mut state) => {}
                Err(excess) => return Err(excess.into()),
            }
        }
        state.books.hold(account, destination, cost);
        state.reserved += cost;
        Ok(())
    }

    /// What was admitted came to nothing.
    pub(super) fn release(&self, submission: &Submission, cost: u64) {
        let mut state = self.lock();
        state.reserved = state.reserved.saturating_sub(cost);
        state.books.release(&submission.account, &submission.destination, cost);
    }

    /// Takes a submission into memory, where there is no log.
    pub(super) fn append(&self, submission: Submission) -> Result<(), Refused> {
        let cost = submission.lines.len() as u64 + RECORD_OVERHEAD;
        self.admit(&submission, cost)?;
        let mut state = self.lock();
        let placed = Placed {
            sequence: state.segments.next.max(1),
            at: 0,
            accepted: self.clock.now(),
            tally: Tally::one(submission.points, cost),
        };
        state.segments.next = placed.sequence + 1;
        self.place(&mut state, submission, placed);
        Ok(())
    }

    /// Submissions became durable in the segment of `base`: from now on they are accepted.
    pub(super) fn commit(&self, base: u64, written: Vec<(Submission, Placed)>) {
        let mut state = self.lock();
        for (submission, placed) in written {
            let owner =
                Owner { account: Arc::clone(&submission.account), destination: Arc::clone(&submission.destination) };
            state.segments.accepted(base, placed, &owner);
            self.place(&mut state, submission, placed);
        }
        state.segments.weigh();
        self.evict(&mut state);
    }

    fn place(&self, state: &mut State, submission: Submission, placed: Placed) {
        let Submission { account, destination, points, lines, .. } = submission;
        let Placed { sequence, accepted, tally, .. } = placed;
        state.reserved = state.reserved.saturating_sub(tally.bytes);
        state.points += tally.points;
        // At the commit and under the lock: no snapshot shows a point that waits and was not accepted.
        account.accepted(tally.points);
        let owner = Owner { account, destination: Arc::clone(&destination) };
        let origin = Arc::new(Origin { sequence, accepted, owner, tally });
        state.go_live(&origin);
        let waiting = Waiting { origin, lines, points };
        state.resident += waiting.cost();
        self.announce(state, &destination);
        let owner = &Arc::clone(&waiting.origin).owner;
        state.queue_of(owner).push(waiting);
    }

    pub(super) fn pending(&self) -> Pending {
        let state = self.lock();
        let live = state.live.values().next().map(|live| live.origin.accepted);
        // Of a backlog the exact time lies on the disk: what is remembered of it can be a few records too early.
        let oldest = match state.segments.oldest() {
            Some(backlog) => Some(live.map_or(backlog, |live| live.min(backlog))),
            None => live,
        };
        let (points, bytes, disk) = (state.points, state.books.bytes, state.segments.disk());
        Pending { points, bytes, disk, limit: self.bounds.bytes, oldest }
    }

    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.wake();
    }

    pub(super) async fn next(self: &Arc<Self>, destination: &Arc<str>) -> Option<Waiting> {
        loop {
            let arrived = {
                let mut state = self.lock();
                let closed = state.closed;
                let queue = state.queues.entry(Arc::clone(destination)).or_default();
                match queue.turn() {
                    Turn::Has(waiting) => {
                        state.left_queue(&waiting);
                        return Some(waiting);
                    }
                    // What lies on the disk stays there for the next start.
                    _ if closed => return None,
                    Turn::Read => {
                        queue.reading = true;
                        let (core, destination) = (Arc::clone(self), Arc::clone(destination));
                        // Its own task: the future that asked for it may be dropped.
                        tokio::task::spawn_blocking(move || core.read_backlog(&destination, None));
                    }
                    Turn::Wait => {}
                }
                Arc::clone(&state.queues.entry(Arc::clone(destination)).or_default().arrived)
            };
            // `notify_one` leaves a permit when nobody waits: an arrival between the look and this await is not missed.
            arrived.notified().await;
        }
    }

    /// Reads from the log itself if it must: not for a task's thread.
    pub(super) fn try_next(&self, destination: &Arc<str>) -> Option<Waiting> {
        loop {
            let mut state = self.lock();
            let queue = state.queues.get_mut(destination)?;
            match queue.turn() {
                Turn::Has(waiting) => {
                    state.left_queue(&waiting);
                    return Some(waiting);
                }
                Turn::Read => queue.reading = true,
                Turn::Wait => return None,
            }
            drop(state);
            self.read_backlog(destination, None);
        }
    }

    pub(super) fn destinations(&self) -> watch::Receiver<Vec<Arc<str>>> {
        self.destinations.subscribe()
    }

    pub(super) fn settle(&self, waiting: &Waiting, outcome: Outcome) {
        let Waiting { origin, points, .. } = waiting;
        let points = u64::from(*points);
        let mut state = self.lock();
        origin.owner.account.ended(outcome, points);
        state.points = state.points.saturating_sub(points);
        let Some(live) = state.live.get_mut(&origin.sequence) else {
            debug_assert!(false, "record {} was settled twice", origin.sequence);
            return;
        };
        debug_assert!(live.points >= points, "points of record {} were settled twice", origin.sequence);
        live.points = live.points.saturating_sub(points);
        live.ends.push((outcome, points));
        if live.points > 0 {
            return;
        }
        let Some(live) = state.live.remove(&origin.sequence) else { return };
        let Owner { account, destination } = &origin.owner;
        state.books.free(account, destination, origin.tally.bytes);
        let Some(log) = &self.log else { return };
        // What a second delivery would not simply overwrite is written down soon.
        let soon = live.ends.iter().any(|(outcome, _)| *outcome != Outcome::Delivered);
        let done = state.segments.end(origin.sequence, &origin.owner, origin.tally, live.ends.into_iter());
        drop(state);
        if done || soon {
            log.wake_keeper();
        }
    }

    pub(super) fn give_back(&self, waiting: Waiting) {
        let mut state = self.lock();
        state.resident += waiting.cost();
        let owner = &Arc::clone(&waiting.origin).owner;
        state.queue_of(owner).give_back(waiting);
    }

    /// Every reader looks again.
    pub(super) fn wake(&self) {
        self.lock().wake();
    }

    /// From this size on a segment is sealed.
    pub(super) fn segment_bytes(&self) -> u64 {
        self.log.as_ref().map_or(0, Log::segment_bytes)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing between two changes of the state can panic but an allocation failure, which aborts.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// A record's lines are in memory, with all of its points to end.
    pub(super) fn go_live(&mut self, origin: &Arc<Origin>) {
        let live = Live { origin: Arc::clone(origin), points: origin.tally.points, ends: Vec::new() };
        self.live.insert(origin.sequence, live);
    }

    fn wake(&self) {
        self.queues.values().for_each(Queue::wake);
        self.aside.wake();
    }

    /// It waits in no queue any more.
    pub(super) fn left_queue(&mut self, waiting: &Waiting) {
        self.resident = self.resident.saturating_sub(waiting.cost());
    }
}
