//! Accounts set aside: their records of a destination wait in a queue of their own, so that a lane can take them at another pace than the others'.
//!
//! An account that sends bad lines costs many requests to find them. In one queue with the others its backlog would sooner or later stand before
//! theirs; apart it stands before its own.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Notify;

use super::books::address;
use super::log::segment::Owner;
use super::queue::{Queue, Turn};
use super::state::{Core, State, Waiting};
use crate::outcome::Account;

/// See the module.
#[derive(Default)]
pub(super) struct Asides {
    by_destination: HashMap<Arc<str>, Aside>,
    /// Counts the changes: what was read by an older state is looked at again.
    pub(super) changes: u64,
}

/// Of one destination.
#[derive(Default)]
struct Aside {
    /// By the account's address; in the order in which their turns come.
    accounts: Vec<(Arc<Account>, Queue)>,
    arrived: Arc<Notify>,
}

impl Asides {
    /// The queue of an account that is set aside.
    pub(super) fn of(&mut self, destination: &str, account: usize) -> Option<&mut Queue> {
        let aside = self.by_destination.get_mut(destination)?;
        aside.accounts.iter_mut().find(|(known, _)| address(known) == account).map(|(_, queue)| queue)
    }

    /// The accounts that are set aside, by address.
    pub(super) fn accounts(&self, destination: &str) -> Vec<usize> {
        let aside = self.by_destination.get(destination);
        aside.into_iter().flat_map(|aside| &aside.accounts).map(|(account, _)| address(account)).collect()
    }

    pub(super) fn queues(&mut self) -> impl Iterator<Item = &mut Queue> {
        self.by_destination.values_mut().flat_map(|aside| &mut aside.accounts).map(|(_, queue)| queue)
    }

    /// Tells of what comes for any of them.
    fn arrived(&mut self, destination: &Arc<str>) -> Arc<Notify> {
        Arc::clone(&self.by_destination.entry(Arc::clone(destination)).or_default().arrived)
    }

    pub(super) fn wake(&self) {
        self.by_destination.values().for_each(|aside| aside.arrived.notify_one());
    }
}

impl Core {
    /// From now on an account's records of a destination come by [`Core::next_aside`] alone, those too that wait already.
    pub(super) fn set_account_aside(&self, destination: &Arc<str>, account: &Arc<Account>) {
        let mut state = self.lock();
        if state.aside.of(destination, address(account)).is_some() {
            return;
        }
        let State { queues, aside, .. } = &mut *state;
        let aside = aside.by_destination.entry(Arc::clone(destination)).or_default();
        let main = queues.entry(Arc::clone(destination)).or_default();
        let mut queue = Queue::beginning(main.unread.clone(), Arc::clone(&aside.arrived));
        main.move_to(&mut queue, |owner| Arc::ptr_eq(&owner.account, account));
        queue.wake();
        aside.accounts.push((Arc::clone(account), queue));
        state.aside.changes += 1;
    }

    /// An account comes with the others again, if nothing of it waits apart; whether it does.
    pub(super) fn take_account_back(&self, destination: &Arc<str>, account: &Arc<Account>) -> bool {
        let mut state = self.lock();
        if state.aside.of(destination, address(account)).is_some_and(|queue| !queue.is_empty()) {
            return false;
        }
        state.join(destination, |known| Arc::ptr_eq(known, account));
        true
    }

    /// All accounts of a destination come in one queue again, with what waits of them.
    pub(super) fn take_all_back(&self, destination: &Arc<str>) {
        self.lock().join(destination, |_| true);
    }

    /// The next record of an account that is set aside, in turns; `None` once the spool is closed and nothing of them is in memory.
    pub(super) async fn next_aside(self: &Arc<Self>, destination: &Arc<str>) -> Option<Waiting> {
        loop {
            let arrived = {
                let mut state = self.lock();
                let closed = state.closed;
                let (taken, read) = state.turn_aside(destination, !closed);
                for account in read {
                    let (core, destination) = (Arc::clone(self), Arc::clone(destination));
                    tokio::task::spawn_blocking(move || core.read_backlog(&destination, Some(account)));
                }
                if taken.is_some() || closed {
                    return taken;
                }
                state.aside.arrived(destination)
            };
            arrived.notified().await;
        }
    }

    /// Reads from the log itself if it must.
    #[cfg(test)]
    pub(super) fn try_next_aside(&self, destination: &Arc<str>) -> Option<Waiting> {
        loop {
            let (taken, read) = self.lock().turn_aside(destination, true);
            let done = taken.is_some() || read.is_empty();
            // Whoever was asked to read reads, also when it is not needed now.
            read.into_iter().for_each(|account| self.read_backlog(destination, Some(account)));
            if done {
                return taken;
            }
        }
    }
}

impl State {
    /// The next record of an account that is set aside, and the accounts of which somebody is to read now.
    fn turn_aside(&mut self, destination: &Arc<str>, may_read: bool) -> (Option<Waiting>, Vec<usize>) {
        let (mut taken, mut read) = (None, Vec::new());
        let Some(aside) = self.aside.by_destination.get_mut(destination) else { return (taken, read) };
        for at in 0..aside.accounts.len() {
            let (account, queue) = &mut aside.accounts[at];
            match queue.turn() {
                Turn::Has(waiting) => {
                    // Its turn comes again behind the others.
                    aside.accounts[at..].rotate_left(1);
                    taken = Some(waiting);
                    break;
                }
                Turn::Read if may_read => {
                    queue.reading = true;
                    read.push(address(account));
                }
                Turn::Read | Turn::Wait => {}
            }
        }
        if let Some(waiting) = &taken {
            self.left_queue(waiting);
        }
        (taken, read)
    }

    fn join(&mut self, destination: &Arc<str>, of: impl Fn(&Arc<Account>) -> bool) {
        let Some(aside) = self.aside.by_destination.get_mut(destination) else { return };
        let main = self.queues.entry(Arc::clone(destination)).or_default();
        for (_, queue) in aside.accounts.extract_if(.., |(account, _)| of(account)) {
            main.join(queue);
        }
        self.aside.changes += 1;
    }

    /// The queue of a destination, or of one account of it that is set aside.
    pub(super) fn queue_for(&mut self, destination: &Arc<str>, alone: Option<usize>) -> Option<&mut Queue> {
        match alone {
            None => self.queues.get_mut(destination),
            Some(account) => self.aside.of(destination, account),
        }
    }

    /// The queue in which an owner's records wait.
    pub(super) fn queue_of(&mut self, owner: &Owner) -> &mut Queue {
        let destination = &owner.destination;
        match self.aside.of(destination, address(&owner.account)) {
            Some(queue) => queue,
            None => self.queues.entry(Arc::clone(destination)).or_default(),
        }
    }
}
