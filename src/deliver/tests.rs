//! Delivery against real TCP servers that answer by a script: what a real InfluxDB does not give on wish.

mod batches;
mod gates;
mod lanes;
mod letters;
mod poison;
pub(crate) mod server;
mod stopping;
mod table;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::config::OnFull;
use crate::outcome::{Account, Totals};
use crate::spool::Submission;
use server::Server;

/// The real thing's times, a hundredth as long.
const PACE: Pace = Pace {
    backoff: Duration::from_millis(2),
    backoff_cap: Duration::from_millis(40),
    pause: Duration::from_millis(40),
    pause_cap: Duration::from_millis(80),
    linger: Duration::from_millis(10),
};

struct Rig {
    spool: Spool,
    delivery: Delivery,
    dir: tempfile::TempDir,
}

fn influx(url: &str) -> Influx {
    Influx {
        url: url.to_owned(),
        org: "acme-org".to_owned(),
        bucket: "main".into(),
        token: "a-token".to_owned().into(),
        create_bucket: false,
        gzip: true,
        timeout: Duration::from_millis(400),
        retention: Duration::ZERO,
        in_flight: 4,
    }
}

fn rig(server: &Server) -> Rig {
    rig_with(Some(&influx(&server.url())), 1 << 20)
}

fn rig_with(influx: Option<&Influx>, max_dead_letters: u64) -> Rig {
    rig_at(influx, max_dead_letters, PACE)
}

fn rig_at(influx: Option<&Influx>, max_dead_letters: u64, pace: Pace) -> Rig {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let spool = Spool::in_memory(64 << 20, OnFull::Reject, clock.clone());
    let metrics = Arc::new(Metrics::new().unwrap());
    let delivery =
        Delivery::launch(influx, dir.path().to_owned(), max_dead_letters, pace, spool.clone(), clock, metrics).unwrap();
    Rig { spool, delivery, dir }
}

impl Rig {
    async fn send(&self, account: &Arc<Account>, bucket: &str, lines: &[String]) {
        let body: String = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
        let submission = Submission {
            account: Arc::clone(account),
            share: 1.0,
            destination: bucket.into(),
            points: u32::try_from(lines.len()).unwrap(),
            lines: Bytes::from(body),
        };
        self.spool.append(submission).await.unwrap();
    }

    fn letters(&self, tenant: &str) -> Vec<Letter> {
        let path = self.dir.path().join(format!("dead-letters/{tenant}.jsonl"));
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn lines(tenant: &str, range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("m,tenant_id={tenant} v={n}i {n}")).collect()
}

/// How long anything may take before a test fails: a hundred lanes that compress take their time in a debug build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until the account's numbers are as wanted; says them when they never are.
async fn until(account: &Arc<Account>, wanted: impl Fn(&Totals) -> bool) -> Totals {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let totals = account.totals();
        assert!(totals.balances(), "{totals:?}");
        if wanted(&totals) {
            return totals;
        }
        assert!(Instant::now() < deadline, "never came to what was wanted: {totals:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn settled(account: &Arc<Account>) -> Totals {
    until(account, |totals| totals.pending == 0).await
}

async fn until_state(delivery: &Delivery, bucket: &str, wanted: impl Fn(&LaneState) -> bool) -> LaneState {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let lanes = delivery.view().lanes();
        if let Some((_, state)) = lanes.iter().find(|(name, state)| &**name == bucket && wanted(state)) {
            return state.clone();
        }
        assert!(Instant::now() < deadline, "the lane never came to the wanted state: {lanes:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
