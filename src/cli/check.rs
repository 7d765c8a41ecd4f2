//! `tagline check`: every mistake of a configuration at once, or what is in force; and why a token is or is not taken.

mod token;

use std::io::{Read, Write};

use secrecy::SecretString;

use super::Failure;
use crate::clock::Clock;
use crate::config::{
    Durability, OnFull, Profile, Settings, Sources, SpoolSettings, load, load_without_destination, show_size,
};

/// Tells every mistake of the settings at once, each with its file and line; starts nothing.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  tagline check --config config/production.toml
  TAGLINE__SERVER__LISTEN=0.0.0.0:8080 tagline check --config production.toml
  tagline check --config production.toml --token - < token.txt
  tagline check --config production.toml --token - --origin https://app.example < token.txt

Exit code 0: the settings are good, and the token is taken. 1: the token is not taken.
2: the settings are not good; one line for each mistake.")]
pub struct CheckArgs {
    /// Say step by step why this JWT is or is not taken; `-` reads it from stdin, so that it does not stand in the shell's history.
    /// Keys that its issuer publishes are fetched; no gateway needs to run
    #[arg(long, value_name = "TOKEN", value_parser = secret)]
    pub token: Option<SecretString>,
    /// The origin of the page that sends the token: scheme://host[:port]
    #[arg(long, value_name = "ORIGIN", requires = "token")]
    pub origin: Option<String>,
}

fn secret(text: &str) -> Result<SecretString, std::convert::Infallible> {
    Ok(SecretString::from(text.to_owned()))
}

/// Loads the settings of `sources`, and writes to `out` every finding and their count, or a summary of what is in force, without
/// secrets, or why the token is taken or not.
pub async fn run(
    args: &CheckArgs,
    sources: &Sources,
    clock: &Clock,
    input: &mut dyn Read,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let loaded = if args.token.is_some() { load_without_destination(sources) } else { load(sources) };
    match (loaded, &args.token) {
        (Ok(settings), Some(token)) => token::run(token, args.origin.as_deref(), &settings, clock, input, out).await,
        (Ok(settings), None) => summary(&settings, out).map_err(broken_pipe),
        (Err(findings), _) => {
            let count = counted(findings.len(), "finding");
            writeln!(out, "{findings}\n{count}").map_err(broken_pipe)?;
            Err(Failure::Misuse("the settings are not good; docs/settings.md tells every key".into()))
        }
    }
}

fn broken_pipe(error: std::io::Error) -> Failure {
    Failure::Failed(format!("the result could not be written: {error}"))
}

fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn summary(settings: &Settings, out: &mut dyn Write) -> std::io::Result<()> {
    let keys = settings.tenants.values().map(|tenant| tenant.keys.len()).sum();
    let counts = [
        counted(settings.tenants.len(), "tenant"),
        counted(keys, "write key"),
        counted(settings.issuers.len(), "issuer"),
        counted(settings.catalog.measurements.len(), "measurement"),
    ];
    writeln!(out, "ok: {}", counts.join(", "))?;
    if settings.profile == Profile::Dev {
        writeln!(out, "  profile    dev: no tenant and no issuer is configured, so a demo tenant on loopback")?;
    }
    let server = &settings.server;
    writeln!(out, "  listeners  {} public, {} admin", server.listen, server.admin_listen)?;
    match &settings.influxdb {
        Some(influxdb) => {
            writeln!(out, "  InfluxDB   {}, org {:?}, bucket {:?}", influxdb.url, influxdb.org, influxdb.bucket)?
        }
        None => writeln!(out, "  InfluxDB   none: line protocol files in {}", settings.spool.dir.display())?,
    }
    writeln!(out, "  instance   {}, replica {}", settings.enrich.instance, settings.enrich.replica)?;
    writeln!(out, "  spool      {}; files in {}", spool(&settings.spool), settings.spool.dir.display())?;
    settings.warnings().iter().try_for_each(|warning| writeln!(out, "warning: {warning}"))
}

/// What 202 stands for, how much may wait, and what happens beyond.
fn spool(spool: &SpoolSettings) -> String {
    let (durability, bytes) = match spool.durability {
        Durability::Fsync => ("on disk (fsync)", spool.max_bytes),
        Durability::Memory => ("memory: a crash loses what waits", spool.max_memory),
    };
    let full = match spool.on_full {
        OnFull::Reject => "then 503",
        OnFull::DropOldest => "then the oldest points are dropped",
    };
    format!("{durability}; up to {}, {full}", show_size(bytes))
}

#[cfg(test)]
mod tests;
