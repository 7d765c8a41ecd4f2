//! Flux results, as InfluxDB sends them: annotated CSV, one or more tables.

use std::collections::BTreeMap;
use std::time::UNIX_EPOCH;

/// A row of a Flux result: the columns that have a value in it.
///
/// Annotated CSV does not tell an empty string from no value; both are absent here. InfluxDB writes it with `\r\n` for every
/// line feed in a text and without any carriage return of the text's own: the former is undone here, the latter are lost. Where
/// that matters, [`super::Bucket::exact_rows`] has all of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Row(BTreeMap<String, String>);

impl Row {
    /// A column's value as InfluxDB wrote it.
    pub fn get(&self, column: &str) -> Option<&str> {
        self.0.get(column).map(String::as_str)
    }

    /// A column that must be there.
    #[track_caller]
    pub fn text(&self, column: &str) -> &str {
        self.get(column).unwrap_or_else(|| panic!("no value in column {column}: {self:?}"))
    }

    /// An integer column that must be there.
    #[track_caller]
    pub fn int(&self, column: &str) -> i64 {
        self.parsed(column)
    }

    /// A float column that must be there.
    #[track_caller]
    pub fn float(&self, column: &str) -> f64 {
        self.parsed(column)
    }

    /// A time column that must be there, in nanoseconds since 1970.
    #[track_caller]
    pub fn nanos(&self, column: &str) -> i64 {
        let text = self.text(column);
        let time = humantime::parse_rfc3339(text).unwrap_or_else(|error| panic!("{text} is no time: {error}"));
        let since = time.duration_since(UNIX_EPOCH).expect("the parser takes no time before 1970");
        i64::try_from(since.as_nanos()).expect("InfluxDB's times fit")
    }

    /// The names of the columns with a value, in alphabetical order.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    #[track_caller]
    fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(&self, column: &str) -> T {
        let text = self.text(column);
        text.parse().unwrap_or_else(|error| panic!("{text} in column {column}: {error}"))
    }
}

/// Reads annotated CSV; an error table in it (a query that failed midway) is an error.
pub fn parse(body: &[u8]) -> Result<Vec<Row>, String> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(body);
    let (mut rows, mut columns, mut after_annotations) = (Vec::new(), Vec::new(), true);
    for record in reader.records() {
        let record = record.map_err(|error| format!("not CSV: {error}"))?;
        if record.get(0).is_some_and(|first| first.starts_with('#')) {
            after_annotations = true;
        } else if after_annotations {
            columns = record.iter().map(str::to_owned).collect();
            after_annotations = false;
            if columns.get(1).is_some_and(|column| column == "error") {
                after_annotations = true;
            }
        } else if columns.iter().any(|column| column == "error") && !columns.iter().any(|column| column == "result") {
            return Err(format!("the query failed: {record:?}"));
        } else {
            let cells = columns.iter().zip(record.iter());
            let cells =
                cells.filter(|(column, cell)| !matches!(column.as_str(), "" | "result" | "table") && !cell.is_empty());
            rows.push(Row(cells.map(|(column, cell)| (column.clone(), cell.replace("\r\n", "\n"))).collect()));
        }
    }
    Ok(rows)
}
