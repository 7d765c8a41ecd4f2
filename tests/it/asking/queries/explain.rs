//! `explain` names the cause that hides in the week, and nothing where there is none.

use super::{Literal, Range, Row, ask, inputs, text, week, write};
use crate::support::influx;
use crate::support::week::{CAUSE, HOUR_MS};
use std::collections::BTreeSet;

fn tenants(a: &str, b: &str) -> [(&'static str, Literal); 2] {
    [text("tenant_a", a), text("tenant_b", b)]
}

fn segments(rows: &[Row]) -> Vec<&str> {
    rows.iter().map(|row| row.text("segment")).collect()
}

#[tokio::test]
async fn explain_names_the_hidden_cause_first_against_either_tenant_over_each_range() {
    let week = week();
    for other in ["globex", "initech"] {
        for hours in [1, 6, 24] {
            let range = Range::last(week, hours);
            let rows = ask(&week.bucket, "explain", &inputs(range, &tenants("acme", other))).await;
            let row = rows.first().unwrap_or_else(|| panic!("{other}, {hours} h: no row"));
            let named = ["view_name", "action_name", "browser", "region"].map(|column| row.get(column));
            assert_eq!(
                named,
                [Some(CAUSE.view), Some(CAUSE.action), Some(CAUSE.browser), None],
                "{other}, {hours} h: {rows:?}"
            );
            assert_eq!(row.text("segment"), "view_name=CheckoutView, action_name=pay, browser=Chrome 131");
            assert!(row.float("explains") > 0.6 && row.float("explains") <= 1.0, "{other}, {hours} h: {rows:?}");

            // Its numbers are those of the events.
            let slower_than = row.float("slower_than_ms");
            let in_segment: Vec<_> = week
                .events()
                .filter(|event| range.has(event) && event.tenant == "acme")
                .filter(|event| (event.view, event.action, event.browser) == (CAUSE.view, CAUSE.action, CAUSE.browser))
                .collect();
            let slow = in_segment.iter().filter(|event| f64::from(event.duration_ms) > slower_than).count();
            assert_eq!((row.int("events") as usize, row.int("slow") as usize), (in_segment.len(), slow), "{row:?}");
            // The estimate lies between the durations beside the exact one.
            let durations = week.durations(|event| event.tenant == other && range.has(event));
            let rank = (0.99 * durations.len() as f64).ceil() as usize - 1;
            let beside = f64::from(durations[rank - 1])..=f64::from(durations[rank + 1]);
            assert!(beside.contains(&slower_than), "{slower_than}, not in {beside:?}");
            let (share, expected) = (row.float("slow_share"), row.float("expected_share"));
            assert!((share - slow as f64 / in_segment.len() as f64).abs() < 1e-9, "{row:?}");
            assert!((row.float("excess") - (share - expected) * in_segment.len() as f64).abs() < 1e-6, "{row:?}");
        }
    }
}

#[tokio::test]
async fn the_quicker_tenant_has_nothing_to_explain() {
    let week = week();
    let rows = ask(&week.bucket, "explain", &inputs(Range::last(week, 24), &tenants("globex", "acme"))).await;
    assert_eq!(segments(&rows), [""; 0], "{rows:?}");
}

#[tokio::test]
async fn a_tenant_against_itself_has_nothing_to_explain() {
    let week = week();
    for tenant in ["acme", "globex", "initech"] {
        let rows = ask(&week.bucket, "explain", &inputs(Range::last(week, 24), &tenants(tenant, tenant))).await;
        assert_eq!(segments(&rows), [""; 0], "{tenant}: {rows:?}");
    }
}

#[tokio::test]
async fn without_a_cause_no_view_action_or_browser_is_blamed() {
    let week = week();
    // Before the cause. What differs is the pace of everything, which region people sit in and which views they use.
    for from_days in [7, 4] {
        let range = Range { from_ms: week.end_ms - from_days * 24 * HOUR_MS, to_ms: week.end_ms - 25 * HOUR_MS };
        for (a, b) in [("acme", "globex"), ("acme", "initech"), ("globex", "initech"), ("globex", "acme")] {
            let rows = ask(&week.bucket, "explain", &inputs(range, &tenants(a, b))).await;
            let allowed = BTreeSet::from(["(everywhere)", "(more of what is slow for both)"]);
            let blamed: Vec<_> = segments(&rows).into_iter().filter(|segment| !allowed.contains(segment)).collect();
            assert_eq!(blamed, [""; 0], "{a} against {b}, {from_days} days: {rows:?}");
        }
    }
}

#[tokio::test]
async fn using_a_slow_view_more_is_told_as_that() {
    let week = week();
    let range = Range { from_ms: week.end_ms - 7 * 24 * HOUR_MS, to_ms: week.end_ms - 25 * HOUR_MS };
    // globex uses the slowest view three times as much, and sits far away more often.
    let rows = ask(&week.bucket, "explain", &inputs(range, &tenants("globex", "initech"))).await;
    let row = rows.first().expect("globex is slower");
    assert_eq!(row.text("segment"), "(more of what is slow for both)", "{rows:?}");
    assert!(row.float("explains") > 0.5 && row.float("explains") <= 1.0, "{rows:?}");
}

/// Events of a tenant: `slow` of them slow.
fn events(tenant: &str, tags: &str, count: usize, slow: usize) -> Vec<(i64, String)> {
    let line = |number: usize| {
        let duration = if number < slow { 900 } else { 50 + number % 50 };
        let line = format!("frontend_performance,tenant_id={tenant},{tags} duration_ms={duration}i");
        (60 + (number % 600) as i64, line)
    };
    (0..count).map(line).collect()
}

#[tokio::test]
async fn a_segment_that_the_other_tenant_does_not_have_is_found() {
    let bucket = influx().bucket("explain");
    let (list, reports) = ("view_name=List,action_name=load,browser=A", "view_name=Reports,action_name=draw,browser=A");
    write(&bucket, &events("a", list, 3000, 20)).await;
    write(&bucket, &events("a", reports, 300, 100)).await;
    write(&bucket, &events("b", list, 3000, 20)).await;
    let rows = ask(&bucket, "explain", &tenants("a", "b")).await;
    let row = rows.first().expect("a row");
    // What all of tenant a's events have in common, the browser, is not part of it.
    assert_eq!(row.text("segment"), "view_name=Reports, action_name=draw", "{rows:?}");
    assert_eq!((row.int("events"), row.int("slow")), (300, 100));
    assert_eq!(row.get("region"), None, "no event has one: {row:?}");
}

#[tokio::test]
async fn two_causes_are_two_rows_that_share_the_whole() {
    let bucket = influx().bucket("explain");
    for (view, browser, slow) in
        [("V", "A", 80), ("V", "B", 5), ("W", "A", 5), ("W", "B", 40), ("X", "A", 5), ("X", "B", 5)]
    {
        let tags = format!("view_name={view},action_name=go,browser={browser}");
        write(&bucket, &events("a", &tags, 500, slow)).await;
        write(&bucket, &events("b", &tags, 500, 5)).await;
    }
    let rows = ask(&bucket, "explain", &tenants("a", "b")).await;
    assert_eq!(segments(&rows), ["view_name=V, browser=A", "view_name=W, browser=B"], "{rows:?}");
    let together: f64 = rows.iter().map(|row| row.float("explains")).sum();
    assert!((0.8..=1.05).contains(&together), "{rows:?}");
    let most = ask(&bucket, "explain", &[&tenants("a", "b")[..], &[("most", Literal::int(1))]].concat()).await;
    assert_eq!(segments(&most), ["view_name=V, browser=A"]);
}

#[tokio::test]
async fn few_events_and_absent_tenants_are_no_error_and_no_cause() {
    let bucket = influx().bucket("explain");
    let tags = "view_name=V,action_name=go,browser=A";
    write(&bucket, &events("a", tags, 3, 1)).await;
    write(&bucket, &events("b", tags, 500, 5)).await;
    write(&bucket, &events("one", tags, 1, 0)).await;
    for (a, b) in [("a", "b"), ("b", "one"), ("one", "b"), ("a", "nobody"), ("nobody", "b"), ("nobody", "none")] {
        let rows = ask(&bucket, "explain", &tenants(a, b)).await;
        assert_eq!(segments(&rows), [""; 0], "{a} against {b}: {rows:?}");
    }
}
