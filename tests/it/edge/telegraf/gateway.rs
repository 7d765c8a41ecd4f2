//! `gateway_metrics`: what the gateway says of itself.

use super::*;
use crate::support::exposition::samples;
use crate::support::{ACME_KEY, config_for, events, influx, now_ms, post};

/// The gateway's own metrics, as the contract names them: without `tagline_`, with the replica.
fn told(gateway: &Gateway) -> Values {
    let authorization = format!("Bearer {ADMIN_TOKEN}");
    let headers = [("Authorization", authorization.as_str())];
    let answer = crate::support::http::request(gateway.admin_address(), "GET", "/metrics", &headers, b"");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let mut told = Values::new();
    for sample in samples(&answer.text()) {
        let field = sample.name.strip_prefix("tagline_").expect("all of its metrics are named so");
        let tags = sample.labels.iter().map(|(name, value)| {
            let tag = match name.as_str() {
                "tenant" => "tenant_id",
                "result" => "outcome",
                other => other,
            };
            (tag, value.as_str())
        });
        let key = key(field, tags.chain([("replica", MACHINE)]));
        assert_eq!(told.insert(key.clone(), sample.value), None, "two of the gateway's metrics become {key}");
    }
    told
}

#[tokio::test]
async fn gateway_metrics_equal_the_gateways_own() {
    let (events_bucket, bucket) = (influx().bucket("events"), influx().bucket("metrics"));
    let gateway = Gateway::start_with(&config_for(&events_bucket), &[WITH_ADMIN_TOKEN]).await;
    let caddy = Caddy::for_sites(&["acme.app.test"]).gateway(&gateway).start().await;
    let _telegraf = beside(&caddy, &gateway, &bucket).start().await;

    for seq in 0..5 {
        assert_eq!(post(&gateway, ACME_KEY, &events(now_ms(), seq * 40, 40)).status, 202);
    }
    assert_eq!(post(&gateway, "no-such-key-0123456789", &events(now_ms(), 0, 1)).status, 401);
    become_equal(&bucket, "gateway_metrics", || told(&gateway)).await;

    let stored = newest(&bucket, "gateway_metrics").await;
    let of_acme = key("points_total", [("replica", MACHINE), ("tenant_id", "acme"), ("outcome", "delivered")]);
    assert_eq!(stored.get(&of_acme), Some(&200.0), "{stored:#?}");
    let histogram = key("http_request_seconds_bucket", [("replica", MACHINE), ("le", "+Inf")]);
    assert_eq!(stored.get(&histogram), Some(&6.0), "{stored:#?}");
}

#[tokio::test]
async fn a_wrong_admin_token_is_said_by_name_and_costs_only_the_gateways_metrics() {
    let bucket = influx().bucket("metrics");
    let gateway = Gateway::start_with(&config_for(&influx().bucket("events")), &[WITH_ADMIN_TOKEN]).await;
    let caddy = Caddy::for_sites(&["acme.app.test"]).gateway(&gateway).start().await;
    let wrong = "another-admin-token-0123456789";
    let telegraf = beside(&caddy, &gateway, &bucket).variable("TAGLINE_ADMIN_TOKEN", wrong).start().await;
    caddy.request("acme.app.test", "GET", "/", &[], b"");

    eventually(SOON, || async {
        let requests = newest(&bucket, "caddy_http_requests").await;
        if requests.is_empty() { Err(telegraf.log()) } else { Ok(()) }
    })
    .await;
    let log = telegraf.log();
    let refused = format!(
        "[inputs.prometheus::tagline] Error in plugin: \"{}/metrics\" returned HTTP status \"401",
        gateway.admin_url()
    );
    assert!(log.contains(&refused), "{log}");
    assert!(!log.contains(wrong) && !log.contains(bucket.token()), "a token is in the log: {log}");
    assert_eq!(newest(&bucket, "gateway_metrics").await, Values::new());
}
