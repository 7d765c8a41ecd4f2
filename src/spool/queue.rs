//! One destination's queue: lines in memory, oldest first, and how much of the log may hold older ones.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::log::segment::Owner;
use super::state::Waiting;
use crate::clock::UnixNanos;

/// From this age of the backlog on, the newest and the oldest take turns: after an outage a dashboard is fresh at once, and the backlog drains beside.
const SHARE_FROM: Duration = Duration::from_secs(5);

/// What comes next.
pub(super) enum Turn {
    /// This.
    Has(Waiting),
    /// The oldest lie on the disk: read some, and ask again.
    Read,
    /// Nothing yet, or somebody reads already.
    Wait,
}

#[derive(Default)]
pub(super) struct Queue {
    /// In memory, in the order of acceptance; the oldest of them can give way.
    resident: VecDeque<Waiting>,
    /// What they take.
    resident_bytes: u64,
    /// How many of them are whole records.
    whole: usize,
    /// Read from the disk, older than all in `resident` were when they gave way.
    ahead: VecDeque<Waiting>,
    /// Sequences among which the log may hold more of this destination's.
    pub(super) unread: Range<u64>,
    /// Whether somebody reads.
    pub(super) reading: bool,
    /// Bytes that the old had more than the new, while they take turns. In bytes: one record can be a thousand times another, and small fresh ones
    /// would drown between large old ones.
    owed: u64,
    pub(super) arrived: Arc<Notify>,
    /// Whether the lanes have been told of it.
    pub(super) announced: bool,
}

impl Queue {
    /// One that begins with what the log may hold, and tells `arrived` of what comes.
    pub(super) fn beginning(unread: Range<u64>, arrived: Arc<Notify>) -> Self {
        Self { unread, arrived, ..Self::default() }
    }

    pub(super) fn wake(&self) {
        self.arrived.notify_one();
    }

    pub(super) fn push(&mut self, waiting: Waiting) {
        self.resident_bytes += waiting.cost();
        self.whole += usize::from(waiting.is_whole());
        self.resident.push_back(waiting);
        self.wake();
    }

    /// What was taken and not ended comes first again.
    pub(super) fn give_back(&mut self, waiting: Waiting) {
        self.resident_bytes += waiting.cost();
        self.whole += usize::from(waiting.is_whole());
        self.resident.push_front(waiting);
        self.wake();
    }

    /// What was read from the disk.
    pub(super) fn push_ahead(&mut self, waiting: Waiting) {
        self.ahead.push_back(waiting);
    }

    /// Whether nothing waits in it, here or on the disk.
    pub(super) fn is_empty(&self) -> bool {
        self.resident.is_empty() && self.ahead.is_empty() && self.unread.is_empty() && !self.reading
    }

    /// What is in memory of these owners waits in another queue from now on.
    pub(super) fn move_to(&mut self, other: &mut Self, of: impl Fn(&Owner) -> bool) {
        for (from, to) in [(&mut self.resident, &mut other.resident), (&mut self.ahead, &mut other.ahead)] {
            for waiting in std::mem::take(from) {
                if of(&waiting.origin.owner) { to.push_back(waiting) } else { from.push_back(waiting) }
            }
        }
        self.weigh();
        other.weigh();
    }

    /// What waits in another queue waits in this one.
    pub(super) fn join(&mut self, mut other: Self) {
        other.move_to(self, |_| true);
        // In the order of acceptance, as everything that gives way expects it.
        self.resident.make_contiguous().sort_by_key(|waiting| waiting.origin.sequence);
        self.unread = match (self.unread.is_empty(), other.unread.is_empty()) {
            (_, true) => self.unread.clone(),
            (true, _) => other.unread,
            _ => self.unread.start.min(other.unread.start)..self.unread.end.max(other.unread.end),
        };
        self.wake();
    }

    fn weigh(&mut self) {
        self.resident_bytes = self.resident.iter().map(Waiting::cost).sum();
        self.whole = self.resident.iter().filter(|waiting| waiting.is_whole()).count();
    }

    pub(super) fn resident_bytes(&self) -> u64 {
        self.resident_bytes
    }

    pub(super) fn turn(&mut self) -> Turn {
        let shared = self.is_behind();
        if shared
            && self.owed > 0
            && let Some(newest) = self.newest()
        {
            return Turn::Has(newest);
        }
        // Nothing new waits, or it had its share: no claim piles up meanwhile.
        self.owed = 0;
        let oldest = match self.ahead.pop_front() {
            None if self.unread.is_empty() => self.pop(VecDeque::pop_front),
            None if !self.reading => return Turn::Read,
            // While the disk is read there is no need to stand still.
            None => return self.newest().map_or(Turn::Wait, Turn::Has),
            ahead => ahead,
        };
        let Some(oldest) = oldest else { return Turn::Wait };
        if shared {
            self.owed = oldest.lines.len() as u64;
        }
        Turn::Has(oldest)
    }

    fn newest(&mut self) -> Option<Waiting> {
        let newest = self.pop(VecDeque::pop_back)?;
        self.owed = self.owed.saturating_sub(newest.lines.len() as u64);
        Some(newest)
    }

    fn is_behind(&self) -> bool {
        let (Some(first), Some(last)) = (self.resident.front(), self.resident.back()) else {
            return false;
        };
        let span = i64::try_from(SHARE_FROM.as_nanos()).unwrap_or(i64::MAX);
        !self.ahead.is_empty()
            || !self.unread.is_empty()
            || last.origin.accepted.saturating_sub(first.origin.accepted) > span
    }

    fn pop(&mut self, end: fn(&mut VecDeque<Waiting>) -> Option<Waiting>) -> Option<Waiting> {
        let waiting = end(&mut self.resident)?;
        self.left(&waiting);
        Some(waiting)
    }

    fn left(&mut self, waiting: &Waiting) {
        self.resident_bytes = self.resident_bytes.saturating_sub(waiting.cost());
        self.whole = self.whole.saturating_sub(usize::from(waiting.is_whole()));
    }

    /// Whether [`Queue::evict`] would give something.
    pub(super) fn can_evict(&self) -> bool {
        self.whole > 0
    }

    /// The oldest whole record in memory gives way: from now on it is unread. A part of a record stays, since the log has only the whole.
    pub(super) fn evict(&mut self) -> Option<Waiting> {
        let at = self.resident.iter().position(Waiting::is_whole)?;
        let waiting = self.resident.remove(at)?;
        self.left(&waiting);
        let sequence = waiting.origin.sequence;
        self.look_among(sequence..sequence + 1);
        Some(waiting)
    }

    /// The log may hold some of these sequences, which are not in memory.
    pub(super) fn look_among(&mut self, sequences: Range<u64>) {
        self.unread = if self.unread.is_empty() {
            sequences
        } else {
            self.unread.start.min(sequences.start)..self.unread.end.max(sequences.end)
        };
    }

    /// When the oldest in memory was accepted.
    pub(super) fn oldest(&self) -> Option<UnixNanos> {
        self.resident.front().map(|waiting| waiting.origin.accepted)
    }

    pub(super) fn take_oldest(&mut self) -> Option<Waiting> {
        self.pop(VecDeque::pop_front)
    }

    /// Takes out everything in memory whose sequence is among these.
    pub(super) fn take_among(&mut self, sequences: &Range<u64>) -> Vec<Waiting> {
        let mut taken = Vec::new();
        for queue in [&mut self.resident, &mut self.ahead] {
            for waiting in std::mem::take(queue) {
                if sequences.contains(&waiting.origin.sequence) {
                    taken.push(waiting);
                } else {
                    queue.push_back(waiting);
                }
            }
        }
        self.weigh();
        taken
    }
}

#[cfg(test)]
impl Queue {
    /// Bytes of lines that could give way, of parts of records, and of what was read ahead.
    pub(super) fn weights(&self) -> (u64, u64, u64) {
        let sum = |queue: &VecDeque<Waiting>, whole: bool| {
            queue.iter().filter(|waiting| waiting.is_whole() == whole).map(Waiting::cost).sum()
        };
        let ahead: u64 = self.ahead.iter().map(Waiting::cost).sum();
        (sum(&self.resident, true), sum(&self.resident, false), ahead)
    }
}
