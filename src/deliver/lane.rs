//! One lane: takes its destination's records from the spool, cuts batches, and keeps several of them in flight.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::batch::{Batch, Cutter, MAX_BYTES};
use super::sender::{Rest, Sender};
use crate::outcome::Account;
use crate::spool::Spool;

/// How many batches of accounts with bad lines are looked at at once, beside the others' way.
const ASIDE_IN_FLIGHT: usize = 2;

/// About how many bytes of lines all lanes may hold together, whatever is under way: each gets its part of it.
const ALL_LANES: usize = 64 << 20;
/// The least part of it.
const LEAST: usize = 256 << 10;

/// What the gateway wants of its lanes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    /// Deliver.
    Running,
    /// The time is up: let go of everything.
    Ending,
}

/// Runs until the spool is closed and empty, or the phase is `Ending`. What is not delivered then is back in the spool.
pub(crate) async fn run(sender: Arc<Sender>, spool: Spool, in_flight: usize, mut phase: watch::Receiver<Phase>) {
    let mut lane = Lane {
        cutter: Cutter::new(sender.shared.pace.linger),
        ready: VecDeque::new(),
        aside: VecDeque::new(),
        tasks: JoinSet::new(),
        left: Vec::new(),
        apart: Vec::new(),
        under_way: Arc::default(),
        // As many batches as may be in flight, one that waits and one that is open.
        most: (in_flight + 2) * MAX_BYTES,
        sender,
    };
    let main = Arc::new(Semaphore::new(in_flight.max(1)));
    let side = Arc::new(Semaphore::new(ASIDE_IN_FLIGHT));
    let destination = Arc::clone(&lane.sender.bucket);
    let (mut more, mut more_aside) = (true, true);
    loop {
        lane.sort();
        lane.part(&spool, &destination);
        if !(more || more_aside && lane.has_apart()) && lane.is_idle() {
            break;
        }
        let due = lane.due();
        tokio::select! {
            // What waits in the spool is taken before a batch that is due is cut: while the gateway stops every batch is due.
            biased;
            // The sender of the phase lives as long as the delivery; without it nobody waits for this lane.
            _ = phase.wait_for(|phase| *phase == Phase::Ending) => break,
            Some(ended) = lane.tasks.join_next(), if !lane.tasks.is_empty() => match ended {
                Ok(rest) => {
                    lane.aside.extend(rest.aside);
                    lane.left.extend(rest.left);
                }
                // Its records are back in the spool: each is dropped unsettled.
                Err(error) => tracing::error!(bucket = &*destination, "a sender failed, its batch is sent again: {error}"),
            },
            Ok(permit) = Arc::clone(&main).acquire_owned(), if !lane.ready.is_empty() => lane.start(permit, false),
            Ok(permit) = Arc::clone(&side).acquire_owned(), if !lane.aside.is_empty() => lane.start(permit, true),
            record = spool.next(&destination), if more && lane.ready.is_empty() && lane.may_take() => match record {
                Some(record) => {
                    let aside = lane.sender.suspects.has(record.account(), Instant::now());
                    lane.cutter.push(record, aside);
                }
                None => more = false,
            },
            // Read only as fast as their bad lines are found: the rest waits in the spool, in nobody's way.
            record = spool.next_aside(&destination), if more_aside && lane.has_apart() && lane.aside.is_empty() && lane.may_take() => match record {
                Some(record) => lane.cutter.push(record, true),
                None => more_aside = false,
            },
            () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => lane.cut_due(),
        }
    }
    // Waited for, so that every record is back in the spool when the lane has ended.
    lane.tasks.abort_all();
    while lane.tasks.join_next().await.is_some() {}
    // Whoever empties the spool finds everything in one queue.
    spool.take_all_back(&destination);
}

struct Lane {
    sender: Arc<Sender>,
    cutter: Cutter,
    ready: VecDeque<Batch>,
    aside: VecDeque<Batch>,
    tasks: JoinSet<Rest>,
    /// What did not go while the gateway stops; dropped, and so back in the spool, when the lane ends.
    left: Vec<Batch>,
    /// Whose records the spool keeps apart.
    apart: Vec<Arc<Account>>,
    /// Bytes of the batches in flight.
    under_way: Arc<AtomicUsize>,
    /// The most bytes that it may hold, were it the only lane.
    most: usize,
}

impl Lane {
    fn sort(&mut self) {
        while let Some((aside, batch)) = self.cutter.take() {
            if aside { self.aside.push_back(batch) } else { self.ready.push_back(batch) }
        }
    }

    fn is_flushing(&self) -> bool {
        self.sender.shared.flushing.load(Ordering::Relaxed)
    }

    fn due(&self) -> Option<Instant> {
        let due = self.cutter.due();
        if self.is_flushing() { due.map(|_| Instant::now()) } else { due }
    }

    fn cut_due(&mut self) {
        self.cutter.cut_due(self.is_flushing());
    }

    /// Accounts that sent bad lines wait apart in the spool from now on, and come back when they have not for a while and nothing of them waits.
    fn part(&mut self, spool: &Spool, destination: &Arc<str>) {
        let suspects = self.sender.suspects.accounts(Instant::now());
        self.apart.retain(|account| {
            let still = suspects.iter().any(|suspect| Arc::ptr_eq(suspect, account));
            still || !spool.take_back(destination, account)
        });
        for account in suspects {
            if !self.apart.iter().any(|known| Arc::ptr_eq(known, &account)) {
                spool.set_aside(destination, &account);
                self.apart.push(account);
            }
        }
    }

    fn has_apart(&self) -> bool {
        !self.apart.is_empty()
    }

    /// Whether it holds less than its part, or nothing at all: a part that is smaller than a record must not keep it out.
    fn may_take(&self) -> bool {
        let queued: usize = self.ready.iter().chain(&self.aside).chain(&self.left).map(Batch::bytes).sum();
        let held = self.cutter.bytes() + queued + self.under_way.load(Ordering::Relaxed);
        let lanes = self.sender.shared.lanes.load(Ordering::Relaxed).max(1);
        self.is_flushing() || self.is_idle() || held < (ALL_LANES / lanes).clamp(LEAST, self.most)
    }

    fn is_idle(&self) -> bool {
        self.cutter.is_empty() && self.ready.is_empty() && self.aside.is_empty() && self.tasks.is_empty()
    }

    fn start(&mut self, permit: OwnedSemaphorePermit, aside: bool) {
        let queue = if aside { &mut self.aside } else { &mut self.ready };
        let Some(batch) = queue.pop_front() else {
            return;
        };
        let sender = Arc::clone(&self.sender);
        let under_way = UnderWay::new(&self.under_way, batch.bytes());
        self.tasks.spawn(async move {
            let rest = sender.send(batch, aside).await;
            drop((permit, under_way));
            rest
        });
    }
}

/// Bytes that are counted while it lives, however the sender ends.
struct UnderWay(Arc<AtomicUsize>, usize);

impl UnderWay {
    fn new(sum: &Arc<AtomicUsize>, bytes: usize) -> Self {
        sum.fetch_add(bytes, Ordering::Relaxed);
        Self(Arc::clone(sum), bytes)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Ordering::Relaxed);
    }
}
