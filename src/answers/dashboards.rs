//! Dashboards: what `dashboards/*.toml` says, as Grafana's JSON and as a template of InfluxDB's.
//!
//! In: the sources, which are compiled in, and where things are ([`Place`]). Out: files. Each panel asks a script of `flux/queries`, whose inputs
//! are bound to the dashboard's variables. `grafana/` and `influxdb/` of this repository are made here for a place as the default settings
//! have it (`UPDATE_DOCS=1 cargo test --lib answers::`); `tagline dashboards` makes them for the settings at hand.
//!
//! *Never*: a variable's value in Flux in a form that can end itself. View, action and session names are chosen by those who send them.

mod flux;
mod grafana;
mod influxdb;
mod source;
#[cfg(test)]
mod tests;

use thiserror::Error;

use crate::config::Installation;

pub use source::Sources;

/// The id that the provisioned data source has, and that the dashboards look for first.
const DATA_SOURCE: &str = "tagline-influxdb";

/// Where a trace is looked at when the settings do not say: Jaeger on one's own machine.
const TRACE_URL: &str = "http://localhost:16686/trace/{trace_id}";

/// A mistake in `dashboards/*.toml`, with its place.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("dashboards/{file}.toml: {what}")]
pub struct Fault {
    file: String,
    what: String,
}

impl Fault {
    fn new(file: &str, what: impl Into<String>) -> Self {
        Self { file: file.to_owned(), what: what.into() }
    }
}

/// Where things are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// Where events are written; the first is the default.
    pub buckets: Vec<String>,
    /// Where the rollups are.
    pub rollup_bucket: String,
    /// Where a trace is looked at, with `{trace_id}`.
    pub trace_url: String,
}

impl Place {
    /// As settings say it.
    pub fn of(settings: &Installation) -> Self {
        let mut own: Vec<&str> = settings.tenants.iter().filter_map(|tenant| tenant.bucket.as_deref()).collect();
        own.sort_unstable();
        own.dedup();
        own.retain(|bucket| *bucket != settings.bucket);
        Self {
            buckets: std::iter::once(settings.bucket.as_str()).chain(own).map(str::to_owned).collect(),
            rollup_bucket: settings.answers.rollup_bucket.clone(),
            trace_url: settings.answers.trace_url.clone().unwrap_or_else(|| TRACE_URL.to_owned()),
        }
    }

    /// What stands before a trace's id, and what behind it.
    fn around_trace_id(&self) -> (&str, &str) {
        self.trace_url.split_once("{trace_id}").unwrap_or((&self.trace_url, ""))
    }
}

/// A file that was made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Made {
    /// Below the folder where all of them go.
    pub path: String,
    /// All of it.
    pub text: String,
}

/// All files: Grafana's dashboards and how it is provisioned with them, and InfluxDB's template.
///
/// # Errors
/// A mistake in the sources; those compiled in have none.
pub fn files(sources: &Sources, place: &Place) -> Result<Vec<Made>, Fault> {
    let mut made = Vec::new();
    for dashboard in &sources.dashboards {
        let text = pretty(&grafana::dashboard(sources, dashboard, place)?);
        made.push(Made { path: format!("grafana/dashboards/{}.json", dashboard.uid), text });
    }
    made.extend(
        grafana::PROVISIONING
            .iter()
            .map(|(path, text)| Made { path: format!("grafana/provisioning/{path}"), text: (*text).to_owned() }),
    );
    let text = pretty(&influxdb::template(sources, place)?);
    made.push(Made { path: "influxdb/template.json".to_owned(), text });
    Ok(made)
}

fn pretty(value: &serde_json::Value) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("what was just made of text and numbers is JSON");
    text.push('\n');
    text
}
