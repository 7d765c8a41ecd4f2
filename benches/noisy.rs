//! What a tenant that floods costs its neighbour: `cargo bench --bench noisy`.
//!
//! Tenant B sends steadily, alone and beside tenant A in turns, to one gateway of the optimised binary that delivers to a sink which answers 204 at
//! once. A sends twenty times its quota, with new tag values and sessions in every event. What counts is B's 99th percentile beside A, as a ratio of
//! its own alone in the same run (1.5 at the most), that B loses nothing, and that A's `Retry-After` is true. The quota is small, so that twenty times
//! it leaves the machine idle for the greater part: above 70% busy it is the machine that is measured, and the table says so.

#![expect(clippy::disallowed_methods, reason = "a load of its own threads, which sleep and read the clock")]

use std::fmt::Write as _;
use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

mod rig;

use rig::{Gateway, Head, answer, sink};

const A: &str = "noisy-key-0123456789abcdef";
const B: &str = "quiet-key-0123456789abcdef";

/// A's quota, points a second, and how many times that it sends.
const QUOTA: u64 = 500;
const TIMES: u64 = 20;
/// Events in a request, and connections, of each.
const EVENTS_A: u64 = 50;
const EVENTS_B: u64 = 10;
const CONNECTIONS: u64 = 4;
/// B's requests a second.
const REQUESTS_B: u64 = 200;
/// How long each turn is, and how many there are of each kind.
const TURN: Duration = Duration::from_secs(6);
const TURNS: usize = 4;
/// What B's 99th percentile may grow to.
const ASKED: f64 = 1.5;
/// Above it the machine is judged, and not the gateway.
const BUSY: f64 = 0.7;

fn main() {
    let folder = tempfile::TempDir::with_prefix_in("noisy-", env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let sink = sink();
    println!(
        "A: quota {QUOTA} points/s, sends {TIMES} times that; B: {} points/s; {TURNS} turns of {TURN:?} alone and beside A\n",
        REQUESTS_B * EVENTS_B
    );
    println!(
        "durability | B alone p50 / p99 ms | B beside A p50 / p99 ms | p99 ratio | A: 429 | A taken/s | Retry-After true | B lost | RSS before / after / peak MiB | machine busy"
    );
    for durability in ["memory", "fsync"] {
        let gateway = Gateway::start(folder.path(), durability, durability, sink, &settings());
        println!("{}", run(&gateway, durability));
    }
}

fn settings() -> String {
    format!(
        r#"max_events = {QUOTA}
[tenants.a.keys.web]
key = "{A}"
origins = ["*"]
[tenants.a.limits]
points_per_second = {QUOTA}
burst = {QUOTA}
series_per_hour = 2000
[tenants.b.keys.web]
key = "{B}"
origins = ["*"]
[tenant_defaults.limits]
points_per_second = 10000
burst = 10000
"#
    )
}

/// All turns of one gateway: its row of the table.
fn run(gateway: &Gateway, durability: &str) -> String {
    let mut alone = steady(gateway, TURN / 2, |_| ());
    let mut sent_b = alone.len() as u64;
    alone.clear();
    let before = memory(gateway, "VmRSS:");
    let (mut beside, mut flood, mut busy) = (Vec::new(), Flood::default(), Busy::default());
    let mut honest = [0, 0];
    for _ in 0..TURNS {
        let turn = steady(gateway, TURN, |_| ());
        sent_b += turn.len() as u64;
        alone.extend(turn);
        let turn = steady(gateway, TURN, |stop| {
            let measured = Busy::now();
            flood.add(&Flood::run(gateway.public, stop));
            busy.add(&measured.until_now());
        });
        sent_b += turn.len() as u64;
        beside.extend(turn);
        // A is in debt now, and sends nothing else.
        let told = retry_after_is_true(gateway.public);
        honest = [honest[0] + u32::from(told), honest[1] + 1];
    }
    let lost = sent_b * EVENTS_B - delivered(gateway, "b", sent_b * EVENTS_B);
    let (after, peak) = (memory(gateway, "VmRSS:"), memory(gateway, "VmHWM:"));
    let ([alone_50, alone_99], [beside_50, beside_99]) = (percentiles(&mut alone), percentiles(&mut beside));
    let (ratio, busy) = (beside_99 / alone_99, busy.share());
    let mut row = format!(
        "{durability:<10} | {alone_50:>9.2} / {alone_99:>6.2}   | {beside_50:>12.2} / {beside_99:>6.2}   | {ratio:>9.2} | {:>5.0}% | {:>9.0} | {:>8} of {:<4} | {lost:>6} | {before:>11} / {after:>5} / {peak:<8} | {:.0}%",
        flood.refused as f64 * 100.0 / flood.sent as f64,
        (flood.taken * EVENTS_A) as f64 / (TURN.as_secs_f64() * TURNS as f64),
        honest[0],
        honest[1],
        busy * 100.0,
    );
    assert_eq!((lost, flood.other), (0, 0), "B lost points, or A got another answer than 202 and 429: {row}");
    assert_eq!(honest[0], honest[1], "a Retry-After was not true: {row}");
    if busy > BUSY {
        row.push_str(" (too busy to judge the gateway)");
    } else if ratio > ASKED {
        let _ = write!(row, " (more than {ASKED})");
    }
    row
}

/// B's requests for so long, while `meanwhile` does what it does until it is told to stop: how long each took, from when it was due.
fn steady(gateway: &Gateway, turn: Duration, meanwhile: impl FnOnce(&AtomicBool)) -> Vec<Duration> {
    let body = body("b", EVENTS_B, 1);
    let stop = AtomicBool::new(false);
    let every = Duration::from_micros(1_000_000 * CONNECTIONS / REQUESTS_B);
    thread::scope(|scope| {
        let connections: Vec<_> = (0..CONNECTIONS)
            .map(|at| {
                let (request, stop) = (request(B, &body), &stop);
                scope.spawn(move || {
                    let mut connection = Connection::open(gateway.public);
                    let mut took = Vec::new();
                    let began = Instant::now();
                    let mut due = began + every * at as u32 / CONNECTIONS as u32;
                    while due < began + turn {
                        thread::sleep(due.saturating_duration_since(Instant::now()));
                        assert_eq!(connection.exchange(&request).status, 202, "B was refused");
                        took.push(due.elapsed());
                        due += every;
                    }
                    stop.store(true, Ordering::Relaxed);
                    took
                })
            })
            .collect();
        meanwhile(&stop);
        connections.into_iter().flat_map(|connection| connection.join().expect("B's connection")).collect()
    })
}

/// What became of A's requests.
#[derive(Default)]
struct Flood {
    sent: u64,
    taken: u64,
    refused: u64,
    other: u64,
}

impl Flood {
    fn run(gateway: SocketAddr, stop: &AtomicBool) -> Self {
        let every = Duration::from_micros(1_000_000 * CONNECTIONS * EVENTS_A / (QUOTA * TIMES));
        let mut all = Self::default();
        thread::scope(|scope| {
            let connections: Vec<_> = (0..CONNECTIONS)
                .map(|at| {
                    scope.spawn(move || {
                        let (mut connection, mut flood) = (Connection::open(gateway), Self::default());
                        let mut due = Instant::now() + every * at as u32 / CONNECTIONS as u32;
                        while !stop.load(Ordering::Relaxed) {
                            thread::sleep(due.saturating_duration_since(Instant::now()));
                            flood.count(connection.exchange(&request(A, &body("a", EVENTS_A, fastrand::u64(..)))));
                            due += every;
                        }
                        flood
                    })
                })
                .collect();
            connections.into_iter().for_each(|one| all.add(&one.join().expect("A's connection")));
        });
        all
    }

    fn count(&mut self, answer: Head) {
        self.sent += 1;
        match answer.status {
            202 => self.taken += 1,
            429 => {
                assert!(answer.retry_after.is_some(), "429 without Retry-After");
                self.refused += 1;
            }
            _ => self.other += 1,
        }
    }

    fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.taken += other.taken;
        self.refused += other.refused;
        self.other += other.other;
    }
}

/// Sends until A is refused, waits as it is told, and sends once more.
fn retry_after_is_true(gateway: SocketAddr) -> bool {
    let mut connection = Connection::open(gateway);
    loop {
        let answer = connection.exchange(&request(A, &body("a", EVENTS_A, fastrand::u64(..))));
        if let Some(wait) = answer.retry_after {
            thread::sleep(Duration::from_secs(wait));
            return connection.exchange(&request(A, &body("a", EVENTS_A, 1))).status == 202;
        }
    }
}

/// A keep-alive connection.
struct Connection {
    stream: TcpStream,
    answers: BufReader<TcpStream>,
}

impl Connection {
    fn open(gateway: SocketAddr) -> Self {
        let stream = TcpStream::connect(gateway).expect("the public listener");
        stream.set_nodelay(true).expect("no delay");
        let answers = BufReader::new(stream.try_clone().expect("a second handle"));
        Self { stream, answers }
    }

    fn exchange(&mut self, request: &str) -> Head {
        self.stream.write_all(request.as_bytes()).expect("a request");
        answer(&mut self.answers)
    }
}

fn request(key: &str, body: &str) -> String {
    format!("POST /v1/telemetry/{key} HTTP/1.1\r\nHost: gateway\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// Events whose session and path are this seed's alone.
fn body(who: &str, events: u64, seed: u64) -> String {
    let mut body = String::from("[");
    for n in 0..events {
        let at = seed.wrapping_add(n);
        let comma = if n == 0 { "" } else { "," };
        let _ = write!(
            body,
            r#"{comma}{{"sessionId":"{who}-{at:x}","viewName":"View","actionName":"act","tags":{{"path":"/p/x{at:x}","release":"r{at:x}"}},"metrics":{{"duration_ms":{n},"element_count":50}}}}"#
        );
    }
    body.push(']');
    body
}

/// The 50th and the 99th percentile, milliseconds.
fn percentiles(took: &mut [Duration]) -> [f64; 2] {
    took.sort_unstable();
    [50, 99].map(|percent| took[(took.len() * percent / 100).min(took.len() - 1)].as_secs_f64() * 1e3)
}

/// Waits until so many points of a tenant are delivered; how many there were at the end of patience.
fn delivered(gateway: &Gateway, tenant: &str, expected: u64) -> u64 {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let ledger: serde_json::Value =
            serde_json::from_str(&gateway.admin("/admin/ledger")).expect("the ledger is JSON");
        let delivered = ledger["tenants"][tenant]["outcomes"]["delivered"].as_u64().unwrap_or(0);
        if delivered >= expected || Instant::now() > deadline {
            return delivered;
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// A line of the process's status, MiB.
fn memory(gateway: &Gateway, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.id())).expect("a running process");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("Linux tells a process's memory");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number of KiB") >> 10
}

/// The machine's processors: how long they had something to do, and how long they had not.
#[derive(Default)]
struct Busy {
    working: u64,
    idle: u64,
}

impl Busy {
    fn now() -> Self {
        let stat = std::fs::read_to_string("/proc/stat").expect("Linux tells what its processors do");
        let first = stat.lines().next().unwrap_or_default();
        let times: Vec<u64> =
            first.split_ascii_whitespace().skip(1).filter_map(|time| time.parse().ok()).take(8).collect();
        // Idle, and waiting for a disk.
        let idle = times[3] + times[4];
        Self { working: times.iter().sum::<u64>() - idle, idle }
    }

    fn until_now(&self) -> Self {
        let now = Self::now();
        Self { working: now.working - self.working, idle: now.idle - self.idle }
    }

    fn add(&mut self, other: &Self) {
        self.working += other.working;
        self.idle += other.idle;
    }

    fn share(&self) -> f64 {
        self.working as f64 / (self.working + self.idle) as f64
    }
}
