//! The settings change while the gateway runs: by SIGHUP, by a changed file, by the swapped link of Kubernetes.

mod refused;
mod whole;

use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::reloading::{Reloads, replace};
use crate::support::{
    ACME_KEY, Answer, GLOBEX_KEY, Gateway, config_for, event, eventually, http, influx, now_ms, post,
};

const SOON: Duration = Duration::from_secs(20);

/// A write key of acme that the first configuration does not know.
const SECOND_KEY: &str = "acme-key-of-the-next-day-0123";

/// A second write key of acme.
fn second_key() -> String {
    format!("\n[tenants.acme.keys.second]\nkey = \"{SECOND_KEY}\"\norigins = [\"*\"]\n")
}

/// The status that one event with this key gets.
fn status(gateway: &Gateway, key: &str) -> u16 {
    post(gateway, key, &event(now_ms(), 1)).status
}

/// The status that one event of acme gets that a proxy with this secret sends.
fn by_proxy(gateway: &Gateway, secret: &str) -> u16 {
    let headers = [("X-Tenant-ID", "acme"), ("X-Proxy-Secret", secret)];
    http::request(gateway.address(), "POST", "/v1/telemetry", &headers, event(now_ms(), 1).to_string().as_bytes())
        .status
}

/// The code of a refusal.
fn code(answer: &Answer) -> String {
    answer.json()["code"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_changed_file_is_taken_by_itself_and_one_that_is_only_written_anew_is_none() {
    let bucket = influx().bucket("reload-file");
    let gateway = Gateway::start(&config_for(&bucket)).await;
    let whole = format!("{}{}", config_for(&bucket), second_key());
    // In place: for a moment it is empty.
    let file = gateway.folder().join("tagline.toml");
    std::fs::write(&file, &whole).unwrap();
    assert_eq!(gateway.reloaded(1).await, Reloads { applied: 1, ..Reloads::default() });
    assert_eq!((status(&gateway, SECOND_KEY), status(&gateway, ACME_KEY)), (202, 202));
    // A file that is only touched, or written anew with the same content, is none that changed.
    replace(&file, &whole);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!((gateway.reloads().all(), gateway.generation()), (1, 2));
}

#[tokio::test]
async fn kubernetes_swaps_a_folder_of_tenants_and_of_secrets() {
    let bucket = influx().bucket("reload-swap");
    let mounted = tempfile::tempdir().unwrap();
    let at = |name: &str| mounted.path().join(name);
    // As the kubelet lays a volume out: each name is a link into ..data, which is a link to the newest folder.
    let lay = |version: &str, tenants: &str, secret: &str| {
        std::fs::create_dir(at(version)).unwrap();
        std::fs::write(at(version).join("tenants.toml"), tenants).unwrap();
        std::fs::write(at(version).join("proxy-secret"), secret).unwrap();
        symlink(version, at("..data_tmp")).unwrap();
        std::fs::rename(at("..data_tmp"), at("..data")).unwrap();
    };
    lay("..2026_01", "", "the-first-secret-0123456789");
    for name in ["tenants.toml", "proxy-secret"] {
        symlink(Path::new("..data").join(name), at(name)).unwrap();
    }
    let config = config_for(&bucket).replace(
        "drain_delay",
        &format!(
            "trusted_proxies = [\"127.0.0.0/8\"]\nproxy_secret_file = \"{}\"\ndrain_delay",
            at("proxy-secret").display()
        ),
    );
    let config = format!("tenants_file = \"{}\"\n{config}", at("tenants.toml").display());
    let gateway = Gateway::start(&config).await;
    let statuses = || {
        (
            status(&gateway, SECOND_KEY),
            by_proxy(&gateway, "the-first-secret-0123456789"),
            by_proxy(&gateway, "the-second-secret-012345678"),
        )
    };
    assert_eq!(statuses(), (401, 202, 401));

    lay("..2026_02", &second_key(), "the-second-secret-012345678");
    std::fs::remove_dir_all(at("..2026_01")).unwrap();
    assert_eq!(gateway.reloaded(1).await, Reloads { applied: 1, ..Reloads::default() });
    assert_eq!(statuses(), (202, 401, 202));
    assert_eq!(gateway.settings_check().0, "ok");
}

#[tokio::test]
async fn while_the_proxies_secret_is_rotated_both_count_so_that_nobody_is_refused() {
    let [old, new] = ["the-first-secret-0123456789", "the-second-secret-012345678"];
    let bucket = influx().bucket("reload-rotation");
    let secrets = tempfile::tempdir().unwrap();
    let file = secrets.path().join("proxy-secrets");
    std::fs::write(&file, old).unwrap();
    let listed = format!("trusted_proxies = [\"127.0.0.0/8\"]\nproxy_secret_file = {file:?}\ndrain_delay");
    let gateway = Gateway::start(&config_for(&bucket).replace("drain_delay", &listed)).await;
    let statuses = || [old, new, "a-guess-of-somebody-else"].map(|secret| by_proxy(&gateway, secret));
    assert_eq!(statuses(), [202, 401, 401]);
    // The gateway learns the new one; then some proxies show it, and some the old one still.
    replace(&file, &format!("{old}\n{new}\n"));
    assert_eq!(gateway.reloaded(1).await, Reloads { applied: 1, ..Reloads::default() });
    assert_eq!(statuses(), [202, 202, 401]);
    // All proxies show it, and the old one is no more.
    replace(&file, new);
    assert_eq!(gateway.reloaded(2).await, Reloads { applied: 2, ..Reloads::default() });
    assert_eq!(statuses(), [401, 202, 401]);
}

#[tokio::test]
async fn a_token_of_influxdb_is_rotated_and_what_waited_is_delivered() {
    let bucket = influx().bucket("reload-token");
    let secrets = tempfile::tempdir().unwrap();
    let file = secrets.path().join("token");
    std::fs::write(&file, "revoked-yesterday").unwrap();
    let ours = bucket.token_file().display().to_string();
    let gateway = Gateway::start(&config_for(&bucket).replace(&ours, &file.display().to_string())).await;
    assert_eq!(status(&gateway, ACME_KEY), 202);
    eventually(SOON, || async {
        let (_, seen) = gateway.readiness();
        if seen.to_string().contains("InfluxDB answered 401") { Ok(()) } else { Err(seen.to_string()) }
    })
    .await;
    replace(&file, bucket.token());
    gateway.delivered("acme", 1).await;
    assert_eq!((bucket.stored("acme").await, gateway.readiness().1["status"].clone()), (1, json!("ok")));
    // No restart is asked for, and neither token stands anywhere.
    assert_eq!(gateway.settings_check().0, "ok");
    assert!(!gateway.log().contains("revoked-yesterday") && !gateway.log().contains(bucket.token()));
}

#[tokio::test]
async fn a_developers_gateway_keeps_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "one").unwrap();
    let token_file = token.display().to_string();
    let environment = [
        ("INFLUXDB_URL", "http://127.0.0.1:1"),
        ("INFLUXDB_ORG", "org"),
        ("TAGLINE__INFLUXDB__TOKEN_FILE", token_file.as_str()),
        ("TAGLINE__LOG__FORMAT", "json"),
    ];
    let mut gateway = Gateway::start_dev_with(folder.path(), &environment).await;
    let shown = gateway.stdout();
    let key = shown.split("/v1/telemetry/").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    assert_eq!(status(&gateway, &key), 202);
    assert_eq!(gateway.hangup().await, Reloads { unchanged: 1, ..Reloads::default() });
    replace(&token, "two");
    assert_eq!(gateway.hangup().await.applied, 1);
    assert_eq!((status(&gateway, &key), gateway.generation()), (202, 2));
}

/// Holds the log's lock, so that a start waits in the midst; for a second.
fn hold(gateway: &Gateway) -> std::fs::File {
    let lock = std::fs::File::open(gateway.spool().join("log/lock")).unwrap();
    lock.lock().unwrap();
    lock
}

/// Whether a process listens for SIGHUP (1), as the kernel sees it.
fn hears_sighup(process: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

#[tokio::test]
async fn a_hangup_during_the_start_is_heard_after_it_and_one_during_the_drain_changes_and_ends_nothing() {
    let bucket = influx().bucket("reload-start");
    let mut gateway = Gateway::start_with(&config_for(&bucket), &[("TAGLINE__SERVER__DRAIN_DELAY", "2s")]).await;
    gateway.sigterm();
    assert_eq!(gateway.wait_exit(SOON).await.code(), Some(0));

    let held = hold(&gateway);
    gateway.begin_again();
    eventually(SOON, || async { if hears_sighup(gateway.id()) { Ok(()) } else { Err("it does not listen yet") } })
        .await;
    // It has read its settings, or reads them now: either way it has the new ones in the end.
    gateway.rewrite(&format!("{}{}", config_for(&bucket), second_key()));
    gateway.signal("HUP");
    drop(held);
    gateway.ready().await;
    eventually(SOON, || async {
        let status = status(&gateway, SECOND_KEY);
        if status == 202 { Ok(()) } else { Err(status) }
    })
    .await;

    let before = gateway.generation();
    gateway.sigterm();
    eventually(SOON, || async {
        let (status, seen) = gateway.readiness();
        if status == 503 { Ok(()) } else { Err(seen.to_string()) }
    })
    .await;
    gateway.rewrite(&config_for(&bucket));
    gateway.signal("HUP");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!((gateway.generation(), status(&gateway, SECOND_KEY)), (before, 202));
    assert_eq!(gateway.wait_exit(SOON).await.code(), Some(0));
}
