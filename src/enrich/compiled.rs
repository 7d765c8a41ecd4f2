//! The settings, laid out for the hot path.

use std::collections::HashMap;
use std::time::Duration;

use crate::clock::UnixNanos;
use crate::config::{ClientAddress, FieldRule, Measurement, PathRule, Settings};

use super::scrub::Scrubber;

/// Names that are the gateway's, InfluxDB's, or members of an event: no metric and no free tag may bear them.
const RESERVED: [&str; 12] = [
    "tenant_id",
    "session_id",
    "session_bucket",
    "session",
    "host",
    "instance",
    "trace_id",
    "client_address",
    "time",
    "measurement",
    "view_name",
    "action_name",
];

/// Whether a measurement belongs to another source, whatever the catalog says.
pub(super) fn is_reserved_measurement(name: &str) -> bool {
    ["_", "caddy_", "gateway_"].iter().any(|prefix| name.starts_with(prefix))
}

/// All rules of one generation of settings.
#[derive(Debug)]
pub(super) struct Rules {
    /// `instance` and the static tags, sorted by key.
    pub(super) static_tags: Vec<(String, String)>,
    pub(super) path_rules: Vec<PathRule>,
    pub(super) user_agent: bool,
    pub(super) client_address: ClientAddress,
    pub(super) scrubber: Scrubber,
    pub(super) lane: u16,
    /// Milliseconds.
    pub(super) max_clock_skew: i64,
    pub(super) max_future: UnixNanos,
    /// Zero: for ever.
    pub(super) retention: UnixNanos,
    measurements: HashMap<String, MeasurementRules>,
}

/// One measurement's rules.
#[derive(Debug)]
pub(super) struct MeasurementRules {
    pub(super) needs: Vec<String>,
    /// Free tags that are kept, sorted.
    tags: Vec<String>,
    /// Whether one of them can be read from the user agent.
    pub(super) agent_tags: bool,
    fields: HashMap<String, FieldRule>,
    pub(super) other_fields: bool,
}

impl Rules {
    pub(super) fn new(settings: &Settings) -> Self {
        let enrich = &settings.enrich;
        let own = enrich.static_tags.iter().filter(|(name, _)| !is_owned_name(name));
        let mut static_tags: Vec<_> = own.map(|(name, value)| (name.clone(), value.clone())).collect();
        static_tags.push(("instance".to_owned(), enrich.instance.clone()));
        static_tags.retain(|(_, value)| !value.is_empty());
        static_tags.sort();
        let known = settings.catalog.measurements.iter().filter(|(name, _)| !is_reserved_measurement(name));
        Self {
            static_tags,
            path_rules: enrich.path_rules.clone(),
            user_agent: enrich.user_agent,
            client_address: enrich.client_address,
            scrubber: Scrubber::new(enrich),
            lane: enrich.lane,
            max_clock_skew: i64::try_from(enrich.max_clock_skew.as_millis()).unwrap_or(i64::MAX),
            max_future: nanos(enrich.max_future),
            retention: settings.influxdb.as_ref().map_or(0, |influx| nanos(influx.retention)),
            measurements: known.map(|(name, rules)| (name.clone(), MeasurementRules::new(rules))).collect(),
        }
    }

    /// The rules of a measurement under its own name, if it is known.
    pub(super) fn measurement(&self, name: &str) -> Option<(&str, &MeasurementRules)> {
        self.measurements.get_key_value(name).map(|(name, rules)| (name.as_str(), rules))
    }

    /// Whether the server alone says what bears this name.
    pub(super) fn is_reserved(&self, name: &str) -> bool {
        is_owned_name(name) || self.static_tags.iter().any(|(key, _)| key == name)
    }
}

impl MeasurementRules {
    fn new(rules: &Measurement) -> Self {
        let mut tags: Vec<_> =
            rules.tags.iter().chain(&rules.needs).filter(|name| !is_owned_name(name)).cloned().collect();
        tags.sort();
        tags.dedup();
        Self {
            needs: rules.needs.clone(),
            agent_tags: tags.iter().any(|tag| matches!(tag.as_str(), "browser" | "os" | "device")),
            tags,
            fields: rules.fields.iter().map(|(name, rule)| (name.clone(), *rule)).collect(),
            other_fields: rules.other_fields,
        }
    }

    /// The free tags that a caller may set, sorted.
    pub(super) fn free_tags(&self) -> impl Iterator<Item = &str> {
        self.tags.iter().map(String::as_str)
    }

    /// Whether a caller may set this tag.
    pub(super) fn takes_tag(&self, name: &str) -> bool {
        self.tags.binary_search_by(|tag| tag.as_str().cmp(name)).is_ok()
    }

    pub(super) fn field(&self, name: &str) -> Option<FieldRule> {
        self.fields.get(name).copied()
    }
}

fn is_owned_name(name: &str) -> bool {
    name.starts_with('_') || RESERVED.contains(&name)
}

fn nanos(duration: Duration) -> UnixNanos {
    UnixNanos::try_from(duration.as_nanos()).unwrap_or(UnixNanos::MAX)
}
