//! The commands as a shell runs them: what they print, and how they end.

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    Gateway, Influx, Ran, SigningKey, config_for, event, events, eventually, http, influx, now_ms, tagline,
};

const SOON: Duration = Duration::from_secs(15);

/// A folder with a configuration file in it.
fn folder_with(config: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tagline.toml"), config).unwrap();
    folder
}

/// What stands in a folder, by name.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn help_of_every_command_has_examples_and_ends_with_0() {
    let folder = tempfile::tempdir().unwrap();
    for command in [&[][..], &["serve"], &["check"], &["setup"], &["token"], &["replay"], &["spool"], &["query"]] {
        let ran = tagline(folder.path(), &[command, &["--help"]].concat(), &[]).await;
        assert_eq!(ran.code, Some(0), "{command:?}: {ran:?}");
        let examples = ran.stdout.split("Examples:").nth(1).unwrap_or_else(|| panic!("{command:?}: {}", ran.stdout));
        assert!(examples.contains("tagline"), "{command:?}: {}", ran.stdout);
    }
    let version = tagline(folder.path(), &["--version"], &[]).await;
    assert_eq!((version.code, version.stdout.trim()), (Some(0), concat!("tagline ", env!("CARGO_PKG_VERSION"))));
    assert!(names(folder.path()).is_empty(), "help leaves files behind");
}

#[tokio::test]
async fn wrong_arguments_end_with_2_and_say_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let wrong: [&[&str]; 16] = [
        &["no-such-command"],
        &["serve", "--no-such-option"],
        &["check", "surplus"],
        &["serve", "--config", "no-such-file.toml"],
        &["check", "--config", "no-such-file.toml"],
        &["token"],
        &["token", "--tenant", "not a tenant!", "--write-key"],
        &["setup", "--retention", "soon"],
        &["replay", "--rate", "0"],
        &["replay", "--wait", "soon"],
        &["replay", "--dry-run", "--delete-sent"],
        &["spool", "--no-such-option"],
        &["spool", "--config", "no-such-file.toml"],
        &["query"],
        &["query", "p99", "--tenant", "not a tenant!"],
        &["query", "tenants", "--since", "soon"],
    ];
    for arguments in wrong {
        let ran = tagline(folder.path(), arguments, &[]).await;
        assert_eq!(ran.code, Some(2), "{arguments:?}: {ran:?}");
        assert!(!ran.stderr.trim().is_empty() || !ran.stdout.trim().is_empty(), "{arguments:?}: it says nothing");
    }
    assert!(names(folder.path()).is_empty(), "a refused command leaves files behind");
}

/// Seven mistakes, and the lines on which they stand.
const SEVEN_MISTAKES: &str = r#"[server]
listen = "127.0.0.1:8080"
drain_dely = "5s"
drain_timeout = "20 parsecs"

[influxdb]
url = "http://127.0.0.1:8086"
org = "acme"
token = "do-not-print-me-0123456789"

[enrich]
session = "hash:none"

[tenants.acme.keys.web]
key = "short"
origins = ["https://app.example"]

[tenants.globex.keys.web]
key = "globex-key-0123456789"
origins = ["https://globex.example"]

[tenants.initech.keys.web]
key = "globex-key-0123456789"
origins = ["https://initech.example"]

[tenants.globex.limits]
burst = 10
"#;

/// (line, what the finding must name)
const FINDINGS: [(usize, &str); 7] = [
    (3, "drain_delay"),
    (4, "drain_timeout"),
    (9, "INFLUXDB_TOKEN"),
    (12, "session"),
    (15, "too short"),
    (23, "same key"),
    (27, "max_events"),
];

/// The findings in what a command said: one a line, each beginning with the file's name and the number of its line.
fn findings<'r>(said: &'r str, file: &str) -> Vec<(usize, &'r str)> {
    let lines = said.lines().filter_map(|line| line.trim_start_matches("tagline: ").strip_prefix(file));
    let lines = lines.filter_map(|rest| rest.strip_prefix(':')?.split_once(':'));
    lines.map(|(number, rest)| (number.parse().unwrap_or_else(|_| panic!("no line number: {said}")), rest)).collect()
}

fn assert_seven(said: &str) {
    let found = findings(said, "tagline.toml");
    assert_eq!(found.len(), 7, "{said}");
    for ((line, text), (at, part)) in found.iter().zip(FINDINGS) {
        assert!(*line == at && text.contains(part), "line {at} should say {part:?}: {said}");
    }
    assert!(!said.contains("do-not-print-me"), "a secret is echoed: {said}");
}

#[tokio::test]
async fn check_tells_each_of_seven_mistakes_with_its_file_and_line() {
    let folder = folder_with(SEVEN_MISTAKES);
    let ran = tagline(folder.path(), &["check", "--config", "tagline.toml"], &[]).await;
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert_seven(&ran.stdout);
    assert!(ran.stdout.contains("7 findings"), "{ran:?}");
    assert_eq!(names(folder.path()), ["tagline.toml"], "check starts nothing");
}

#[tokio::test]
async fn serve_with_a_broken_file_starts_nothing_and_says_the_same() {
    let folder = folder_with(SEVEN_MISTAKES);
    let ran = tagline(folder.path(), &["serve", "--config", "tagline.toml"], &[]).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{ran:?}");
    assert_seven(&ran.stderr);
    assert!(!ran.stderr.contains("listening"), "{ran:?}");
    assert_eq!(names(folder.path()), ["tagline.toml"]);

    for broken in ["[server\n", "listen = \u{1}", "\u{feff}[[tenants]]\n", "[tenants.acme\nkey ="] {
        let folder = folder_with(broken);
        let ran = tagline(folder.path(), &["--config", "tagline.toml"], &[]).await;
        assert_eq!(ran.code, Some(2), "{broken:?}: {ran:?}");
        assert!(ran.stderr.contains("tagline.toml"), "{broken:?}: {ran:?}");
    }
}

#[tokio::test]
async fn check_of_a_good_file_ends_with_0_and_shows_no_secret() {
    let bucket = influx().bucket("check");
    let folder = folder_with(&config_for(&bucket));
    let ran = tagline(folder.path(), &["check", "--config", "tagline.toml"], &[]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.starts_with("ok"), "{ran:?}");
    for secret in [bucket.token(), crate::support::ACME_KEY] {
        assert!(!ran.stdout.contains(secret) && !ran.stderr.contains(secret), "{ran:?}");
    }
    assert_eq!(names(folder.path()), ["tagline.toml"], "check starts nothing");
}

#[tokio::test]
async fn a_port_in_use_ends_with_1_and_names_the_setting() {
    let bucket = influx().bucket("port");
    let folder = folder_with(&config_for(&bucket));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (variable, setting) in
        [("TAGLINE__SERVER__LISTEN", "server.listen"), ("TAGLINE__SERVER__ADMIN_LISTEN", "server.admin_listen")]
    {
        let ran = tagline(folder.path(), &["serve", "--config", "tagline.toml"], &[(variable, &address)]).await;
        assert_eq!(ran.code, Some(1), "{ran:?}");
        for part in [setting, address.as_str(), variable] {
            assert!(ran.stderr.contains(part), "{part}: {ran:?}");
        }
    }
}

/// The variables in lines such as `export NAME='value'`.
fn exports(printed: &str) -> Vec<(String, String)> {
    let lines = printed.lines().map(|line| {
        let (name, value) = line.strip_prefix("export ").and_then(|rest| rest.split_once('=')).unwrap_or_else(|| {
            panic!("not an export: {line:?}");
        });
        (name.to_owned(), value.trim_matches('\'').to_owned())
    });
    lines.collect()
}

fn value<'e>(exports: &'e [(String, String)], name: &str) -> &'e str {
    let found = exports.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| value.as_str()).unwrap_or_else(|| panic!("no {name} in {exports:?}"))
}

fn read(influx: &Influx, token: &str, flux: &str) -> http::Answer {
    let authorization = format!("Token {token}");
    let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/vnd.flux")];
    http::request(influx.address(), "POST", "/api/v2/query?org=my-org", &headers, flux.as_bytes())
}

fn write(influx: &Influx, token: &str) -> http::Answer {
    let authorization = format!("Token {token}");
    let headers = [("Authorization", authorization.as_str())];
    let target = "/api/v2/write?org=my-org&bucket=frontend&precision=ns";
    http::request(influx.address(), "POST", target, &headers, b"written_directly f=1i")
}

#[tokio::test]
async fn setup_makes_a_fresh_influxdb_ready_twice_over_and_its_exports_work_as_printed() {
    let fresh = Influx::fresh();
    let folder = tempfile::tempdir().unwrap();
    let url = fresh.url();
    let arguments = ["setup", "--url", &url, "--org", "my-org", "--bucket", "frontend", "--retention", "7d"];
    let first = tagline(folder.path(), &arguments, &[]).await;
    assert_eq!(first.code, Some(0), "{first:?}");
    let made = exports(&first.stdout);
    assert_eq!((value(&made, "INFLUXDB_URL"), value(&made, "INFLUXDB_ORG")), (url.as_str(), "my-org"));
    let (writer, reader) = (value(&made, "INFLUXDB_TOKEN"), value(&made, "INFLUXDB_READ_TOKEN"));

    // What each token may do, asked of InfluxDB: the one cannot read, the other cannot write.
    let ask = "from(bucket: \"frontend\") |> range(start: -1h)";
    assert_eq!(write(&fresh, writer).status, 204);
    assert_ne!(read(&fresh, writer, ask).status, 200, "the write token reads");
    assert_eq!(write(&fresh, reader).status, 403, "the read token writes");
    assert_eq!(read(&fresh, reader, ask).status, 200);
    assert!(read(&fresh, reader, ask).text().contains("written_directly"));
    let buckets = read(&fresh, reader, "buckets()").text();
    let week = (7 * 86_400 * 1_000_000_000_u64).to_string();
    assert!(buckets.lines().any(|line| line.contains(",frontend,") && line.contains(&week)), "{buckets}");

    // Again, with the operator's token that it printed once: the same, and nothing twice.
    let operator = first.stderr.lines().find(|line| line.contains("INFLUXDB_ADMIN_TOKEN")).unwrap();
    let operator = operator.rsplit(' ').next().unwrap();
    let again = tagline(folder.path(), &arguments, &[("INFLUXDB_ADMIN_TOKEN", operator)]).await;
    assert_eq!(again.code, Some(0), "{again:?}");
    assert_eq!(again.stdout, first.stdout, "a second run prints other tokens");
    let without = tagline(folder.path(), &arguments, &[]).await;
    assert_eq!(without.code, Some(2), "{without:?}");
    assert!(without.stderr.contains("INFLUXDB_ADMIN_TOKEN"), "{without:?}");
    let authorization = format!("Token {operator}");
    let known =
        http::request(fresh.address(), "GET", "/api/v2/authorizations", &[("Authorization", &authorization)], b"");
    let known = known.json()["authorizations"].as_array().unwrap().clone();
    let tagline_s = known.iter().filter(|one| one["description"].as_str().is_some_and(|d| d.starts_with("tagline")));
    assert_eq!(tagline_s.count(), 2, "{known:?}");

    // The exports as printed are all that a gateway without a configuration needs.
    let environment: Vec<_> = made.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let gateway = Gateway::start_dev_with(folder.path(), &environment).await;
    let printed = gateway.stdout();
    let key = printed.split("/v1/telemetry/").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap();
    let body = events(now_ms(), 0, 3).to_string();
    let answer = http::request(gateway.address(), "POST", &format!("/v1/telemetry/{key}"), &[], body.as_bytes());
    assert_eq!(answer.status, 202, "{}", answer.text());
    eventually(SOON, || async {
        let count = "from(bucket: \"frontend\") |> range(start: -1h) |> filter(fn: (r) => r.tenant_id == \"demo\") |> group() |> count()";
        let seen = read(&fresh, reader, count).text();
        if seen.contains(",3\r\n") { Ok(()) } else { Err(format!("{seen}\n{}", gateway.log())) }
    })
    .await;
    // The gateway knows the bucket's retention: an event of eight days ago is refused with a reason, and is no dead letter.
    let old = event(now_ms() - 8 * 86_400_000, 4).to_string();
    let answer = http::request(gateway.address(), "POST", &format!("/v1/telemetry/{key}"), &[], old.as_bytes());
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(answer.json()["rejected"][0]["reason"], "too_old");
}

/// Sends one event with these headers.
fn send(gateway: &Gateway, target: &str, headers: &[(&str, &str)]) -> http::Answer {
    let body = event(now_ms(), 1).to_string();
    http::request(gateway.address(), "POST", target, headers, body.as_bytes())
}

fn last_line(ran: &Ran) -> &str {
    ran.stdout.lines().last().unwrap_or_else(|| panic!("{ran:?}"))
}

#[tokio::test]
async fn a_minted_token_is_accepted_by_the_running_gateway_under_its_tenant() {
    let bucket = influx().bucket("token");
    let key = SigningKey::hs256();
    let config = format!("{}\n{}tenant_claim = \"/realm/tenant\"\n", config_for(&bucket), key.issuer_toml("idp"));
    let gateway = Gateway::start(&config).await;
    let arguments = ["token", "--config", &gateway.config_file(), "--tenant", "acme", "--claim", "role=tester"];
    let ran = tagline(gateway.folder(), &arguments, &[]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let token = last_line(&ran);
    assert!(!ran.stderr.contains(token), "the token stands in the hints: {ran:?}");
    let bearer = format!("Bearer {token}");
    let answer = send(&gateway, "/v1/telemetry", &[("Authorization", &bearer)]);
    assert_eq!(answer.status, 202, "{}", answer.text());
    let row =
        eventually(SOON, || async { bucket.rows("frontend_performance").await.first().cloned().ok_or("no point yet") })
            .await;
    assert_eq!(row.text("tenant_id"), "acme");
}

#[tokio::test]
async fn a_token_needs_an_issuer_and_no_influxdb_but_serving_does() {
    let folder = tempfile::tempdir().unwrap();
    let key = SigningKey::hs256();
    let file = folder.path().join("tagline.toml");
    std::fs::write(&file, key.issuer_toml("idp")).unwrap();
    let file = file.display().to_string();
    let ran = tagline(folder.path(), &["token", "--config", &file, "--tenant", "acme"], &[]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let served = tagline(folder.path(), &["serve", "--config", &file], &[]).await;
    assert_eq!(served.code, Some(2), "{served:?}");
    assert!(served.stderr.contains("there is no InfluxDB that the points could go to"), "{served:?}");
}

#[tokio::test]
async fn a_printed_write_key_works_when_its_lines_are_pasted_into_the_settings() {
    let bucket = influx().bucket("write-key");
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["token", "--write-key", "--tenant", "initech", "--origin", "https://app.initech.example"];
    let ran = tagline(folder.path(), &arguments, &[]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let gateway = Gateway::start(&format!("{}\n{}", config_for(&bucket), ran.stdout)).await;
    let key = ran.stdout.split('"').nth(1).unwrap();
    let from = |origin| send(&gateway, &format!("/v1/telemetry?k={key}"), &[("Origin", origin)]);
    assert_eq!(from("https://app.initech.example").status, 202);
    let elsewhere = from("https://elsewhere.example");
    assert_eq!((elsewhere.status, &elsewhere.json()["code"]), (403, &json!("origin_not_allowed")));
    let ledger: Value = gateway.admin_json("/admin/ledger");
    assert_eq!(ledger["tenants"]["initech"]["accepted"], 1);
    // Two runs make two keys.
    let other = tagline(folder.path(), &arguments, &[]).await;
    assert_ne!(other.stdout, ran.stdout);
}
