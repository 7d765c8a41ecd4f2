//! The week that the others ask about is what it says.

use crate::support::week::{CAUSE, Event, Generator, HOUR_MS, SEED, SPAN_MS, TENANTS, Week};
use crate::support::{Bucket, Row, flux_string, influx, week, week_with_rollups};
use std::collections::BTreeSet;
use tagline::answers::{Literal, library};

/// Rows of the frontend's durations, of all of the week.
async fn durations(week: &Week, pipe: &str) -> Vec<Row> {
    week.bucket
        .select(&format!(
            "|> filter(fn: (r) => r._measurement == \"frontend_performance\" and r._field == \"duration_ms\") {pipe}"
        ))
        .await
}

#[tokio::test]
async fn what_the_tenants_sent_is_stored_point_by_point() {
    let week = week();
    let stored = durations(week, "|> group(columns: [\"tenant_id\"]) |> count()").await;
    let sums = durations(week, "|> group(columns: [\"tenant_id\"]) |> sum()").await;
    assert_eq!(stored.len(), TENANTS.len());
    for (count, sum) in stored.iter().zip(&sums) {
        let tenant = count.text("tenant_id");
        assert_eq!(count.int("_value").unsigned_abs(), week.count(tenant), "{tenant}");
        let durations = week.events().filter(|event| event.tenant == tenant).map(|event| i64::from(event.duration_ms));
        assert_eq!(sum.int("_value"), durations.sum::<i64>(), "{tenant}");
    }
    let outcomes = week
        .bucket
        .select("|> filter(fn: (r) => r._measurement == \"gateway_outcomes\") |> group(columns: [\"tenant_id\", \"outcome\"]) |> sum()")
        .await;
    for tenant in &TENANTS {
        let points = |outcome: &str| {
            let row =
                outcomes.iter().find(|row| row.text("tenant_id") == tenant.name && row.text("outcome") == outcome);
            row.map_or(0, |row| row.int("_value").unsigned_abs())
        };
        assert_eq!(points("delivered"), week.points(tenant.name), "{outcomes:?}");
        assert_eq!(points("rejected_unknown_measurement"), week.refused(tenant.name), "{outcomes:?}");
    }
}

#[tokio::test]
async fn an_event_is_stored_with_all_that_it_says() {
    let week = week();
    let event = week.events().nth(1000).expect("there are more");
    let row = week
        .bucket
        .select(&format!(
            "|> filter(fn: (r) => r._measurement == \"frontend_performance\" and r.tenant_id == {})
             |> pivot(rowKey: [\"_time\"], columnKey: [\"_field\"], valueColumn: \"_value\") |> filter(fn: (r) => r.trace_id == {})",
            flux_string(event.tenant),
            flux_string(&event.trace()),
        ))
        .await;
    let [row] = &row[..] else { panic!("one point, not {row:?}") };
    assert_eq!(row.nanos("_time") / 1_000_000, event.time_ms);
    let texts = ["view_name", "action_name", "browser", "region", "host"].map(|column| row.text(column));
    let host = format!("{}.example", event.tenant);
    assert_eq!(texts, [event.view, event.action, event.browser, event.region, &host]);
    assert_eq!(row.text("session"), event.session());
    assert_eq!(
        (row.int("duration_ms"), row.int("element_count")),
        (event.duration_ms.into(), event.element_count.into())
    );
}

#[tokio::test]
async fn the_cause_is_half_a_second_and_nobody_elses() {
    let week = week();
    let since = week.end_ms - CAUSE.since_ms;
    let flux = format!(
        "|> filter(fn: (r) => r.view_name == {} and r.action_name == {} and r.browser == {})
         |> map(fn: (r) => ({{tenant_id: r.tenant_id, late: r._time >= time(v: {since}000000), _value: float(v: r._value)}}))
         |> group(columns: [\"tenant_id\", \"late\"]) |> mean()",
        flux_string(CAUSE.view),
        flux_string(CAUSE.action),
        flux_string(CAUSE.browser),
    );
    let means = durations(week, &flux).await;
    for tenant in &TENANTS {
        let mean = |late: &str| {
            let row = means.iter().find(|row| row.text("tenant_id") == tenant.name && row.text("late") == late);
            row.unwrap_or_else(|| panic!("{means:?}")).float("_value")
        };
        let expected = if tenant.name == CAUSE.tenant { f64::from(CAUSE.extra_ms) } else { 0.0 };
        let extra = mean("true") - mean("false");
        assert!((extra - expected).abs() < 20.0, "{}: {extra} ms", tenant.name);
    }
}

#[test]
fn the_same_seed_is_the_same_week() {
    let end_ms = 1_790_000_000_000;
    let week = |seed| {
        let generator = Generator::new(seed, end_ms, 2_000);
        let sessions = (0..generator.sessions).map(move |number| generator.session(number));
        sessions.collect::<Vec<_>>()
    };
    assert_eq!(week(SEED), week(SEED));
    assert_ne!(week(SEED), week(SEED + 1));
}

#[test]
fn each_hour_is_at_least_half_as_busy_as_the_mean_and_the_last_one_busier() {
    let generator = Generator::new(SEED, 1_790_000_000_000, 400_000);
    let hours = (SPAN_MS / HOUR_MS) as usize;
    let mut counts = vec![0_usize; hours];
    let (mut sessions, mut total) = (BTreeSet::new(), 0);
    for number in 0..generator.sessions {
        let session = generator.session(number);
        assert!(session.events.iter().all(|event| sessions.insert(event.session) == (event.seq == 0)), "{session:?}");
        for Event { time_ms, .. } in session.events {
            counts[((generator.end_ms - time_ms) / HOUR_MS) as usize] += 1;
            total += 1;
        }
    }
    let mean = total / hours;
    assert!(counts.iter().all(|count| *count > mean * 4 / 10), "{counts:?}");
    assert!(counts[0] > mean, "{counts:?}");
}

#[test]
fn quantiles_are_those_of_the_definition() {
    let week = week();
    let which = |event: &Event| event.tenant == "globex" && event.view == "ReportView";
    let durations = week.durations(which);
    for q in [0.5, 0.95, 0.99] {
        let exact = week.exact_quantile(q, which);
        let below = durations.iter().filter(|duration| f64::from(**duration) <= exact).count();
        let under = durations.iter().filter(|duration| f64::from(**duration) < exact).count();
        let wanted = q * durations.len() as f64;
        assert!(below as f64 >= wanted && (under as f64) < wanted, "{q}: {exact}");
        assert!((week.linear_quantile(q, which) - exact).abs() / exact < 0.02, "{q}");
    }
}

/// What a rollup wrote of the last two hours: a row a window, tenant, view and action.
async fn rolled_up(bucket: &Bucket, week: &Week, measurement: &str) -> Vec<Row> {
    let from = week.end_ms - 2 * HOUR_MS;
    bucket
        .select(&format!(
            "|> filter(fn: (r) => r._measurement == \"{measurement}\" and r._time >= time(v: {from}000000))
             |> pivot(rowKey: [\"_time\"], columnKey: [\"_field\"], valueColumn: \"_value\")
             |> group() |> sort(columns: [\"_time\", \"tenant_id\", \"view_name\", \"action_name\"])"
        ))
        .await
}

#[tokio::test]
async fn the_weeks_rollups_are_those_that_the_tasks_write() {
    let week = week_with_rollups();
    let bucket = influx().bucket("week-by-tasks");
    let at = |ms: i64| Literal::moment(ms * 1_000_000);
    let until = [("rollup_bucket", Literal::text(bucket.name())), ("stop", at(week.end_ms))];
    let since = ("start", at(week.end_ms - 3 * HOUR_MS));
    for (task, of) in [("rollup-1m", Some(("bucket", Literal::text(week.bucket.name())))), ("rollup-1h", None)] {
        let inputs: Vec<_> = until.iter().cloned().chain([since.clone()]).chain(of).collect();
        bucket.query(&library::task(task).unwrap().bind(&inputs).unwrap()).await;
    }
    for (measurement, least) in [("frontend_performance_1m", 600), ("frontend_performance_1h", 33)] {
        let expected = rolled_up(&week.rollup_bucket, week, measurement).await;
        let written = rolled_up(&bucket, week, measurement).await;
        assert!(expected.len() >= least, "{measurement}: {}", expected.len());
        assert_eq!(written.len(), expected.len(), "{measurement}");
        for (written, expected) in written.iter().zip(&expected) {
            assert!(written.columns().eq(expected.columns()), "{measurement}: {written:?}, not {expected:?}");
            for column in expected.columns().filter(|column| !["_start", "_stop"].contains(column)) {
                let percentile = ["p50", "p95", "p99"].contains(&column);
                let same = if !percentile {
                    written.get(column) == expected.get(column)
                } else if measurement.ends_with("1h") {
                    (written.float(column) / expected.float(column) - 1.0).abs() < 0.001
                } else {
                    // Of a minute's few events an estimate lies somewhere between them.
                    (written.float("min")..=written.float("max")).contains(&written.float(column))
                };
                assert!(same, "{measurement}, {column}: {written:?}, not {expected:?}");
            }
        }
    }
}
