//! A week of three tenants in which one cause hides, made anew so that it ends now: what the queries, tasks and dashboards are tried on.
//!
//! [`week()`] is written once for the whole run, through a gateway of its own, and shared: read it, and write nothing to its buckets. What
//! was sent is kept ([`Week::events`]), so that a test can say without InfluxDB what is right ([`Week::exact_quantile`]).
//!
//! Who the tenants are and what they do is in [`shape`], the cause too ([`CAUSE`]), and the decoys: a region that is slow for all tenants,
//! a slow view that one of them uses more, a tenant that is a little slower in everything.

mod bodies;
mod edge;
mod events;
pub mod rollup;
pub mod sending;
pub mod shape;

pub use events::{EVENTS_OF_A_SESSION, Event, Generator, Session, Vital};
pub use rollup::Step;
pub use sending::Sent;
pub use shape::{CAUSE, HOUR_MS, SPAN_MS, TENANTS};

use super::gateway::{Gateway, IN_MEMORY};
use super::influx::{Bucket, influx};
use super::{eventually, now_ms};
use std::panic::resume_unwind;
use std::sync::OnceLock;
use std::time::Duration;

/// About so many events are in [`week()`].
const EVENTS: u64 = 100_000;

/// What it is drawn from.
pub const SEED: u64 = 20_260_101;

/// How long its delivery may take on a busy machine.
const DELIVERY: Duration = Duration::from_secs(120);

/// The week that all tests share.
pub fn week() -> &'static Week {
    static SHARED: OnceLock<Option<Week>> = OnceLock::new();
    once(&SHARED, || Week::make(EVENTS))
}

/// The same, whose rollup bucket has the hours of all of it and the minutes of its last day.
pub fn week_with_rollups() -> &'static Week {
    static ROLLED_UP: OnceLock<Option<()>> = OnceLock::new();
    let week = week();
    once(&ROLLED_UP, || async {
        week.roll_up(Step::Minute, week.end_ms - 24 * HOUR_MS).await;
        week.roll_up(Step::Hour, 0).await;
    });
    week
}

/// Makes what is shared. Who asks first is in a runtime already, so it is made by a thread of its own; where that fails, its panic is the first
/// one's, and all others fail too.
fn once<T: Send + Sync, F: Future<Output = T>>(
    shared: &'static OnceLock<Option<T>>,
    make: impl FnOnce() -> F + Send,
) -> &'static T {
    let mut failed = None;
    let made = shared.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let made = std::thread::scope(|scope| scope.spawn(move || runtime.block_on(make())).join());
        made.map_err(|panic| failed = Some(panic)).ok()
    });
    if let Some(panic) = failed {
        resume_unwind(panic);
    }
    made.as_ref().expect("it could not be made: the first test that asked for it says why")
}

/// A week that is stored, and what is in it.
#[derive(Debug)]
pub struct Week {
    /// What was sent, and what Telegraf would have written beside it.
    pub bucket: Bucket,
    /// For the rollups of it: empty until somebody asks for [`week_with_rollups()`].
    pub rollup_bucket: Bucket,
    /// When it ends, in milliseconds since 1970: just before it was sent.
    pub end_ms: i64,
    sent: Sent,
}

impl Week {
    async fn make(events: u64) -> Self {
        let (bucket, rollup_bucket) = (influx().bucket("week"), influx().bucket("week-rollup"));
        let generator = Generator::new(SEED, now_ms(), events);
        let quick = [IN_MEMORY, ("TAGLINE__INFLUXDB__GZIP", "false")];
        let mut gateway = Gateway::start_with(&sending::settings(&bucket), &quick).await;
        let address = gateway.address();
        let mut sent = sending::send(&generator, address, true, &|_| ());
        sending::send_refused(&mut sent, address);
        sent.events.sort_by_key(|event| (event.time_ms, event.session, event.seq));
        delivered(&gateway, &sent, DELIVERY).await;
        sending::write_edge(&bucket, &gateway, &sent, generator.end_ms, HOUR_MS).await;
        // As it ends it writes its outcomes.
        gateway.sigterm();
        let ended = gateway.wait_exit(DELIVERY).await;
        assert!(ended.success(), "{ended}: {}", gateway.log());
        Self { bucket, rollup_bucket, end_ms: generator.end_ms, sent }
    }

    /// Writes rollups of it since a moment.
    async fn roll_up(&self, step: Step, from_ms: i64) {
        sending::write(&self.rollup_bucket, &self.sent.durations.lines(step, from_ms, self.end_ms)).await;
    }

    /// All events of browsers, by time.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.sent.events.iter()
    }

    /// How many events of browsers a tenant sent.
    pub fn count(&self, tenant: &str) -> u64 {
        self.sent.counts[tenant]
    }

    /// How many points of a tenant came through the gateway: events, what the backend told, web vitals.
    pub fn points(&self, tenant: &str) -> u64 {
        self.sent.points[tenant]
    }

    /// How many items of a tenant the gateway refused.
    pub fn refused(&self, tenant: &str) -> u64 {
        self.sent.refused[tenant]
    }

    /// The quantile of the durations of some events, by nearest rank: one of the durations, in ms.
    #[track_caller]
    pub fn exact_quantile(&self, q: f64, which: impl Fn(&Event) -> bool) -> f64 {
        let durations = self.durations(which);
        let rank = (q * durations.len() as f64).ceil().max(1.0) as usize;
        f64::from(durations[rank - 1])
    }

    /// The same, between the two nearest durations by where it lies.
    #[track_caller]
    pub fn linear_quantile(&self, q: f64, which: impl Fn(&Event) -> bool) -> f64 {
        let durations = self.durations(which);
        let at = q * (durations.len() - 1) as f64;
        let [low, high] = [at.floor(), at.ceil()].map(|rank| f64::from(durations[rank as usize]));
        low + (high - low) * at.fract()
    }

    /// The durations of some events, in order; fails the test if there are none.
    #[track_caller]
    pub fn durations(&self, which: impl Fn(&Event) -> bool) -> Vec<u32> {
        let mut durations: Vec<u32> =
            self.events().filter(|event| which(event)).map(|event| event.duration_ms).collect();
        assert!(!durations.is_empty(), "no event is one of those");
        durations.sort_unstable();
        durations
    }
}

/// Waits until InfluxDB has confirmed all of it.
pub async fn delivered(gateway: &Gateway, sent: &Sent, within: Duration) {
    eventually(within, || async {
        let ledger = gateway.admin_json("/admin/ledger");
        for (tenant, points) in &sent.points {
            let row = &ledger["tenants"][tenant];
            if row["outcomes"]["delivered"] != *points || row["pending"] != 0 {
                return Err(format!("{tenant}: {points} points are to be delivered: {row}"));
            }
        }
        Ok(())
    })
    .await;
}
