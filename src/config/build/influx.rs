//! `[influxdb]`

use super::super::environment::INFLUXDB;
use super::super::finding::{Findings, Place};
use super::super::section::Section;
use super::super::settings::{Influx, NamedInflux};
use super::super::values;
use super::set;

/// What is said of the InfluxDB, whether a token is there or not.
pub(super) fn named(section: &Section<'_>) -> NamedInflux {
    NamedInflux {
        url: section.read("url", values::url),
        org: section.text("org").map(str::to_owned),
        bucket: set(section.text("bucket")).to_owned(),
        retention: set(section.duration("retention")),
    }
}

/// The InfluxDB that points go to; `None` where none is named, which is a mistake where one is `needed`. Half of one always is.
pub(super) fn influxdb(section: &Section<'_>, needed: bool, findings: &mut Findings) -> Option<Influx> {
    let token_set = section.has("token") || section.has("token_file");
    let keys = [("url", section.has("url")), ("org", section.has("org")), ("token", token_set)];
    let missing: Vec<&str> = keys.iter().filter(|(_, there)| !there).map(|(key, _)| *key).collect();
    if missing.len() == keys.len() {
        if needed {
            let example =
                "set `url`, `org` and `token_file` in [influxdb], or INFLUXDB_URL, INFLUXDB_ORG and INFLUXDB_TOKEN";
            findings.add(
                section.own_place(),
                "influxdb",
                format!("there is no InfluxDB that the points could go to; {example}"),
            );
        }
        return None;
    }
    // Who only asks has no token to write with.
    if !needed && missing == ["token"] && (section.has("read_token") || section.has("read_token_file")) {
        return None;
    }
    let token = section.secret("token", "token_file", findings);
    if !missing.is_empty() {
        let first_set = ["url", "org", "token", "token_file"].into_iter().find(|key| section.has(key));
        let place = first_set.map_or(Place::BuiltIn, |key| section.place(key));
        let variables = INFLUXDB.iter().filter(|(_, key)| missing.contains(key)).map(|(name, _)| *name);
        let variables = variables.collect::<Vec<_>>().join(" and ");
        findings.add(
            place,
            "influxdb",
            format!("{} missing; set {variables}, or the keys in [influxdb]", missing.join(" and ")),
        );
    }
    Some(Influx {
        url: section.read("url", values::url)?,
        org: section.text("org")?.to_owned(),
        bucket: set(section.text("bucket")).into(),
        token: token?,
        create_bucket: set(section.flag("create_bucket")),
        gzip: set(section.flag("gzip")),
        timeout: set(section.duration("timeout")),
        retention: set(section.duration("retention")),
        in_flight: set(section.int("in_flight")),
    })
}
