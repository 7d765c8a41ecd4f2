//! The first minutes of a newcomer: nothing configured, a `curl` that works as pasted, and a line in `./data`.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::support::{Connection, Gateway, browser, eventually, http, influx};

/// The `curl` command that the gateway prints.
fn printed_curl(gateway: &Gateway) -> String {
    let printed = gateway.stdout();
    let line = printed.lines().map(str::trim).find(|line| line.starts_with("curl "));
    line.unwrap_or_else(|| panic!("no curl is printed:\n{printed}")).to_owned()
}

/// Pastes a command into a shell, as a newcomer does.
fn paste(command: &str) -> String {
    let output = Command::new("sh").args(["-c", command]).output().expect("sh runs");
    assert!(output.status.success(), "{command}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Every line of every file below `folder`.
fn lines_below(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut lines = Vec::new();
    for entry in entries.flatten() {
        if entry.path().is_dir() {
            lines.extend(lines_below(&entry.path()));
        } else {
            lines.extend(std::fs::read_to_string(entry.path()).unwrap_or_default().lines().map(str::to_owned));
        }
    }
    lines
}

#[tokio::test]
async fn with_nothing_configured_the_printed_curl_works_as_pasted_and_its_line_lies_in_data() {
    let folder = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::start_dev(folder.path()).await;
    let answer = paste(&printed_curl(&gateway));
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    assert!(answer.contains("\"accepted\":1"), "{answer}");

    let line = eventually(Duration::from_secs(5), || async {
        let lines = lines_below(&folder.path().join("data/lines"));
        lines.into_iter().find(|line| line.starts_with("frontend_performance,")).ok_or("no line yet")
    })
    .await;
    for part in ["tenant_id=demo", "session_id=s-1", "view_name=UserListView", "duration_ms=120i", "element_count=50i"]
    {
        assert!(line.contains(part), "{line}");
    }
    // The other things that a newcomer is told.
    let printed = gateway.stdout();
    for told in [gateway.admin_url(), gateway.url(), "INFLUXDB_URL=".to_owned(), "data/lines".to_owned()] {
        assert!(printed.contains(&told), "{told} is not in:\n{printed}");
    }
    gateway.sigterm();
    assert!(gateway.wait_exit(Duration::from_secs(30)).await.success());
}

#[tokio::test]
async fn every_start_has_another_key_and_a_wrong_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::start_dev(folder.path()).await;
    let first = printed_curl(&gateway);
    gateway.sigterm();
    gateway.wait_exit(Duration::from_secs(30)).await;
    gateway.start_again().await;
    let key = |curl: &str| curl.split("/v1/telemetry/").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    assert_ne!(key(&first), key(&printed_curl(&gateway)));
    let answer = http::request(gateway.address(), "POST", &format!("/v1/telemetry/{}", key(&first)), &[], b"{}");
    assert_eq!(answer.status, 401, "{}", answer.text());
}

#[tokio::test]
async fn three_variables_alone_turn_files_into_influxdb() {
    let bucket = influx().bucket("three-variables");
    let folder = tempfile::tempdir().unwrap();
    let url = bucket.url();
    let environment = [
        ("INFLUXDB_URL", url.as_str()),
        ("INFLUXDB_ORG", crate::support::Influx::ORGANIZATION),
        ("INFLUXDB_TOKEN", bucket.token()),
        ("INFLUXDB_BUCKET", bucket.name()),
    ];
    let gateway = Gateway::start_dev_with(folder.path(), &environment).await;
    assert!(paste(&printed_curl(&gateway)).starts_with("HTTP/1.1 202"));
    let row = eventually(Duration::from_secs(10), || async {
        bucket.rows("frontend_performance").await.first().cloned().ok_or("no point yet")
    })
    .await;
    assert_eq!((row.text("tenant_id"), row.int("duration_ms")), ("demo", 120));
    assert!(lines_below(&folder.path().join("data/lines")).is_empty());
}

#[tokio::test]
async fn the_page_sends_a_real_event_and_shows_what_came_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start_dev(folder.path()).await;
    let page = http::request(gateway.address(), "GET", "/", &[], b"");
    assert_eq!(page.status, 200);
    assert!(page.header("content-security-policy").is_some_and(|policy| policy.contains("default-src 'none'")));

    // The page as it is, with one line more that presses its button.
    let tab = browser().open(&format!("{}/#send", gateway.url()));
    let ledger = eventually(Duration::from_secs(20), || async {
        let ledger = gateway.admin_json("/admin/ledger");
        let delivered = ledger["tenants"]["demo"]["outcomes"]["delivered"].as_u64();
        if delivered == Some(1) { Ok(ledger) } else { Err(ledger.to_string()) }
    })
    .await;
    assert_eq!(ledger["tenants"]["demo"]["accepted"], 1);
    tab.close();
}

#[tokio::test]
async fn the_page_with_its_key_is_for_this_machine_and_no_other_site() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start_dev(folder.path()).await;
    let port = gateway.address().port();
    let ask = |target: &str, host: &str, origin: &str| {
        let origin = if origin.is_empty() { String::new() } else { format!("Origin: {origin}\r\n") };
        let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n{origin}Connection: close\r\n\r\n");
        Connection::open(gateway.address()).exchange(request)
    };
    let (ip, name) = (format!("127.0.0.1:{port}"), format!("localhost:{port}"));
    for target in ["/", "/playground/seen"] {
        for (host, origin) in [(&ip, String::new()), (&name, String::new()), (&ip, format!("http://{ip}"))] {
            assert_eq!(ask(target, host, &origin).status, 200, "{target} {host} {origin}");
        }
        // By a name of its own that points here (DNS rebinding), or from a page of its own.
        let rebound = format!("evil.example:{port}");
        for (host, origin) in
            [(&rebound, ""), (&ip, "https://evil.example"), (&ip, "null"), (&ip, "http://127.0.0.1:1")]
        {
            let answer = ask(target, host, origin);
            assert_eq!(answer.status, 404, "{target} {host} {origin}");
            assert!(!answer.text().contains("key\":"), "{}", answer.text());
        }
    }
}

#[tokio::test]
async fn lines_that_are_tidied_away_while_it_runs_start_a_new_file() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start_dev(folder.path()).await;
    let curl = printed_curl(&gateway);
    let lines = folder.path().join("data/lines");
    let points = || lines_below(&lines).iter().filter(|line| line.starts_with("frontend_performance,")).count();
    for round in 0..2 {
        assert!(paste(&curl).starts_with("HTTP/1.1 202"));
        eventually(Duration::from_secs(5), || async { if points() == 1 { Ok(()) } else { Err(round) } }).await;
        std::fs::remove_dir_all(&lines).unwrap();
    }
}

#[tokio::test]
async fn outside_the_dev_profile_there_is_no_page() {
    let bucket = influx().bucket("no-page");
    let gateway = Gateway::start(&crate::support::config_for(&bucket)).await;
    for target in ["/", "/playground/seen"] {
        let answer = http::request(gateway.address(), "GET", target, &[], b"");
        assert_eq!(answer.status, 404, "{target}");
    }
}

#[test]
fn the_dev_profile_does_not_listen_beyond_loopback() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_tagline"))
        .env_clear()
        .env("TAGLINE__SERVER__LISTEN", "0.0.0.0:0")
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("loopback") && said.contains("server.listen"), "{said}");
}
