//! A record on its way out: whoever holds it answers for its points.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::state::{Core, Waiting};
use crate::clock::UnixNanos;
use crate::outcome::{Account, Outcome};

/// Lines of one submission, on their way out. Not `Clone`: each point has one holder, who ends it once by [`Record::settle`].
/// Dropped unsettled (a panic, an aborted task) it goes back to the head of its queue.
pub struct Record {
    spool: Arc<Core>,
    /// `None` only after it was settled or divided.
    waiting: Option<Waiting>,
}

impl Record {
    pub(super) fn new(spool: Arc<Core>, waiting: Waiting) -> Self {
        Self { spool, waiting: Some(waiting) }
    }

    fn get(&self) -> &Waiting {
        self.waiting.as_ref().expect("only methods that consume the record take it out")
    }

    /// The submission's number, from 1, in the order of acceptance; both halves of a divided record keep it.
    pub fn sequence(&self) -> u64 {
        self.get().origin.sequence
    }

    /// When it was accepted.
    pub fn accepted(&self) -> UnixNanos {
        self.get().origin.accepted
    }

    /// Whose points these are.
    pub fn account(&self) -> &Arc<Account> {
        &self.get().origin.owner.account
    }

    /// The bucket they go to.
    pub fn destination(&self) -> &Arc<str> {
        &self.get().origin.owner.destination
    }

    /// How many points this holder answers for.
    pub fn points(&self) -> u32 {
        self.get().points
    }

    /// The lines.
    pub fn lines(&self) -> &Bytes {
        &self.get().lines
    }

    /// Divides it after `bytes` bytes, which hold `points` points. Both sides must keep at least one point and one byte;
    /// otherwise the record comes back whole.
    pub fn split_at(mut self, bytes: usize, points: u32) -> Result<(Self, Self), Self> {
        let whole = self.get();
        if points == 0 || points >= whole.points || bytes == 0 || bytes >= whole.lines.len() {
            return Err(self);
        }
        let Some(mut head) = self.waiting.take() else {
            return Err(self);
        };
        let tail = Waiting {
            origin: Arc::clone(&head.origin),
            lines: head.lines.split_off(bytes),
            points: head.points - points,
        };
        head.points = points;
        let spool = Arc::clone(&self.spool);
        Ok((Self::new(Arc::clone(&spool), head), Self::new(spool, tail)))
    }

    /// Its points ended so. The submission's bytes are free once all of its points ended.
    pub fn settle(mut self, outcome: Outcome) {
        if let Some(waiting) = self.waiting.take() {
            self.spool.settle(&waiting, outcome);
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if let Some(waiting) = self.waiting.take() {
            self.spool.give_back(waiting);
        }
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the lines: they are a tenant's data.
        f.debug_struct("Record")
            .field("waiting", &self.waiting.as_ref().map(|w| (w.origin.sequence, w.points)))
            .finish()
    }
}
