//! Delivery: the spool's records become batches at their destination.
//!
//! *Comes in*: records, a lane for each destination. *Goes out*: an outcome for every point, told to the spool. *Never*: encodes a line; forgets a
//! point while the process lives; lets one destination, or one tenant's bad line, hold another's.
//!
//! A lane cuts batches and keeps several in flight; each goes through two gates (its bucket's, and the server's, which all lanes share) that shut
//! while the other side is away or has to be mended. What the server refuses is divided by account, then down to the bad lines.

mod answer;
mod batch;
mod controls;
mod dead_letters;
mod files;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod gate;
pub(crate) mod influx;
mod inventory;
mod lane;
mod refusal;
mod sender;
mod spill;
mod suspects;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use answer::failure;
pub use controls::{Change, Controls};
pub use dead_letters::DeadLetter;
pub(crate) use dead_letters::{Bound as LetterBound, Letter};
pub(crate) use gate::Pace;
pub(crate) use inventory::{Letters, SpillFile, dead_letters as dead_letter_files, spill_files};
pub(crate) use spill::{Piece, Spilled, read as read_spill};

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::config::{Influx, Settings};
use crate::metrics::Metrics;
use crate::outcome::{Loss, Outcome};
use crate::spool::{Record, Spool};
use dead_letters::DeadLetters;
use files::LineFiles;
use gate::Gate;
use influx::InfluxWriter;
use lane::Phase;
use sender::{Destination, LETTER_WRITERS, Sender, Shared};

/// The state of one lane, by name, for readiness and the admin listener.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LaneState {
    /// Delivering.
    Flowing,
    /// Backing off: the server is away or overloaded.
    BackingOff,
    /// Paused until somebody mends it: what is wrong, and what to do.
    Paused(String),
}

/// What became of the points that still waited when the gateway stopped.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Stopped {
    /// Points that ended before the budget did: delivered, or dead letters.
    pub flushed: u64,
    /// The spill file with its points, if something was left of a spool in memory.
    pub spilled: Option<(PathBuf, u64)>,
    /// Points that wait in a durable spool for the next start.
    pub waiting: u64,
    /// Points that not even the spill file took.
    pub lost: u64,
}

type Lanes = Arc<Mutex<BTreeMap<Arc<str>, (Arc<Sender>, JoinHandle<()>)>>>;

/// Running delivery: a task for each lane, and one that starts them. Stop it with [`Delivery::stop`]; dropped, it goes on
/// until the runtime ends.
#[derive(Debug)]
pub struct Delivery {
    spool: Spool,
    dir: PathBuf,
    shared: Arc<Shared>,
    opening: Opening,
    starter: JoinHandle<()>,
}

impl Delivery {
    /// Starts delivery from `spool` to where the settings say, on the runtime of the caller. An error is a setting that cannot work; a server
    /// that is away is none.
    pub fn start(settings: &Settings, spool: Spool, clock: Clock, metrics: Arc<Metrics>) -> Result<Self, String> {
        let dir = settings.spool.dir.clone();
        let delivery = Self::launch(settings.influxdb.as_ref(), dir, settings, Pace::default(), spool, clock, metrics)?;
        // Its state is told before its first point comes.
        open_lanes(&[settings.default_bucket()], &delivery.opening);
        Ok(delivery)
    }

    pub(crate) fn launch(
        influxdb: Option<&Influx>,
        dir: PathBuf,
        max_dead_letters: impl Into<LetterBound>,
        pace: Pace,
        spool: Spool,
        clock: Clock,
        metrics: Arc<Metrics>,
    ) -> Result<Self, String> {
        let (destination, name, in_flight) = match influxdb {
            Some(settings) => (
                Destination::Influx(ArcSwap::from_pointee(InfluxWriter::new(settings)?)),
                format!("server {}", settings.url),
                settings.in_flight,
            ),
            // One file: a second write would only wait for the first.
            None => (Destination::Files(LineFiles::new(&dir, clock.clone())), "line protocol files".to_owned(), 1),
        };
        let dead_letters =
            Arc::new(DeadLetters::new(&dir, max_dead_letters.into(), clock.clone(), Arc::clone(&metrics)));
        let shared = Arc::new(Shared {
            destination,
            server: Gate::new(name, pace),
            dead_letters,
            letter_writers: Arc::new(Semaphore::new(LETTER_WRITERS as usize)),
            metrics,
            clock,
            pace,
            flushing: AtomicBool::new(false),
            lanes: AtomicUsize::new(0),
        });
        let (phase, _) = watch::channel(Phase::Running);
        let opening =
            Opening { spool: spool.clone(), shared: Arc::clone(&shared), lanes: Lanes::default(), in_flight, phase };
        let starter = tokio::spawn(start_lanes(opening.clone()));
        Ok(Self { spool, dir, shared, opening, starter })
    }

    /// What others may look at while it runs.
    pub fn view(&self) -> View {
        View { lanes: Arc::clone(&self.opening.lanes), dead_letters: Arc::clone(&self.shared.dead_letters) }
    }

    /// What a reload may change of it while it runs.
    pub fn controls(&self) -> Controls {
        Controls { shared: Arc::clone(&self.shared), lanes: Arc::clone(&self.opening.lanes) }
    }

    /// Closes the spool and gives every batch one immediate try, for at most `budget`; what is left then stays in a durable spool, or goes to a
    /// spill file.
    pub async fn stop(self, budget: Duration) -> Stopped {
        let before = self.spool.pending().points;
        let (dir, now, spool) = (self.dir.clone(), self.shared.clock.now(), self.spool.clone());
        self.wind_up(budget).await;
        let left = spool.pending().points;
        let mut stopped = Stopped { flushed: before.saturating_sub(left), ..Stopped::default() };
        if spool.is_durable() {
            stopped.waiting = left;
            return stopped;
        }
        let records = drain(&spool);
        if !records.is_empty() {
            match tokio::task::spawn_blocking(move || spill_all(&dir, now, records)).await {
                Ok(Ok(spilled)) => stopped.spilled = Some(spilled),
                Ok(Err(lost)) => stopped.lost = lost,
                Err(error) => tracing::error!("the spill file was not written: {error}"),
            }
        }
        stopped
    }

    /// Ends delivery where it stands: for points that lie somewhere else too, as those of `replay` do.
    pub(crate) async fn abandon(self) {
        self.wind_up(Duration::ZERO).await;
    }

    async fn wind_up(self, budget: Duration) {
        let deadline = Instant::now() + budget;
        self.shared.flushing.store(true, Ordering::Relaxed);
        self.spool.close();
        self.starter.abort();
        let _ = self.starter.await;
        // The closed spool takes no further destination; the last one may have come too late for the starter.
        let destinations = self.spool.destinations().borrow().clone();
        open_lanes(&destinations, &self.opening);
        self.shared.server.flush();
        lock(&self.opening.lanes).values().for_each(|(sender, _)| sender.gate.flush());
        let mut tasks: Vec<JoinHandle<()>> =
            std::mem::take(&mut *lock(&self.opening.lanes)).into_values().map(|(_, task)| task).collect();
        for task in &mut tasks {
            // A deadline that has passed still lets a lane that is done say so.
            let _ = tokio::time::timeout_at(deadline, task).await;
        }
        self.opening.phase.send_replace(Phase::Ending);
        for task in tasks.into_iter().filter(|task| !task.is_finished()) {
            let _ = task.await;
        }
        // Letters that are being written settle their points themselves.
        let _ = self.shared.letter_writers.acquire_many(LETTER_WRITERS).await;
    }
}

/// What delivery shows of itself: to readiness and to the admin listener.
#[derive(Clone, Debug)]
pub struct View {
    lanes: Lanes,
    dead_letters: Arc<DeadLetters>,
}

impl View {
    /// Every lane and its state, by bucket.
    pub fn lanes(&self) -> Vec<(Arc<str>, LaneState)> {
        lock(&self.lanes).iter().map(|(bucket, (sender, _))| (Arc::clone(bucket), sender.state())).collect()
    }

    /// The buckets that take nothing until somebody mends them, and why.
    pub(crate) fn refusing(&self) -> Vec<(Arc<str>, String)> {
        let lanes = lock(&self.lanes);
        lanes.iter().filter_map(|(bucket, (sender, _))| Some((Arc::clone(bucket), sender.refuses()?))).collect()
    }

    /// The last dead letters of a tenant, oldest first, without their lines.
    pub fn dead_letters(&self, tenant: &str) -> Vec<DeadLetter> {
        self.dead_letters.recent(tenant)
    }
}

/// What a lane is made of.
#[derive(Clone, Debug)]
struct Opening {
    spool: Spool,
    shared: Arc<Shared>,
    lanes: Lanes,
    in_flight: usize,
    phase: watch::Sender<Phase>,
}

/// Starts a lane for each destination that appears.
async fn start_lanes(opening: Opening) {
    let mut destinations = opening.spool.destinations();
    loop {
        let known = destinations.borrow_and_update().clone();
        open_lanes(&known, &opening);
        if destinations.changed().await.is_err() {
            return;
        }
    }
}

fn open_lanes(destinations: &[Arc<str>], opening: &Opening) {
    let mut lanes = lock(&opening.lanes);
    // Before the first of them begins: a lane that thought itself the only one would take too much.
    opening.shared.lanes.store(destinations.len().max(lanes.len()), Ordering::Relaxed);
    for bucket in destinations {
        lanes.entry(Arc::clone(bucket)).or_insert_with(|| {
            let sender = Arc::new(Sender::new(Arc::clone(bucket), Arc::clone(&opening.shared)));
            let lane =
                lane::run(Arc::clone(&sender), opening.spool.clone(), opening.in_flight, opening.phase.subscribe());
            (sender, tokio::spawn(lane))
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All that waits, in the order of acceptance.
fn drain(spool: &Spool) -> Vec<Record> {
    let mut records = Vec::new();
    for bucket in spool.destinations().borrow().iter() {
        while let Some(record) = spool.try_next(bucket) {
            records.push(record);
        }
    }
    records.sort_by_key(Record::sequence);
    records
}

/// Sets the records down in a file: its path and points, or how many points are lost.
fn spill_all(dir: &std::path::Path, now: i64, records: Vec<Record>) -> Result<(PathBuf, u64), u64> {
    let points = records.iter().map(|record| u64::from(record.points())).sum();
    match spill::write(dir, now, &records) {
        Ok(path) => {
            records.into_iter().for_each(|record| record.settle(Outcome::Spilled));
            tracing::warn!(
                points,
                "what InfluxDB did not take is in {}; send it with `tagline replay`",
                path.display()
            );
            Ok((path, points))
        }
        Err(error) => {
            let mut tenants: BTreeMap<String, u64> = BTreeMap::new();
            for record in records {
                *tenants.entry(record.account().name().to_owned()).or_default() += u64::from(record.points());
                record.settle(Outcome::Lost(Loss::Shutdown));
            }
            tracing::error!(
                points,
                ?tenants,
                "points are lost: they could not be spilled to {}: {error}",
                dir.display()
            );
            Err(points)
        }
    }
}
