//! The gateway's own judgement of the settings that an overlay gives it, as a pod would find them.

use crate::support::manifests::{Manifests, OVERLAYS, Workload, items, manifests, text};
use crate::support::{Gateway, Influx, Ran, eventually, http, influx, now_ms, tagline};
use std::fs;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

/// The variables of the gateway's container and the files that it finds, below `folder` instead of `/etc/tagline` and `/var/lib/tagline`.
fn mount(all: &Manifests, folder: &Path) -> Vec<(String, String)> {
    let gateway = all.workload("tagline");
    let write = |name: &str, content: &str| {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("a temporary folder");
        fs::write(&path, content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    };
    let settings = all.get("ConfigMap", "tagline-settings")["data"].as_object().expect("files");
    for (name, content) in settings {
        write(name, text(content));
    }
    let variables: Vec<_> = items(&gateway.container()["env"])
        .iter()
        .map(|variable| variable_of(all, gateway, text(&variable["name"])))
        .collect();
    let place = |value: String| {
        let value = value.replace("/etc/tagline", &folder.display().to_string());
        value.replace("/var/lib/tagline", &folder.join("spool").display().to_string())
    };
    let variables: Vec<_> = variables.into_iter().map(|(name, value)| (name, place(value))).collect();
    // What they hold is of no interest here, and that they are where the variables say is checked elsewhere.
    for (_, path) in variables.iter().filter(|(name, _)| name.ends_with("_FILE")) {
        write(path, "0123456789abcdef0123456789abcdef");
    }
    variables
}

fn variable_of(all: &Manifests, gateway: Workload, name: &str) -> (String, String) {
    let value = match gateway.environment(all, name) {
        Some(value) => value,
        None if gateway.variable(name).is_some_and(|found| found["valueFrom"]["fieldRef"].is_object()) => "tagline-0",
        None => panic!("{name} has no value"),
    };
    (name.to_owned(), value.to_owned())
}

async fn check(folder: &Path, variables: &[(String, String)]) -> Ran {
    let variables: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    tagline(folder, &["check"], &variables).await
}

#[tokio::test]
async fn the_gateway_takes_the_settings_of_every_overlay() {
    for overlay in OVERLAYS {
        let folder = TempDir::with_prefix("tagline-settings-").expect("a temporary folder");
        let all = manifests(overlay);
        let ran = check(folder.path(), &mount(all, folder.path())).await;
        assert_eq!(ran.code, Some(0), "{overlay}: {}{}", ran.stdout, ran.stderr);
        let value = |key: &str| all.value("tagline-values", key).unwrap_or_else(|| panic!("{overlay} has no {key}"));
        let told = [
            "0.0.0.0:8080 public, 0.0.0.0:8081 admin".to_owned(),
            format!(
                "{}, org {:?}, bucket {:?}",
                value("INFLUXDB_URL"),
                value("INFLUXDB_ORG"),
                value("INFLUXDB_BUCKET")
            ),
            format!("{}, replica tagline-0", value("INSTANCE")),
            "on disk (fsync)".to_owned(),
        ];
        for told in told {
            assert!(ran.stdout.contains(&told), "{overlay}: {told:?} is not in\n{}", ran.stdout);
        }
        // A pod's address is not known beforehand, so their network is named. The NetworkPolicies say who of it comes as far.
        let warnings: Vec<_> = ran.stdout.lines().filter(|line| line.starts_with("warning:")).collect();
        assert!(warnings.len() == 1 && warnings[0].contains("server.trusted_proxies"), "{overlay}: {warnings:?}");
    }
}

#[tokio::test]
async fn a_variable_that_is_no_setting_is_refused_by_name() {
    let folder = TempDir::with_prefix("tagline-settings-").expect("a temporary folder");
    let variables = mount(manifests("aks"), folder.path());
    let settings = variables.iter().filter(|(name, _)| name.starts_with("TAGLINE__")).count();
    assert!(settings >= 15, "{variables:?}");
    for (at, _) in variables.iter().enumerate().filter(|(_, (name, _))| name.starts_with("TAGLINE__")) {
        let mut wrong = variables.clone();
        wrong[at].0.push_str("_WRONG");
        let ran = check(folder.path(), &wrong).await;
        assert_eq!(ran.code, Some(2), "{}: {}", wrong[at].0, ran.stdout);
        assert!(ran.stdout.contains(&wrong[at].0), "{} is not in\n{}", wrong[at].0, ran.stdout);
    }
}

/// With the settings of the overlay, an event as its page sends it, from the origin that its first lines tell people to open.
#[tokio::test]
async fn the_local_overlay_takes_what_its_demo_page_sends() {
    let all = manifests("local");
    let folder = TempDir::with_prefix("tagline-settings-").expect("a temporary folder");
    let bucket = influx().bucket("demo");
    let mut variables = mount(all, folder.path());
    // Its own machine is no cluster: other ports, and another InfluxDB.
    variables.retain(|(name, _)| !name.ends_with("LISTEN") && !name.starts_with("TAGLINE__INFLUXDB__"));
    let token = fs::read_to_string(bucket.token_file()).expect("the bucket's token");
    let there = [
        ("INFLUXDB_URL", bucket.url()),
        ("INFLUXDB_ORG", Influx::ORGANIZATION.to_owned()),
        ("INFLUXDB_BUCKET", bucket.name().to_owned()),
        ("INFLUXDB_TOKEN", token.trim().to_owned()),
    ];
    variables.extend(there.map(|(name, value)| (name.to_owned(), value)));
    let variables: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let gateway = Gateway::start_dev_with(folder.path(), &variables).await;

    let page = all.value("app-pages", "index.html").expect("the page");
    let path = page.split("sendBeacon(\"").nth(1).and_then(|rest| rest.split('"').next()).expect("it sends somewhere");
    let readme = include_str!("../../../../k8s/overlays/local/kustomization.yaml");
    let origin = readme.split_whitespace().find(|word| word.starts_with("https://")).expect("where to open it");
    let origin = origin.trim_end_matches(',');
    let event = serde_json::json!({
        "viewName": "demo", "actionName": "load", "metrics": { "duration_ms": 12.5 }, "timestamp": now_ms(),
    });
    let send = |origin: &str| {
        let body = event.to_string();
        http::request(
            gateway.address(),
            "POST",
            path,
            &[("Origin", origin), ("Content-Type", "text/plain")],
            body.as_bytes(),
        )
    };
    let answer = send(origin);
    assert_eq!(answer.status, 202, "{}", answer.text());
    assert_eq!(send("https://elsewhere.example").status, 403);
    let row = eventually(Duration::from_secs(20), || async {
        let mut rows = bucket.rows("frontend_performance").await;
        if rows.len() == 1 { Ok(rows.remove(0)) } else { Err(format!("{rows:?}")) }
    })
    .await;
    let expected = [("tenant_id", "demo"), ("instance", "local"), ("env", "local"), ("host", "demo.localhost:8443")];
    assert_eq!(expected.map(|(tag, _)| (tag, row.text(tag))), expected);
}
