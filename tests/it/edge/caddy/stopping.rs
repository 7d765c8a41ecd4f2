//! SIGTERM and SIGUSR1: how Caddy goes, and how it takes a changed file.

use super::{Edge, HOST};
use crate::support::caddy::edited;
use crate::support::service::{Reply, Service};
use crate::support::{Caddy, eventually, http};
use std::time::Duration;

#[tokio::test]
async fn while_it_goes_it_says_so_serves_on_and_ends_what_is_in_flight() {
    let app = Service::start(|request| {
        if request.target == "/slow" {
            // Longer than Caddy goes on taking requests.
            std::thread::sleep(Duration::from_secs(5));
        }
        Reply::Answer(200, Vec::new(), "the app".to_owned())
    });
    let mut edge = Edge::start_with(|setup| setup.variable("CADDY_SHUTDOWN_DELAY", "3s").app(app.address())).await;
    let health = |edge: &Edge| http::request(edge.caddy.metrics_address(), "GET", "/healthz", &[], b"").status;
    assert_eq!(health(&edge), 200);
    let mut slow = edge.caddy.connect(HOST);
    slow.send(crate::support::caddy::request_bytes(HOST, "GET", "/slow", &[], b"")).unwrap();
    eventually(Duration::from_secs(10), || async {
        if app.received().iter().any(|request| request.target == "/slow") { Ok(()) } else { Err("not there yet") }
    })
    .await;

    edge.caddy.sigterm();
    eventually(Duration::from_secs(3), || async {
        let status = health(&edge);
        if status == 503 { Ok(()) } else { Err(status) }
    })
    .await;
    assert!(edge.caddy.metrics().contains("caddy_http_requests_total"), "its last counts can still be scraped");
    assert_eq!(edge.post("late", &[]).status, 202, "it serves while load balancers look elsewhere");
    let answer = slow.receive().expect("the answer to what was in flight");
    assert_eq!((answer.status, answer.text().as_str()), (200, "the app"));
    assert_eq!(edge.caddy.wait_exit(Duration::from_secs(30)).await.code(), Some(0));
    edge.gateway.delivered("acme", 1).await;
}

#[tokio::test]
async fn sigusr1_takes_a_changed_file_and_a_wrong_one_changes_nothing() {
    let folder = edited(&[]);
    let file = folder.path().join("Caddyfile");
    let app = Service::app();
    let mut caddy = Caddy::for_sites(&[HOST]).app(app.address()).file(&file).start().await;
    let page = |caddy: &Caddy| caddy.request(HOST, "GET", "/maintenance", &[], b"").text();
    assert_eq!(page(&caddy), "the app");

    let original = std::fs::read_to_string(&file).unwrap();
    let changed = original.replacen("import arrival", "import arrival\n\t\trespond /maintenance \"back soon\"", 1);
    assert_ne!(original, changed);
    for (content, says, seen) in [
        (changed.as_str(), "successfully reloaded config from file", "back soon"),
        ("{$CADDY_SITES} {\n\tno_such_directive\n}\n", "failed to reload config from file", "back soon"),
        (original.as_str(), "successfully reloaded config from file", "the app"),
    ] {
        std::fs::write(&file, content).unwrap();
        caddy.reload(says).await;
        assert_eq!(page(&caddy), seen, "{says}");
    }
}
