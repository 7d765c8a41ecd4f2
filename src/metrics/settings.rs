//! Which settings are in force, and how the reloads ended.

use prometheus::{IntCounterVec, IntGauge, Opts, Registry};

use super::Metrics;
use crate::clock::UnixNanos;

/// How one reload ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReloadResult {
    /// A new generation is in force.
    Applied,
    /// The files hold what is in force already.
    Unchanged,
    /// The settings are wrong; the old ones stay.
    Refused,
}

impl ReloadResult {
    fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Unchanged => "unchanged",
            Self::Refused => "refused",
        }
    }
}

/// The metrics of this file.
#[derive(Debug)]
pub(super) struct SettingsMetrics {
    generation: IntGauge,
    reloads: IntCounterVec,
    last_successful: IntGauge,
    last_success: prometheus::Gauge,
}

impl SettingsMetrics {
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        Ok(Self {
            generation: IntGauge::new(
                "tagline_settings_generation",
                "The generation of settings in force: 1 at the start, one more with each reload that changed something",
            )?,
            reloads: IntCounterVec::new(
                Opts::new("tagline_settings_reloads_total", "Reloads of the settings, by how they ended"),
                &["result"],
            )?,
            last_successful: IntGauge::new(
                "tagline_settings_last_reload_successful",
                "1 while the settings in force are those of the files; 0 when the last reload was refused",
            )?,
            last_success: prometheus::Gauge::new(
                "tagline_settings_last_reload_success_timestamp_seconds",
                "When the files were last found good, at the start or by a reload",
            )?,
        })
    }

    pub(super) fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        registry.register(Box::new(self.generation.clone()))?;
        registry.register(Box::new(self.reloads.clone()))?;
        registry.register(Box::new(self.last_successful.clone()))?;
        registry.register(Box::new(self.last_success.clone()))
    }
}

impl Metrics {
    /// This generation of settings is in force, and it is what the files said at this time.
    pub fn settings_in_force(&self, generation: u64, at: UnixNanos) {
        self.settings.generation.set(i64::try_from(generation).unwrap_or(i64::MAX));
        self.settings.last_successful.set(1);
        self.settings.last_success.set(at as f64 / 1e9);
    }

    /// A reload ended.
    pub fn reload(&self, result: ReloadResult) {
        if result == ReloadResult::Refused {
            self.settings.last_successful.set(0);
        }
        self.settings.reloads.with_label_values(&[result.as_str()]).inc();
    }
}
