//! What a first look at a source came to: how much there is, and what is wrong with it.

use std::path::Path;

use super::say;
use crate::deliver::Piece;
use crate::spool::offline::Survey;

/// Most notes that are kept of one source.
const NOTES: usize = 20;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) points: u64,
    pub(super) records: u64,
    /// Bytes of the largest record's lines.
    pub(super) largest: u64,
    /// Of a log: all about it.
    pub(super) survey: Option<Survey>,
    /// Whether something of it cannot be sent.
    pub(super) damaged: bool,
    notes: Vec<String>,
    further: u64,
}

impl Told {
    /// Something to say of it.
    pub(super) fn note(&mut self, note: String) {
        if self.notes.len() < NOTES {
            self.notes.push(note);
        } else {
            self.further += 1;
        }
    }

    pub(super) fn piece(&mut self, piece: &Piece) {
        match piece {
            Piece::Record(record) => {
                self.records += 1;
                self.points += u64::from(record.points);
                self.largest = self.largest.max(record.lines.len() as u64);
                return;
            }
            Piece::Damaged(numbers) if numbers.start() == numbers.end() => {
                self.note(format!("record {} is damaged and left out", numbers.start()));
            }
            Piece::Damaged(numbers) => {
                self.note(format!("records {} to {} are missing", numbers.start(), numbers.end()));
            }
            Piece::Torn => self.note(
                "the end is missing (the gateway was ended while it wrote); what stands before it is sent".to_owned(),
            ),
        }
        self.damaged = true;
    }

    /// Of a log's folder, or of one file of it, in which damage is what is expected.
    pub(super) fn survey(&mut self, survey: Survey, folder: bool) {
        let total = survey.total();
        (self.points, self.records, self.largest) = (total.points, total.records, survey.largest);
        if !folder {
            return;
        }
        for file in &survey.damage {
            let name = &file.file;
            if file.places > 0 {
                self.damaged = true;
                self.note(format!(
                    "{name}: {} bytes in {} places are damaged and left out; the whole records behind them are sent",
                    file.bytes, file.places
                ));
            }
            if file.torn > 0 {
                self.note(format!(
                    "{name}: the last {} bytes are no whole record and left out: a write that a crash cut off, as a rule never acknowledged",
                    file.torn
                ));
            }
        }
        for file in &survey.aside {
            match &file.why {
                Some(why) => {
                    self.damaged = true;
                    self.note(format!("{}: left out: {why}", file.name));
                }
                None => self.note(format!(
                    "{}: set aside at an earlier start and left out; replay it by its name for what is whole in it",
                    file.name
                )),
            }
        }
        if survey.generation.is_none() && !survey.bad_cursors.is_empty() {
            let names = survey.bad_cursors.join(" and ");
            self.note(format!(
                "{names}: not whole; what was delivered already is sent again, which changes nothing in InfluxDB"
            ));
        }
        for (tenant, row) in survey.tenants.iter().filter(|(_, row)| row.missing > 0) {
            self.damaged = true;
            self.note(format!(
                "{} points of {tenant} wait by the cursor, and stand in no segment that can be read",
                row.missing
            ));
        }
        self.survey = Some(survey);
    }

    /// Says what is wrong with the source.
    pub(super) fn tell(&self, path: &Path) {
        let name = path.display();
        self.notes.iter().for_each(|note| say(format_args!("{name}: {note}")));
        if self.further > 0 {
            say(format_args!("{name}: and {} more like these", self.further));
        }
    }
}
