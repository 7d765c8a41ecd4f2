//! `TELEMETRY_AUTH=service`: a service of one's own verifies, and its answer alone names the tenant.

use super::caddy::{HOST, behind_caddy, event, identity, keyed};
use crate::support::caddy::{CADDY_ADDRESS, PROXY_SECRET, caddy_command, caddy_folder, request_bytes};
use crate::support::service::{Reply, Service};
use crate::support::{Answer, Bucket, Caddy, Gateway, config_for, influx};
use serde_json::Value;
use std::net::IpAddr;

const ORIGIN: &str = "https://acme.app.test";

/// A gateway, a service that verifies, and Caddy before both.
struct Verified {
    caddy: Caddy,
    gateway: Gateway,
    service: Service,
    bucket: Bucket,
}

impl Verified {
    /// `answer` is what the service says to each request.
    async fn by(answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let bucket = influx().bucket("verified");
        let gateway = Gateway::start_with(&config_for(&bucket), &behind_caddy()).await;
        let service = Service::start(move |request| answer(request.header("Cookie").unwrap_or_default()));
        let caddy = Caddy::for_sites(&[HOST])
            .gateway(&gateway)
            .variable("TELEMETRY_AUTH", "service")
            .variable("AUTH_UPSTREAM", service.address().to_string())
            .start()
            .await;
        Self { caddy, gateway, service, bucket }
    }

    fn send(&self, target: &str, lines: &[String], session: &str) -> Answer {
        let body = event(session).to_string();
        self.caddy.connect_from(IpAddr::from(identity::CLIENT), HOST).exchange(identity::request(target, lines, &body))
    }
}

/// 200 with this tenant, or without one.
fn verified(tenant: Option<&str>) -> Reply {
    let headers = tenant.map(|tenant| ("X-Tenant-ID", tenant.to_owned())).into_iter().collect();
    Reply::Answer(200, headers, "who this is stands in a header".to_owned())
}

/// A good session is acme's, and nobody else is signed in.
fn good_sessions(cookie: &str) -> Reply {
    match cookie {
        "session=good" => verified(Some("acme")),
        _ => Reply::Answer(401, Vec::new(), "sign in".to_owned()),
    }
}

fn signed_in(lines: &[String]) -> Vec<String> {
    [&["Cookie: session=good".to_owned()], lines].concat()
}

#[tokio::test]
async fn the_services_answer_names_the_tenant_whatever_the_client_says() {
    let edge = Verified::by(good_sessions).await;
    let rows = identity::spoofs();
    for (number, (what, lines)) in rows.iter().enumerate() {
        let answer = edge.send("/v1/telemetry", &signed_in(lines), &number.to_string());
        assert_eq!(answer.status, 202, "{what}: {}", answer.text());
        // And who is not signed in is nobody: the service's own answer, and nothing is stored.
        let answer = edge.send("/v1/telemetry", lines, "nobody");
        assert_eq!((answer.status, answer.text().as_str()), (401, "sign in"), "{what}");
    }
    edge.gateway.delivered("acme", rows.len() as u64).await;
    identity::assert_acmes_own(&edge.bucket, &rows).await;
    // The service is told whose request it is and what for, and neither the body nor our secret.
    for request in edge.service.received() {
        assert_eq!((request.method.as_str(), request.target.as_str()), ("GET", "/verify"));
        assert_eq!(request.header("X-Forwarded-Uri"), Some("/v1/telemetry"));
        assert_eq!(request.header("X-Forwarded-Method"), Some("POST"));
        assert_eq!(request.header("X-Forwarded-For"), Some("127.0.0.3"));
        assert_eq!(request.all("X-Tenant-ID"), Vec::<&str>::new());
        assert_eq!(request.all("X-Proxy-Secret"), Vec::<&str>::new());
        assert!(request.body.is_empty());
    }
}

#[tokio::test]
async fn an_answer_that_names_no_tenant_lets_neither_the_clients_nor_a_placeholder_through() {
    let edge = Verified::by(|_| verified(None)).await;
    for (what, lines) in identity::spoofs() {
        let answer = edge.send("/v1/telemetry", &signed_in(&lines), "s");
        assert_eq!((answer.status, &answer.json()["code"]), (401, &"credential_missing".into()), "{what}");
    }
    let ledger = edge.gateway.admin_json("/admin/ledger");
    assert_eq!(ledger["tenants"]["acme"]["accepted"], 0, "{ledger}");
    assert_eq!(ledger["tenants"]["globex"]["accepted"], 0, "{ledger}");
}

#[tokio::test]
async fn what_the_service_says_is_no_tenant_is_refused_and_so_is_a_key_of_another() {
    let edge = Verified::by(|cookie| verified(cookie.strip_prefix("session="))).await;
    for tenant in ["{http.reverse_proxy.header.X-Other}", "acme, globex", "../acme"] {
        let answer = edge.send("/v1/telemetry", &[format!("Cookie: session={tenant}")], "s");
        assert_eq!((answer.status, &answer.json()["code"]), (403, &"tenant_header_malformed".into()), "{tenant}");
    }
    let answer = edge.send("/v1/telemetry", &["Cookie: session=initech".to_owned()], "s");
    assert_eq!((answer.status, &answer.json()["code"]), (403, &"tenant_unknown".into()));
    // A client's own key must prove the same tenant.
    let answer = edge.send(&keyed(), &["Cookie: session=globex".to_owned()], "s");
    assert_eq!((answer.status, &answer.json()["code"]), (403, &"tenant_mismatch".into()));
    assert_eq!(edge.send(&keyed(), &["Cookie: session=acme".to_owned()], "s").status, 202);
    edge.gateway.delivered("acme", 1).await;
}

#[tokio::test]
async fn a_page_of_another_host_cannot_use_the_cookie_of_who_is_signed_in() {
    let edge = Verified::by(good_sessions).await;
    for origin in
        ["https://evil.example", "https://globex.app.test", "http://acme.app.test", "https://acme.app.test:444", "null"]
    {
        let answer = edge.send("/v1/telemetry", &signed_in(&[format!("Origin: {origin}")]), "s");
        assert_eq!((answer.status, answer.text().as_str()), (401, "sign in"), "{origin}");
    }
    assert_eq!(edge.send("/v1/telemetry", &signed_in(&[format!("Origin: {ORIGIN}")]), "s").status, 202);
    edge.gateway.delivered("acme", 1).await;
}

#[tokio::test]
async fn what_a_client_says_of_its_connection_hides_nothing_from_the_service_and_upgrades_nothing() {
    let edge = Verified::by(|_| verified(Some("acme"))).await;
    let lines = ["Connection: close, Upgrade, X-Shown", "X-Shown: yes", "Upgrade: websocket"].map(str::to_owned);
    let answer = edge.send("/v1/telemetry", &lines, "s");
    assert_eq!(answer.status, 202, "{}", answer.text());
    let asked = edge.service.last();
    assert_eq!((asked.header("X-Shown"), asked.header("Upgrade")), (Some("yes"), None), "{asked:?}");
}

#[tokio::test]
async fn a_preflight_needs_no_credential_and_a_service_that_is_down_is_502_for_the_page_to_read() {
    let mut edge = Verified::by(|_| Reply::Answer(401, Vec::new(), "sign in".to_owned())).await;
    let preflight = [("Origin", ORIGIN), ("Access-Control-Request-Method", "POST")];
    let answer = edge.caddy.request(HOST, "OPTIONS", "/v1/telemetry", &preflight, b"");
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, Some(ORIGIN)), "{answer:?}");
    assert!(edge.service.received().is_empty());
    let answer = edge.caddy.request(HOST, "POST", "/v1/telemetry", &[("Origin", ORIGIN)], b"{}");
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (401, Some(ORIGIN)), "{answer:?}");

    edge.caddy = Caddy::for_sites(&[HOST])
        .gateway(&edge.gateway)
        .variable("TELEMETRY_AUTH", "service")
        .variable("AUTH_UPSTREAM", "127.0.0.1:1")
        .start()
        .await;
    let lines =
        ["X-Tenant-ID: globex".to_owned(), format!("X-Proxy-Secret: {PROXY_SECRET}"), format!("Origin: {ORIGIN}")];
    let answer = edge.send("/v1/telemetry", &lines, "s");
    assert_eq!((answer.status, &answer.json()["code"]), (502, &"gateway_unavailable".into()));
    assert_eq!(answer.header("access-control-allow-origin"), Some(ORIGIN));
    assert_eq!(edge.gateway.admin_json("/admin/ledger")["tenants"]["globex"]["accepted"], 0);
}

#[tokio::test]
async fn the_gateway_itself_refuses_what_a_caddy_with_the_hole_would_let_through() {
    // GHSA-7r4p-vjf4-gxv4, and a secret that somebody guessed: what is left is the address.
    let bucket = influx().bucket("verified");
    let gateway = Gateway::start_with(
        &config_for(&bucket),
        &[("TAGLINE__SERVER__TRUSTED_PROXIES", CADDY_ADDRESS), ("TAGLINE__SERVER__PROXY_SECRET", PROXY_SECRET)],
    )
    .await;
    let headers = [("X-Tenant-ID", "globex"), ("X-Proxy-Secret", PROXY_SECRET)];
    let request = request_bytes("gateway", "POST", "/v1/telemetry", &headers, event("s").to_string().as_bytes());
    let answer = crate::support::Connection::open_from([127, 0, 0, 3].into(), gateway.address()).exchange(request);
    assert_eq!((answer.status, &answer.json()["code"]), (401, &"proxy_not_trusted".into()));
}

/// Every handler of a site's routes, in the order in which Caddy runs them.
fn handlers<'a>(value: &'a Value, found: &mut Vec<&'a Value>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| handlers(value, found)),
        Value::Object(members) => {
            if members.get("handler").is_some_and(|name| name != "subroute") {
                found.push(value);
            } else {
                ["routes", "handle"]
                    .iter()
                    .filter_map(|name| members.get(*name))
                    .for_each(|value| handlers(value, found));
            }
        }
        _ => (),
    }
}

#[test]
fn the_clients_copy_is_gone_before_the_service_is_asked_on_whatever_version_of_caddy() {
    // 2.9 to 2.11.1 do not delete it themselves where the service's answer has none: it must be gone by this file's own doing.
    let path = caddy_folder().join("Caddyfile").display().to_string();
    let output = caddy_command(
        &["adapt", "--adapter", "caddyfile", "--config", &path],
        &[("CADDY_SITES", HOST), ("TELEMETRY_AUTH", "service")],
    );
    let adapted: Value = serde_json::from_slice(&output.stdout).expect("caddy adapt prints JSON");
    let mut found = Vec::new();
    handlers(&adapted["apps"]["http"]["servers"]["edge"]["routes"], &mut found);
    let deletes = |header: &str| {
        let position = found.iter().position(|handler| {
            handler["request"]["delete"].as_array().is_some_and(|names| {
                names.iter().any(|name| name.as_str().is_some_and(|name| name.eq_ignore_ascii_case(header)))
            })
        });
        position.unwrap_or_else(|| panic!("nothing deletes {header}: {found:#?}"))
    };
    let first_proxy = found.iter().position(|handler| handler["handler"] == "reverse_proxy").expect("a proxy");
    assert_eq!(found[first_proxy]["rewrite"]["uri"], "/verify");
    assert!(deletes("X-Tenant-Id") < first_proxy, "{found:#?}");
    assert!(deletes("X-Proxy-Secret") < first_proxy, "{found:#?}");
    assert!(found.iter().filter(|handler| handler["handler"] == "reverse_proxy").count() == 3, "{found:#?}");
}
