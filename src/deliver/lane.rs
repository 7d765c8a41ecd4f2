//! One lane: takes its destination's records from the spool, cuts batches, and keeps several of them in flight.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::batch::{Batch, Cutter};
use super::sender::{Rest, Sender};
use crate::spool::Spool;

/// How many batches of accounts with bad lines are looked at at once, beside the others' way.
const ASIDE_IN_FLIGHT: usize = 2;

/// How much may be taken from the spool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Batches in flight.
    pub(crate) in_flight: usize,
    /// Bytes that wait to be looked at, aside.
    pub(crate) aside: usize,
}

impl Bounds {
    pub(crate) fn of(spool: &Spool, in_flight: usize) -> Self {
        Self { in_flight, aside: if spool.is_durable() { ASIDE_BYTES } else { usize::MAX } }
    }
}

/// How much of what waits aside may be in memory beside a durable spool. Beyond it the lane reads on only as fast as bad lines are found: a tenant
/// whose poison comes faster than that for long slows its bucket down, instead of filling the memory. (In a spool in memory it lies there anyway.)
const ASIDE_BYTES: usize = 64 << 20;

/// What the gateway wants of its lanes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    /// Deliver.
    Running,
    /// The time is up: let go of everything.
    Ending,
}

/// Runs until the spool is closed and empty, or the phase is `Ending`. What is not delivered then is back in the spool.
pub(crate) async fn run(sender: Arc<Sender>, spool: Spool, bounds: Bounds, mut phase: watch::Receiver<Phase>) {
    let mut lane = Lane {
        cutter: Cutter::new(sender.shared.pace.linger),
        ready: VecDeque::new(),
        aside: VecDeque::new(),
        tasks: JoinSet::new(),
        left: Vec::new(),
        sender,
    };
    let main = Arc::new(Semaphore::new(bounds.in_flight.max(1)));
    let side = Arc::new(Semaphore::new(ASIDE_IN_FLIGHT));
    let destination = Arc::clone(&lane.sender.bucket);
    let mut more = true;
    loop {
        lane.sort();
        if !more && lane.is_idle() {
            break;
        }
        let due = lane.cutter.due();
        tokio::select! {
            record = spool.next(&destination), if more && lane.ready.is_empty() && lane.bytes_aside() < bounds.aside => match record {
                Some(record) => {
                    let aside = lane.sender.suspects.has(record.account(), Instant::now());
                    lane.cutter.push(record, aside);
                }
                None => more = false,
            },
            () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => lane.cutter.cut_due(false),
            Ok(permit) = Arc::clone(&main).acquire_owned(), if !lane.ready.is_empty() => lane.start(permit, false),
            Ok(permit) = Arc::clone(&side).acquire_owned(), if !lane.aside.is_empty() => lane.start(permit, true),
            Some(ended) = lane.tasks.join_next(), if !lane.tasks.is_empty() => match ended {
                Ok(rest) => {
                    lane.aside.extend(rest.aside);
                    lane.left.extend(rest.left);
                }
                // Its records are back in the spool: each is dropped unsettled.
                Err(error) => tracing::error!(bucket = &*destination, "a sender failed, its batch is sent again: {error}"),
            },
            // The sender of the phase lives as long as the delivery; without it nobody waits for this lane.
            _ = phase.wait_for(|phase| *phase == Phase::Ending) => break,
        }
    }
    // Waited for, so that every record is back in the spool when the lane has ended.
    lane.tasks.abort_all();
    while lane.tasks.join_next().await.is_some() {}
}

struct Lane {
    sender: Arc<Sender>,
    cutter: Cutter,
    ready: VecDeque<Batch>,
    aside: VecDeque<Batch>,
    tasks: JoinSet<Rest>,
    /// What did not go while the gateway stops; dropped, and so back in the spool, when the lane ends.
    left: Vec<Batch>,
}

impl Lane {
    fn sort(&mut self) {
        if self.sender.shared.flushing.load(Ordering::Relaxed) {
            self.cutter.cut_due(true);
        }
        while let Some((aside, batch)) = self.cutter.take() {
            if aside { self.aside.push_back(batch) } else { self.ready.push_back(batch) }
        }
    }

    fn bytes_aside(&self) -> usize {
        self.aside.iter().map(Batch::bytes).sum()
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
        self.tasks.spawn(async move {
            let rest = sender.send(batch, aside).await;
            drop(permit);
            rest
        });
    }
}
