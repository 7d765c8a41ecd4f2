//! `tagline serve`: run the gateway.

mod panics;

use std::io::{self, IsTerminal, Write};

use clap::Args;
use rustix::process::{Resource, Rlimit, setrlimit};
use secrecy::ExposeSecret;
use tracing_subscriber::EnvFilter;

use super::Failure;
use crate::app::{Gateway, Origin, Signals, Stopped, demo_key, destination_in_words};
use crate::clock::Clock;
use crate::config::{Durability, Log, LogFormat, Profile, Settings};

/// `serve` takes no arguments of its own: everything stands in the settings.
#[derive(Args, Debug, Default)]
#[command(after_help = "Examples:
  tagline serve                                   try it: loopback, a demo tenant, files under ./data
  tagline serve --config /etc/tagline.toml        serve by a configuration
  TAGLINE__LOG__LEVEL=debug tagline serve --config tagline.toml")]
pub struct ServeArgs {}

/// Serves until it is stopped.
///
/// # Errors
/// [`Failure::Failed`] when the gateway cannot start or a listener ends by itself.
pub async fn run(settings: Settings, origin: Origin, clock: Clock) -> Result<(), Failure> {
    log_to_stderr(&settings.log)?;
    panics::tell_seldom();
    if !settings.server.core_dumps
        && let Err(error) = forbid_core_dumps()
    {
        tracing::warn!(
            "a crash may leave a core dump, which holds secrets: {error}; set RLIMIT_CORE to 0 where the gateway is started"
        );
    }
    settings.warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
    let mut signals = Signals::listen().map_err(|e| Failure::Failed(e.to_string()))?;
    let gateway = tokio::select! {
        started = Gateway::start(settings, clock) => started.map_err(|e| Failure::Failed(e.to_string()))?,
        () = signals.stop() => {
            // To end in the midst of the log is what it is made for.
            tracing::info!("stopped while starting: nothing was taken; what the log holds waits for the next start");
            return Ok(());
        }
    };
    if gateway.settings().profile == Profile::Dev {
        // A closed stdout is no reason not to serve.
        let _ = greet(&gateway, &mut io::stdout());
    }
    let durable = gateway.settings().spool.durability == Durability::Fsync;
    let stopped = gateway
        .run(signals, origin, move || leave_at_once(durable))
        .await
        .map_err(|e| Failure::Failed(e.to_string()))?;
    farewell(&stopped);
    match stopped.lost {
        0 => Ok(()),
        lost => Err(Failure::Failed(format!("{lost} accepted points are lost: see the log"))),
    }
}

/// Twice, because the limit does not hold where the kernel hands dumps to a program. What is not dumpable cannot be read by others of the same user either,
/// be it by a debugger or in `/proc/PID/environ`.
fn forbid_core_dumps() -> rustix::io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a second signal asks for exactly this: leave without draining")]
fn leave_at_once(durable: bool) {
    if durable {
        tracing::warn!("second signal: leaving at once; what was accepted waits in the log for the next start");
    } else {
        tracing::error!(
            "second signal: leaving at once; what waited for delivery is lost (spool.durability = \"memory\")"
        );
    }
    std::process::exit(1);
}

fn log_to_stderr(log: &Log) -> Result<(), Failure> {
    // What actix says of its workers at every start is nobody's news, and what it says of a malformed head anybody could fill the log with;
    // a filter of the user's own comes after and wins.
    let filter = EnvFilter::try_new(format!("actix_server=warn,actix_http=off,{}", log.level)).map_err(|e| {
        Failure::Misuse(format!(
            "log.level {:?} is no filter: {e}; write for example \"info\" or \"tagline=debug\"",
            log.level
        ))
    })?;
    let logger =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    let installed = match log.format {
        LogFormat::Json => logger.json().flatten_event(true).with_current_span(false).try_init(),
        LogFormat::Text => logger.with_target(false).try_init(),
    };
    installed.map_err(|e| Failure::Failed(format!("the log cannot be set up: {e}")))
}

/// What a newcomer needs: one `curl` that works as pasted, where to look, and how to point it at an InfluxDB.
fn greet(gateway: &Gateway, out: &mut dyn Write) -> io::Result<()> {
    let settings = gateway.settings();
    let Some((tenant, key)) = demo_key(settings) else { return Ok(()) };
    let (public, admin) = (gateway.public_addr(), gateway.admin_addr());
    writeln!(
        out,
        "Tagline {}: no tenant and no issuer is configured, so this is the dev profile (loopback only, tenant \"{tenant}\").\n",
        env!("CARGO_PKG_VERSION")
    )?;
    writeln!(out, "  Send an event:\n")?;
    writeln!(
        out,
        "    curl -i http://{public}/v1/telemetry/{} -d '{{\"sessionId\":\"s-1\",\"viewName\":\"UserListView\",\"actionName\":\"fetchUsers\",\"metrics\":{{\"duration_ms\":120,\"element_count\":50}}}}'\n",
        key.expose_secret()
    )?;
    writeln!(out, "  From a browser:  http://{public}/")?;
    writeln!(out, "  Admin:           http://{admin}/   (ledger, rejections, metrics, readiness)")?;
    writeln!(out, "  Points go to:    {}", destination_in_words(settings))?;
    if settings.influxdb.is_none() {
        writeln!(
            out,
            "  To InfluxDB:     INFLUXDB_URL=http://127.0.0.1:8086 INFLUXDB_ORG=my-org INFLUXDB_TOKEN=my-token tagline"
        )?;
    }
    writeln!(out, "  Stop:            Ctrl-C")?;
    out.flush()
}

fn farewell(stopped: &Stopped) {
    if let Some((path, points)) = &stopped.spilled {
        tracing::warn!(points, path = %path.display(), "not delivered; send them with: tagline replay {}", path.display());
    }
    if stopped.lost > 0 {
        tracing::error!(points = stopped.lost, "lost: neither the destination nor the spill file took them");
    }
}
