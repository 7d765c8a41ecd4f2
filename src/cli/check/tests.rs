//! What `tagline check` prints, and how it ends.

mod token;

use super::{CheckArgs, run};
use crate::cli::Failure;
use crate::clock::Clock;
use crate::config::Sources;

fn check(text: Option<&str>, env: &[(&str, &str)]) -> (String, u8) {
    let dir = tempfile::TempDir::new().unwrap();
    let file = text.map(|text| {
        let path = dir.path().join("settings.toml");
        std::fs::write(&path, text).unwrap();
        path
    });
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let mut out = Vec::new();
    let args = CheckArgs { token: None, origin: None };
    let sources = Sources { file, env };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let result = runtime.block_on(run(&args, &sources, &Clock::system(), &mut std::io::empty(), &mut out));
    let code = result.map_or_else(|failure| failure.code(), |()| 0);
    let out = String::from_utf8(out).unwrap().replace(&format!("{}/", dir.path().display()), "");
    (out, code)
}

#[test]
fn seven_mistakes_print_seven_findings_and_end_with_2() {
    let text = "[server]\nlistne = 1\nworkers = -1\ndrain_delay = \"x\"\nmax_body = \"y\"\n[spool]\ndurability = \"fsnyc\"\n\
                [log]\nformat = \"z\"\n[tenants.\"a b\"]\n";
    let influxdb = [("INFLUXDB_URL", "http://i"), ("INFLUXDB_ORG", "o"), ("INFLUXDB_TOKEN", "t")];
    let (out, code) = check(Some(text), &influxdb);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!((lines.len(), code), (8, 2), "{out}");
    assert_eq!(lines[7], "7 findings");
    let places = [2, 3, 4, 5, 7, 9, 10].map(|line| format!("settings.toml:{line}: "));
    assert!(lines.iter().zip(&places).all(|(line, place)| line.starts_with(place)), "{out}");
}

#[test]
fn one_mistake_is_one_finding() {
    let (out, code) = check(None, &[("TAGLINE__LOG__LEVEL", "loud")]);
    assert_eq!((out.lines().last(), code), (Some("1 finding"), 2));
}

#[test]
fn good_settings_print_what_is_in_force_and_no_secret() {
    let text = "[tenants.a.keys.web]\nkey = \"wk_a_0123456789abc\"\norigins = [\"*\"]\n[tenants.b]\n";
    let influxdb =
        [("INFLUXDB_URL", "https://influxdb:8086"), ("INFLUXDB_ORG", "acme"), ("INFLUXDB_TOKEN", "nobody-sees-it")];
    let (out, code) = check(Some(text), &influxdb);
    assert_eq!(code, 0, "{out}");
    assert!(out.starts_with("ok: 2 tenants, 1 write key, 0 issuers, 12 measurements\n"), "{out}");
    for part in [
        "127.0.0.1:8080 public, 127.0.0.1:8081 admin",
        "https://influxdb:8086, org \"acme\", bucket \"app_observability\"",
        "on disk (fsync); up to 10GiB, then 503; files in /var/lib/tagline",
    ] {
        assert!(out.contains(part), "{out}");
    }
    assert!(!out.contains("nobody-sees-it") && !out.contains("wk_a_"), "{out}");
}

#[test]
fn no_settings_at_all_are_good_for_trying_things_out() {
    let (out, code) = check(None, &[]);
    assert_eq!(code, 0);
    assert!(
        out.contains("dev: no tenant and no issuer is configured") && out.contains("line protocol files in data"),
        "{out}"
    );
}
