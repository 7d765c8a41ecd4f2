//! `tagline replay`: sends spill files and dead letters again.
//!
//! The records go through a spool and a delivery of their own, so that each answer is treated as the gateway treats it: back-off, bisection, dead
//! letters. A file is renamed to `….done` when all of it ended; until then running again is safe, since a point that is written twice is one point.

mod source;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;

use super::Failure;
use crate::clock::Clock;
use crate::config::{Influx, OnFull, Settings};
use crate::deliver::{Delivery, LaneState, Pace};
use crate::metrics::Metrics;
use crate::outcome::Account;
use crate::spool::{Refused, Spool, Submission};
use source::Source;

/// The most bytes that wait at once.
const SPOOL: u64 = 32 << 20;
/// How long to go on without a single point ending.
const PATIENCE: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_millis(100);

/// Send spill files and dead letters again.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Examples:\n  tagline replay\n  tagline replay data/spill/20260131T120000Z-1a2b3c4d.spill --rate 20000\n  tagline replay data/dead-letters/acme.jsonl --dry-run"
)]
pub struct ReplayArgs {
    /// A spill file, a file of dead letters, or a folder of them [default: the spill files in spool.dir]
    pub path: Option<PathBuf>,
    /// Say what would be sent, and send nothing
    #[arg(long)]
    pub dry_run: bool,
    /// At most so many points a second
    #[arg(long, value_name = "POINTS", value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: Option<u32>,
}

/// Runs the command.
pub async fn run(args: ReplayArgs, settings: &Settings, clock: Clock) -> Result<(), Failure> {
    let influx = settings.influxdb.as_ref();
    replay(args, influx, &settings.spool.dir, settings.spool.max_dead_letters, clock, Pace::default(), PATIENCE).await
}

async fn replay(
    args: ReplayArgs,
    influxdb: Option<&Influx>,
    dir: &Path,
    max_dead_letters: u64,
    clock: Clock,
    pace: Pace,
    patience: Duration,
) -> Result<(), Failure> {
    // Dead letters are sent when they are named: without a change on the other side they would only be refused again.
    let path = args.path.clone().unwrap_or_else(|| dir.join("spill"));
    let files = source::files(&path).map_err(|e| Failure::Failed(format!("{}: {e}", path.display())))?;
    if files.is_empty() {
        say(format_args!("nothing to replay in {}", path.display()));
        return Ok(());
    }
    if args.dry_run {
        return dry_run(&files);
    }
    let influx = influxdb.ok_or_else(|| {
        Failure::Misuse(
            "replay needs an InfluxDB: set influxdb.url, org and token (INFLUXDB_URL, INFLUXDB_ORG, INFLUXDB_TOKEN)"
                .to_owned(),
        )
    })?;
    let mut troubles = 0;
    for file in &files {
        troubles += u32::from(!one(file, args.rate, influx, dir, max_dead_letters, &clock, pace, patience).await?);
    }
    match troubles {
        0 => Ok(()),
        n => Err(Failure::Failed(format!("{n} of {} files were not sent wholly: see above", files.len()))),
    }
}

fn dry_run(files: &[PathBuf]) -> Result<(), Failure> {
    let mut damaged = 0;
    for file in files {
        let source = read(file)?;
        say(format_args!(
            "{}: {} points in {} records would be sent",
            file.display(),
            source.points(),
            source.records.len()
        ));
        damaged += u32::from(!source.tell(file));
    }
    match damaged {
        0 => Ok(()),
        n => Err(Failure::Failed(format!("{n} of {} files are damaged or cut short: see above", files.len()))),
    }
}

fn read(file: &Path) -> Result<Source, Failure> {
    source::read(file).map_err(|e| Failure::Failed(format!("{}: {e}", file.display())))
}

/// Sends one file; whether all of it went.
#[expect(clippy::too_many_arguments, reason = "one caller, which has them apart")]
async fn one(
    file: &Path,
    rate: Option<u32>,
    influx: &Influx,
    dir: &Path,
    max_dead_letters: u64,
    clock: &Clock,
    pace: Pace,
    patience: Duration,
) -> Result<bool, Failure> {
    // A running gateway appends to its dead letters: what is being replayed gets a name of its own first.
    let claimed = source::claim(file).map_err(|e| Failure::Failed(format!("{}: {e}", file.display())))?;
    let source = read(&claimed)?;
    let whole = source.tell(&claimed);
    let total = source.points();
    let metrics = Arc::new(Metrics::new().map_err(|e| Failure::Failed(e.to_string()))?);
    let spool = Spool::in_memory(SPOOL.max(source.largest() * 2), OnFull::Reject, clock.clone());
    let delivery =
        Delivery::launch(Some(influx), dir.to_owned(), max_dead_letters, pace, spool.clone(), clock.clone(), metrics)
            .map_err(Failure::Misuse)?;
    let mut sending =
        Sending { spool, delivery, bar: bar(total), accounts: Vec::new(), patience, ended: 0, since: Instant::now() };
    let sent = sending.all(source, rate).await;
    sending.bar.finish_and_clear();
    let totals: Vec<_> = sending.accounts.iter().map(|account| account.totals()).collect();
    sending.delivery.abandon().await;
    let delivered: u64 = totals.iter().map(|t| t.delivered).sum();
    let dead: u64 = totals.iter().map(|t| t.dead_lettered).sum();
    let name = claimed.display();
    if let Err(why) = sent {
        return Err(Failure::Failed(format!(
            "{name}: {delivered} of {total} points were sent, then: {why}. Nothing is lost: run replay again on this file"
        )));
    }
    say(format_args!(
        "{name}: {delivered} of {total} points delivered, {dead} refused again (in {}/dead-letters)",
        dir.display()
    ));
    if !whole || delivered + dead < total {
        return Ok(false);
    }
    let done = source::done(&claimed)
        .map_err(|e| Failure::Failed(format!("{name}: all was sent, but it cannot be renamed: {e}")))?;
    say(format_args!("renamed to {}", done.display()));
    Ok(true)
}

struct Sending {
    spool: Spool,
    delivery: Delivery,
    bar: ProgressBar,
    accounts: Vec<Arc<Account>>,
    patience: Duration,
    /// Points that ended, and since when it is so many.
    ended: u64,
    since: Instant,
}

impl Sending {
    async fn all(&mut self, source: Source, rate: Option<u32>) -> Result<(), String> {
        let started = Instant::now();
        let mut handed = 0u64;
        for record in source.records {
            let account = self.account(&record.tenant);
            let submission = Submission {
                account,
                share: 1.0,
                destination: record.bucket.as_str().into(),
                points: record.points,
                lines: Bytes::from(record.lines),
            };
            while let Err(refused) = self.spool.append(submission.clone()).await {
                if refused == Refused::Closed {
                    return Err("the spool was closed".to_owned());
                }
                self.tick().await?;
            }
            handed += u64::from(record.points);
            if let Some(rate) = rate {
                let due = started + Duration::from_secs_f64(handed as f64 / f64::from(rate));
                while Instant::now() < due {
                    tokio::time::sleep_until(due.min(Instant::now() + TICK)).await;
                    self.look()?;
                }
            }
        }
        while self.spool.pending().points > 0 {
            self.tick().await?;
        }
        self.look()
    }

    async fn tick(&mut self) -> Result<(), String> {
        tokio::time::sleep(TICK).await;
        self.look()
    }

    /// Shows what ended, and gives up where waiting will not help.
    fn look(&mut self) -> Result<(), String> {
        let pending = self.spool.pending().points;
        let accepted: u64 = self.accounts.iter().map(|account| account.totals().accepted).sum();
        let ended = accepted.saturating_sub(pending);
        self.bar.set_position(ended);
        let paused = self.delivery.view().lanes().into_iter().find_map(|(_, state)| match state {
            LaneState::Paused(why) => Some(why),
            _ => None,
        });
        if let Some(why) = paused {
            return Err(why);
        }
        if ended > self.ended || pending == 0 {
            self.ended = ended;
            self.since = Instant::now();
        }
        if self.since.elapsed() > self.patience {
            return Err(format!("InfluxDB took nothing for {} s", self.patience.as_secs()));
        }
        Ok(())
    }

    fn account(&mut self, tenant: &str) -> Arc<Account> {
        if let Some(known) = self.accounts.iter().find(|account| account.name() == tenant) {
            return Arc::clone(known);
        }
        let account = Account::detached(tenant);
        self.accounts.push(Arc::clone(&account));
        account
    }
}

/// Draws on stderr if that is a terminal; elsewhere nothing is drawn, and the lines that [`say`] writes stand alone.
fn bar(total: u64) -> ProgressBar {
    let bar = ProgressBar::new(total);
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} points, {per_sec}, {eta} to go");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// A line for people: stderr.
fn say(line: std::fmt::Arguments<'_>) {
    eprintln!("{line}");
}
