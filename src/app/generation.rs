//! A generation of settings, built as a whole: at the start, and for each reload.

use std::sync::Arc;

use crate::auth::{Authenticator, Directory, KeySets};
use crate::config::Settings;
use crate::enrich::Enricher;
use crate::http::{Gate, Generation};
use crate::ingest::Limits;
use crate::outcome::Ledger;

/// The first of a process.
///
/// # Errors
/// A key that cannot be used; which setting, and what to do.
pub(super) fn first(settings: &Settings, ledger: &Arc<Ledger>, keys: &KeySets) -> Result<Generation, String> {
    of(1, settings, Directory::of(settings, ledger), Enricher::new(settings), keys)
}

/// The one after `now`. What tenants owe, what they have made, and what keeps times unique goes on.
///
/// # Errors
/// As above; `now` is as it was.
pub(super) fn next(
    now: &Generation,
    settings: &Settings,
    ledger: &Arc<Ledger>,
    keys: &KeySets,
) -> Result<Generation, String> {
    of(now.number + 1, settings, now.directory.reloaded(settings, ledger), now.enricher.reloaded(settings), keys)
}

fn of(
    number: u64,
    settings: &Settings,
    directory: Directory,
    enricher: Enricher,
    keys: &KeySets,
) -> Result<Generation, String> {
    let server = &settings.server;
    let directory = Arc::new(directory);
    Ok(Generation {
        number,
        authenticator: Authenticator::new(settings, Arc::clone(&directory), keys)?,
        directory,
        enricher,
        gate: Gate::new(server),
        max_body: server.max_body,
        max_inflated: server.max_inflated,
        body_timeout: server.connections.body_timeout,
        limits: Limits { max_events: server.max_events, max_lines: server.max_inflated.min(Limits::MAX_LINES) },
    })
}
