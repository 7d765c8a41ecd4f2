//! InfluxDB away under steady load, and back: nothing is lost, nobody is sent away, and dashboards are fresh at once.
//!
//! In both durabilities. `make soak` has the second outage last ten minutes, or `AWAY` seconds.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{
    ACME_KEY, Bucket, Counts, Fate, GLOBEX_KEY, Gateway, IN_MEMORY, Influx, Load, Pace, Sender, Totals, Verdict,
    config_for, eventually, flux_string, from_environment, http, now_ms, numbers, post,
};

/// Dashboards are to be fresh this soon after InfluxDB's return.
const FRESH: Duration = Duration::from_secs(5);

/// How much the memory may grow while points pile up on the disk.
const GROWTH: u64 = 60 << 20;

/// Requests of a mebibyte of lines, of each tenant, in an outage of any length: the backlog is larger than [`GROWTH`] in the end.
const LARGE: u64 = 48;

/// What one look at the gateway said.
#[derive(Debug)]
struct Sample {
    ready: u16,
    live: u16,
    status: String,
    /// Points and bytes that wait.
    points: u64,
    bytes: u64,
    /// The process's memory.
    resident: u64,
}

/// Asks liveness, readiness and the ledger; every row of the ledger must balance.
fn sample(gateway: &Gateway) -> Sample {
    let (ready, seen) = gateway.readiness();
    let live = http::request(gateway.address(), "GET", "/healthz", &[], b"").status;
    let ledger = gateway.admin_json("/admin/ledger");
    for tenant in ["acme", "globex"] {
        let row = Totals::read(&ledger["tenants"][tenant]);
        assert!(row.balances() && row.lost == 0 && row.rejected == 0, "{row:?}");
    }
    let status = seen["status"].as_str().unwrap_or_default().to_owned();
    let waiting = |what: &str| ledger["spool"][what].as_u64().unwrap_or_else(|| panic!("no {what}: {ledger}"));
    Sample { ready, live, status, points: waiting("points"), bytes: waiting("bytes"), resident: resident(gateway.id()) }
}

/// The memory of a process: `VmRSS` of `/proc/PID/status`, in bytes.
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a process has VmRSS");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number of kB") << 10
}

/// Small requests all the time, more of them than large ones can be drained in between: two events every 10 ms for each of two tenants, 400
/// events a second.
fn steady(counts: &Arc<Counts>) -> Vec<(Sender, Pace)> {
    let pace = Pace { events: 2..=2, every_ms: 10..=10 };
    [ACME_KEY, GLOBEX_KEY].map(|key| (Sender::new(key, 0, counts), pace.clone())).into()
}

/// Looks every second for so long.
async fn watch(gateway: &Gateway, load: &[&Load], lasts: Duration) -> Vec<Sample> {
    let (mut samples, end) = (Vec::new(), Instant::now() + lasts);
    while Instant::now() < end {
        load.iter().for_each(|load| load.check());
        samples.push(sample(gateway));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    // Away: ready but degraded, alive, and the backlog grows. (The first second may pass before a write fails.)
    assert!(samples.iter().all(|sample| (sample.ready, sample.live) == (200, 200)), "{samples:?}");
    assert!(samples.iter().skip(4).all(|sample| sample.status == "degraded"), "{samples:?}");
    assert!(samples.last().unwrap().points > samples[2].points + 1_000, "{samples:?}");
    samples
}

/// Sends one event of a session of its own and waits until Flux finds it; how long that took.
async fn seen_after(gateway: &Gateway, bucket: &Bucket, session: &str) -> Duration {
    let asked = Instant::now();
    let event = json!({
        "sessionId": session, "viewName": "v", "actionName": "a", "timestamp": now_ms(), "seq": 1, "metrics": {"fresh": 1},
    });
    assert_eq!(post(gateway, ACME_KEY, &event).status, 202);
    let pipe = format!("|> filter(fn: (r) => r.session_id == {} and r._field == \"fresh\")", flux_string(session));
    eventually(4 * FRESH, || async {
        match bucket.select(&pipe).await.len() {
            1 => Ok(()),
            found => Err(format!("{found} points of {session}: {:?}", sample(gateway))),
        }
    })
    .await;
    asked.elapsed()
}

/// Waits until everything has arrived, and holds what is stored against what was sent. The most memory that was seen meanwhile.
async fn all_arrived(gateway: &Gateway, bucket: &Bucket, senders: &[Sender], within: Duration) -> u64 {
    let peak = Cell::new(0);
    eventually(within, || async {
        let seen = sample(gateway);
        peak.set(peak.get().max(seen.resident));
        if seen.points == 0 { Ok(()) } else { Err(format!("{seen:?}")) }
    })
    .await;
    for tenant in ["acme", "globex"] {
        let own: Vec<&Sender> = senders.iter().filter(|sender| sender.tenant() == tenant).collect();
        let verdict = Verdict::of(own.iter().copied(), &numbers(bucket, tenant).await);
        assert!(verdict.acknowledged > 0 && verdict.unacknowledged == 0, "{tenant}: {verdict:?}");
        assert!(own.iter().all(|sender| sender.numbers(Fate::Refused).next().is_none()), "{tenant}");
        let row = Totals::of(gateway, tenant);
        assert!(row.delivered >= verdict.acknowledged && row.pending == 0, "{tenant}: {row:?}");
    }
    assert_eq!(gateway.readiness().1["status"], "ok");
    peak.get()
}

/// What an outage came to.
struct Outage {
    /// The memory before it, and the most up to when all had arrived.
    before: u64,
    peak: u64,
    /// Bytes that waited at its end.
    backlog: u64,
}

/// Takes InfluxDB away under steady load and some large requests, brings it back, and sees everything arrive, and what is sent then at
/// once.
async fn outage(environment: &[(&str, &str)], away: Duration, large_requests: u64) -> Outage {
    let mut own = Influx::own();
    let bucket = own.bucket("outage");
    let limits = "[tenant_defaults.limits]\npoints_per_second = 1_000_000\nburst = 1_000_000\n";
    let gateway = Gateway::start_with(&format!("{}\n{limits}", config_for(&bucket)), environment).await;
    let counts = Arc::default();
    let load = Load::start(gateway.address(), steady(&counts));
    let every = u64::try_from(away.as_millis()).unwrap() / large_requests;
    let pace = Pace { events: 450..=450, every_ms: every..=every };
    let large = [ACME_KEY, GLOBEX_KEY].map(|key| (Sender::long(key, 1, &counts), pace.clone()));
    let large = Load::start(gateway.address(), large);
    tokio::time::sleep(Duration::from_secs(3)).await;

    let before = sample(&gateway).resident;
    own.stop().await;
    let samples = watch(&gateway, &[&load, &large], away).await;
    let backlog = samples.last().unwrap().bytes;
    let mut senders = large.stop();

    own.start();
    let returned = now_ms();
    // What is sent now does not wait behind what was sent then.
    let mut peak = samples.iter().map(|sample| sample.resident).max().unwrap();
    for place in 0..4 {
        let waited = seen_after(&gateway, &bucket, &format!("fresh-{place}")).await;
        let waiting = gateway.admin_json("/admin/ledger")["spool"].take();
        println!("a fresh event is seen after {waited:?}; behind it: {waiting}");
        assert!(waited < FRESH, "{waited:?}");
        let behind = waiting["oldestAcceptedMs"].as_i64().is_some_and(|oldest| oldest < returned);
        assert!(behind, "the backlog was gone before a fresh event was seen: {waiting}");
        peak = peak.max(resident(gateway.id()));
    }
    senders.extend(load.stop());
    let within = away.max(Duration::from_secs(60));
    peak = peak.max(all_arrived(&gateway, &bucket, &senders, within).await);
    println!("resident: {before} before, {peak} at most; backlog: {backlog} bytes");
    Outage { before, peak, backlog }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn influxdb_is_away_and_what_waits_in_memory_arrives_with_what_is_fresh_ahead() {
    outage(&[IN_MEMORY], Duration::from_secs(10), 32).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn influxdb_is_away_for_long_and_the_disk_fills_but_not_the_memory_and_fresh_points_are_seen_at_once() {
    let away = Duration::from_secs(u64::from(from_environment("SOAK_AWAY", 16)));
    let seen = outage(&[("TAGLINE__SPOOL__MAX_MEMORY", "1MiB")], away, LARGE).await;
    assert!(
        seen.backlog > 5 * GROWTH / 4,
        "the backlog must be larger than what the memory may grow: {}",
        seen.backlog
    );
    assert!(seen.peak < seen.before + GROWTH, "from {} to {} bytes of memory", seen.before, seen.peak);
}
