//! Browsers speak HTTP/2, in which no answer can say `Connection: close`.

use std::fs::File;
use std::process::Command;
use std::time::Duration;

use super::Replicas;
use super::load::HOST;
use super::times::Times;
use crate::support::process::Process;
use crate::support::{ACME_KEY, event, eventually, influx, now_ms, server_binary};

/// How many requests there are, four a second.
const REQUESTS: usize = 10;

#[tokio::test]
async fn a_browser_is_asked_to_leave_a_caddy_that_stops_and_each_of_its_requests_is_answered() {
    let times = Times::of_the_manifests();
    assert!(times.caddy_shutdown_delay > Duration::from_secs(4), "the requests that are left have to come within it");
    let bucket = influx().bucket("rollout-http2");
    let replicas = Replicas::start(&bucket, &influx().url(), &times, &[]).await;
    let mut caddy = replicas.caddy(&times).await;

    let folder = tempfile::tempdir().expect("a temporary folder");
    // On stderr, which comes line by line, and errors with it.
    let answers = folder.path().join("answers");
    let mut curl = Command::new(server_binary("curl").unwrap_or_else(|error| panic!("{error}")));
    curl.args("--disable --silent --show-error --noproxy * --http2 --rate 4/s --output /dev/null".split(' '))
        .args(["--write-out", "%{stderr}%{http_version} %{http_code} %{num_connects}\n"])
        .arg("--cacert")
        .arg(caddy.authority_file())
        .args(["--resolve", &format!("{HOST}:{}:{}", caddy.address().port(), caddy.address().ip())])
        .args(["--data", &event(now_ms(), 1).to_string()])
        .arg(format!("{}/v1/telemetry/{ACME_KEY}?n=[1-{REQUESTS}]", caddy.url(HOST)))
        .stderr(File::create(&answers).expect("a file in a new folder"));
    let read = || std::fs::read_to_string(&answers).expect("curl writes text");
    let mut curl = Process::spawn("curl", curl, folder.path());
    let before = eventually(Duration::from_secs(20), || async {
        let lines = read();
        if lines.lines().count() >= 4 { Ok(lines) } else { Err(lines) }
    })
    .await;
    assert!(before.starts_with("2 202 1\n2 202 0\n2 202 0\n2 202 0\n"), "one connection for all: {before}");

    caddy.sigterm();
    let ended = curl.wait_exit(Duration::from_secs(20)).await;
    let all = read();
    let answered = all.lines().filter(|line| line.starts_with("2 202 ")).count();
    assert_eq!((ended.code(), answered, all.lines().count()), (Some(0), REQUESTS, REQUESTS), "{all}");
    // With a load balancer before it each of these would have gone to another Caddy.
    assert!(all.ends_with("2 202 1\n2 202 1\n2 202 1\n"), "a connection for each, once it stops: {all}");
    assert_eq!(caddy.wait_exit(times.caddy_grace).await.code(), Some(0));
}
