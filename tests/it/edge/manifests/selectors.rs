//! Labels: every selector selects what it is meant for, and nothing else.

use super::references::named;
use crate::support::manifests::{Manifests, items, text};
use serde_json::Value;

/// Whether a label selector (`matchLabels` and `matchExpressions`, of which only `In` is used here) selects these labels.
pub fn selects(selector: &Value, labels: &Value) -> bool {
    let same = selector["matchLabels"]
        .as_object()
        .is_none_or(|wanted| wanted.iter().all(|(key, value)| labels[key] == *value));
    let among = items(&selector["matchExpressions"]).iter().all(|expression| {
        assert_eq!(expression["operator"], "In", "this test knows no other operator");
        items(&expression["values"]).contains(&labels[text(&expression["key"])])
    });
    same && among
}

/// The workloads whose pods a selector selects.
pub fn selected<'m>(all: &'m Manifests, selector: &Value) -> Vec<&'m str> {
    all.workloads().filter(|workload| selects(selector, workload.labels())).map(|workload| workload.name()).collect()
}

pub fn selectors(all: &Manifests) -> Vec<String> {
    let mut faults = Vec::new();
    let mut expect = |what: String, selector: &Value, expected: &str| {
        let found = selected(all, selector);
        if found != [expected] {
            faults.push(format!("{what} selects {found:?}, and is meant for {expected}"));
        }
    };
    for workload in all.workloads() {
        let name = workload.name();
        expect(format!("{name}'s own selector"), &workload.object["spec"]["selector"], name);
        for constraint in items(&workload.pod["topologySpreadConstraints"]) {
            expect(format!("{name}'s spread over {}", constraint["topologyKey"]), &constraint["labelSelector"], name);
        }
    }
    for object in all.all("PodDisruptionBudget").chain(all.all("PodMonitor")) {
        expect(named(object), &object["spec"]["selector"], text(&object["metadata"]["name"]));
    }
    for service in all.all("Service") {
        let name = text(&service["metadata"]["name"]);
        let selector = serde_json::json!({ "matchLabels": service["spec"]["selector"] });
        expect(named(service), &selector, name.strip_suffix("-pods").unwrap_or(name));
    }
    for policy in all.all("NetworkPolicy") {
        let name = text(&policy["metadata"]["name"]);
        let selector = &policy["spec"]["podSelector"];
        if all.workloads().any(|workload| workload.name() == name) {
            expect(named(policy), selector, name);
        }
    }
    faults.extend(selectors_of_nobody(all));
    faults.extend(governing_services(all));
    faults.extend(alone(all));
    faults
}

/// Selectors of NetworkPolicies, and of Telegraf's discovery, that select nobody.
fn selectors_of_nobody(all: &Manifests) -> Vec<String> {
    let mut faults = Vec::new();
    for policy in all.all("NetworkPolicy") {
        let spec = &policy["spec"];
        let rules = items(&spec["ingress"]).iter().chain(items(&spec["egress"]));
        let peers = rules.flat_map(|rule| items(&rule["from"]).iter().chain(items(&rule["to"])));
        // Those of other namespaces are not ours to know.
        let own = peers.filter(|peer| peer["namespaceSelector"].is_null()).map(|peer| &peer["podSelector"]);
        for selector in own.chain([&spec["podSelector"]]) {
            if selected(all, selector).is_empty() {
                faults.push(format!("{} has a selector of nobody: {selector}", named(policy)));
            }
        }
    }
    let telegraf = all.value("telegraf-config", "telegraf.conf").unwrap_or_default();
    for (line, selector) in telegraf
        .lines()
        .filter_map(|line| Some((line, line.trim().strip_prefix("kubernetes_label_selector = \"")?.strip_suffix('"')?)))
    {
        let (key, value) = selector.split_once('=').unwrap_or((selector, ""));
        if selected(all, &serde_json::json!({ "matchLabels": { key: value } })) != [value] {
            faults.push(format!("telegraf.conf: {} selects nobody", line.trim()));
        }
    }
    faults
}

/// A StatefulSet's pods have names by a Service that is there, selects them, and (where names matter) is headless.
fn governing_services(all: &Manifests) -> Vec<String> {
    let mut faults = Vec::new();
    for set in all.all("StatefulSet") {
        let (name, service) = (text(&set["metadata"]["name"]), text(&set["spec"]["serviceName"]));
        let Some(found) = all.find("Service", service) else {
            faults.push(format!("{name} is governed by the Service {service}, which is not there"));
            continue;
        };
        if set["spec"]["replicas"] != 1 && found["spec"]["clusterIP"] != "None" {
            faults.push(format!("{name}'s pods have no names of their own: the Service {service} is not headless"));
        }
        if found["spec"]["clusterIP"] == "None" && found["spec"]["publishNotReadyAddresses"] != true {
            faults.push(format!("{name}'s pods lose their names while they are not ready"));
        }
    }
    faults
}

/// Whoever has more than one replica has a budget for disruptions, and is spread over nodes and zones.
fn alone(all: &Manifests) -> Vec<String> {
    let mut faults = Vec::new();
    for workload in all.workloads() {
        let name = workload.name();
        let replicas = workload.object["spec"]["replicas"].as_u64();
        if replicas.is_none_or(|replicas| replicas < 2) {
            continue;
        }
        if all.find("PodDisruptionBudget", name).is_none_or(|budget| budget["spec"]["maxUnavailable"] != 1) {
            faults.push(format!("{name} has no PodDisruptionBudget of one at a time"));
        }
        for key in ["topology.kubernetes.io/zone", "kubernetes.io/hostname"] {
            let constraints = items(&workload.pod["topologySpreadConstraints"]);
            if !constraints.iter().any(|constraint| constraint["topologyKey"] == key) {
                faults.push(format!("{name} is not spread over {key}"));
            }
        }
    }
    faults
}
