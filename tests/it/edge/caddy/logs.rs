//! The access log: JSON on stdout, with what an operator needs, and without a credential.

use super::{Edge, HOST, event, keyed};
use crate::support::caddy::{PROXY_SECRET, request_bytes};
use crate::support::{ACME_KEY, Caddy, http};
use std::time::Duration;

/// What must stand in no log, by where it was sent.
const SECRETS: [(&str, &str); 12] = [
    ("Authorization", "authorization-5f1e"),
    ("Proxy-Authorization", "proxy-authorization-8a02"),
    ("Cookie", "session=cookie-77c1"),
    ("X-Api-Key", "api-key-header-91bd"),
    ("X-Auth-Token", "auth-token-header-3e5a"),
    ("X-Proxy-Secret", "guessed-secret-40f7"),
    ("Referer", "https://acme.app.test/reset?token=referer-6b9d"),
    ("?k=", "query-key-1d3c"),
    ("?access_token=", "query-token-c8e4"),
    ("path", "key-in-the-path-2a6f"),
    ("Set-Cookie", "set-cookie-e07b"),
    ("Location", "location-d492"),
];

fn secret(place: &str) -> &'static str {
    SECRETS.iter().find(|(known, _)| *known == place).expect("a place of the table").1
}

#[tokio::test]
async fn no_credential_stands_in_any_log_line_whoever_answered() {
    let mut edge = Edge::start_with(|setup| {
        let app = crate::support::service::Service::start(|_| {
            let headers = vec![
                ("Set-Cookie", format!("session={}", secret("Set-Cookie"))),
                ("Location", format!("/next?code={}", secret("Location"))),
            ];
            crate::support::service::Reply::Answer(302, headers, String::new())
        });
        setup.app(app.address())
    })
    .await;
    let headers: Vec<(&str, &str)> = SECRETS[..7].to_vec();
    let query = format!("?k={}&access_token={}", secret("?k="), secret("?access_token="));
    let path = secret("path");
    let targets = [
        format!("/v1/telemetry/{path}{query}"),
        format!("/v1/telemetry{query}"),
        format!("//v1//telemetry/{path}"),
        format!("/V1/Telemetry/{path}"),
        // The same path to Caddy and to the gateway.
        format!("/%76%31/telemetry/{path}"),
        format!("/%56%31//t%65lemetry/{path}"),
        format!("https://{HOST}/v1/telemetry/{path}{query}"),
        format!("/api/telemetry/ingest{query}"),
        format!("/ingest{query}"),
        format!("/page{query}"),
        format!("/page?next=/v1/telemetry/{path}"),
    ];
    let ask = |host: &str| {
        for target in &targets {
            edge.caddy.connect(HOST).exchange(request_bytes(host, "POST", target, &headers, b"{}"));
            edge.caddy.connect(HOST).exchange(request_bytes(host, "GET", target, &headers, b""));
        }
        let large = vec![b' '; 5 << 20];
        let too_large = request_bytes(host, "POST", &targets[0], &headers, &large);
        let _ = edge.caddy.connect(HOST).try_exchange(&too_large);
    };
    ask(HOST);
    // And where Caddy answers alone: another host, plain HTTP, a gateway that is gone.
    ask("elsewhere.app.test");
    http::request(edge.caddy.http_address(), "GET", &targets[0], &headers, b"");
    edge.gateway.kill().await;
    let asked = targets.len();
    edge.caddy.connect(HOST).exchange(request_bytes(HOST, "POST", &targets[0], &headers, b"{}"));

    edge.caddy.sigterm();
    edge.caddy.wait_exit(Duration::from_secs(30)).await;
    assert!(edge.caddy.access_log().len() > 4 * asked, "every request has its line");
    let log = edge.caddy.log_text();
    assert!(!log.contains(PROXY_SECRET), "Caddy's own secret");
    for (place, secret) in SECRETS {
        let told: Vec<&str> = log.lines().filter(|line| line.contains(secret)).collect();
        assert!(told.is_empty(), "{place} ({secret}) stands in {} lines, such as\n{}", told.len(), told[0]);
    }
}

#[tokio::test]
async fn a_line_tells_what_was_asked_of_whom_by_whom_and_how_it_ended() {
    let edge = Edge::start().await;
    let headers = [("Origin", "https://acme.app.test"), ("User-Agent", "probe/1.0")];
    let target = format!("{}?x=1", keyed());
    let answer = edge.caddy.request(HOST, "POST", &target, &headers, event("s").to_string().as_bytes());
    assert_eq!(answer.status, 202, "{}", answer.text());
    edge.caddy.request(HOST, "GET", "/page?code=7", &[], b"");

    let [telemetry, page] = <[_; 2]>::try_from(edge.caddy.access_log()).expect("two lines");
    assert_eq!(telemetry["request"]["uri"], "/v1/telemetry/");
    assert_eq!(telemetry["request"]["method"], "POST");
    assert_eq!(telemetry["request"]["host"], HOST);
    assert_eq!(telemetry["request"]["remote_ip"], "127.0.0.1");
    assert_eq!(telemetry["status"], 202);
    assert!(telemetry["duration"].as_f64().is_some_and(|seconds| seconds > 0.0));
    assert_eq!(telemetry["request_id"].as_str(), answer.header("x-request-id"));
    assert_eq!(telemetry["trace_id"], "");
    assert_eq!(telemetry["user_agent"], "probe/1.0");
    assert_eq!(telemetry["origin"], "https://acme.app.test");
    assert_eq!(telemetry["upstream"], edge.gateway.address().to_string());
    assert_eq!(page["request"]["uri"], "/page");
    assert_eq!(page["upstream"], edge.app.address().to_string());
    assert!(!edge.caddy.log_text().contains(ACME_KEY));
}

#[tokio::test]
async fn a_client_cannot_make_up_a_trace_id_nor_a_line() {
    let caddy = Caddy::for_sites(&[HOST]).app(crate::support::service::Service::app().address()).start().await;
    let forged = [
        "00-xyz",
        "{http.request.uuid}",
        "{file.proxy-secret}",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
    ];
    for traceparent in forged {
        caddy.request(HOST, "GET", "/", &[("traceparent", traceparent), ("User-Agent", "{file.proxy-secret}\"}")], b"");
    }
    let lines = caddy.access_log();
    assert_eq!(lines.len(), forged.len());
    for line in lines {
        assert_eq!(line["trace_id"], "");
        assert_eq!(line["user_agent"], "{file.proxy-secret}\"}");
    }
}
