//! Settings and requests for tests of this room and the next ones.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::admit::Quota;
use crate::auth::{self, Tenant};
use crate::config::{
    Bounds, Catalog, Durability, Enrich, FieldRule, FieldType, Influx, Limits, Log, LogFormat, Measurement, OriginRule,
    Profile, Require, Secret, Server, SessionMode, Settings, SpoolSettings, TenantId, TenantSettings, WriteKey,
};
use crate::outcome::Account;

use super::Context;

/// 2026-09-21T14:13:20Z and 123,456 ns: the time at which requests of tests are received.
pub(crate) const NOW: i64 = 1_790_000_000_000_123_456;
/// The same in whole milliseconds.
pub(crate) const NOW_MS: i64 = 1_790_000_000_000;

/// Settings with two static tags, a window of 30 days, and a small catalog.
pub(crate) fn settings() -> Settings {
    Settings {
        profile: Profile::Configured,
        server: Server {
            listen: ([127, 0, 0, 1], 0).into(),
            admin_listen: ([127, 0, 0, 1], 0).into(),
            workers: 1,
            drain_delay: Duration::ZERO,
            drain_timeout: Duration::ZERO,
            replicas: 1,
            max_body: 1 << 20,
            max_inflated: 8 << 20,
            max_events: 5_000,
            trusted_proxies: Vec::new(),
            proxy_secret: None,
        },
        influxdb: Some(influx()),
        enrich: Enrich {
            instance: "aks-weu-1".to_owned(),
            replica: "tagline-0".to_owned(),
            lane: 7,
            static_tags: BTreeMap::from([
                ("env".to_owned(), "prod".to_owned()),
                ("region".to_owned(), "weu".to_owned()),
            ]),
            max_clock_skew: Duration::from_secs(60),
            max_future: Duration::from_secs(60),
            user_agent: true,
            path_rules: Vec::new(),
        },
        spool: SpoolSettings {
            dir: "data".into(),
            durability: Durability::Memory,
            max_memory: 1 << 20,
            max_dead_letters: 1 << 20,
        },
        log: Log { format: LogFormat::Text, level: "info".to_owned() },
        issuers: BTreeMap::new(),
        tenants: BTreeMap::new(),
        catalog: Arc::new(catalog()),
    }
}

fn influx() -> Influx {
    Influx {
        url: "http://127.0.0.1:8086".to_owned(),
        org: "acme".to_owned(),
        bucket: Arc::from("app_observability"),
        token: Secret::from(String::new()),
        create_bucket: false,
        gzip: true,
        timeout: Duration::from_secs(10),
        retention: Duration::from_secs(30 * 86_400),
        in_flight: 2,
    }
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
    Context { tenant, received: NOW, sent_at_ms: None, user_agent: None, traceparent: None }
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
    let limits =
        Limits { points_per_second: 1_000, burst: 5_000, bytes_per_second: None, in_flight: 10, spool_share: 1.0 };
    let tenant = TenantSettings {
        bucket: None,
        disabled: false,
        require: Require::Any,
        session: SessionMode::Tag,
        keys: BTreeMap::from([("web".to_owned(), key)]),
        limits,
    };
    settings.tenants.insert(id.clone(), tenant.clone());
    let profile = auth::Profile {
        destination: Arc::from("app_observability"),
        quota: Quota::new(limits, 1, settings.server.max_events, settings.server.max_body),
        account: Account::detached(id.as_str()),
        settings: tenant,
        id,
    };
    let directory = Arc::new(auth::Directory::new([profile]));
    let authenticator = auth::Authenticator::new(settings, directory).expect("sound settings");
    let presented = auth::Presented { write_keys: vec![secret], ..auth::Presented::default() };
    authenticator.verify(&presented, NOW).expect("a good key")
}
