//! A generation of settings, built as a whole: at the start, and for each reload.

use std::sync::Arc;

use crate::auth::{Authenticator, Directory};
use crate::config::Settings;
use crate::enrich::Enricher;
use crate::http::Generation;
use crate::ingest::Limits;
use crate::outcome::Ledger;

/// The first of a process.
///
/// # Errors
/// A key that cannot be used; which setting, and what to do.
pub(super) fn first(settings: &Settings, ledger: &Ledger) -> Result<Generation, String> {
    let directory = Arc::new(Directory::of(settings, ledger));
    Ok(of(1, settings, Authenticator::new(settings, directory)?, Enricher::new(settings)))
}

/// The one after `now`. What tenants owe, what they have made, and what keeps times unique goes on.
///
/// # Errors
/// As above; `now` is as it was.
pub(super) fn next(now: &Generation, settings: &Settings, ledger: &Ledger) -> Result<Generation, String> {
    let directory = Arc::new(Directory::of(settings, ledger));
    let authenticator = Authenticator::new(settings, directory)?;
    Ok(of(now.number + 1, settings, authenticator, now.enricher.reloaded(settings)))
}

fn of(number: u64, settings: &Settings, authenticator: Authenticator, enricher: Enricher) -> Generation {
    let server = &settings.server;
    Generation {
        number,
        authenticator,
        enricher,
        max_body: server.max_body,
        max_inflated: server.max_inflated,
        limits: Limits { max_events: server.max_events, max_lines: server.max_inflated.min(Limits::MAX_LINES) },
    }
}
