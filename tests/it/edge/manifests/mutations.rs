//! Each check is shown faults of its kind, and has to name them.

mod names;
mod pods;
mod wiring;

use super::CHECKS;
use crate::support::manifests::{EXTENDED, Manifests, manifests};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A check, an overlay, what is broken in it, and what the check has to say.
type Mutation = (&'static str, &'static str, fn(&mut Manifests), &'static str);

fn pod<'m>(all: &'m mut Manifests, kind: &str, name: &str) -> &'m mut Value {
    &mut all.get_mut(kind, name)["spec"]["template"]["spec"]
}

fn gateway(all: &mut Manifests) -> &mut Value {
    &mut pod(all, "StatefulSet", "tagline")["containers"][0]
}

fn caddy(all: &mut Manifests) -> &mut Value {
    &mut pod(all, "Deployment", "caddy")["containers"][0]
}

fn telegraf(all: &mut Manifests) -> &mut Value {
    &mut pod(all, "DaemonSet", "telegraf")["containers"][0]
}

/// A variable of a container.
fn variable<'m>(container: &'m mut Value, name: &str) -> &'m mut Value {
    let variables = container["env"].as_array_mut().expect("it has variables");
    variables.iter_mut().find(|variable| variable["name"] == name).unwrap_or_else(|| panic!("{name} is not set"))
}

fn unset(container: &mut Value, name: &str) {
    container["env"].as_array_mut().expect("it has variables").retain(|variable| variable["name"] != name);
}

fn remove(all: &mut Manifests, kind: &str, name: &str) {
    let before = all.objects.len();
    all.objects.retain(|object| object["kind"] != kind || object["metadata"]["name"] != name);
    assert_eq!(all.objects.len(), before - 1, "there is no {kind} {name}");
}

/// Replaces text in a file of a ConfigMap.
fn edit(all: &mut Manifests, map: &str, file: &str, old: &str, new: &str) {
    let content = &mut all.get_mut("ConfigMap", map)["data"][file];
    let text = content.as_str().expect("a file");
    assert!(text.contains(old), "{file} does not hold {old:?}");
    *content = json!(text.replace(old, new));
}

const TABLES: [&[Mutation]; 3] = [names::MUTATIONS, wiring::MUTATIONS, pods::MUTATIONS];

#[test]
fn every_check_finds_what_it_is_for() {
    let mut silent = Vec::new();
    for (name, overlay, mutate, expected) in TABLES.into_iter().flatten() {
        let (_, check) = CHECKS.iter().find(|(known, _)| known == name).unwrap_or_else(|| panic!("no check {name}"));
        let mut broken = manifests(overlay).clone();
        mutate(&mut broken);
        let faults = check(&broken);
        if !faults.iter().any(|fault| fault.contains(expected)) {
            silent.push(format!("{name}, {overlay}: nothing with {expected:?} in {faults:?}"));
        }
    }
    assert!(silent.is_empty(), "{}", silent.join("\n"));
    let tried: BTreeSet<_> = TABLES.into_iter().flatten().map(|(name, ..)| *name).collect();
    let untried: Vec<_> = CHECKS.iter().filter(|(name, _)| !tried.contains(name)).collect();
    assert!(untried.is_empty(), "no mutation is for {:?}", untried.iter().map(|(name, _)| name).collect::<Vec<_>>());
}
