//! `gateway_outcomes`: a delta a minute of every tenant's outcomes, written to the default bucket (also those of tenants that have one of their own).
//!
//! With a durable spool the ledger counts on over a restart; so does the report: what was reported lies in `outcomes-reported.json`, written after the
//! spool took the report. (A crash between the two reports one minute twice.)
//!
//! So that "does anything of mine get refused?" can be asked in Flux, where the other answers are.

mod reported;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::encode::encode;
use crate::enrich::{FieldValue, Point};
use crate::outcome::{Account, Ledger};
use crate::spool::{Spool, Submission};
use reported::{Key, Reported};

/// How often a delta is written.
const EVERY: Duration = Duration::from_secs(60);

/// The share of the spool that the gateway's own points may fill.
const SHARE: f64 = 0.05;

/// What the reporter needs.
pub(super) struct Sources {
    pub(super) ledger: Arc<Ledger>,
    pub(super) spool: Spool,
    pub(super) clock: Clock,
    pub(super) destination: Arc<str>,
    /// This replica's own name: the one place where it makes series, and few.
    pub(super) replica: String,
    /// Where to keep what was reported, when the ledger's totals outlive the process.
    pub(super) dir: Option<PathBuf>,
}

/// Writes the deltas until it is dropped.
pub(super) struct Reporter {
    shared: Arc<Shared>,
    ticking: JoinHandle<()>,
}

/// What happened since the last report: encoded, and as numbers.
#[derive(Default)]
struct Delta {
    points: u32,
    lines: Vec<u8>,
    by_key: Vec<(Key, u64)>,
}

struct Shared {
    sources: Sources,
    account: Arc<Account>,
    reported: Mutex<Reported>,
}

impl Reporter {
    pub(super) fn start(sources: Sources) -> Self {
        let shared = Arc::new(Shared::new(sources));
        let ticks = Arc::clone(&shared);
        let ticking = tokio::spawn(async move {
            let mut every = tokio::time::interval(EVERY);
            every.tick().await;
            loop {
                every.tick().await;
                ticks.report().await;
            }
        });
        Self { shared, ticking }
    }

    /// Writes what happened since the last delta, now.
    pub(super) async fn report(&self) {
        self.shared.report().await;
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        self.ticking.abort();
    }
}

impl Shared {
    /// To be made before the first request is taken: what is counted by then was counted before this start.
    fn new(sources: Sources) -> Self {
        let before = sources.dir.as_deref().map(|dir| Reported::before(dir, &sources.ledger.accounts()));
        Self { account: sources.ledger.own(), sources, reported: Mutex::new(before.unwrap_or_default()) }
    }

    async fn report(&self) {
        let delta = self.delta();
        if delta.points == 0 {
            return;
        }
        let submission = Submission {
            account: Arc::clone(&self.account),
            share: SHARE,
            destination: Arc::clone(&self.sources.destination),
            points: delta.points,
            lines: Bytes::from(delta.lines),
        };
        match self.sources.spool.append(submission).await {
            Ok(()) => {
                let reported = {
                    let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
                    reported.add(delta.by_key);
                    reported.clone()
                };
                self.keep(reported).await;
            }
            // Nothing is forgotten: the next delta holds this one too.
            Err(refused) => tracing::warn!(?refused, "gateway_outcomes waits: the spool has no room"),
        }
    }

    async fn keep(&self, reported: Reported) {
        let Some(dir) = self.sources.dir.clone() else { return };
        let kept = tokio::task::spawn_blocking(move || reported.keep(&dir)).await;
        if let Err(why) = kept.map_err(|e| e.to_string()).and_then(|kept| kept.map_err(|e| e.to_string())) {
            tracing::warn!(
                "what gateway_outcomes reported could not be kept: {why}; the next start would report it again"
            );
        }
    }

    fn delta(&self) -> Delta {
        let now = self.sources.clock.now();
        let reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        let mut delta = Delta::default();
        for account in self.sources.ledger.accounts() {
            for (outcome, total) in account.totals().outcomes() {
                let key = (account.name().to_owned(), outcome);
                let points = reported.news(&key, total);
                if points == 0 {
                    continue;
                }
                let point = Point {
                    measurement: "gateway_outcomes",
                    tags: &[("outcome", &key.1), ("replica", &self.sources.replica), ("tenant_id", &key.0)],
                    fields: &[("points", FieldValue::Int(i64::try_from(points).unwrap_or(i64::MAX)))],
                    time: now,
                };
                encode(&point, &mut delta.lines);
                delta.points += 1;
                delta.by_key.push((key, points));
            }
        }
        delta
    }
}
