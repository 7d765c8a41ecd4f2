//! Telegraf by `telegraf/`: what it makes of Caddy's metrics and the gateway's, and what becomes of it while InfluxDB is away.

mod gateway;
mod hosts;
mod outage;
mod requests;
mod start;

use crate::support::caddy::Caddy;
use crate::support::service::{Reply, Service};
use crate::support::telegraf::{Configuration, Setup, Telegraf};
use crate::support::{Bucket, Gateway, eventually};
use std::collections::BTreeMap;
use std::time::Duration;

/// What the tests' Telegraf calls its machine.
const MACHINE: &str = "edge-1";

/// How long what was scraped may take to stand in InfluxDB, on a busy machine.
const SOON: Duration = Duration::from_secs(30);

/// Values by series and field: `count{host=…,method=…}`.
type Values = BTreeMap<String, f64>;

/// Telegraf on a host, beside this Caddy and this gateway.
pub fn beside(caddy: &Caddy, gateway: &Gateway, bucket: &Bucket) -> Setup {
    Telegraf::writing_to(bucket, Configuration::Host)
        .variable("NODE_NAME", MACHINE)
        .variable("CADDY_METRICS_URL", caddy.metrics_url())
        .variable("TAGLINE_METRICS_URL", format!("{}/metrics", gateway.admin_url()))
        .variable("TAGLINE_ADMIN_TOKEN", ADMIN_TOKEN)
}

/// The token of the gateways' admin listeners.
const ADMIN_TOKEN: &str = "edge-admin-token-0123456789";

/// The variable that gives it to a gateway.
pub const WITH_ADMIN_TOKEN: (&str, &str) = ("TAGLINE__SERVER__ADMIN_TOKEN", ADMIN_TOKEN);

/// The customers' app: `/status/404` is answered with that status, `/delay/35` after so many milliseconds, `/broken` with nothing, and
/// everything else with 200.
pub fn app() -> Service {
    let answer = |status| Reply::Answer(status, Vec::new(), String::new());
    Service::start(move |request| match request.target.trim_start_matches('/').split_once('/') {
        Some(("status", status)) => answer(status.parse().expect("a status")),
        Some(("delay", millis)) => {
            std::thread::sleep(Duration::from_millis(millis.parse().expect("milliseconds")));
            answer(200)
        }
        None if request.target == "/broken" => Reply::HangUp,
        _ => answer(200),
    })
}

/// The key of a value in [`Values`].
fn key<'a>(field: &str, tags: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let tags: BTreeMap<_, _> = tags.into_iter().collect();
    let tags: Vec<String> = tags.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{field}{{{}}}", tags.join(","))
}

/// What a query gives: a value for each series and field.
async fn values(bucket: &Bucket, measurement: &str, pipe: &str) -> Values {
    let flux = format!("|> filter(fn: (r) => r._measurement == \"{measurement}\") {pipe}");
    let rows = bucket.select(&flux).await;
    let rows = rows.iter().map(|row| {
        let tags = row.columns().filter(|column| !column.starts_with('_')).map(|column| (column, row.text(column)));
        (key(row.text("_field"), tags), row.float("_value"))
    });
    rows.collect()
}

/// The newest value of each series and field.
async fn newest(bucket: &Bucket, measurement: &str) -> Values {
    values(bucket, measurement, "|> last()").await
}

/// Waits until InfluxDB's newest values are exactly these.
async fn become_equal(bucket: &Bucket, measurement: &str, expected: impl Fn() -> Values) {
    eventually(SOON, || async {
        let (stored, expected) = (newest(bucket, measurement).await, expected());
        let differ = |one: &Values, other: &Values| -> Vec<String> {
            one.iter().filter(|(key, value)| other.get(*key) != Some(value)).map(|(k, v)| format!("{k} {v}")).collect()
        };
        let (wrong, missing) = (differ(&stored, &expected), differ(&expected, &stored));
        if wrong.is_empty() && missing.is_empty() {
            return Ok(());
        }
        Err(format!("of {}: stored {wrong:#?}, to be {missing:#?}", expected.len()))
    })
    .await;
}

/// Waits until Telegraf has scraped both more than once: what comes from now on, it sees grow.
pub async fn scraped(bucket: &Bucket) {
    eventually(SOON, || async {
        let scrapes = bucket
            .select(
                "|> filter(fn: (r) => r._measurement == \"gateway_metrics\" and r._field == \"spool_bytes\") |> count()",
            )
            .await;
        let scrapes = scrapes.first().map_or(0, |row| row.int("_value"));
        if scrapes >= 3 { Ok(()) } else { Err(format!("{scrapes} scrapes")) }
    })
    .await;
}
