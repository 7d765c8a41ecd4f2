//! `tagline rollup`: the rollups of the past, by the scripts that InfluxDB runs as tasks.
//!
//! A day at a time, the oldest first: its minutes, hour by hour and bucket by bucket, then its hours, which are made of the minutes. What is computed
//! again overwrites itself, so that an interrupted run is simply run again.

mod progress;
#[cfg(test)]
mod tests;

use std::time::Duration;

use clap::Args;

use super::Failure;
use super::setup::{Target, admin_token};
use crate::answers::install::{filling, raw_buckets};
use crate::answers::table::rfc3339;
use crate::answers::{AskError, Reader, library};
use crate::clock::{Clock, UnixNanos};
use crate::config::{Installation, Secret, Source, instant};
use progress::Progress;

const SECOND: UnixNanos = 1_000_000_000;
const MINUTE: UnixNanos = 60 * SECOND;
const HOUR: UnixNanos = 60 * MINUTE;
const DAY: UnixNanos = 24 * HOUR;
/// How long InfluxDB may take for one window: an hour of events, or a day of minutes.
const PATIENCE: Duration = Duration::from_secs(600);

/// Compute the rollups of the past: after the first setup, after an outage, when events came late.
///
/// The tasks that setup installs look an hour back for events that came late, and a day for their hours. What is older is computed by this command,
/// by the same scripts. It needs a token that reads the buckets of events and writes the rollup bucket, in INFLUXDB_ADMIN_TOKEN.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  tagline rollup --config tagline.toml
  tagline rollup --since 7d --config tagline.toml
  tagline rollup --since 2026-01-31T06:00:00Z --until 2026-01-31T18:00:00Z
  tagline rollup --since 30d --dry-run

Interrupted, it can be run again: what is computed twice is the same.")]
pub struct RollupArgs {
    /// From when: so long ago, or a moment (7d, 2026-01-31, 2026-01-31T09:00:00Z) [default: as long as events are kept, influxdb.retention]
    #[arg(long, value_name = "WHEN", value_parser = When::parse)]
    pub since: Option<When>,
    /// Until when [default: now]
    #[arg(long, value_name = "WHEN", value_parser = When::parse)]
    pub until: Option<When>,
    /// Say what would be computed, and compute nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Where InfluxDB listens [default: influxdb.url or INFLUXDB_URL, else http://127.0.0.1:8086]
    #[arg(long)]
    pub url: Option<String>,
    /// Organisation [default: influxdb.org or INFLUXDB_ORG, else tagline]
    #[arg(long)]
    pub org: Option<String>,
    /// A token that reads the events and writes the rollups
    #[arg(long, env = "INFLUXDB_ADMIN_TOKEN", hide_env_values = true)]
    pub admin_token: Option<String>,
}

/// A moment, as it was said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// So long before now.
    Ago(Duration),
    /// In nanoseconds since 1970.
    At(UnixNanos),
}

impl When {
    fn parse(text: &str) -> Result<Self, String> {
        match humantime::parse_duration(text) {
            Ok(ago) => Ok(Self::Ago(ago)),
            Err(_) => instant(text).map(Self::At).map_err(|why| format!("{why}, or so long ago: 7d")),
        }
    }

    fn at(self, now: UnixNanos) -> UnixNanos {
        match self {
            Self::Ago(ago) => now.saturating_sub(UnixNanos::try_from(ago.as_nanos()).unwrap_or(UnixNanos::MAX)),
            Self::At(at) => at,
        }
    }
}

/// One run of a script.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Window {
    script: &'static str,
    bucket: String,
    start: UnixNanos,
    stop: UnixNanos,
}

/// What is run, in order, until a whole minute. `since` is taken back to the beginning of its hour, so that an hour is made of all its minutes.
fn windows(buckets: &[String], since: UnixNanos, until: UnixNanos) -> Vec<Window> {
    let since = since - since.rem_euclid(HOUR);
    let mut windows = Vec::new();
    let mut day = since;
    while day < until {
        let end = (day - day.rem_euclid(DAY) + DAY).min(until);
        let mut hour = day;
        while hour < end {
            let stop = (hour + HOUR).min(end);
            for bucket in buckets {
                windows.push(Window { script: "rollup-1m", bucket: bucket.clone(), start: hour, stop });
            }
            hour = stop;
        }
        // Hours that are over: the script cuts the range down to these, and InfluxDB takes no range that is empty.
        let over = end - end.rem_euclid(HOUR);
        if let [first, ..] = buckets
            && over > day
        {
            windows.push(Window { script: "rollup-1h", bucket: first.clone(), start: day, stop: over });
        }
        day = end;
    }
    windows
}

/// Runs the command.
pub async fn run(args: RollupArgs, installation: &Installation, clock: &Clock) -> Result<(), Failure> {
    let now = clock.now();
    let until = args.until.map_or(now, |until| until.at(now)).min(now);
    // The minute that is not over yet is left out, as the scripts do.
    let until = until - until.rem_euclid(MINUTE);
    let since =
        args.since.or_else(|| Some(When::Ago(installation.retention)).filter(|_| !installation.retention.is_zero()));
    let since = since
        .ok_or_else(|| Failure::Misuse("events are kept for ever: say from when, as in --since 30d".to_owned()))?;
    let since = since.at(now);
    if since >= until {
        return Err(Failure::Misuse(format!(
            "--since {} is not before {}: nothing lies between them",
            rfc3339(since),
            rfc3339(until)
        )));
    }
    if since < 0 {
        return Err(Failure::Misuse(format!("--since {} is before 1970", rfc3339(since))));
    }
    let target = Target::of(args.url, args.org, installation);
    let buckets = raw_buckets(installation);
    let windows = windows(&buckets, since, until);
    let named = buckets.iter().map(|bucket| format!("{bucket:?}")).collect::<Vec<_>>().join(", ");
    let all = format!(
        "the minutes and hours from {} to {}, of {named}, into {:?}, at {}: {} queries",
        rfc3339(windows.first().map_or(since, |window| window.start)),
        rfc3339(until),
        installation.answers.rollup_bucket,
        target.url,
        windows.len()
    );
    if args.dry_run {
        eprintln!("Would compute {all}. Nothing was computed (--dry-run).");
        return Ok(());
    }
    let token = Secret::from(admin_token(args.admin_token, &target)?);
    let source = Source { url: target.url.clone(), org: target.org, bucket: installation.bucket.clone(), token };
    let reader = Reader::new(&source, PATIENCE).map_err(|error| Failure::Misuse(error.to_string()))?;
    eprintln!("Computing {all}.");
    let mut progress = Progress::over(windows.len());
    for (done, window) in windows.iter().enumerate() {
        progress.at(done, window.start);
        let values = fill(&reader, installation, window).await.map_err(|why| {
            progress.end();
            // A day that was begun is begun again: its hours are not made yet.
            let from = (window.start - window.start.rem_euclid(DAY)).max(windows[0].start);
            Failure::Failed(format!(
                "{}, {:?}, {} to {}: {why}\nWhat was before {} is computed; go on with --since {1}",
                window.script,
                window.bucket,
                rfc3339(window.start),
                rfc3339(window.stop),
                rfc3339(from),
            ))
        })?;
        progress.wrote(values);
    }
    progress.end();
    eprintln!("Wrote {} values.", progress.values());
    Ok(())
}

/// Runs one script over one window: how many values it wrote.
async fn fill(reader: &Reader, installation: &Installation, window: &Window) -> Result<u64, String> {
    let script = library::task(window.script).ok_or("this program has no such script")?;
    let Window { bucket, start, stop, .. } = window;
    let flux = filling(script, installation, bucket, *start, *stop).map_err(|error| error.to_string())?;
    let answer = reader.ask(&flux).await.map_err(|error| match error {
        AskError::Denied { url, org, status } => format!(
            "InfluxDB at {url} refuses the token ({status}): INFLUXDB_ADMIN_TOKEN must be one of the organisation {org:?} that reads {bucket:?} and writes {:?}",
            installation.answers.rollup_bucket
        ),
        AskError::NotFound { url, message, .. } => format!(
            "InfluxDB at {url} says {message}: a bucket is not there (`tagline setup` makes them), or INFLUXDB_ADMIN_TOKEN may not read {bucket:?} and write {:?}",
            installation.answers.rollup_bucket
        ),
        AskError::Query { url, message } => format!("InfluxDB at {url} could not run it: {message}"),
        error => error.to_string(),
    })?;
    let values = answer.first().and_then(|row| row.number("values")).unwrap_or_default();
    // A count: whole, and never below 0.
    Ok(values as u64)
}
