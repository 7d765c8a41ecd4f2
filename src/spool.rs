//! The spool: keeps accepted lines until they are delivered.
//!
//! *Comes in*: one [`Submission`] a request. *Goes out*: its acceptance ("taken": the 202 may be sent) or [`Refused`]; on the other side
//! [`Record`]s for the lanes, and what became of each comes back by [`Record::settle`]. *Never*: more than its bound; a record dropped to make
//! room; one destination's backlog that keeps another's records from their lane; a point that is settled twice, or forgotten: a record that is
//! dropped unsettled goes back to the head of its queue.
//!
//! The memory spool stands here; a segment log on disk takes the same doors (`append`, `next`, `settle`) without moving a wall.

mod aside;
mod books;
mod evict;
mod log;
mod queue;
mod record;
mod state;
#[cfg(test)]
mod tests;

pub(crate) use log::cursor::Ended;
pub(crate) use log::offline;
#[cfg(any(test, fuzzing))]
pub(crate) use log::scan::fuzz;
pub use log::{OpenError, Options};
pub use record::Record;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{oneshot, watch};

use crate::clock::{Clock, UnixNanos};
use crate::config::OnFull;
use crate::metrics::Metrics;
use crate::outcome::Account;
use crate::outcome::Ledger;
use log::segments::Segments;
use log::{Append, head};
use state::{Bounds, Core};

/// What one request hands over, all at once.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Whose points these are.
    pub account: Arc<Account>,
    /// The share of the spool (0..=1) that this account may fill.
    pub share: f64,
    /// The bucket they go to.
    pub destination: Arc<str>,
    /// How many lines.
    pub points: u32,
    /// The lines, each with its newline. The spool keeps the whole allocation: hand over a buffer without slack.
    pub lines: Bytes,
}

/// The spool took nothing of a submission.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// It is full, or the account's or the destination's share is; try again after this.
    Full {
        /// A guess from the drain's speed, 1 to 60 s.
        retry_after: Duration,
    },
    /// It alone is larger than the spool: it can never be taken.
    TooLarge {
        /// The spool's bound, bytes.
        limit: u64,
    },
    /// The disk failed: nothing can be made durable now.
    Disk {
        /// When to try again.
        retry_after: Duration,
    },
    /// The gateway stops.
    Closed,
}

/// What waits for delivery.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Pending {
    /// Points that wait or are in flight.
    pub points: u64,
    /// Their bytes, with what the spool itself needs for each record.
    pub bytes: u64,
    /// Bytes of the log on the disk: also what has ended and lies beside something that has not.
    pub disk: u64,
    /// The most bytes that may wait.
    pub limit: u64,
    /// When the oldest of them was accepted.
    pub oldest: Option<UnixNanos>,
}

/// How the spool is, for readiness.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Health {
    /// Why the disk takes nothing now; mended when a write succeeds again.
    pub failed: Option<String>,
    /// Whether the disk had no space at the last write.
    pub no_space: bool,
    /// Files of the log that could not be read and were set aside, and damaged places that were copied aside, by name.
    pub set_aside: Vec<String>,
}

/// The spool; cheap to clone, all clones are the same spool.
#[derive(Clone, Debug)]
pub struct Spool(Arc<Core>);

impl Spool {
    /// A spool in memory that holds at most `limit` bytes.
    pub fn in_memory(limit: u64, on_full: OnFull, clock: Clock) -> Self {
        let bounds = Bounds { bytes: limit, memory: limit, on_full };
        Self(Arc::new(Core::new(bounds, clock, None, Segments::default())))
    }

    /// A spool on disk: takes up what an earlier process left, and adds it to the ledger. Reads all of it once, and blocks meanwhile.
    ///
    /// # Errors
    /// The folder is in use, or cannot be read or written. Damage is none: it is set aside, counted, and named by [`Spool::health`].
    pub fn open(options: &Options, ledger: &Ledger, clock: Clock, metrics: Arc<Metrics>) -> Result<Self, OpenError> {
        log::open(options, ledger, clock, metrics).map(Self)
    }

    /// Takes a submission: afterwards its points count as accepted and pending, and, on disk, are durable. All of it or nothing. When the future is
    /// dropped before, it may still be taken.
    pub async fn append(&self, submission: Submission) -> Result<(), Refused> {
        if submission.points == 0 || submission.lines.is_empty() {
            return Ok(());
        }
        let Some(log) = &self.0.log else {
            return self.0.append(submission);
        };
        let names = submission.account.name().len().max(submission.destination.len());
        if submission.lines.len() > log::format::MAX_LINES || names > log::format::MAX_NAME {
            return Err(Refused::TooLarge { limit: log::format::MAX_LINES as u64 });
        }
        let cost = head(&submission, 0, 0).record_len();
        self.0.admit(&submission, cost)?;
        let (reply, answer) = oneshot::channel();
        if let Err(append) = log.submit(Append { submission, cost, reply }) {
            self.0.release(&append.submission, append.cost);
            return Err(Refused::Closed);
        }
        answer.await.unwrap_or(Err(Refused::Closed))
    }

    /// How it is. A spool in memory is always well.
    pub fn health(&self) -> Health {
        self.0.health_of_log().unwrap_or_default()
    }

    /// Whether what it took outlives the process: it needs no spill file at the end.
    pub fn is_durable(&self) -> bool {
        self.0.log.is_some()
    }

    /// Ends it after [`Spool::close`]: what has ended is written down, and the folder is free for the next process.
    pub async fn shut_down(&self) {
        let core = Arc::clone(&self.0);
        let ended = tokio::task::spawn_blocking(move || core.log.as_ref().map(log::Log::shut_down)).await;
        if let Err(error) = ended {
            tracing::error!(
                "the spool was not ended in order: {error}; what was delivered last may be delivered again"
            );
        }
    }

    /// What waits now, over all destinations.
    pub fn pending(&self) -> Pending {
        self.0.pending()
    }

    /// Takes nothing more; what is in memory can still be read. Wakes every reader.
    pub fn close(&self) {
        self.0.close();
    }

    /// The next record for a destination, as soon as there is one; `None` once the spool is closed and this queue is empty. Dropping the future
    /// loses nothing.
    pub async fn next(&self, destination: &Arc<str>) -> Option<Record> {
        let waiting = self.0.next(destination).await?;
        Some(Record::new(Arc::clone(&self.0), waiting))
    }

    /// The next record for a destination if there is one now. May read from the disk: call it where blocking is fine.
    pub fn try_next(&self, destination: &Arc<str>) -> Option<Record> {
        let waiting = self.0.try_next(destination)?;
        Some(Record::new(Arc::clone(&self.0), waiting))
    }

    /// From now on an account's records of a destination come by [`Spool::next_aside`] alone, those too that wait already: an account whose lines
    /// cost many requests stands before its own backlog, not before the others'.
    pub fn set_aside(&self, destination: &Arc<str>, account: &Arc<Account>) {
        self.0.set_account_aside(destination, account);
    }

    /// An account comes with the others again, if nothing of it waits apart; whether it does.
    pub fn take_back(&self, destination: &Arc<str>, account: &Arc<Account>) -> bool {
        self.0.take_account_back(destination, account)
    }

    /// All accounts of a destination come in one queue again, with what waits of them.
    pub fn take_all_back(&self, destination: &Arc<str>) {
        self.0.take_all_back(destination);
    }

    /// The next record of an account that is set aside, as soon as there is one, in turns; `None` once the spool is closed and none is in memory.
    /// Dropping the future loses nothing.
    pub async fn next_aside(&self, destination: &Arc<str>) -> Option<Record> {
        let waiting = self.0.next_aside(destination).await?;
        Some(Record::new(Arc::clone(&self.0), waiting))
    }

    /// Every destination that ever had a record, in order of appearance; changes when one appears.
    pub fn destinations(&self) -> watch::Receiver<Vec<Arc<str>>> {
        self.0.destinations()
    }
}
