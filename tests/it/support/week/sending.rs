//! Sends a week through a gateway, over several connections.

use super::bodies;
use super::edge::{self, Seen};
use super::events::{Event, Generator, Session, Vital};
use super::rollup::Durations;
use super::shape::{TENANTS, Tenant};
use crate::support::gateway::Gateway;
use crate::support::http::{self, Answer, Connection};
use crate::support::influx::{Bucket, Influx};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// Sessions that are sent together: a request a tenant for their events, one for what the backend tells, one for web vitals.
const SESSIONS_AT_ONCE: u64 = 50;

/// How a gateway is to be configured that a week can be sent through: a list of what belongs below `[influxdb]` and so on.
pub fn settings(bucket: &Bucket) -> String {
    let mut text = format!(
        r#"
[server]
listen = "127.0.0.1:0"
admin_listen = "127.0.0.1:0"
workers = 2
drain_delay = "0s"

[influxdb]
url = "{url}"
org = "{organization}"
bucket = "{bucket}"
token_file = "{token_file}"
retention = "0s"

[enrich]
session = "hash:16"
instance = "week"
replica = "tagline-0"

[spool]
dir = "data"

[measurements.frontend_performance]
tags = ["browser", "region"]
"#,
        url = bucket.url(),
        organization = Influx::ORGANIZATION,
        bucket = bucket.name(),
        token_file = bucket.token_file().display(),
    );
    for tenant in &TENANTS {
        text.push_str(&format!(
            r#"
[tenants.{name}.limits]
points_per_second = 100_000_000
burst = 100_000_000
series_per_hour = 1_000_000
series_per_day = 1_000_000
[tenants.{name}.keys.web]
key = "{web}"
origins = ["https://{host}"]
[tenants.{name}.keys.backend]
key = "{backend}"
origins = ["*"]
"#,
            name = tenant.name,
            host = tenant.host,
            web = key(tenant.name, "web"),
            backend = key(tenant.name, "backend"),
        ));
    }
    text
}

/// A write key of a tenant: of its pages, or of its backend.
fn key(tenant: &str, whose: &str) -> String {
    format!("{tenant}-{whose}-key-0123456789abcdef")
}

/// What was sent.
#[derive(Debug, Default)]
pub struct Sent {
    /// In no order; none if they were not to be kept.
    pub events: Vec<Event>,
    /// Events, by tenant.
    pub counts: BTreeMap<&'static str, u64>,
    /// All points, by tenant: events, what the backend told, web vitals.
    pub points: BTreeMap<&'static str, u64>,
    /// Items that were sent to be refused, by tenant.
    pub refused: BTreeMap<&'static str, u64>,
    /// What the edge saw of it.
    pub edge: Seen,
    /// What its rollups are made of.
    pub durations: Durations,
}

/// Sends all of it. `progress` hears of every so many points.
pub fn send(generator: &Generator, to: SocketAddr, keep: bool, progress: &(dyn Fn(u64) + Sync)) -> Sent {
    const CONNECTIONS: usize = 4;
    let next = AtomicU64::new(0);
    let one = || {
        let mut sent = Sent::default();
        let mut connection = Connection::open(to);
        loop {
            let first = next.fetch_add(SESSIONS_AT_ONCE, Ordering::Relaxed);
            if first >= generator.sessions {
                return sent;
            }
            let last = generator.sessions.min(first + SESSIONS_AT_ONCE);
            let sessions: Vec<Session> = (first..last).map(|number| generator.session(number)).collect();
            for tenant in &TENANTS {
                let of_tenant = || sessions.iter().filter(|session| session.tenant.name == tenant.name);
                let events = || of_tenant().flat_map(|session| &session.events);
                let vitals: Vec<&Vital> = of_tenant().flat_map(|session| &session.vitals).collect();
                let told: Vec<&Event> = events().filter(|event| event.told_by_backend).collect();
                post(&mut connection, tenant, Sender::Pages, "/v1/telemetry", &bodies::frontend(events()));
                post(&mut connection, tenant, Sender::Backend, "/v1/telemetry", &bodies::backend(told.iter().copied()));
                post(&mut connection, tenant, Sender::Pages, "/ingest", &bodies::vitals(vitals.iter().copied()));
                let count = events().count() as u64;
                let points = count + (told.len() + vitals.len()) as u64;
                *sent.counts.entry(tenant.name).or_default() += count;
                *sent.points.entry(tenant.name).or_default() += points;
                for event in events() {
                    sent.edge.see(event);
                    sent.durations.see(event);
                }
                if keep {
                    sent.events.extend(events().cloned());
                }
                progress(points);
            }
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(one)).collect();
        let parts = threads.into_iter().map(|thread| thread.join().expect("a request was refused, see above"));
        parts.reduce(Sent::join).expect("more than one connection")
    })
}

/// Sends what a gateway refuses: events of a measurement that nobody knows.
pub fn send_refused(sent: &mut Sent, to: SocketAddr) {
    let mut connection = Connection::open(to);
    for (tenant, count) in TENANTS.iter().zip([7_u64, 40, 3]) {
        let good = r#"{"measurement":"no_such_measurement","metrics":{"value":1}}"#;
        let body = format!("[{}]", vec![good; count as usize].join(","));
        let answer = exchange(&mut connection, tenant, Sender::Backend, "/v1/telemetry", &body);
        assert_eq!(answer.status, 400, "{}", answer.text());
        sent.refused.insert(tenant.name, count);
    }
}

/// Writes what Telegraf would have written; of the time before the last two hours, a scrape in so many milliseconds.
pub async fn write_edge(bucket: &Bucket, gateway: &Gateway, sent: &Sent, end_ms: i64, every_ms: i64) {
    let metrics = http::request(gateway.admin_address(), "GET", "/metrics", &[], b"").text();
    let mut lines = sent.edge.lines(end_ms, every_ms);
    lines.extend(edge::of_gateway(&metrics, end_ms));
    write(bucket, &lines).await;
}

/// Writes lines past the gateway.
pub async fn write(bucket: &Bucket, lines: &[String]) {
    for lines in lines.chunks(5_000) {
        let answer = bucket.write(lines.join("\n")).await;
        assert_eq!(answer.status, 204, "{}", answer.text());
    }
}

impl Sent {
    fn join(mut self, other: Self) -> Self {
        self.events.extend(other.events);
        for (mine, theirs) in [(&mut self.counts, other.counts), (&mut self.points, other.points)] {
            theirs.into_iter().for_each(|(tenant, count)| *mine.entry(tenant).or_default() += count);
        }
        self.edge.join(&other.edge);
        self.durations.join(other.durations);
        self
    }
}

/// Who sends.
#[derive(Clone, Copy)]
enum Sender {
    Pages,
    Backend,
}

/// Sends a body, all of which must be taken. A gateway whose spool is full says when to come again.
fn post(connection: &mut Connection, tenant: &Tenant, sender: Sender, target: &str, body: &str) {
    if body.is_empty() {
        return;
    }
    loop {
        let answer = exchange(connection, tenant, sender, target, body);
        let (said, after) = (answer.text(), answer.header("retry-after").and_then(|seconds| seconds.parse().ok()));
        match (answer.status, after) {
            (202, _) if said.contains("\"rejectedCount\":0") => return,
            (503, Some(seconds)) if said.contains("spool_full") => thread::sleep(Duration::from_secs(seconds)),
            (status, _) => panic!("{} {target}: {status} {said}", tenant.name),
        }
    }
}

fn exchange(connection: &mut Connection, tenant: &Tenant, sender: Sender, target: &str, body: &str) -> Answer {
    let (key, origin) = match sender {
        Sender::Pages => (key(tenant.name, "web"), format!("Origin: https://{}\r\n", tenant.host)),
        Sender::Backend => (key(tenant.name, "backend"), String::new()),
    };
    connection.exchange(format!(
        "POST {target}?k={key} HTTP/1.1\r\nHost: gateway\r\n{origin}Content-Length: {}\r\n\r\n{body}",
        body.len()
    ))
}
