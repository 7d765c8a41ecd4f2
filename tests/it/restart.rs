//! Stopped and started again: the spool goes on where it was, and what the disk did to it meanwhile is told and counted.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    ACME_KEY, Bucket, GLOBEX_KEY, Gateway, Switch, Totals, config_for, event, events, eventually, influx, now_ms, post,
    tagline,
};

const SOON: Duration = Duration::from_secs(30);

/// A gateway with a switch before its InfluxDB.
async fn gateway_on(bucket: &Bucket, switch: &Switch) -> Gateway {
    let url = switch.url();
    let environment = [
        ("INFLUXDB_URL", url.as_str()),
        ("TAGLINE__SERVER__DRAIN_TIMEOUT", "2s"),
        ("TAGLINE__ENRICH__REPLICA", "tagline-0"),
    ];
    Gateway::start_with(&config_for(bucket), &environment).await
}

/// SIGTERM, and the end that it ought to have.
async fn stopped(gateway: &mut Gateway) {
    gateway.sigterm();
    assert_eq!(gateway.wait_exit(Duration::from_secs(10)).await.code(), Some(0), "{}", gateway.log());
}

/// Waits until nothing of a tenant is pending; its row, which balances.
async fn settled(gateway: &Gateway, tenant: &str) -> Totals {
    eventually(SOON, || async {
        let row = Totals::of(gateway, tenant);
        assert!(row.balances(), "{row:?}");
        if row.pending == 0 { Ok(row) } else { Err(format!("{tenant}: {row:?}")) }
    })
    .await
}

/// What the gateway's own points say was delivered of a tenant, added up.
async fn reported(bucket: &Bucket, tenant: &str) -> u64 {
    let pipe = format!(
        "|> filter(fn: (r) => r._measurement == \"gateway_outcomes\" and r.tenant_id == \"{tenant}\" and r.outcome == \"delivered\")
         |> group() |> sum()"
    );
    bucket.select(&pipe).await.first().map_or(0, |row| row.int("_value").unsigned_abs())
}

/// The files of the log whose name ends so.
fn files(gateway: &Gateway, end: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(gateway.spool().join("log")).expect("the folder of the log");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| name(path).ends_with(end));
    files.sort();
    files
}

fn name(path: &Path) -> String {
    path.file_name().expect("a file has a name").to_string_lossy().into_owned()
}

/// Changes one byte behind the only place in the segments where this text stands.
fn damage(gateway: &Gateway, text: &str) {
    let mut found = 0;
    for path in files(gateway, ".seg") {
        let mut bytes = std::fs::read(&path).unwrap();
        let places: Vec<usize> = (0..bytes.len().saturating_sub(text.len()))
            .filter(|at| bytes[*at..].starts_with(text.as_bytes()))
            .collect();
        for at in places {
            found += 1;
            bytes[at] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
        }
    }
    assert_eq!(found, 1, "`{text}` stands {found} times in the log");
}

/// `count` events of which the first has a view of its own, which tells its record from the others.
fn marked(view: &str, seq: u64, count: u64) -> Value {
    let mut events = events(now_ms(), seq, count);
    events[0]["viewName"] = json!(view);
    events
}

/// Ready but degraded, and the checks say why.
fn told(gateway: &Gateway, what: &str) {
    let (status, seen) = gateway.readiness();
    assert_eq!((status, &seen["status"]), (200, &json!("degraded")), "{seen}");
    let checks = seen["checks"].as_array().unwrap();
    let says =
        |check: &Value| check["status"] == "degraded" && check["detail"].as_str().is_some_and(|it| it.contains(what));
    assert!(checks.iter().any(says), "no check names {what}: {seen}");
}

#[tokio::test]
async fn stopped_while_influxdb_is_away_it_spills_nothing_and_the_next_start_delivers_and_counts_on() {
    let (bucket, switch) = (influx().bucket("restart"), Switch::to(influx().address()));
    let mut gateway = gateway_on(&bucket, &switch).await;
    assert_eq!(post(&gateway, ACME_KEY, &events(now_ms(), 0, 100)).status, 202);
    assert_eq!(settled(&gateway, "acme").await.delivered, 100);
    switch.cut();
    assert_eq!(post(&gateway, ACME_KEY, &events(now_ms(), 100, 50)).status, 202);
    assert_eq!(post(&gateway, GLOBEX_KEY, &events(now_ms(), 0, 30)).status, 202);
    stopped(&mut gateway).await;
    assert!(!gateway.spool().join("spill").exists(), "{:?}", std::fs::read_dir(gateway.spool().join("spill")));

    // Still away, and stopped once more: what waits is counted once, and waits.
    for _ in 0..2 {
        gateway.start_again().await;
        let (acme, globex) = (Totals::of(&gateway, "acme"), Totals::of(&gateway, "globex"));
        assert_eq!((acme.accepted, acme.delivered, acme.pending, acme.lost), (150, 100, 50, 0), "{acme:?}");
        assert_eq!((globex.accepted, globex.delivered, globex.pending), (30, 0, 30), "{globex:?}");
        stopped(&mut gateway).await;
    }
    switch.mend();
    gateway.start_again().await;
    assert_eq!(post(&gateway, ACME_KEY, &events(now_ms(), 150, 7)).status, 202);
    let (acme, globex) = (settled(&gateway, "acme").await, settled(&gateway, "globex").await);
    assert_eq!((acme.accepted, acme.delivered, acme.spilled, acme.lost), (157, 157, 0, 0), "{acme:?}");
    assert_eq!((globex.accepted, globex.delivered), (30, 30), "{globex:?}");
    assert_eq!((bucket.stored("acme").await, bucket.stored("globex").await), (157, 30));
    // One more start and stop, with nothing to do: the totals stay, and none of them is reported a second time.
    stopped(&mut gateway).await;
    gateway.start_again().await;
    let acme = Totals::of(&gateway, "acme");
    assert_eq!((acme.accepted, acme.delivered, acme.pending), (157, 157, 0), "{acme:?}");
    stopped(&mut gateway).await;
    assert_eq!((reported(&bucket, "acme").await, reported(&bucket, "globex").await), (157, 30));
}

#[tokio::test]
async fn records_that_the_disk_damaged_are_counted_as_lost_and_all_others_arrive() {
    let (bucket, switch) = (influx().bucket("damaged"), Switch::to(influx().address()));
    let mut gateway = gateway_on(&bucket, &switch).await;
    switch.cut();
    assert_eq!(post(&gateway, ACME_KEY, &marked("first", 0, 20)).status, 202);
    assert_eq!(post(&gateway, ACME_KEY, &marked("victim", 100, 7)).status, 202);
    assert_eq!(post(&gateway, GLOBEX_KEY, &marked("between", 0, 11)).status, 202);
    assert_eq!(post(&gateway, GLOBEX_KEY, &marked("other-victim", 100, 5)).status, 202);
    assert_eq!(post(&gateway, ACME_KEY, &marked("last", 200, 30)).status, 202);
    stopped(&mut gateway).await;
    damage(&gateway, "=victim");
    damage(&gateway, "=other-victim");

    gateway.start_again().await;
    let damaged: Vec<PathBuf> =
        files(&gateway, "").into_iter().filter(|path| name(path).contains(".damaged-")).collect();
    assert!(!damaged.is_empty(), "{:?}", files(&gateway, ""));
    let segment = name(&damaged[0]).split(".damaged-").next().unwrap().to_owned();
    told(&gateway, &segment);
    let (acme, globex) = (Totals::of(&gateway, "acme"), Totals::of(&gateway, "globex"));
    assert_eq!((acme.accepted, acme.lost, acme.pending), (57, 7, 50), "{acme:?}");
    assert_eq!((globex.accepted, globex.lost, globex.pending), (16, 5, 11), "{globex:?}");
    let ledger = gateway.admin_json("/admin/ledger");
    assert_eq!(ledger["tenants"]["acme"]["outcomes"]["lost_damaged"], 7, "{ledger}");

    switch.mend();
    assert_eq!(settled(&gateway, "acme").await.delivered, 50);
    assert_eq!(settled(&gateway, "globex").await.delivered, 11);
    let views = bucket.select("|> filter(fn: (r) => r._field == \"element_count\") |> keep(columns: [\"view_name\"]) |> group() |> distinct(column: \"view_name\")").await;
    let mut views: Vec<&str> = views.iter().map(|row| row.text("_value")).collect();
    views.sort_unstable();
    assert_eq!(views, ["between", "first", "last", "v"]);
    assert_eq!((bucket.stored("acme").await, bucket.stored("globex").await), (50, 11));

    // The loss is counted once, over further starts too.
    stopped(&mut gateway).await;
    gateway.start_again().await;
    let acme = Totals::of(&gateway, "acme");
    assert_eq!((acme.accepted, acme.delivered, acme.lost, acme.pending), (57, 50, 7, 0), "{acme:?}");
}

#[tokio::test]
async fn a_segment_that_cannot_be_read_is_set_aside_named_and_never_deleted() {
    let (bucket, switch) = (influx().bucket("set-aside"), Switch::to(influx().address()));
    let mut gateway = gateway_on(&bucket, &switch).await;
    switch.cut();
    // Each start begins a segment.
    assert_eq!(post(&gateway, ACME_KEY, &events(now_ms(), 0, 20)).status, 202);
    stopped(&mut gateway).await;
    gateway.start_again().await;
    assert_eq!(post(&gateway, ACME_KEY, &events(now_ms(), 100, 30)).status, 202);
    stopped(&mut gateway).await;
    let segments = files(&gateway, ".seg");
    let [first, second] = &segments[..] else { panic!("{segments:?}") };
    // One whose header went, one in which nothing is what it was, and one that never was a segment.
    let mut bytes = std::fs::read(first).unwrap();
    bytes[3] ^= 1;
    std::fs::write(first, &bytes).unwrap();
    let garbage = "no segment at all\n".repeat(1_000);
    let foreign = gateway.spool().join("log/00000000000000500000.seg");
    for path in [second, &foreign] {
        std::fs::write(path, &garbage).unwrap();
    }

    gateway.start_again().await;
    for path in [second, &foreign] {
        let aside = files(&gateway, ".set-aside").into_iter().find(|file| name(file).starts_with(&name(path)));
        let aside = aside.unwrap_or_else(|| panic!("{} is not set aside: {:?}", path.display(), files(&gateway, "")));
        assert_eq!(std::fs::read_to_string(aside).unwrap(), garbage);
        told(&gateway, &name(path));
    }
    told(&gateway, &name(first));
    // Records say themselves what they are: the first file's are all there. The second's are known to be missing.
    let acme = Totals::of(&gateway, "acme");
    assert_eq!((acme.accepted, acme.lost, acme.pending), (50, 30, 20), "{acme:?}");

    // It goes on all the same, and does not give the old sequences out again.
    switch.mend();
    assert_eq!(post(&gateway, ACME_KEY, &json!([event(now_ms(), 1_000)])).status, 202);
    assert_eq!(settled(&gateway, "acme").await.delivered, 21);
    assert_eq!(bucket.stored("acme").await, 21);
    // A later start neither deletes what was set aside nor takes it for new damage.
    stopped(&mut gateway).await;
    gateway.start_again().await;
    assert_eq!(files(&gateway, ".set-aside").len(), 2);
    let acme = Totals::of(&gateway, "acme");
    assert_eq!((acme.accepted, acme.delivered, acme.lost), (51, 21, 30), "{acme:?}");
}

#[tokio::test]
async fn a_second_gateway_on_the_same_folder_is_refused() {
    let bucket = influx().bucket("locked");
    let mut gateway = gateway_on(&bucket, &Switch::to(influx().address())).await;
    let serve = ["serve", "--config", &gateway.config_file()].map(str::to_owned);
    let serve: Vec<&str> = serve.iter().map(String::as_str).collect();
    let second = tagline(gateway.folder(), &serve, &[]).await;
    assert_eq!(second.code, Some(1), "{second:?}");
    for word in ["data", "another", "spool.dir"] {
        assert!(second.stderr.contains(word), "no `{word}`: {}", second.stderr);
    }
    // The first one is none the worse for it, and a kill leaves no lock behind.
    assert_eq!(post(&gateway, ACME_KEY, &events(now_ms(), 0, 5)).status, 202);
    gateway.kill().await;
    gateway.start_again().await;
    assert_eq!(settled(&gateway, "acme").await.accepted, 5);
}
