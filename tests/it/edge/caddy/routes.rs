//! Which requests are telemetry, and what either side is told.

use super::{Edge, HOST, behind_caddy, event, keyed};
use crate::support::caddy::{PROXY_SECRET, edited, request_bytes};
use crate::support::service::{Reply, Service};
use crate::support::{ACME_KEY, Caddy, Gateway, config_for, influx};
use serde_json::json;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[tokio::test]
async fn every_form_of_telemetry_reaches_the_gateway_on_the_tenants_own_origin() {
    let edge = Edge::start().await;
    let qwik = json!([{"metricName": "web_vitals_lcp", "value": 1.5, "tags": {"path": "/"}}]).to_string();
    let own = event("s").to_string();
    let key = format!("?k={ACME_KEY}");
    let sent = [
        (keyed(), &own),
        (format!("/v1/telemetry{key}"), &own),
        (format!("/api/telemetry/ingest{key}"), &qwik),
        (format!("/ingest{key}"), &qwik),
    ];
    for (target, body) in &sent {
        let answer = edge.caddy.request(HOST, "POST", target, &[("Content-Type", "text/plain")], body.as_bytes());
        assert_eq!(answer.status, 202, "{target}: {}", answer.text());
    }
    edge.gateway.delivered("acme", sent.len() as u64).await;
    assert!(edge.app.received().is_empty(), "{:?}", edge.app.received());
}

#[tokio::test]
async fn what_is_not_telemetry_goes_to_the_app_and_nothing_of_the_gateways_admin_side_is_reached() {
    let edge = Edge::start().await;
    let app = [
        "/",
        "/index.html?k=v",
        "/v1",
        "/v10/telemetry",
        "/api/telemetry",
        "/api/other",
        "/ingest/more",
        "/ingested",
        "/healthz",
        "/readyz",
        "/metrics",
        "/admin/ledger",
        "/v1/../admin/ledger",
        "/api/telemetry/../../metrics",
        "/v1/%2e%2e%2fmetrics",
    ];
    for target in app {
        let answer = edge.caddy.request(HOST, "GET", target, &[], b"");
        assert_eq!((answer.status, answer.text().as_str()), (200, "the app"), "{target}");
        // As it was sent: the app's own routes are the app's to read.
        assert_eq!(edge.app.last().target, target);
    }
    let gateway = ["/v1/unknown", "/v1/admin/ledger", "/v1//", "/api/telemetry/metrics", "//v1/x"];
    for target in gateway {
        let answer = edge.caddy.request(HOST, "GET", target, &[], b"");
        assert_eq!(answer.status, 404, "{target}: {}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{target}: {}", answer.text());
    }
    assert_eq!(edge.app.received().len(), app.len());
}

#[tokio::test]
async fn the_gateway_is_told_the_secret_the_client_and_the_ids_and_the_app_all_but_the_secret() {
    let gateway = Service::start(|_| Reply::Answer(202, Vec::new(), String::new()));
    let app = Service::start(|_| Reply::Answer(200, vec![("X-Request-ID", "the app's own".to_owned())], String::new()));
    let caddy = Caddy::for_sites(&[HOST])
        .gateways(&[gateway.address()], gateway.address().port())
        .app(app.address())
        .start()
        .await;
    for (service, target) in [(&gateway, "/v1/telemetry"), (&app, "/page")] {
        let told = [("traceparent", TRACE), ("X-Request-ID", "the client's own"), ("User-Agent", "test")];
        let request = request_bytes(HOST, "POST", target, &told, b"{}");
        let answer = caddy.connect_from("127.0.0.3".parse().unwrap(), HOST).exchange(request);
        let got = service.received().into_iter().rfind(|request| request.target == target).unwrap();
        assert_eq!(got.body, b"{}");
        assert_eq!(got.header("Host"), Some(HOST));
        assert_eq!(got.header("Traceparent"), Some(TRACE));
        assert_eq!(got.header("X-Forwarded-For"), Some("127.0.0.3"));
        assert_eq!(got.header("X-Forwarded-Proto"), Some("https"));
        assert_eq!(got.header("X-Forwarded-Host"), Some(HOST));
        let id = got.header("X-Request-ID").expect("a request id");
        assert_eq!(id.len(), 36, "{id}");
        assert_eq!(answer.header("x-request-id"), Some(id), "the answer names the same request");
        let secret = (target == "/v1/telemetry").then_some(PROXY_SECRET);
        assert_eq!(got.header("X-Proxy-Secret"), secret, "{target}");
    }
    assert!(app.received().iter().all(|request| !format!("{request:?}").contains(PROXY_SECRET)));
}

#[tokio::test]
async fn a_trace_goes_through_to_influxdb_and_stands_in_the_access_log() {
    let edge = Edge::start().await;
    let answer = edge.post("traced", &[("traceparent", TRACE)]);
    assert_eq!(answer.status, 202, "{}", answer.text());
    edge.gateway.delivered("acme", 1).await;
    let rows = edge.bucket.rows("frontend_performance").await;
    assert_eq!(rows[0].text("trace_id"), TRACE_ID);
    let id = answer.header("x-request-id").expect("a request id").to_owned();
    let line = edge.caddy.access_log().pop().expect("a line of this request");
    assert_eq!((line["trace_id"].as_str(), line["request_id"].as_str()), (Some(TRACE_ID), Some(id.as_str())));
}

#[tokio::test]
async fn a_rotated_proxy_secret_is_used_by_the_next_request() {
    let bucket = influx().bucket("edge");
    let rotated =
        [behind_caddy()[0], ("TAGLINE__SERVER__PROXY_SECRET", "the-next-secret-0123456789abcdef"), behind_caddy()[2]];
    let gateway = Gateway::start_with(&config_for(&bucket), &rotated).await;
    let caddy = Caddy::for_sites(&[HOST]).gateway(&gateway).start().await;
    for (session, secret) in [("before", PROXY_SECRET), ("after", rotated[1].1)] {
        std::fs::write(caddy.folder().join("proxy-secret"), format!("{secret}\n")).unwrap();
        // Not from Caddy's own address: whoever is a trusted proxy is nobody's client.
        let request = request_bytes(HOST, "POST", &keyed(), &[], event(session).to_string().as_bytes());
        let answer = caddy.connect_from("127.0.0.3".parse().unwrap(), HOST).exchange(request);
        assert_eq!(answer.status, 202, "{}", answer.text());
    }
    gateway.delivered("acme", 2).await;
    let rows = bucket.rows("frontend_performance").await;
    let of = |session: &str| rows.iter().find(|row| row.text("session_id") == session).unwrap().get("client_address");
    assert_eq!((of("before"), of("after")), (None, Some("127.0.0.3")));
}

/// An app that speaks a protocol of its own once a request's head is there.
fn app_that(speaks: impl Fn(&mut BufReader<TcpStream>) -> std::io::Result<()> + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let mut client = BufReader::new(client);
            let mut line = String::new();
            while client.read_line(&mut line).is_ok_and(|length| length > 2) {
                line.clear();
            }
            // A client that goes away in the middle is its own trouble.
            let _ = speaks(&mut client);
        }
    });
    address
}

#[tokio::test]
async fn a_websocket_of_the_app_goes_through_both_ways() {
    let app = app_that(|client| {
        client
            .get_mut()
            .write_all(b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello")?;
        let mut said = [0; 4];
        client.read_exact(&mut said)?;
        client.get_mut().write_all(&said)
    });
    let caddy = Caddy::for_sites(&[HOST]).app(app).start().await;
    let mut connection = caddy.connect(HOST);
    let request = format!(
        "GET /socket HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    assert_eq!(connection.upgrade(request), 101);
    assert_eq!(connection.take(5), b"hello");
    connection.send(b"ping").unwrap();
    assert_eq!(connection.take(4), b"ping");
}

#[tokio::test]
async fn a_stream_of_the_app_may_be_silent_for_longer_than_a_piece_of_it_may_take() {
    let silence = std::time::Duration::from_secs(4);
    let app = app_that(move |client| {
        client
            .get_mut()
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\ndata: 1\n\n")?;
        std::thread::sleep(silence);
        client.get_mut().write_all(b"data: 2\n\n")
    });
    // The file's own limit is a minute.
    let folder = edited(&[("write_idle 60s", "write_idle 2s")]);
    let caddy = Caddy::for_sites(&[HOST]).app(app).file(folder.path().join("Caddyfile")).start().await;
    let answer = caddy.request(HOST, "GET", "/events", &[], b"");
    assert_eq!(answer.text(), "data: 1\n\ndata: 2\n\n");
}
