//! The network: the NetworkPolicies are read as a cluster would, and what they let through, between all pods and from and to what lies
//! outside, is exactly what is needed.

use super::selectors::selects;
use crate::support::manifests::{Manifests, NAMESPACE, items, text};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Who speaks, and listens on these ports. Without a namespace: the world, which no selector selects.
struct End {
    name: String,
    namespace: Option<String>,
    labels: Value,
    ports: Vec<u64>,
}

pub fn ways(all: &Manifests) -> Vec<String> {
    let ends = ends(all);
    let mut open = BTreeSet::new();
    for (from, to) in ends.iter().flat_map(|from| ends.iter().map(move |to| (from, to))) {
        let ours = [from, to].iter().any(|end| end.namespace.as_deref() == Some(NAMESPACE));
        if !ours || from.name == to.name {
            continue;
        }
        for port in &to.ports {
            if lets_through(all, from, to, *port, "Egress") && lets_through(all, to, from, *port, "Ingress") {
                open.insert(format!("{} -> {}:{port}", from.name, to.name));
            }
        }
    }
    let needed = needed(all, &ends);
    let missing = needed.difference(&open).map(|way| format!("{way} is shut"));
    missing.chain(open.difference(&needed).map(|way| format!("{way} is open, and nobody needs it"))).collect()
}

/// The pods of the overlay, and who else there is.
fn ends(all: &Manifests) -> Vec<End> {
    let pods = all.workloads().map(|workload| End {
        name: workload.name().to_owned(),
        namespace: Some(NAMESPACE.to_owned()),
        labels: workload.labels().clone(),
        ports: items(&workload.container()["ports"]).iter().filter_map(|port| port["containerPort"].as_u64()).collect(),
    });
    let mut ends: Vec<_> = pods.collect();
    let mut add = |name: &str, namespace: Option<&str>, labels: Value, ports: &[u64]| {
        let namespace = namespace.map(str::to_owned);
        ends.push(End { name: name.to_owned(), namespace, labels, ports: ports.to_vec() });
    };
    for (name, key, ports) in
        [("app", "APP_UPSTREAMS", [80, 3000, 8080]), ("influxdb", "INFLUXDB_URL", [80, 443, 8086])]
    {
        let namespace = all.value("tagline-values", key).and_then(|value| value.split('.').nth(1));
        if namespace != Some(NAMESPACE) {
            add(name, namespace, json!({ "app": name }), &ports);
        }
    }
    // The Job of k8s/scale-in.
    add("drain", Some(NAMESPACE), json!({ "app.kubernetes.io/name": "tagline-drain" }), &[8080, 8081]);
    // A pod that somebody adds later, and that no policy knows by its label.
    add("newcomer", Some(NAMESPACE), json!({}), &[8080]);
    add("dns", Some("kube-system"), json!({ "k8s-app": "kube-dns" }), &[53, 9153]);
    add("system", Some("kube-system"), json!({ "k8s-app": "other" }), &[443]);
    add("stranger", Some("elsewhere"), json!({ "app.kubernetes.io/name": "caddy" }), &[53, 80, 8080, 8081, 8086, 9180]);
    add("prometheus", Some("monitoring"), json!({ "app.kubernetes.io/name": "prometheus" }), &[9090]);
    add("auth", Some("identity"), json!({ "app": "verifier" }), &[9000]);
    add("world", None, json!({}), &[53, 80, 443, 6443, 8086]);
    ends
}

/// The ways that are needed, and no others.
fn needed(all: &Manifests, ends: &[End]) -> BTreeSet<String> {
    let mut ways = BTreeSet::new();
    let mut add = |from: &str, to: &str, ports: &[u64]| {
        ways.extend(ports.iter().map(|port| format!("{from} -> {to}:{port}")));
    };
    let outside: Vec<_> = ends.iter().filter(|end| end.namespace.as_deref() != Some(NAMESPACE)).collect();
    for end in &outside {
        add(&end.name, "caddy", &[8080, 8443]);
        // The app's pods listen where they like, and Caddy may go there.
        if end.name == "app" {
            add("app", "tagline", &[8080]);
            add("caddy", "app", &end.ports);
        }
        // An InfluxDB beside them on 443 is reached as the issuers are.
        if end.ports.contains(&443) {
            add("tagline", &end.name, &[443]);
            add("telegraf", &end.name, &[443]);
            add("drain", &end.name, &[443]);
        }
        if end.ports.contains(&6443) {
            add("telegraf", &end.name, &[6443]);
        }
    }
    // DNS may be a pod, the node itself, or outside: a cache on a node is no pod that a selector could name.
    for end in ends.iter().filter(|end| end.namespace.as_deref() == Some(NAMESPACE)) {
        outside.iter().filter(|to| to.ports.contains(&53)).for_each(|to| add(&end.name, &to.name, &[53]));
    }
    if !outside.iter().any(|end| end.name == "app") {
        add("caddy", "app", &[8080]);
    }
    // Only for who has these components.
    if all.workload("caddy").environment(all, "TELEMETRY_AUTH") == Some("service") {
        add("caddy", "auth", &[9000]);
    }
    if all.all("PodMonitor").next().is_some() {
        add("prometheus", "tagline", &[8081]);
        add("prometheus", "caddy", &[9180]);
    }
    add("caddy", "tagline", &[8080, 8081]);
    add("telegraf", "caddy", &[9180]);
    add("telegraf", "tagline", &[8081]);
    add("tagline", "influxdb", &[8086]);
    add("telegraf", "influxdb", &[8086]);
    add("drain", "influxdb", &[8086]);
    ways
}

/// Whether the policies of `own` let it speak with `other`, in this direction. Policies add up; where none is about a pod, all is open.
fn lets_through(all: &Manifests, own: &End, other: &End, port: u64, direction: &str) -> bool {
    if own.namespace.as_deref() != Some(NAMESPACE) {
        return true;
    }
    let (rules, peers) = if direction == "Egress" { ("egress", "to") } else { ("ingress", "from") };
    let about: Vec<_> = all
        .all("NetworkPolicy")
        .map(|policy| &policy["spec"])
        .filter(|spec| items(&spec["policyTypes"]).iter().any(|kind| kind == direction))
        .filter(|spec| selects(&spec["podSelector"], &own.labels))
        .collect();
    let opens = |rule: &Value| {
        let ports = items(&rule["ports"]);
        let peers = items(&rule[peers]);
        (ports.is_empty() || ports.iter().any(|open| open["port"] == port))
            && (peers.is_empty() || peers.iter().any(|peer| is_peer(peer, other)))
    };
    about.is_empty() || about.iter().any(|spec| items(&spec[rules]).iter().any(opens))
}

fn is_peer(peer: &Value, end: &End) -> bool {
    assert!(peer["ipBlock"].is_null(), "this test knows no addresses: {}", text(&peer["ipBlock"]["cidr"]));
    let Some(namespace) = &end.namespace else { return false };
    let right_namespace = if peer["namespaceSelector"].is_null() {
        namespace == NAMESPACE
    } else {
        selects(&peer["namespaceSelector"], &json!({ "kubernetes.io/metadata.name": namespace }))
    };
    right_namespace && (peer["podSelector"].is_null() || selects(&peer["podSelector"], &end.labels))
}
