//! Variables: what Caddy's and Telegraf's files read is set by their workloads, and nothing else is. (Those of the gateway are judged by the
//! gateway itself, see `settings`.)

use crate::support::manifests::{Manifests, items, text};
use regex::Regex;
use std::collections::BTreeSet;

pub fn variables(all: &Manifests) -> Vec<String> {
    let mut faults = Vec::new();
    let caddy = caddy_files(all, &mut faults);
    // One that is not set is empty to Caddy. It can do without, but where the sites' names should stand.
    let needed = names(&caddy, r"(?m)^\{\$(?<name>[A-Z][A-Z0-9_]*)\} \{");
    faults.extend(compare(all, "caddy", &names(&caddy, r"\{\$(?<name>[A-Z][A-Z0-9_]*)"), &needed));
    let telegraf = all.value("telegraf-config", "telegraf.conf").unwrap_or_default();
    let needed = names(telegraf, r"\$\{(?<name>[A-Z][A-Z0-9_]*)(?::\?[^}]*)?\}");
    faults.extend(compare(all, "telegraf", &names(telegraf, r"\$\{(?<name>[A-Z][A-Z0-9_]*)"), &needed));
    faults
}

/// The Caddyfile and the files that it imports, as one text.
pub fn caddy_files(all: &Manifests, faults: &mut Vec<String>) -> String {
    let mut together = String::new();
    let mut names = vec!["Caddyfile".to_owned()];
    while let Some(name) = names.pop() {
        let Some(file) = all.value("caddy-config", &name) else {
            faults.push(format!("the ConfigMap caddy-config has no {name}"));
            continue;
        };
        let imports = file.lines().filter_map(|line| line.trim().strip_prefix("import "));
        names.extend(imports.filter(|import| import.ends_with(".caddy")).map(str::to_owned));
        together.push_str(file);
    }
    together
}

/// What a pattern finds in a text, as its group `name`.
fn names(text: &str, pattern: &str) -> BTreeSet<String> {
    let pattern = Regex::new(pattern).expect("a pattern of this file");
    pattern.captures_iter(text).map(|captures| captures["name"].to_owned()).collect()
}

fn compare(all: &Manifests, name: &str, known: &BTreeSet<String>, needed: &BTreeSet<String>) -> Vec<String> {
    let workload = all.workload(name);
    let mut faults: Vec<_> = needed
        .iter()
        .filter(|variable| workload.variable(variable).is_none())
        .map(|variable| format!("{name}'s files need {variable}, and the workload does not set it"))
        .collect();
    if needed.is_empty() {
        faults.push(format!("{name}'s files need no variable at all"));
    }
    for variable in items(&workload.container()["env"]).iter().map(|variable| text(&variable["name"])) {
        if !known.contains(variable) {
            faults.push(format!("{name} sets {variable}, which its files do not read"));
        }
    }
    faults
}
