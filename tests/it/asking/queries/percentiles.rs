//! `summary`, `percentiles`, `compare`, and the same of the rollups: within 2% of the exact quantiles of what was sent.

use super::{Event, HOUR_MS, Literal, Range, Row, Week, ask, inputs, text, week, week_with_rollups};
use std::time::Duration;

const QUANTILES: [(&str, f64); 3] = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)];
const MINUTE_MS: i64 = 60_000;

/// Holds each percentile of a row against the durations of these events. An estimate may lie between two durations that are further apart than 2%:
/// between those beside the exact one it must lie.
#[track_caller]
fn assert_percentiles(week: &Week, row: &Row, suffix: &str, which: impl Fn(&Event) -> bool) {
    let durations = week.durations(which);
    assert_eq!(row.int(&format!("events{suffix}")).unsigned_abs(), durations.len() as u64, "{row:?}");
    for (name, q) in QUANTILES {
        let rank = (q * durations.len() as f64).ceil() as usize - 1;
        let low = f64::from(durations[rank.saturating_sub(1)]) * 0.98;
        let high = f64::from(durations[(rank + 1).min(durations.len() - 1)]) * 1.02;
        let value = row.float(&format!("{name}{suffix}"));
        assert!((low..=high).contains(&value), "{name}{suffix} is {value}, not {low} to {high}: {row:?}");
    }
}

/// Where so many events stand behind a percentile, it is held against the exact one alone.
#[track_caller]
fn assert_within_two_percent(week: &Week, row: &Row, which: impl Fn(&Event) -> bool + Copy) {
    for (name, q) in QUANTILES {
        let (value, exact) = (row.float(name), week.exact_quantile(q, which));
        assert!((value / exact - 1.0).abs() < 0.02, "{name} is {value}, and exactly {exact}: {row:?}");
    }
}

#[tokio::test]
async fn the_summary_of_each_tenant_is_within_two_percent_of_the_exact_quantiles() {
    let week = week();
    let range = Range::last(week, 24);
    let rows = ask(&week.bucket, "summary", &inputs(range, &[])).await;
    let tenants: Vec<_> = rows.iter().map(|row| row.text("tenant_id")).collect();
    assert_eq!(tenants, ["acme", "globex", "initech"]);
    for row in &rows {
        let which = |event: &Event| event.tenant == row.text("tenant_id") && range.has(event);
        assert_percentiles(week, row, "", which);
        assert_within_two_percent(week, row, which);
        let last = week.events().filter(|event| which(event)).map(|event| event.time_ms).max();
        assert_eq!(Some(row.nanos("last") / 1_000_000), last, "{row:?}");
    }
}

#[tokio::test]
async fn the_summary_of_a_view_and_an_action_is_of_these_alone() {
    let week = week();
    let range = Range::last(week, 24);
    let narrow = [text("tenant", "globex"), text("view", "ReportView"), text("action", "render")];
    let rows = ask(&week.bucket, "summary", &inputs(range, &narrow)).await;
    let [row] = &rows[..] else { panic!("one tenant: {rows:?}") };
    assert_percentiles(week, row, "", |event| {
        (event.tenant, event.view, event.action) == ("globex", "ReportView", "render") && range.has(event)
    });
}

#[tokio::test]
async fn percentiles_of_each_window_are_those_of_its_events() {
    let week = week();
    let range = Range::last(week, 8);
    let every = ("every", Literal::duration(Duration::from_secs(2 * 3600)));
    let rows = ask(&week.bucket, "percentiles", &inputs(range, &[every])).await;
    assert!(rows.len() >= 3 * 4, "{rows:?}");
    for row in &rows {
        let from_ms = row.nanos("_time") / 1_000_000;
        assert_eq!(from_ms % (2 * HOUR_MS), 0, "{row:?}");
        let window = Range { from_ms, to_ms: range.to_ms.min(from_ms + 2 * HOUR_MS) };
        assert_percentiles(week, row, "", |event| event.tenant == row.text("tenant_id") && window.has(event));
    }
}

#[tokio::test]
async fn two_tenants_stand_side_by_side_with_their_difference() {
    let week = week();
    let range = Range::last(week, 6);
    let two = [text("tenant_a", "acme"), text("tenant_b", "initech"), text("view", "CheckoutView")];
    let every = ("every", Literal::duration(Duration::from_secs(3600)));
    let rows = ask(&week.bucket, "compare", &inputs(range, &[&two[..], &[every]].concat())).await;
    assert!(rows.len() >= 6, "{rows:?}");
    for row in &rows {
        let from_ms = row.nanos("_time") / 1_000_000;
        let window = Range { from_ms, to_ms: range.to_ms.min(from_ms + HOUR_MS) };
        for (tenant, suffix) in [("acme", "_a"), ("initech", "_b")] {
            assert_percentiles(week, row, suffix, |event| {
                (event.tenant, event.view) == (tenant, "CheckoutView") && window.has(event)
            });
        }
        let difference = row.float("p99_a") - row.float("p99_b");
        assert!((row.float("p99_difference") - difference).abs() < 1e-6, "{row:?}");
    }
}

/// Whole minutes, not whole hours, that end before the newest of the rollups.
fn rolled_up(week: &Week) -> Range {
    let to_ms = week.end_ms / MINUTE_MS * MINUTE_MS;
    let from_ms = to_ms - 20 * HOUR_MS + 17 * MINUTE_MS;
    assert_ne!(from_ms % HOUR_MS, 0);
    Range { from_ms, to_ms }
}

#[tokio::test]
async fn the_summary_of_rollups_takes_hours_and_the_minutes_at_both_ends() {
    let week = week_with_rollups();
    let range = rolled_up(week);
    let rows = ask(&week.rollup_bucket, "summary-rollup", &inputs(range, &[])).await;
    assert_eq!(rows.len(), 3, "{rows:?}");
    for row in &rows {
        let which = |event: &Event| event.tenant == row.text("tenant_id") && range.has(event);
        assert_eq!(row.int("events") as usize, week.durations(which).len(), "{row:?}");
        assert_within_two_percent(week, row, which);
        let last = week.events().filter(|event| which(event)).map(|event| event.time_ms / MINUTE_MS * MINUTE_MS).max();
        assert_eq!(Some(row.nanos("last") / 1_000_000), last, "{row:?}");
    }
    // Minutes alone, where there is no whole hour.
    let short = Range { from_ms: range.to_ms - 10 * MINUTE_MS, to_ms: range.to_ms };
    let rows = ask(&week.rollup_bucket, "summary-rollup", &inputs(short, &[text("tenant", "acme")])).await;
    let [row] = &rows[..] else { panic!("one tenant: {rows:?}") };
    assert_within_two_percent(week, row, |event| event.tenant == "acme" && short.has(event));
}

#[tokio::test]
async fn windows_of_rollups_are_within_two_percent_whether_made_of_hours_or_of_minutes() {
    let week = week_with_rollups();
    let range = rolled_up(week);
    for (every_ms, hours) in [(2 * HOUR_MS, 20), (HOUR_MS / 2, 3)] {
        let range = Range { from_ms: range.to_ms - hours * HOUR_MS, ..range };
        let every = ("every", Literal::duration(Duration::from_millis(every_ms.unsigned_abs())));
        let acme = [text("tenant", "acme"), text("view", "CheckoutView"), every.clone()];
        let windows = ask(&week.rollup_bucket, "percentiles-rollup", &inputs(range, &acme)).await;
        let two = [text("tenant_a", "acme"), text("tenant_b", "globex"), text("view", "CheckoutView"), every];
        let compared = ask(&week.rollup_bucket, "compare-rollup", &inputs(range, &two)).await;
        assert!(windows.len() as i64 >= hours * HOUR_MS / every_ms, "{windows:?}");
        assert_eq!(windows.len(), compared.len(), "{compared:?}");
        for (row, compared) in windows.iter().zip(&compared) {
            let from_ms = row.nanos("_time") / 1_000_000;
            assert_eq!(from_ms % every_ms, 0, "{row:?}");
            let window = Range { from_ms, to_ms: range.to_ms.min(from_ms + every_ms) };
            let of = |tenant| {
                move |event: &Event| (event.tenant, event.view) == (tenant, "CheckoutView") && window.has(event)
            };
            assert_eq!(row.int("events") as usize, week.durations(of("acme")).len(), "{row:?}");
            assert_within_two_percent(week, row, of("acme"));
            for (name, q) in QUANTILES {
                assert_eq!(compared.get(&format!("{name}_a")), row.get(name), "{compared:?}, {row:?}");
                let exact = week.exact_quantile(q, of("globex"));
                let ratio = compared.float(&format!("{name}_b")) / exact;
                assert!((ratio - 1.0).abs() < 0.02, "{name}_b, exactly {exact}: {compared:?}");
            }
        }
    }
}
