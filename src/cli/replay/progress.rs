//! How far it is: a bar on a terminal, and elsewhere a line now and then.

use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use tokio::time::Instant;

use super::say;

/// How often a line is written where there is no terminal.
const EVERY: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
    name: String,
    total: u64,
    since: Instant,
    told: Instant,
}

impl Progress {
    /// Of a source whose points are being counted.
    pub(super) fn counting(name: String) -> Self {
        let bar = ProgressBar::new_spinner().with_message(format!("counting what is in {name}"));
        let now = Instant::now();
        Self { bar, name, total: 0, since: now, told: now }
    }

    pub(super) fn still_counting(&mut self) {
        self.bar.tick();
        if self.is_time() {
            say(format_args!("{}: counting what is in it", self.name));
        }
    }

    /// Now it is known how much there is.
    pub(super) fn sending(self, total: u64) -> Self {
        self.bar.finish_and_clear();
        let bar = ProgressBar::new(total);
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} points, {per_sec}, {eta} to go");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let now = Instant::now();
        Self { bar, total, since: now, told: now, ..self }
    }

    /// So many points ended.
    pub(super) fn at(&mut self, points: u64) {
        self.bar.set_position(points);
        if self.is_time() {
            let speed = points as f64 / self.since.elapsed().as_secs_f64();
            say(format_args!(
                "{}: {} of {} points, {speed:.0} a second",
                self.name,
                HumanCount(points),
                HumanCount(self.total)
            ));
        }
    }

    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }

    fn is_time(&mut self) -> bool {
        // Hidden: standard error is no terminal.
        let due = self.bar.is_hidden() && self.told.elapsed() >= EVERY;
        if due {
            self.told = Instant::now();
        }
        due
    }
}
