//! Settings and requests for tests of this room and the next ones.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::auth::{self, Tenant};
use crate::clock::Clock;
use crate::config::{
    self, Bounds, Catalog, FieldRule, FieldType, Limits, Measurement, OriginRule, Secret, Settings, TenantId,
    TenantSettings, WriteKey,
};
use crate::metrics::Metrics;
use crate::outcome::Ledger;

use super::Context;

/// 2026-09-21T14:13:20Z and 123,456 ns: the time at which requests of tests are received.
pub(crate) const NOW: i64 = 1_790_000_000_000_123_456;
/// The same in whole milliseconds.
pub(crate) const NOW_MS: i64 = 1_790_000_000_000;

/// Settings with two static tags, a window of 30 days, and a small catalog.
pub(crate) fn settings() -> Settings {
    let variables = [
        ("TAGLINE__TENANTS__ACME__KEYS__WEB__KEY", "a-key-of-the-tests-alone"),
        ("TAGLINE__TENANTS__ACME__KEYS__WEB__ORIGINS", "*"),
        ("TAGLINE__ENRICH__INSTANCE", "aks-weu-1"),
        ("INFLUXDB_URL", "http://127.0.0.1:8086"),
        ("INFLUXDB_ORG", "acme"),
        ("INFLUXDB_TOKEN", "unused"),
    ];
    let env = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let mut settings = config::load(&config::Sources { file: None, env }).expect("sound settings");
    settings.enrich.lane = 7;
    settings.enrich.static_tags = BTreeMap::from([("env", "prod"), ("region", "weu")].map(owned));
    settings.catalog = Arc::new(catalog());
    settings
}

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

fn catalog() -> Catalog {
    let strings = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let int = |max: f64| FieldRule { kind: FieldType::Int, bounds: Some(Bounds { min: 0.0, max }) };
    let open_int = FieldRule { kind: FieldType::Int, bounds: None };
    let float = FieldRule { kind: FieldType::Float, bounds: Some(Bounds { min: 0.0, max: 600_000.0 }) };
    let measurement = |needs: &[&str], tags: &[&str], fields: &[(&str, FieldRule)], other_fields| Measurement {
        needs: strings(needs),
        tags: strings(tags),
        fields: fields.iter().map(|(name, rule)| ((*name).to_owned(), *rule)).collect(),
        other_fields,
    };
    let frontend = [("duration_ms", int(600_000.0)), ("element_count", int(1e9)), ("delta", open_int)];
    let measurements = [
        (
            "frontend_performance",
            measurement(&["view_name", "action_name"], &["browser", "device", "os", "path"], &frontend, true),
        ),
        (
            "backend_api_latency",
            measurement(&["endpoint"], &["endpoint", "http_method"], &[("latency_ms", int(600_000.0))], false),
        ),
        (
            "web_vitals_lcp",
            measurement(&["path"], &["component", "connectionType", "path", "sdkVersion"], &[("value", float)], false),
        ),
        ("open", measurement(&[], &["free", "path"], &[], true)),
        ("caddy_http_requests", measurement(&[], &[], &[], true)),
    ];
    Catalog { measurements: measurements.into_iter().map(|(name, rules)| (name.to_owned(), rules)).collect() }
}

/// A request of this tenant, received [`NOW`], with no headers.
pub(crate) fn context(tenant: &Tenant) -> Context<'_> {
    Context { tenant, received: NOW, sent_at_ms: None, client: None, user_agent: None, traceparent: None }
}

/// A tenant proven by a write key that may write one measurement; the key enters the settings.
pub(crate) fn bound_to(settings: &mut Settings, id: &str, measurement: &str) -> Tenant {
    let id = TenantId::parse(id).expect("a tenant id");
    let secret = "k".repeat(32);
    let key = WriteKey {
        key: Secret::from(secret.clone()),
        origins: vec![OriginRule::Any],
        expires: None,
        measurements: vec![measurement.to_owned()],
    };
    let limits = Limits { points_per_second: 1_000, burst: 5_000, in_flight: 10, ..Limits::generous() };
    let tenant = TenantSettings { keys: BTreeMap::from([("web".to_owned(), key)]), ..TenantSettings::plain(limits) };
    settings.tenants.insert(id, tenant);
    let directory = Arc::new(auth::Directory::of(settings, &Arc::new(Ledger::default())));
    let sets =
        auth::KeySets::new(Clock::manual(NOW), Arc::new(Metrics::new().expect("metrics"))).expect("an HTTP client");
    let authenticator = auth::Authenticator::new(settings, directory, &sets).expect("sound settings");
    let presented = auth::Presented { write_keys: vec![secret], ..auth::Presented::default() };
    authenticator.verify(&presented, NOW, &|| Ok(())).expect("a good key")
}
