//! The rollups: what InfluxDB writes by `flux/tasks/rollup-1m.flux` and `rollup-1h.flux`, held against what was measured.
//! That they are right for the whole week too is tested beside it.

use crate::support::{Bucket, Row, flux_string, influx};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use tagline::answers::{Literal, library};

const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
/// A whole hour of some day, 2026-01-31T06:00:00Z.
const SIX: i64 = 1_769_839_200 * SECOND;

/// Some events, and where they and their rollups are.
struct Rollup {
    bucket: Bucket,
    rollup_bucket: Bucket,
    /// The durations by what the rows are told apart by: when, tenant, view, action.
    durations: BTreeMap<(i64, &'static str, &'static str, &'static str), Vec<f64>>,
    events: i64,
}

impl Rollup {
    fn new() -> Self {
        let (bucket, rollup_bucket) = (influx().bucket("events"), influx().bucket("rollup"));
        Self { bucket, rollup_bucket, durations: BTreeMap::new(), events: 0 }
    }

    /// An action of a tenant took so long, in many sessions, each of them a series.
    async fn happened(&mut self, at: i64, whose: [&'static str; 3], durations: impl IntoIterator<Item = u32>) {
        let [tenant, view, action] = whose;
        let mut lines = String::new();
        for duration in durations {
            self.events += 1;
            let (session, at) = (self.events % 7, at + self.events);
            let tags = format!("tenant_id={tenant},view_name={view},action_name={action},session_id=s{session}");
            let _ = writeln!(lines, "frontend_performance,{tags} duration_ms={duration}i,element_count=1i {at}");
            self.durations.entry((at, tenant, view, action)).or_default().push(duration.into());
        }
        let answer = self.bucket.write(lines).await;
        assert_eq!(answer.status, 204, "{}", answer.text());
    }

    /// Runs a task over a time; how many values it wrote.
    async fn run(&self, task: &str, start: i64, stop: i64) -> i64 {
        self.written(&self.script(task, start, stop)).await
    }

    fn script(&self, task: &str, start: i64, stop: i64) -> String {
        let script = library::task(task).expect("a task");
        let mut inputs = vec![
            ("rollup_bucket", Literal::text(self.rollup_bucket.name())),
            ("start", Literal::moment(start)),
            ("stop", Literal::moment(stop)),
        ];
        if task == "rollup-1m" {
            inputs.push(("bucket", Literal::text(self.bucket.name())));
        }
        script.bind(&inputs).expect("it has these inputs")
    }

    async fn written(&self, flux: &str) -> i64 {
        match &self.bucket.query(flux).await[..] {
            [] => 0,
            [row] => row.int("values"),
            rows => panic!("one number, not {rows:?}"),
        }
    }

    /// What it wrote: a row a window, tenant, view and action.
    async fn rows(&self, measurement: &str) -> Vec<Row> {
        let flux = format!(
            "|> filter(fn: (r) => r._measurement == {})
             |> pivot(rowKey: [\"_time\"], columnKey: [\"_field\"], valueColumn: \"_value\")
             |> group() |> sort(columns: [\"_time\", \"tenant_id\", \"view_name\", \"action_name\"])",
            flux_string(measurement)
        );
        self.rollup_bucket.select(&flux).await
    }

    /// Holds the rows of a measurement, whose windows are so long, against what happened in them.
    async fn agrees(&self, measurement: &str, window: i64, worst: f64) {
        let mut expected: BTreeMap<_, Vec<f64>> = BTreeMap::new();
        for (&(at, tenant, view, action), durations) in &self.durations {
            expected.entry((at - at % window, tenant, view, action)).or_default().extend(durations);
        }
        let rows = self.rows(measurement).await;
        assert_eq!(rows.len(), expected.len(), "{measurement}: {rows:?}");
        for (row, ((at, tenant, view, action), mut durations)) in rows.iter().zip(expected) {
            durations.sort_by(f64::total_cmp);
            let who = ["tenant_id", "view_name", "action_name"].map(|tag| row.text(tag));
            assert_eq!((row.nanos("_time"), who), (at, [tenant, view, action]));
            let (count, sum) = (durations.len() as f64, durations.iter().sum::<f64>());
            let told = ["count", "sum", "min", "max"].map(|field| row.float(field));
            assert_eq!(told, [count, sum, durations[0], durations[durations.len() - 1]], "{row:?}");
            for (field, q) in [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)] {
                let exact = durations[(q * count).ceil() as usize - 1];
                let off = (row.float(field) - exact).abs() / exact.max(1.0);
                assert!(off <= worst, "{measurement} {field} of {row:?}: {exact}");
            }
            let mut buckets: BTreeMap<String, f64> = BTreeMap::new();
            for duration in durations {
                let number = if duration <= 1.0 { 0 } else { (20.0 * duration.log2()).ceil() as u32 };
                *buckets.entry(format!("b{number:04}")).or_default() += 1.0;
            }
            let named = row.columns().filter(|name| name.starts_with('b') && name[1..].parse::<u32>().is_ok());
            let told: BTreeMap<String, f64> = named.map(|name| (name.to_owned(), row.float(name))).collect();
            assert_eq!(told, buckets, "{row:?}");
        }
    }
}

const PAY: [&str; 3] = ["acme", "Checkout", "pay"];
const ADD: [&str; 3] = ["acme", "Checkout", "add"];
const LOAD: [&str; 3] = ["globex", "Dash", "load"];

#[tokio::test]
async fn minutes_and_hours_say_what_was_measured() {
    let mut rollup = Rollup::new();
    // The ends of buckets: what is at a bound belongs below it. A hundred in all, so that percentiles are just one of them.
    let bounds =
        [0, 1, 2, 3, 4, 5, 8, 15, 16, 17, 255, 256, 257, 65_535, 65_536, 65_537, 131_072, 3_600_000, 86_400_000];
    rollup.happened(SIX, PAY, (1..=81).chain(bounds)).await;
    // One event alone, at the last nanoseconds of a minute.
    rollup.happened(SIX + 3 * MINUTE - 1_000, PAY, [777]).await;
    for minute in 0..3 {
        let mut random = fastrand::Rng::with_seed(minute);
        let durations: Vec<u32> =
            std::iter::repeat_with(|| (40.0 * (3.0 * random.f64()).exp2().powi(2)) as u32).take(400).collect();
        rollup.happened(SIX + minute as i64 * MINUTE, LOAD, durations).await;
    }
    rollup.happened(SIX + HOUR + 30 * MINUTE, ADD, [10, 20, 30]).await;
    assert!(rollup.run("rollup-1m", SIX, SIX + 2 * HOUR).await > 0);
    rollup.agrees("frontend_performance_1m", MINUTE, 0.0).await;
    assert!(rollup.run("rollup-1h", SIX, SIX + 2 * HOUR).await > 0);
    // Half a bucket.
    rollup.agrees("frontend_performance_1h", HOUR, 0.0175).await;
}

#[tokio::test]
async fn a_window_that_is_not_over_is_left_out() {
    let mut rollup = Rollup::new();
    for at in [SIX, SIX + HOUR, SIX + HOUR + 30 * MINUTE] {
        rollup.happened(at, PAY, [100]).await;
    }
    rollup.run("rollup-1m", SIX + 10 * SECOND, SIX + HOUR + 30 * MINUTE + 59 * SECOND).await;
    rollup.run("rollup-1h", SIX + 10 * SECOND, SIX + HOUR + 59 * MINUTE).await;
    for (measurement, expected) in
        [("frontend_performance_1m", &[SIX, SIX + HOUR][..]), ("frontend_performance_1h", &[SIX])]
    {
        let rows = rollup.rows(measurement).await;
        let times: Vec<i64> = rows.iter().map(|row| row.nanos("_time")).collect();
        assert_eq!(times, expected, "{measurement}");
    }
}

#[tokio::test]
async fn what_is_computed_again_is_the_same_and_what_is_complete_is_not_computed() {
    let mut rollup = Rollup::new();
    rollup.happened(SIX, PAY, 1..200).await;
    rollup.happened(SIX + 5 * MINUTE, LOAD, 50..90).await;
    let (start, stop) = (SIX, SIX + HOUR);
    for (task, measurement) in [("rollup-1m", "frontend_performance_1m"), ("rollup-1h", "frontend_performance_1h")] {
        let first = rollup.run(task, start, stop).await;
        let rows = rollup.rows(measurement).await;
        assert_eq!(rollup.run(task, start, stop).await, 0, "{task}: nothing is missing");
        // And by force.
        let forced = rollup.script(task, start, stop).replace("r._value > 0.0", "true");
        assert_eq!(rollup.written(&forced).await, first, "{task}");
        assert_eq!(rollup.rows(measurement).await, rows, "{task}");
    }
}

#[tokio::test]
async fn an_event_that_comes_late_is_counted_by_the_next_run() {
    let mut rollup = Rollup::new();
    let (start, stop) = (SIX - HOUR, SIX + 2 * HOUR);
    rollup.happened(SIX - 30 * MINUTE, LOAD, [70]).await;
    rollup.happened(SIX, PAY, [100, 200]).await;
    rollup.happened(SIX + 40 * MINUTE, PAY, [300]).await;
    rollup.run("rollup-1m", start, stop).await;
    let all = rollup.run("rollup-1h", start, stop).await;

    rollup.happened(SIX + 20 * MINUTE, PAY, [5000]).await;
    rollup.happened(SIX, LOAD, [60]).await;
    let again = rollup.run("rollup-1m", start, stop).await;
    assert!(again > 0);
    rollup.agrees("frontend_performance_1m", MINUTE, 0.0).await;
    // The hour before has all of its events.
    assert!((1..=all + 11).contains(&rollup.run("rollup-1h", start, stop).await));
    rollup.agrees("frontend_performance_1h", HOUR, 0.0175).await;
}

#[tokio::test]
async fn buckets_of_tenants_are_rolled_up_into_one() {
    let mut rollup = Rollup::new();
    rollup.happened(SIX, PAY, [100, 200]).await;
    rollup.run("rollup-1m", SIX, SIX + HOUR).await;
    // Globex has a bucket of its own, with fewer events than acme has in the same minute.
    let default = std::mem::replace(&mut rollup.bucket, influx().bucket("globex"));
    rollup.happened(SIX, LOAD, [70]).await;
    rollup.run("rollup-1m", SIX, SIX + HOUR).await;
    rollup.agrees("frontend_performance_1m", MINUTE, 0.0).await;
    rollup.run("rollup-1h", SIX, SIX + HOUR).await;
    rollup.agrees("frontend_performance_1h", HOUR, 0.0175).await;
    // And neither takes the other's rows for its own.
    assert_eq!(rollup.run("rollup-1m", SIX, SIX + HOUR).await, 0);
    rollup.bucket = default;
    assert_eq!(rollup.run("rollup-1m", SIX, SIX + HOUR).await, 0);
}

#[tokio::test]
async fn rows_outlive_the_events_that_they_are_made_of() {
    let mut rollup = Rollup::new();
    rollup.happened(SIX, PAY, [100, 200, 300]).await;
    rollup.run("rollup-1m", SIX, SIX + HOUR).await;
    // Half of the minute has expired.
    let predicate = serde_json::json!({
        "start": "2026-01-31T06:00:00Z", "stop": "2026-01-31T06:00:00.000000002Z", "predicate": "tenant_id=\"acme\"",
    });
    let target = format!("/api/v2/delete?orgID={}&bucket={}", rollup.bucket.organization_id(), rollup.bucket.name());
    let answer = rollup.bucket.call("POST", &target, "application/json", predicate.to_string().as_bytes());
    assert_eq!(answer.status, 204, "{}", answer.text());
    let left = rollup.bucket.count("frontend_performance", "duration_ms").await;
    assert!((1..3).contains(&left), "{left}");
    rollup.run("rollup-1m", SIX, SIX + 2 * HOUR).await;
    rollup.agrees("frontend_performance_1m", MINUTE, 0.0).await;
}

#[tokio::test]
async fn a_day_is_filled_in_one_run() {
    let mut rollup = Rollup::new();
    for hour in 0..24 {
        rollup.happened(SIX + hour * HOUR + hour * MINUTE, PAY, (1..40).map(|i| i * 7)).await;
        rollup.happened(SIX + hour * HOUR + 59 * MINUTE, LOAD, [50, 60]).await;
    }
    let day = SIX + 24 * HOUR;
    rollup.run("rollup-1m", SIX, day).await;
    rollup.run("rollup-1h", SIX, day).await;
    rollup.agrees("frontend_performance_1m", MINUTE, 0.0).await;
    rollup.agrees("frontend_performance_1h", HOUR, 0.0175).await;
}

#[tokio::test]
async fn nothing_is_written_of_nothing_and_a_missing_bucket_is_named() {
    let mut rollup = Rollup::new();
    for task in ["rollup-1m", "rollup-1h"] {
        assert_eq!(rollup.run(task, SIX, SIX + 2 * HOUR).await, 0, "{task}");
    }
    rollup.happened(SIX, PAY, [100]).await;
    rollup.rollup_bucket = influx().absent_bucket("missing");
    for task in ["rollup-1m", "rollup-1h"] {
        let refused = rollup.bucket.try_query(&rollup.script(task, SIX, SIX + HOUR)).await.unwrap_err();
        let told = refused.contains("could not find bucket") && refused.contains(rollup.rollup_bucket.name());
        assert!(told, "{task}: {refused}");
    }
}
