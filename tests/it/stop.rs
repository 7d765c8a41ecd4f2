//! Being stopped: everything that was accepted is in InfluxDB or in a file, and the file can be sent again.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{
    ACME_KEY, Answer, Connection, GLOBEX_KEY, Gateway, IN_MEMORY, Link, Totals, config_for, event, events, eventually,
    influx, now_ms, post, tagline,
};

const SOON: Duration = Duration::from_secs(20);

/// The spill files that a gateway left, each of which must be nobody else's to read.
fn spill_files(gateway: &Gateway) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(gateway.spool().join("spill"));
    let files: Vec<PathBuf> = entries.into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    for file in &files {
        assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
    }
    files
}

/// The last word of the log about a tenant's points.
fn last_ledger(gateway: &Gateway, tenant: &str) -> serde_json::Value {
    let lines = gateway.log_lines();
    let line = lines.iter().rev().find(|line| line["message"] == "ledger" && line["tenant"] == tenant);
    line.unwrap_or_else(|| panic!("no ledger of {tenant} in the log")).clone()
}

#[tokio::test]
async fn while_draining_it_is_not_ready_still_accepts_and_delivers_everything_before_it_ends_with_0() {
    let bucket = influx().bucket("drain");
    let mut gateway = Gateway::start_with(&config_for(&bucket), &[("TAGLINE__SERVER__DRAIN_DELAY", "2s")]).await;
    let at = now_ms();
    assert_eq!(post(&gateway, ACME_KEY, &events(at, 0, 100)).status, 202);
    // A request that is under way all the time: its head has been read, its body has not.
    let body = json!([event(at, 1_000)]).to_string();
    let (first, second) = body.split_at(body.len() / 2);
    let mut slow = Connection::open(gateway.address());
    let head =
        format!("POST /v1/telemetry/{ACME_KEY} HTTP/1.1\r\nHost: gateway\r\nContent-Length: {}\r\n\r\n", body.len());
    slow.send(format!("{head}{first}")).unwrap();

    gateway.sigterm();
    let asked = Instant::now();
    let seen = eventually(Duration::from_secs(1), || async {
        let (status, seen) = gateway.readiness();
        if status == 503 { Ok(seen) } else { Err(seen.to_string()) }
    })
    .await;
    assert_eq!((&seen["status"], &seen["checks"][0]["name"]), (&json!("failed"), &json!("lifecycle")), "{seen}");
    assert!(seen["checks"][0]["detail"].as_str().unwrap().contains("draining"), "{seen}");
    // Load balancers have not noticed yet: what they still send is taken.
    assert_eq!(post(&gateway, GLOBEX_KEY, &events(at, 0, 50)).status, 202);

    // Then the listener closes, and what is in flight is answered.
    eventually(Duration::from_secs(10), || async {
        match Connection::try_open(gateway.address()) {
            Ok(_) => Err("it still listens"),
            Err(_) => Ok(()),
        }
    })
    .await;
    assert!(asked.elapsed() >= Duration::from_millis(1_900), "it stopped listening after {:?}", asked.elapsed());
    slow.send(second).unwrap();
    let answer = slow.receive().expect("the request in flight is answered");
    assert_eq!((answer.status, &answer.json()["accepted"]), (202, &json!(1)));

    assert_eq!(gateway.wait_exit(SOON).await.code(), Some(0));
    assert_eq!(bucket.count("frontend_performance", "element_count").await, 151);
    let (acme, globex) = (last_ledger(&gateway, "acme"), last_ledger(&gateway, "globex"));
    assert_eq!((&acme["accepted"], &acme["delivered"], &acme["balances"]), (&json!(101), &json!(101), &json!(true)));
    assert_eq!((&globex["accepted"], &globex["delivered"]), (&json!(50), &json!(50)));
    assert!(spill_files(&gateway).is_empty());
}

/// A request of a page, on a connection that stays.
fn keeping(connection: &mut Connection, method: &str, target: &str, body: &str) -> Answer {
    let head = "Host: gateway\r\nOrigin: https://app.example\r\nAccess-Control-Request-Method: POST";
    let length = body.len();
    connection.exchange(format!("{method} {target} HTTP/1.1\r\n{head}\r\nContent-Length: {length}\r\n\r\n{body}"))
}

#[tokio::test]
async fn while_draining_each_answer_ends_its_connection_so_that_no_request_meets_one_that_is_being_closed() {
    let bucket = influx().bucket("leave");
    let mut gateway = Gateway::start_with(&config_for(&bucket), &[("TAGLINE__SERVER__DRAIN_DELAY", "3s")]).await;
    let body = json!([event(now_ms(), 1)]).to_string();
    let ingest = format!("/v1/telemetry/{ACME_KEY}");
    // Taken, refused by the handler, refused before it, a preflight, and no telemetry at all.
    let requests = [
        ("POST", ingest.as_str(), body.as_str(), 202),
        ("POST", ingest.as_str(), "no JSON", 400),
        ("POST", "/v1/telemetry/no-such-key-0123456789", body.as_str(), 401),
        ("PUT", ingest.as_str(), body.as_str(), 405),
        ("OPTIONS", ingest.as_str(), "", 200),
        ("GET", "/healthz", "", 200),
    ];
    let mut kept = requests.map(|request| (Connection::open(gateway.address()), request));
    for (connection, (method, target, body, status)) in &mut kept {
        let answer = keeping(connection, method, target, body);
        assert_eq!((answer.status, answer.header("connection")), (*status, None), "{method} {target}: {answer:?}");
    }

    gateway.sigterm();
    eventually(Duration::from_secs(1), || async {
        let (status, seen) = gateway.readiness();
        if status == 503 { Ok(()) } else { Err(seen.to_string()) }
    })
    .await;
    for (connection, (method, target, body, status)) in &mut kept {
        let answer = keeping(connection, method, target, body);
        let told = (answer.status, answer.header("connection"));
        assert_eq!(told, (*status, Some("close")), "{method} {target}: {answer:?}");
        assert!(connection.is_closed(Duration::from_secs(1)), "{method} {target}");
    }
    assert_eq!(gateway.wait_exit(SOON).await.code(), Some(0));
    assert_eq!(bucket.count("frontend_performance", "element_count").await, 1);
}

#[tokio::test]
async fn what_influxdb_does_not_take_at_the_end_is_spilled_from_memory_and_replay_delivers_it_once() {
    let bucket = influx().bucket("spill");
    // A port that was just free: nobody listens there.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let away = format!("http://{nobody}");
    let environment = [IN_MEMORY, ("INFLUXDB_URL", away.as_str()), ("TAGLINE__SERVER__DRAIN_TIMEOUT", "2s")];
    let mut gateway = Gateway::start_with(&config_for(&bucket), &environment).await;
    let at = now_ms();
    for (key, count) in [(ACME_KEY, 700), (GLOBEX_KEY, 300), (ACME_KEY, 37)] {
        assert_eq!(post(&gateway, key, &events(at + count, 0, count.unsigned_abs())).status, 202);
    }
    let (acme, globex) = (Totals::of(&gateway, "acme"), Totals::of(&gateway, "globex"));
    assert_eq!((acme.pending, globex.pending), (737, 300));

    gateway.sigterm();
    assert_eq!(gateway.wait_exit(SOON).await.code(), Some(0));
    let acme = last_ledger(&gateway, "acme");
    assert_eq!((&acme["spilled"], &acme["pending"], &acme["balances"]), (&json!(737), &json!(0), &json!(true)));
    let files = spill_files(&gateway);
    let [file] = &files[..] else { panic!("{files:?}") };
    assert!(
        gateway.log().contains(&format!("tagline replay {}", file.display()))
            || gateway.log().contains("tagline replay data/"),
        "{}",
        gateway.log()
    );

    // The number stands in what a dry run says, which sends nothing. The gateway's own points lie there too.
    let config = gateway.config_file();
    let file = file.display().to_string();
    let dry = tagline(gateway.folder(), &["replay", "--config", &config, "--dry-run", &file], &[]).await;
    assert_eq!(dry.code, Some(0), "{dry:?}");
    let own: u64 = own_points(&gateway);
    assert!(dry.stderr.contains(&format!(" {} points", 1_037 + own)), "{own}: {dry:?}");
    assert_eq!(bucket.measurements().await, [""; 0]);

    let replay = ["replay", "--config", config.as_str(), file.as_str()];
    let sent = tagline(gateway.folder(), &replay, &[]).await;
    assert_eq!(sent.code, Some(0), "{sent:?}");
    assert_eq!(bucket.count("frontend_performance", "element_count").await, 1_037);

    // A second one finds nothing to do: by default, and by the same name.
    let none = tagline(gateway.folder(), &["replay", "--config", &config], &[]).await;
    assert_eq!(none.code, Some(0), "{none:?}");
    assert!(none.stderr.contains("nothing to replay"), "{none:?}");
    let again = tagline(gateway.folder(), &replay, &[]).await;
    assert_eq!(again.code, Some(1), "{again:?}");
    // Even the same file once more makes no point twice.
    std::fs::rename(format!("{file}.done"), &file).unwrap();
    assert_eq!(tagline(gateway.folder(), &replay, &[]).await.code, Some(0));
    assert_eq!(bucket.count("frontend_performance", "element_count").await, 1_037);
}

#[tokio::test]
async fn a_write_that_hangs_at_the_end_is_spilled_within_the_time_and_the_others_arrive() {
    let bucket = influx().bucket("hangs");
    let link = Link::to(influx().address(), "POST /api/v2/write");
    let away = link.url();
    let environment = [IN_MEMORY, ("INFLUXDB_URL", away.as_str()), ("TAGLINE__SERVER__DRAIN_TIMEOUT", "3s")];
    let mut gateway = Gateway::start_with(&config_for(&bucket), &environment).await;
    let at = now_ms();
    assert_eq!(post(&gateway, ACME_KEY, &events(at, 0, 20)).status, 202);
    eventually(SOON, || async { if link.holds() { Ok(()) } else { Err("nothing was written yet") } }).await;
    assert_eq!(post(&gateway, GLOBEX_KEY, &events(at, 0, 30)).status, 202);

    gateway.sigterm();
    assert_eq!(gateway.wait_exit(Duration::from_secs(8)).await.code(), Some(0));
    let (acme, globex) = (last_ledger(&gateway, "acme"), last_ledger(&gateway, "globex"));
    assert_eq!((&acme["spilled"], &acme["delivered"], &acme["lost"]), (&json!(20), &json!(0), &json!(0)), "{acme}");
    assert_eq!((&globex["spilled"], &globex["delivered"]), (&json!(0), &json!(30)), "{globex}");
    assert_eq!(bucket.count("frontend_performance", "element_count").await, 30);
    assert_eq!(spill_files(&gateway).len(), 1);
    // Without a path: whatever lies in spool.dir.
    let sent = tagline(gateway.folder(), &["replay", "--config", &gateway.config_file()], &[]).await;
    assert_eq!(sent.code, Some(0), "{sent:?}");
    assert_eq!(bucket.count("frontend_performance", "element_count").await, 50);
}

/// How many of the gateway's own points its log says were spilled beside the tenants'.
fn own_points(gateway: &Gateway) -> u64 {
    let lines = gateway.log_lines();
    let spilled = lines.iter().filter_map(|line| line["points"].as_u64()).max();
    spilled.unwrap_or_else(|| panic!("the log does not say how many points were spilled")) - 1_037
}

#[tokio::test]
async fn a_replay_that_is_refused_fails_and_the_next_one_goes_on() {
    let bucket = influx().bucket("replay-away");
    let folder = tempfile::tempdir().unwrap();
    let letters = folder.path().join("acme.jsonl");
    let line = format!("frontend_performance,tenant_id=acme element_count=1i {}000000", now_ms());
    let letter =
        json!({"time": "2026-01-01T00:00:00Z", "tenant": "acme", "bucket": bucket.name(), "reason": "r", "line": line});
    std::fs::write(&letters, format!("{letter}\n")).unwrap();
    std::fs::write(folder.path().join("tagline.toml"), config_for(&bucket)).unwrap();
    let arguments = ["replay", "--config", "tagline.toml", "acme.jsonl"];
    let wrong = folder.path().join("wrong");
    std::fs::write(&wrong, "not-the-token-0123456789").unwrap();
    let refused =
        tagline(folder.path(), &arguments, &[("TAGLINE__INFLUXDB__TOKEN_FILE", wrong.to_str().unwrap())]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("401") && refused.stderr.contains("replay"), "{refused:?}");
    assert_eq!(bucket.count("frontend_performance", "element_count").await, 0);

    // Mended, the same command goes on with what is left, under the name that it said.
    let rest = tagline(folder.path(), &["replay", "--config", "tagline.toml", "."], &[]).await;
    assert_eq!(rest.code, Some(0), "{rest:?}");
    assert_eq!(bucket.count("frontend_performance", "element_count").await, 1);
}

#[tokio::test]
async fn a_second_signal_leaves_at_once() {
    let bucket = influx().bucket("second-signal");
    let mut gateway = Gateway::start_with(&config_for(&bucket), &[("TAGLINE__SERVER__DRAIN_DELAY", "60s")]).await;
    gateway.sigterm();
    eventually(SOON, || async {
        let (status, seen) = gateway.readiness();
        if status == 503 { Ok(()) } else { Err(seen.to_string()) }
    })
    .await;
    gateway.sigterm();
    let ended = gateway.wait_exit(Duration::from_secs(5)).await;
    assert_eq!(ended.code(), Some(1), "{ended}");
}

#[tokio::test]
async fn ctrl_c_drains_as_sigterm_does() {
    let bucket = influx().bucket("ctrl-c");
    let mut gateway = Gateway::start(&config_for(&bucket)).await;
    assert_eq!(post(&gateway, ACME_KEY, &events(now_ms(), 0, 10)).status, 202);
    gateway.signal("INT");
    assert_eq!(gateway.wait_exit(SOON).await.code(), Some(0));
    assert_eq!(bucket.count("frontend_performance", "element_count").await, 10);
}

#[tokio::test]
async fn a_hangup_ends_nothing_and_is_told_in_the_log() {
    let bucket = influx().bucket("hangup");
    let mut gateway = Gateway::start(&config_for(&bucket)).await;
    gateway.signal("HUP");
    eventually(SOON, || async { if gateway.log().contains("SIGHUP") { Ok(()) } else { Err(gateway.log()) } }).await;
    assert_eq!(post(&gateway, ACME_KEY, &events(now_ms(), 0, 10)).status, 202);
    gateway.sigterm();
    assert_eq!(gateway.wait_exit(SOON).await.code(), Some(0));
    assert_eq!(bucket.count("frontend_performance", "element_count").await, 10);
}

/// Whether a process listens for SIGTERM (15), as the kernel sees it.
fn hears_sigterm(process: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask >> 14 & 1 == 1)
}

#[tokio::test]
async fn a_stop_while_it_starts_ends_it_at_once_with_0() {
    let mut gateway = Gateway::start(&config_for(&influx().bucket("starting"))).await;
    gateway.sigterm();
    assert_eq!(gateway.wait_exit(SOON).await.code(), Some(0));
    // While somebody else holds the log it waits for it a second: it stands in the midst of its start.
    let held = std::fs::File::open(gateway.spool().join("log/lock")).unwrap();
    held.lock().unwrap();
    gateway.begin_again();
    eventually(Duration::from_secs(5), || async {
        if hears_sigterm(gateway.id()) { Ok(()) } else { Err("it does not listen for SIGTERM yet") }
    })
    .await;
    gateway.sigterm();
    assert_eq!(gateway.wait_exit(SOON).await.code(), Some(0), "{}", gateway.log());
    assert!(gateway.log().contains("stopped while starting"), "{}", gateway.log());
}
