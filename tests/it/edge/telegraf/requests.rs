//! `caddy_http_requests`: each request once, exactly as Caddy counts it.

use super::*;
use crate::support::exposition::samples;
use crate::support::{ACME_KEY, config_for, event, influx, now_ms};
use std::collections::BTreeSet;

/// A site of its own, and one below a wildcard.
const HOSTS: [&str; 2] = ["acme.app.test", "globex.wild.test"];

/// Host, method, path, and the status of the answer.
const REQUESTS: [(&str, &str, &str, u16); 10] = [
    ("acme.app.test", "GET", "/", 200),
    ("acme.app.test", "POST", "/", 200),
    ("acme.app.test", "GET", "/status/404", 404),
    ("acme.app.test", "GET", "/status/500", 500),
    ("acme.app.test", "DELETE", "/status/204", 204),
    ("acme.app.test", "BREW", "/", 200),
    // The app hangs up: Caddy's own answer.
    ("acme.app.test", "POST", "/broken", 502),
    ("globex.wild.test", "GET", "/delay/30", 200),
    ("globex.wild.test", "HEAD", "/", 200),
    // The gateway's: no such key.
    ("globex.wild.test", "POST", "/v1/telemetry/no-such-key", 401),
];

/// What the contract names a request that Caddy has counted: its own handlers are left out, `code` is `status_code`.
pub fn counted(caddy: &Caddy) -> Values {
    let mut counted = Values::new();
    for sample in samples(&caddy.metrics()) {
        let Some(field) = sample.name.strip_prefix("caddy_http_request_duration_seconds_") else { continue };
        if sample.labels["handler"] != "subroute" {
            continue;
        }
        let field = if field == "count" { "count".to_owned() } else { format!("duration_seconds_{field}") };
        let tags = sample.labels.iter().filter(|(name, _)| !matches!(name.as_str(), "handler" | "server"));
        let tags = tags.map(|(name, value)| (if name == "code" { "status_code" } else { name }, value.as_str()));
        let key = key(&field, tags.chain([("instance", MACHINE)]));
        assert_eq!(counted.insert(key.clone(), sample.value), None, "two of Caddy's counters become {key}");
    }
    counted
}

#[tokio::test]
async fn caddy_http_requests_equal_caddys_own_counters_and_each_request_is_counted_once() {
    let (bucket, app) = (influx().bucket("requests"), app());
    let gateway = Gateway::start_with(&config_for(&bucket), &[WITH_ADMIN_TOKEN]).await;
    let sites = ["acme.app.test", "*.wild.test"];
    let caddy = Caddy::for_sites(&sites).gateway(&gateway).app(app.address()).start().await;
    let _telegraf = beside(&caddy, &gateway, &bucket).start().await;
    scraped(&bucket).await;

    // The numbers differ, so that no two rows can stand for each other.
    let mut sent = Values::new();
    for (number, (host, method, path, status)) in (1..).zip(REQUESTS) {
        for _ in 0..number {
            let answer = caddy.request(host, method, path, &[], b"");
            assert_eq!(answer.status, status, "{method} {host}{path}: {}", answer.text());
        }
        let method = if method == "BREW" { "OTHER" } else { method };
        let tags = [("host", host), ("method", method), ("status_code", &status.to_string()), ("instance", MACHINE)];
        sent.insert(key("count", tags), f64::from(number));
    }
    for seq in 0..20 {
        let answer = telemetry(&caddy, HOSTS[0], seq);
        assert_eq!(answer, 202);
    }
    let tags = [("host", HOSTS[0]), ("method", "POST"), ("status_code", "202"), ("instance", MACHINE)];
    sent.insert(key("count", tags), 20.0);

    become_equal(&bucket, "caddy_http_requests", || counted(&caddy)).await;
    let stored = newest(&bucket, "caddy_http_requests").await;
    let counts: Values = stored.clone().into_iter().filter(|(key, _)| key.starts_with("count{")).collect();
    assert_eq!(counts, sent, "what InfluxDB counts is what was sent");
    let buckets = stored.keys().filter(|key| key.contains("le=+Inf")).count();
    assert_eq!((stored.len(), buckets), (sent.len() * 14, sent.len()), "12 buckets, a sum and a count each");

    // Caddy counts more than users' requests, and none of it is taken for one.
    let handlers: BTreeSet<String> =
        samples(&caddy.metrics()).iter().filter_map(|sample| sample.labels.get("handler").cloned()).collect();
    assert!(handlers.len() > 1 && handlers.contains("metrics"), "{handlers:?}");

    // What dashboards sum up: differences. The first request of each kind is in them.
    let differences = "|> filter(fn: (r) => r._field == \"count\")
                       |> difference(nonNegative: true, initialZero: true) |> sum()";
    assert_eq!(values(&bucket, "caddy_http_requests", differences).await, sent, "differences add up to every request");

    only_what_the_contract_names(&bucket).await;
}

fn telemetry(caddy: &Caddy, host: &str, seq: u64) -> u16 {
    let body = event(now_ms(), seq).to_string();
    caddy.request(host, "POST", &format!("/v1/telemetry/{ACME_KEY}"), &[], body.as_bytes()).status
}

/// The measurements of the bucket that come from Telegraf, each with exactly its tags and fields.
async fn only_what_the_contract_names(bucket: &Bucket) {
    let schema = |function: &str, measurement: &str| {
        format!(
            "import \"influxdata/influxdb/schema\"\nschema.{function}(bucket: \"{}\"{measurement}, start: 0)",
            bucket.name()
        )
    };
    let names = |flux: String| async move {
        let rows = bucket.query(&flux).await;
        rows.iter().map(|row| row.text("_value").to_owned()).collect::<BTreeSet<_>>()
    };
    let mut measurements = names(schema("measurements", "")).await;
    for gateways_own in ["frontend_performance", "gateway_outcomes"] {
        measurements.remove(gateways_own);
    }
    let expected = ["caddy_http_requests", "gateway_metrics", "telegraf_internal"];
    assert_eq!(measurements, expected.map(str::to_owned).into());

    let of = |measurement: &str| format!(", measurement: \"{measurement}\"");
    let tags = |measurement: &str| names(schema("measurementTagKeys", &of(measurement)));
    let fields = |measurement: &str| names(schema("measurementFieldKeys", &of(measurement)));
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    let with_own = |names: &[&str]| {
        let own = ["_start", "_stop", "_field", "_measurement"];
        set(&[&own, names].concat())
    };
    assert_eq!(tags("caddy_http_requests").await, with_own(&["host", "method", "status_code", "instance", "le"]));
    assert_eq!(fields("caddy_http_requests").await, set(&["count", "duration_seconds_sum", "duration_seconds_bucket"]));
    assert_eq!(tags("telegraf_internal").await, with_own(&["instance", "alias", "input", "output"]));
    let internal =
        ["errors", "metrics_gathered", "buffer_size", "metrics_written", "metrics_dropped", "metrics_rejected"];
    assert_eq!(fields("telegraf_internal").await, set(&internal));
}
