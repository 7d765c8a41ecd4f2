//! All segments, and what has ended for good: the part of the spool's state that the cursor writes down.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::cursor::{Cursor, Ended};
use super::segment::{Owner, Segment, Tally};
use crate::clock::UnixNanos;
use crate::outcome::{Account, Outcome};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Segments {
    by_base: BTreeMap<u64, Segment>,
    /// By account; of records that ended wholly.
    ended: HashMap<usize, (Arc<Account>, Ended)>,
    /// The first sequence that was not accepted yet.
    pub(crate) next: u64,
    /// Whether the cursor on the disk is behind.
    pub(crate) dirty: bool,
    /// The keeper's count of passes.
    pub(crate) pass: u64,
    generation: u64,
    /// The bases of segments that were set aside: at a start, what stands before them ends there.
    aside: Vec<u64>,
    /// Bytes of segments in which something waits.
    disk: u64,
    /// Bytes of segments that are done, and not deleted yet.
    lingering: u64,
}

impl Segments {
    /// What a start found; everything in it is sealed.
    pub(crate) fn recovered(
        segments: Vec<Segment>,
        ended: Vec<(Arc<Account>, Ended)>,
        next: u64,
        generation: u64,
        aside: Vec<u64>,
    ) -> Self {
        let ended = ended.into_iter().map(|(account, ended)| (Arc::as_ptr(&account) as usize, (account, ended)));
        let mut recovered = Self {
            by_base: segments.into_iter().map(|segment| (segment.base, segment)).collect(),
            ended: ended.collect(),
            next,
            // The start itself may have found losses: the first cursor says so.
            dirty: true,
            pass: 0,
            generation,
            disk: 0,
            lingering: 0,
            aside,
        };
        recovered.weigh();
        recovered
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Segment> {
        self.by_base.values()
    }

    pub(crate) fn get(&self, base: u64) -> Option<&Segment> {
        self.by_base.get(&base)
    }

    pub(crate) fn get_mut(&mut self, base: u64) -> Option<&mut Segment> {
        self.by_base.get_mut(&base)
    }

    /// The segment in which a sequence stands.
    pub(crate) fn of(&self, sequence: u64) -> Option<&Segment> {
        self.by_base.range(..=sequence).next_back().map(|(_, segment)| segment)
    }

    fn of_mut(&mut self, sequence: u64) -> Option<&mut Segment> {
        self.by_base.range_mut(..=sequence).next_back().map(|(_, segment)| segment)
    }

    /// The first segment that holds something from `sequence` on for such an owner, and can be read.
    pub(crate) fn holding(&self, sequence: u64, takes: &impl Fn(&Owner) -> bool) -> Option<&Segment> {
        let first = self.of(sequence).map_or(0, |segment| segment.base);
        let mut from = self.by_base.range(first..).map(|(_, segment)| segment);
        from.find(|segment| {
            segment.next > sequence && !segment.unreadable && segment.owners().any(|(owner, _)| takes(owner))
        })
    }

    /// Whether a segment that was set aside stood between these sequences.
    pub(crate) fn is_broken(&self, from: u64, to: u64) -> bool {
        self.aside.iter().any(|base| (from..to).contains(base))
    }

    pub(crate) fn insert(&mut self, segment: Segment) {
        self.by_base.insert(segment.base, segment);
        self.weigh();
    }

    pub(crate) fn remove(&mut self, base: u64) -> Option<Segment> {
        let removed = self.by_base.remove(&base);
        self.weigh();
        removed
    }

    /// A record became durable.
    pub(crate) fn accepted(&mut self, base: u64, record: Placed, owner: &Owner) {
        let Placed { sequence, at, accepted, tally } = record;
        self.by_base.entry(base).or_insert_with(|| Segment::new(base)).add(sequence, at, accepted, owner, tally);
        self.totals(&owner.account).accepted += tally.points;
        self.next = sequence + 1;
        self.dirty = true;
    }

    /// A record ended wholly. Whether its segment is done by that.
    pub(crate) fn end(
        &mut self,
        sequence: u64,
        owner: &Owner,
        tally: Tally,
        ends: impl Iterator<Item = (Outcome, u64)>,
    ) -> bool {
        let pass = self.pass;
        let Some(segment) = self.of_mut(sequence) else {
            debug_assert!(false, "record {sequence} is of no segment");
            return false;
        };
        let ended = segment.end(sequence, owner, tally);
        debug_assert!(ended, "record {sequence} ended twice");
        if !ended {
            return false;
        }
        segment.touched = pass;
        let (done, empty) = (segment.is_done(), segment.waiting().records == 0);
        ends.for_each(|(outcome, points)| self.count(&owner.account, outcome, points));
        if empty {
            self.weigh();
        }
        done
    }

    /// Counts points of records that ended.
    pub(crate) fn count(&mut self, account: &Arc<Account>, outcome: Outcome, points: u64) {
        self.dirty = true;
        let totals = self.totals(account);
        match outcome {
            Outcome::Delivered => totals.delivered += points,
            Outcome::DeadLettered => totals.dead_lettered += points,
            Outcome::Spilled => totals.spilled += points,
            Outcome::Lost(loss) => *totals.lost.entry(loss.as_str().to_owned()).or_default() += points,
        }
    }

    fn totals(&mut self, account: &Arc<Account>) -> &mut Ended {
        let entry = self.ended.entry(Arc::as_ptr(account) as usize);
        &mut entry.or_insert_with(|| (Arc::clone(account), Ended::default())).1
    }

    /// Bytes of segments in which something waits.
    pub(crate) fn disk(&self) -> u64 {
        self.disk
    }

    /// Bytes of segments that are done, and not deleted yet.
    pub(crate) fn lingering(&self) -> u64 {
        self.lingering
    }

    /// Sums up [`Segments::disk`] again: after segments were written, have ended or gone. The open one does not count while nothing waits in it: only a
    /// write seals it, and it must not keep out the very one that would.
    pub(crate) fn weigh(&mut self) {
        let waiting = self.by_base.values().filter(|segment| segment.waiting().records > 0);
        self.disk = waiting.map(|segment| segment.len).sum();
        let done = self.by_base.values().filter(|segment| segment.is_done());
        self.lingering = done.map(|segment| segment.len).sum();
    }

    /// When the oldest record that waits was accepted.
    pub(crate) fn oldest(&self) -> Option<UnixNanos> {
        self.by_base.values().find_map(Segment::oldest)
    }

    /// The segments that can go once the cursor is durable.
    pub(crate) fn done(&self) -> Vec<u64> {
        self.by_base.values().filter(|segment| segment.is_done()).map(|segment| segment.base).collect()
    }

    /// That cursor is durable.
    pub(crate) fn written(&mut self, cursor: &Cursor) {
        self.generation = cursor.generation;
    }

    /// The state now, as the next cursor. Of the same generation until one was [`Segments::written`]: a try that failed is tried again in the same
    /// file, and never goes over the good one.
    pub(crate) fn cursor(&self) -> Cursor {
        let low = self.by_base.values().find_map(Segment::first_waiting).unwrap_or(self.next);
        let mut runs = Vec::new();
        let mut at = low;
        let mut push = |range: std::ops::Range<u64>| {
            let (from, to) = (range.start.max(low), range.end);
            if to <= from.max(at) {
                return;
            }
            match runs.last_mut() {
                // Behind the last one without a gap: the same run.
                Some(last) if from <= at => *last += to - at,
                _ => runs.extend([from - at, to - from]),
            }
            at = to;
        };
        let mut next = low;
        for segment in self.by_base.values() {
            // What stood between two segments has ended, or its segment would be there.
            push(next..segment.base);
            segment.ended_ranges().for_each(&mut push);
            next = segment.next.max(low);
        }
        push(next..self.next);
        let accounts = self.ended.values().map(|(account, ended)| (account.name().to_owned(), ended.clone())).collect();
        Cursor { generation: self.generation + 1, next: self.next, low, runs, accounts }
    }
}

/// A record's place in its segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed {
    pub(crate) sequence: u64,
    pub(crate) at: u64,
    pub(crate) accepted: UnixNanos,
    pub(crate) tally: Tally,
}
