//! `tagline query`: what the stored data answers, for the person on call.
//!
//! The scripts of `flux/queries`, bound to the arguments, run by InfluxDB, and shown with the answer in the first line. *Never*: an argument in a query
//! in any other way than as a literal.

mod bars;
mod compare;
mod desk;
mod explain;
mod library;
mod p99;
mod range;
mod sessions;
mod shown;
mod tenants;
#[cfg(test)]
mod tests;
mod windows;
mod words;

use std::io::Write;
use std::time::Duration;

use clap::{Args, Subcommand};

use self::desk::Desk;
use self::range::RangeArgs;
use super::Failure;
use super::terminal::Terminal;
use crate::clock::Clock;
use crate::config::{Settings, TenantId};

/// What `--timeout` is by default.
const TIMEOUT: &str = "60s";

/// Ask the stored data: percentiles, two tenants side by side, what makes the difference, sessions and their traces.
///
/// It reads, and changes nothing. The InfluxDB is that of the settings: influxdb.url, org, bucket and read_token, or INFLUXDB_URL, INFLUXDB_ORG,
/// INFLUXDB_BUCKET and INFLUXDB_READ_TOKEN. Times are UTC, durations milliseconds.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  tagline query tenants                                   who is slow
  tagline query p99 --tenant acme --since 24h             since when
  tagline query compare --tenants acme,globex             against whom
  tagline query explain --tenants acme,globex             where the difference is
  tagline query slowest --tenant acme --view CheckoutView whose sessions
  tagline query session 8f14e45f --tenant acme            what happened in one
  tagline query run errors --set tenant=acme --since 6h   every other query of the library
  tagline query run --list

Exit code 0: there is an answer. 1: there is none, and the reason; also where nothing is stored that it could be made of. 2: the arguments or the
settings are wrong.")]
pub struct QueryArgs {
    #[command(subcommand)]
    question: Question,
}

#[derive(Subcommand, Clone, Debug)]
enum Question {
    /// A tenant's percentiles, and how they developed.
    #[command(
        visible_alias = "percentiles",
        after_help = "Examples:\n  tagline query p99 --tenant acme\n  tagline query p99 --tenant acme --since 7d --view CheckoutView --action pay\n  tagline query p99 --tenant acme --from 2026-01-31T09:00Z --until 2026-01-31T10:00Z --every 10s"
    )]
    P99(p99::P99Args),
    /// Two tenants side by side, and the difference of their P99s.
    #[command(
        after_help = "Examples:\n  tagline query compare --tenants acme,globex --since 6h\n  tagline query compare --tenants acme,globex --csv > difference.csv"
    )]
    Compare(compare::CompareArgs),
    /// Which part of the first tenant's events makes it slower than the second.
    #[command(
        after_help = "Examples:\n  tagline query explain --tenants acme,globex --since 24h\n  tagline query explain --tenants acme,globex --by browser,region"
    )]
    Explain(explain::ExplainArgs),
    /// One session as a timeline.
    #[command(
        after_help = "Examples:\n  tagline query session 8f14e45f --tenant acme\n  tagline query session 8f14e45f --tenant acme --since 7d --json"
    )]
    Session(sessions::SessionArgs),
    /// The slowest sessions, with their traces.
    #[command(after_help = "Examples:\n  tagline query slowest --tenant acme --since 1h --most 50")]
    Slowest(sessions::SlowestArgs),
    /// All tenants, the slowest first, and those that are silent.
    #[command(after_help = "Examples:\n  tagline query tenants --since 15m")]
    Tenants(tenants::TenantsArgs),
    /// Any query of the library, by its name.
    #[command(
        after_help = "Examples:\n  tagline query run --list\n  tagline query run apdex --set tenant=acme --set threshold_ms=300.0 --since 24h\n  tagline query run summary --set tenant=acme --flux"
    )]
    Run(library::RunArgs),
}

/// What every question takes.
#[derive(Args, Clone, Debug, Default)]
struct Common {
    #[command(flatten)]
    range: RangeArgs,
    /// One JSON object
    #[arg(long, group = "form")]
    json: bool,
    /// Rows as CSV, with a line of names
    #[arg(long, group = "form")]
    csv: bool,
    /// Print the Flux that would be run, and run nothing: no InfluxDB is needed for it
    #[arg(long, group = "form")]
    flux: bool,
    /// The bucket to ask [default: the tenant's own, or influxdb.bucket]
    #[arg(long, value_name = "NAME", value_parser = bucket)]
    bucket: Option<String>,
    /// How long to wait for an answer
    #[arg(long, value_name = "DURATION", value_parser = range::period, default_value = TIMEOUT)]
    timeout: Duration,
}

/// What questions that have rollups take beside it.
#[derive(Args, Clone, Debug, Default)]
struct Detail {
    /// Only this view
    #[arg(long, value_parser = name)]
    view: Option<String>,
    /// Only this action
    #[arg(long, value_parser = name)]
    action: Option<String>,
    /// Ask the points themselves, also for more than 6 hours
    #[arg(long)]
    raw: bool,
    /// How long a window is [default: so that there are up to 60]
    #[arg(long, value_name = "DURATION", value_parser = range::period)]
    every: Option<Duration>,
}

/// Runs the command.
pub async fn run(args: &QueryArgs, settings: &Settings, clock: &Clock, out: &mut dyn Write) -> Result<(), Failure> {
    let desk = |common| Desk::new(common, settings, clock, Terminal::of_stdout());
    let answered = match &args.question {
        Question::P99(args) => p99::run(args, &desk(&args.common), out).await,
        Question::Compare(args) => compare::run(args, &desk(&args.common), out).await,
        Question::Explain(args) => explain::run(args, &desk(&args.common), out).await,
        Question::Session(args) => sessions::one(args, &desk(&args.common), out).await,
        Question::Slowest(args) => sessions::slowest(args, &desk(&args.common), out).await,
        Question::Tenants(args) => tenants::run(args, &desk(&args.common), out).await,
        Question::Run(args) => library::run(args, &desk(&args.common), out).await,
    };
    answered.and_then(|()| out.flush().map_err(desk::unwritten)).or_else(desk::unless_nobody_reads)
}

/// A tenant's id.
fn tenant(text: &str) -> Result<TenantId, String> {
    TenantId::parse(text).ok_or_else(|| "a tenant's id has 1 to 64 characters of A-Z, a-z, 0-9, _ and -".to_owned())
}

/// Two of them.
fn tenants(text: &str) -> Result<[TenantId; 2], String> {
    let (one, other) = text.split_once(',').ok_or("two tenants, with a comma between: acme,globex")?;
    let both = [tenant(one.trim())?, tenant(other.trim())?];
    if both[0] == both[1] { Err("two different tenants".to_owned()) } else { Ok(both) }
}

/// A view's or an action's name, as the gateway stores them.
fn name(text: &str) -> Result<String, String> {
    bounded(text, 512)
}

/// A session's id.
fn session(text: &str) -> Result<String, String> {
    bounded(text, 128)
}

fn bucket(text: &str) -> Result<String, String> {
    bounded(text, 256)
}

fn bounded(text: &str, most: usize) -> Result<String, String> {
    match text.len() {
        0 => Err("it is empty".to_owned()),
        length if length > most => Err(format!("it has {length} bytes, and none that is stored has more than {most}")),
        _ => Ok(text.to_owned()),
    }
}

/// How many rows.
fn most(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(most @ 1..=100_000) => Ok(most),
        _ => Err("a number from 1 to 100000".to_owned()),
    }
}
