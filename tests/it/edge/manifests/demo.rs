//! The local overlay, put together on loopback by what it gives to its containers: its app, its Caddy and its gateway.

use super::mounted::Mounted;
use crate::support::caddy::{Caddy, free_port, request_bytes};
use crate::support::manifests::{items, manifests, text};
use crate::support::process::Process;
use crate::support::{Gateway, Influx, eventually, http, influx, now_ms, server_binary};
use serde_json::json;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

/// The app's container: its command, with a port that is free.
fn app(mounted: &Mounted) -> (Process, SocketAddr) {
    let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), free_port(Ipv4Addr::LOCALHOST.into()));
    let arguments = items(&manifests("local").workload("app").container()["args"]).iter().map(text);
    let arguments: Vec<_> = arguments
        .map(|word| match word {
            ":8080" => address.to_string(),
            _ if word.starts_with('/') => mounted.path(word).display().to_string(),
            _ => word.to_owned(),
        })
        .collect();
    assert!(arguments[0] == "caddy" && arguments.contains(&address.to_string()), "{arguments:?}");
    let mut command = Command::new(server_binary("caddy").unwrap_or_else(|error| panic!("{error}")));
    let log = File::create(mounted.path("/log")).expect("a file in a new folder");
    command
        .args(&arguments[1..])
        .env_clear()
        .envs([("XDG_DATA_HOME", mounted.path("/data")), ("XDG_CONFIG_HOME", mounted.path("/config"))])
        .current_dir(mounted.path("/"))
        .stdout(log.try_clone().expect("a file can be held twice"))
        .stderr(log);
    (Process::spawn("app", command, &mounted.path("/")), address)
}

#[tokio::test]
async fn the_demo_page_is_served_and_what_it_sends_is_stored() {
    let all = manifests("local");

    let mut wired = Mounted::of(all, "tagline");
    let bucket = influx().bucket("demo");
    // One's own machine is no cluster: other ports, and another InfluxDB.
    wired.variables.retain(|(name, _)| !name.ends_with("LISTEN") && !name.starts_with("TAGLINE__INFLUXDB__"));
    let token = fs::read_to_string(bucket.token_file()).expect("the bucket's token");
    let there = [
        ("INFLUXDB_URL", bucket.url()),
        ("INFLUXDB_ORG", Influx::ORGANIZATION.to_owned()),
        ("INFLUXDB_BUCKET", bucket.name().to_owned()),
        ("INFLUXDB_TOKEN", token.trim().to_owned()),
    ];
    wired.variables.extend(there.map(|(name, value)| (name.to_owned(), value)));
    let gateway = Gateway::start_dev_with(&wired.path("/var/lib/tagline"), &wired.environment()).await;

    let pages = Mounted::of(all, "app");
    let (_app, address) = app(&pages);
    eventually(SOON, || async { http::try_request(address, "GET", "/", &[], b"").map_err(|error| error.to_string()) })
        .await;

    let edge = all.workload("caddy");
    let of = |name: &str| edge.environment(all, name).unwrap_or_else(|| panic!("Caddy has no {name}")).to_owned();
    let caddy = Caddy::for_sites(&["demo.app.localhost"])
        .variable("CADDY_SITES", of("CADDY_SITES"))
        .gateway(&gateway)
        .app(address)
        .start()
        .await;

    // Where the overlay's first lines tell people to look.
    let told = include_str!("../../../../k8s/overlays/local/kustomization.yaml");
    let origin = told.split_whitespace().find(|word| word.starts_with("https://")).expect("where to open it");
    let origin = origin.trim_end_matches(',');
    let host = origin.strip_prefix("https://").expect("it begins so");
    let name = host.split(':').next().expect("a name stands before the port");
    // In the cluster the port is the one that is forwarded: 8443. Here Caddy has another.
    let here = format!("{name}:{}", caddy.address().port());
    let ask = |host: &str, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]| {
        caddy.connect(name).exchange(request_bytes(host, method, target, headers, body))
    };

    let answer = ask(&here, "GET", "/", &[], b"");
    let page = answer.text();
    assert_eq!((answer.status, page.as_str()), (200, all.value("app-pages", "index.html").expect("the page")));
    assert_eq!(ask("demo.app.localhost:9999", "GET", "/", &[], b"").status, 421, "a host that nobody serves");

    let target = page.split("sendBeacon(\"").nth(1).and_then(|rest| rest.split('"').next()).expect("it sends");
    let event = json!({
        "viewName": "demo", "actionName": "load", "metrics": { "duration_ms": 12.5 }, "timestamp": now_ms(),
    });
    let send = |origin: &str| {
        let headers = [("Origin", origin), ("Content-Type", "text/plain;charset=UTF-8")];
        ask(&here, "POST", target, &headers, event.to_string().as_bytes())
    };
    let answer = send(origin);
    assert_eq!(answer.status, 202, "{}", answer.text());
    assert_eq!(send("https://elsewhere.example").status, 403);
    let row = eventually(SOON, || async {
        let mut rows = bucket.rows("frontend_performance").await;
        if rows.len() == 1 { Ok(rows.remove(0)) } else { Err(format!("{rows:?}")) }
    })
    .await;
    let expected = [("tenant_id", "demo"), ("instance", "local"), ("env", "local"), ("host", host)];
    assert_eq!(expected.map(|(tag, _)| (tag, row.text(tag))), expected);
}
