//! What is personal: the client's address, and what a page lets slip into its strings.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};

use super::*;
use crate::support::ACME_KEY;

/// Sends an event from this address of loopback, which is no other's.
fn send_from(gateway: &Gateway, from: Ipv4Addr, body: &Value) -> String {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
    socket.connect(&gateway.address().into()).unwrap();
    let mut stream = std::net::TcpStream::from(socket);
    let body = body.to_string();
    write!(
        stream,
        "POST /v1/telemetry/{ACME_KEY} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nReferer: https://app.example/from?{from}\r\nUser-Agent: Mozilla/5.0 secret-agent-{from}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[tokio::test]
async fn the_clients_address_stands_nowhere_unless_it_is_asked_for_and_then_as_much_as_is_asked_for() {
    let from = Ipv4Addr::new(127, 83, 71, 59);
    for (setting, stored) in
        [(None, None), (Some("network"), Some("127.83.71.0/24")), (Some("full"), Some("127.83.71.59"))]
    {
        let bucket = influx().bucket("client-address");
        let environment: Vec<_> =
            setting.map(|setting| ("TAGLINE__ENRICH__CLIENT_ADDRESS", setting)).into_iter().collect();
        let gateway = Gateway::start_with(&config_for(&bucket), &environment).await;
        let answer = send_from(&gateway, from, &event(now_ms(), 1));
        assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
        // A bad one too, which is remembered for /admin/rejections.
        assert!(send_from(&gateway, from, &json!({"metrics": {"x": 1}})).starts_with("HTTP/1.1 400"));
        let rows = eventually(SOON, || async {
            let rows = bucket.rows("frontend_performance").await;
            if rows.is_empty() { Err("no point yet") } else { Ok(rows) }
        })
        .await;
        assert_eq!(rows[0].get("client_address"), stored, "{setting:?}: {rows:?}");
        if stored.is_none() {
            let all = bucket.select("|> filter(fn: (r) => true)").await;
            assert!(!all.is_empty() && !format!("{all:?}").contains("127.83"), "{all:?}");
        }
        assert!(!format!("{rows:?}").contains("secret-agent") && !format!("{rows:?}").contains("from?"), "{rows:?}");
        let seen = [pages(&gateway, ""), gateway.log(), answer].concat();
        assert!(!seen.contains("127.83.71"), "{setting:?}: {seen}");
    }
}

#[tokio::test]
async fn what_a_page_lets_slip_is_not_stored_and_its_sessions_stay_apart() {
    let bucket = influx().bucket("scrubbed");
    let gateway =
        Gateway::start_with(&config_for(&bucket), &[("TAGLINE__ENRICH__SCRUB_PATTERNS__CUSTOMER", "CUST-[0-9]+")])
            .await;
    let jwt = SigningKey::hs256().sign(&claims("acme"));
    let slips = [
        "joe@example.com".to_owned(),
        "/users/joe%40example.com?token=slip-1".to_owned(),
        format!("Bearer {jwt}"),
        jwt.clone(),
        "4111 1111 1111 1111".to_owned(),
        "CUST-4711".to_owned(),
        "GET https://joe:pa55word@app.example/cart?token=slip-2#slip-3".to_owned(),
    ];
    let mut sent = 0;
    for slip in &slips {
        let mut event = event(now_ms(), 1);
        event["viewName"] = json!(slip);
        event["actionName"] = json!(slip);
        event["sessionId"] = json!(slip.chars().take(120).collect::<String>());
        event["tags"] = json!({"path": slip, "release": slip});
        // Twice, as after an answer that was lost.
        for _ in 0..2 {
            let answer = http::request(
                gateway.address(),
                "POST",
                &format!("/ingest?k={ACME_KEY}"),
                &[],
                event.to_string().as_bytes(),
            );
            assert_eq!(answer.status, 202, "{slip}: {}", answer.text());
            sent += 1;
        }
    }
    eventually(SOON, || async {
        let totals = Totals::of(&gateway, "acme");
        if totals.delivered == sent { Ok(()) } else { Err(format!("{totals:?}")) }
    })
    .await;
    let rows = bucket.rows("frontend_performance").await;
    assert_eq!(rows.len(), slips.len(), "a retry is the same point: {rows:?}");
    let all = format!("{rows:?}");
    for slip in ["joe", "example.com", "slip-", "1111", "4711", "pa55word", &jwt[..20], &jwt[jwt.len() - 20..]] {
        assert!(!all.contains(slip), "{slip}: {all}");
    }
    let sessions: BTreeSet<&str> = rows.iter().map(|row| row.text("session_id")).collect();
    assert_eq!(sessions.len(), slips.len(), "{sessions:?}");
    let metrics = http::request(gateway.admin_address(), "GET", "/metrics", &[], b"").text();
    for rule in ["email", "bearer", "card", "pattern"] {
        let line = metrics.lines().find(|line| line.starts_with(&format!("tagline_scrubbed_total{{rule=\"{rule}\"}}")));
        let count: u64 =
            line.and_then(|line| line.rsplit_once(' ')?.1.parse().ok()).unwrap_or_else(|| panic!("{rule}: {metrics}"));
        assert!(count >= 2, "{rule}: {count}");
    }
}
