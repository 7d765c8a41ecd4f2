//! When files are read again: once they changed, and stand still.
//!
//! A file is written in several steps, and several files make one change: what is read in the midst of that is wrong, or right by accident. So a change
//! is read when two looks in a row saw the same, and judged once.

use crate::config::Files;

/// See the module.
#[derive(Debug)]
pub(super) struct Watch {
    /// What was judged last.
    judged: Files,
    /// The last look, if it saw something else.
    last: Option<Files>,
    /// Somebody asked for a reload, and the files did not stand still.
    asked: bool,
}

impl Watch {
    pub(super) fn of(judged: Files) -> Self {
        Self { judged, last: None, asked: false }
    }

    /// What to look at.
    pub(super) fn files(&self) -> &Files {
        &self.judged
    }

    /// Takes a look at the files; says whether they are to be read now.
    pub(super) fn is_due(&mut self, now: Files) -> bool {
        if !self.asked && now == self.judged {
            self.last = None;
            return false;
        }
        let still = self.last.as_ref() == Some(&now);
        self.last = Some(now);
        still
    }

    /// Whether somebody asked for the reload that is due.
    pub(super) fn is_asked(&self) -> bool {
        self.asked
    }

    /// They were read, and judged.
    pub(super) fn judged(&mut self, files: Files) {
        *self = Self::of(files);
    }

    /// They changed while they were read.
    pub(super) fn unsteady(&mut self, asked: bool) {
        self.last = None;
        self.asked |= asked;
    }
}
