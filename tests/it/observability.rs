//! What operators see: the ledger, the rejections, the metrics, the checks; and that they agree with each other.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    ACME_KEY, Connection, GLOBEX_KEY, Gateway, Totals, config_for, event, events, eventually, http, influx, now_ms,
    post,
};

const SOON: Duration = Duration::from_secs(15);

/// One scrape of `/metrics`, read strictly: what a Prometheus would take, and nothing laxer.
#[derive(Debug, Default)]
struct Scrape {
    kinds: BTreeMap<String, String>,
    /// By `name{labels}` as written.
    samples: BTreeMap<String, f64>,
}

impl Scrape {
    fn of(gateway: &Gateway) -> Self {
        let answer = http::request(gateway.admin_address(), "GET", "/metrics", &[], b"");
        assert_eq!(answer.status, 200);
        let kind = answer.header("content-type").unwrap();
        assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
        Self::read(&answer.text())
    }

    fn read(text: &str) -> Self {
        assert!(text.ends_with('\n'), "the last line has no end");
        let (mut scrape, mut helped) = (Self::default(), BTreeSet::new());
        let mut open = String::new();
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, words) = help.split_once(' ').unwrap_or_else(|| panic!("a HELP without words: {line}"));
                assert!(!words.trim().is_empty() && helped.insert(name.to_owned()), "HELP twice, or empty: {line}");
                open = name.to_owned();
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                assert_eq!(name, open, "TYPE does not follow its HELP");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert!(scrape.kinds.insert(name.to_owned(), kind.to_owned()).is_none(), "TYPE twice: {line}");
            } else {
                assert!(!line.starts_with('#') && !line.is_empty(), "a strange line: {line:?}");
                let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
                scrape.check_family(series, &open);
                let value: f64 = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
                assert!(scrape.samples.insert(series.to_owned(), value).is_none(), "twice: {series}");
            }
        }
        scrape
    }

    /// A sample belongs to the family that was announced last, by name and by kind.
    fn check_family(&self, series: &str, family: &str) {
        let name = series.split('{').next().unwrap();
        let kind = self.kinds.get(family).unwrap_or_else(|| panic!("a sample before its TYPE: {series}"));
        let belongs = match kind.as_str() {
            "histogram" => ["_bucket", "_sum", "_count"].iter().any(|end| name.strip_suffix(end) == Some(family)),
            _ => name == family,
        };
        assert!(belongs, "{series} stands under {family}");
        assert!(name.starts_with("tagline_"), "{series}");
        assert_eq!(kind == "counter", name.ends_with("_total"), "{series} is a {kind}");
        if let Some((_, labels)) = series.split_once('{') {
            let labels = labels.strip_suffix('}').unwrap_or_else(|| panic!("{series}"));
            for label in labels.split("\",") {
                let (name, value) = label.split_once("=\"").unwrap_or_else(|| panic!("{series}"));
                assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{series}");
                assert!(!value.trim_end_matches('"').is_empty(), "{series}");
            }
        }
    }

    fn value(&self, series: &str) -> f64 {
        *self.samples.get(series).unwrap_or_else(|| panic!("no {series} in {:#?}", self.samples.keys()))
    }

    fn tenants(&self) -> BTreeSet<String> {
        let labels = self.samples.keys().filter_map(|series| series.split("tenant=\"").nth(1));
        labels.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
    }
}

/// Sends 30 good points and a bad one for acme, 20 for globex, and waits until they are delivered.
async fn traffic(gateway: &Gateway) {
    let mut batch = events(now_ms(), 0, 31);
    batch[3]["metrics"] = json!({"duration_ms": null});
    batch[5]["tags"] = json!({"not_in_the_catalog": "x"});
    assert_eq!(post(gateway, ACME_KEY, &batch).status, 202);
    assert_eq!(post(gateway, GLOBEX_KEY, &events(now_ms(), 0, 20)).status, 202);
    assert_eq!(post(gateway, ACME_KEY, &json!([{"viewName": "v"}, 5])).status, 400);
    eventually(SOON, || async {
        let rows = ["acme", "globex"].map(|tenant| Totals::of(gateway, tenant));
        if rows.iter().all(|row| row.pending == 0) { Ok(()) } else { Err(format!("{rows:?}")) }
    })
    .await;
}

#[tokio::test]
async fn the_metrics_are_well_formed_and_agree_with_the_ledger() {
    let bucket = influx().bucket("metrics");
    let gateway = Gateway::start(&config_for(&bucket)).await;
    traffic(&gateway).await;
    let unknown = http::request(gateway.address(), "POST", "/v1/telemetry?k=no-such-key-0123456789", &[], b"{}");
    assert_eq!(unknown.status, 401);

    let scrape = Scrape::of(&gateway);
    let ledger = gateway.admin_json("/admin/ledger");
    for tenant in ["acme", "globex"] {
        let row = &ledger["tenants"][tenant];
        let label = format!("{{tenant=\"{tenant}\"}}");
        assert_eq!(scrape.value(&format!("tagline_points_accepted_total{label}")), row["accepted"].as_f64().unwrap());
        assert_eq!(scrape.value(&format!("tagline_points_pending{label}")), 0.0);
        for (outcome, points) in row["outcomes"].as_object().unwrap() {
            let series = format!("tagline_points_total{{tenant=\"{tenant}\",outcome=\"{outcome}\"}}");
            assert_eq!(scrape.value(&series), points.as_f64().unwrap(), "{series}");
        }
    }
    let acme = Totals::of(&gateway, "acme");
    assert_eq!((acme.accepted, acme.delivered, acme.rejected), (30, 30, 3));
    assert_eq!(ledger["tenants"]["acme"]["tagsDropped"], 1);
    assert_eq!(scrape.value("tagline_tags_dropped_total"), 1.0);
    for (status, requests) in [("202", 2.0), ("400", 1.0), ("401", 1.0)] {
        assert_eq!(scrape.value(&format!("tagline_http_requests_total{{status=\"{status}\"}}")), requests, "{status}");
    }
    assert_eq!(scrape.value("tagline_http_request_seconds_count"), 4.0);
    assert_eq!(scrape.value("tagline_http_request_seconds_bucket{le=\"+Inf\"}"), 4.0);
    assert!(scrape.value("tagline_batch_points_sum") >= 50.0);
    assert!(scrape.value("tagline_delivery_lag_seconds_count") >= 1.0);
    assert_eq!(scrape.value("tagline_spool_points"), 0.0);
    assert!(
        scrape
            .samples
            .keys()
            .any(|series| series.starts_with("tagline_build_info{") && series.contains(env!("CARGO_PKG_VERSION")))
    );
    // Counters only go up.
    traffic(&gateway).await;
    let later = Scrape::of(&gateway);
    for (series, value) in
        scrape.samples.iter().filter(|(series, _)| series.split('{').next().unwrap().ends_with("_total"))
    {
        assert!(later.value(series) >= *value, "{series} went down");
    }
}

#[tokio::test]
async fn tenant_labels_are_bounded_and_the_ledger_is_exact() {
    let bucket = influx().bucket("labels");
    let mut config = config_for(&bucket);
    for tenant in 0..30 {
        config.push_str(&format!(
            "[tenants.t{tenant}.keys.web]\nkey = \"key-of-tenant-{tenant:04}\"\norigins = [\"*\"]\n"
        ));
    }
    let gateway = Gateway::start(&config).await;
    // Tenant n sends n + 1 points: the busiest are known.
    for tenant in 0..30_u64 {
        let key = format!("key-of-tenant-{tenant:04}");
        assert_eq!(post(&gateway, &key, &events(now_ms(), 0, tenant + 1)).status, 202);
    }
    let scrape = Scrape::of(&gateway);
    let labels = scrape.tenants();
    let busiest: BTreeSet<String> = (10..30).map(|n| format!("t{n}")).chain(["_other".to_owned()]).collect();
    assert_eq!(labels, busiest);
    let label = |tenant: &str| scrape.value(&format!("tagline_points_accepted_total{{tenant=\"{tenant}\"}}"));
    assert_eq!((label("t29"), label("_other")), (30.0, 55.0));
    let total: f64 = labels.iter().map(|tenant| label(tenant)).sum();
    assert_eq!(total, 465.0, "the sum over all labels is the whole");
    let ledger = gateway.admin_json("/admin/ledger");
    assert_eq!(ledger["tenants"].as_object().unwrap().len(), 32);
    for tenant in 0..30 {
        assert_eq!(ledger["tenants"][format!("t{tenant}")]["accepted"], tenant + 1);
    }
}

#[tokio::test]
async fn the_last_rejections_of_each_tenant_are_seen_with_reason_and_index_and_no_payload() {
    let bucket = influx().bucket("rejections");
    let gateway = Gateway::start(&config_for(&bucket)).await;
    let before = now_ms();
    let bad = |n: usize| json!({"viewName": "PAYLOAD-7", "actionName": "a", "metrics": {"duration_ms": format!("PAYLOAD-{n}")}});
    let batch: Value = (0..25).map(bad).collect();
    assert_eq!(post(&gateway, ACME_KEY, &batch).status, 400);
    let seen = gateway.admin_json("/admin/rejections");
    let acme = seen["tenants"]["acme"].as_array().unwrap();
    assert_eq!(acme.len(), 20, "bounded");
    assert_eq!((&acme[0]["index"], &acme[19]["index"]), (&json!(5), &json!(24)), "the last ones");
    for one in acme {
        assert_eq!(one["reason"], "not_a_number", "{one}");
        assert!(one["atMs"].as_i64().unwrap() >= before && !one["detail"].as_str().unwrap().is_empty(), "{one}");
    }
    assert!(!seen.to_string().contains("PAYLOAD"), "{seen}");
    assert_eq!(seen["tenants"]["globex"], json!([]));
    assert_eq!(Totals::of(&gateway, "acme").rejected, 25);
}

#[tokio::test]
async fn health_is_on_both_listeners_and_the_admin_routes_on_one() {
    let bucket = influx().bucket("listeners");
    let gateway = Gateway::start(&config_for(&bucket)).await;
    let get = |address, target: &str| http::request(address, "GET", target, &[], b"");
    for address in [gateway.address(), gateway.admin_address()] {
        let answer = get(address, "/healthz");
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok\n"));
    }
    for target in ["/readyz", "/metrics", "/admin/ledger", "/admin/rejections"] {
        assert_eq!(get(gateway.admin_address(), target).status, 200, "{target}");
        assert_eq!(get(gateway.address(), target).status, 404, "{target} on the public listener");
    }
    // Nothing is taken on the admin listener.
    let target = format!("/v1/telemetry/{ACME_KEY}");
    let body = events(now_ms(), 0, 1).to_string();
    assert_eq!(http::request(gateway.admin_address(), "POST", &target, &[], body.as_bytes()).status, 404);

    let (status, ready) = gateway.readiness();
    assert_eq!((status, &ready["status"]), (200, &json!("ok")), "{ready}");
    assert_eq!(post(&gateway, ACME_KEY, &events(now_ms(), 0, 1)).status, 202);
    // The metrics say the same of each check, and a destination's check stands there from its first point on.
    let expected = ["lifecycle", "settings", "spool", &format!("destination:{}", bucket.name())].map(str::to_owned);
    eventually(SOON, || async {
        let ready = gateway.readiness().1;
        let checks = ready["checks"].as_array().unwrap().iter();
        let names: Vec<_> = checks.map(|check| check["name"].as_str().unwrap().to_owned()).collect();
        let scrape = Scrape::of(&gateway);
        let statuses = scrape.samples.iter().filter(|(series, _)| series.starts_with("tagline_check_status{"));
        let well = statuses.filter(|(_, status)| **status == 0.0).count() == expected.len();
        if names == expected && well { Ok(()) } else { Err(format!("{ready} {scrape:?}")) }
    })
    .await;
}

#[tokio::test]
async fn the_outcomes_in_influxdb_agree_with_the_ledger_once_the_gateway_has_stopped() {
    let bucket = influx().bucket("outcomes");
    let mut gateway = Gateway::start_with(&config_for(&bucket), &[("TAGLINE__ENRICH__REPLICA", "tagline-2")]).await;
    traffic(&gateway).await;
    let ledger = gateway.admin_json("/admin/ledger");
    gateway.sigterm();
    assert_eq!(gateway.wait_exit(SOON).await.code(), Some(0));

    let mut stored: BTreeMap<(String, String), u64> = BTreeMap::new();
    for row in bucket.rows("gateway_outcomes").await {
        assert_eq!(row.text("replica"), "tagline-2");
        let key = (row.text("tenant_id").to_owned(), row.text("outcome").to_owned());
        *stored.entry(key).or_default() += row.int("points").unsigned_abs();
    }
    let mut told = BTreeMap::new();
    for tenant in ["acme", "globex"] {
        for (outcome, points) in ledger["tenants"][tenant]["outcomes"].as_object().unwrap() {
            told.insert((tenant.to_owned(), outcome.clone()), points.as_u64().unwrap());
        }
    }
    assert!(told.len() >= 4, "{told:?}");
    assert_eq!(stored, told);
}

/// What the HTTP library does of a header's name beyond 64 KiB. When it no longer does, another mistake will have to stand in.
#[tokio::test]
async fn a_panic_costs_one_connection_and_a_line_of_the_log_a_second() {
    let gateway = Gateway::start(&config_for(&influx().bucket("panics"))).await;
    let long = "x".repeat(70_000);
    for _ in 0..30 {
        let mut connection = Connection::open(gateway.address());
        let head = format!(
            "POST /v1/telemetry/{ACME_KEY} HTTP/1.1\r\nHost: gateway\r\n{long}: x\r\nContent-Length: 0\r\n\r\n"
        );
        // The connection may end before it has read everything.
        let _ = connection.send(head);
        assert!(connection.is_closed(Duration::from_secs(10)), "the connection ends");
    }
    assert_eq!(gateway.accept(ACME_KEY, &[], &event(now_ms(), 1)), 1, "the others are served");
    let log = gateway.log();
    let told = log.lines().filter(|line| line.contains("\"panics\":")).count();
    assert!((1..=10).contains(&told), "{told} lines for 30 panics: {log}");
    assert!(!log.contains("panicked at"), "as they come they are not told: {log}");
}
