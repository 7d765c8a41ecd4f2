//! A tenant that makes series without end: bounded, nothing lost, the guilty tag named, and another tenant untouched.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    ACME_KEY, Bucket, GLOBEX_KEY, Gateway, Totals, config_for, eventually, flux_string, http, influx, now_ms, post,
    random_text,
};

const SOON: Duration = Duration::from_secs(60);
const HOUR_MS: i64 = 3_600_000;
const BUDGET: usize = 200;
/// docs/limits.md: the budget, two reserves of at least 50, and one for each measurement that is written here.
const BOUND: usize = BUDGET + 50 + 50 + 1;

/// The budgets are those of an hour by the clock: a test that ran over its end would see two. Waits for the next one where the end is near.
async fn well_within_an_hour() {
    let left = HOUR_MS - now_ms() % HOUR_MS;
    if left < 90_000 {
        tokio::time::sleep(Duration::from_millis(left.unsigned_abs() + 100)).await;
    }
}

/// Events at times of their own, each of a session and a release of its own, in 60 views of ten events in turn.
fn flood(start: i64, first: i64, count: i64) -> Value {
    let event = |n: i64| {
        json!({
            "sessionId": random_text(12), "viewName": format!("view-{}", n / 10 % 60), "actionName": "a", "timestamp": start + n, "seq": n,
            "tags": {"release": random_text(10), "app_version": format!("{}", n % 3)},
            "metrics": {"element_count": 1},
        })
    };
    (first..first + count).map(event).collect()
}

/// Events of a tenant as it should be: 4 sessions, one view.
fn steady(start: i64, first: i64) -> Value {
    let event = |n: i64| json!({"sessionId": format!("s-{}", n % 4), "viewName": "v", "actionName": "a", "timestamp": start + n, "seq": n, "metrics": {"element_count": 1}});
    (first..first + 20).map(event).collect()
}

/// The series of a tenant that are stored, counted by InfluxDB.
async fn stored_series(bucket: &Bucket, tenant: &str) -> usize {
    let flux = format!(
        "import \"influxdata/influxdb\"
         influxdb.cardinality(bucket: {}, start: 1970-01-01T00:00:00Z, predicate: (r) => r.tenant_id == {})",
        flux_string(bucket.name()),
        flux_string(tenant)
    );
    let rows = bucket.query(&flux).await;
    usize::try_from(rows.first().map_or(0, |row| row.int("_value"))).unwrap()
}

/// The different values of a tag among a tenant's points.
async fn values(bucket: &Bucket, tenant: &str, tag: &str) -> BTreeSet<String> {
    let flux = format!(
        "|> filter(fn: (r) => r.tenant_id == {} and r._field == \"element_count\") |> group() |> distinct(column: {}) |> keep(columns: [\"_value\"])",
        flux_string(tenant),
        flux_string(tag)
    );
    bucket.select(&flux).await.iter().map(|row| row.text("_value").to_owned()).collect()
}

async fn delivered(gateway: &Gateway, tenant: &str, points: u64) {
    eventually(SOON, || async {
        let totals = Totals::of(gateway, tenant);
        if totals.delivered == points { Ok(()) } else { Err(format!("{totals:?}")) }
    })
    .await;
}

#[tokio::test]
async fn a_flood_of_series_is_bounded_loses_nothing_and_its_tag_is_named() {
    well_within_an_hour().await;
    let bucket = influx().bucket("series");
    let config = format!("{}\n[tenants.acme.limits]\nseries_per_hour = {BUDGET}\n", config_for(&bucket));
    let gateway = Gateway::start(&config).await;
    let start = now_ms() - 60_000;
    for request in 0..10 {
        assert_eq!(post(&gateway, ACME_KEY, &flood(start, request * 400, 400)).status, 202);
        assert_eq!(post(&gateway, GLOBEX_KEY, &steady(start, request * 20)).status, 202);
    }
    delivered(&gateway, "acme", 4_000).await;
    delivered(&gateway, "globex", 200).await;

    // Every point is there, under no more series than the bound.
    assert_eq!((bucket.stored("acme").await, bucket.stored("globex").await), (4_000, 200));
    let totals = Totals::of(&gateway, "acme");
    assert_eq!((totals.accepted, totals.rejected), (4_000, 0));
    let flux = "|> filter(fn: (r) => r.tenant_id == \"acme\" and r._field == \"element_count\") |> first() |> group() |> count()";
    let made = usize::try_from(bucket.select(flux).await[0].int("_value")).unwrap();
    assert!((BUDGET + 50..=BOUND).contains(&made), "{made} series of at most {BOUND}");
    // InfluxDB counts each field of a series: the one that is sent, and `session` where it became one.
    let cardinality = stored_series(&bucket, "acme").await;
    assert!((made..=2 * BOUND).contains(&cardinality), "{cardinality}");
    assert!(values(&bucket, "acme", "release").await.contains("__other__"));
    assert!(values(&bucket, "acme", "view_name").await.contains("__other__"));
    // A demoted session is found still, by its field.
    let sessions = "|> filter(fn: (r) => r.tenant_id == \"acme\" and r._field == \"session\") |> group() |> count(column: \"_value\")";
    assert_eq!(bucket.select(sessions).await[0].int("_value"), 4_000 - BUDGET as i64);

    // The other tenant's tags are as they were sent.
    assert_eq!(values(&bucket, "globex", "session_id").await.len(), 4);
    assert_eq!(stored_series(&bucket, "globex").await, 4);

    let told = gateway.admin_json("/admin/series");
    let hour = &told["tenants"]["acme"]["hour"];
    assert_eq!((&hour["budget"], &hour["series"]), (&json!(BUDGET), &json!(BUDGET + 100)), "{told}");
    let beyond = hour["beyond"].as_f64().unwrap();
    assert!((beyond - 3_800.0).abs() < 380.0, "{beyond}");
    assert_eq!(
        hour["demoted"],
        json!({"session": 50, "free_tags": 3_150, "all_tags": 600, "metric_names": 0}),
        "{told}"
    );
    let tags = hour["tags"].as_array().unwrap();
    let worst: BTreeSet<_> = tags[..2].iter().map(|tag| tag["tag"].as_str().unwrap()).collect();
    assert_eq!(worst, BTreeSet::from(["release", "session_id"]), "{told}");
    assert!(tags[0]["values"].as_u64().unwrap() > 3_000 && tags[0]["samples"].as_array().unwrap().len() == 5, "{told}");
    let globex = &told["tenants"]["globex"]["hour"];
    assert_eq!((&globex["series"], &globex["beyond"], &globex["tags"]), (&json!(4), &json!(0), &json!([])), "{told}");

    let metrics = http::request(gateway.admin_address(), "GET", "/metrics", &[], b"").text();
    for line in [
        format!("tagline_series{{tenant=\"acme\",window=\"hour\"}} {}", BUDGET + 100),
        "tagline_series{tenant=\"globex\",window=\"day\"} 4".to_owned(),
        format!(
            "tagline_series_used_ratio{{tenant=\"acme\",window=\"hour\"}} {}",
            (BUDGET + 100) as f64 / BUDGET as f64
        ),
        "tagline_series_demoted_total{step=\"metric_names\"} 0".to_owned(),
        "tagline_series_demoted_total{step=\"session\"} 50".to_owned(),
        "tagline_series_demoted_total{step=\"all_tags\"} 600".to_owned(),
    ] {
        assert!(metrics.lines().any(|found| found == line), "no {line} in {metrics}");
    }
    assert_eq!(gateway.readiness().0, 200);

    // One line in the log, which names the tag.
    let warnings: Vec<_> =
        gateway.log_lines().into_iter().filter(|line| line.to_string().contains("budget of series")).collect();
    let [warning] = &warnings[..] else { panic!("{warnings:?}") };
    let fields = warning.get("fields").unwrap_or(warning);
    assert_eq!((&fields["tenant"], &fields["window"]), (&json!("acme"), &json!("hour")), "{warning}");
    assert!(["release", "session_id"].contains(&fields["made_by"].as_str().unwrap()), "{warning}");
}

#[tokio::test]
async fn made_up_names_of_metrics_are_bounded_and_their_values_arrive() {
    well_within_an_hour().await;
    let bucket = influx().bucket("metric-names");
    let config = format!("{}\n[tenants.acme.limits]\nseries_per_hour = 100\n", config_for(&bucket));
    let gateway = Gateway::start(&config).await;
    let start = now_ms() - 60_000;
    let event = |n: i64| {
        let metrics = json!({"element_count": 1, format!("made_up_{n}"): n, format!("and_{n}"): n});
        json!({"sessionId": "s", "viewName": "v", "actionName": "a", "timestamp": start + n, "seq": n, "metrics": metrics})
    };
    assert_eq!(post(&gateway, ACME_KEY, &(0..500).map(event).collect()).status, 202);
    delivered(&gateway, "acme", 500).await;
    // One place is the series', 99 are names; the others' values stand under two names more.
    let fields = bucket.select("|> filter(fn: (r) => r.tenant_id == \"acme\") |> keep(columns: [\"_field\", \"_value\"]) |> group(columns: [\"_field\"]) |> toFloat() |> sum()").await;
    assert_eq!(fields.len(), 1 + 99 + 2, "{fields:?}");
    let sum: f64 =
        fields.iter().filter(|row| row.text("_field") != "element_count").map(|row| row.float("_value")).sum();
    assert_eq!(sum, 2.0 * (0..500).sum::<i64>() as f64, "no value is lost");
}

#[tokio::test]
async fn a_dry_run_stores_every_series_and_tells_how_many() {
    well_within_an_hour().await;
    let bucket = influx().bucket("series-dry");
    let limits = "[tenants.acme.limits]\nseries_per_hour = 50\ndry_run = [\"series_per_hour\"]\n";
    let gateway = Gateway::start(&format!("{}\n{limits}", config_for(&bucket))).await;
    assert_eq!(post(&gateway, ACME_KEY, &flood(now_ms() - 60_000, 0, 300)).status, 202);
    delivered(&gateway, "acme", 300).await;
    assert_eq!(values(&bucket, "acme", "session_id").await.len(), 300);
    let hour = &gateway.admin_json("/admin/series")["tenants"]["acme"]["hour"];
    assert_eq!((&hour["dryRun"], &hour["series"]), (&json!(true), &json!(50)));
    assert!((hour["beyond"].as_f64().unwrap() - 250.0).abs() < 25.0, "{hour}");
}
