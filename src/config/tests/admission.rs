//! Connections, addresses, replicas and dry runs.

use std::time::Duration;

use super::{Case, TENANT};
use crate::config::{AddressLimits, Connections, DryRun, Replicas};

#[test]
fn what_is_not_set_has_its_default_and_what_is_set_holds() {
    let server = Case::with_influxdb(TENANT).good().server;
    let seconds = Duration::from_secs;
    let connections =
        Connections { max: 20_000, per_address: 2_000, head_timeout: seconds(10), body_timeout: seconds(30) };
    assert_eq!((server.connections, server.replicas), (connections.clone(), Replicas::Fixed(1)));
    let text = format!(
        "[server]\nreplicas = \"dns:tagline-headless\"\n[server.connections]\nper_address = 0\n[server.address]\ndry_run = true\n{TENANT}"
    );
    let server = Case::with_influxdb(&text).good().server;
    assert_eq!(server.connections, Connections { per_address: 0, ..connections });
    assert_eq!(server.replicas, Replicas::Dns("tagline-headless".to_owned()));
    let address = AddressLimits { failures_per_second: 100, burst: 500, tracked: 100_000, dry_run: true };
    assert_eq!(server.address, address);
}

#[test]
fn a_limit_that_is_none_is_a_finding() {
    for (section, value, finds) in [
        ("connections", "max = 0", ""),
        ("connections", "per_address = -1", ""),
        ("connections", "head_timeout = \"0s\"", "from one second to an hour"),
        ("connections", "body_timeout = \"999ms\"", "from one second to an hour"),
        ("connections", "body_timeout = \"2h\"", "from one second to an hour"),
        ("connections", "body_timeout = 30", "a duration needs its unit"),
        ("address", "failures_per_second = 0", ""),
        ("address", "burst = 0", ""),
        ("address", "tracked = 15", ""),
        ("address", "dry_run = \"yes\"", ""),
        ("address", "per_second = 1", "unknown key"),
    ] {
        let key = value.split(' ').next().unwrap();
        let text = format!("[server.{section}]\n{value}\n{TENANT}");
        Case::with_influxdb(&text).finds(&[(&format!("settings.toml:2: server.{section}.{key}"), finds)]);
    }
}

#[test]
fn replicas_are_a_number_or_a_name() {
    for value in ["0", "10001", "\"tagline-headless\"", "\"dns:\"", "\"dns:a b\"", "true", "1.5"] {
        let text = format!("[server]\nreplicas = {value}\n{TENANT}");
        Case::with_influxdb(&text).finds(&[("settings.toml:2: server.replicas", "")]);
    }
}

#[test]
fn a_dry_run_is_of_all_limits_or_of_those_named() {
    let acme = |dry_run: &str| {
        let text = format!("[tenants.acme.limits]\n{dry_run}\n{TENANT}");
        let settings = Case::with_influxdb(&text).good();
        settings.tenants.values().next().unwrap().limits.dry_run
    };
    let all = acme("dry_run = true");
    assert!(all.points_per_second && all.bytes_per_second && all.in_flight);
    assert_eq!(acme("dry_run = false"), DryRun::default());
    let named = acme("dry_run = [\"in_flight\", \"points_per_second\"]");
    assert_eq!(named, DryRun { points_per_second: true, in_flight: true, ..DryRun::default() });
    let text = format!("[tenants.acme.limits]\ndry_run = [\"burst\"]\n{TENANT}");
    Case::with_influxdb(&text).finds(&[("settings.toml:2: tenants.acme.limits.dry_run", "")]);
}
