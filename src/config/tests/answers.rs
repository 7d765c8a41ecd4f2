//! `[answers]`, and what of `[influxdb]` reading takes.

use std::time::Duration;

use super::super::load_without_destination;
use super::{Case, Sources, TENANT};

#[test]
fn a_trace_url_names_its_place_for_the_id() {
    let settings =
        Case::with_influxdb(&format!("[answers]\ntrace_url = \"https://t.example/trace/{{trace_id}}\"\n{TENANT}"));
    assert_eq!(settings.good().answers.trace_url.as_deref(), Some("https://t.example/trace/{trace_id}"));
    for wrong in
        ["t.example/{trace_id}", "https://t.example/", "https://{trace_id}", "https://t.example/{trace_id}\\\"x"]
    {
        let text = format!("[answers]\ntrace_url = \"{wrong}\"\n{TENANT}");
        Case::with_influxdb(&text).finds(&[("settings.toml:2: answers.trace_url: ", "{trace_id}")]);
    }
}

#[test]
fn an_alert_url_is_one_and_is_never_echoed() {
    for (url, good) in
        [("http://am:9093/api/v2/alerts", true), ("am:9093", false), ("http:///pager", false), ("http://a b", false)]
    {
        let case = Case::with_influxdb(TENANT).env(&[("TAGLINE__ANSWERS__ALERT_URL", url)]);
        if good {
            assert!(case.good().answers.alert_url.is_some());
        } else {
            let findings = case.findings();
            assert!(
                findings.len() == 1 && findings[0].contains("answers.alert_url") && !findings[0].contains(url),
                "{findings:?}"
            );
        }
    }
}

#[test]
fn who_only_asks_needs_no_token_to_write() {
    let env = [("INFLUXDB_URL", "http://i:8086"), ("INFLUXDB_ORG", "o"), ("INFLUXDB_READ_TOKEN", "r")];
    let case = Case::empty().env(&env);
    let sources = Sources { file: None, env: case.env.clone() };
    let settings = load_without_destination(&sources).unwrap_or_else(|findings| panic!("{findings}"));
    let source = settings.answers.source.expect("a source");
    assert_eq!(
        (source.url.as_str(), source.org.as_str(), source.bucket.as_str()),
        ("http://i:8086", "o", "app_observability")
    );
    assert!(settings.influxdb.is_none());
    // Half of it is a mistake to whoever writes.
    Case::of(TENANT).env(&env).finds(&[("INFLUXDB_URL: influxdb", "INFLUXDB_TOKEN")]);
}

#[test]
fn a_tenant_is_expected_by_itself_or_by_the_defaults() {
    let text = format!("[tenant_defaults]\nexpect_within = \"1h\"\n[tenants.b]\nexpect_within = \"5m\"\n{TENANT}");
    let settings = Case::with_influxdb(&text).good();
    let minutes: Vec<_> =
        settings.tenants.values().map(|tenant| tenant.expect_within.map(|d| d.as_secs() / 60)).collect();
    assert_eq!(minutes, [Some(60), Some(5)]);
    assert_eq!(settings.tenant_defaults.tenant.expect_within, None, "an unlisted tenant is not expected");
    assert_eq!(Case::with_influxdb(TENANT).good().tenants.values().next().unwrap().expect_within, None::<Duration>);
    Case::with_influxdb(&format!("[tenants.b]\nexpect_within = \"10s\"\n{TENANT}"))
        .finds(&[("settings.toml:2: tenants.b.expect_within", "at least a minute")]);
}
