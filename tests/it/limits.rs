//! Limits through the real door: failed proofs by address, dry runs, replicas, and what the admin listener shows of them.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{
    ACME_KEY, Answer, Connection, GLOBEX_KEY, Gateway, SigningKey, claims, event, events, http, now_ms, post,
};

const SECRET: &str = "proxy-secret-0123456789";

fn settings(more: &str) -> String {
    format!(
        r#"
[server]
listen = "127.0.0.1:0"
admin_listen = "127.0.0.1:0"
workers = 2
drain_delay = "0s"
trusted_proxies = ["127.0.0.9"]

[influxdb]
url = "http://127.0.0.1:9"
org = "nowhere"

[spool]
dir = "data"
durability = "memory"

[tenants.acme.keys.web]
key = "{ACME_KEY}"
origins = ["*"]

[tenants.globex.keys.web]
key = "{GLOBEX_KEY}"
origins = ["https://globex.example"]
{more}"#
    )
}

/// Two tenants, a proxy at 127.0.0.9, and no InfluxDB: what is accepted waits in memory.
pub async fn start(more: &str, replicas: &str) -> Gateway {
    let environment = [
        ("TAGLINE__SERVER__PROXY_SECRET", SECRET),
        ("TAGLINE__SERVER__REPLICAS", replicas),
        ("INFLUXDB_TOKEN", "for-nobody"),
    ];
    Gateway::start_with(&settings(more), &environment).await
}

/// An event with these headers, from `127.0.0.SOURCE`.
fn send(gateway: &Gateway, source: u8, headers: &[(&str, &str)]) -> Answer {
    let body = event(now_ms(), 1).to_string();
    let mut request = format!("POST /v1/telemetry HTTP/1.1\r\nHost: gateway\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    let source = IpAddr::from(Ipv4Addr::new(127, 0, 0, source));
    Connection::open_from(source, gateway.address()).exchange(request + "\r\n" + &body)
}

/// The status and, of a refusal, its code.
fn said(answer: &Answer) -> (u16, String) {
    let code = serde_json::from_slice::<serde_json::Value>(&answer.body).unwrap_or_default();
    (answer.status, code["code"].as_str().unwrap_or_default().to_owned())
}

/// Tokens for `acme` that are well made and signed by nobody; no two are the same.
fn forged(n: u64) -> String {
    let mut claims = claims("acme");
    claims["jti"] = json!(n);
    format!("Bearer {}", SigningKey::hs256().sign(&claims))
}

fn refused_by_signature() -> (u16, String) {
    (401, "token_signature".to_owned())
}

fn limited() -> (u16, String) {
    (429, "address_limited".to_owned())
}

#[tokio::test]
async fn an_address_that_sends_made_up_tokens_waits_and_what_is_known_or_cheap_goes_on() {
    let key = SigningKey::hs256();
    let more = format!("{}\n[server.address]\nfailures_per_second = 1\nburst = 5", key.issuer_toml("main"));
    let gateway = start(&more, "1").await;
    let good = format!("Bearer {}", key.sign(&claims("acme")));
    assert_eq!(send(&gateway, 1, &[("Authorization", &good)]).status, 202);

    let begun = Instant::now();
    let mut answers: Vec<_> = (0..8).map(|n| said(&send(&gateway, 1, &[("Authorization", &forged(n))]))).collect();
    let allowed = 5 + begun.elapsed().as_secs() as usize;
    let waits = answers.split_off(answers.iter().take_while(|answer| **answer == refused_by_signature()).count());
    assert!((5..=allowed + 1).contains(&answers.len()) && waits.first() == Some(&limited()), "{answers:?} {waits:?}");

    // From the same address: a token that was verified before, and a write key.
    assert_eq!(send(&gateway, 1, &[("Authorization", &good)]).status, 202);
    assert_eq!(send(&gateway, 1, &[("X-Api-Key", ACME_KEY)]).status, 202);
    // From another: nothing has happened.
    assert_eq!(said(&send(&gateway, 2, &[("Authorization", &forged(20))])), refused_by_signature());

    let limited_answer =
        (21..40).map(|n| send(&gateway, 1, &[("Authorization", &forged(n))])).find(|a| a.status == 429);
    let wait: u64 = limited_answer.unwrap().header("retry-after").unwrap().parse().unwrap();
    assert_eq!(wait, 1);
    thread::sleep(Duration::from_secs(wait));
    assert_eq!(
        said(&send(&gateway, 1, &[("Authorization", &forged(41))])),
        refused_by_signature(),
        "Retry-After is true"
    );

    let metrics = http::request(gateway.admin_address(), "GET", "/metrics", &[], b"").text();
    assert!(!metrics.contains("tagline_limit_exceeded_total{limit=\"address\",enforced=\"true\"} 0\n"), "{metrics}");
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_client_waits_and_not_the_proxy() {
    let key = SigningKey::hs256();
    let more = format!("{}\n[server.address]\nfailures_per_second = 1\nburst = 3", key.issuer_toml("main"));
    let gateway = start(&more, "1").await;
    let through = |client: &str, token: &str| {
        let headers = [("Authorization", token), ("X-Proxy-Secret", SECRET), ("X-Forwarded-For", client)];
        said(&send(&gateway, 9, &headers))
    };
    let evil = "1.1.1.1, 203.0.113.66";
    assert!((0..20).any(|n| through(evil, &forged(n)) == limited()));
    assert_eq!(through("203.0.113.66, 203.0.113.7", &forged(30)), refused_by_signature(), "another client");
    // What the client wrote itself names nobody else.
    assert!((31..50).any(|n| through("203.0.113.7, 203.0.113.66", &forged(n)) == limited()));
    // Without the secret, or without an address, nobody is charged: least of all the proxy, for all of its clients.
    for n in 50..60 {
        assert_eq!(said(&send(&gateway, 9, &[("Authorization", &forged(n))])), refused_by_signature());
        assert_eq!(through("unknown", &forged(100 + n)), refused_by_signature());
    }
    // A stranger's header changes nothing: it is charged itself.
    let forging = |n: u64| send(&gateway, 3, &[("Authorization", &forged(n)), ("X-Forwarded-For", "203.0.113.7")]);
    assert!((200..220).any(|n| said(&forging(n)) == limited()));
    assert_eq!(through("203.0.113.7", &forged(300)), refused_by_signature());
}

#[tokio::test]
async fn a_dry_run_lets_through_counts_and_shows_it() {
    let limits = "points_per_second = 1\nburst = 5000";
    let more = format!(
        "[tenants.acme.limits]\n{limits}\ndry_run = [\"points_per_second\"]\n[tenants.globex.limits]\n{limits}"
    );
    let gateway = start(&more, "1").await;
    // The whole burst, and then more than a point a second.
    let [acme, globex] = [ACME_KEY, GLOBEX_KEY].map(|key| {
        assert_eq!(post(&gateway, key, &events(now_ms(), 1, 5_000)).status, 202);
        (0..20).filter(|seq| post(&gateway, key, &event(now_ms(), *seq)).status == 429).count() as u64
    });
    assert!(acme == 0 && globex > 0, "{globex} were refused");
    let shown = gateway.admin_json("/admin/limits");
    let refused = globex;
    let acme = &shown["tenants"]["acme"];
    let would_be = acme["wouldBeRefused"]["points_per_second"].as_u64().unwrap();
    assert!((1..=20).contains(&would_be), "{acme}");
    assert_eq!((&acme["refused"], &acme["limits"]["dryRun"]["pointsPerSecond"]), (&json!({}), &json!(true)));
    let globex = &shown["tenants"]["globex"];
    let counts = (&globex["refused"], &globex["wouldBeRefused"]);
    assert_eq!(counts, (&json!({"points_per_second": refused}), &json!({})));
    let metrics = http::request(gateway.admin_address(), "GET", "/metrics", &[], b"").text();
    for (enforced, count) in [(true, refused), (false, would_be)] {
        let line =
            format!("tagline_limit_exceeded_total{{limit=\"points_per_second\",enforced=\"{enforced}\"}} {count}\n");
        assert!(metrics.contains(&line), "{line} is not in {metrics}");
    }
}

#[tokio::test]
async fn the_rate_is_divided_by_the_addresses_of_a_name() {
    let limits = "[tenants.acme.limits]\npoints_per_second = 1000\nburst = 5000";
    for (replicas, seen) in [("dns:localhost", 1), ("10", 10)] {
        let gateway = start(limits, replicas).await;
        let deadline = Instant::now() + Duration::from_secs(15);
        while gateway.admin_json("/admin/limits")["replicas"] != seen {
            assert!(Instant::now() < deadline);
            thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(post(&gateway, ACME_KEY, &events(now_ms(), 1, 5_000)).status, 202, "the burst is not divided");
        assert!((0..20).any(|_| post(&gateway, ACME_KEY, &events(now_ms(), 1, 5_000)).status == 429));
        let metrics = http::request(gateway.admin_address(), "GET", "/metrics", &[], b"").text();
        assert!(metrics.contains(&format!("tagline_replicas {seen}\n")), "{metrics}");
    }
}

/// The most memory that the process has had, in MiB.
fn peak(gateway: &Gateway) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() / 1024
}

/// A gzipped event that inflates to nearly `max_inflated`, some 8 KiB.
fn nearly_a_bomb() -> Vec<u8> {
    let mut text = event(now_ms(), 1).to_string().into_bytes();
    text.resize((8 << 20) - 1, b' ');
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&text).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn what_one_tenant_makes_the_gateway_hold_is_bounded_and_leaves_room_to_another() {
    const IN_FLIGHT: u64 = 64;
    let gateway = start(&format!("[tenants.acme.limits]\nin_flight = {IN_FLIGHT}"), "1").await;
    let large = |key: &str, body: &[u8]| {
        let headers = [("Content-Encoding", "gzip"), ("Origin", "https://globex.example")];
        http::request(gateway.address(), "POST", &format!("/v1/telemetry/{key}"), &headers, body).status
    };
    let body = nearly_a_bomb();
    assert_eq!(large(GLOBEX_KEY, &body), 202);
    let before = peak(&gateway);
    let over = Instant::now() + Duration::from_secs(4);
    let flood = || {
        let mut answers = Vec::new();
        while Instant::now() < over {
            answers.push(large(ACME_KEY, &body));
        }
        answers
    };
    let (flooded, others) = thread::scope(|scope| {
        let floods: Vec<_> = (0..IN_FLIGHT).map(|_| scope.spawn(flood)).collect();
        let mut others = Vec::new();
        while Instant::now() < over {
            others.push(large(GLOBEX_KEY, &body));
        }
        (floods.into_iter().flat_map(|flood| flood.join().unwrap()).collect::<Vec<_>>(), others)
    });
    assert!(others.iter().all(|status| *status == 202), "{others:?}");
    assert!(flooded.contains(&202) && flooded.iter().all(|status| matches!(status, 202 | 429)), "{flooded:?}");
    // docs/limits.md: what was received and its lines for each in flight, and the places with what they hold.
    let cores = thread::available_parallelism().map_or(1, usize::from) as u64;
    let places = cores.max(2);
    let bound = IN_FLIGHT / 4 + places * (8 + 16);
    let grown = peak(&gateway) - before;
    assert!(grown < bound, "{grown} MiB more than {before}; {bound} at the most");
}

#[tokio::test]
async fn bodies_that_hold_nothing_use_up_the_budget_of_their_tenant_and_of_no_other() {
    let gzipped = |text: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    };
    let size = (8 << 20) - 4;
    for (what, text, status) in [
        ("no JSON", [b"[0,".to_vec(), b" ".repeat(size), b"!".to_vec()].concat(), 400),
        ("too many items", [b"[".to_vec(), b"0,".repeat(size / 2 - 1), b"0]".to_vec()].concat(), 413),
        ("a bomb", b" ".repeat(9 << 20), 413),
        ("one event", [event(now_ms(), 1).to_string().into_bytes(), b" ".repeat(size - 1_000)].concat(), 202),
    ] {
        let gateway = start("[tenants.acme.limits]\npoints_per_second = 100\nburst = 5000", "1").await;
        let body = gzipped(&text);
        let target = format!("/v1/telemetry/{ACME_KEY}");
        let answers = [(); 3]
            .map(|()| http::request(gateway.address(), "POST", &target, &[("Content-Encoding", "gzip")], &body).status);
        assert_eq!((answers[0], answers[2]), (status, 429), "{what}: {answers:?}");
        let other = send(&gateway, 1, &[("X-Api-Key", GLOBEX_KEY), ("Origin", "https://globex.example")]);
        assert_eq!(other.status, 202, "{what}");
    }
}
