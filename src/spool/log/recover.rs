//! Taking up a log that an earlier process left: every segment is read once, through a window.
//!
//! What waits is what stands in the segments and has not ended by the cursor. A torn tail is cut off where nothing was lost by it; other damage is
//! copied aside and skipped; a file that is no segment, or cannot be read, is renamed. What the cursor knows as waiting and nobody finds is lost,
//! and counted for its tenant.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::cursor::{Cursor, Ended};
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
        storage.remove(leftover)?;
    }
    let (cursor, bad) = Cursor::read(storage)?;
    let mut taking = Taking {
        storage,
        ledger,
        metrics,
        cursor: cursor.unwrap_or_default(),
        names: HashMap::new(),
        found: BTreeMap::new(),
        segments: Vec::new(),
        set_aside: names
            .iter()
            .filter(|name| name.contains(SET_ASIDE) || name.contains(".damaged-"))
            .cloned()
            .collect(),
    };
    for name in bad {
        tracing::warn!(
            file = name,
            "a cursor of the spool's log is damaged; the other one is used, and some points may be delivered again"
        );
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
    /// So that one name is one account.
    names: HashMap<String, Arc<Account>>,
    found: BTreeMap<String, Waits>,
    segments: Vec<Segment>,
    set_aside: Vec<String>,
}

impl Taking<'_> {
    fn all(&mut self, names: &[String]) -> io::Result<()> {
        // Those that were set aside still say where the one before them ends.
        let bases: Vec<u64> = names.iter().filter_map(|name| segment_base(name.split(SET_ASIDE).next()?)).collect();
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
            // Not even its header became durable: nothing in it was acknowledged.
            Err(_) if is_blank(&*file, base)? => {
                self.storage.remove(&name)?;
                self.metrics.spool_found(SpoolFind::Truncated, 1);
                return Ok(());
            }
            // Its records say themselves what they are.
            Err(_) => false,
        };
        let mut segment = Segment::new(base);
        let mut found: Vec<(String, Waits)> = Vec::new();
        let mut damaged: Vec<Range<u64>> = Vec::new();
        let mut tail = None;
        let mut expected = base;
        let mut recovered = 0;
        // Ends are ranges in order, and so are sequences: one pass over both.
        let ended: Vec<Range<u64>> = self.cursor.ended().collect();
        let mut end_at = 0;
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
                    while ended.get(end_at).is_some_and(|range| range.end <= sequence) {
                        end_at += 1;
                    }
                    let tally = Tally::one(head.points, head.record_len());
                    segment.len = at + tally.bytes;
                    let has_ended =
                        sequence < self.cursor.low || ended.get(end_at).is_some_and(|range| range.contains(&sequence));
                    if has_ended {
                        segment.pass_to(sequence + 1);
                        continue;
                    }
                    let account = account(&mut self.names, self.ledger, head.tenant);
                    let owner = Owner { account, destination: head.destination.into() };
                    segment.add(sequence, at, head.accepted, &owner, tally);
                    recovered += 1;
                    let waits = match found.iter_mut().find(|(tenant, _)| tenant == head.tenant) {
                        Some((_, waits)) => waits,
                        None => &mut found.push_mut((head.tenant.to_owned(), Waits::default())).1,
                    };
                    *(if sequence < self.cursor.next { &mut waits.before } else { &mut waits.since }) += tally.points;
                }
                Found::Damage(range) => damaged.push(range),
                Found::Tail(range) => tail = Some(range),
            }
        }
        if !begins {
            if expected == base {
                return Err(Unusable::NotOurs(NotOurs::Foreign.to_string()));
            }
            damaged.push(0..FILE_HEADER as u64);
        }
        if let Some(range) = tail {
            let complete = expected >= limit.unwrap_or(self.cursor.next);
            if limit.is_none() && complete {
                // Nothing that was acknowledged can stand in it: the cursor knows of no later record, and no later segment was begun.
                self.truncate(&*file, &name, &range)?;
            } else if !complete {
                damaged.push(range);
            }
        }
        for range in &damaged {
            self.quarantine(&*file, &name, range)?;
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

    fn truncate(&self, file: &dyn LogFile, name: &str, range: &Range<u64>) -> io::Result<()> {
        file.set_len(range.start)?;
        file.sync()?;
        self.metrics.spool_found(SpoolFind::Truncated, 1);
        tracing::info!(
            segment = name,
            bytes = range.end - range.start,
            "a torn tail was cut off: it was never acknowledged"
        );
        Ok(())
    }

    fn quarantine(&mut self, file: &dyn LogFile, name: &str, range: &Range<u64>) -> io::Result<()> {
        let copy = quarantine(self.storage, file, name, range)?;
        self.metrics.spool_found(SpoolFind::Quarantined, 1);
        tracing::error!(
            segment = name,
            from = range.start,
            to = range.end,
            copy,
            "a damaged place in the spool's log: the records behind it are kept, a copy lies beside it"
        );
        if !self.set_aside.contains(&copy) {
            self.set_aside.push(copy);
        }
        Ok(())
    }

    fn put_aside(&mut self, name: &str, why: &str) -> io::Result<()> {
        let aside = format!("{name}{SET_ASIDE}");
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
        let next = last.max(self.cursor.next).max(1);
        let segments = Segments::recovered(self.segments, ended, next, self.cursor.generation);
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

/// Whether a file holds nothing but zeros and a part of its header.
fn is_blank(file: &dyn LogFile, base: u64) -> io::Result<bool> {
    let header = format::file_header(base);
    let mut window = vec![0; 64 << 10];
    let mut at = 0;
    loop {
        let read = read_full(file, &mut window, at as u64)?;
        let blank = |(offset, byte): (usize, &u8)| *byte == 0 || header.get(at + offset) == Some(byte);
        if !window[..read].iter().enumerate().all(blank) {
            return Ok(false);
        }
        if read < window.len() {
            return Ok(true);
        }
        at += read;
    }
}
