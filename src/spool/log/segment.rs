//! What is known in memory of one segment: which of its records wait, whose they are, and where to begin to look for them. A few bytes for each
//! record at most, none of its lines.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::format::FILE_HEADER;
use crate::clock::UnixNanos;
use crate::outcome::Account;

/// A place in the file is remembered for every so many records.
const EVERY: u64 = 256;

/// A record's owner: account and destination.
#[derive(Clone, Debug)]
pub(crate) struct Owner {
    pub(crate) account: Arc<Account>,
    pub(crate) destination: Arc<str>,
}

/// Records of one owner that wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) records: u64,
    pub(crate) points: u64,
    /// Bytes on the disk.
    pub(crate) bytes: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.records += other.records;
        self.points += other.points;
        self.bytes += other.bytes;
    }

    pub(crate) fn take(&mut self, other: Self) {
        debug_assert!(self.records >= other.records && self.points >= other.points, "{self:?} - {other:?}");
        self.records = self.records.saturating_sub(other.records);
        self.points = self.points.saturating_sub(other.points);
        self.bytes = self.bytes.saturating_sub(other.bytes);
    }

    /// One record.
    pub(crate) fn one(points: u32, bytes: u64) -> Self {
        Self { records: 1, points: u64::from(points), bytes }
    }
}

type Key = (usize, Arc<str>);

fn key(owner: &Owner) -> Key {
    (Arc::as_ptr(&owner.account) as usize, Arc::clone(&owner.destination))
}

#[derive(Clone, Copy, Debug)]
struct Place {
    sequence: u64,
    at: u64,
    accepted: UnixNanos,
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    /// The least sequence that may stand in it, and its name.
    pub(crate) base: u64,
    /// The first sequence behind its records.
    pub(crate) next: u64,
    /// Bytes of the file.
    pub(crate) len: u64,
    /// Nothing is written to it any more.
    pub(crate) sealed: bool,
    /// Why its records cannot be read now.
    pub(crate) unreadable: bool,
    /// When a record of it last ended, by the keeper's count of passes.
    pub(crate) touched: u64,
    waiting: Tally,
    owners: HashMap<Key, (Owner, Tally)>,
    /// By sequence less the base; behind its end nothing has ended.
    ended: Bits,
    places: Vec<Place>,
}

impl Segment {
    pub(crate) fn new(base: u64) -> Self {
        Self {
            base,
            next: base,
            len: FILE_HEADER as u64,
            sealed: false,
            unreadable: false,
            touched: 0,
            waiting: Tally::default(),
            owners: HashMap::new(),
            ended: Bits::default(),
            places: Vec::new(),
        }
    }

    /// A record that waits was found or written at `at`. Sequences rise; those that are passed over have ended.
    pub(crate) fn add(&mut self, sequence: u64, at: u64, accepted: UnixNanos, owner: &Owner, tally: Tally) {
        self.pass_to(sequence);
        if self.places.last().is_none_or(|place| sequence >= place.sequence + EVERY) {
            self.places.push(Place { sequence, at, accepted });
        }
        self.next = sequence + 1;
        self.len = self.len.max(at + tally.bytes);
        self.waiting.add(tally);
        match self.owners.get_mut(&key(owner)) {
            Some((_, held)) => held.add(tally),
            None => drop(self.owners.insert(key(owner), (owner.clone(), tally))),
        }
    }

    /// All sequences below `sequence` that were not added have ended, or never were.
    pub(crate) fn pass_to(&mut self, sequence: u64) {
        if self.next < sequence {
            self.ended.set_all(self.next - self.base..sequence - self.base);
            self.next = sequence;
        }
    }

    /// A record that waited has ended. `false`: it had before.
    pub(crate) fn end(&mut self, sequence: u64, owner: &Owner, tally: Tally) -> bool {
        if !self.waits(sequence) {
            return false;
        }
        self.ended.set(sequence - self.base);
        self.take(owner, tally);
        true
    }

    fn take(&mut self, owner: &Owner, tally: Tally) {
        self.waiting.take(tally);
        let key = key(owner);
        if let Some((_, held)) = self.owners.get_mut(&key) {
            held.take(tally);
            if held.records == 0 {
                self.owners.remove(&key);
            }
        }
    }

    /// Records of `owner` have ended without their sequences being known: see [`Segment::end_rest`].
    pub(crate) fn end_unseen(&mut self, owner: &Owner, tally: Tally) {
        self.take(owner, tally);
    }

    /// Marks every sequence as ended that `keep` does not keep.
    pub(crate) fn end_rest(&mut self, keep: impl Fn(u64) -> bool) {
        for sequence in self.base..self.next {
            if !keep(sequence) {
                self.ended.set(sequence - self.base);
            }
        }
    }

    /// Whether a record of this sequence waits (or never was, in a damaged place).
    pub(crate) fn waits(&self, sequence: u64) -> bool {
        (self.base..self.next).contains(&sequence) && !self.ended.get(sequence - self.base)
    }

    pub(crate) fn waiting(&self) -> Tally {
        self.waiting
    }

    /// Whether everything in it has ended, and nothing more will come.
    pub(crate) fn is_done(&self) -> bool {
        self.sealed && self.waiting.records == 0
    }

    /// What waits, by owner.
    pub(crate) fn owners(&self) -> impl Iterator<Item = (&Owner, Tally)> {
        self.owners.values().map(|(owner, tally)| (owner, *tally))
    }

    /// The owner of these names, of records that wait.
    pub(crate) fn owner(&self, tenant: &str, destination: &str) -> Option<&Owner> {
        let mut owners = self.owners.values().map(|(owner, _)| owner);
        owners.find(|owner| owner.account.name() == tenant && &*owner.destination == destination)
    }

    /// It holds copies of what waited in `parts`, some of which may have ended since.
    pub(crate) fn follow(&mut self, parts: &[Self]) {
        (self.waiting, self.owners) = (Tally::default(), HashMap::new());
        for part in parts {
            for ended in part.ended_ranges() {
                self.ended.set_all(ended.start - self.base..ended.end - self.base);
            }
            self.waiting.add(part.waiting);
            for (key, (owner, tally)) in &part.owners {
                let held = self.owners.entry(key.clone()).or_insert_with(|| (owner.clone(), Tally::default()));
                held.1.add(*tally);
            }
        }
    }

    /// Where to begin to read for a sequence.
    pub(crate) fn place(&self, sequence: u64) -> u64 {
        let behind = self.places.partition_point(|place| place.sequence <= sequence);
        behind.checked_sub(1).map_or(FILE_HEADER as u64, |at| self.places[at].at)
    }

    /// When its oldest waiting record was accepted, at most [`EVERY`] records too early.
    pub(crate) fn oldest(&self) -> Option<UnixNanos> {
        let first = self.first_waiting()?;
        let behind = self.places.partition_point(|place| place.sequence <= first);
        self.places.get(behind.saturating_sub(1)).map(|place| place.accepted)
    }

    /// The least sequence that waits.
    pub(crate) fn first_waiting(&self) -> Option<u64> {
        if self.waiting.records == 0 {
            return None;
        }
        self.ended.first_clear().map(|at| self.base + at).filter(|sequence| *sequence < self.next)
    }

    /// Alternately ranges of sequences that wait and that ended, for the cursor.
    pub(crate) fn ended_ranges(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        let (base, next) = (self.base, self.next);
        self.ended.ranges().map(move |range| base + range.start..(base + range.end).min(next))
    }
}

/// A set of small numbers, dense.
#[derive(Clone, Debug, Default)]
struct Bits(Vec<u64>);

impl Bits {
    fn set(&mut self, at: u64) {
        let (word, bit) = split(at);
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << bit;
    }

    fn set_all(&mut self, range: Range<u64>) {
        let mut at = range.start;
        while at < range.end {
            let (word, bit) = split(at);
            let count = (64 - u64::from(bit)).min(range.end - at);
            if self.0.len() <= word {
                self.0.resize(word + 1, 0);
            }
            self.0[word] |= (u64::MAX >> (64 - count)) << bit;
            at += count;
        }
    }

    fn get(&self, at: u64) -> bool {
        let (word, bit) = split(at);
        self.0.get(word).is_some_and(|held| held >> bit & 1 == 1)
    }

    fn first_clear(&self) -> Option<u64> {
        let word = self.0.iter().position(|word| *word != u64::MAX).unwrap_or(self.0.len());
        let bit = self.0.get(word).map_or(0, |word| word.trailing_ones());
        Some(word as u64 * 64 + u64::from(bit))
    }

    /// The first place from `from` on that is set (or is not), and none behind the last word.
    fn find(&self, from: u64, set: bool) -> Option<u64> {
        let (mut word, bit) = split(from);
        let mut seen = self.seen(word, set)? & (u64::MAX << bit);
        loop {
            if seen != 0 {
                return Some(word as u64 * 64 + u64::from(seen.trailing_zeros()));
            }
            word += 1;
            seen = self.seen(word, set)?;
        }
    }

    fn seen(&self, word: usize, set: bool) -> Option<u64> {
        self.0.get(word).map(|held| if set { *held } else { !*held })
    }

    fn ranges(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        let mut at = 0;
        std::iter::from_fn(move || {
            let from = self.find(at, true)?;
            at = self.find(from, false).unwrap_or(self.0.len() as u64 * 64);
            Some(from..at)
        })
    }
}

fn split(at: u64) -> (usize, u32) {
    (usize::try_from(at / 64).unwrap_or(usize::MAX), (at % 64) as u32)
}

#[cfg(test)]
mod tests;
