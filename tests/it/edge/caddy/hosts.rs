//! Caddy's own metrics: counted by tenants' hosts, and by nothing that a client makes up.

use super::{Edge, HOST, event, keyed};
use crate::support::caddy::request_bytes;
use crate::support::exposition::samples;
use crate::support::service::Service;
use crate::support::{Caddy, http};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// The samples of one metric of Caddy's: their labels, and the value.
fn of_metric(caddy: &Caddy, name: &str) -> impl Iterator<Item = (BTreeMap<String, String>, f64)> {
    let samples = samples(&caddy.metrics());
    samples.into_iter().filter(move |sample| sample.name == name).map(|sample| (sample.labels, sample.value))
}

/// How many requests of the sites were counted, by host.
fn counted(caddy: &Caddy) -> BTreeMap<String, f64> {
    let mut hosts = BTreeMap::new();
    for (labels, value) in of_metric(caddy, "caddy_http_request_duration_seconds_count") {
        if labels["handler"] == "subroute" {
            assert_eq!(labels["server"], "edge", "{labels:?}");
            *hosts.entry(labels["host"].clone()).or_default() += value;
        }
    }
    hosts
}

#[tokio::test]
async fn each_tenants_requests_are_counted_by_host_method_and_status() {
    let edge = Edge::start_with(|setup| setup.variable("CADDY_SITES", format!("{HOST} *.app.test"))).await;
    for _ in 0..3 {
        assert_eq!(edge.post("s", &[]).status, 202);
    }
    edge.caddy.request("globex.app.test", "GET", "/", &[], b"");
    edge.caddy.request("globex.app.test", "POST", "/v1/telemetry", &[], b"{}");
    let seen: BTreeMap<(String, String, String), f64> =
        of_metric(&edge.caddy, "caddy_http_request_duration_seconds_count")
            .filter(|(labels, _)| labels["handler"] == "subroute")
            .map(|(labels, value)| (["host", "method", "code"].map(|label| labels[label].clone()).into(), value))
            .collect();
    let of = |host: &str, method: &str, code: &str| (host.to_owned(), method.to_owned(), code.to_owned());
    let expected = [
        (of(HOST, "POST", "202"), 3.0),
        (of("globex.app.test", "GET", "200"), 1.0),
        (of("globex.app.test", "POST", "401"), 1.0),
    ];
    assert_eq!(seen, BTreeMap::from(expected));
}

#[tokio::test]
async fn made_up_hosts_are_turned_away_and_make_no_series() {
    let caddy = Caddy::for_sites(&[HOST]).app(Service::app().address()).start().await;
    caddy.request(HOST, "GET", "/", &[], b"");
    let before = caddy.metrics().lines().count();
    let made_up = |number: usize| {
        let port = format!("{HOST}:{number}x");
        let name = format!("n{number}.app.test");
        let under = format!("n{number}.{HOST}");
        let dotted = format!("{HOST}.");
        // What a number that is compared as a number would let through.
        let zeros = format!("{HOST}:{}443", "0".repeat(number + 1));
        let twice = format!("{HOST}:443{}", ":443".repeat(number + 1));
        [
            port,
            name,
            under,
            dotted,
            zeros,
            twice,
            format!("{HOST}:{number}"),
            format!("n{number}"),
            format!("[::{number}]"),
        ]
    };
    for number in 0..20 {
        for host in made_up(number) {
            let answer = caddy.connect(HOST).exchange(request_bytes(&host, "GET", "/", &[], b""));
            assert_eq!(answer.status, 421, "{host}: {}", answer.text());
            http::Connection::open(caddy.http_address()).exchange(request_bytes(&host, "GET", "/", &[], b""));
        }
    }
    assert_eq!(counted(&caddy), BTreeMap::from([(HOST.to_owned(), 1.0)]));
    let metrics = caddy.metrics();
    let hosts: BTreeSet<String> =
        of_metric(&caddy, "caddy_http_requests_total").map(|(labels, _)| labels["host"].clone()).collect();
    assert!(hosts.iter().all(|host| host == HOST || host == "_other"), "{hosts:?}");
    // `_other` itself, of the listeners without TLS, is all that came to be.
    let grown = metrics.lines().count() - before;
    assert!(grown < 150, "{grown} lines more for {} hosts", 9 * 20);
}

#[tokio::test]
async fn the_port_that_is_served_and_443_are_the_sites_own() {
    let caddy = Caddy::for_sites(&[HOST, "*.under.test"]).app(Service::app().address()).start().await;
    let port = caddy.address().port();
    let served = [HOST.to_owned(), format!("{HOST}:443"), format!("{HOST}:{port}"), "a.under.test:443".to_owned()];
    for host in &served {
        let answer = caddy.connect(HOST).exchange(request_bytes(host, "GET", "/", &[], b""));
        assert_eq!(answer.status, 200, "{host}: {}", answer.text());
    }
    assert_eq!(counted(&caddy).into_keys().collect::<BTreeSet<_>>(), BTreeSet::from(served));
}

#[tokio::test]
async fn the_list_may_have_schemes_and_commas_as_caddys_own_addresses_may() {
    let listed = "https://localhost, https://*.app.localhost, https://acme.app.test";
    let hosts = ["localhost", "demo.app.localhost", HOST];
    let app = Service::app();
    let caddy = Caddy::for_sites(&hosts).variable("CADDY_SITES", listed).app(app.address()).start().await;
    for host in hosts {
        assert_eq!(caddy.request(host, "GET", "/", &[], b"").status, 200, "{host}");
    }
    // Nor is no name at all one of the list, though there is nothing between its commas and blanks.
    for host in ["a.b.app.localhost", "demo.localhost", "", ":443", "https"] {
        let answer = caddy.connect(HOST).exchange(request_bytes(host, "GET", "/", &[], b""));
        assert!([400, 421].contains(&answer.status), "{host}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_host_in_capitals_is_the_same_host() {
    let edge = Edge::start().await;
    let request = request_bytes("ACME.App.Test", "POST", &keyed(), &[], event("s").to_string().as_bytes());
    assert_eq!(edge.caddy.connect(HOST).exchange(request).status, 202);
    assert_eq!(counted(&edge.caddy), BTreeMap::from([(HOST.to_owned(), 1.0)]));
}

#[tokio::test]
async fn caddy_listens_where_it_is_told_and_has_no_admin_api() {
    let caddy = Caddy::for_sites(&[HOST]).start().await;
    let listening: BTreeSet<SocketAddr> = listening(caddy.id());
    // The fourth holds the certificates, and answers nobody.
    let known = BTreeSet::from([caddy.address(), caddy.http_address(), caddy.metrics_address()]);
    let others: Vec<SocketAddr> = listening.difference(&known).copied().collect();
    assert!(listening.is_superset(&known) && others.len() == 1, "{listening:?}");
    let answer = caddy.connect_at(others[0], HOST).try_exchange(request_bytes(HOST, "GET", "/config/", &[], b""));
    assert!(answer.is_err(), "{answer:?}");
    // The scrape says metrics and health, and nothing of Go's profiler or of the configuration.
    for target in ["/config/", "/debug/pprof/", "/pki/ca/local", "/"] {
        let answer = http::request(caddy.metrics_address(), "GET", target, &[], b"");
        assert!(answer.body.is_empty(), "{target}: {}", answer.text());
    }
}

/// The TCP addresses that a process listens at.
fn listening(process: u32) -> BTreeSet<SocketAddr> {
    let sockets: BTreeSet<String> = std::fs::read_dir(format!("/proc/{process}/fd"))
        .expect("a running process")
        .filter_map(|entry| Some(std::fs::read_link(entry.ok()?.path()).ok()?.display().to_string()))
        .filter_map(|link| Some(link.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let table =
        ["tcp", "tcp6"].map(|name| std::fs::read_to_string(format!("/proc/{process}/net/{name}")).unwrap_or_default());
    table
        .concat()
        .lines()
        .map(|line| line.split_ascii_whitespace().collect::<Vec<_>>())
        // 0A is LISTEN.
        .filter(|columns| columns.len() > 9 && columns[3] == "0A" && sockets.contains(columns[9]))
        .map(|columns| {
            let (address, port) = columns[1].split_once(':').expect("ADDRESS:PORT");
            let address = u32::from_str_radix(address, 16).expect("an IPv4 address: nothing else is bound");
            (address.to_ne_bytes(), u16::from_str_radix(port, 16).expect("a port")).into()
        })
        .collect()
}
