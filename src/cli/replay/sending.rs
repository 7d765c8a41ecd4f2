//! Sends what a source holds, through a spool and a delivery of its own, so that each answer is treated as the gateway treats it.

use std::collections::BTreeMap;
use std::ops::ControlFlow::{Break, Continue};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::progress::Progress;
use super::source::{Afterwards, Opened};
use super::told::Told;
use crate::clock::Clock;
use crate::config::{Influx, OnFull};
use crate::deliver::{Delivery, LetterBound, Pace, Spilled};
use crate::metrics::Metrics;
use crate::outcome::{Account, Outcome, Totals};
use crate::spool::{Refused, Spool, Submission};

/// The most bytes that wait at once, where a record is no larger.
const SPOOL: u64 = 32 << 20;
/// Room for the parts of divided records.
const PARTS: u64 = 8 << 20;
/// Records that are read ahead.
const AHEAD: usize = 2;
const TICK: Duration = Duration::from_millis(100);

/// Where to, and how fast.
#[derive(Clone, Debug)]
pub(super) struct Way<'s> {
    pub(super) influx: &'s Influx,
    /// Where letters that are refused again go.
    pub(super) dir: &'s Path,
    pub(super) max_dead_letters: LetterBound,
    pub(super) clock: Clock,
    pub(super) pace: Pace,
    /// How long to go on without a single point ending.
    pub(super) patience: Duration,
    /// At most so many points a second.
    pub(super) rate: Option<u32>,
    pub(super) afterwards: Afterwards,
}

/// Buckets that are paused, and why: nothing more is sent to them.
pub(super) type GivenUp = BTreeMap<String, String>;

/// What became of one source's points.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// Points that were read.
    pub(super) read: u64,
    /// By tenant.
    pub(super) tenants: BTreeMap<String, Totals>,
    /// By bucket.
    pub(super) not_sent: BTreeMap<String, u64>,
    /// Why it stopped before the end.
    pub(super) stopped: Option<String>,
}

impl Sent {
    pub(super) fn delivered(&self) -> u64 {
        self.tenants.values().map(|totals| totals.delivered).sum()
    }

    pub(super) fn dead_lettered(&self) -> u64 {
        self.tenants.values().map(|totals| totals.dead_lettered).sum()
    }
}

/// Sends a source. An error is a setting that cannot work.
pub(super) async fn send(
    source: Arc<Opened>,
    told: &Told,
    way: &Way<'_>,
    given_up: &mut GivenUp,
    progress: Progress,
) -> Result<Sent, String> {
    // A destination may fill three quarters of a spool.
    let limit = SPOOL.max((told.largest + 4096) * 2);
    let (spool, delivery) = launch(way, limit)?;
    let now = Instant::now();
    let mut sending = Sending {
        way,
        limit,
        spool,
        delivery,
        given_up,
        progress,
        accounts: BTreeMap::new(),
        not_sent: BTreeMap::new(),
        read: 0,
        handed: 0,
        started: now,
        ended: 0,
        since: now,
        looked: now,
    };
    let stopped = sending.all(source).await.err();
    Ok(sending.wind_up(stopped).await)
}

fn launch(way: &Way<'_>, limit: u64) -> Result<(Spool, Delivery), String> {
    let metrics = Arc::new(Metrics::new().map_err(|error| error.to_string())?);
    let spool = Spool::in_memory(limit, OnFull::Reject, way.clock.clone());
    let delivery = Delivery::launch(
        Some(way.influx),
        way.dir.to_owned(),
        way.max_dead_letters.clone(),
        way.pace,
        spool.clone(),
        way.clock.clone(),
        metrics,
    )?;
    Ok((spool, delivery))
}

struct Sending<'w> {
    way: &'w Way<'w>,
    limit: u64,
    spool: Spool,
    delivery: Delivery,
    given_up: &'w mut GivenUp,
    progress: Progress,
    accounts: BTreeMap<String, Arc<Account>>,
    /// Points of buckets that were given up.
    not_sent: BTreeMap<String, u64>,
    read: u64,
    handed: u64,
    started: Instant,
    /// Points that ended, and since when it is so many.
    ended: u64,
    since: Instant,
    looked: Instant,
}

impl Sending<'_> {
    async fn all(&mut self, source: Arc<Opened>) -> Result<(), String> {
        let (sender, mut records) = mpsc::channel(AHEAD);
        let reader = tokio::task::spawn_blocking(move || {
            source.each(&mut |record| if sender.blocking_send(record).is_ok() { Continue(()) } else { Break(()) })
        });
        loop {
            match tokio::time::timeout(TICK, records.recv()).await {
                Ok(Some(record)) => self.hand_over(record).await?,
                Ok(None) => break,
                // A long stretch of what has ended is being passed over.
                Err(_) => {}
            }
            if self.looked.elapsed() >= TICK {
                self.look().await?;
            }
        }
        match reader.await {
            Ok(read) => read.map_err(|error| error.to_string())?,
            Err(error) => return Err(error.to_string()),
        }
        while self.spool.pending().points > 0 {
            self.tick().await?;
        }
        self.look().await
    }

    async fn hand_over(&mut self, record: Spilled) -> Result<(), String> {
        let Spilled { bucket, tenant, points, lines } = record;
        self.read += u64::from(points);
        let submission = Submission {
            account: self.account(&tenant),
            share: 1.0,
            destination: bucket.as_str().into(),
            points,
            lines: Bytes::from(lines),
        };
        loop {
            if self.given_up.contains_key(&bucket) {
                *self.not_sent.entry(bucket).or_default() += u64::from(points);
                return Ok(());
            }
            match self.spool.append(submission.clone()).await {
                Ok(()) => break,
                Err(Refused::Full { .. }) => self.tick().await?,
                Err(refused) => return Err(format!("a record of {tenant} was not taken: {refused:?}")),
            }
        }
        self.handed += u64::from(points);
        self.keep_to_the_rate().await
    }

    async fn keep_to_the_rate(&mut self) -> Result<(), String> {
        let Some(rate) = self.way.rate else {
            return Ok(());
        };
        let due = self.started + Duration::from_secs_f64(self.handed as f64 / f64::from(rate));
        while Instant::now() < due {
            tokio::time::sleep_until(due.min(Instant::now() + TICK)).await;
            self.look().await?;
        }
        Ok(())
    }

    async fn tick(&mut self) -> Result<(), String> {
        tokio::time::sleep(TICK).await;
        self.look().await
    }

    /// Shows what ended, goes on without the buckets that are paused, and gives up where waiting will not help.
    async fn look(&mut self) -> Result<(), String> {
        self.looked = Instant::now();
        let totals = self.accounts.values().map(|account| account.totals());
        let ended = totals.map(|totals| totals.accepted - totals.pending - totals.spilled).sum();
        self.progress.at(ended);
        let refusing = self.delivery.view().refusing();
        if !refusing.is_empty() {
            self.given_up.extend(refusing.into_iter().map(|(bucket, why)| (bucket.to_string(), why)));
            self.regroup().await?;
        } else if ended > self.ended || self.spool.pending().points == 0 {
            self.ended = ended;
        } else if self.since.elapsed() > self.way.patience {
            return Err(format!("InfluxDB took nothing for {} s", self.way.patience.as_secs()));
        } else {
            return Ok(());
        }
        self.since = Instant::now();
        Ok(())
    }

    /// Begins anew with what waits for the other buckets. One that is paused holds its records, and may have paused the server: neither is to cost
    /// the others anything, and each bucket can be given up only once.
    async fn regroup(&mut self) -> Result<(), String> {
        // A record that was divided is taken again as several, each of which costs a little.
        let (spool, delivery) = launch(self.way, self.limit + PARTS)?;
        std::mem::replace(&mut self.delivery, delivery).abandon().await;
        for submission in take_back(&std::mem::replace(&mut self.spool, spool)) {
            if self.given_up.contains_key(&*submission.destination) {
                *self.not_sent.entry(submission.destination.to_string()).or_default() += u64::from(submission.points);
            } else if let Err(refused) = self.spool.append(submission).await {
                // It was in a smaller spool a moment ago.
                return Err(format!("a record was not taken again: {refused:?}"));
            }
        }
        Ok(())
    }

    fn account(&mut self, tenant: &str) -> Arc<Account> {
        if let Some(known) = self.accounts.get(tenant) {
            return Arc::clone(known);
        }
        let account = Account::detached(tenant);
        self.accounts.insert(tenant.to_owned(), Arc::clone(&account));
        account
    }

    async fn wind_up(self, stopped: Option<String>) -> Sent {
        self.progress.end();
        self.delivery.abandon().await;
        let tenants = self.accounts.into_iter().map(|(tenant, account)| (tenant, account.totals())).collect();
        Sent { read: self.read, tenants, not_sent: self.not_sent, stopped }
    }
}

/// What waits in a spool whose delivery has ended. Sent a second time it is the same points.
fn take_back(spool: &Spool) -> Vec<Submission> {
    let mut back = Vec::new();
    for bucket in spool.destinations().borrow().iter() {
        while let Some(record) = spool.try_next(bucket) {
            back.push(Submission {
                account: Arc::clone(record.account()),
                share: 1.0,
                destination: Arc::clone(bucket),
                points: record.points(),
                lines: record.lines().clone(),
            });
            // For the account: no longer this delivery's.
            record.settle(Outcome::Spilled);
        }
    }
    back
}
