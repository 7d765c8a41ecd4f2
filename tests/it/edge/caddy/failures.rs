//! Gateways that are gone, going, or that break off: who is asked instead, and what a page is told.

use super::{Edge, HOST, event, keyed};
use crate::support::caddy::free_port;
use crate::support::service::{Reply, Service};
use crate::support::{Caddy, Gateway, config_for, eventually, influx};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const ORIGIN: &str = "https://acme.app.test";

/// A service that says `status` to everything, and a name for it.
fn saying(address: SocketAddr, status: u16, name: &'static str) -> Service {
    Service::start_at(address, move |_| Reply::Answer(status, vec![("X-Replica", name.to_owned())], String::new()))
}

#[tokio::test]
async fn with_all_gateways_down_a_page_reads_503_when_to_come_back_and_is_taken_when_one_is_there() {
    let bucket = influx().bucket("edge");
    let mut gateway = Gateway::start(&config_for(&bucket)).await;
    // One that comes back comes back to its address.
    let fixed = [
        ("TAGLINE__SERVER__LISTEN", gateway.address().to_string()),
        ("TAGLINE__SERVER__ADMIN_LISTEN", gateway.admin_address().to_string()),
    ];
    gateway.kill().await;
    let caddy = Caddy::for_sites(&[HOST]).gateway(&gateway).app(Service::app().address()).start().await;
    let post = |session: &str| {
        caddy.request(HOST, "POST", &keyed(), &[("Origin", ORIGIN)], event(session).to_string().as_bytes())
    };

    let preflight = [
        ("Origin", ORIGIN),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "authorization,content-type"),
    ];
    // At the same time: Caddy looks for a gateway for some seconds.
    let (answer, preflight) = std::thread::scope(|scope| {
        let preflight = scope.spawn(|| caddy.request(HOST, "OPTIONS", "/v1/telemetry", &preflight, b""));
        (post("lost"), preflight.join().expect("an answer"))
    });
    assert!([502, 503].contains(&answer.status), "{answer:?}");
    assert_eq!(answer.json()["code"], "gateway_unavailable");
    assert_eq!(answer.json()["status"], answer.status);
    assert_eq!(answer.header("retry-after"), Some("5"));
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(answer.header("access-control-allow-origin"), Some(ORIGIN));
    assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
    assert_eq!(answer.header("access-control-expose-headers"), Some("Retry-After, Date"));
    assert_eq!(answer.header("vary"), Some("Origin"));
    assert_eq!(answer.header("x-request-id").map(str::len), Some(36));
    // A page whose request asks for a preflight learns it too: the preflight passes, and then the request says it.
    assert_eq!(preflight.status, 204, "{preflight:?}");
    assert_eq!(preflight.header("access-control-allow-origin"), Some(ORIGIN));
    assert_eq!(preflight.header("access-control-allow-methods"), Some("POST"));
    assert_eq!(preflight.header("access-control-allow-headers"), Some("authorization,content-type"));
    // The app is none the worse for it.
    assert_eq!(caddy.request(HOST, "GET", "/", &[], b"").status, 200);

    let environment = fixed.each_ref().map(|(name, value)| (*name, value.as_str()));
    let gateway = Gateway::start_with(&config_for(&bucket), &environment).await;
    let accepted = eventually(Duration::from_secs(20), || async {
        let answer = post("back");
        if answer.status == 202 { Ok(answer) } else { Err(format!("{answer:?}")) }
    })
    .await;
    assert_eq!(accepted.json()["accepted"], 1);
    gateway.delivered("acme", 1).await;
}

#[tokio::test]
async fn a_gateway_that_cannot_be_reached_costs_no_request() {
    let other = saying("127.0.0.1:0".parse().unwrap(), 202, "other");
    let gone = SocketAddr::new(IpAddr::from([127, 0, 0, 1]), free_port(IpAddr::from([127, 0, 0, 1])));
    // Both are healthy by what their admin port says, so that only the request itself finds out.
    let caddy = Caddy::for_sites(&[HOST]).gateways(&[gone, other.address()], other.address().port()).start().await;
    for number in 0..40 {
        let body = event(&number.to_string()).to_string();
        let answer = caddy.request(HOST, "POST", &keyed(), &[], body.as_bytes());
        assert_eq!(answer.status, 202, "{answer:?}");
    }
    let bodies: Vec<Vec<u8>> = posts(&other).into_iter().map(|request| request.body).collect();
    let sent: Vec<Vec<u8>> = (0..40).map(|number| event(&number.to_string()).to_string().into_bytes()).collect();
    assert_eq!(bodies, sent, "each once, and whole");
}

#[tokio::test]
async fn what_may_have_reached_a_gateway_is_not_sent_to_another() {
    let breaking = || {
        Service::start(|request| match request.method.as_str() {
            "POST" => Reply::HangUp,
            _ => Reply::Answer(200, Vec::new(), String::new()),
        })
    };
    let (one, two) = (breaking(), breaking());
    let caddy = Caddy::for_sites(&[HOST]).gateways(&[one.address(), two.address()], one.address().port()).start().await;
    // An empty body could be sent again, and a test of one that cannot would prove nothing.
    let answer = caddy.request(HOST, "POST", &keyed(), &[("Origin", ORIGIN)], b"");
    assert_eq!((answer.status, answer.header("retry-after")), (502, Some("5")), "{answer:?}");
    assert_eq!(answer.header("access-control-allow-origin"), Some(ORIGIN));
    assert_eq!(posts(&one).len() + posts(&two).len(), 1);
}

/// The telemetry that a service got, health checks aside.
fn posts(service: &Service) -> Vec<crate::support::service::Received> {
    service.received().into_iter().filter(|request| request.method == "POST").collect()
}

#[tokio::test]
async fn a_gateway_that_says_it_is_not_ready_gets_nothing_until_it_is() {
    let [first, second] = [IpAddr::from([127, 0, 0, 2]), IpAddr::from([127, 0, 0, 3])];
    let (public, admin) = (free_port(first), free_port(second));
    let at = |address, port| SocketAddr::new(address, port);
    let gateways = [saying(at(first, public), 202, "first"), saying(at(second, public), 202, "second")];
    let ready = Arc::new(AtomicBool::new(true));
    let asked = Arc::clone(&ready);
    let draining = Service::start_at(at(first, admin), move |request| {
        let ready = request.target != "/readyz" || asked.load(Ordering::SeqCst);
        Reply::Answer(if ready { 200 } else { 503 }, Vec::new(), String::new())
    });
    let steady = saying(at(second, admin), 200, "steady");
    let caddy = Caddy::for_sites(&[HOST]).gateways(&gateways.each_ref().map(Service::address), admin).start().await;
    let replicas = |count: usize| {
        let mut replicas: Vec<String> = (0..count)
            .map(|_| {
                let answer = caddy.request(HOST, "POST", &keyed(), &[], b"{}");
                assert_eq!(answer.status, 202, "{answer:?}");
                answer.header("x-replica").expect("a replica answered").to_owned()
            })
            .collect();
        replicas.sort_unstable();
        replicas.dedup();
        replicas
    };
    let expect = |expected: &'static [&'static str]| {
        let replicas = &replicas;
        eventually(Duration::from_secs(20), move || async move {
            let seen = replicas(12);
            if seen == expected { Ok(()) } else { Err(format!("{seen:?}")) }
        })
    };
    expect(&["first", "second"]).await;
    ready.store(false, Ordering::SeqCst);
    expect(&["second"]).await;
    // It stays so, for as long as that gateway says so.
    assert_eq!(replicas(24), ["second"]);
    ready.store(true, Ordering::SeqCst);
    expect(&["first", "second"]).await;
    assert!(draining.received().iter().chain(&steady.received()).all(|request| request.target == "/readyz"));
}

#[tokio::test]
async fn an_app_that_is_down_is_told_plainly_and_costs_telemetry_nothing() {
    let edge = Edge::start_with(|setup| setup.app("127.0.0.1:1".parse().unwrap())).await;
    let answer = edge.caddy.request(HOST, "GET", "/", &[("Origin", ORIGIN)], b"");
    assert_eq!((answer.status, answer.text().as_str()), (502, "502 Bad Gateway"));
    assert_eq!(answer.header("access-control-allow-origin"), None);
    assert_eq!(edge.post("s", &[]).status, 202);
}

#[tokio::test]
async fn bodies_that_their_clients_break_take_no_gateway_out() {
    let edge = Edge::start().await;
    // Parked first, since what is broken once waits like everybody while a gateway is out.
    let mut broken: Vec<_> = (0..24)
        .map(|_| {
            let mut connection = edge.caddy.connect(HOST);
            let head = format!(
                "POST {} HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{{\"s\r\n",
                keyed()
            );
            connection.send(head).unwrap();
            connection
        })
        .collect();
    eventually(Duration::from_secs(10), || async {
        let metrics = edge.caddy.metrics();
        let parked = metrics
            .lines()
            .filter(|line| line.starts_with("caddy_http_requests_in_flight{"))
            .any(|line| line.ends_with(" 24"));
        if parked { Ok(()) } else { Err(metrics) }
    })
    .await;
    // One after the other, over longer than Caddy looks for a gateway.
    std::thread::scope(|scope| {
        let breaking = scope.spawn(|| {
            let mut answers = Vec::new();
            for connection in &mut broken {
                connection.send("no length\r\n").unwrap();
                answers.push(connection.receive().expect("an answer").status);
                std::thread::sleep(Duration::from_millis(300));
            }
            answers
        });
        let mut good = 0_u64;
        while !breaking.is_finished() {
            let answer = edge.post("good", &[]);
            assert_eq!(answer.status, 202, "{answer:?}");
            good += 1;
        }
        let answers = breaking.join().unwrap();
        assert!(answers.iter().all(|status| *status >= 400), "{answers:?}");
        assert!(good > 24, "only {good} in the time that 24 were broken");
    });
}
