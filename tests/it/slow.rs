//! Clients that hold on to what they do not use: heads and bodies that never end, connections that say nothing. Others are served meanwhile.

use std::net::{IpAddr, Ipv4Addr};
use std::thread;
use std::time::{Duration, Instant};

use crate::limits::start;
use crate::support::{ACME_KEY, Answer, Connection, GLOBEX_KEY, Gateway, event, http, now_ms, post};

/// Within this a bound of two seconds has passed on a busy machine.
const LONG_OVER: Duration = Duration::from_secs(15);

fn head(key: &str, length: usize) -> String {
    format!("POST /v1/telemetry/{key} HTTP/1.1\r\nHost: gateway\r\nContent-Length: {length}\r\n\r\n")
}

/// A whole request of `acme` from another address of this machine.
fn from(source: u8, gateway: &Gateway) -> Answer {
    let body = event(now_ms(), u64::from(source)).to_string();
    let source = IpAddr::from(Ipv4Addr::new(127, 0, 0, source));
    Connection::open_from(source, gateway.address()).exchange(head(ACME_KEY, body.len()) + &body)
}

fn metric(gateway: &Gateway, name: &str) -> u64 {
    let text = http::request(gateway.admin_address(), "GET", "/metrics", &[], b"").text();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    value.unwrap_or_else(|| panic!("no {name} in {text}"))
}

/// Sends a byte every tenth of a second on each, until all are closed; how long that took.
fn dribble(connections: &mut [Connection], serve: impl Fn()) -> Duration {
    let started = Instant::now();
    loop {
        serve();
        let mut open = 0;
        for connection in &mut *connections {
            let sent = connection.send(b"x").is_ok();
            open += usize::from(sent && !connection.is_closed(Duration::from_millis(1)));
        }
        if open == 0 {
            return started.elapsed();
        }
        assert!(started.elapsed() < LONG_OVER, "{open} connections are open still");
        thread::sleep(Duration::from_millis(100));
    }
}

#[tokio::test]
async fn heads_that_never_end_are_cut_and_others_are_served_meanwhile() {
    let gateway = start("[server.connections]\nhead_timeout = \"1s\"", "1").await;
    let mut connections: Vec<_> = (0..60).map(|_| Connection::open(gateway.address())).collect();
    for connection in &mut connections {
        connection.send("POST /v1/telemetry HTTP/1.1\r\nX-Slow: ").unwrap();
    }
    let mut answered = Vec::new();
    // A 408 is there to be read before the connection ends: that counts as its end here.
    let started = Instant::now();
    while let Some(connection) = connections.last_mut() {
        assert_eq!(post(&gateway, GLOBEX_KEY, &event(now_ms(), 1)).status, 202, "another client");
        let _ = connection.send(b"x");
        answered.extend(connection.receive().ok().map(|answer| answer.status));
        connections.pop();
        // Without the setting it would be ten seconds.
        assert!(started.elapsed() < Duration::from_secs(8), "{} heads go on", connections.len());
    }
    assert!(answered.iter().all(|status| *status == 408), "{answered:?}");
    assert!(started.elapsed() > Duration::from_millis(500), "cut before their time");
}

#[tokio::test]
async fn where_connections_run_short_a_second_head_that_never_ends_is_cut_too() {
    let gateway = start("[server.connections]\nmax = 48\nhead_timeout = \"1s\"", "1").await;
    // Of 48 six are a proxy's; nine tenths of the others are 38.
    let mut connections: Vec<_> = (0..38).map(|_| Connection::open(gateway.address())).collect();
    let body = event(now_ms(), 1).to_string();
    for connection in &mut connections {
        assert_eq!(connection.exchange(head(ACME_KEY, body.len()) + &body).status, 202);
        connection.send("POST /v1/telemetry HTTP/1.1\r\nX-Slow: ").unwrap();
    }
    let took = dribble(&mut connections, || assert_eq!(post(&gateway, GLOBEX_KEY, &event(now_ms(), 2)).status, 202));
    assert!(took > Duration::from_millis(500), "cut before their time: {took:?}");
}

#[tokio::test]
async fn bodies_that_trickle_are_cut_off_and_give_their_places_back() {
    let more = "[server.connections]\nbody_timeout = \"2s\"\n[tenants.acme.limits]\nin_flight = 4";
    let gateway = start(more, "1").await;
    let mut connections: Vec<_> = (0..4).map(|_| Connection::open(gateway.address())).collect();
    for connection in &mut connections {
        connection.send(head(ACME_KEY, 1_000) + "[").unwrap();
    }
    let held = || gateway.admin_json("/admin/limits")["tenants"]["acme"]["inFlight"].as_u64().unwrap();
    let deadline = Instant::now() + LONG_OVER;
    while held() < 4 {
        assert!(Instant::now() < deadline, "the places are never taken");
        thread::sleep(Duration::from_millis(20));
    }
    let full = post(&gateway, ACME_KEY, &event(now_ms(), 1));
    assert_eq!((full.status, full.header("retry-after")), (429, Some("1")), "{full:?}");
    assert_eq!(post(&gateway, GLOBEX_KEY, &event(now_ms(), 1)).status, 202, "another tenant");
    for connection in &mut connections {
        // A byte a second would take a quarter of an hour.
        let _ = connection.send(b" ");
        let answer = connection.receive().unwrap();
        assert_eq!((answer.status, &answer.json()["code"]), (408, &"body_timeout".into()));
    }
    assert_eq!(held(), 0);
    assert_eq!(post(&gateway, ACME_KEY, &event(now_ms(), 1)).status, 202);
}

#[tokio::test]
async fn connections_of_one_address_beyond_its_limit_are_cut_and_another_address_is_served() {
    let gateway = start("[server.connections]\nper_address = 20", "1").await;
    let mut connections: Vec<_> = (0..50).map(|_| Connection::open(gateway.address())).collect();
    let cut = r#"tagline_connections_refused_total{limit="per_address",enforced="true"}"#;
    let deadline = Instant::now() + LONG_OVER;
    while metric(&gateway, cut) < 30 {
        assert!(Instant::now() < deadline, "{} are cut", metric(&gateway, cut));
        thread::sleep(Duration::from_millis(20));
    }
    let closed =
        connections.iter_mut().filter_map(|one| one.is_closed(Duration::from_millis(200)).then_some(())).count();
    assert_eq!(closed, 30);
    assert_eq!(metric(&gateway, "tagline_connections "), 20);
    assert_eq!(from(2, &gateway).status, 202, "another address");
    // A place is given back with its connection, and can be taken again.
    drop(connections);
    while metric(&gateway, "tagline_connections ") > 0 {
        assert!(Instant::now() < deadline, "the places are never given back");
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(post(&gateway, ACME_KEY, &event(now_ms(), 1)).status, 202);
    assert_eq!(metric(&gateway, cut), 30);
}

#[tokio::test]
async fn in_a_dry_run_connections_beyond_the_limit_are_counted_and_served() {
    let more = "[server.connections]\nper_address = 1\n[server.address]\ndry_run = true";
    let gateway = start(more, "1").await;
    let mut held = Connection::open(gateway.address());
    let body = event(now_ms(), 1).to_string();
    assert_eq!(held.exchange(head(ACME_KEY, body.len()) + &body).status, 202);
    assert_eq!(post(&gateway, ACME_KEY, &event(now_ms(), 2)).status, 202);
    assert_eq!(metric(&gateway, r#"tagline_connections_refused_total{limit="per_address",enforced="false"}"#), 1);
}

#[tokio::test]
async fn what_a_connection_sent_before_it_was_cut_is_not_taken() {
    let gateway = start("[server.connections]\nper_address = 1", "1").await;
    let mut held = Connection::open(gateway.address());
    assert_eq!(held.exchange("GET /healthz HTTP/1.1\r\nHost: gateway\r\n\r\n").status, 200);
    let body = event(now_ms(), 1).to_string();
    let mut answered = 0;
    for _ in 0..20 {
        // The bytes are on their way before the gateway has accepted the connection.
        let mut one = Connection::open(gateway.address());
        let _ = one.send(head(ACME_KEY, body.len()) + &body);
        answered += usize::from(one.receive().is_ok());
    }
    assert_eq!(answered, 0);
    assert_eq!(gateway.admin_json("/admin/ledger")["tenants"]["acme"]["accepted"], 0);
}
