//! What a 202 costs, by what it promises: `cargo bench --bench acks`.
//!
//! Two gateways (`durability = "memory"` and `"fsync"`) of the optimised binary, one after the other in turns, under the same load of keep-alive connections
//! on loopback, delivering to a sink that answers 204 at once. Beside them the disk alone: how many writes with an fdatasync it does in a second. The
//! ratio of the two gateways in one run is what counts; absolute figures are this machine's, which also runs the load and the sink.

#![expect(clippy::disallowed_methods, reason = "a load of its own threads, which sleep and read the clock")]

use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

mod rig;

use rig::{Gateway, answer, sink};

const KEY: &str = "bench-key-0123456789abcdef";
/// How long one turn of one gateway is measured, and how many turns each gets.
const TURN: Duration = Duration::from_secs(3);
const TURNS: usize = 5;
const CONNECTIONS: usize = 64;

fn main() {
    let folder = tempfile::TempDir::with_prefix_in("acks-", env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let sink = sink();
    println!("{CONNECTIONS} connections, {TURNS} turns of {TURN:?} each, median (min..max)\n");
    for size in [4 << 10, 64 << 10, 1 << 20] {
        println!("disk alone, write + fdatasync of {:>4} KiB: {:>7.0}/s", size >> 10, disk(folder.path(), size));
    }
    println!("\nevents a request | durability |   acks/s             | events/s  | requests an fsync | of memory");
    for events in [1, 100] {
        let body = body(events);
        let start = |durability| {
            let name = format!("{durability}-{events}");
            Gateway::start(folder.path(), &name, durability, sink, &settings())
        };
        let gateways = ["memory", "fsync"].map(start);
        let mut rates = [Vec::new(), Vec::new()];
        for _ in 0..TURNS {
            for (gateway, rates) in gateways.iter().zip(&mut rates) {
                rates.push(load(gateway.public, &body));
            }
        }
        let medians = rates.each_mut().map(|rates| median(rates));
        for (at, durability) in ["memory", "fsync"].iter().enumerate() {
            let (rate, least, most) = medians[at];
            let group = requests_an_fsync(&gateways[at]);
            let group = if at == 0 { "-".to_owned() } else { format!("{group:.1}") };
            println!(
                "{events:>16} | {durability:<10} | {rate:>7.0} ({least:.0}..{most:.0}) | {:>9.0} | {group:>17} | {:.2}",
                rate * events as f64,
                rate / medians[0].0,
            );
        }
    }
}

fn requests_an_fsync(gateway: &Gateway) -> f64 {
    let requests = gateway.metric("tagline_http_request_seconds_count");
    requests as f64 / gateway.metric("tagline_spool_fsync_seconds_count").max(1) as f64
}

fn median(rates: &mut [f64]) -> (f64, f64, f64) {
    rates.sort_by(f64::total_cmp);
    (rates[rates.len() / 2], rates[0], rates[rates.len() - 1])
}

/// Writes with an fdatasync behind each, a second.
fn disk(folder: &Path, size: usize) -> f64 {
    let file = std::fs::File::create(folder.join("disk")).expect("a file");
    let (bytes, started) = (vec![b'x'; size], Instant::now());
    let mut writes = 0u64;
    while started.elapsed() < Duration::from_secs(2) && writes * (size as u64) < 1 << 30 {
        file.write_all_at(&bytes, writes * size as u64).expect("a write");
        file.sync_data().expect("an fdatasync");
        writes += 1;
    }
    writes as f64 / started.elapsed().as_secs_f64()
}

fn body(events: usize) -> String {
    let one = |n: usize| {
        format!(
            r#"{{"sessionId":"s-{}","viewName":"UserListView","actionName":"fetchUsers","metrics":{{"duration_ms":{},"element_count":50}}}}"#,
            n % 20,
            100 + n
        )
    };
    format!("[{}]", (0..events).map(one).collect::<Vec<_>>().join(","))
}

fn settings() -> String {
    format!(
        r#"
[tenants.acme.keys.web]
key = "{KEY}"
origins = ["*"]
[tenants.acme.limits]
points_per_second = 100000000
burst = 100000000
in_flight = 10000
"#
    )
}

/// Acknowledged requests a second over all connections.
fn load(gateway: SocketAddr, body: &str) -> f64 {
    let request =
        format!("POST /v1/telemetry/{KEY} HTTP/1.1\r\nHost: gateway\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let (stop, acks) = (AtomicBool::new(false), AtomicU64::new(0));
    let started = Instant::now();
    thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                let stream = TcpStream::connect(gateway).expect("the public listener");
                stream.set_nodelay(true).expect("no delay");
                let mut answers = BufReader::new(stream.try_clone().expect("a second handle"));
                while !stop.load(Ordering::Relaxed) {
                    (&stream).write_all(request.as_bytes()).expect("a request");
                    assert_eq!(answer(&mut answers).status, 202);
                    acks.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        thread::sleep(TURN);
        stop.store(true, Ordering::Relaxed);
    });
    acks.into_inner() as f64 / started.elapsed().as_secs_f64()
}
