//! Grafana's dashboards, asked as Grafana asks: its page puts the variables in, its data source the range of time.

use super::{assert_shown, dashboards, slow_event};
use crate::support::influx;
use crate::support::{Week, week_with_rollups};
use regex::{Captures, Regex};
use serde_json::Value;
use std::collections::BTreeMap;
use tagline::answers::Literal;

/// What is chosen.
enum Choice {
    All,
    One(String),
}

/// What Grafana's page makes of a query. Only the form that the dashboards use is known here; a unit test holds them to it.
fn with_variables(query: &str, choices: &BTreeMap<&str, Choice>, all: &str) -> String {
    let reference = Regex::new(r"\$\{(\w+):regex\}").unwrap();
    let special = Regex::new(r"[\\^$*+?.()|\[\]{}/]").unwrap();
    let replaced = reference.replace_all(query, |found: &Captures| match &choices[&found[1]] {
        // As it stands in the dashboard, and not escaped.
        Choice::All => all.to_owned(),
        Choice::One(value) => special.replace_all(value, r"\$0").into_owned(),
    });
    // Its other two ways to name a variable: were a word of the Flux one of them, it would be replaced as well.
    for name in choices.keys() {
        for other in [format!(r"\${name}\b"), format!(r"\[\[{name}(:\w+)?\]\]")] {
            assert!(!Regex::new(&other).unwrap().is_match(query), "{other} in {query}");
        }
    }
    replaced.into_owned()
}

/// What Grafana's data source makes of it: each `word.member` with one of these members is replaced, whatever the word.
fn with_range(query: &str, [start, stop]: [i64; 2], every: &str, bucket: &str) -> String {
    let member = Regex::new(r"([a-zA-Z]+)\.([a-zA-Z]+)").unwrap();
    let time = |ms: i64| {
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_millis(ms.unsigned_abs());
        humantime::format_rfc3339_millis(time).to_string()
    };
    let mut replaced = query.to_owned();
    for found in member.captures_iter(query) {
        let value = match &found[2] {
            "timeRangeStart" => time(start),
            "timeRangeStop" => time(stop),
            "windowPeriod" => every.to_owned(),
            "bucket" | "defaultBucket" => format!("{bucket:?}"),
            "organization" => "\"an-organization\"".to_owned(),
            _ => continue,
        };
        replaced = replaced.replace(&found[0], &value);
    }
    replaced
}

/// What is chosen of a dashboard's variables.
fn choices<'d>(week: &Week, dashboard: &'d Value, narrow: bool) -> BTreeMap<&'d str, Choice> {
    let slow = slow_event(week);
    let list = dashboard["templating"]["list"].as_array().unwrap();
    let chosen = |variable: &Value| {
        let one = |value: &str| Choice::One(value.to_owned());
        match variable["name"].as_str().unwrap() {
            "bucket" => one(week.bucket.name()),
            "rollup_bucket" => one(week.rollup_bucket.name()),
            _ if variable["includeAll"] == true && !narrow => Choice::All,
            "tenant" | "tenant_a" => one(slow.tenant),
            "tenant_b" => one("globex"),
            "view" => one(slow.view),
            "action" => one(slow.action),
            "session" => Choice::One(slow.session()),
            // They stand in links, and in no query.
            "datasource" | "trace_url" => one("not-in-flux"),
            other => panic!("what is {other}?"),
        }
    };
    list.iter().map(|variable| (variable["name"].as_str().unwrap(), chosen(variable))).collect()
}

/// What Grafana would call the range of a dashboard, ending with the week.
fn range(week: &Week, dashboard: &Value) -> [i64; 2] {
    let text = dashboard["time"]["from"].as_str().unwrap().strip_prefix("now-").unwrap();
    let length = humantime::parse_duration(text).unwrap();
    [week.end_ms - i64::try_from(length.as_millis()).unwrap(), week.end_ms + 60_000]
}

/// A window's width as Grafana makes it of a range and a panel's least, and as Go writes it.
fn window([start, stop]: [i64; 2], panel: &Value) -> String {
    let least = panel["interval"].as_str().map_or(10, |text| humantime::parse_duration(text).unwrap().as_secs());
    // A picture 300 pixels wide; Grafana then rounds to a time that people use.
    let seconds = (stop - start).unsigned_abs() / 1000 / 300;
    let nice = [1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600];
    let nice = nice.into_iter().rev().find(|nice| *nice <= seconds).unwrap_or(1).max(least);
    if nice >= 60 { format!("{}m0s", nice / 60) } else { format!("{nice}s") }
}

async fn panels_show_rows(narrow: bool) {
    let week = week_with_rollups();
    let mut asked = 0;
    for (path, dashboard) in dashboards() {
        let (choices, range) = (choices(week, &dashboard, narrow), range(week, &dashboard));
        let list = dashboard["templating"]["list"].as_array().unwrap().iter();
        let several: Vec<&str> = list
            .filter(|variable| variable["includeAll"] == true)
            .map(|variable| variable["name"].as_str().unwrap())
            .collect();
        for panel in dashboard["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row") {
            let name = format!("{}: {}", path.display(), panel["title"]);
            let query = panel["targets"][0]["query"].as_str().unwrap();
            // With one choice it was asked already, if it has no part in it.
            if narrow && !several.iter().any(|name| query.contains(&format!("${{{name}:"))) {
                continue;
            }
            let query = with_variables(query, &choices, ".*");
            let query = with_range(&query, range, &window(range, panel), week.bucket.name());
            let rows = week.bucket.query(&query).await;
            let overrides = panel["fieldConfig"]["overrides"].as_array().unwrap();
            let columns: Vec<String> =
                overrides.iter().map(|column| column["matcher"]["options"].as_str().unwrap().to_owned()).collect();
            assert_shown(&name, &rows, &columns, panel["type"] == "timeseries");
            // Beyond one and a half times `maxDataPoints` in one table Grafana says no, and beyond 1,000 lines.
            if let Some(most) = panel["maxDataPoints"].as_u64() {
                assert!((rows.len() as u64) < most, "{name}: {} rows", rows.len());
            }
            asked += 1;
        }
    }
    assert!(asked >= if narrow { 10 } else { 30 }, "only {asked} panels");
}

#[tokio::test]
async fn every_panel_of_grafana_shows_rows_of_all_tenants() {
    panels_show_rows(false).await;
}

#[tokio::test]
async fn every_panel_of_grafana_shows_rows_of_one_tenant_view_and_action() {
    panels_show_rows(true).await;
}

#[tokio::test]
async fn every_variable_of_grafana_offers_what_is_there() {
    let week = week_with_rollups();
    let mut asked = 0;
    for (path, dashboard) in dashboards() {
        let mut choices = choices(week, &dashboard, false);
        for variable in dashboard["templating"]["list"].as_array().unwrap() {
            if variable["type"] != "query" {
                continue;
            }
            let name = variable["name"].as_str().unwrap();
            let mut offered = Vec::new();
            for one_view in [false, true] {
                if one_view && choices.contains_key("view") {
                    choices.insert("view", Choice::One("ReportView".to_owned()));
                }
                let query = with_variables(variable["query"].as_str().unwrap(), &choices, ".*");
                let query = with_range(&query, range(week, &dashboard), "10s", week.bucket.name());
                let rows = week.bucket.query(&query).await;
                offered.push(rows.iter().map(|row| row.text("_value").to_owned()).collect::<Vec<_>>());
            }
            if choices.contains_key("view") {
                choices.insert("view", Choice::All);
            }
            let expected: [&[&str]; 2] = match name {
                "tenant" | "tenant_a" => [&["acme", "globex", "initech"]; 2],
                "tenant_b" => [&["initech", "globex", "acme"]; 2],
                "view" => [&["CheckoutView", "DashboardView", "ReportView", "UserListView"]; 2],
                "action" => [
                    &[
                        "addItem",
                        "applyCoupon",
                        "download",
                        "export",
                        "fetchUsers",
                        "filter",
                        "load",
                        "pay",
                        "refresh",
                        "render",
                        "search",
                    ],
                    &["download", "render"],
                ],
                other => panic!("what is offered for {other}?"),
            };
            assert_eq!(offered, expected, "{}: {name}", path.display());
            // What is to be chosen as "all" is what the Flux takes for it.
            assert_eq!(variable["includeAll"] == true, variable["allValue"] == ".*", "{name}");
            asked += 1;
        }
    }
    assert!(asked >= 8, "only {asked} variables");
}

#[tokio::test]
async fn no_session_can_end_the_text_that_it_stands_in() {
    let (_, dashboard) = dashboards().into_iter().find(|(path, _)| path.ends_with("tagline-session.json")).unwrap();
    let panel =
        dashboard["panels"].as_array().unwrap().iter().find(|panel| panel["title"] == "What happened, in order?");
    let query = panel.unwrap()["targets"][0]["query"].as_str().unwrap();
    // Its imports, what it defines before the session, the session's own line, and then that text alone as the answer.
    let (imports, rest): (Vec<&str>, Vec<&str>) = query.lines().partition(|line| line.starts_with("import "));
    let end = rest.iter().position(|line| line.starts_with("session = ")).expect("it takes a session");
    let (imports, head) = (imports.join("\n"), rest[..=end].join("\n"));
    let bucket = influx().bucket("dashboards");
    for session in [
        "s-1",
        r#"a" or true) //"#,
        r#"\" or true) |> yield() //"#,
        r"ends with \",
        r"\\",
        "/",
        r"\/",
        "a/b) // c",
        "${session:raw}",
        "${bucket}",
        "$1 ^$ $",
        ".*",
        "^.*$",
        "a\nb",
        "größe 🙂",
        "[x](y){z}|+?",
        "",
    ] {
        let wanted = Literal::text(session);
        let flux = format!(
            "{imports}\nimport \"array\"\n{head}\nwanted = {}\narray.from(rows: [{{same: session == wanted}}])",
            wanted.flux()
        );
        let told = |name| if name == "session" { session } else { "acme" };
        let choices = ["bucket", "tenant_a", "session"].map(|name| (name, Choice::One(told(name).to_owned())));
        let flux = with_range(&with_variables(&flux, &choices.into(), ".*"), [0, 1000], "10s", bucket.name());
        let rows = bucket.query(&flux).await;
        assert_eq!(rows.len(), 1, "{session:?}");
        assert_eq!(rows[0].text("same"), "true", "{session:?} became something else");
    }
}
