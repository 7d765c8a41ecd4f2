//! The commands: arguments in, an exit code out.
//!
//! Exit codes: 0 done, 1 it could not be done (the reason on stderr), 2 the arguments or the settings are wrong, 3 something would change (only where
//! that is asked). *Never*: a stack trace.

mod check;
mod dashboards;
mod query;
mod replay;
mod rollup;
mod serve;
mod setup;
mod spool;
mod table;
mod terminal;
#[cfg(test)]
mod tests;
mod token;

use std::fmt;
use std::io;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::app::Origin;
use crate::clock::Clock;
use crate::config::{self, Findings, Loaded, Settings, Sources};

const EXAMPLES: &str = "\
Examples:
  tagline                                   try it: loopback, a demo tenant, files under ./data
  tagline serve --config /etc/tagline.toml  serve by a configuration
  tagline check --config tagline.toml       every mistake of a configuration, with file and line
  tagline check --config tagline.toml --token - < token.txt   why a token is taken or not
  tagline setup --url http://127.0.0.1:8086 --org my-org --bucket app_observability
  tagline token --tenant acme --config tagline.toml
  tagline query explain --tenants acme,globex   why is acme slower than globex?

Exit codes: 0 done · 1 could not be done · 2 the arguments or the settings are wrong";

/// Multi-tenant telemetry gateway: proves the tenant, tags on the server, writes line protocol to InfluxDB v2.
#[derive(Parser, Debug)]
#[command(name = "tagline", version, about, after_help = EXAMPLES, max_term_width = 110)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,

    /// Settings file (TOML); without one, the built-in defaults and the environment.
    #[arg(long, global = true, value_name = "FILE", env = "TAGLINE_CONFIG")]
    config: Option<PathBuf>,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Run the gateway (the default).
    Serve(serve::ServeArgs),
    /// Say every mistake of the settings at once, with its place; or why a token is taken or not.
    Check(check::CheckArgs),
    /// Prepare an InfluxDB: organisation, buckets, a write-only and a read-only token, tasks. Safe to run twice.
    Setup(setup::SetupArgs),
    /// Compute the rollups of the past, by the scripts that InfluxDB runs as tasks.
    Rollup(rollup::RollupArgs),
    /// Mint a JWT or an upload token for a tenant, or make a write key, for trying things out.
    Token(token::TokenArgs),
    /// Send again what lies in files: spilled points, dead letters, a copied spool folder.
    Replay(replay::ReplayArgs),
    /// Say what waits in the spool, by tenant, whether a gateway runs or not.
    Spool(spool::SpoolArgs),
    /// Write the dashboards of Grafana and InfluxDB, for the buckets and the trace URL of the settings.
    Dashboards(dashboards::DashboardsArgs),
    /// Ask the stored data: percentiles, two tenants side by side, what makes the difference, sessions and their traces.
    Query(query::QueryArgs),
}

/// Why a command ends with another code than 0.
#[derive(Debug, PartialEq, Eq)]
pub enum Failure {
    /// Exit code 1: it could not be done; what, where, and what to do.
    Failed(String),
    /// Exit code 2: the arguments or the settings are wrong.
    Misuse(String),
    /// Exit code 3: it was asked whether something would change, and something would.
    Differs,
}

impl Failure {
    /// The process's exit code.
    pub fn code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Misuse(_) => 2,
            Self::Differs => 3,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(message) | Self::Misuse(message) => f.write_str(message),
            Self::Differs => f.write_str("something would change (--exit-code)"),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Runs the command that the arguments name.
///
/// # Errors
/// A [`Failure`] with the exit code and the message.
pub async fn run(arguments: Arguments) -> Result<(), Failure> {
    let clock = Clock::system();
    let sources = Sources::from_process(arguments.config);
    match arguments.command.unwrap_or_else(|| Command::Serve(serve::ServeArgs::default())) {
        Command::Serve(_) => {
            let Loaded { settings, files } = config::read(&sources);
            serve::run(good(settings)?, Origin { sources, files }, clock).await
        }
        Command::Check(args) => check::run(&args, &sources, &clock, &mut io::stdin(), &mut io::stdout()).await,
        Command::Setup(args) => setup::run(args, good(config::load_installation(&sources))?).await,
        Command::Rollup(args) => rollup::run(args, &good(config::load_installation(&sources))?, &clock).await,
        Command::Token(args) => {
            let settings = if args.write_key { None } else { Some(good(config::load_without_destination(&sources))?) };
            token::run(&args, settings.as_ref(), &clock, &mut io::stdout()).await
        }
        Command::Replay(args) => replay::run(args, &settings(&sources)?, clock).await,
        Command::Spool(args) => {
            // A folder that is named needs no settings: it may be a copy from another machine.
            let at_home = args.path.is_none();
            let settings = if at_home { Some(good(config::load_without_destination(&sources))?) } else { None };
            spool::run(&args, settings.as_ref().map(|settings| &settings.spool), &clock, &mut io::stdout())
        }
        Command::Query(args) => {
            let settings = good(config::load_without_destination(&sources))?;
            query::run(&args, &settings, &clock, &mut io::BufWriter::new(io::stdout())).await
        }
        Command::Dashboards(args) => {
            dashboards::run(&args, &good(config::load_installation(&sources))?, &mut io::stdout())
        }
    }
}

fn settings(sources: &Sources) -> Result<Settings, Failure> {
    good(config::load(sources))
}

fn good<T>(loaded: Result<T, Findings>) -> Result<T, Failure> {
    loaded.map_err(|findings| {
        Failure::Misuse(format!(
            "{findings}\n\nThe settings have mistakes; nothing was started. `tagline check` says them too."
        ))
    })
}
