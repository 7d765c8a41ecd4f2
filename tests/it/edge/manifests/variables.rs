//! Variables: what Caddy's and Telegraf's files read is set by their workloads, and nothing else is. (Those of the gateway are judged by the
//! gateway itself, see `settings`.)

use crate::support::manifests::{Manifests, items, text};
use regex::Regex;
use std::collections::BTreeMap;

/// The variables that a file reads, and whether it can do without.
pub type Read = BTreeMap<String, bool>;

pub fn variables(all: &Manifests) -> Vec<String> {
    let mut faults = Vec::new();
    let caddy = caddy_files(all, &mut faults);
    faults.extend(compare(all, "caddy", &read(&caddy, r#"(?<quoted>")?\{\$(?<name>[A-Z][A-Z0-9_]*)(?<default>:)?"#)));
    let telegraf = all.value("telegraf-config", "telegraf.conf").unwrap_or_default();
    faults.extend(compare(all, "telegraf", &read(telegraf, r"\$\{(?<name>[A-Z][A-Z0-9_]*)(?<default>:-)?")));
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

/// What a text reads by `pattern`: with a default, or (in Caddy's files) in quotes, it may be missing. One place without a default is enough for a variable to be needed.
fn read(file: &str, pattern: &str) -> Read {
    let pattern = Regex::new(pattern).expect("a pattern of this file");
    let mut found = Read::new();
    for captures in pattern.captures_iter(file) {
        let has_default = ["default", "quoted"].iter().any(|group| captures.name(group).is_some());
        found.entry(captures["name"].to_owned()).and_modify(|optional| *optional &= has_default).or_insert(has_default);
    }
    found
}

fn compare(all: &Manifests, name: &str, read: &Read) -> Vec<String> {
    let workload = all.workload(name);
    let needed = read.iter().filter(|(_, optional)| !**optional).map(|(variable, _)| variable);
    let mut faults: Vec<_> = needed
        .filter(|variable| workload.variable(variable).is_none())
        .map(|variable| format!("{name}'s files need {variable}, and the workload does not set it"))
        .collect();
    if read.is_empty() {
        faults.push(format!("{name}'s files read no variable at all"));
    }
    for variable in items(&workload.container()["env"]).iter().map(|variable| text(&variable["name"])) {
        if !read.contains_key(variable) {
            faults.push(format!("{name} sets {variable}, which its files do not read"));
        }
    }
    faults
}
