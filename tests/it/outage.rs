//! InfluxDB away for 20 seconds under steady load, and back: nothing is lost, and nobody is sent away.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{
    ACME_KEY, GLOBEX_KEY, Gateway, Influx, Totals, config_for, events, eventually, http, now_ms, post,
};

/// How long InfluxDB is away.
const AWAY: Duration = Duration::from_secs(20);

/// Events in one request; a request every 50 ms for each of two tenants makes 400 a second.
const BATCH: u64 = 10;

/// What one sample of the gateway's own view said.
#[derive(Debug)]
struct Sample {
    ready: u16,
    live: u16,
    status: String,
    pending: u64,
}

/// Asks liveness, readiness and the ledger; every row of the ledger must balance.
fn sample(gateway: &Gateway) -> Sample {
    let (ready, seen) = gateway.readiness();
    let live = http::request(gateway.address(), "GET", "/healthz", &[], b"").status;
    let rows = ["acme", "globex"].map(|tenant| Totals::of(gateway, tenant));
    for row in rows {
        assert!(row.balances() && row.lost == 0 && row.rejected == 0, "{row:?}");
    }
    let status = seen["status"].as_str().unwrap_or_default().to_owned();
    Sample { ready, live, status, pending: rows.iter().map(|row| row.pending).sum() }
}

#[tokio::test]
async fn influxdb_is_away_for_twenty_seconds_and_nothing_is_lost() {
    let mut own = Influx::own();
    let bucket = own.bucket("outage");
    let gateway = Gateway::start(&config_for(&bucket)).await;
    let (stop, accepted) = (AtomicBool::new(false), AtomicU64::new(0));

    let samples = thread::scope(|scope| {
        for key in [ACME_KEY, GLOBEX_KEY] {
            let (stop, accepted, gateway) = (&stop, &accepted, &gateway);
            scope.spawn(move || {
                // Steady: the next request is due 50 ms after the last one was, however long that took.
                let (mut seq, mut due) = (0, Instant::now());
                while !stop.load(Ordering::SeqCst) {
                    let answer = post(gateway, key, &events(now_ms(), seq, BATCH));
                    assert_eq!(answer.status, 202, "{}", answer.text());
                    accepted.fetch_add(BATCH, Ordering::SeqCst);
                    seq += BATCH;
                    due += Duration::from_millis(50);
                    thread::sleep(due.saturating_duration_since(Instant::now()));
                }
            });
        }
        // Whatever fails below must stop the load, or the scope would wait for it for ever.
        let _stop = StopLoad(&stop);
        thread::sleep(Duration::from_secs(2));
        thread::scope(|inner| {
            // A runtime of its own: this thread is inside of the test's.
            let stop = || tokio::runtime::Runtime::new().unwrap().block_on(own.stop());
            inner.spawn(stop).join().unwrap();
        });
        let back = Instant::now() + AWAY;
        let mut samples = Vec::new();
        while Instant::now() < back {
            samples.push(sample(&gateway));
            thread::sleep(Duration::from_secs(1));
        }
        own.start();
        thread::sleep(Duration::from_secs(2));
        samples
    });

    // Away: accepted all the same, ready but degraded, alive, and the backlog grows. (The first second may pass before a write fails.)
    assert!(samples.iter().all(|sample| (sample.ready, sample.live) == (200, 200)), "{samples:?}");
    assert!(samples.len() >= 10 && samples.iter().skip(4).all(|sample| sample.status == "degraded"), "{samples:?}");
    assert!(samples.last().unwrap().pending > samples[2].pending + 1_000, "{samples:?}");

    // Back: everything arrives by itself. The longest back-off after such an outage is 30 s.
    eventually(Duration::from_secs(45), || async {
        let seen = sample(&gateway);
        if seen.pending == 0 { Ok(()) } else { Err(format!("{seen:?}")) }
    })
    .await;
    let sent = accepted.load(Ordering::SeqCst);
    let rows = ["acme", "globex"].map(|tenant| Totals::of(&gateway, tenant));
    assert_eq!(rows.iter().map(|row| row.delivered).sum::<u64>(), sent);
    assert_eq!(bucket.count("frontend_performance", "element_count").await, sent);
    assert_eq!(gateway.readiness().1["status"], "ok");
}

/// Stops the load when it is dropped, by a panic too.
struct StopLoad<'s>(&'s AtomicBool);

impl Drop for StopLoad<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
