//! The spool that the settings ask for.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::StartError;
use crate::clock::Clock;
use crate::config::{Durability, SpoolSettings};
use crate::metrics::Metrics;
use crate::outcome::Ledger;
use crate::spool::{self, Spool};

/// The folder of the log, of durability `fsync`.
pub(super) fn log_dir(settings: &SpoolSettings) -> PathBuf {
    settings.dir.join("log")
}

/// Opens the log, and with it what waited and was counted before; or makes a spool in memory.
pub(super) async fn open(
    settings: &SpoolSettings,
    ledger: &Arc<Ledger>,
    clock: &Clock,
    metrics: &Arc<Metrics>,
) -> Result<Spool, StartError> {
    let dir = log_dir(settings);
    if settings.durability == Durability::Memory {
        if let Some(left) = left_by_fsync(&dir) {
            tracing::warn!("{left}");
        }
        return Ok(Spool::in_memory(settings.max_memory, settings.on_full, clock.clone()));
    }
    let options = spool::Options {
        dir,
        max_bytes: settings.max_bytes,
        max_memory: settings.max_memory,
        on_full: settings.on_full,
    };
    let (ledger, clock, metrics) = (Arc::clone(ledger), clock.clone(), Arc::clone(metrics));
    // Recovery reads the whole log.
    let opened = tokio::task::spawn_blocking(move || Spool::open(&options, &ledger, clock, metrics)).await;
    opened
        .map_err(|e| StartError(format!("the spool's log was not opened: {e}")))?
        .map_err(|e| StartError(e.to_string()))
}

/// What a gateway in memory mode says of the log of an earlier run that was not: nobody delivers it.
pub(super) fn left_by_fsync(dir: &Path) -> Option<String> {
    let names = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let segments = names.filter(|name| Path::new(name).extension().is_some_and(|end| end == "seg")).count();
    (segments > 0).then(|| {
        let dir = dir.display();
        format!(
            "{segments} files of an earlier run with spool.durability = \"fsync\" lie in {dir}, and a gateway with \"memory\" does not deliver \
             them; start with \"fsync\", or send them with `tagline replay {dir}`"
        )
    })
}
