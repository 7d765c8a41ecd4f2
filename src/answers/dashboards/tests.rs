//! The sources and what is made of them: the files of the repository keep up, ids are unique, and nothing points into the void.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Made, Place, Sources, TRACE_URL, files};

/// A place as the default settings have it: what the files in the repository are made for.
fn default_place() -> Place {
    Place {
        buckets: vec!["app_observability".to_owned()],
        rollup_bucket: "app_observability_rollup".to_owned(),
        trace_url: TRACE_URL.to_owned(),
    }
}

fn made() -> Vec<Made> {
    files(&Sources::shipped().expect("the sources are right"), &default_place()).expect("they make files")
}

fn grafana() -> Vec<(String, Value)> {
    let made = made().into_iter().filter(|made| made.path.starts_with("grafana/dashboards/"));
    made.map(|made| (made.path, serde_json::from_str(&made.text).expect("JSON"))).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

#[test]
fn the_files_of_the_repository_are_what_the_sources_make() {
    let made = made();
    let update = std::env::var_os("UPDATE_DOCS").is_some();
    for Made { path, text } in &made {
        let path = root().join(path);
        if update {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            written == *text,
            "{} is behind dashboards/ or flux/; UPDATE_DOCS=1 cargo test --lib answers:: writes it anew",
            path.display()
        );
    }
    // And none is left over from a dashboard that is no more.
    let known: BTreeSet<PathBuf> = made.iter().map(|made| root().join(&made.path)).collect();
    for entry in std::fs::read_dir(root().join("grafana/dashboards")).unwrap() {
        let path = entry.unwrap().path();
        assert!(known.contains(&path), "{} is made of nothing: delete it", path.display());
    }
}

#[test]
fn the_place_of_the_repositorys_files_is_that_of_the_default_settings() {
    let defaults: toml::Value = toml::from_str(include_str!("../../../config/default.toml")).unwrap();
    assert_eq!(defaults["answers"]["rollup_bucket"].as_str(), Some(default_place().rollup_bucket.as_str()));
    assert_eq!(defaults["influxdb"]["bucket"].as_str(), Some(default_place().buckets[0].as_str()));
}

/// Every text in a value.
fn texts<'v>(value: &'v Value, into: &mut Vec<&'v str>) {
    match value {
        Value::String(text) => into.push(text),
        Value::Array(items) => items.iter().for_each(|item| texts(item, into)),
        Value::Object(members) => members.values().for_each(|member| texts(member, into)),
        _ => {}
    }
}

#[test]
fn every_variable_that_is_used_is_defined_and_every_defined_one_is_used() {
    for (path, dashboard) in grafana() {
        let list = dashboard["templating"]["list"].as_array().unwrap();
        let defined: BTreeSet<&str> = list.iter().map(|variable| variable["name"].as_str().unwrap()).collect();
        assert_eq!(defined.len(), list.len(), "{path}: a variable is defined twice");
        let mut found = Vec::new();
        texts(&dashboard, &mut found);
        let mut used = BTreeSet::new();
        for text in found {
            for reference in text.split("${").skip(1).map(|rest| rest.split('}').next().unwrap()) {
                let name = reference.split([':', '.']).next().unwrap();
                // Grafana's own begin with two underscores. `${r.first}` is Flux's: Grafana leaves what is no variable of its own.
                if !name.starts_with("__") && !reference.starts_with("r.") {
                    used.insert(name.to_owned());
                }
            }
        }
        let used: BTreeSet<&str> = used.iter().map(String::as_str).collect();
        assert_eq!(used, defined, "{path}");
    }
}

#[test]
fn every_text_variable_stands_in_flux_in_the_one_form_that_it_cannot_end() {
    let mut seen = 0;
    for (path, dashboard) in grafana() {
        let panels = dashboard["panels"].as_array().unwrap().iter();
        let variables = dashboard["templating"]["list"].as_array().unwrap().iter();
        let queries = panels.filter_map(|panel| panel["targets"][0]["query"].as_str());
        for query in queries.chain(variables.filter_map(|variable| variable["query"].as_str())) {
            for (before, after) in query.match_indices("${").map(|(at, _)| (&query[..at], &query[at..])) {
                let (reference, behind) = after.split_once('}').unwrap();
                if reference.starts_with("${r.") {
                    continue;
                }
                seen += 1;
                assert!(reference.ends_with(":regex"), "{path}: {reference}}}");
                assert!(
                    before.ends_with("/^") && behind.starts_with("$/"),
                    "{path}: {reference}}} is not between /^ and $/"
                );
            }
        }
    }
    assert!(seen > 70, "only {seen} places were found");
}

#[test]
fn every_link_leads_to_a_dashboard_and_to_variables_that_are_there() {
    let dashboards = grafana();
    let mut seen = 0;
    for (path, dashboard) in &dashboards {
        let mut found = Vec::new();
        texts(dashboard, &mut found);
        for url in found.into_iter().filter(|text| text.starts_with("/d/")) {
            seen += 1;
            let (uid, query) = url.trim_start_matches("/d/").split_once('?').unwrap();
            let target = dashboards.iter().find(|(_, target)| target["uid"] == uid);
            let (_, target) = target.unwrap_or_else(|| panic!("{path}: {url} leads nowhere"));
            let list = target["templating"]["list"].as_array().unwrap();
            for part in query.split('&') {
                let name = match part.strip_prefix("var-") {
                    Some(set) => set.split('=').next().unwrap(),
                    None if part == "${__url_time_range}" => continue,
                    None => part.strip_prefix("${").and_then(|part| part.strip_suffix(":queryparam}")).expect(part),
                };
                assert!(list.iter().any(|variable| variable["name"] == name), "{path}: {uid} has no variable {name}");
            }
        }
    }
    assert!(seen >= 4, "only {seen} links were found");
}

#[test]
fn panels_have_their_own_numbers_and_places_and_say_what_they_show() {
    let mut uids = BTreeSet::new();
    for (path, dashboard) in grafana() {
        assert!(uids.insert(dashboard["uid"].as_str().unwrap().to_owned()), "{path}: its uid is another's");
        let panels = dashboard["panels"].as_array().unwrap();
        let ids: BTreeSet<i64> = panels.iter().map(|panel| panel["id"].as_i64().unwrap()).collect();
        assert_eq!(ids.len(), panels.len(), "{path}: two panels have one number");
        let mut taken = BTreeSet::new();
        for panel in panels {
            let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
            assert!(w > 0 && h > 0 && x + w <= 24, "{path}: {}", panel["title"]);
            for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                assert!(taken.insert(cell), "{path}: {} lies on another panel", panel["title"]);
            }
            if panel["type"] != "row" {
                let says = panel["description"].as_str().unwrap();
                assert!(says.len() > 60, "{path}: {} says too little of itself", panel["title"]);
            }
        }
    }
    assert_eq!(uids.len(), 5);
}

#[test]
fn the_settings_at_hand_are_those_that_the_files_are_made_for() {
    let place = Place {
        buckets: vec!["main".to_owned(), "globex".to_owned()],
        rollup_bucket: "hours".to_owned(),
        trace_url: "https://t.example/explore?id={trace_id}&x=1".to_owned(),
    };
    let made = files(&Sources::shipped().unwrap(), &place).unwrap();
    let text = |path: &str| made.iter().find(|made| made.path == path).unwrap().text.clone();
    let compare: Value = serde_json::from_str(&text("grafana/dashboards/tagline-compare.json")).unwrap();
    let list = compare["templating"]["list"].as_array().unwrap();
    let variable = |name: &str| list.iter().find(|variable| variable["name"] == name).unwrap();
    assert_eq!(variable("bucket")["query"], "main,globex");
    assert_eq!(variable("rollup_bucket")["query"], "hours");
    assert_eq!(variable("trace_url")["query"], "https://t.example/explore?id=");
    let mut found = Vec::new();
    texts(&compare, &mut found);
    assert!(found.contains(&"${trace_url:raw}${__value.raw}&x=1"));
    let template: Value = serde_json::from_str(&text("influxdb/template.json")).unwrap();
    let bucket = template.as_array().unwrap().iter().find(|object| object["spec"]["name"] == "tagline_bucket").unwrap();
    assert_eq!(bucket["spec"]["values"], serde_json::json!(["main", "globex"]));
}
