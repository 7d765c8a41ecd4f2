//! Records that end without being delivered: the oldest segment that makes room, and what damage has taken.

use std::ops::Range;

use super::super::state::{Core, State};
use super::segment::{Owner, Tally};
use crate::outcome::{Loss, Outcome};

impl Core {
    /// Loses what waits in the oldest sealed segment and is not on its way; whether there was anything.
    pub(in crate::spool) fn drop_oldest_segment(&self, state: &mut State) -> bool {
        let sealed = state.segments.iter().filter(|segment| segment.sealed && segment.waiting().records > 0);
        let bases: Vec<(u64, Range<u64>)> = sealed.map(|segment| (segment.base, segment.base..segment.next)).collect();
        for (base, sequences) in bases {
            state.forget_queued(&sequences);
            let lost = state.lose(base, Loss::DroppedOldest, |_| false, &[]);
            if lost.records > 0 {
                tracing::warn!(
                    points = lost.points,
                    bytes = lost.bytes,
                    "the spool is full: its oldest segment was dropped (spool.on_full = \"drop_oldest\")"
                );
                if let Some(log) = &self.log {
                    log.wake_keeper();
                }
                return true;
            }
        }
        false
    }
}

impl State {
    /// Whole records of these sequences wait in no queue any more; parts, and what is on its way, stay live.
    fn forget_queued(&mut self, sequences: &Range<u64>) {
        let mut forgotten = Vec::new();
        for queue in self.all_queues() {
            for waiting in queue.take_among(sequences) {
                if waiting.is_whole() {
                    forgotten.push((waiting.origin.sequence, waiting.cost()));
                } else {
                    queue.give_back(waiting);
                }
            }
        }
        for (sequence, bytes) in forgotten {
            self.resident = self.resident.saturating_sub(bytes);
            self.live.remove(&sequence);
        }
    }

    /// Everything that waits in a segment is lost but what is live, and what `found` finds: `kept`, by owner. How much that was.
    pub(in crate::spool) fn lose(
        &mut self,
        base: u64,
        loss: Loss,
        found: impl Fn(u64) -> bool,
        kept: &[(Owner, Tally)],
    ) -> Tally {
        let Some(segment) = self.segments.get_mut(base) else {
            return Tally::default();
        };
        let live: Vec<(Owner, Tally)> = self
            .live
            .range(segment.base..segment.next)
            .filter(|(sequence, _)| segment.waits(**sequence))
            .map(|(_, live)| (live.origin.owner.clone(), live.origin.tally))
            .collect();
        let mut lost: Vec<(Owner, Tally)> = segment.owners().map(|(owner, tally)| (owner.clone(), tally)).collect();
        for (owner, tally) in live.iter().chain(kept) {
            let same = |(other, _): &&mut (Owner, Tally)| {
                std::sync::Arc::ptr_eq(&other.account, &owner.account) && other.destination == owner.destination
            };
            if let Some((_, rest)) = lost.iter_mut().find(same) {
                rest.take(*tally);
            }
        }
        let keep = &self.live;
        segment.end_rest(|sequence| keep.contains_key(&sequence) || found(sequence));
        let mut sum = Tally::default();
        for (owner, tally) in lost.into_iter().filter(|(_, tally)| tally.records > 0) {
            sum.add(tally);
            if let Some(segment) = self.segments.get_mut(base) {
                segment.end_unseen(&owner, tally);
            }
            let outcome = Outcome::Lost(loss);
            owner.account.ended(outcome, tally.points);
            self.segments.count(&owner.account, outcome, tally.points);
            self.points = self.points.saturating_sub(tally.points);
            self.books.release(&owner.account, &owner.destination, tally.bytes);
        }
        self.segments.weigh();
        sum
    }
}
