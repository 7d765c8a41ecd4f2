//! Each file of `flux/queries`, run by a real InfluxDB and held against what is reckoned here from the very events that were sent.

mod explain;
mod library;
mod percentiles;
mod sessions;
mod shares;

use crate::support::week::{Event, HOUR_MS, Week};
use crate::support::{Bucket, Row, week, week_with_rollups};
use tagline::answers::{Literal, library as scripts};

/// What a query gives with these inputs, and its own defaults for the others.
async fn ask(bucket: &Bucket, name: &str, values: &[(&str, Literal)]) -> Vec<Row> {
    let script = scripts::query(name).unwrap_or_else(|| panic!("flux/queries/{name}.flux is in no library"));
    let inputs = script.inputs();
    let places = [("bucket", bucket.name()), ("rollup_bucket", bucket.name())];
    let places = places.into_iter().filter(|(place, _)| inputs.iter().any(|input| input.name == *place));
    let mut bound: Vec<_> = places.map(|(place, name)| (place, Literal::text(name))).collect();
    bound.extend(values.iter().cloned());
    bucket.query(&script.bind(&bound).unwrap_or_else(|error| panic!("{error}"))).await
}

/// A part of the week.
#[derive(Clone, Copy, Debug)]
struct Range {
    from_ms: i64,
    to_ms: i64,
}

impl Range {
    /// The last so many hours.
    fn last(week: &Week, hours: i64) -> Self {
        Self { from_ms: week.end_ms - hours * HOUR_MS, to_ms: week.end_ms }
    }

    /// As inputs.
    fn inputs(self) -> [(&'static str, Literal); 2] {
        [("start", Literal::moment(self.from_ms * 1_000_000)), ("stop", Literal::moment(self.to_ms * 1_000_000))]
    }

    fn has(self, event: &Event) -> bool {
        (self.from_ms..self.to_ms).contains(&event.time_ms)
    }
}

fn text(name: &'static str, value: &str) -> (&'static str, Literal) {
    (name, Literal::text(value))
}

/// The range, and these.
fn inputs(range: Range, others: &[(&'static str, Literal)]) -> Vec<(&'static str, Literal)> {
    range.inputs().into_iter().chain(others.iter().cloned()).collect()
}

/// Writes lines of line protocol, each so many seconds ago, to a bucket of the test's own.
async fn write(bucket: &Bucket, lines: &[(i64, String)]) {
    let now = crate::support::now_ms();
    let line = |(number, (seconds, line)): (usize, &(i64, String))| {
        // No two of a series at the same time.
        format!("{line} {}\n", (now - seconds * 1000) * 1_000_000 + i64::try_from(number).expect("few lines"))
    };
    let answer = bucket.write(lines.iter().enumerate().map(line).collect::<String>()).await;
    assert_eq!(answer.status, 204, "{}", answer.text());
}
