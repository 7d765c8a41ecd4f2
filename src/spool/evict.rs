//! What gives way: lines in memory that the log has as well, and, where the settings say so, the oldest points of a full spool.

use super::log::segment::Owner;
use super::queue::Queue;
use super::state::{Core, State, Waiting};
use crate::outcome::{Loss, Outcome};

impl Core {
    /// The oldest lines in memory give way to newer ones: the log has them.
    pub(super) fn evict(&self, state: &mut State) {
        while state.resident > self.bounds.memory {
            // Of parts of records the log has only the whole: a queue of nothing else has nothing to give.
            let State { queues, aside, resident, live, .. } = &mut *state;
            let all = queues.values_mut().chain(aside.queues()).filter(|queue| queue.can_evict());
            let Some(most) = all.max_by_key(|queue| queue.resident_bytes()) else { return };
            while *resident > self.bounds.memory
                && let Some(waiting) = most.evict()
            {
                *resident = resident.saturating_sub(waiting.cost());
                live.remove(&waiting.origin.sequence);
            }
        }
    }

    /// Makes room by losing the oldest, counted; `false` if nothing can go (all is on its way).
    pub(super) fn drop_oldest(&self, state: &mut State) -> bool {
        if self.log.is_some() {
            return self.drop_oldest_segment(state);
        }
        let oldest = state.all_queues().filter(|queue| queue.oldest().is_some()).min_by_key(|queue| queue.oldest());
        let Some(waiting) = oldest.and_then(Queue::take_oldest) else {
            return false;
        };
        state.left_queue(&waiting);
        let Waiting { origin, points, .. } = &waiting;
        let Owner { account, destination } = &origin.owner;
        let points = u64::from(*points);
        account.ended(Outcome::Lost(Loss::DroppedOldest), points);
        state.points = state.points.saturating_sub(points);
        // A part of it may be on its way: what the record holds is free when that has ended.
        if let Some(live) = state.live.get_mut(&origin.sequence) {
            live.points = live.points.saturating_sub(points);
            if live.points == 0 {
                state.live.remove(&origin.sequence);
                state.books.free(account, destination, origin.tally.bytes);
            }
        }
        true
    }
}

impl State {
    /// The queues of all destinations, and those apart.
    pub(super) fn all_queues(&mut self) -> impl Iterator<Item = &mut Queue> {
        self.queues.values_mut().chain(self.aside.queues())
    }
}
