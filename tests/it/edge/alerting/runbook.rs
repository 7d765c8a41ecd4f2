//! docs/runbook.md: a section for each alert, with all that somebody needs at night, and commands that are the alert's own.

use super::{OF_TASKS, alerts, name, read};
use crate::support::alertmanager::{Alertmanager, amtool};
use serde_json::Value;
use std::collections::BTreeMap;

/// What each section has, in this order.
const PARTS: [&str; 7] =
    ["What it means", "Who is hurt", "First command", "How to read it", "Usual causes", "Wake somebody", "Silence"];

/// What is said before the sections of alerts.
const INTRODUCTION: [&str; 2] = ["Where the alerts come from", "A silence that ends"];

/// Of these no silence is told: points are lost by them, or soon will be.
const NEVER_SILENT: [&str; 3] = ["TaglinePointsLost", "TaglineSpoolHalfFull", "TaglineDeadLettersEvicted"];

/// Each alert's section, as its parts.
fn sections() -> Vec<(String, BTreeMap<&'static str, String>)> {
    let page = read("docs/runbook.md");
    let sections = page.split("\n## ").skip(1).filter_map(|section| section.split_once('\n'));
    let of_alerts = sections.filter(|(heading, _)| !INTRODUCTION.contains(heading));
    of_alerts.map(|(heading, text)| (heading.to_owned(), parts(heading, text))).collect()
}

fn parts(heading: &str, text: &str) -> BTreeMap<&'static str, String> {
    let mut rest = text;
    let mut found = BTreeMap::new();
    for (index, part) in PARTS.iter().enumerate() {
        let (_, after) = rest.split_once(&format!("\n**{part}**")).unwrap_or_else(|| panic!("{heading}: no {part}"));
        let end = PARTS.get(index + 1).and_then(|next| after.find(&format!("\n**{next}**"))).unwrap_or(after.len());
        let said = after[..end].trim_start_matches(':').trim();
        assert!(said.len() >= 3, "{heading}: {part} is empty");
        found.insert(*part, said.to_owned());
        rest = &after[end..];
    }
    found
}

#[test]
fn every_alert_has_one_section_and_no_section_is_about_anything_else() {
    let mut told: Vec<String> = sections().into_iter().map(|(heading, _)| heading).collect();
    let rules = alerts();
    let mut there: Vec<String> = rules.iter().map(|rule| name(rule).to_owned()).collect();
    there.extend(OF_TASKS.map(str::to_owned));
    told.sort();
    there.sort();
    assert_eq!(told, there);
}

#[test]
fn the_first_command_of_a_section_is_that_of_its_alert() {
    let sections: BTreeMap<_, _> = sections().into_iter().collect();
    for rule in alerts() {
        let told = rule["annotations"]["first_command"].as_str().expect("a first command");
        let here = told.replace("{{ $labels.namespace }}", "tagline").replace("{{ $labels.pod }}", "tagline-0");
        assert!(!here.contains("{{"), "{here}");
        assert_eq!(shell(&sections[name(&rule)]["First command"]), here, "{}", name(&rule));
    }
    // Those of the tasks are asked of InfluxDB, or of what set it up.
    for alert in OF_TASKS {
        let command = shell(&sections[alert]["First command"]);
        assert!(command.starts_with("tagline query ") || command.starts_with("tagline setup "), "{alert}: {command}");
    }
}

/// The one line of a shell block.
fn shell(part: &str) -> String {
    let (_, block) = part.split_once("```sh\n").unwrap_or_else(|| panic!("no command: {part}"));
    let (command, _) = block.split_once("\n```").expect("a block ends");
    assert!(!command.contains('\n'), "one command comes first: {command}");
    command.to_owned()
}

#[tokio::test]
async fn every_silence_ends_and_is_about_its_alert() {
    let alertmanager = Alertmanager::start(&[]).await;
    let url = format!("--alertmanager.url={}", alertmanager.url());
    for (heading, parts) in sections() {
        let told = &parts["Silence"];
        if NEVER_SILENT.contains(&heading.as_str()) {
            assert_eq!(told, "never.", "{heading}");
            continue;
        }
        let (labels, rest) = told
            .strip_prefix('`')
            .and_then(|rest| rest.split_once('`'))
            .unwrap_or_else(|| panic!("{heading}: {told} begins with no labels"));
        let (_, limit) = rest.split_once("at most ").unwrap_or_else(|| panic!("{heading}: {told} has no end"));
        let limit: String = limit.chars().take_while(char::is_ascii_alphanumeric).collect();
        let matchers: Vec<&str> = labels.split(' ').collect();
        assert_eq!(matchers[0], format!("alertname={heading}"), "{told}");
        let about = ["--author", "somebody", "--comment", "a test", "--duration", &limit];
        let ran = amtool(&[&["silence", "add", &url][..], &about, &matchers].concat());
        assert_eq!(ran.code, Some(0), "{heading}: {}{}", ran.stdout, ran.stderr);
    }
    let asked = amtool(&["silence", "query", &url, "--output", "json"]);
    let silences: Value = serde_json::from_str(&asked.stdout).unwrap_or_else(|error| panic!("{error}: {asked:?}"));
    assert_eq!(silences.as_array().map(Vec::len), Some(sections().len() - NEVER_SILENT.len()));
}
