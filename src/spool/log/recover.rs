//! Taking up a log that an earlier process left: every segment is read once, through a window.
//!
//! What waits is what stands in the segments and has not ended by the cursor. A torn tail is cut off where nothing was lost by it; other damage is
//! copied aside and skipped; a file that is no segment, or cannot be read, is renamed. What the cursor knows as waiting and nobody finds is lost,
//! and counted for its tenant.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::bounds::is_segment;
use super::cursor::{Bad, Cursor, Ended};
use super::format::{self, FILE_HEADER, NotOurs};
use super::scan::{Found, Scan};
use super::segment::{Owner, Segment, Tally};
use super::segments::Segments;
use super::storage::{LogFile, Storage, read_full};
use super::{GATHERED, HEADROOM_NEW, SET_ASIDE, quarantine, segment_base, segment_name};
use crate::clock::monotonic;
use crate::metrics::{Metrics, SpoolFind};
use crate::outcome::{Account, Ledger, Loss, Totals};
use std::time::Duration;

/// How often a long recovery says how far it is.
const PROGRESS: Duration = Duration::from_secs(5);

/// What a start found.
#[derive(Debug)]
pub(in crate::spool) struct Recovered {
    pub(in crate::spool) segments: Segments,
    /// The next sequence.
    pub(in crate::spool) next: u64,
    /// Names of what somebody should look at.
    pub(in crate::spool) set_aside: Vec<String>,
}

/// Takes up what lies in the folder; the ledger goes on from there.
pub(in crate::spool) fn recover(storage: &dyn Storage, ledger: &Ledger, metrics: &Metrics) -> io::Result<Recovered> {
    let mut names = storage.list()?;
    names.sort();
    for leftover in names.iter().filter(|name| [GATHERED, HEADROOM_NEW].contains(&name.as_str())) {
        // In nobody's way: whoever makes the next one takes it over.
        let _ = storage.remove(leftover);
    }
    let (cursor, bad) = Cursor::read(storage)?;
    let cursor = cursor.unwrap_or_default();
    let mut taking = Taking {
        storage,
        ledger,
        metrics,
        ended: cursor.ended().collect(),
        cursor,
        names: HashMap::new(),
        found: BTreeMap::new(),
        segments: Vec::new(),
        behind: 1,
        set_aside: names
            .iter()
            .filter(|name| name.contains(SET_ASIDE) || name.contains(".damaged-"))
            .cloned()
            .collect(),
    };
    for Bad { name, unreadable } in bad {
        tracing::warn!(
            file = name,
            error = unreadable.as_ref().map(tracing::field::display),
            "a cursor of the spool's log is damaged; the other one is used, and some points may be delivered again"
        );
        if let Some(error) = unreadable {
            // Else it comes back when it can be read, and speaks of sequences that have been used again.
            taking.put_aside(&name, &error.to_string())?;
        }
    }
    taking.all(&names)?;
    Ok(taking.finish())
}

/// Points of one account that were found waiting: accepted before the cursor was written, and since.
#[derive(Clone, Copy, Default)]
struct Waits {
    before: u64,
    since: u64,
}

struct Taking<'t> {
    storage: &'t dyn Storage,
    ledger: &'t Ledger,
    metrics: &'t Metrics,
    cursor: Cursor,
    /// What has ended by it above its low-water mark, in order.
    ended: Vec<Range<u64>>,
    /// So that one name is one account.
    names: HashMap<String, Arc<Account>>,
    found: BTreeMap<String, Waits>,
    segments: Vec<Segment>,
    /// Behind every name that was ever a segment's: the next one is no second of its name.
    behind: u64,
    set_aside: Vec<String>,
}

impl Taking<'_> {
    fn all(&mut self, names: &[String]) -> io::Result<()> {
        // Those that were set aside still say where the one before them ends.
        let bears = |name: &String| Some((segment_base(name.split(SET_ASIDE).next()?)?, name.clone()));
        let named = names.iter().filter_map(bears);
        let bases: Vec<u64> =
            named.filter(|(base, name)| is_segment(self.storage, name, *base)).map(|(base, _)| base).collect();
        self.behind = bases.iter().max().map_or(1, |base| base.saturating_add(1));
        let segments: Vec<&String> = names.iter().filter(|name| segment_base(name).is_some()).collect();
        let (started, mut said) = (monotonic(), Duration::ZERO);
        for (at, name) in segments.iter().enumerate() {
            let Some(base) = segment_base(name) else { continue };
            let limit = bases.iter().copied().filter(|other| *other > base).min();
            match self.one(base, limit) {
                Ok(()) => {}
                Err(Unusable::NotOurs(why)) => self.put_aside(name, &why)?,
                Err(Unusable::Io(error)) => self.put_aside(name, &error.to_string())?,
            }
            if started.elapsed() >= said + PROGRESS {
                said = started.elapsed();
                tracing::info!("taking up the spool's log: {} of {} segments read", at + 1, segments.len());
            }
        }
        Ok(())
    }

    /// Reads one segment, whose records end below `limit`, where the next begins.
    fn one(&mut self, base: u64, limit: Option<u64>) -> Result<(), Unusable> {
        let name = segment_name(base);
        let file = self.storage.open(&name)?;
        let len = file.len()?;
        let mut header = [0; FILE_HEADER];
        let read = read_full(&*file, &mut header, 0)?;
        let begins = match format::read_file_header(&header[..read]) {
            Ok(stands) if stands == base => true,
            Ok(_) => return Err(Unusable::NotOurs("its name is not its base".to_owned())),
            Err(newer @ NotOurs::Newer(_)) => return Err(Unusable::NotOurs(newer.to_string())),
            // Its records say themselves what they are.
            Err(_) => false,
        };
        let mut segment = Segment::new(base);
        let mut found: HashMap<String, Waits> = HashMap::new();
        let mut damaged: Vec<Range<u64>> = Vec::new();
        let mut tail = None;
        let mut expected = base;
        let mut recovered = 0;
        // Ends are ranges in order, and so are sequences: one pass over both.
        let mut end_at = self.ended.partition_point(|range| range.end <= base);
        let mut scan = Scan::new(&*file, FILE_HEADER as u64, len);
        while let Some(next) = scan.next(|_| true)? {
            match next {
                Found::Record { at, head, .. } => {
                    let sequence = head.sequence;
                    // Older, or behind the end: written by a commit that failed, and not acknowledged from here.
                    if sequence < expected || limit.is_some_and(|limit| sequence >= limit) {
                        continue;
                    }
                    expected = sequence + 1;
                    while self.ended.get(end_at).is_some_and(|range| range.end <= sequence) {
                        end_at += 1;
                    }
                    let tally = Tally::one(head.points, head.record_len());
                    segment.len = at + tally.bytes;
                    let has_ended = sequence < self.cursor.low
                        || self.ended.get(end_at).is_some_and(|range| range.contains(&sequence));
                    if has_ended {
                        segment.pass_to(sequence + 1);
                        continue;
                    }
                    let account = account(&mut self.names, self.ledger, head.tenant);
                    let owner = Owner { account, destination: head.destination.into() };
                    segment.add(sequence, at, head.accepted, &owner, tally);
                    recovered += 1;
                    let waits = match found.get_mut(head.tenant) {
                        Some(waits) => waits,
                        None => found.entry(head.tenant.to_owned()).or_default(),
                    };
                    *(if sequence < self.cursor.next { &mut waits.before } else { &mut waits.since }) += tally.points;
                }
                Found::Damage(range) => damaged.push(range),
                Found::Tail(range) => tail = Some(range),
            }
        }
        if !begins {
            if expected == base {
                let known = limit.is_some() || base < self.cursor.next;
                if is_torn_header(&header[..read], base) && (!known || is_zeros(&*file)?) {
                    // Not even its header became durable: nothing in it was acknowledged.
                    return self.forget(&name);
                }
                return Err(Unusable::NotOurs(NotOurs::Foreign.to_string()));
            }
            damaged.push(0..FILE_HEADER as u64);
        }
        if let Some(range) = tail {
            let complete = self.all_ended(expected..limit.unwrap_or(self.cursor.next));
            if limit.is_none() && complete {
                // Nothing that was acknowledged can stand in it: the cursor knows of no later record that waits, and no later segment was begun.
                self.truncate(&*file, &name, &range);
            } else if !complete {
                damaged.push(range);
            }
        }
        for range in &damaged {
            self.quarantine(&*file, &name, range);
        }
        if found.values().any(|waits| waits.since > 0) {
            // A process that was killed may have left it to the kernel, and from now on it counts as accepted.
            if let Err(error) = file.sync() {
                tracing::warn!(
                    segment = name,
                    "what was found could not be made durable: {error}; nobody was told that it is"
                );
            }
        }
        segment.sealed = true;
        self.metrics.spool_found(SpoolFind::Recovered, recovered);
        for (tenant, waits) in found {
            let sum = self.found.entry(tenant).or_default();
            sum.before += waits.before;
            sum.since += waits.since;
        }
        self.segments.push(segment);
        Ok(())
    }

    /// Whether every one of these sequences has ended by the cursor.
    fn all_ended(&self, sequences: Range<u64>) -> bool {
        let mut at = sequences.start.max(self.cursor.low);
        for range in &self.ended {
            if range.contains(&at) {
                at = range.end;
            }
        }
        at >= sequences.end
    }

    fn forget(&self, name: &str) -> Result<(), Unusable> {
        self.metrics.spool_found(SpoolFind::Truncated, 1);
        if let Err(error) = self.storage.remove(name) {
            tracing::warn!(segment = name, "a segment that holds nothing could not be removed: {error}");
        }
        Ok(())
    }

    /// One that cannot be cut off is in nobody's way: the segment is not written to any more.
    fn truncate(&self, file: &dyn LogFile, name: &str, range: &Range<u64>) {
        if let Err(error) = file.set_len(range.start).and_then(|()| file.sync()) {
            tracing::warn!(segment = name, "a torn tail could not be cut off: {error}");
            return;
        }
        self.metrics.spool_found(SpoolFind::Truncated, 1);
        tracing::info!(
            segment = name,
            bytes = range.end - range.start,
            "a torn tail was cut off: it was never acknowledged"
        );
    }

    /// A copy that cannot be made (there may be no space) costs no record.
    fn quarantine(&mut self, file: &dyn LogFile, name: &str, range: &Range<u64>) {
        let copied = quarantine(self.storage, file, name, range);
        self.metrics.spool_found(SpoolFind::Quarantined, 1);
        let (copy, error) = match copied {
            Ok(copy) => (copy, None),
            Err(error) => (format!("{name} (damaged at {})", range.start), Some(error)),
        };
        tracing::error!(
            segment = name,
            from = range.start,
            to = range.end,
            copy,
            error = error.as_ref().map(tracing::field::display),
            "a damaged place in the spool's log: the records behind it are kept, and a copy lies beside it if it could be made"
        );
        if !self.set_aside.contains(&copy) {
            self.set_aside.push(copy);
        }
    }

    fn put_aside(&mut self, name: &str, why: &str) -> io::Result<()> {
        let taken = self.storage.list()?;
        let names = (1..).map(|n| if n == 1 { format!("{name}{SET_ASIDE}") } else { format!("{name}{SET_ASIDE}.{n}") });
        // One that lies there already is not written over.
        let aside = names.into_iter().find(|aside| !taken.contains(aside)).unwrap_or_default();
        self.storage.rename(name, &aside)?;
        self.storage.sync()?;
        self.metrics.spool_found(SpoolFind::SetAside, 1);
        tracing::error!(file = name, "a file of the spool's log cannot be used: {why}; it is kept as {aside}");
        self.set_aside.push(aside);
        Ok(())
    }

    fn finish(mut self) -> Recovered {
        let known: Vec<String> = self.cursor.accounts.keys().chain(self.found.keys()).cloned().collect();
        let mut ended = Vec::new();
        for tenant in known {
            let Some(waits) =
                self.found.remove(&tenant).or_else(|| self.cursor.accounts.contains_key(&tenant).then(Waits::default))
            else {
                continue;
            };
            let mut totals = self.cursor.accounts.remove(&tenant).unwrap_or_default();
            let lost = totals.pending().saturating_sub(waits.before);
            if lost > 0 {
                *totals.lost.entry(Loss::Damaged.as_str().to_owned()).or_default() += lost;
                tracing::error!(tenant, points = lost, "points are lost: the spool's log no longer holds them");
            }
            // What was found beyond what the cursor knew was accepted too.
            let known = totals.pending();
            totals.accepted += waits.since + waits.before.saturating_sub(known);
            let account = account(&mut self.names, self.ledger, &tenant);
            account.restore(&restored(&totals, waits.before + waits.since));
            ended.push((account, totals));
        }
        let last = self.segments.iter().map(|segment| segment.next).max().unwrap_or(1);
        let next = last.max(self.cursor.next).max(self.behind);
        let aside = self.set_aside.iter().filter_map(|name| segment_base(name.split_once(SET_ASIDE)?.0)).collect();
        let segments = Segments::recovered(self.segments, ended, next, self.cursor.generation, aside);
        Recovered { segments, next, set_aside: self.set_aside }
    }
}

enum Unusable {
    NotOurs(String),
    Io(io::Error),
}

impl From<io::Error> for Unusable {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// One name is one account: the ledger's, or, of a name that is no tenant's, one for this log.
fn account(names: &mut HashMap<String, Arc<Account>>, ledger: &Ledger, tenant: &str) -> Arc<Account> {
    if let Some(known) = names.get(tenant) {
        return Arc::clone(known);
    }
    let account = ledger.named(tenant);
    names.insert(tenant.to_owned(), Arc::clone(&account));
    account
}

fn restored(ended: &Ended, pending: u64) -> Totals {
    let mut totals = Totals {
        accepted: ended.accepted,
        pending,
        delivered: ended.delivered,
        dead_lettered: ended.dead_lettered,
        spilled: ended.spilled,
        ..Totals::default()
    };
    for (name, points) in &ended.lost {
        // A loss that a later version named is a loss.
        let loss = Loss::ALL.into_iter().find(|loss| loss.as_str() == name).unwrap_or(Loss::Damaged);
        totals.lost[loss as usize] += points;
    }
    totals
}

/// Whether these bytes may be a part of the header that is to stand there, and zeros.
fn is_torn_header(bytes: &[u8], base: u64) -> bool {
    bytes.iter().zip(format::file_header(base)).all(|(byte, whole)| *byte == 0 || *byte == whole)
}

/// Whether nothing but zeros stands behind the header.
fn is_zeros(file: &dyn LogFile) -> io::Result<bool> {
    let mut window = vec![0; 64 << 10];
    let mut at = FILE_HEADER as u64;
    loop {
        let read = read_full(file, &mut window, at)?;
        if window[..read].iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        if read < window.len() {
            return Ok(true);
        }
        at += read as u64;
    }
}
