//! The two clients that exist today, byte for byte.

use std::time::Duration;

use crate::support::{ACME_KEY, Connection, Gateway, config_for, eventually, influx};

/// What the MobX client sends; the proxy in front sets the tenant.
const MOBX: &str = r#"{"sessionId":"s-1","viewName":"UserListView","actionName":"fetchUsers","metrics":{"duration_ms":120,"element_count":50}}"#;

/// What the Qwik client sends.
const QWIK: &str = r#"[{"metricName":"web_vitals_lcp","value":2312.4,"tags":{"path":"/products/123","sdkVersion":"0.1.0","connectionType":"4g"},"timestamp":1790000000000}]"#;

/// A proxy is trusted by its address and by a secret; the tests' own connections come from loopback.
const PROXY_SECRET: &str = "between-proxy-and-gateway-0123456789";

async fn behind_a_proxy(bucket: &crate::support::Bucket) -> Gateway {
    let environment =
        [("TAGLINE__SERVER__PROXY_SECRET", PROXY_SECRET), ("TAGLINE__SERVER__TRUSTED_PROXIES", "127.0.0.1/32")];
    Gateway::start_with(&config_for(bucket), &environment).await
}

#[tokio::test]
async fn the_mobx_client_behind_a_trusted_proxy_arrives_under_the_proxys_tenant() {
    let bucket = influx().bucket("mobx");
    let gateway = behind_a_proxy(&bucket).await;
    let request = format!(
        "POST /v1/telemetry HTTP/1.1\r\nHost: app.example\r\nContent-Type: application/json\r\nX-Tenant-ID: acme\r\n\
         X-Proxy-Secret: {PROXY_SECRET}\r\nContent-Length: {}\r\n\r\n{MOBX}",
        MOBX.len()
    );
    let answer = Connection::open(gateway.address()).exchange(request);
    assert_eq!(answer.status, 202, "{}", answer.text());
    assert_eq!(answer.json()["accepted"], 1);

    let row = eventually(Duration::from_secs(10), || async {
        let rows = bucket.rows("frontend_performance").await;
        rows.first().cloned().ok_or("no point yet")
    })
    .await;
    assert_eq!(row.text("tenant_id"), "acme");
    assert_eq!(row.text("session_id"), "s-1");
    assert_eq!((row.text("view_name"), row.text("action_name")), ("UserListView", "fetchUsers"));
    assert_eq!((row.int("duration_ms"), row.int("element_count")), (120, 50));
}

#[tokio::test]
async fn the_same_request_straight_from_a_browser_is_401() {
    let bucket = influx().bucket("mobx-direct");
    let gateway = Gateway::start(&config_for(&bucket)).await;
    let request = format!(
        "POST /v1/telemetry HTTP/1.1\r\nHost: app.example\r\nOrigin: https://app.example\r\nContent-Type: application/json\r\n\
         X-Tenant-ID: acme\r\nContent-Length: {}\r\n\r\n{MOBX}",
        MOBX.len()
    );
    let mut connection = Connection::open(gateway.address());
    let answer = connection.exchange(&request);
    assert_eq!(answer.status, 401, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(answer.json()["code"], "credential_missing");
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example"));
    // The refused body was drained: the connection goes on.
    assert_eq!(connection.exchange(&request).status, 401);
    assert_eq!(gateway.admin_json("/admin/ledger")["tenants"]["acme"]["accepted"], 0);
}

#[tokio::test]
async fn the_qwik_clients_beacon_arrives() {
    let bucket = influx().bucket("qwik");
    let gateway = Gateway::start(&config_for(&bucket)).await;
    let request = format!(
        "POST /api/telemetry/ingest?k={ACME_KEY} HTTP/1.1\r\nHost: app.example\r\nOrigin: https://app.example\r\n\
         Content-Type: text/plain;charset=UTF-8\r\nContent-Length: {}\r\n\r\n{QWIK}",
        QWIK.len()
    );
    let answer = Connection::open(gateway.address()).exchange(request);
    assert_eq!(answer.status, 202, "{}", answer.text());

    let row = eventually(Duration::from_secs(10), || async {
        let rows = bucket.rows("web_vitals_lcp").await;
        rows.first().cloned().ok_or("no point yet")
    })
    .await;
    assert_eq!(row.text("tenant_id"), "acme");
    assert_eq!(row.text("path"), "/products/:id");
    assert_eq!(row.text("connectionType"), "4g");
    assert_eq!(row.float("value"), 2312.4);
    assert_eq!(row.nanos("_time") / 1_000_000, 1_790_000_000_000);
}
