//! `tagline replay`: sends spill files, dead letters and copied logs again.
//!
//! The records go through a spool and a delivery of their own, so that each answer is treated as the gateway treats it: back-off, bisection, dead
//! letters. A file is renamed to `….done` when all of it ended; until then running again is safe, since a point that is written twice is one point.

mod progress;
mod sending;
mod source;
#[cfg(test)]
mod tests;
mod told;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::Failure;
use crate::clock::Clock;
use crate::config::{Influx, Settings};
use crate::deliver::Pace;
use crate::spool::Ended;
use progress::Progress;
use sending::{GivenUp, Sent, Way};
use source::{Afterwards, Opened, Source};
use told::Told;

/// How long to go on without a single point ending, where nothing else is said.
const WAIT: &str = "60s";
/// How often a count that goes on is looked at.
const TICK: Duration = Duration::from_millis(100);

/// Send again what lies in files: spilled points, dead letters, or a copied spool folder.
///
/// Where nothing is named, the spill files in spool.dir are sent. A gateway delivers its own log by itself: a log is for a copy, or for
/// another InfluxDB, or of a gateway that does not come back; one that a running gateway holds is refused. What was sent is renamed to ….done; sent twice, a
/// point is one point.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  tagline replay
  tagline replay data/spill/20260131T120000Z-1a2b3c4d.spill --rate 20000
  tagline replay data/dead-letters/acme.jsonl --dry-run
  tagline replay copy-of-data/log
  tagline replay /var/lib/tagline --wait 1h --delete-sent
  tagline replay data/log/00000000000000000042.seg.set-aside

Exit code 0: all was sent. 1: not all, and the reason; what was not sent stays where it is.")]
pub struct ReplayArgs {
    /// A spill file, a file of dead letters, a folder of them, a copied spool.dir or its log, or one file of a log [default: the spill files in spool.dir]
    pub path: Option<PathBuf>,
    /// Say what would be sent, and send and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// At most so many points a second
    #[arg(long, value_name = "POINTS", value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: Option<u32>,
    /// How long to go on while InfluxDB takes nothing, before giving up
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, default_value = WAIT)]
    pub wait: Duration,
    /// Delete what was sent, instead of renaming it to ….done
    #[arg(long, conflicts_with = "dry_run")]
    pub delete_sent: bool,
}

/// Runs the command.
pub async fn run(args: ReplayArgs, settings: &Settings, clock: Clock) -> Result<(), Failure> {
    let spool = &settings.spool;
    // Dead letters are sent when they are named: without a change on the other side they would only be refused again.
    let path = args.path.unwrap_or_else(|| spool.dir.join("spill"));
    let way = |influx| Way {
        influx,
        dir: &spool.dir,
        max_dead_letters: settings.into(),
        clock,
        pace: Pace::default(),
        patience: args.wait,
        rate: args.rate,
        afterwards: if args.delete_sent { Afterwards::Deleted } else { Afterwards::Renamed },
    };
    replay(&path, args.dry_run, settings.influxdb.as_ref(), way).await
}

async fn replay<'s>(
    path: &Path,
    dry_run: bool,
    influx: Option<&'s Influx>,
    way: impl FnOnce(&'s Influx) -> Way<'s>,
) -> Result<(), Failure> {
    let sources = source::sources(path).map_err(|e| Failure::Failed(format!("{}: {e}", path.display())))?;
    if sources.is_empty() {
        say(format_args!("nothing to replay in {}", path.display()));
        return Ok(());
    }
    if dry_run {
        return look(&sources).await;
    }
    let influx = influx.ok_or_else(|| {
        Failure::Misuse(
            "replay needs an InfluxDB: set influxdb.url, org and token (INFLUXDB_URL, INFLUXDB_ORG, INFLUXDB_TOKEN)"
                .to_owned(),
        )
    })?;
    let way = way(influx);
    let mut given_up = GivenUp::new();
    let mut troubles = 0;
    for source in &sources {
        troubles += u32::from(!one(source, &way, &mut given_up).await?);
    }
    match troubles {
        0 => Ok(()),
        n => Err(Failure::Failed(format!("{n} of {} files were not sent wholly: see above", sources.len()))),
    }
}

async fn look(sources: &[Source]) -> Result<(), Failure> {
    let mut damaged = 0;
    for source in sources {
        let opened = Arc::new(source.look()?);
        let (told, progress) = count(&opened).await?;
        progress.end();
        let path = opened.path();
        say(format_args!("{}: {} points in {} records would be sent", path.display(), told.points, told.records));
        told.tell(path);
        damaged += u32::from(told.damaged);
    }
    match damaged {
        0 => Ok(()),
        n => Err(Failure::Failed(format!("{n} of {} files are damaged or cut short: see above", sources.len()))),
    }
}

/// Reads a source once, so that it is known how much there is.
async fn count(opened: &Arc<Opened>) -> Result<(Told, Progress), Failure> {
    let name = opened.path().display().to_string();
    let mut progress = Progress::counting(name.clone());
    let counted = Arc::clone(opened);
    let mut count = tokio::task::spawn_blocking(move || counted.count());
    let counted = loop {
        match tokio::time::timeout(TICK, &mut count).await {
            Ok(counted) => break counted,
            Err(_) => progress.still_counting(),
        }
    };
    match counted {
        Ok(Ok(told)) => Ok((told, progress)),
        Ok(Err(error)) => Err(Failure::Failed(format!("{name}: {error}"))),
        Err(error) => Err(Failure::Failed(format!("{name}: {error}"))),
    }
}

/// Sends one source; whether all of it went.
async fn one(source: &Source, way: &Way<'_>, given_up: &mut GivenUp) -> Result<bool, Failure> {
    let opened = Arc::new(source.claim()?);
    let (told, progress) = count(&opened).await?;
    told.tell(opened.path());
    let progress = progress.sending(told.points);
    let sent = sending::send(Arc::clone(&opened), &told, way, given_up, progress).await.map_err(Failure::Misuse)?;
    let name = opened.path().display();
    let (total, delivered, dead) = (told.points, sent.delivered(), sent.dead_lettered());
    if let Some(why) = &sent.stopped {
        return Err(Failure::Failed(format!(
            "{name}: {delivered} of {total} points were sent, then: {why}. Nothing is lost: run replay again on this file"
        )));
    }
    say(format_args!(
        "{name}: {delivered} of {total} points delivered, {dead} refused again (in {}/dead-letters)",
        way.dir.display()
    ));
    for (bucket, points) in &sent.not_sent {
        let why = given_up.get(bucket).map_or("the delivery ended before", String::as_str);
        say(format_args!("{name}: {points} points for bucket {bucket:?} were not sent: {why}"));
    }
    if sent.read < total {
        say(format_args!("{name}: {} points could not be read a second time", total - sent.read));
    }
    if told.damaged || delivered + dead < total.max(sent.read) {
        say(format_args!("{name} stays: nothing is lost, and replay can be run on it again"));
        return Ok(false);
    }
    let done = opened
        .done(told.survey.as_ref().map_or(0, |survey| survey.next), &ended(&told, &sent), way.afterwards)
        .map_err(|e| Failure::Failed(format!("{name}: all was sent, but it cannot be renamed or deleted: {e}")))?;
    match (done.as_slice(), way.afterwards) {
        ([], _) => say(format_args!("{name} stays: it is a part of the log around it")),
        ([done], Afterwards::Renamed) => say(format_args!("renamed to {}", done.display())),
        (done, Afterwards::Renamed) => {
            say(format_args!("{name}: its {} segments were renamed to ….seg.done", done.len()))
        }
        ([_], Afterwards::Deleted) => say(format_args!("{name}: deleted")),
        (done, Afterwards::Deleted) => say(format_args!("{name}: its {} segments were deleted", done.len())),
    }
    Ok(true)
}

/// What the log's cursor is to be told of each tenant.
fn ended(told: &Told, sent: &Sent) -> BTreeMap<String, Ended> {
    let later =
        |tenant: &String| told.survey.as_ref().and_then(|survey| survey.tenants.get(tenant)).map_or(0, |row| row.later);
    let of = |(tenant, totals): (&String, &crate::outcome::Totals)| {
        let ended = Ended {
            accepted: later(tenant),
            delivered: totals.delivered,
            dead_lettered: totals.dead_lettered,
            ..Ended::default()
        };
        (tenant.clone(), ended)
    };
    sent.tenants.iter().map(of).collect()
}

/// A line for people: stderr.
fn say(line: std::fmt::Arguments<'_>) {
    eprintln!("{line}");
}
