//! How much and how long: who says so, and that a page can read it.

use super::{Edge, HOST, event, keyed};
use crate::support::Answer;
use crate::support::caddy::{edited, request_bytes};
use std::io::Write;
use std::time::{Duration, Instant};

const ORIGIN: (&str, &str) = ("Origin", "https://acme.app.test");

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Blanks around an event: as long as it is told.
fn padded(length: usize) -> Vec<u8> {
    let event = event("s").to_string();
    format!("{event}{}", " ".repeat(length - event.len())).into_bytes()
}

/// Sends all of it if it can, and reads the answer even if it cannot, as curl and browsers do: who refuses a request by its length
/// alone need not read on.
fn send(edge: &Edge, request: Vec<u8>) -> Answer {
    let mut connection = edge.caddy.connect(HOST);
    let sent = connection.send(request);
    connection.receive().unwrap_or_else(|error| panic!("no answer: {error}; {sent:?}"))
}

#[tokio::test]
async fn a_body_is_taken_up_to_the_gateways_own_limit_and_beyond_it_a_page_can_read_why_not() {
    let edge = Edge::start().await;
    let post = |length: usize| send(&edge, request_bytes(HOST, "POST", &keyed(), &[ORIGIN], &padded(length)));
    let answer = post(1 << 20);
    assert_eq!(answer.status, 202, "the gateway's largest: {}", answer.text());
    for length in [(1 << 20) + 1, 3 << 19] {
        let answer = post(length);
        assert_eq!(answer.status, 413, "{length}: {}", answer.text());
        assert_eq!(answer.json()["code"], "body_too_large", "{length}");
        assert_eq!(answer.header("access-control-allow-origin"), Some(ORIGIN.1), "{length}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{length}");
    }
    // What only the gateway can know, it says.
    let bomb = gzip(&vec![b' '; 9 << 20]);
    let answer = edge.caddy.request(HOST, "POST", &keyed(), &[ORIGIN, ("Content-Encoding", "gzip")], &bomb);
    assert_eq!((answer.status, &answer.json()["code"]), (413, &"inflated_too_large".into()));
    assert_eq!(answer.header("access-control-allow-origin"), Some(ORIGIN.1));
    edge.gateway.delivered("acme", 1).await;
}

#[tokio::test]
async fn a_body_without_a_length_is_cut_where_it_is_too_large() {
    // Less than the gateway takes: so it is Caddy who cuts.
    let edge = Edge::start_with(|setup| setup.variable("TELEMETRY_MAX_BODY", "64KiB")).await;
    let post = |length: usize| {
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: {HOST}\r\nOrigin: {}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
            keyed(),
            ORIGIN.1
        );
        let body = [format!("{length:x}\r\n").as_bytes(), &padded(length), b"\r\n0\r\n\r\n"].concat();
        send(&edge, [head.as_bytes(), &body].concat())
    };
    assert_eq!(post(64 << 10).status, 202);
    let answer = post((64 << 10) + 1);
    assert_eq!((answer.status, &answer.json()["code"]), (413, &"body_too_large".into()));
    assert_eq!(answer.header("access-control-allow-origin"), Some(ORIGIN.1));
    edge.gateway.delivered("acme", 1).await;
}

#[tokio::test]
async fn the_app_has_a_limit_of_its_own() {
    let edge = Edge::start_with(|setup| setup.variable("APP_MAX_BODY", "64KiB")).await;
    let upload = |length: usize| send(&edge, request_bytes(HOST, "POST", "/upload", &[], &vec![b'x'; length]));
    assert_eq!(upload(64 << 10).status, 200);
    assert_eq!(edge.app.last().body.len(), 64 << 10);
    let answer = upload((64 << 10) + 1);
    assert_eq!((answer.status, answer.text().as_str()), (413, "413 Request Entity Too Large"));
}

#[tokio::test]
async fn a_head_that_does_not_end_and_a_body_that_stands_still_are_given_up() {
    // As in the file, but a fifth of it.
    let folder = edited(&[("read_header 10s", "read_header 2s"), ("read_body_idle 20s", "read_body_idle 4s")]);
    let edge = Edge::start_with(|setup| setup.file(folder.path().join("Caddyfile"))).await;
    let started = Instant::now();
    let mut head = edge.caddy.connect(HOST);
    head.send(format!("POST {} HTTP/1.1\r\nHost: {HOST}\r\nX-Slow: ", keyed())).unwrap();
    let mut body = edge.caddy.connect(HOST);
    body.send(format!("POST {} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 1000\r\n\r\n{{", keyed())).unwrap();
    assert!(head.is_closed(Duration::from_secs(20)), "the head's connection");
    assert!(started.elapsed() >= Duration::from_millis(1_900), "too early: {:?}", started.elapsed());
    // The others wait for neither.
    assert_eq!(edge.post("meanwhile", &[]).status, 202);
    let ended = body.receive().map_or(true, |answer| answer.status >= 400);
    // As long as a client waits for an answer, nothing would have ended.
    let plausible = Duration::from_millis(3_900)..Duration::from_secs(20);
    assert!(ended && plausible.contains(&started.elapsed()), "the body's connection: {:?}", started.elapsed());
}

#[tokio::test]
async fn a_head_beyond_16_kib_is_refused() {
    let edge = Edge::start().await;
    let large = "x".repeat(24 << 10);
    let answer =
        edge.caddy.connect(HOST).exchange(request_bytes(HOST, "POST", &keyed(), &[("X-Large", &large)], b"{}"));
    assert_eq!(answer.status, 431);
}
