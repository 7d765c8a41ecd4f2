//! Who a client is, it does not say by headers: whatever it sends, its own tenant and its own address are stored.

use super::{Edge, HOST, event, keyed};
use crate::support::Bucket;
use crate::support::caddy::{PROXY_SECRET, edited};
use std::net::{IpAddr, Ipv4Addr};

pub(in crate::edge) const CLIENT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

/// Header lines that a client would like to be believed, each row as one request has them.
pub(in crate::edge) fn spoofs() -> Vec<(&'static str, Vec<String>)> {
    let secret = format!("X-Proxy-Secret: {PROXY_SECRET}");
    let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    vec![
        ("nothing", lines(&[])),
        ("a tenant", lines(&["X-Tenant-ID: globex"])),
        ("in lower case", lines(&["x-tenant-id: globex"])),
        ("in capitals", lines(&["X-TENANT-ID: globex"])),
        ("twice", lines(&["X-Tenant-ID: acme", "x-tenant-id: globex"])),
        ("blanks around the value", lines(&["X-Tenant-ID:   globex  \t"])),
        ("with underscores", lines(&["X_Tenant_ID: globex", "X-Tenant_ID: globex", "X_TENANT-ID: globex"])),
        ("with dots", lines(&["X.Tenant.ID: globex"])),
        ("a placeholder for it", lines(&["X-Tenant-ID: {http.request.header.X-Other}", "X-Other: globex"])),
        ("a guess at the secret", lines(&["X-Tenant-ID: globex", "X-Proxy-Secret: guess"])),
        ("the very secret", vec!["X-Tenant-ID: globex".to_owned(), secret.clone()]),
        ("the secret twice", vec!["X-Tenant-ID: globex".to_owned(), secret.clone(), secret.clone()]),
        ("the secret's file", lines(&["X-Tenant-ID: globex", "X-Proxy-Secret: {file.proxy-secret}"])),
        ("Connection names the secret", lines(&["Connection: close, X-Proxy-Secret"])),
        (
            "Connection names all of ours",
            lines(&["Connection: X-Proxy-Secret, X-Forwarded-For, X-Request-ID, X-Tenant-ID, close"]),
        ),
        ("Connection twice", lines(&["Connection: close", "connection: x-proxy-secret, x-forwarded-for"])),
        ("an address", lines(&["X-Forwarded-For: 203.0.113.7"])),
        ("a chain of them", lines(&["X-Forwarded-For: 203.0.113.7, 127.0.0.1", "x-forwarded-for: 198.51.100.1"])),
        ("with the secret", vec!["X-Forwarded-For: 203.0.113.7".to_owned(), secret]),
        ("with underscores", lines(&["X_Forwarded_For: 203.0.113.7"])),
        (
            "an address by other names",
            lines(&[
                "Forwarded: for=203.0.113.7;by=127.0.0.1",
                "X-Real-IP: 203.0.113.7",
                "X-Client-IP: 203.0.113.7",
                "True-Client-IP: 203.0.113.7",
                "X-Forwarded: 203.0.113.7",
                "X-Forwarded-Host: globex.app.test",
                "X-Forwarded-Proto: http",
                "X-Forwarded-Port: 80",
                "X-Forwarded-Prefix: /admin",
            ]),
        ),
    ]
}

/// A request with these very lines; the connection ends with the answer.
pub(in crate::edge) fn request(target: &str, lines: &[String], body: &str) -> Vec<u8> {
    let mut head = format!("POST {target} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {}\r\n", body.len());
    if !lines.iter().any(|line| line.to_ascii_lowercase().starts_with("connection:")) {
        head.push_str("Connection: close\r\n");
    }
    for line in lines {
        head.push_str(&format!("{line}\r\n"));
    }
    format!("{head}\r\n{body}").into_bytes()
}

/// Fails the test unless each of these rows, whose number is its session, is stored once, under acme and with the address of [`CLIENT`].
pub(in crate::edge) async fn assert_acmes_own<L>(bucket: &Bucket, rows: &[(&str, L)]) {
    let points = bucket.rows("frontend_performance").await;
    assert_eq!(points.len(), rows.len());
    for point in &points {
        let what = rows[point.text("session_id").parse::<usize>().unwrap()].0;
        assert_eq!(point.text("tenant_id"), "acme", "{what}");
        assert_eq!(point.get("client_address"), Some("127.0.0.3"), "{what}");
    }
}

#[tokio::test]
async fn whatever_a_client_says_of_itself_its_own_tenant_and_address_are_stored() {
    let edge = Edge::start().await;
    let client = || edge.caddy.connect_from(IpAddr::from(CLIENT), HOST);
    let rows = spoofs();
    for (number, (what, lines)) in rows.iter().enumerate() {
        let body = event(&number.to_string()).to_string();
        let answer = client().exchange(request(&keyed(), lines, &body));
        assert_eq!(answer.status, 202, "{what}: {}", answer.text());
        // Without a credential of its own nothing is proven, by whatever header.
        let answer = client().exchange(request("/v1/telemetry", lines, &body));
        assert_eq!((answer.status, &answer.json()["code"]), (401, &"credential_missing".into()), "{what}");
    }
    edge.gateway.delivered("acme", rows.len() as u64).await;
    assert_acmes_own(&edge.bucket, &rows).await;
}

#[tokio::test]
async fn what_would_be_read_in_two_ways_is_refused_or_means_nothing() {
    let edge = Edge::start().await;
    let body = event("smuggled").to_string();
    let bad = [
        "X-Tenant-ID : globex",
        "X-Tenant-ID\t: globex",
        "X-Ignored: a\rX-Tenant-ID: globex",
        "X-Tenant-ID: acme\0globex",
        ": globex",
    ];
    for line in bad {
        let answer = edge.caddy.connect(HOST).exchange(request(&keyed(), &[line.to_owned()], &body));
        assert_eq!(answer.status, 400, "{line:?}: {}", answer.text());
    }
    assert_eq!(edge.gateway.admin_json("/admin/ledger")["tenants"]["acme"]["accepted"], 0);

    // In a trailer a header comes after everything that could be stripped.
    let trailed = format!(
        "POST {} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\
         Trailer: X-Tenant-ID, X-Proxy-Secret\r\n\r\n{:x}\r\n{body}\r\n0\r\nX-Tenant-ID: globex\r\nX-Proxy-Secret: {PROXY_SECRET}\r\n\r\n",
        keyed(),
        body.len(),
    );
    let answer = edge.caddy.connect(HOST).exchange(trailed);
    assert_eq!(answer.status, 202, "{}", answer.text());
    edge.gateway.delivered("acme", 1).await;
    assert_eq!(edge.bucket.rows("frontend_performance").await[0].text("tenant_id"), "acme");
}

#[tokio::test]
async fn the_app_is_told_nothing_of_a_clients_identity_but_by_caddy() {
    let edge = Edge::start().await;
    for (what, lines) in spoofs() {
        let answer = edge.caddy.connect_from(IpAddr::from(CLIENT), HOST).exchange(request("/page", &lines, ""));
        assert_eq!(answer.status, 200, "{what}: {}", answer.text());
        let got = edge.app.last();
        assert_eq!(got.header("X-Forwarded-For"), Some("127.0.0.3"), "{what}");
        assert_eq!(got.header("X-Forwarded-Host"), Some(HOST), "{what}");
        assert_eq!(got.header("X-Forwarded-Proto"), Some("https"), "{what}");
        for (name, value) in &got.headers {
            // As a CGI or WSGI app would see it.
            let name = name.to_ascii_lowercase().replace(['_', '.'], "-");
            let ours = ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"].contains(&name.as_str());
            let identity = ["x-tenant-id", "x-proxy-secret", "forwarded", "x-real-ip", "x-client-ip", "true-client-ip"];
            let claims = identity.contains(&name.as_str()) || name.starts_with("x-forwarded");
            assert!(ours || !claims, "{what}: {name}: {value}");
            assert!(
                !value.contains("globex") && !value.contains("203.0.113.7") || name == "x-other",
                "{what}: {name}: {value}"
            );
        }
    }
}

#[tokio::test]
async fn behind_another_proxy_that_is_named_the_client_is_the_one_before_it_and_still_one_address() {
    let folder =
        edited(&[("name edge", "name edge\n\t\ttrusted_proxies static 127.0.0.4/32\n\t\ttrusted_proxies_strict")]);
    let edge = Edge::start_with(|setup| setup.file(folder.path().join("Caddyfile"))).await;
    let named = vec!["X-Forwarded-For: 198.51.100.1, 203.0.113.7".to_owned()];
    for (from, client) in [([127, 0, 0, 4], "203.0.113.7"), ([127, 0, 0, 3], "127.0.0.3")] {
        let ask = |target: &str, body: &str| {
            edge.caddy.connect_from(IpAddr::from(from), HOST).exchange(request(target, &named, body))
        };
        assert_eq!(ask("/page", "").status, 200);
        assert_eq!(edge.app.last().header("X-Forwarded-For"), Some(client));
        assert_eq!(ask(&keyed(), &event(client).to_string()).status, 202);
    }
    edge.gateway.delivered("acme", 2).await;
    for point in edge.bucket.rows("frontend_performance").await {
        assert_eq!(point.get("client_address"), Some(point.text("session_id")));
    }
}
