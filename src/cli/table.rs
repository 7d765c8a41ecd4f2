//! Plain text in columns, for people.
//!
//! No crate: what comfy-table and tabled do beyond this (borders, wrapped cells, spans) is what an answer on a terminal is better without, and
//! neither puts a column below its row where the terminal is too narrow for it.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use unicode_width::UnicodeWidthStr as _;

use super::terminal::{Terminal, clean};

/// What stands between two columns.
const GAP: usize = 2;

/// A column: its title, and how its cells stand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Column {
    title: String,
    right: bool,
    /// Cells may be cut to so many columns where there is no room.
    least: Option<usize>,
    /// Below the row, where there is no room beside it.
    below: bool,
}

impl Column {
    /// Text.
    pub(super) fn left(title: impl Into<String>) -> Self {
        Self { title: clean(&title.into()), right: false, least: None, below: false }
    }

    /// Numbers.
    pub(super) fn right(title: impl Into<String>) -> Self {
        Self { right: true, ..Self::left(title) }
    }

    /// May be cut to so many columns.
    pub(super) fn least(self, least: usize) -> Self {
        Self { least: Some(least), ..self }
    }

    /// Must be whole (it is copied): below the row, where it does not fit. For the last column.
    pub(super) fn below(self) -> Self {
        Self { below: true, ..self }
    }
}

/// A cell, and where it leads.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Cell {
    text: String,
    url: Option<String>,
}

impl Cell {
    /// A cell that leads to a URL, in a terminal that knows links; the URL itself in one that does not.
    pub(super) fn link(text: &str, url: String, terminal: Terminal) -> Self {
        if terminal.styled { Self { text: clean(text), url: Some(clean(&url)) } } else { url.into() }
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: clean(text.as_ref()), url: None }
    }
}

/// Rows of cells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table with these columns, and no rows yet.
    pub(super) fn new(columns: impl IntoIterator<Item = Column>) -> Self {
        Self { columns: columns.into_iter().collect(), rows: Vec::new() }
    }

    /// Adds a row: a cell for each column.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        let mut cells: Vec<Cell> = cells.into_iter().collect();
        cells.resize(self.columns.len(), Cell::default());
        self.rows.push(cells);
    }

    /// How many columns of a terminal all but the last take, with the gap behind them.
    pub(super) fn before_last(&self) -> usize {
        let widths = self.widths();
        widths.iter().take(widths.len().saturating_sub(1)).map(|width| width + GAP).sum()
    }

    /// The lines, the titles first (unless all are empty).
    pub(super) fn lines(&self, terminal: Terminal) -> Vec<String> {
        let mut widths = self.widths();
        let mut below = None;
        if let Some(room) = terminal.width {
            let total = |widths: &[usize]| widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
            let last = widths.len().saturating_sub(1);
            if total(&widths) > room && self.columns.last().is_some_and(|column| column.below) {
                below = Some(last);
                widths.truncate(last);
            }
            // The widest that may be cut gives way first, column by column.
            while total(&widths) > room {
                let cuttable = self.columns.iter().zip(&mut widths);
                let cuttable = cuttable.filter(|(column, width)| column.least.is_some_and(|least| **width > least));
                let Some((_, widest)) = cuttable.max_by_key(|(_, width)| **width) else { break };
                *widest -= 1;
            }
        }
        let titles: Vec<Cell> =
            self.columns.iter().map(|column| Cell { text: column.title.clone(), url: None }).collect();
        let mut lines = Vec::with_capacity(self.rows.len() + 1);
        if self.columns.iter().any(|column| !column.title.is_empty()) {
            lines.push(terminal.dim(&self.line(&titles, &widths, Terminal { styled: false, ..terminal })));
        }
        for row in &self.rows {
            lines.push(self.line(row, &widths, terminal));
            lines.extend(below.and_then(|last| row.get(last)).filter(|cell| !cell.text.is_empty()).map(|cell| {
                let text = linked(cell, &cell.text, terminal);
                format!("  {text}")
            }));
        }
        lines
    }

    fn widths(&self) -> Vec<usize> {
        let cells = |n: usize| self.rows.iter().filter_map(move |row| row.get(n)).map(|cell| cell.text.width());
        self.columns
            .iter()
            .enumerate()
            .map(|(n, column)| cells(n).max().unwrap_or(0).max(column.title.width()))
            .collect()
    }

    fn line(&self, row: &[Cell], widths: &[usize], terminal: Terminal) -> String {
        let mut line = String::new();
        // Blanks are written before the next cell, so that none is left at the end.
        let mut owed = 0;
        for (n, ((cell, column), width)) in row.iter().zip(&self.columns).zip(widths).enumerate() {
            let text = cut(&cell.text, *width);
            let blanks = width.saturating_sub(text.width());
            owed += if n == 0 { 0 } else { GAP };
            if column.right {
                owed += blanks;
            }
            if !text.is_empty() {
                line.extend(std::iter::repeat_n(' ', std::mem::take(&mut owed)));
                line.push_str(&linked(cell, &text, terminal));
            }
            if !column.right {
                owed += blanks;
            }
        }
        line
    }
}

fn linked(cell: &Cell, text: &str, terminal: Terminal) -> String {
    cell.url.as_deref().map_or_else(|| text.to_owned(), |url| terminal.link(text, url))
}

/// What fits, with a mark where something is left out.
fn cut(text: &str, width: usize) -> Cow<'_, str> {
    if text.width() <= width {
        return Cow::Borrowed(text);
    }
    let mut kept = String::new();
    for c in text.chars() {
        let mut bytes = [0; 4];
        if kept.width() + c.encode_utf8(&mut bytes).width() + 1 > width {
            break;
        }
        kept.push(c);
    }
    if width > 0 {
        kept.push('…');
    }
    Cow::Owned(kept)
}
