//! One lane's sender: a batch, its answers, and what follows from each, until every point has ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::LaneState;
use super::answer::Answer;
use super::batch::Batch;
use super::dead_letters::DeadLetters;
use super::files::LineFiles;
use super::gate::{Gate, Pace};
use super::influx::InfluxWriter;
use super::suspects::Suspects;
use crate::clock::Clock;
use crate::metrics::{Metrics, WriteResult};
use crate::outcome::Outcome;

/// After how many failures of its own, while others pass, a batch is divided.
const ALONE_BEFORE_SPLIT: u32 = 3;
/// After how many such failures a single line is given up as the cause.
const ALONE_BEFORE_DEAD: u32 = 8;
/// How many dead-letter writes run at once; whoever holds all the permits knows that none is under way.
pub(crate) const LETTER_WRITERS: u32 = 4;

/// Where a lane writes.
#[derive(Debug)]
pub(crate) enum Destination {
    /// A reload may change it: a token is replaced while points flow.
    Influx(ArcSwap<InfluxWriter>),
    Files(LineFiles),
}

impl Destination {
    fn gzip(&self) -> bool {
        matches!(self, Self::Influx(influx) if influx.load().gzip)
    }

    async fn write(&self, bucket: &str, body: Bytes) -> Answer {
        match self {
            Self::Influx(influx) => loop {
                let writer = influx.load_full();
                let answer = writer.write(bucket, body.clone()).await;
                // Denied by a token that was replaced meanwhile says nothing of the new one.
                let replaced = || !Arc::ptr_eq(&writer, &influx.load());
                if !matches!(answer, Answer::Denied(_)) || !replaced() {
                    return answer;
                }
            },
            Self::Files(files) => files.write(bucket, body).await,
        }
    }
}

/// What all lanes share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) destination: Destination,
    pub(crate) server: Gate,
    pub(crate) dead_letters: Arc<DeadLetters>,
    pub(crate) letter_writers: Arc<Semaphore>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) clock: Clock,
    pub(crate) pace: Pace,
    /// The gateway stops: one try for each batch, and no waiting.
    pub(crate) flushing: AtomicBool,
    /// How many lanes there are.
    pub(crate) lanes: AtomicUsize,
}

/// What a batch left behind.
#[derive(Debug, Default)]
pub(crate) struct Rest {
    /// Parts of a refused batch that are looked at more closely, aside from the others' way.
    pub(crate) aside: Vec<Batch>,
    /// What did not go while the gateway stops.
    pub(crate) left: Vec<Batch>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Sender {
    pub(crate) bucket: Arc<str>,
    pub(crate) gate: Gate,
    pub(crate) shared: Arc<Shared>,
    pub(super) suspects: Suspects,
}

impl Sender {
    pub(crate) fn new(bucket: Arc<str>, shared: Arc<Shared>) -> Self {
        let gate = Gate::new(format!("bucket {bucket}"), shared.pace);
        Self { bucket, gate, shared, suspects: Suspects::default() }
    }

    pub(crate) fn state(&self) -> LaneState {
        match (self.gate.state(), self.shared.server.state()) {
            (LaneState::Paused(why), _) | (_, LaneState::Paused(why)) => LaneState::Paused(why),
            (LaneState::Flowing, LaneState::Flowing) => LaneState::Flowing,
            _ => LaneState::BackingOff,
        }
    }

    /// Why nothing is taken until somebody mends it.
    pub(crate) fn refuses(&self) -> Option<String> {
        match self.state() {
            LaneState::Paused(why) => Some(why),
            LaneState::Flowing | LaneState::BackingOff => None,
        }
    }

    /// Writes a batch until all of its points ended, or left in the [`Rest`]. `aside`: it is in nobody's way, and is bisected here.
    pub(crate) async fn send(&self, batch: Batch, aside: bool) -> Rest {
        let mut rest = Rest::default();
        let mut work = vec![batch];
        while let Some(mut batch) = work.pop() {
            if !aside {
                // Looked at before each write: a batch that was cut, or divided, before an account was suspected may hold its lines.
                let (suspected, others) = batch.apart(&self.suspects.all(Instant::now()));
                rest.aside.extend(suspected);
                batch = others;
            }
            if batch.points() > 0 {
                work.extend(self.attempt(batch, &mut rest).await);
            }
        }
        rest
    }

    /// One write and what follows: the parts that are to be written (again).
    async fn attempt(&self, mut batch: Batch, rest: &mut Rest) -> Vec<Batch> {
        let shared = &self.shared;
        let body = match batch.body(shared.destination.gzip()).await {
            Ok(body) => body,
            Err(error) => {
                tracing::error!(bucket = &*self.bucket, "a batch could not be compressed: {error}");
                tokio::time::sleep(shared.pace.backoff).await;
                return vec![batch];
            }
        };
        let bucket = self.gate.pass().await;
        let server = shared.server.pass().await;
        let started = Instant::now();
        let answer = shared.destination.write(&self.bucket, body).await;
        let took = started.elapsed();
        let flushing = shared.flushing.load(Ordering::Relaxed);
        match answer {
            Answer::Done => {
                bucket.delivered();
                server.delivered();
                self.done(batch, took);
                return Vec::new();
            }
            Answer::Refused { status, message } => {
                bucket.good();
                server.good();
                shared.metrics.write(WriteResult::Refused, took);
                return self.refused(batch, status, message, rest).await;
            }
            Answer::TooLarge => {
                bucket.good();
                server.good();
                shared.metrics.write(WriteResult::Refused, took);
                return match batch.halves() {
                    Ok((left, right)) => vec![right, left],
                    Err(batch) => self.bury(batch, 413, "larger than InfluxDB takes", Vec::new(), rest).await,
                };
            }
            Answer::Later { why, suspicious } => {
                drop(bucket);
                server.later();
                shared.metrics.write(WriteResult::Retried, took);
                tracing::debug!(bucket = &*self.bucket, points = batch.points(), "a write will be tried again: {why}");
                if !flushing {
                    return self.failed(batch, &why, suspicious, rest).await;
                }
            }
            Answer::Denied(status) => {
                let why = format!(
                    "InfluxDB answered {status}: the token is not valid, or may not write to bucket {:?}; set INFLUXDB_TOKEN \
                     or influxdb.token_file to a token with write permission (`tagline setup` makes one)",
                    self.bucket
                );
                if status == 401 {
                    drop(bucket);
                    server.pause(why);
                } else {
                    // The token is known, and may not do this: other buckets may be another matter.
                    server.good();
                    bucket.pause(why);
                }
                shared.metrics.write(WriteResult::Paused, took);
            }
            Answer::NotFound => {
                server.good();
                shared.metrics.write(WriteResult::Paused, took);
                match self.create().await {
                    // Created for this very batch before, and still not found: a pause, not a race.
                    Ok(()) if batch.created => {
                        bucket.pause(format!("InfluxDB answers 404 for bucket {:?}, though it exists", self.bucket))
                    }
                    Ok(()) => {
                        bucket.good();
                        batch.created = true;
                        return vec![batch];
                    }
                    Err(why) => bucket.pause(why),
                }
            }
            Answer::Odd(status) => {
                drop(server);
                bucket.pause(format!("the server answered {status}, which no InfluxDB 2 does to a write: is influxdb.url right, or a proxy in between?"));
                shared.metrics.write(WriteResult::Paused, took);
            }
        }
        if flushing {
            rest.left.push(batch);
            return Vec::new();
        }
        vec![batch]
    }

    fn done(&self, batch: Batch, took: Duration) {
        let shared = &self.shared;
        shared.metrics.write(WriteResult::Delivered, took);
        let lag = shared.clock.now().saturating_sub(batch.oldest().unwrap_or_else(|| shared.clock.now()));
        shared.metrics.delivered(batch.points(), Duration::from_nanos(u64::try_from(lag).unwrap_or(0)));
        batch.into_records().into_iter().for_each(|record| record.settle(Outcome::Delivered));
    }

    /// A failure that will pass; unless it is the batch's own, which shows when others pass meanwhile.
    async fn failed(&self, mut batch: Batch, why: &str, suspicious: bool, rest: &mut Rest) -> Vec<Batch> {
        let taken = self.shared.server.delivered();
        if suspicious && batch.seen.is_some_and(|seen| taken > seen) {
            batch.alone += 1;
        }
        if batch.alone >= ALONE_BEFORE_SPLIT {
            let alone = batch.alone;
            if batch.accounts() > 1 {
                return batch.by_account();
            }
            match batch.halves() {
                Ok((left, right)) => {
                    tracing::warn!(
                        bucket = &*self.bucket,
                        "a batch failed {alone} times while others passed: it is divided ({why})"
                    );
                    return vec![right, left];
                }
                Err(single) if alone >= ALONE_BEFORE_DEAD => {
                    let why = format!("failed {alone} times while others passed: {why}");
                    // What makes the server fail would shut its gate on the others again and again.
                    single.records().iter().for_each(|record| self.suspects.add(record.account(), Instant::now()));
                    return self.bury(single, 500, &why, Vec::new(), rest).await;
                }
                Err(single) => {
                    batch = single;
                    batch.alone = alone;
                }
            }
        }
        batch.seen = Some(taken);
        // The others go first: if they pass, it is not the server.
        tokio::time::sleep(self.shared.pace.backoff.mul_f64(0.5 + fastrand::f64())).await;
        vec![batch]
    }

    async fn create(&self) -> Result<(), String> {
        let Destination::Influx(influx) = &self.shared.destination else {
            return Err("not found".to_owned());
        };
        let influx = influx.load_full();
        let missing =
            format!("InfluxDB answered 404: there is no bucket {:?} in organisation {:?}", self.bucket, influx.org());
        if !influx.create_bucket {
            return Err(format!("{missing}; create it (`tagline setup`), or set influxdb.create_bucket"));
        }
        influx.create(&self.bucket).await.map_err(|why| format!("{missing}, and it could not be created: {why}"))?;
        tracing::info!(bucket = &*self.bucket, "created the bucket");
        Ok(())
    }
}
