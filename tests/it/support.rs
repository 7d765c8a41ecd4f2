//! What the integration tests stand on: real servers, the gateway as a process, keys, raw requests, a browser.
//!
//! - [`influx()`]: one influxd for the whole run, a [`Bucket`] for each test, read back by Flux.
//! - [`Gateway`]: the binary under test with a configuration of its own, on ports that the kernel picks.
//! - [`tagline()`]: a command of the binary, run to its end.
//! - [`events()`], [`post`] and [`Totals`]: events in bulk, and what the ledger says of them.
//! - [`Sender`], [`Load`] and [`Verdict`]: numbered events, alone or as a load that goes on, and whether each is stored once.
//! - [`Link`], [`Switch`] and [`Relay`]: ways to a server: one on which a request gets stuck, one that can be cut, and one that remembers
//!   whose points went over it.
//! - [`Disk`]: one that can be full.
//! - [`SigningKey`]: keys made on the spot, and the tokens that they sign.
//! - [`authority::Authority`]: certificates for servers that take them from files.
//! - [`provider::Provider`]: an issuer's server that publishes keys.
//! - [`Connection`]: requests byte for byte, several on one connection.
//! - [`caddy`], [`telegraf`], [`manifests`] and [`cluster`]: the edge: both programs with the configurations of this repository, what
//!   kustomize makes of `k8s/`, and a Kubernetes API server.
//! - [`service::Service`]: a small server behind Caddy: an app, or one that verifies credentials.
//! - [`week()`]: a week of three tenants in which one cause hides, to ask InfluxDB about.
//! - [`alertmanager::Alertmanager`]: one with the example of `prometheus/`, and who gets its messages.
//! - [`browser()`] and [`Page`]: headless Chromium, and pages of another origin for it.
//! - [`eventually`]: for what happens soon, and no fixed sleep.
//!
//! Every process dies with the test process, however that ends (see [`process`]). Nothing here needs a fixed port or leaves
//! a file behind.

#![allow(dead_code, unused_imports, reason = "a test takes what it needs")]

pub mod alertmanager;
pub mod authority;
pub mod browser;
pub mod caddy;
pub mod cluster;
pub mod command;
pub mod disk;
pub mod events;
pub mod exposition;
pub mod gateway;
pub mod http;
pub mod influx;
pub mod keys;
pub mod link;
pub mod load;
pub mod manifests;
pub mod numbered;
pub mod process;
pub mod provider;
pub mod relay;
pub mod reloading;
pub mod sending;
pub mod service;
pub mod telegraf;
pub mod week;

pub use browser::{Page, Tab, browser};
pub use caddy::Caddy;
pub use command::{Ran, tagline};
pub use disk::Disk;
pub use events::{Totals, event, events, now_ms, post};
pub use gateway::{ACME_KEY, GLOBEX_KEY, Gateway, IN_MEMORY, config_for};
pub use http::{Answer, Connection, client};
pub use influx::{Bucket, Influx, Row, flux_string, influx};
pub use keys::{SigningKey, claims};
pub use link::{Link, Switch};
pub use load::{Load, Pace};
pub use numbered::{Counts, Fate, Sender, Verdict, numbers};
pub use relay::Relay;
pub use week::{Week, week, week_with_rollups};

use std::fmt::Display;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// Asks `check` every 50 ms until it says `Ok`, and returns what is in it. Fails the test with the last `Err` when `within`
/// is over.
///
/// ```ignore
/// let rows = eventually(Duration::from_secs(5), || async {
///     let rows = bucket.rows("frontend_performance").await;
///     if rows.len() == 2 { Ok(rows) } else { Err(format!("{rows:?}")) }
/// })
/// .await;
/// ```
#[track_caller]
pub fn eventually<T, E, F, Fut>(within: Duration, mut check: F) -> impl Future<Output = T>
where
    E: Display,
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    let caller = std::panic::Location::caller();
    async move {
        let deadline = Instant::now() + within;
        loop {
            match check().await {
                Ok(value) => return value,
                Err(seen) if Instant::now() >= deadline => {
                    panic!("{caller}: not within {within:?}; last seen: {seen}")
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }
}

/// A whole number that `make soak` sets, or what holds in `make test`.
pub fn from_environment(name: &str, otherwise: u32) -> u32 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error}")))
}

/// A name that no other test has: `PREFIX-` and random characters.
pub fn unique(prefix: &str) -> String {
    format!("{prefix}-{}", random_text(8))
}

/// `length` random lower-case letters and digits.
pub fn random_text(length: usize) -> String {
    std::iter::repeat_with(|| char::from(fastrand::choice(*b"abcdefghijklmnopqrstuvwxyz0123456789").unwrap_or(b'a')))
        .take(length)
        .collect()
}

/// Where a server's binary is: `TAGLINE_NAME` (which `make test` sets), else what `tests/servers/prepare --locate` finds.
pub fn server_binary(name: &str) -> Result<PathBuf, String> {
    let variable = format!("TAGLINE_{}", name.to_uppercase().replace('-', "_"));
    if let Some(path) = std::env::var_os(&variable) {
        let path = PathBuf::from(path);
        if path.is_file() {
            return Ok(path);
        }
        return Err(format!("{variable} says {}, and there is no such file", path.display()));
    }
    let prepare = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/servers/prepare");
    let found = Command::new(prepare)
        .args(["--locate", name])
        .output()
        .map_err(|error| format!("{name}: {prepare} does not run: {error}"))?;
    if !found.status.success() {
        return Err(String::from_utf8_lossy(&found.stderr).trim().to_owned());
    }
    Ok(PathBuf::from(String::from_utf8_lossy(&found.stdout).trim()))
}
