//! What a reload changes of a delivery that runs.
//!
//! The client is swapped as a whole: a write that is under way ends with the old one. Where points go and how bodies are compressed is decided at the
//! start: batches that wait were made for it.

use std::sync::Arc;

use super::dead_letters::Bound;
use super::influx::InfluxWriter;
use super::sender::{Destination, Shared};
use super::{Lanes, lock};
use crate::config::Settings;

/// See the module.
#[derive(Clone, Debug)]
pub struct Controls {
    pub(super) shared: Arc<Shared>,
    pub(super) lanes: Lanes,
}

/// A change that can be made, and cannot fail any more.
#[derive(Debug)]
pub struct Change {
    writer: Option<InfluxWriter>,
    letters: Bound,
}

impl Controls {
    /// What these settings change: the token and the other settings of the client, and each tenant's share of the dead letters. An error is a setting
    /// that cannot work.
    pub fn prepare(&self, settings: &Settings) -> Result<Change, String> {
        let writer = match (&self.shared.destination, &settings.influxdb) {
            (Destination::Influx(now), Some(influx)) if !now.load().is_of(influx) => Some(InfluxWriter::new(influx)?),
            _ => None,
        };
        Ok(Change { writer, letters: settings.into() })
    }

    /// Makes the change.
    pub fn apply(&self, change: Change) {
        self.shared.dead_letters.rebound(change.letters);
        if let (Destination::Influx(now), Some(writer)) = (&self.shared.destination, change.writer) {
            now.store(Arc::new(writer));
            // A token that was refused may be the one that was replaced.
            self.shared.server.try_now();
            lock(&self.lanes).values().for_each(|(sender, _)| sender.gate.try_now());
        }
    }
}
