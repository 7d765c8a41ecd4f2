//! What a deployment needs, by what it takes: `make bench ARGS=...` has the InfluxDB for it; alone, `TAGLINE_INFLUXD=… cargo bench --bench sizing`.
//!
//! Four figures that docs/deploy-aks.md is written from, each counted in processor time, bytes or series, none in time that passes (which a busy
//! machine stretches):
//!
//! 1. the gateway's processor time for a million points, by how many events come in one request (durability `fsync`, delivered to InfluxDB);
//! 2. InfluxDB's processor time for the same points, by how a session is stored;
//! 3. the series that a tenant's sessions make in each of these ways;
//! 4. the bytes of the log that a point takes while InfluxDB is away.
//!
//! The events are those of a page: 20 views with 3 actions each, a browser, an operating system, a session of 50 events
//! in three of the views.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark is not the gateway"
)]

/// The servers of the integration tests.
#[path = "../tests/it"]
mod it {
    pub mod support;
}

use it::support;

use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;
use support::influx::Influx;
use support::{ACME_KEY, Bucket, Connection, Gateway, config_for, eventually, flux_string, now_ms};

const CLIENTS: u64 = 16;
const EVENTS_OF_A_SESSION: u64 = 50;
/// What a browser sends, so that `browser`, `os` and `device` are tags as in life.
const AGENTS: [&str; 3] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
];

#[tokio::main]
async fn main() {
    let influx = Influx::own();
    println!("The gateway's processor time, durability fsync, delivered to InfluxDB\n");
    println!("events a request | points  | CPU-s a million points | points/s one core could take");
    for (events, points) in [(1, 60_000), (10, 200_000), (100, 600_000)] {
        let run = run(&influx, "hash:256", events, points).await;
        println!("{events:>16} | {points:>7} | {:>22.2} | {:>12.0}", run.gateway, 1e6 / run.gateway);
    }
    println!("\nInfluxDB's, and the series of one tenant, 100 events a request, 600,000 points, 12,000 sessions\n");
    println!("session  | CPU-s a million points | series | series a session");
    for session in ["field", "hash:256", "tag"] {
        let run = run(&influx, session, 100, 600_000).await;
        let sessions = 600_000 / EVENTS_OF_A_SESSION;
        let each = run.series as f64 / sessions as f64;
        println!("{session:<8} | {:>22.2} | {:>6} | {each:>8.2}", run.influx, run.series);
    }
    println!("\nThe log while InfluxDB is away\n");
    println!("events a request | bytes a point | GiB an hour at 1,000 points/s");
    for events in [1, 100] {
        let bytes = waiting(&influx, events).await;
        println!("{events:>16} | {bytes:>13.0} | {:>8.2}", bytes * 3.6e6 / f64::from(1 << 30));
    }
}

/// What one run cost: processor seconds for a million points, and series.
struct Run {
    gateway: f64,
    influx: f64,
    series: u64,
}

async fn run(influx: &Influx, session: &str, events: u64, points: u64) -> Run {
    let bucket = influx.bucket("sizing");
    let gateway = start(&bucket, session, &[]).await;
    let before = [gateway.id(), influx.id()].map(processor_seconds);
    load(&gateway, events, points);
    gateway.delivered("acme", points).await;
    let after = [gateway.id(), influx.id()].map(processor_seconds);
    let each = |at: usize| (after[at] - before[at]) * 1e6 / points as f64;
    Run { gateway: each(0), influx: each(1), series: series(&bucket).await }
}

/// The bytes of the log for each point that waits.
async fn waiting(influx: &Influx, events: u64) -> f64 {
    let bucket = influx.bucket("sizing");
    let gateway = start(&bucket, "hash:256", &[("TAGLINE__INFLUXDB__URL", "http://127.0.0.1:9")]).await;
    load(&gateway, events, 20_000);
    eventually(Duration::from_secs(30), || async {
        let [bytes, points] =
            ["tagline_spool_disk_bytes", "tagline_spool_points"].map(|name| gateway.metric(name).unwrap_or(0.0));
        if points >= 20_000.0 { Ok(bytes / points) } else { Err(format!("{points} points wait")) }
    })
    .await
}

async fn start(bucket: &Bucket, session: &str, environment: &[(&str, &str)]) -> Gateway {
    let limits = "[tenants.acme.limits]\npoints_per_second = 100000000\nburst = 100000000\nin_flight = 10000\nseries_per_hour = 10000000\nseries_per_day = 10000000\n";
    let settings = [("TAGLINE__ENRICH__SESSION", session), ("TAGLINE__ENRICH__INSTANCE", "sizing")];
    Gateway::start_with(&format!("{}\n{limits}", config_for(bucket)), &[&settings, environment].concat()).await
}

/// Sends so many points over some connections, each request after the answer to the last one.
fn load(gateway: &Gateway, events: u64, points: u64) {
    let (next, at) = (AtomicU64::new(0), now_ms());
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut connection = Connection::open(gateway.address());
                loop {
                    let first = next.fetch_add(events, Ordering::Relaxed);
                    if first >= points {
                        return;
                    }
                    let answer = connection.exchange(request(first, events, at));
                    assert_eq!(answer.status, 202, "{}", answer.text());
                }
            });
        }
    });
}

fn request(first: u64, events: u64, at: i64) -> String {
    let body = (first..first + events).map(|number| event(number, at)).collect::<Value>().to_string();
    let agent = AGENTS[(first / EVENTS_OF_A_SESSION) as usize % AGENTS.len()];
    format!(
        "POST /v1/telemetry/{ACME_KEY} HTTP/1.1\r\nHost: gateway\r\nOrigin: https://app.example\r\nUser-Agent: {agent}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn event(number: u64, at: i64) -> Value {
    let session = number / EVENTS_OF_A_SESSION;
    // A session sees three views, and does three things in each.
    let (view, action) = ((session * 7 + number % EVENTS_OF_A_SESSION / 17) % 20, number % 3);
    json!({
        "sessionId": format!("{:016x}", session.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        "viewName": format!("View{view}"), "actionName": format!("action{action}"),
        "timestamp": at - 600_000 + (number % 600_000) as i64, "seq": number % EVENTS_OF_A_SESSION,
        "metrics": {"duration_ms": number * 37 % 900, "element_count": 50},
    })
}

/// The series of the frontend's measurement as budgets count them: sets of tags. InfluxDB counts one for each field of each.
async fn series(bucket: &Bucket) -> u64 {
    let flux = format!(
        "import \"influxdata/influxdb\"
         influxdb.cardinality(bucket: {}, start: -1d, predicate: (r) => r._measurement == \"frontend_performance\" and r._field == \"element_count\")",
        flux_string(bucket.name())
    );
    bucket.query(&flux).await.first().map_or(0, |row| row.int("_value").unsigned_abs())
}

/// User and system time of a process so far, from its line in /proc (in ticks of 10 ms).
fn processor_seconds(id: u32) -> f64 {
    let line = std::fs::read_to_string(format!("/proc/{id}/stat")).expect("the process runs");
    let rest = line.rsplit_once(") ").expect("its name ends").1;
    let ticks = rest.split(' ').skip(11).take(2).map(|word| word.parse::<f64>().expect("a number of ticks"));
    ticks.sum::<f64>() / 100.0
}
