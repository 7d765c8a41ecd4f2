//! Caddy's and Telegraf's own judgement of what an overlay gives them: the files, variables and secrets of their containers.

use super::mounted::Mounted;
use crate::support::authority::Authority;
use crate::support::manifests::{EXTENDED, OVERLAYS, items, manifests, text};
use crate::support::server_binary;
use std::process::Command;

/// What a program says of what its container has, and whether it takes it.
fn run(program: &str, arguments: &[String], mounted: &Mounted) -> (bool, String) {
    let binary = server_binary(program).unwrap_or_else(|error| panic!("{error}"));
    let output = Command::new(binary)
        .args(arguments)
        .env_clear()
        .envs(mounted.environment())
        // As Caddy's image says: both are mounted.
        .envs([("XDG_DATA_HOME", mounted.path("/data")), ("XDG_CONFIG_HOME", mounted.path("/config"))])
        .current_dir(mounted.path("/"))
        .output()
        .unwrap_or_else(|error| panic!("{program} does not run: {error}"));
    let said = [&output.stdout, &output.stderr].map(|stream| String::from_utf8_lossy(stream).into_owned());
    (output.status.success(), said.concat())
}

/// The arguments of Caddy's container, but to look at all of it in place of running.
fn validate(overlay: &str, mounted: &Mounted) -> (bool, String) {
    let caddy = manifests(overlay).workload("caddy");
    let arguments: Vec<_> = items(&caddy.container()["args"]).iter().map(text).collect();
    assert_eq!(arguments[..2], ["caddy", "run"], "{overlay}");
    let place = |word: &&str| match word.starts_with('/') {
        true => mounted.path(word).display().to_string(),
        false => (*word).to_owned(),
    };
    let rest = arguments[2..].iter().map(place);
    run("caddy", &["validate".to_owned()].into_iter().chain(rest).collect::<Vec<_>>(), mounted)
}

/// The certificate as a Key Vault gives it: the key, the certificate and its chain, in one file.
fn certificate() -> Vec<String> {
    let authority = Authority::new();
    let issued = authority.issue("*.app.example");
    let parts = [issued.key, issued.certificate, authority.certificate()];
    parts.map(|part| String::from_utf8(part).expect("PEM is text")).into()
}

#[test]
fn caddy_takes_what_every_overlay_gives_it() {
    for overlay in OVERLAYS.into_iter().chain([EXTENDED]) {
        let mut mounted = Mounted::of(manifests(overlay), "caddy");
        if overlay != "local" {
            let (taken, said) = validate(overlay, &mounted);
            assert!(!taken && said.contains("certificate"), "what is no certificate is none: {said}");
            mounted.write("/etc/caddy/secrets/tls.pem", &certificate().concat());
        }
        let (taken, said) = validate(overlay, &mounted);
        assert!(taken, "{overlay}: {said}");
        mounted.unset("CADDY_SITES");
        let (taken, said) = validate(overlay, &mounted);
        assert!(!taken, "{overlay}, without sites: {said}");
    }
}

#[test]
fn telegraf_takes_what_every_overlay_gives_it() {
    for overlay in OVERLAYS {
        let mut mounted = Mounted::of(manifests(overlay), "telegraf");
        let file = mounted.path("/etc/telegraf/telegraf.conf").display().to_string();
        let check = ["config", "check", "--strict-env-handling", "--config", &file].map(str::to_owned);
        let (taken, said) = run("telegraf", &check, &mounted);
        assert!(taken, "{overlay}: {said}");
        for name in ["INFLUXDB_TOKEN", "NODE_NAME"] {
            mounted.unset(name);
            let (taken, said) = run("telegraf", &check, &mounted);
            assert!(!taken && said.contains(name), "{overlay}, without {name}: {said}");
            mounted.variables.push((name.to_owned(), "again".to_owned()));
        }
    }
}
