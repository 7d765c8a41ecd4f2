//! What Telegraf would have written beside the week: Caddy's counters, which agree with the events by host and minute, and the gateway's
//! own metrics. Straight to InfluxDB, since nobody may send these through the gateway. The shape is that of `telegraf/telegraf.conf`.

use super::events::Event;
use super::shape::{HOUR_MS, SPAN_MS, TENANTS};
use crate::support::exposition::samples;
use std::collections::BTreeMap;
use std::fmt::Write as _;

const MINUTE_MS: i64 = 60_000;

/// Scrapes are a minute apart for so long before the end, and further apart before that.
const CLOSE_MS: i64 = 2 * HOUR_MS;

/// The upper bounds of Caddy's buckets, in seconds; beyond the last one lies `+Inf`.
const BOUNDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// A label set of Caddy's: host, method, status.
type Series = (&'static str, &'static str, u16);

/// What was answered in one minute, or until one.
#[derive(Clone, Copy, Debug, Default)]
struct Answered {
    buckets: [u64; BOUNDS.len() + 1],
    micros: u64,
}

/// What Caddy answered, by series and minute.
#[derive(Debug, Default)]
pub struct Seen(BTreeMap<(Series, i64), Answered>);

impl Seen {
    /// Counts the request behind an event.
    pub fn see(&mut self, event: &Event) {
        let host = TENANTS.iter().find(|tenant| tenant.name == event.tenant).expect("one of the three").host;
        let series = (host, event.method, event.status);
        let answered = self.0.entry((series, event.time_ms / MINUTE_MS)).or_default();
        // The edge adds a little to what the backend takes.
        let millis = event.backend_ms + 2;
        let bucket = BOUNDS.iter().position(|bound| f64::from(millis) <= bound * 1000.0).unwrap_or(BOUNDS.len());
        answered.buckets[bucket] += 1;
        answered.micros += u64::from(millis) * 1000;
    }

    /// Counts what another has counted.
    pub fn join(&mut self, other: &Self) {
        for (key, theirs) in &other.0 {
            self.0.entry(*key).or_default().add(theirs);
        }
    }

    /// The lines of `caddy_http_requests`.
    pub fn lines(&self, end_ms: i64, every_ms: i64) -> Vec<String> {
        let mut all: BTreeMap<Series, BTreeMap<i64, Answered>> = BTreeMap::new();
        for ((series, minute), answered) in &self.0 {
            all.entry(*series).or_default().insert(*minute, *answered);
        }
        let mut lines = Vec::new();
        for ((host, method, status), minutes) in all {
            let mut minutes = minutes.into_iter().peekable();
            let mut total = Answered::default();
            for at in scrapes(end_ms, every_ms) {
                while let Some((_, answered)) = minutes.next_if(|(minute, _)| *minute < at / MINUTE_MS) {
                    total.add(&answered);
                }
                let tags = format!("host={host},instance=caddy-0,method={method},status_code={status}");
                total.write(&tags, at, &mut lines);
            }
        }
        lines
    }
}

impl Answered {
    fn add(&mut self, other: &Self) {
        self.buckets.iter_mut().zip(other.buckets).for_each(|(mine, theirs)| *mine += theirs);
        self.micros += other.micros;
    }

    fn write(&self, tags: &str, at: i64, lines: &mut Vec<String>) {
        let count: u64 = self.buckets.iter().sum();
        let seconds = self.micros as f64 / 1e6;
        lines.push(format!("caddy_http_requests,{tags} count={count},duration_seconds_sum={seconds} {at}000000"));
        let mut below = 0;
        for (at_bound, more) in self.buckets.iter().enumerate() {
            below += more;
            let bound = BOUNDS.get(at_bound).map_or("+Inf".to_owned(), f64::to_string);
            lines.push(format!("caddy_http_requests,{tags},le={bound} duration_seconds_bucket={below} {at}000000"));
        }
    }
}

/// When there was a scrape: on whole minutes, as Telegraf does with `round_interval`.
fn scrapes(end_ms: i64, every_ms: i64) -> impl Iterator<Item = i64> {
    let first = (end_ms - SPAN_MS) / MINUTE_MS * MINUTE_MS;
    let all = (0..).map(move |minute| first + minute * MINUTE_MS).take_while(move |at| *at <= end_ms);
    all.filter(move |at| *at > end_ms - CLOSE_MS || at % every_ms == 0 || *at == first)
}

/// The lines of `gateway_metrics` and `telegraf_internal` of the last two hours: what a gateway says of itself now, as if it had grown to
/// that all the time.
pub fn of_gateway(exposition: &str, end_ms: i64) -> Vec<String> {
    let mut lines = Vec::new();
    let samples = samples(exposition);
    let times: Vec<i64> = scrapes(end_ms, CLOSE_MS).filter(|at| *at > end_ms - CLOSE_MS).collect();
    for (number, at) in times.iter().enumerate() {
        let grown = (number + 1) as f64 / times.len() as f64;
        for sample in &samples {
            let field = sample.name.strip_prefix("tagline_").expect("all of its metrics are named so");
            let counts = ["_total", "_bucket", "_count", "_sum"].iter().any(|end| field.ends_with(end));
            let value = if counts { (sample.value * grown).floor() } else { sample.value };
            let mut tags = String::from(",replica=tagline-0");
            for (label, value) in &sample.labels {
                let tag = match label.as_str() {
                    "tenant" => "tenant_id",
                    "result" => "outcome",
                    other => other,
                };
                let _ = write!(tags, ",{tag}={}", value.replace(' ', "\\ ").replace(',', "\\,").replace('=', "\\="));
            }
            lines.push(format!("gateway_metrics{tags} {field}={value} {at}000000"));
        }
        let gathered = (number + 1) * samples.len();
        for alias in ["caddy", "tagline"] {
            lines.push(format!(
                "telegraf_internal,alias={alias},input=prometheus,instance=node-0 errors=0i,metrics_gathered={gathered}i {at}000000"
            ));
        }
        lines.push(format!(
            "telegraf_internal,instance=node-0,output=influxdb_v2 buffer_size=0i,errors=0i,metrics_dropped=0i,metrics_rejected=0i,metrics_written={gathered}i {at}000000"
        ));
    }
    lines
}
