//! What InfluxDB answers a query with: annotated CSV, read into typed rows.
//!
//! Written here and not taken from `influxdb2`, whose reader of the same text panics on a number that is null, loses the order of the
//! columns, and takes a connection that broke midway for a reason to panic too.

#[cfg(test)]
mod tests;

use std::time::{Duration, UNIX_EPOCH};

use thiserror::Error;

/// A value of a cell that holds one. Annotated CSV does not tell an empty text from no value: both are none here.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// A text, and what has a type that is none of the others.
    Text(String),
    /// A whole number.
    Int(i64),
    /// A whole number that is never negative.
    UInt(u64),
    /// A number.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// A moment, in nanoseconds since 1970.
    Time(i64),
}

impl Value {
    /// Numbers as one type.
    #[expect(clippy::cast_precision_loss, reason = "counts beyond 2^53 are beyond what is shown of them")]
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Int(int) => Some(*int as f64),
            Self::UInt(int) => Some(*int as f64),
            Self::Float(float) => Some(*float),
            Self::Text(_) | Self::Bool(_) | Self::Time(_) => None,
        }
    }
}

/// Rows of one or several tables, one after another; a column for each name.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<Option<Value>>>,
}

/// Why an answer is no rows.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ReadError {
    /// The query failed after the answer had begun: what came before is not all.
    #[error("{0}")]
    Failed(String),
    /// It is not what InfluxDB writes.
    #[error("{0}")]
    Unreadable(String),
}

impl Table {
    /// Reads annotated CSV with the annotations `datatype` and `default`.
    ///
    /// # Errors
    /// The query failed midway, or this is no annotated CSV.
    pub fn parse(body: &[u8]) -> Result<Self, ReadError> {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(body);
        let mut reading = Reading::default();
        for record in reader.records() {
            let record = record.map_err(|error| ReadError::Unreadable(error.to_string()))?;
            reading.take(&record)?;
        }
        let mut table = reading.all;
        let width = table.columns.len();
        // A table that came before another with more columns.
        for row in &mut table.rows {
            row.resize(width, None);
        }
        Ok(table)
    }

    /// The names of the columns, in InfluxDB's order.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rows.
    pub fn rows(&self) -> impl DoubleEndedIterator<Item = Row<'_>> + ExactSizeIterator {
        self.rows.iter().map(|cells| Row { columns: &self.columns, cells })
    }

    /// The first row.
    pub fn first(&self) -> Option<Row<'_>> {
        self.rows().next()
    }

    /// Adds another answer's rows.
    pub fn append(&mut self, other: &Self) {
        let places: Vec<usize> = other.columns.iter().map(|name| self.place(name)).collect();
        for row in &mut self.rows {
            row.resize(self.columns.len(), None);
        }
        for cells in &other.rows {
            let mut row = vec![None; self.columns.len()];
            for (place, cell) in places.iter().zip(cells) {
                row[*place].clone_from(cell);
            }
            self.rows.push(row);
        }
    }

    /// Where a column stands; a new one is the last.
    fn place(&mut self, name: &str) -> usize {
        self.columns.iter().position(|known| known == name).unwrap_or_else(|| {
            self.columns.push(name.to_owned());
            self.columns.len() - 1
        })
    }
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub struct Row<'t> {
    columns: &'t [String],
    cells: &'t [Option<Value>],
}

impl<'t> Row<'t> {
    /// The cells, in the order of the columns.
    pub fn cells(&self) -> impl Iterator<Item = (&'t str, Option<&'t Value>)> + use<'t> {
        self.columns.iter().map(String::as_str).zip(self.cells.iter().map(Option::as_ref))
    }

    /// A value.
    pub fn get(&self, column: &str) -> Option<&'t Value> {
        let at = self.columns.iter().position(|name| name == column)?;
        self.cells.get(at)?.as_ref()
    }

    /// A text.
    pub fn text(&self, column: &str) -> Option<&'t str> {
        match self.get(column)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A number, of whichever type.
    pub fn number(&self, column: &str) -> Option<f64> {
        self.get(column)?.number()
    }

    /// A moment, in nanoseconds since 1970.
    pub fn time(&self, column: &str) -> Option<i64> {
        match self.get(column)? {
            Value::Time(time) => Some(*time),
            _ => None,
        }
    }
}

/// A table's columns, while its rows are read.
#[derive(Default)]
struct Reading {
    all: Table,
    types: Vec<String>,
    defaults: Vec<String>,
    /// Each cell's place among all columns; `None`: InfluxDB's own (`result`, `table`).
    places: Vec<Option<usize>>,
    /// Annotations were read, and the names come next.
    begun: bool,
    /// What follows is an error's table.
    failed: bool,
}

impl Reading {
    fn take(&mut self, record: &csv::StringRecord) -> Result<(), ReadError> {
        // The empty line between two tables.
        if record.len() <= 1 {
            return Ok(());
        }
        let cells = || record.iter().skip(1);
        match record.get(0).unwrap_or_default() {
            "" if self.failed => {
                let message = record.get(1).filter(|message| !message.is_empty());
                Err(ReadError::Failed(message.unwrap_or("the query failed, with no reason given").to_owned()))
            }
            "" if self.begun => {
                self.begun = false;
                self.failed = record.get(1) == Some("error") && record.get(2) == Some("reference");
                if !self.failed {
                    let names = cells().map(|name| match name {
                        "" | "result" | "table" => None,
                        name => Some(self.all.place(name)),
                    });
                    self.places = names.collect();
                }
                Ok(())
            }
            "" if self.places.len() + 1 == record.len() => self.row(record),
            annotation if annotation.starts_with('#') => {
                self.begun = true;
                let texts = cells().map(str::to_owned).collect();
                match annotation {
                    "#datatype" => self.types = texts,
                    "#default" => self.defaults = texts,
                    _ => {}
                }
                Ok(())
            }
            _ => Err(ReadError::Unreadable(format!("a row of {} cells that belongs to no table", record.len()))),
        }
    }

    fn row(&mut self, record: &csv::StringRecord) -> Result<(), ReadError> {
        let mut row = vec![None; self.all.columns.len()];
        for (n, (place, cell)) in self.places.iter().zip(record.iter().skip(1)).enumerate() {
            let Some(place) = place else { continue };
            let cell = if cell.is_empty() { self.defaults.get(n).map_or("", String::as_str) } else { cell };
            let kind = self.types.get(n).map_or("string", String::as_str);
            row[*place] = value(kind, cell).map_err(|()| {
                let column = &self.all.columns[*place];
                ReadError::Unreadable(format!("{cell:?} in the column {column} is no {kind}"))
            })?;
        }
        self.all.rows.push(row);
        Ok(())
    }
}

fn value(kind: &str, cell: &str) -> Result<Option<Value>, ()> {
    if cell.is_empty() {
        return Ok(None);
    }
    let value = match kind {
        "long" => Value::Int(cell.parse().map_err(drop)?),
        "unsignedLong" => Value::UInt(cell.parse().map_err(drop)?),
        // `+Inf`, `NaN`
        "double" => Value::Float(cell.parse().map_err(drop)?),
        "boolean" => Value::Bool(cell.parse().map_err(drop)?),
        _ if kind.starts_with("dateTime") => time(cell).map_or_else(|| Value::Text(cell.to_owned()), Value::Time),
        // InfluxDB writes each line feed of a text as `\r\n`, and drops a text's own carriage returns.
        _ => Value::Text(cell.replace("\r\n", "\n")),
    };
    Ok(Some(value))
}

/// Nanoseconds since 1970; `None` of times before that, which are shown as they came.
fn time(text: &str) -> Option<i64> {
    let since = humantime::parse_rfc3339(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_nanos()).ok()
}

/// As RFC 3339, with as many digits as it takes.
pub fn rfc3339(nanos: i64) -> String {
    let since = Duration::from_nanos(u64::try_from(nanos).unwrap_or(0));
    humantime::format_rfc3339(UNIX_EPOCH + since).to_string()
}
