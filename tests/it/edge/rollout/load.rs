//! The clients of the roll-out: what they send all the while, and what became of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::support::{ACME_KEY, Bucket, Counts, GLOBEX_KEY, Load, Pace, Sender, Verdict, eventually, numbers};

/// The site.
pub const HOST: &str = "app.example.test";

/// How many clients there are for each of two tenants, each with one connection and one request at a time.
const EACH: u64 = 8;

/// How many there are.
pub const CLIENTS: usize = 2 * EACH as usize;

/// Clients that send all the while.
pub struct Clients {
    load: Load,
    counts: Arc<Counts>,
}

/// What became of what they sent.
pub struct Kept {
    pub failures: Vec<String>,
    pub verdict: Verdict,
}

impl Clients {
    /// Pages, that come by Caddy.
    pub fn through(caddy: SocketAddr) -> Self {
        Self::start(caddy, |sender| sender.through(HOST))
    }

    /// Backends inside of the cluster, that come by a Service, which begins with this gateway.
    pub fn by_a_service(gateway: SocketAddr) -> Self {
        Self::start(gateway, Sender::balanced)
    }

    /// Most are busy; of the others each tenant has one whose connection is idle for most of the time, and one whose requests are slow to come.
    fn start(to: SocketAddr, way: impl Fn(Sender) -> Sender) -> Self {
        let counts = Arc::default();
        let client = |key, place| {
            let sender = way(Sender::among(key, place, EACH, &counts));
            match place {
                0 => (sender, Pace { events: 1..=3, every_ms: 500..=4_000 }),
                1 => {
                    (sender.in_two_parts(Duration::from_millis(1_200)), Pace { events: 1..=3, every_ms: 1_300..=2_500 })
                }
                _ => (sender, Pace { events: 1..=5, every_ms: 0..=20 }),
            }
        };
        let clients: Vec<_> =
            (0..EACH).flat_map(|place| [client(ACME_KEY, place), client(GLOBEX_KEY, place)]).collect();
        Self { load: Load::start(to, clients), counts }
    }

    /// New connections go elsewhere from now on.
    pub fn direct(&self, to: SocketAddr) {
        self.load.direct(Some(to));
    }

    /// Waits until a good deal more was acknowledged.
    pub async fn go_on(&self) {
        let before = self.counts.acknowledged();
        eventually(Duration::from_secs(30), || async {
            self.load.check();
            match self.counts.acknowledged() - before {
                more if more >= 500 => Ok(()),
                more => Err(format!("only {more} more events were acknowledged")),
            }
        })
        .await;
    }

    /// Ends it; what is stored, once all gateways have `settled` (points accepted and delivered), is held against what was acknowledged.
    pub async fn stop(self, bucket: &Bucket, settled: impl AsyncFnOnce() -> (u64, u64)) -> Kept {
        let senders = self.load.stop();
        let (accepted, delivered) = settled().await;
        let failures = senders.iter().flat_map(|sender| sender.failures.clone()).collect();
        let mut all = Verdict { acknowledged: 0, unacknowledged: 0, unacknowledged_stored: 0 };
        for tenant in ["acme", "globex"] {
            let stored = numbers(bucket, tenant).await;
            let verdict = Verdict::of(senders.iter().filter(|sender| sender.tenant() == tenant), &stored);
            all.acknowledged += verdict.acknowledged;
            all.unacknowledged += verdict.unacknowledged;
            all.unacknowledged_stored += verdict.unacknowledged_stored;
        }
        println!("{all:?}; the ledgers say {accepted} accepted, {delivered} delivered");
        assert_eq!(all.acknowledged, self.counts.acknowledged());
        // Over all lives of all gateways: each point that is stored was accepted by one of them, once.
        assert_eq!((accepted, delivered), (all.acknowledged + all.unacknowledged_stored, accepted));
        Kept { failures, verdict: all }
    }
}

impl Kept {
    #[track_caller]
    pub fn assert_no_request_failed(&self) {
        assert!(self.failures.is_empty(), "{} requests failed: {:#?}", self.failures.len(), self.failures);
        assert_eq!(self.verdict.unacknowledged, 0, "{:?}", self.verdict);
    }
}
