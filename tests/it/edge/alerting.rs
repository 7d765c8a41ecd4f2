//! `prometheus/`: the rules fire when they should and only then, Alertmanager sends each alert where it belongs, and the runbook has them all.

mod routing;
mod rules;
mod runbook;
mod silences;
mod tasks;

use crate::support::manifests::Manifests;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The rules that InfluxDB's tasks check (flux/tasks/): what they call their alerts.
const OF_TASKS: [&str; 4] = ["TenantSlowerThanUsual", "TenantSilent", "SeriesGrowing", "TaskFailing"];

/// What the PrometheusRule is made of, in this order.
const RULE_FILES: [&str; 2] = ["tagline.yml", "caddy.yml"];

/// The folder of the rules, their tests, and the examples.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("prometheus")
}

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The PrometheusRule of the Prometheus operator: the groups of these files' texts.
fn for_the_operator(files: &[String]) -> String {
    let mut made = "\
# Made of prometheus/rules/, which is where to change them; then: UPDATE_RULES=1 cargo test --test it edge::alerting::rules
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: tagline
  namespace: tagline
  labels:
    app.kubernetes.io/name: tagline
spec:
  groups:
"
    .to_owned();
    for file in files {
        let (_, groups) = file.split_once("\ngroups:\n").expect("a file of rules has groups");
        for line in groups.lines() {
            made += format!("  {line}").trim_end();
            made.push('\n');
        }
    }
    made
}

fn rule_files() -> Vec<String> {
    RULE_FILES.iter().map(|name| read(&format!("prometheus/rules/{name}"))).collect()
}

/// Every rule, with what stands in it; read once, by kubectl.
fn rules() -> Vec<Value> {
    static READ: OnceLock<Vec<Value>> = OnceLock::new();
    let read = READ.get_or_init(|| {
        let made = Manifests::read(&for_the_operator(&rule_files()));
        let groups = made.get("PrometheusRule", "tagline")["spec"]["groups"].as_array().expect("groups");
        groups.iter().flat_map(|group| group["rules"].as_array().expect("rules").clone()).collect()
    });
    read.clone()
}

/// The alerts among them.
fn alerts() -> Vec<Value> {
    rules().into_iter().filter(|rule| rule["alert"].is_string()).collect()
}

fn name(rule: &Value) -> &str {
    rule["alert"].as_str().or(rule["record"].as_str()).expect("a rule records or alerts")
}
