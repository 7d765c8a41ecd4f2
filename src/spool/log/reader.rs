//! Reading the backlog: records of one destination that wait on the disk, a chunk at a time.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, PoisonError};

use bytes::Bytes;

use super::super::books::address;
use super::super::state::{Core, Origin, RECORD_OVERHEAD, State, Waiting};
use super::scan::{Found, Scan};
use super::segment::{Owner, Segment, Tally};
use super::storage::Storage;
use super::{Log, segment_name};
use crate::clock::UnixNanos;
use crate::metrics::SpoolFind;
use crate::outcome::Loss;

/// After so many passes of the keeper a segment that could not be read is tried again: the disk, or whoever used up the files that may be open, may be
/// well again.
const AGAIN: u64 = 30;

/// About how much is read ahead over all destinations, bytes.
const AHEAD: usize = 64 << 20;

/// A record as it was read.
struct Entry {
    sequence: u64,
    accepted: UnixNanos,
    owner: Owner,
    tally: Tally,
    lines: Bytes,
}

/// Where to read.
struct Task {
    base: u64,
    /// Sequences that are looked for.
    from: u64,
    until: u64,
    at: u64,
    len: u64,
    /// As it was: what has ended then need not be copied.
    known: Segment,
    /// Whose records may be there, by tenant.
    owners: HashMap<String, Owner>,
    /// How much of what is read ahead over all destinations is this one's.
    part: usize,
    /// Of the account that reads for itself alone.
    alone: Option<usize>,
    /// When it was made, by the count of accounts set aside and taken back.
    changes: u64,
}

/// What came of it.
#[derive(Default)]
struct Harvest {
    entries: Vec<Entry>,
    /// Everything below was looked at.
    upto: u64,
    damaged: bool,
    unreadable: Option<String>,
}

impl Core {
    /// Reads until the queue has something, or the disk no more: of an account that is set aside, or of all others. Blocks.
    pub(in crate::spool) fn read_backlog(&self, destination: &Arc<str>, alone: Option<usize>) {
        let _reading = Reading { core: self, destination, alone };
        if let Some(log) = &self.log {
            while self.read_some(log, destination, alone) {}
        }
    }

    /// Segments that could not be read are tried again, now and then.
    pub(super) fn read_again(&self) {
        let mut state = self.lock();
        if !state.segments.pass.is_multiple_of(AGAIN) {
            return;
        }
        let bases = state.segments.iter().filter(|segment| segment.unreadable).map(|segment| segment.base);
        for base in bases.collect::<Vec<_>>() {
            let Some(segment) = state.segments.get_mut(base) else { continue };
            segment.unreadable = false;
            let sequences = segment.base..segment.next;
            let owners: Vec<Owner> = segment.owners().map(|(owner, _)| owner.clone()).collect();
            for owner in owners {
                let queue = state.queue_of(&owner);
                queue.look_among(sequences.clone());
                queue.wake();
            }
            self.no_longer_aside(&unreadable(base));
        }
    }

    /// Whether to go on.
    fn read_some(&self, log: &Log, destination: &Arc<str>, alone: Option<usize>) -> bool {
        // No file changes its shape until what was read is in its queue.
        let files = log.files.read().unwrap_or_else(PoisonError::into_inner);
        let Some(task) = self.lock().task(destination, alone) else {
            return false;
        };
        let harvest = harvest(&*log.storage, destination, &task, log.sizes.ahead.min(task.part));
        let mut state = self.lock();
        if let Some(why) = harvest.unreadable {
            // What is done is deleted meanwhile, and nobody misses it.
            if let Some(segment) = state.segments.get_mut(task.base) {
                segment.unreadable = true;
                tracing::error!(
                    segment = segment_name(task.base),
                    "a segment of the spool's log cannot be read: {why}"
                );
                self.set_aside(unreadable(task.base));
            }
            return true;
        }
        let got = state.take_in(destination, &task, harvest.entries, harvest.upto);
        drop(state);
        drop(files);
        if harvest.damaged {
            self.reconcile(task.base);
        }
        got == 0
    }

    /// A segment is damaged: what cannot be read of it is lost, and counted.
    pub(super) fn reconcile(&self, base: u64) {
        let Some(log) = &self.log else { return };
        let _files = log.files.read().unwrap_or_else(PoisonError::into_inner);
        let mut found: HashMap<u64, (Owner, Tally)> = HashMap::new();
        let mut from = super::format::FILE_HEADER as u64;
        loop {
            let Some(known) = self.lock().segments.get(base).cloned() else { return };
            if let Err(error) = self.survey(log, &known, from, &mut found) {
                tracing::error!(segment = segment_name(base), "a damaged segment could not be read again: {error}");
                return;
            }
            let mut state = self.lock();
            let Some(now) = state.segments.get(base) else { return };
            if now.next > known.next {
                // It is written to: what came meanwhile is to be found as well.
                from = known.len;
                continue;
            }
            let kept = found.iter().filter(|(sequence, _)| now.waits(**sequence) && !state.live.contains_key(sequence));
            let kept: Vec<(Owner, Tally)> = kept.map(|(_, kept)| kept.clone()).collect();
            let lost = state.lose(base, Loss::Damaged, |sequence| found.contains_key(&sequence), &kept);
            drop(state);
            tracing::error!(
                segment = segment_name(base),
                points = lost.points,
                records = lost.records,
                "a segment of the spool's log is damaged: what could not be read is lost, a copy of the damaged place lies beside it"
            );
            return log.wake_keeper();
        }
    }

    /// Finds what waits in a part of a segment, and copies aside what is no record.
    fn survey(
        &self,
        log: &Log,
        known: &Segment,
        from: u64,
        found: &mut HashMap<u64, (Owner, Tally)>,
    ) -> io::Result<()> {
        let name = segment_name(known.base);
        let file = log.storage.open(&name)?;
        let mut scan = Scan::new(&*file, from, known.len);
        while let Some(next) = scan.next(|_| true)? {
            match next {
                Found::Record { head, .. } => {
                    let owner = known.owner(head.tenant, head.destination).filter(|_| known.waits(head.sequence));
                    if let Some(owner) = owner {
                        found.insert(head.sequence, (owner.clone(), Tally::one(head.points, head.record_len())));
                    }
                }
                Found::Damage(range) | Found::Tail(range) => {
                    match super::quarantine(&*log.storage, &*file, &name, &range) {
                        Ok(copy) => {
                            if self.set_aside(copy) {
                                log.metrics.spool_found(SpoolFind::Quarantined, 1);
                            }
                        }
                        Err(error) => {
                            tracing::error!(segment = name, "a damaged place could not be copied aside: {error}");
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

impl State {
    /// What to read for a destination; `None`: nothing, and its queue knows.
    fn task(&mut self, destination: &Arc<str>, alone: Option<usize>) -> Option<Task> {
        let apart = self.aside.accounts(destination);
        let changes = self.aside.changes;
        let takes = |owner: &Owner| {
            let account = address(&owner.account);
            owner.destination == *destination && alone.map_or(!apart.contains(&account), |alone| alone == account)
        };
        let queue = match alone {
            None => self.queues.get_mut(destination),
            Some(account) => self.aside.of(destination, account),
        };
        // An empty range can lie in the middle of a segment: looking there would never come to an end.
        let queue = queue.filter(|queue| !queue.unread.is_empty())?;
        let unread = queue.unread.clone();
        let Some(segment) = self.segments.holding(unread.start, &takes).filter(|segment| segment.base < unread.end)
        else {
            queue.unread = 0..0;
            return None;
        };
        let from = unread.start.max(segment.base);
        queue.unread.start = from;
        let owners = segment.owners().filter(|(owner, _)| takes(owner));
        Some(Task {
            base: segment.base,
            from,
            until: segment.next.min(unread.end),
            at: segment.place(from),
            len: segment.len,
            owners: owners.map(|(owner, _)| (owner.account.name().to_owned(), owner.clone())).collect(),
            known: segment.clone(),
            part: AHEAD / self.queues.len().max(1),
            alone,
            changes,
        })
    }

    /// Puts what was read into the queue, but for what is in memory or has ended meanwhile. How many records that were.
    fn take_in(&mut self, destination: &Arc<str>, task: &Task, entries: Vec<Entry>, upto: u64) -> usize {
        let mut taken = 0;
        for entry in entries {
            let Entry { sequence, accepted, owner, tally, lines } = entry;
            let waits = self.segments.of(sequence).is_some_and(|segment| segment.waits(sequence));
            if !waits || self.live.contains_key(&sequence) {
                continue;
            }
            let origin = Arc::new(Origin { sequence, accepted, owner, tally });
            self.go_live(&origin);
            let points = u32::try_from(tally.points).unwrap_or(u32::MAX);
            let waiting = Waiting { origin: Arc::clone(&origin), lines, points };
            self.resident += waiting.cost();
            self.queue_of(&origin.owner).push_ahead(waiting);
            taken += 1;
        }
        let same = self.aside.changes == task.changes;
        let queue = self.queue_for(destination, task.alone);
        // Lines that gave way meanwhile may have set it back, or what it passes over is another's now: then it is looked at again.
        if let Some(queue) = queue.filter(|queue| same && queue.unread.start == task.from) {
            queue.unread.start = upto;
        }
        taken
    }
}

fn harvest(storage: &dyn Storage, destination: &str, task: &Task, most: usize) -> Harvest {
    let mut harvest = Harvest { upto: task.until, ..Harvest::default() };
    let read = storage.open(&segment_name(task.base)).and_then(|file| {
        let mut scan = Scan::new(&*file, task.at, task.len);
        let mut bytes = 0;
        while bytes < most {
            let wanted = scan.next(|head| {
                let sought = (task.from..task.until).contains(&head.sequence) && head.destination == destination;
                sought && task.owners.contains_key(head.tenant) && task.known.waits(head.sequence)
            })?;
            match wanted {
                Some(Found::Record { head, lines, .. }) => {
                    let Some(owner) = task.owners.get(head.tenant) else { continue };
                    bytes += lines.len() + RECORD_OVERHEAD as usize;
                    harvest.upto = head.sequence + 1;
                    harvest.entries.push(Entry {
                        sequence: head.sequence,
                        accepted: head.accepted,
                        owner: owner.clone(),
                        tally: Tally::one(head.points, head.record_len()),
                        lines: Bytes::copy_from_slice(lines),
                    });
                }
                Some(Found::Damage(_) | Found::Tail(_)) => harvest.damaged = true,
                None => {
                    // A file that is shorter than it was may end behind a whole record.
                    harvest.damaged |= scan.at() < task.len;
                    harvest.upto = task.until;
                    break;
                }
            }
        }
        Ok(())
    });
    harvest.unreadable = read.err().map(|error| error.to_string());
    harvest
}

/// How readiness names a segment that cannot be read now.
fn unreadable(base: u64) -> String {
    format!("{} (unreadable)", segment_name(base))
}

/// While it lives, somebody reads for a destination; afterwards the lane looks again, by a panic too.
struct Reading<'r> {
    core: &'r Core,
    destination: &'r Arc<str>,
    alone: Option<usize>,
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        let mut state = self.core.lock();
        if let Some(queue) = state.queue_for(self.destination, self.alone) {
            queue.reading = false;
            queue.wake();
        }
    }
}
