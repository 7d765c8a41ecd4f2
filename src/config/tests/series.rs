//! The budgets of series, and how sessions are stored.

use super::{Case, TENANT};
use crate::config::{DryRun, SessionMode, Settings};

fn acme(settings: &Settings) -> &crate::config::TenantSettings {
    settings.tenants.iter().find(|(id, _)| id.as_str() == "acme").map(|(_, tenant)| tenant).unwrap()
}

#[test]
fn a_budget_of_series_is_the_tenants_or_the_defaults() {
    let settings = Case::with_influxdb(TENANT).good();
    let limits = acme(&settings).limits;
    assert_eq!((limits.series_per_hour, limits.series_per_day), (50_000, 200_000));
    let text = format!(
        "[tenant_defaults.limits]\nseries_per_hour = 7\nseries_per_day = 8\n[tenants.acme.limits]\nseries_per_day = 9\n{TENANT}"
    );
    let settings = Case::with_influxdb(&text).good();
    let limits = acme(&settings).limits;
    assert_eq!((limits.series_per_hour, limits.series_per_day), (7, 9));
    assert_eq!(settings.tenant_defaults.tenant.limits.series_per_day, 8);
}

#[test]
fn a_budget_that_is_none_is_a_finding() {
    for (value, line) in [
        ("series_per_hour = 0", "settings.toml:2: tenants.acme.limits.series_per_hour"),
        ("series_per_day = 10000001", "settings.toml:2: tenants.acme.limits.series_per_day"),
        ("series_per_day = \"many\"", "settings.toml:2: tenants.acme.limits.series_per_day"),
        ("series_per_week = 5", "settings.toml:2: tenants.acme.limits.series_per_week: unknown key"),
        ("dry_run = [\"series\"]", "settings.toml:2: tenants.acme.limits.dry_run"),
    ] {
        Case::with_influxdb(&format!("[tenants.acme.limits]\n{value}\n{TENANT}")).finds(&[(line, "")]);
    }
}

#[test]
fn a_dry_run_is_for_all_limits_or_for_those_that_are_named() {
    let dry = |value: &str| {
        let text = format!("[tenants.acme.limits]\ndry_run = {value}\n{TENANT}");
        acme(&Case::with_influxdb(&text).good()).limits.dry_run
    };
    assert_eq!(dry("[\"series_per_day\"]"), DryRun { series_per_day: true, ..DryRun::default() });
    assert!(dry("true").series_per_hour && dry("true").series_per_day);
    assert_eq!(dry("false"), DryRun::default());
}

#[test]
fn sessions_are_stored_as_the_tenant_says_or_the_defaults_or_all() {
    let mode = |text: &str| acme(&Case::with_influxdb(&format!("{text}\n{TENANT}")).good()).session;
    assert_eq!(mode(""), SessionMode::Tag);
    assert_eq!(mode("[enrich]\nsession = \"field\""), SessionMode::Field);
    let below = "[enrich]\nsession = \"field\"\n[tenant_defaults]\nsession = \"hash:16\"";
    assert_eq!(mode(below), SessionMode::Hash(16));
    assert_eq!(mode(&format!("{below}\n[tenants.acme]\nsession = \"tag\"")), SessionMode::Tag);
    let wrong = format!("[tenants.acme]\nsession = \"hash:0\"\n{TENANT}");
    Case::with_influxdb(&wrong).finds(&[("settings.toml:2: tenants.acme.session", "")]);
}
