//! What counts: Apdex, web vitals, errors, ingest health, series, and backend, frontend and edge side by side.

use super::{Event, Literal, Range, ask, inputs, week, write};
use crate::support::influx;
use crate::support::week::{TENANTS, Week};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const MINUTE_MS: i64 = 60_000;

fn count(week: &Week, which: impl Fn(&Event) -> bool) -> i64 {
    i64::try_from(week.events().filter(|event| which(event)).count()).expect("not that many")
}

#[tokio::test]
async fn apdex_counts_each_event_as_satisfied_tolerating_or_frustrated() {
    let week = week();
    let range = Range::last(week, 24);
    let rows = ask(&week.bucket, "apdex", &inputs(range, &[("threshold_ms", Literal::int(100))])).await;
    assert_eq!(rows.len(), 12, "three tenants with four views: {rows:?}");
    let mut frustrated = 0;
    for row in &rows {
        let of = |event: &Event| {
            (event.tenant, event.view) == (row.text("tenant_id"), row.text("view_name")) && range.has(event)
        };
        let satisfied = count(week, |event| of(event) && event.duration_ms <= 100);
        let tolerating = count(week, |event| of(event) && (101..=400).contains(&event.duration_ms));
        let all = count(week, of);
        let counted = ["events", "satisfied", "tolerating", "frustrated"].map(|column| row.int(column));
        assert_eq!(counted, [all, satisfied, tolerating, all - satisfied - tolerating]);
        let apdex = (satisfied as f64 + tolerating as f64 / 2.0) / all as f64;
        assert!((row.float("apdex") - apdex).abs() < 1e-9, "{row:?}");
        frustrated += row.int("frustrated");
    }
    assert!(frustrated > 0, "{rows:?}");
}

#[tokio::test]
async fn a_value_on_a_threshold_of_web_vitals_is_on_the_better_side() {
    let bucket = influx().bucket("vitals");
    let thresholds = [
        ("lcp", 2500.0, 4000.0),
        ("inp", 200.0, 500.0),
        ("cls", 0.1, 0.25),
        ("fcp", 1800.0, 3000.0),
        ("ttfb", 800.0, 1800.0),
    ];
    let mut lines = Vec::new();
    for (metric, good, poor) in thresholds {
        for value in [good, good * 1.01, poor, poor * 1.01] {
            lines.push((60, format!("web_vitals_{metric},tenant_id=acme,path=/a value={value}")));
        }
    }
    lines.push((60, "web_vitals_lcp,tenant_id=acme value=9000".to_owned()));
    lines.push((60, "web_vitals_fid,tenant_id=acme,path=/a value=9000".to_owned()));
    write(&bucket, &lines).await;
    let rows = ask(&bucket, "web-vitals", &[]).await;
    let metrics: BTreeSet<_> = rows.iter().map(|row| (row.text("metric"), row.text("path"))).collect();
    let expected = thresholds.map(|(metric, _, _)| (metric, "/a")).into_iter().chain([("lcp", "(none)")]).collect();
    assert_eq!(metrics, expected);
    for row in &rows {
        let shares = ["good_share", "fair_share", "poor_share"].map(|column| row.float(column));
        let (events, expected) = if row.text("path") == "/a" { (4, [0.25, 0.5, 0.25]) } else { (1, [0.0, 0.0, 1.0]) };
        assert_eq!(row.int("events"), events, "{row:?}");
        assert!(shares.iter().zip(expected).all(|(share, expected)| (share - expected).abs() < 1e-9), "{row:?}");
    }
    assert_eq!(rows[0].text("path"), "(none)", "the poorest comes first: {rows:?}");
}

#[tokio::test]
async fn web_vitals_of_the_week_have_a_p75_within_the_fair_and_shares_that_make_one() {
    let week = week();
    let rows = ask(&week.bucket, "web-vitals", &inputs(Range::last(week, 24), &[])).await;
    assert_eq!(rows.len(), 3 * 3 * 4, "tenants, metrics, pages: {rows:?}");
    for row in &rows {
        let shares: f64 = ["good_share", "fair_share", "poor_share"].map(|column| row.float(column)).iter().sum();
        assert!((shares - 1.0).abs() < 1e-9, "{row:?}");
        let good_up_to = match row.text("metric") {
            "lcp" => 2500.0,
            "inp" => 200.0,
            _ => 0.1,
        };
        // Three of four are good, or the 75th percentile is not.
        let (good, p75) = (row.float("good_share"), row.float("p75"));
        let slack = 1.5 / row.int("events") as f64;
        assert!(p75 <= good_up_to || good <= 0.75 + slack, "{row:?}");
        assert!(p75 > good_up_to || good >= 0.75 - slack, "{row:?}");
    }
}

#[tokio::test]
async fn errors_are_the_requests_that_the_backend_answered_with_5xx() {
    let week = week();
    let range = Range::last(week, 24);
    let rows = ask(&week.bucket, "errors", &inputs(range, &[])).await;
    let mut expected: BTreeMap<(&str, &str), (i64, i64)> = BTreeMap::new();
    for event in week.events().filter(|event| event.told_by_backend && range.has(event)) {
        let (requests, errors) = expected.entry((event.tenant, event.endpoint)).or_default();
        *requests += 1;
        *errors += i64::from(event.status >= 500);
    }
    assert_eq!(rows.len(), expected.len(), "{rows:?}");
    assert!(expected.values().any(|(_, errors)| *errors > 0));
    for row in &rows {
        let (requests, errors) = expected[&(row.text("tenant_id"), row.text("endpoint"))];
        assert_eq!((row.int("requests"), row.int("errors")), (requests, errors), "{row:?}");
        assert!((row.float("error_share") - errors as f64 / requests as f64).abs() < 1e-9, "{row:?}");
    }
    assert!(rows.is_sorted_by(|one, other| one.float("error_share") >= other.float("error_share")), "{rows:?}");
}

#[tokio::test]
async fn ingest_health_tells_what_became_of_what_each_tenant_sent() {
    let week = week();
    // The gateway told of itself as it ended, after the week did.
    let rows = ask(&week.bucket, "ingest-health", &[]).await;
    for tenant in &TENANTS {
        let (stored, refused) = (week.points(tenant.name), week.refused(tenant.name));
        let of: Vec<_> = rows
            .iter()
            .filter(|row| row.text("tenant_id") == tenant.name)
            .map(|row| (row.text("outcome"), row.int("points").unsigned_abs()))
            .collect();
        assert_eq!(of, [("delivered", stored), ("rejected_unknown_measurement", refused)], "{rows:?}");
    }
    for row in rows.iter().filter(|row| row.text("outcome") == "delivered") {
        let (stored, refused) = (week.points(row.text("tenant_id")), week.refused(row.text("tenant_id")));
        let share = stored as f64 / (stored + refused) as f64;
        assert!((row.float("share") - share).abs() < 1e-9, "{row:?}");
    }
}

#[tokio::test]
async fn series_are_counted_by_who_makes_them() {
    let bucket = influx().bucket("series");
    let mut lines = Vec::new();
    for action in 0..7 {
        // Two points and two fields, and one series.
        for seconds in [60, 61] {
            let tags = format!("tenant_id=acme,view_name=V,action_name=a{action}");
            lines.push((seconds, format!("frontend_performance,{tags} duration_ms=1i,element_count=2i")));
        }
    }
    lines.push((60, "frontend_performance,tenant_id=acme-2,view_name=V,action_name=a other=1".to_owned()));
    lines.push((60, "backend_api_latency,tenant_id=acme,endpoint=/a,http_method=GET latency_ms=1i".to_owned()));
    lines.push((60, "caddy_http_requests,host=acme.example,instance=pod-0 count=1".to_owned()));
    write(&bucket, &lines).await;
    let rows = ask(&bucket, "series", &[]).await;
    let seen: BTreeMap<_, _> =
        rows.iter().map(|row| ((row.text("tenant_id"), row.text("measurement")), row.int("series"))).collect();
    let expected = BTreeMap::from([
        (("acme", "frontend_performance"), 7),
        (("acme-2", "frontend_performance"), 1),
        (("acme", "backend_api_latency"), 1),
        (("(none)", "caddy_http_requests"), 1),
    ]);
    assert_eq!(seen, expected);
    assert_eq!((rows[0].int("series"), rows[0].float("share")), (7, 0.7), "the most come first: {rows:?}");
    assert_eq!(ask(&bucket, "series", &[("most", Literal::int(2))]).await.len(), 2);
}

#[tokio::test]
async fn backend_edge_and_frontend_agree_with_what_was_sent_minute_by_minute() {
    let week = week();
    let range = Range::last(week, 1);
    let rows = ask(&week.bucket, "backend-frontend-edge", &inputs(range, &[])).await;
    let hosts: BTreeSet<_> = rows.iter().map(|row| row.text("host")).collect();
    assert_eq!(hosts, BTreeSet::from(["acme.example", "globex.example", "initech.example"]));
    let mut both = 0;
    for row in &rows {
        let from_ms = row.nanos("_time") / 1_000_000;
        let minute = Range { from_ms, to_ms: from_ms + MINUTE_MS };
        let tenant = row.text("host").trim_end_matches(".example");
        let of = |event: &Event| event.tenant == tenant && minute.has(event) && event.time_ms < range.to_ms;
        let number = |column: &str| row.get(column).map_or(0, |text| text.parse::<f64>().expect("a number") as i64);
        assert_eq!(number("frontend_events"), count(week, of), "{row:?}");
        assert_eq!(number("backend_requests"), count(week, |event| of(event) && event.told_by_backend), "{row:?}");
        let failed = |event: &Event| of(event) && event.status >= 500;
        assert_eq!(number("backend_errors"), count(week, |event| failed(event) && event.told_by_backend), "{row:?}");
        // The last minute's scrape is still to come.
        if minute.to_ms <= range.to_ms {
            assert_eq!(number("edge_requests"), count(week, of), "{row:?}");
            assert_eq!(number("edge_errors"), count(week, failed), "{row:?}");
        }
        if let Some(p99) = row.get("backend_p99_ms") {
            let latencies =
                week.events().filter(|event| of(event) && event.told_by_backend).map(|event| event.backend_ms);
            let p99: f64 = p99.parse().expect("a number");
            assert!(p99 <= latencies.max().map_or(0.0, f64::from), "{row:?}");
            both += i32::from(row.get("frontend_p99_ms").is_some() && row.get("edge_p99_ms").is_some());
        }
    }
    assert!(both > 30, "{rows:?}");
}

#[tokio::test]
async fn the_backend_of_a_tenant_on_two_hosts_is_in_a_row_of_its_own() {
    let bucket = influx().bucket("hosts");
    let page = "view_name=V,action_name=go";
    let mut lines = vec![
        (120, format!("frontend_performance,tenant_id=two,host=a.example,{page} duration_ms=1i")),
        (120, format!("frontend_performance,tenant_id=two,host=b.example,{page} duration_ms=1i")),
        (120, format!("frontend_performance,tenant_id=one,host=a.example,{page} duration_ms=1i")),
    ];
    for tenant in ["two", "one", "none"] {
        let tags = format!("tenant_id={tenant},endpoint=/a,http_method=GET,status_code=200");
        lines.push((120, format!("backend_api_latency,{tags} latency_ms=5i")));
    }
    write(&bucket, &lines).await;
    let hour = ("every", Literal::duration(Duration::from_secs(86_400)));
    let rows = ask(&bucket, "backend-frontend-edge", &[hour]).await;
    let mut requests: BTreeMap<&str, i64> = BTreeMap::new();
    for row in &rows {
        *requests.entry(row.text("host")).or_default() +=
            row.get("backend_requests").map_or(0, |text| text.parse::<f64>().expect("a number") as i64);
    }
    assert_eq!(requests, BTreeMap::from([("(unknown)", 2), ("a.example", 1), ("b.example", 0)]), "{rows:?}");
}
