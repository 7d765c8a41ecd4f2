//! How far it is: a bar on a terminal, and elsewhere a line now and then.

use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use tokio::time::Instant;

use crate::answers::table::rfc3339;
use crate::clock::UnixNanos;

/// How often a line is written where there is no terminal.
const EVERY: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
    total: usize,
    values: u64,
    told: Instant,
}

impl Progress {
    /// Of so many queries.
    pub(super) fn over(total: usize) -> Self {
        let bar = ProgressBar::new(u64::try_from(total).unwrap_or(u64::MAX));
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} queries, at {msg}, {eta} to go");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar, total, values: 0, told: Instant::now() }
    }

    /// So many are done, and the next one begins at `moment`.
    pub(super) fn at(&mut self, done: usize, moment: UnixNanos) {
        self.bar.set_message(rfc3339(moment));
        self.bar.set_position(u64::try_from(done).unwrap_or(u64::MAX));
        // Hidden: standard error is no terminal.
        if self.bar.is_hidden() && self.told.elapsed() >= EVERY {
            self.told = Instant::now();
            eprintln!("{done} of {} queries, at {}, {} values", self.total, rfc3339(moment), HumanCount(self.values));
        }
    }

    pub(super) fn wrote(&mut self, values: u64) {
        self.values += values;
    }

    pub(super) fn values(&self) -> HumanCount {
        HumanCount(self.values)
    }

    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
