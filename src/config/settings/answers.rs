//! What the stored data is asked, and what InfluxDB does for it.

use std::time::Duration;

use super::Secret;

/// `[answers]`, and what of `[influxdb]` reading takes.
#[derive(Clone, Debug)]
pub struct Answers {
    /// Where to read; `None`: no InfluxDB is named, or no token that may read.
    pub source: Option<Source>,
    /// Bucket of the rollups.
    pub rollup_bucket: String,
    /// How long the rollups are kept; zero: for ever.
    pub rollup_retention: Duration,
    /// Where a trace is looked at; it holds `{trace_id}`.
    pub trace_url: Option<String>,
    /// Where alerts are sent: a URL, which may hold a credential.
    pub alert_url: Option<Secret>,
    /// When a tenant counts as slower than it was.
    pub baseline: Baseline,
}

/// An InfluxDB that can be read.
#[derive(Clone, Debug)]
pub struct Source {
    /// Base URL, `http` or `https`, without credentials.
    pub url: String,
    /// Organisation's name.
    pub org: String,
    /// Bucket of the tenants that have none of their own.
    pub bucket: String,
    /// Read token.
    pub token: Secret,
}

/// `[answers.baseline]`
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Baseline {
    /// How many weeks back.
    pub weeks: u32,
    /// Fewer events in an hour say nothing.
    pub min_events: u32,
    /// A smaller difference is no alert.
    pub floor: Duration,
    /// Nor is a P99 below so many times the usual.
    pub factor: f64,
}
