//! Spoofed forwarding headers: who the client is said to be, by itself and by a trusted proxy, and whom the gateway takes it for.
//!
//! The gateway stores the client's address, and each row's event has a session of its own: so Flux tells what was believed.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use serde_json::json;

use super::row::{Request, post};
use crate::support::{ACME_KEY, Connection, Gateway, config_for, influx};

const SECRET: &str = "between-proxy-and-gateway-0123456789";
/// The listed proxy that a request comes from, and somebody who is none.
const PROXY: u8 = 9;
const STRANGER: u8 = 3;

/// What is sent from where, and the address that must be stored, if any.
struct Row {
    what: &'static str,
    source: u8,
    headers: Vec<(&'static str, &'static str)>,
    client: Option<&'static str>,
}

fn row(what: &'static str, source: u8, headers: &[(&'static str, &'static str)], client: Option<&'static str>) -> Row {
    Row { what, source, headers: headers.to_vec(), client }
}

/// Through the proxy, which shows its secret.
fn proxied(what: &'static str, forwarded: &[&'static str], client: Option<&'static str>) -> Row {
    let lines = forwarded.iter().map(|line| ("X-Forwarded-For", *line));
    Row { what, source: PROXY, headers: lines.chain([("X-Proxy-Secret", SECRET)]).collect(), client }
}

fn rows() -> Vec<Row> {
    let me = Some("127.0.0.3");
    let xff = |value| ("X-Forwarded-For", value);
    let secret = ("X-Proxy-Secret", SECRET);
    vec![
        // A stranger is who it is, whatever it says.
        row("a stranger", STRANGER, &[], me),
        row("a stranger that names another", STRANGER, &[xff("203.0.113.7")], me),
        row("a stranger that names the proxy", STRANGER, &[xff("127.0.0.9")], me),
        row("a stranger that knows the secret", STRANGER, &[xff("203.0.113.7"), secret], me),
        row("Forwarded", STRANGER, &[("Forwarded", "for=203.0.113.7")], me),
        row("X-Real-IP", STRANGER, &[("X-Real-IP", "203.0.113.7")], me),
        row("True-Client-IP", STRANGER, &[("True-Client-IP", "203.0.113.7")], me),
        row("X-Client-IP", STRANGER, &[("X-Client-IP", "203.0.113.7")], me),
        row("CF-Connecting-IP", STRANGER, &[("CF-Connecting-IP", "203.0.113.7")], me),
        row("X-Forwarded-For, with underscores", STRANGER, &[("X_Forwarded_For", "203.0.113.7")], me),
        // The proxy's address without the secret tells nothing: another program of the same machine could be it.
        row("the proxy without a secret", PROXY, &[xff("203.0.113.7")], None),
        row("the proxy with a wrong secret", PROXY, &[xff("203.0.113.7"), ("X-Proxy-Secret", "guess")], None),
        row("the proxy with two secrets", PROXY, &[xff("203.0.113.7"), secret, secret], None),
        row("the proxy that names nobody", PROXY, &[secret], None),
        row(
            "the proxy, by other headers",
            PROXY,
            &[secret, ("X-Real-IP", "203.0.113.7"), ("Forwarded", "for=203.0.113.7")],
            None,
        ),
        // What the proxy wrote stands last; what the client wrote, before it.
        proxied("as it should be", &["203.0.113.7"], Some("203.0.113.7")),
        proxied("the client's own entry before it", &["198.51.100.1, 203.0.113.7"], Some("203.0.113.7")),
        proxied("many of the client's own", &["1.1.1.1,2.2.2.2, 3.3.3.3 ,203.0.113.7"], Some("203.0.113.7")),
        proxied("the client's own line before it", &["198.51.100.1", "203.0.113.7"], Some("203.0.113.7")),
        proxied("a proxy behind the proxy", &["198.51.100.1, 203.0.113.7, 10.1.2.3"], Some("203.0.113.7")),
        proxied("two lines, the last of a listed proxy", &["203.0.113.7", "10.1.2.3"], Some("203.0.113.7")),
        proxied("a client that says it is a proxy", &["198.51.100.1, 10.9.9.9, 203.0.113.7"], Some("203.0.113.7")),
        proxied("only proxies", &["10.1.2.3, 10.1.2.4"], None),
        proxied("a word", &["unknown"], None),
        proxied("an obfuscated name", &["_hidden"], None),
        proxied("a word between", &["203.0.113.7, unknown, 10.1.2.3"], None),
        proxied("an empty entry", &["203.0.113.7, "], None),
        proxied("nothing", &[""], None),
        proxied("commas", &[",,,"], None),
        proxied("a name", &["localhost"], None),
        proxied("a number", &["2130706433"], None),
        proxied("a short form", &["127.1"], None),
        proxied("octal", &["0177.0.0.1"], None),
        proxied("in quotation marks", &["\"203.0.113.7\""], None),
        proxied("semicolons", &["203.0.113.7; 198.51.100.1"], None),
        proxied("a line's forgery", &["203.0.113.7\",tenant_id=globex"], None),
        proxied("with a port", &["203.0.113.7:4711"], Some("203.0.113.7")),
        proxied("IPv6", &["2001:db8::7"], Some("2001:db8::7")),
        proxied("IPv6 with a port", &["[2001:db8::7]:4711"], Some("2001:db8::7")),
        proxied("IPv4 in IPv6", &["::ffff:203.0.113.7"], Some("203.0.113.7")),
        proxied("a listed proxy as IPv4 in IPv6", &["203.0.113.7, ::ffff:10.1.2.3"], Some("203.0.113.7")),
        proxied("IPv6 with a zone", &["fe80::1%eth0"], None),
    ]
}

#[tokio::test]
async fn a_forwarding_header_is_believed_only_from_a_listed_proxy_and_only_what_that_wrote() {
    let bucket = influx().bucket("forwarded");
    let environment = [
        ("TAGLINE__SERVER__PROXY_SECRET", SECRET),
        ("TAGLINE__SERVER__TRUSTED_PROXIES", "127.0.0.9, 10.0.0.0/8"),
        ("TAGLINE__ENRICH__CLIENT_ADDRESS", "full"),
    ];
    let gateway = Gateway::start_with(&config_for(&bucket), &environment).await;
    let rows = rows();
    for (number, row) in rows.iter().enumerate() {
        let answer = Connection::open_from(Ipv4Addr::new(127, 0, 0, row.source).into(), gateway.address())
            .exchange(request(number, row).bytes());
        assert_eq!(answer.status, 202, "{}: {}", row.what, answer.text());
    }
    gateway.delivered("acme", rows.len() as u64).await;

    let points = bucket.rows("frontend_performance").await;
    let stored: BTreeMap<&str, Option<&str>> =
        points.iter().map(|point| (point.text("session_id"), point.get("client_address"))).collect();
    let wrong: Vec<String> = rows
        .iter()
        .enumerate()
        .filter_map(|(number, row)| {
            let seen = stored[number.to_string().as_str()].filter(|seen| !seen.is_empty());
            assert!(seen.is_none_or(|seen| seen.parse::<IpAddr>().is_ok()), "{seen:?}");
            (seen != row.client).then(|| format!("{}: {seen:?} instead of {:?}", row.what, row.client))
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

fn request(number: usize, row: &Row) -> Request {
    let event = json!({
        "sessionId": number.to_string(), "viewName": "v", "actionName": "a", "metrics": {"element_count": 1},
    });
    let request = post(format_args!("/v1/telemetry/{ACME_KEY}")).body(event.to_string());
    row.headers.iter().fold(request, |request, (name, value)| request.header(name, value))
}
