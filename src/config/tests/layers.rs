//! How layers lie above each other, and that nothing shows a secret.

use std::time::Duration;

use secrecy::ExposeSecret;

use super::{Case, INFLUXDB, TENANT};
use crate::config::{FieldType, SessionMode, TenantId};

#[test]
fn a_measurement_of_ones_own_does_not_erase_the_default_catalog() {
    let text = "[measurements.checkout]\nfields.total = { min = 0 }\n[measurements.frontend_performance]\nfields.duration_ms.max = 5\n";
    let catalog = Case::with_influxdb(&format!("{text}{TENANT}")).good().catalog;
    assert_eq!(catalog.get("checkout").unwrap().fields["total"].kind, FieldType::Float);
    assert!(catalog.get("checkout").unwrap().other_fields);
    assert!(catalog.get("web_vitals_lcp").is_some() && catalog.get("backend_api_latency").is_some());
    let merged = catalog.get("frontend_performance").unwrap();
    assert_eq!(merged.needs, ["view_name", "action_name"]);
    let duration = merged.fields["duration_ms"];
    assert_eq!((duration.kind, duration.bounds.unwrap().min, duration.bounds.unwrap().max), (FieldType::Int, 0.0, 5.0));
    assert!(merged.fields.contains_key("element_count"));
}

#[test]
fn what_a_measurement_needs_its_callers_may_send() {
    let catalog = Case::empty().good().catalog;
    assert_eq!(catalog.get("backend_api_latency").unwrap().tags, ["endpoint", "http_method", "status_code"]);
    assert!(!catalog.get("frontend_performance").unwrap().tags.contains(&"view_name".to_owned()));
}

#[test]
fn a_tenant_of_the_tenants_file_merges_with_the_file_that_names_it() {
    let file = "tenants_file = \"more/tenants.toml\"\n[tenants.AcmeCo]\nbucket = \"a\"\nsession = \"field\"\n";
    let more = "[tenants.AcmeCo]\nbucket = \"b\"\n[tenant_defaults]\nrequire = \"jwt\"\n[tenants.acmeco]\n";
    let settings = Case::with_influxdb(file).beside("more/tenants.toml", more).good();
    let ids: Vec<&str> = settings.tenants.keys().map(TenantId::as_str).collect();
    assert_eq!(ids, ["AcmeCo", "acmeco"], "a tenant's id keeps its case");
    let tenant = &settings.tenants[&TenantId::parse("AcmeCo").unwrap()];
    assert_eq!((tenant.bucket.as_deref(), tenant.session), (Some("b"), SessionMode::Field));
    assert_eq!(tenant.require, crate::config::Require::Jwt);
}

#[test]
fn a_variable_lies_above_all_files_and_finds_a_name_in_its_case() {
    let file = format!("[server]\ndrain_delay = \"1s\"\nmax_events = 10\n[tenants.AcmeCo]\n{TENANT}");
    let settings = Case::with_influxdb(&file)
        .env(&[
            ("TAGLINE__SERVER__DRAIN_DELAY", "1m 30s"),
            ("TAGLINE__TENANTS__ACMECO__DISABLED", "true"),
            ("TAGLINE__TENANTS__NEW_ONE__LIMITS__SPOOL_SHARE", "1"),
            ("TAGLINE__SERVER__TRUSTED_PROXIES", "10.0.0.7, 10.1.2.3/16"),
            ("TAGLINE__SERVER__PROXY_SECRET", "sixteen-characters"),
            ("TAGLINE__SERVER__MAX_BODY", "2048"),
            ("TAGLINE_PORT", "tcp://10.0.0.1:80"),
        ])
        .good();
    assert_eq!(settings.server.drain_delay, Duration::from_secs(90));
    assert_eq!((settings.server.max_events, settings.server.max_body), (10, 2048));
    let networks: Vec<String> = settings.server.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.0.0.7/32", "10.1.0.0/16"]);
    let ids: Vec<&str> = settings.tenants.keys().map(TenantId::as_str).collect();
    assert_eq!(ids, ["AcmeCo", "acme", "new_one"]);
    assert!(settings.tenants[&TenantId::parse("AcmeCo").unwrap()].disabled);
    assert!((settings.tenants[&TenantId::parse("new_one").unwrap()].limits.spool_share - 1.0).abs() < f64::EPSILON);
}

#[test]
fn a_tenants_limits_fall_back_one_by_one() {
    let text = "[tenant_defaults]\nsession = \"hash:64\"\n[tenant_defaults.limits]\nburst = 7000\nbytes_per_second = \"1MiB\"\n\
                [tenants.a.limits]\npoints_per_second = 1\n[tenants.b]\nsession = \"tag\"\n";
    let settings = Case::with_influxdb(text).good();
    let of = |id| &settings.tenants[&TenantId::parse(id).unwrap()];
    let limits = of("a").limits;
    assert_eq!(
        (limits.points_per_second, limits.burst, limits.bytes_per_second, limits.in_flight),
        (1, 7000, Some(1 << 20), 256)
    );
    assert_eq!((of("a").session, of("b").session), (SessionMode::Hash(64), SessionMode::Tag));
}

#[test]
fn nothing_shows_a_secret() {
    let secrets = [
        "the-token-nobody-sees",
        "wk_acme_0123456789",
        "proxy-secret-nobody-sees",
        "hmac-secret-that-nobody-sees-0123456789",
    ];
    let text = format!(
        "[server]\ntrusted_proxies = [\"10.0.0.1\"]\nproxy_secret_file = \"p\"\n[issuers.a]\nissuer = \"i\"\naudience = \"t\"\n\
         algorithms = [\"HS256\"]\nhmac_secret_file = \"h\"\n{TENANT}"
    );
    let case = Case::with_influxdb(&text).beside("p", "proxy-secret-nobody-sees\n").beside("h", secrets[3]);
    let settings = case.good();
    assert_eq!(settings.server.proxy_secrets[0].expose_secret(), secrets[2], "a trailing line break does not count");
    let shown =
        format!("{settings:?} {settings:#?} {:?}", crate::config::Sources { file: None, env: case.env.clone() });
    for secret in secrets {
        assert!(!shown.contains(secret), "{secret} is shown");
    }
    assert!(shown.contains("INFLUXDB_TOKEN"));
    // The dev profile's key too.
    let dev = Case::empty().env(&INFLUXDB).good();
    let key = dev.tenants.values().next().unwrap().keys["demo"].key.expose_secret();
    assert!(!format!("{dev:?}").contains(key));
}
