//! Our own telemetry: typed names and bounded labels.
//!
//! *Comes in*: typed events from the other rooms (`metrics.request(…)`), never a raw name or label. *Goes out*: the Prometheus text of
//! `/metrics`. *Never*: an unbounded label: a tenant stands in a label only among the busiest, see [`exposition`].

mod exposition;
mod scrubbed;
mod settings;

pub use exposition::TENANT_LABELS;
pub use scrubbed::ScrubRule;
pub use settings::ReloadResult;

use settings::SettingsMetrics;

use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use crate::admit::Demoted;

/// How one write to the destination ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WriteResult {
    /// Taken.
    Delivered,
    /// Refused in part or whole: split, bisected or dead-lettered.
    Refused,
    /// Not now: retried after a back-off.
    Retried,
    /// The lane or the server paused.
    Paused,
}

impl WriteResult {
    const ALL: [Self; 4] = [Self::Delivered, Self::Refused, Self::Retried, Self::Paused];

    fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Refused => "refused",
            Self::Retried => "retried",
            Self::Paused => "paused",
        }
    }
}

/// What waits in the spool, at the moment of a scrape.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct SpoolGauges {
    /// Points that wait or are in flight.
    pub points: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of the log on the disk.
    pub disk: u64,
    /// The most bytes that may wait.
    pub limit: u64,
    /// The age of the oldest point.
    pub oldest: Duration,
}

/// One tenant's series of this hour and this day, at the moment of a scrape.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SeriesGauges {
    /// As far as the budgets let them be.
    pub series: [u64; 2],
    /// The settings.
    pub budgets: [u32; 2],
}

/// What was found in the spool's log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SpoolFind {
    /// A record that waited when the last process ended.
    Recovered,
    /// A torn tail, cut off.
    Truncated,
    /// A damaged place, copied aside and skipped.
    Quarantined,
    /// A file that cannot be read, set aside.
    SetAside,
}

impl SpoolFind {
    const ALL: [Self; 4] = [Self::Recovered, Self::Truncated, Self::Quarantined, Self::SetAside];

    fn as_str(self) -> &'static str {
        match self {
            Self::Recovered => "recovered",
            Self::Truncated => "truncated",
            Self::Quarantined => "quarantined",
            Self::SetAside => "set_aside",
        }
    }
}

/// How one fetch of an issuer's keys ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyFetch {
    /// Other keys than before.
    Changed,
    /// The same keys once more.
    Unchanged,
    /// 304: the same, without a body.
    NotModified,
    /// No connection, or one that broke off.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// A redirect, which is not followed.
    Redirect,
    /// Another status than 200 and 304.
    Status,
    /// An answer above the size that is read.
    TooLarge,
    /// No set of keys.
    Malformed,
    /// A set without a key that the issuer's algorithms could use.
    NoKey,
}

impl KeyFetch {
    fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::NotModified => "not_modified",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Redirect => "redirect",
            Self::Status => "status",
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
            Self::NoKey => "no_usable_key",
        }
    }
}

/// All metrics of the process. Shared by `Arc`.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    request_seconds: Histogram,
    delivery_lag_seconds: Histogram,
    writes: IntCounterVec,
    write_seconds: Histogram,
    batch_points: Histogram,
    tags_dropped: IntCounter,
    scrubbed: IntCounterVec,
    series_demoted: IntCounterVec,
    dead_letters_evicted: IntCounter,
    spool_bytes: IntGauge,
    spool_disk_bytes: IntGauge,
    spool_limit_bytes: IntGauge,
    spool_points: IntGauge,
    spool_oldest_seconds: prometheus::Gauge,
    fsync_seconds: Histogram,
    spool_records: IntCounterVec,
    settings: SettingsMetrics,
    jwks_fetches: IntCounterVec,
}

impl Metrics {
    /// Registers everything. An error means two metrics of one name: a mistake in this file.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let metrics = Self {
            requests: IntCounterVec::new(
                Opts::new("tagline_http_requests_total", "Requests to the ingest routes, by status"),
                &["status"],
            )?,
            request_seconds: Histogram::with_opts(
                HistogramOpts::new("tagline_http_request_seconds", "From the request's head to its answer")
                    .buckets(vec![0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0]),
            )?,
            delivery_lag_seconds: Histogram::with_opts(
                HistogramOpts::new("tagline_delivery_lag_seconds", "From acceptance to the destination's confirmation")
                    .buckets(vec![0.1, 0.25, 0.5, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0]),
            )?,
            writes: IntCounterVec::new(
                Opts::new("tagline_writes_total", "Writes to the destination, by how they ended"),
                &["result"],
            )?,
            write_seconds: Histogram::with_opts(
                HistogramOpts::new("tagline_write_seconds", "One write to the destination")
                    .buckets(vec![0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0]),
            )?,
            batch_points: Histogram::with_opts(
                HistogramOpts::new("tagline_batch_points", "Points in one delivered batch")
                    .buckets(vec![1.0, 10.0, 50.0, 100.0, 500.0, 1000.0, 2500.0, 5000.0]),
            )?,
            tags_dropped: IntCounter::new(
                "tagline_tags_dropped_total",
                "Free tags left out because the catalog does not list them (the points were kept)",
            )?,
            scrubbed: IntCounterVec::new(
                Opts::new("tagline_scrubbed_total", "Strings in which a scrub rule found something, by rule"),
                &["rule"],
            )?,
            series_demoted: IntCounterVec::new(
                Opts::new(
                    "tagline_series_demoted_total",
                    "What was kept with less detail, for a tenant's budget of series: points by step, and names of metrics",
                ),
                &["step"],
            )?,
            dead_letters_evicted: IntCounter::new(
                "tagline_dead_letters_evicted_total",
                "Dead letters deleted because spool.max_dead_letters was reached (their points stay counted as dead_lettered)",
            )?,
            spool_bytes: IntGauge::new("tagline_spool_bytes", "Line protocol that waits for delivery")?,
            spool_disk_bytes: IntGauge::new(
                "tagline_spool_disk_bytes",
                "The log on the disk: what waits, and what has ended beside it and cannot go yet",
            )?,
            spool_limit_bytes: IntGauge::new("tagline_spool_limit_bytes", "The most that may wait")?,
            spool_points: IntGauge::new("tagline_spool_points", "Points that wait for delivery")?,
            spool_oldest_seconds: prometheus::Gauge::new(
                "tagline_spool_oldest_seconds",
                "Age of the oldest point that waits",
            )?,
            fsync_seconds: Histogram::with_opts(
                HistogramOpts::new(
                    "tagline_spool_fsync_seconds",
                    "One fdatasync of the spool's log, for all requests that waited for it",
                )
                .buckets(vec![
                    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
                ]),
            )?,
            spool_records: IntCounterVec::new(
                Opts::new(
                    "tagline_spool_records_total",
                    "Finds in the spool's log: records recovered at a start, torn tails truncated, damaged places quarantined, files set aside",
                ),
                &["found"],
            )?,
            settings: SettingsMetrics::new()?,
            jwks_fetches: IntCounterVec::new(
                Opts::new("tagline_jwks_fetches_total", "Fetches of issuers' published keys, by how they ended"),
                &["result"],
            )?,
            registry,
        };
        metrics.register()?;
        metrics.begin_at_zero();
        Ok(metrics)
    }

    /// Makes the rows of closed lists: to Prometheus a row that begins with its first event has not grown, so that `rate` and
    /// `increase` would miss it.
    fn begin_at_zero(&self) {
        STATUSES.iter().for_each(|status| drop(self.requests.with_label_values(&[status_label(*status)])));
        WriteResult::ALL.iter().for_each(|result| drop(self.writes.with_label_values(&[result.as_str()])));
        SpoolFind::ALL.iter().for_each(|find| drop(self.spool_records.with_label_values(&[find.as_str()])));
        for (step, _) in Demoted::default().steps() {
            drop(self.series_demoted.with_label_values(&[step]));
        }
    }

    fn register(&self) -> Result<(), prometheus::Error> {
        let build = IntGauge::with_opts(
            Opts::new("tagline_build_info", "1, with the version as a label")
                .const_label("version", env!("CARGO_PKG_VERSION")),
        )?;
        build.set(1);
        self.registry.register(Box::new(build))?;
        self.settings.register(&self.registry)?;
        self.registry.register(Box::new(self.requests.clone()))?;
        self.registry.register(Box::new(self.request_seconds.clone()))?;
        self.registry.register(Box::new(self.delivery_lag_seconds.clone()))?;
        self.registry.register(Box::new(self.writes.clone()))?;
        self.registry.register(Box::new(self.write_seconds.clone()))?;
        self.registry.register(Box::new(self.batch_points.clone()))?;
        self.registry.register(Box::new(self.tags_dropped.clone()))?;
        self.registry.register(Box::new(self.scrubbed.clone()))?;
        self.registry.register(Box::new(self.series_demoted.clone()))?;
        self.registry.register(Box::new(self.dead_letters_evicted.clone()))?;
        self.registry.register(Box::new(self.spool_bytes.clone()))?;
        self.registry.register(Box::new(self.spool_disk_bytes.clone()))?;
        self.registry.register(Box::new(self.spool_limit_bytes.clone()))?;
        self.registry.register(Box::new(self.spool_points.clone()))?;
        self.registry.register(Box::new(self.spool_oldest_seconds.clone()))?;
        self.registry.register(Box::new(self.fsync_seconds.clone()))?;
        self.registry.register(Box::new(self.spool_records.clone()))?;
        self.registry.register(Box::new(self.jwks_fetches.clone()))
    }

    /// A request to an ingest route was answered.
    pub fn request(&self, status: u16, took: Duration) {
        self.requests.with_label_values(&[status_label(status)]).inc();
        self.request_seconds.observe(took.as_secs_f64());
    }

    /// One write to the destination ended.
    pub fn write(&self, result: WriteResult, took: Duration) {
        self.writes.with_label_values(&[result.as_str()]).inc();
        self.write_seconds.observe(took.as_secs_f64());
    }

    /// A batch was delivered; `lag` since its oldest point was accepted.
    pub fn delivered(&self, points: u64, lag: Duration) {
        self.batch_points.observe(points as f64);
        self.delivery_lag_seconds.observe(lag.as_secs_f64());
    }

    /// A scrub rule found something in so many strings.
    pub fn scrubbed(&self, rule: ScrubRule, strings: u64) {
        self.scrubbed.with_label_values(&[rule.as_str()]).inc_by(strings);
    }

    /// Dead letters were deleted to stay within the bound.
    pub fn dead_letters_evicted(&self, letters: u64) {
        self.dead_letters_evicted.inc_by(letters);
    }

    /// The spool's log was made durable.
    pub fn fsync(&self, took: Duration) {
        self.fsync_seconds.observe(took.as_secs_f64());
    }

    /// Something was found in the spool's log, so many times.
    pub fn spool_found(&self, find: SpoolFind, count: u64) {
        self.spool_records.with_label_values(&[find.as_str()]).inc_by(count);
    }

    /// One fetch of an issuer's keys ended.
    pub fn issuer_keys_fetched(&self, result: KeyFetch) {
        self.jwks_fetches.with_label_values(&[result.as_str()]).inc();
    }

    /// Free tags were left out.
    pub fn tags_dropped(&self, count: u64) {
        self.tags_dropped.inc_by(count);
    }

    /// Points were kept with less detail.
    pub fn series_demoted(&self, demoted: &Demoted) {
        for (step, count) in demoted.steps() {
            if count > 0 {
                self.series_demoted.with_label_values(&[step]).inc_by(count);
            }
        }
    }
}

/// What the ingest routes answer with, and `other`.
const STATUSES: [u16; 14] = [200, 202, 204, 400, 401, 403, 404, 405, 408, 413, 415, 429, 503, 0];

/// The statuses that the ingest routes answer with; anything else would be a label of its own making.
fn status_label(status: u16) -> &'static str {
    match status {
        200 => "200",
        202 => "202",
        204 => "204",
        400 => "400",
        401 => "401",
        403 => "403",
        404 => "404",
        405 => "405",
        408 => "408",
        413 => "413",
        415 => "415",
        429 => "429",
        503 => "503",
        _ => "other",
    }
}
