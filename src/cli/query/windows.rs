//! Values over time, as a line of bars.

use std::time::Duration;

use super::super::table::Column;
use super::super::terminal::Terminal;
use super::bars::{Bar, fold, spark, top};
use super::range::{Range, nanos, round};
use super::words::{events, length};
use crate::answers::{Row, Table};
use crate::clock::UnixNanos;

/// Fewer bars than this are no picture.
const LEAST: usize = 10;

/// The windows of a range. They begin at whole multiples of their length, the first of them before the range; the last is over only if the range is.
#[derive(Clone, Debug)]
pub(super) struct Windows<'r> {
    range: &'r Range,
    length: Duration,
    every: i64,
}

/// What a line of bars shows, in numbers.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub(super) struct Seen {
    /// In the last whole window.
    pub(super) latest: Option<f64>,
    /// The greatest, and when.
    pub(super) peak: Option<(f64, UnixNanos)>,
}

impl<'r> Windows<'r> {
    pub(super) fn new(range: &'r Range, length: Duration) -> Self {
        Self { range, length, every: nanos(length).max(1) }
    }

    /// Whether a window that begins at `at` is over.
    fn is_whole(&self, at: UnixNanos) -> bool {
        at.saturating_add(self.every) <= self.range.until
    }

    /// A bar for each window, with a gap where a window has no row or no value.
    pub(super) fn bars(&self, rows: &Table, column: &str) -> Vec<Bar> {
        let first = self.range.from.div_euclid(self.every);
        let last = (self.range.until - 1).div_euclid(self.every);
        let count = usize::try_from(last - first + 1).unwrap_or(1);
        let mut bars = vec![Bar::Gap; count];
        for row in rows.rows() {
            let Some(at) = row.time("_time") else { continue };
            let place = usize::try_from(at.div_euclid(self.every) - first).ok();
            if let Some(bar) = place.and_then(|place| bars.get_mut(place)) {
                *bar = match row.number(column) {
                    _ if !self.is_whole(at) => Bar::Partial,
                    Some(value) => Bar::Of(value),
                    None => Bar::Gap,
                };
            }
        }
        bars
    }

    /// The latest and the greatest of a column. Of windows that are not whole only where there are no others.
    pub(super) fn seen(&self, rows: &Table, column: &str) -> Seen {
        let value = |row: Row<'_>| Some((row.number(column)?, row.time("_time")?));
        let mut whole: Vec<_> = rows.rows().filter_map(value).filter(|(_, at)| self.is_whole(*at)).collect();
        if whole.is_empty() {
            whole = rows.rows().filter_map(value).collect();
        }
        let peak = whole.iter().copied().reduce(|best, next| if next.0 > best.0 { next } else { best });
        Seen { latest: whole.iter().max_by_key(|(_, at)| *at).map(|(value, _)| *value), peak }
    }

    /// The title of the column of the latest values: the time of their window.
    pub(super) fn latest_title(&self, rows: &Table) -> String {
        let times = || rows.rows().filter_map(|row| row.time("_time"));
        let latest = times().filter(|at| self.is_whole(*at)).max().or_else(|| times().max());
        let title = latest.map(|at| format!("at {}", self.at(at)));
        // With a day before it, it would take the room of the bars.
        title.filter(|title| title.len() <= "at 09:00:00".len()).unwrap_or_else(|| "latest".to_owned())
    }

    /// A moment, as short as it can be told from the others.
    pub(super) fn at(&self, at: UnixNanos) -> String {
        self.range.short(at, self.length)
    }

    /// How many bars there is room for beside columns that take `taken`.
    pub(super) fn room(bars: usize, taken: usize, terminal: Terminal) -> usize {
        terminal.width.map_or(bars, |width| width.saturating_sub(taken)).clamp(LEAST.min(bars), bars.max(1))
    }

    /// The bars as text, no longer than there is room for.
    pub(super) fn line(bars: &[Bar], scale: f64, room: usize) -> String {
        spark(&fold(bars, room), scale)
    }

    /// The title of the bars: when they begin and when they end.
    pub(super) fn title(&self, bars: usize, room: usize) -> Column {
        let length = bars.div_ceil(bars.div_ceil(room.max(1)).max(1));
        let first = self.range.from.div_euclid(self.every) * self.every;
        let (from, until) = (self.at(first), self.at(self.range.until));
        let blanks = length.saturating_sub(from.len() + until.len());
        if blanks == 0 { Column::left(from) } else { Column::left(format!("{from}{}{until}", " ".repeat(blanks))) }
    }

    /// What is to be known of the bars.
    pub(super) fn legend(&self, lines: &[Vec<Bar>], room: usize) -> String {
        let together = lines.first().map_or(0, Vec::len).div_ceil(room.max(1)).max(1);
        let together_length = self.length * u32::try_from(together).unwrap_or(1);
        let mut legend = format!("One bar: {}", length(together_length));
        if together > 1 {
            legend.push_str(", its highest");
        }
        if lines.iter().any(|bars| bars.contains(&Bar::Partial)) {
            legend.push_str("; …: not over yet, and not drawn");
        }
        legend.push('.');
        legend
    }

    /// A word of warning where the windows' percentiles are made of next to nothing.
    pub(super) fn sparse(&self, rows: &Table, column: &str) -> Option<String> {
        const FEW: f64 = 20.0;
        let mut numbers: Vec<f64> = rows.rows().filter_map(|row| row.number(column)).collect();
        numbers.sort_by(f64::total_cmp);
        let middle = numbers.get(numbers.len() / 2).copied().filter(|middle| *middle < FEW)?;
        Some(format!(
            "A window has about {}: its P99 is its slowest. Longer ones (--every {}) say more.",
            events(Some(middle)),
            length(round(self.length * 5))
        ))
    }

    /// The scale that several lines share.
    pub(super) fn scale(lines: &[Vec<Bar>]) -> f64 {
        top(lines.iter().flatten())
    }
}
