//! The admin listener: who may ask it, by which name, and how much; and the headers that both listeners send.

use std::time::Duration;

use serde_json::json;

use crate::support::{
    ACME_KEY, Answer, Connection, Gateway, config_for, events, eventually, http, influx, now_ms, post, tagline,
};

const TOKEN: &str = "admin-token-0123456789";
const GUARDED: [&str; 8] = [
    "/",
    "/metrics",
    "/admin/ledger",
    "/admin/limits",
    "/admin/rejections",
    "/admin/dead-letters",
    "/admin/series",
    "/no/such/route",
];

fn get(gateway: &Gateway, target: &str, headers: &[(&str, &str)]) -> Answer {
    http::request(gateway.admin_address(), "GET", target, headers, b"")
}

/// `GET` by this name instead of the listener's address.
fn get_by(gateway: &Gateway, target: &str, host: &str) -> Answer {
    let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    Connection::open(gateway.admin_address()).exchange(request)
}

#[tokio::test]
async fn with_a_token_every_route_asks_for_it_but_those_of_probes() {
    let bucket = influx().bucket("admin-token");
    let gateway = Gateway::start_with(&config_for(&bucket), &[("TAGLINE__SERVER__ADMIN_TOKEN", TOKEN)]).await;
    let bearer = format!("Bearer {TOKEN}");
    for target in GUARDED {
        let status = if target == "/no/such/route" { 404 } else { 200 };
        assert_eq!(get(&gateway, target, &[("Authorization", &bearer)]).status, status, "{target}");
        for (what, headers) in [
            ("none", vec![]),
            ("another", vec![("Authorization", "Bearer admin-token-012345678X".to_owned())]),
            ("cut", vec![("Authorization", format!("Bearer {}", &TOKEN[..TOKEN.len() - 1]))]),
            ("longer", vec![("Authorization", format!("{bearer}x"))]),
            ("empty", vec![("Authorization", "Bearer ".to_owned())]),
            ("no scheme", vec![("Authorization", TOKEN.to_owned())]),
            ("basic", vec![("Authorization", format!("Basic {TOKEN}"))]),
            ("in another header", vec![("X-Api-Key", TOKEN.to_owned())]),
            ("twice", vec![("Authorization", bearer.clone()), ("Authorization", bearer.clone())]),
            ("beside another", vec![("Authorization", "Bearer x".to_owned()), ("Authorization", bearer.clone())]),
        ] {
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let answer = get(&gateway, target, &headers);
            assert_eq!((answer.status, &answer.json()["code"]), (401, &json!("admin_token")), "{target} {what}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"tagline\""), "{target} {what}");
        }
        assert_eq!(get(&gateway, &format!("{target}?access_token={TOKEN}"), &[]).status, 401, "{target} in the query");
    }
    assert_eq!(
        get(&gateway, "/metrics", &[("Authorization", &format!("bearer {TOKEN}"))]).status,
        200,
        "RFC 9110, 11.1"
    );
    for target in ["/healthz", "/readyz"] {
        assert_eq!(get(&gateway, target, &[]).status, 200, "{target}");
    }
    assert_eq!(get(&gateway, "/readyz", &[]).json(), json!({ "status": "ok", "checks": [] }), "to a probe");
    let told = get(&gateway, "/readyz", &[("Authorization", &bearer)]).json();
    assert!(told["checks"].as_array().is_some_and(|checks| checks.len() > 1), "to who may ask: {told}");
    // Other spellings of a route are none of the open ones.
    for target in
        ["/healthz/../metrics", "//metrics", "/healthz/metrics", "/readyz/", "/%6detrics", "/metrics?/healthz"]
    {
        assert_eq!(get(&gateway, target, &[]).status, 401, "{target}");
    }
    // By whatever name: a page has no token to send.
    let request =
        format!("GET /metrics HTTP/1.1\r\nHost: ops.example\r\nAuthorization: {bearer}\r\nConnection: close\r\n\r\n");
    assert_eq!(Connection::open(gateway.admin_address()).exchange(request).status, 200);
    // It is the admin listener's alone.
    let answer = http::request(gateway.address(), "POST", "/v1/telemetry", &[("Authorization", &bearer)], b"{}");
    assert_eq!(answer.status, 401);
}

#[tokio::test]
async fn a_token_is_replaced_by_a_reload() {
    let bucket = influx().bucket("admin-reload");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("admin-token");
    std::fs::write(&file, TOKEN).unwrap();
    let variable = file.display().to_string();
    let mut gateway =
        Gateway::start_with(&config_for(&bucket), &[("TAGLINE__SERVER__ADMIN_TOKEN_FILE", &variable)]).await;
    let status = |gateway: &Gateway, token: &str| {
        get(gateway, "/metrics", &[("Authorization", &format!("Bearer {token}"))]).status
    };
    assert_eq!(status(&gateway, TOKEN), 200);
    std::fs::write(&file, "another-token-0123456789").unwrap();
    gateway.signal("HUP");
    eventually(Duration::from_secs(20), || async {
        match status(&gateway, "another-token-0123456789") {
            200 => Ok(()),
            other => Err(other),
        }
    })
    .await;
    assert_eq!(status(&gateway, TOKEN), 401, "the old one");
}

#[tokio::test]
async fn without_a_token_no_page_can_read_it_by_a_name_of_its_own() {
    let bucket = influx().bucket("rebinding");
    let gateway = Gateway::start(&config_for(&bucket)).await;
    let port = gateway.admin_address().port();
    for target in GUARDED.iter().filter(|target| **target != "/no/such/route") {
        for host in ["evil.example", "127.0.0.1.nip.example", "localhost.evil.example"] {
            for host in [host.to_owned(), format!("{host}:{port}")] {
                let answer = get_by(&gateway, target, &host);
                assert_eq!(
                    (answer.status, &answer.json()["code"]),
                    (403, &json!("host_not_allowed")),
                    "{target} {host}"
                );
            }
        }
        for host in
            ["localhost", "127.0.0.1", "10.1.2.3", "[::1]", "tagline-admin", "tagline.observability.svc.cluster.local"]
        {
            assert_eq!(get_by(&gateway, target, &format!("{host}:{port}")).status, 200, "{target} {host}");
        }
    }
    // A probe may name whom it likes.
    for target in ["/healthz", "/readyz"] {
        assert_eq!(get_by(&gateway, target, "evil.example").status, 200, "{target}");
    }
    assert_eq!(get_by(&gateway, "/readyz", "evil.example").json()["checks"], json!([]), "but learns no more");
    // And across origins nothing is shared.
    let answer = get(&gateway, "/admin/ledger", &[("Origin", "https://evil.example")]);
    assert!(answer.headers.iter().all(|(name, _)| !name.starts_with("access-control-")), "{answer:?}");
    let preflight = [("Origin", "https://evil.example"), ("Access-Control-Request-Method", "GET")];
    let answer = http::request(gateway.admin_address(), "OPTIONS", "/admin/ledger", &preflight, b"");
    assert!(
        answer.status >= 400 && answer.headers.iter().all(|(name, _)| !name.starts_with("access-control-")),
        "{answer:?}"
    );
}

#[tokio::test]
async fn the_admin_listener_takes_no_bodies_and_no_slow_heads() {
    let bucket = influx().bucket("admin-bodies");
    let gateway = Gateway::start(&config_for(&bucket)).await;
    let exchange = |head: &str, body: &[u8]| {
        let request = format!("{head}\r\nHost: localhost\r\nConnection: close\r\n");
        let mut connection = Connection::open(gateway.admin_address());
        connection.send([request.as_bytes(), body].concat()).unwrap();
        connection.receive().unwrap()
    };
    for target in ["/", "/metrics", "/healthz", "/readyz", "/no/such/route"] {
        // Of the first nothing but the head comes: the answer waits for no body.
        for body in [
            "Content-Length: 1025\r\n\r\n",
            "Content-Length: 99999999999999999999\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ] {
            let answer = exchange(&format!("GET {target} HTTP/1.1"), body.as_bytes());
            // A length that is no number is refused below the application.
            let wanted: &[u16] = if body.contains("999") { &[413, 400] } else { &[413] };
            assert!(wanted.contains(&answer.status), "{target} {body}: {answer:?}");
        }
    }
    let small = exchange("GET /metrics HTTP/1.1", b"Content-Length: 5\r\n\r\nhello");
    assert_eq!(small.status, 200);

    // A head that never ends is ended after 10 s, and others are answered meanwhile.
    let mut slow = Connection::open(gateway.admin_address());
    slow.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").unwrap();
    assert_eq!(get(&gateway, "/metrics", &[]).status, 200);
    let answer = slow.receive();
    assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status == 408));
}

/// A header's value, whole.
fn is(answer: &Answer, name: &str, value: &str) {
    assert_eq!(answer.header(name), Some(value), "{name}: {answer:?}");
}

#[tokio::test]
async fn every_answer_has_the_headers_that_keep_a_browser_from_making_more_of_it() {
    let bucket = influx().bucket("headers");
    let gateway = Gateway::start(&config_for(&bucket)).await;
    let origin = ("Origin", "https://app.example");
    let keyed = format!("/v1/telemetry/{ACME_KEY}");
    let body = events(now_ms(), 0, 1).to_string();
    let preflight =
        [origin, ("Access-Control-Request-Method", "POST"), ("Access-Control-Request-Headers", "content-type")];
    let public = |method, target: &str, headers: &[(&str, &str)], body: &str| {
        http::request(gateway.address(), method, target, headers, body.as_bytes())
    };
    let answers = [
        (202, public("POST", &keyed, &[origin], &body)),
        (204, public("POST", &keyed, &[origin], "[]")),
        (400, public("POST", &keyed, &[origin], "{")),
        (401, public("POST", "/v1/telemetry", &[origin], &body)),
        (405, public("GET", &keyed, &[origin], "")),
        (404, public("GET", "/", &[origin], "")),
        (415, public("POST", &keyed, &[origin, ("Content-Encoding", "x")], &body)),
        (200, public("GET", "/healthz", &[origin], "")),
        (200, public("OPTIONS", &keyed, &preflight, "")),
    ];
    for (status, answer) in &answers {
        assert_eq!(answer.status, *status, "{answer:?}");
        is(answer, "x-content-type-options", "nosniff");
        is(answer, "cache-control", "no-store");
        is(answer, "content-security-policy", "default-src 'none'; frame-ancestors 'none'");
        is(answer, "cross-origin-resource-policy", "cross-origin");
        is(answer, "access-control-allow-origin", "https://app.example");
        assert!(answer.header("server").is_none() && answer.header("x-powered-by").is_none(), "{answer:?}");
    }
    for target in GUARDED.iter().chain(&["/healthz", "/readyz"]) {
        for answer in [get(&gateway, target, &[]), get_by(&gateway, target, "evil.example")] {
            is(&answer, "x-content-type-options", "nosniff");
            is(&answer, "cache-control", "no-store");
            is(&answer, "content-security-policy", "default-src 'none'; frame-ancestors 'none'");
            is(&answer, "cross-origin-resource-policy", "same-origin");
            is(&answer, "referrer-policy", "no-referrer");
            is(&answer, "x-frame-options", "DENY");
            assert!(answer.header("server").is_none(), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn an_admin_listener_that_all_can_reach_is_warned_of_at_the_start_and_by_check() {
    let bucket = influx().bucket("admin-open");
    let open = ("TAGLINE__SERVER__ADMIN_LISTEN", "0.0.0.0:0");
    let token = ("TAGLINE__SERVER__ADMIN_TOKEN", TOKEN);
    for (environment, warned) in [(&[open][..], true), (&[open, token], false), (&[], false)] {
        let gateway = Gateway::start_with(&config_for(&bucket), environment).await;
        let lines = gateway.log_lines();
        let said = lines.iter().any(|line| line["level"] == "WARN" && line.to_string().contains("admin_token_file"));
        assert_eq!(said, warned, "{environment:?}: {}", gateway.log());
        let checked = tagline(gateway.folder(), &["check", "--config", &gateway.config_file()], environment).await;
        assert_eq!(checked.code, Some(0), "{checked:?}");
        assert_eq!(checked.stdout.contains("warning: server.admin_listen"), warned, "{checked:?}");
        assert_eq!(post(&gateway, ACME_KEY, &events(now_ms(), 0, 1)).status, 202);
    }
}
