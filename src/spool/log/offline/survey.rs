//! What a folder holds, in numbers.

use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;

use super::{Aside, Holder, Offline, Seen};
use crate::clock::UnixNanos;
use crate::spool::log::cursor::Ended;
use crate::spool::log::storage::Storage as _;

/// One tenant's part, or all tenants'.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Row {
    /// Records that wait, their points, and their bytes on the disk.
    pub(crate) records: u64,
    pub(crate) points: u64,
    pub(crate) bytes: u64,
    /// When the oldest of them was accepted.
    pub(crate) oldest: Option<UnixNanos>,
    /// The cursor's totals; among the accepted ones are also those that were accepted after it.
    pub(crate) totals: Ended,
    /// Points that wait by the cursor and stand in no segment: the next start counts them as lost. Not known while a gateway runs.
    pub(crate) missing: u64,
    /// Of the points that wait, those that the cursor does not know.
    pub(crate) later: u64,
}

impl Row {
    fn add(&mut self, other: &Self) {
        self.records += other.records;
        self.points += other.points;
        self.bytes += other.bytes;
        self.oldest = self.oldest.into_iter().chain(other.oldest).min();
        self.totals.accepted += other.totals.accepted;
        self.totals.delivered += other.totals.delivered;
        self.totals.dead_lettered += other.totals.dead_lettered;
        self.totals.spilled += other.totals.spilled;
        for (reason, points) in &other.totals.lost {
            *self.totals.lost.entry(reason.clone()).or_default() += points;
        }
        self.missing += other.missing;
        self.later += other.later;
    }

    /// Points that were lost, over all reasons.
    pub(crate) fn lost(&self) -> u64 {
        self.totals.lost.values().sum()
    }
}

/// What is wrong with one segment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Damaged {
    pub(crate) file: String,
    /// Places that are no record, with a whole one behind them, and their bytes.
    pub(crate) places: u64,
    pub(crate) bytes: u64,
    /// Bytes at the end in which no whole record stands.
    pub(crate) torn: u64,
}

/// See [`Offline::survey`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Survey {
    pub(crate) folder: PathBuf,
    /// Who holds the folder: a running gateway, as a rule.
    pub(crate) holder: Option<Holder>,
    /// How often the cursor was written; `None`: there is none.
    pub(crate) generation: Option<u64>,
    /// Its files that are not whole: a write that a crash cut off leaves the other one.
    pub(crate) bad_cursors: Vec<String>,
    pub(crate) segments: u64,
    /// Bytes of the segments.
    pub(crate) bytes: u64,
    pub(crate) tenants: BTreeMap<String, Row>,
    pub(crate) damage: Vec<Damaged>,
    pub(crate) aside: Vec<Aside>,
    /// Bytes of the largest record's lines.
    pub(crate) largest: u64,
    /// The first sequence behind all that were seen.
    pub(crate) next: u64,
}

impl Survey {
    /// All tenants together.
    pub(crate) fn total(&self) -> Row {
        let mut total = Row::default();
        self.tenants.values().for_each(|row| total.add(row));
        total
    }
}

pub(super) fn survey(log: &Offline, holder: Option<Holder>) -> io::Result<Survey> {
    let folder = log.folder.path().to_owned();
    let known = log.cursor.as_ref().map_or(0, |cursor| cursor.next);
    let mut survey = Survey {
        holder,
        generation: log.cursor.as_ref().map(|cursor| cursor.generation),
        bad_cursors: log.bad_cursors.clone(),
        segments: log.segments.len() as u64,
        bytes: log.segments.iter().filter_map(|(name, _)| folder.join(name).metadata().ok()).map(|m| m.len()).sum(),
        tenants: BTreeMap::new(),
        damage: Vec::new(),
        aside: log.aside.clone(),
        largest: 0,
        next: known,
        folder,
    };
    let last = log.segments.last().map(|(name, _)| name.as_str());
    log.walk(&mut |seen| {
        match seen {
            Seen::Record(head, _) => {
                let row = match survey.tenants.get_mut(head.tenant) {
                    Some(row) => row,
                    None => survey.tenants.entry(head.tenant.to_owned()).or_default(),
                };
                row.records += 1;
                row.points += u64::from(head.points);
                row.bytes += head.record_len();
                row.oldest = Some(row.oldest.map_or(head.accepted, |oldest| oldest.min(head.accepted)));
                if head.sequence >= known {
                    row.later += u64::from(head.points);
                }
                survey.largest = survey.largest.max(u64::from(head.lines));
                survey.next = survey.next.max(head.sequence.saturating_add(1));
            }
            Seen::Damage { file, range } => {
                let damaged = damaged(&mut survey.damage, file);
                damaged.places += 1;
                damaged.bytes += range.end - range.start;
            }
            // The write that is under way.
            Seen::Tail { file, .. } if survey.holder.is_some() && Some(file) == last => {}
            Seen::Tail { file, range } => damaged(&mut survey.damage, file).torn += range.end - range.start,
            Seen::Unread { file, why } => {
                let bytes = survey.folder.join(file).metadata().map_or(0, |file| file.len());
                survey.aside.push(Aside { name: file.to_owned(), bytes, why: Some(why) });
            }
        }
        ControlFlow::Continue(())
    })?;
    for (tenant, ended) in log.cursor.iter().flat_map(|cursor| &cursor.accounts) {
        let row = survey.tenants.entry(tenant.clone()).or_default();
        row.totals = ended.clone();
        if survey.holder.is_none() {
            row.missing = ended.pending().saturating_sub(row.points - row.later);
        }
    }
    survey.tenants.values_mut().for_each(|row| row.totals.accepted += row.later);
    Ok(survey)
}

fn damaged<'d>(all: &'d mut Vec<Damaged>, file: &str) -> &'d mut Damaged {
    // Segments are gone through one by one: the last is the only one that it can be.
    if all.last().is_none_or(|last| last.file != file) {
        all.push(Damaged { file: file.to_owned(), ..Damaged::default() });
    }
    let last = all.len() - 1;
    &mut all[last]
}
