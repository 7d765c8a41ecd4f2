//! No room on the disk, or in the bound: new requests are told, what was accepted is kept, and it mends itself.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    ACME_KEY, Bucket, Counts, Disk, Fate, GLOBEX_KEY, Gateway, Sender, Switch, Totals, Verdict, config_for, eventually,
    http, influx, numbers,
};

/// How long delivery may take on a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// For tenants that may each fill this share of the spool, as fast as they like.
fn config(bucket: &Bucket, share: f64) -> String {
    format!(
        "{}\n[tenant_defaults.limits]\npoints_per_second = 1_000_000\nburst = 1_000_000\nspool_share = {share}\n",
        config_for(bucket)
    )
}

/// Sends requests of a quarter of a mebibyte of lines until one is refused; fails the test when `most` were taken. The refusal is
/// held against the contract.
fn fill(gateway: &Gateway, sender: &mut Sender, most: u32) -> u32 {
    for taken in 0..most {
        if sender.send(gateway.address(), 120).expect("the gateway listens") == Fate::Refused {
            let refusal = sender.refusal.take().expect("a refusal is remembered");
            assert_eq!((refusal.status, &refusal.json()["code"]), (503, &json!("spool_full")), "{}", refusal.text());
            let wait: u64 = refusal.header("retry-after").expect("Retry-After").parse().expect("seconds");
            assert!((1..=60).contains(&wait), "{wait}");
            assert!(refusal.header("access-control-allow-origin").is_some(), "{refusal:?}");
            return taken;
        }
    }
    panic!("{most} requests were taken, and there is no room for so many");
}

/// The check of that name in `/readyz`.
fn check(readiness: &Value, name: &str) -> Value {
    let checks = readiness["checks"].as_array().unwrap_or_else(|| panic!("{readiness}"));
    checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("no {name}: {readiness}")).clone()
}

/// A full spool is no reason to send clients elsewhere: ready, degraded, and it says what.
fn degraded(gateway: &Gateway) {
    let (status, seen) = gateway.readiness();
    assert_eq!((status, &seen["status"]), (200, &json!("degraded")), "{seen}");
    let spool = check(&seen, "spool");
    assert!(spool["status"] == "degraded" && spool["detail"].as_str().is_some_and(|it| it.contains("503")), "{seen}");
    assert_eq!(http::request(gateway.address(), "GET", "/healthz", &[], b"").status, 200);
}

/// Waits until nothing is pending; the rows of the ledger, which balance.
async fn settled(gateway: &Gateway) -> [Totals; 2] {
    eventually(SOON, || async {
        let rows = ["acme", "globex"].map(|tenant| Totals::of(gateway, tenant));
        assert!(rows.iter().all(Totals::balances), "{rows:?}");
        if rows.iter().all(|row| row.pending == 0) { Ok(rows) } else { Err(format!("{rows:?}")) }
    })
    .await
}

/// After InfluxDB's return: all that was acknowledged arrives, and new requests are taken again, with no help.
async fn recovers(gateway: &Gateway, bucket: &Bucket, senders: &mut [Sender; 2]) {
    for sender in senders.iter_mut() {
        eventually(SOON, || {
            let fate = sender.send(gateway.address(), 120);
            async move { if fate == Some(Fate::Acknowledged) { Ok(()) } else { Err(format!("{fate:?}")) } }
        })
        .await;
    }
    let rows = settled(gateway).await;
    for (sender, row) in senders.iter().zip(rows) {
        let stored = numbers(bucket, sender.tenant()).await;
        let verdict = Verdict::of([sender], &stored);
        assert_eq!(verdict.unacknowledged_stored, 0, "what was refused was not taken in part: {verdict:?}");
        assert_eq!((row.accepted, row.delivered, row.lost), (verdict.acknowledged, verdict.acknowledged, 0), "{row:?}");
    }
    let seen = gateway.readiness().1;
    assert_eq!(seen["status"], "ok", "{seen}");
}

fn two_senders() -> [Sender; 2] {
    [ACME_KEY, GLOBEX_KEY].map(|key| Sender::long(key, 0, &Arc::<Counts>::default()))
}

#[tokio::test]
async fn a_full_disk_refuses_what_is_new_keeps_what_is_old_over_restarts_too_and_recovers_by_itself() {
    const BYTES: u64 = 24 << 20;
    let (bucket, disk, switch) = (influx().bucket("full-disk"), Disk::of(BYTES), Switch::to(influx().address()));
    let config = config(&bucket, 0.6).replace("dir = \"data\"", &format!("dir = \"{}\"", disk.path().display()));
    // The bound lies far beyond what there is: it is the disk that is full.
    let environment = [
        ("INFLUXDB_URL", switch.url()),
        ("TAGLINE__SPOOL__MAX_BYTES", "1GiB".to_owned()),
        ("TAGLINE__SERVER__DRAIN_TIMEOUT", "2s".to_owned()),
    ];
    let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    switch.cut();
    let mut gateway = Gateway::start_through(&disk.enter(), &config, &environment).await;
    let mut senders = two_senders();
    let taken = fill(&gateway, &mut senders[0], 120);
    assert!(taken >= 20, "only {taken} requests went to a disk of {BYTES} bytes");
    fill(&gateway, &mut senders[1], 20);
    let held = std::fs::read_dir(disk.outside("log")).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len());
    let held: u64 = held.sum();
    assert!(held > BYTES / 2 && held <= BYTES, "{held} bytes in files of the log");
    degraded(&gateway);
    // Nor does a smaller one push itself in where a larger one found no room, and then find its record torn.
    for sender in &mut senders {
        for count in [1, 10, 60] {
            sender.send(gateway.address(), count);
        }
    }

    // Full, it stops, starts, is killed and starts: it holds what it took, and can say so. Somebody else takes the last byte each time.
    let pending = |gateway: &Gateway| ["acme", "globex"].map(|tenant| Totals::of(gateway, tenant).pending);
    let before = pending(&gateway);
    gateway.sigterm();
    assert_eq!(gateway.wait_exit(Duration::from_secs(20)).await.code(), Some(0));
    disk.fill_up();
    gateway.start_again().await;
    assert_eq!(pending(&gateway), before);
    fill(&gateway, &mut senders[0], 20);
    let before = pending(&gateway);
    gateway.kill().await;
    disk.fill_up();
    gateway.start_again().await;
    assert_eq!(pending(&gateway), before);
    fill(&gateway, &mut senders[1], 20);
    degraded(&gateway);

    switch.mend();
    recovers(&gateway, &bucket, &mut senders).await;
}

#[tokio::test]
async fn a_full_bound_refuses_by_tenant_and_recovers_by_itself() {
    let (bucket, switch) = (influx().bucket("full-bound"), Switch::to(influx().address()));
    let environment = [("INFLUXDB_URL", switch.url()), ("TAGLINE__SPOOL__MAX_BYTES", "16MiB".to_owned())];
    let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    switch.cut();
    let gateway = Gateway::start_with(&config(&bucket, 0.6), &environment).await;
    let mut senders = two_senders();
    let acme = fill(&gateway, &mut senders[0], 80);
    // One tenant cannot fill more than its share: the other is still served.
    let globex = fill(&gateway, &mut senders[1], 80);
    assert!(acme > globex && globex >= 10, "{acme} requests of one tenant, {globex} of the other");
    let used = gateway.admin_json("/admin/ledger")["spool"].take();
    assert!(used["limitBytes"] == 16 << 20 && used["bytes"].as_u64() <= used["limitBytes"].as_u64(), "{used}");
    degraded(&gateway);

    switch.mend();
    recovers(&gateway, &bucket, &mut senders).await;
}

#[tokio::test]
async fn where_the_oldest_may_go_everybody_is_let_in_what_went_is_counted_and_the_newest_arrive() {
    /// 8 MiB of 16 in the end.
    const NEWEST: usize = 32 * 120;
    let (bucket, switch) = (influx().bucket("drop-oldest"), Switch::to(influx().address()));
    let environment = [
        ("INFLUXDB_URL", switch.url()),
        ("TAGLINE__SPOOL__MAX_BYTES", "16MiB".to_owned()),
        ("TAGLINE__SPOOL__ON_FULL", "drop_oldest".to_owned()),
    ];
    let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    switch.cut();
    let gateway = Gateway::start_with(&config(&bucket, 1.0), &environment).await;
    let [mut acme, mut globex] = two_senders();
    // Twice what there is room for.
    for _ in 0..120 {
        assert_eq!(acme.send(gateway.address(), 120), Some(Fate::Acknowledged), "{:?}", acme.refusal);
    }
    assert_eq!(globex.send(gateway.address(), 120), Some(Fate::Acknowledged), "{:?}", globex.refusal);
    let row = Totals::of(&gateway, "acme");
    assert!(row.balances() && row.lost > 0 && row.pending > 0, "{row:?}");

    switch.mend();
    let [row, other] = settled(&gateway).await;
    assert_eq!((other.accepted, other.delivered), (120, 120), "{other:?}");
    let ledger = gateway.admin_json("/admin/ledger");
    assert_eq!(ledger["tenants"]["acme"]["outcomes"]["lost_dropped_oldest"], row.lost, "{ledger}");
    assert_eq!(
        (row.accepted, row.delivered + row.lost),
        (acme.numbers(Fate::Acknowledged).count() as u64, row.accepted)
    );
    // What is there is what the ledger says. What was on its way when its turn came is kept too, but nothing new makes way for it.
    let verdict = numbers(&bucket, "acme").await;
    assert_eq!(verdict.len() as u64, row.delivered);
    let stored: BTreeSet<u64> = verdict.into_iter().collect();
    let sent: Vec<u64> = acme.numbers(Fate::Acknowledged).collect();
    let missing: Vec<u64> = sent.iter().copied().filter(|number| !stored.contains(number)).collect();
    assert_eq!(missing.len() as u64, row.lost, "each is stored once or lost");
    let newest = sent[sent.len() - NEWEST];
    assert!(missing.iter().all(|number| *number < newest), "of the newest {NEWEST}, some went: {:?}", missing.last());
}
