//! The spool: keeps accepted lines until they are delivered.
//!
//! *Comes in*: one [`Submission`] a request. *Goes out*: its acceptance ("taken": the 202 may be sent) or [`Refused`]; on the other side
//! [`Record`]s for the lanes, and what became of each comes back as settlements. *Never*: more than its bound; a record dropped to make room; one
//! destination's backlog that keeps another's records from their lane.
//!
//! The memory spool stands here; a segment log on disk takes the same doors (`append`, `next`, `settle`) without moving a wall.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::clock::UnixNanos;
use crate::outcome::{Account, Outcome};

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
    /// The lines.
    pub lines: Bytes,
}

/// The spool took nothing of a submission.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// It is full, or the account's share is; try again after this.
    Full {
        /// A guess from the drain's speed.
        retry_after: Duration,
    },
    /// The gateway stops.
    Closed,
}

/// A submission that was taken, on its way out.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its number, from 1, in the order of acceptance.
    pub sequence: u64,
    /// When it was accepted.
    pub accepted: UnixNanos,
    /// What was submitted.
    pub submission: Submission,
}

/// What waits for delivery.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Pending {
    /// Points that wait or are in flight.
    pub points: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The most bytes that may wait.
    pub limit: u64,
    /// When the oldest of them was accepted.
    pub oldest: Option<UnixNanos>,
}

/// The spool; cheap to clone, all clones are the same spool.
#[derive(Clone, Debug)]
pub struct Spool {}

impl Spool {
    /// Takes a submission: afterwards its points count as accepted and pending.
    pub async fn append(&self, _submission: Submission) -> Result<(), Refused> {
        unimplemented!("spool room")
    }

    /// What waits now, over all destinations.
    pub fn pending(&self) -> Pending {
        unimplemented!("spool room")
    }

    /// `points` of a record ended so. When all of a record's points ended, its bytes are free.
    pub fn settle(&self, _record: &Record, _outcome: Outcome, _points: u32) {
        unimplemented!("spool room")
    }
}
