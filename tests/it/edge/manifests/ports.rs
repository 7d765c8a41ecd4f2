//! Ports: by name and by number, wherever one is written down.

use super::references::named;
use super::selectors::selected;
use crate::support::manifests::{Manifests, NAMESPACE, items, text};
use serde_json::Value;

/// Where a program is told the port that its container names: workload, port, variable.
const LISTENERS: [(&str, &str, &str); 5] = [
    ("tagline", "http", "TAGLINE__SERVER__LISTEN"),
    ("tagline", "admin", "TAGLINE__SERVER__ADMIN_LISTEN"),
    ("caddy", "http", "CADDY_HTTP_PORT"),
    ("caddy", "https", "CADDY_HTTPS_PORT"),
    ("caddy", "metrics", "CADDY_METRICS_ADDRESS"),
];

pub fn ports(all: &Manifests) -> Vec<String> {
    let mut faults = Vec::new();
    for workload in all.workloads() {
        for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
            let port = &workload.container()[probe]["httpGet"]["port"];
            if !port.is_null() && workload.port(text(port)).is_none() {
                faults
                    .push(format!("{}'s {probe} asks port {port}, which the container does not name", workload.name()));
            }
        }
    }
    for service in all.all("Service") {
        let selector = serde_json::json!({ "matchLabels": service["spec"]["selector"] });
        for port in items(&service["spec"]["ports"]) {
            for name in selected(all, &selector) {
                if all.workload(name).port(text(&port["targetPort"])).is_none() {
                    faults.push(format!(
                        "{} leads to port {} of {name}, which names no such port",
                        named(service),
                        port["targetPort"]
                    ));
                }
            }
        }
    }
    for monitor in all.all("PodMonitor") {
        for endpoint in items(&monitor["spec"]["podMetricsEndpoints"]) {
            for name in selected(all, &monitor["spec"]["selector"]) {
                if all.workload(name).port(text(&endpoint["port"])).is_none() {
                    faults.push(format!(
                        "{} scrapes port {} of {name}, which names no such port",
                        named(monitor),
                        endpoint["port"]
                    ));
                }
            }
        }
    }
    for (name, port, variable) in LISTENERS {
        let workload = all.workload(name);
        let told = workload.environment(all, variable).map(last_number);
        if told.is_none() || told.flatten() != workload.port(port) {
            faults.push(format!("{name} names port {port} {:?}, and {variable} says {told:?}", workload.port(port)));
        }
    }
    let told = all.workload("caddy").environment(all, "TAGLINE_ADMIN_PORT").and_then(last_number);
    if told != all.workload("tagline").port("admin") {
        faults.push(format!("Caddy asks for health on port {told:?}, and the gateway's admin port is another"));
    }
    faults.extend(scraped(all));
    faults.extend(policies(all));
    faults.extend(addresses(all));
    faults
}

/// The port that Telegraf scrapes is one of the pods that it selects.
fn scraped(all: &Manifests) -> Vec<String> {
    let telegraf = all.value("telegraf-config", "telegraf.conf").unwrap_or_default();
    let inputs: Vec<_> = telegraf.split("\n[[").filter(|section| section.starts_with("inputs.prometheus]]")).collect();
    let setting = |input: &str, key: &str| {
        let line = input.lines().find_map(|line| line.trim().strip_prefix(key)?.trim().strip_prefix('='))?;
        Some(line.trim().trim_matches('"').to_owned())
    };
    let mut faults = Vec::new();
    for (name, port) in [("caddy", "metrics"), ("tagline", "admin")] {
        let selector = format!("app.kubernetes.io/name={name}");
        let input = inputs.iter().find(|input| setting(input, "kubernetes_label_selector").as_ref() == Some(&selector));
        let told = input.and_then(|input| setting(input, "monitor_kubernetes_pods_port")?.parse().ok());
        if told.is_none() || told != all.workload(name).port(port) {
            faults.push(format!("telegraf.conf scrapes port {told:?} of {name}, whose port {port} is another"));
        }
    }
    faults
}

/// A NetworkPolicy opens no port that nobody listens on.
fn policies(all: &Manifests) -> Vec<String> {
    let mut faults = Vec::new();
    let mut check = |policy: &Value, rule: &Value, selector: &Value| {
        for name in selected(all, selector) {
            for port in items(&rule["ports"]).iter().map(|port| &port["port"]) {
                let listens = items(&all.workload(name).container()["ports"]);
                if !listens.iter().any(|listens| listens["containerPort"] == *port) {
                    faults.push(format!("{} opens port {port} of {name}, which does not listen there", named(policy)));
                }
            }
        }
    };
    for policy in all.all("NetworkPolicy") {
        for rule in items(&policy["spec"]["ingress"]) {
            check(policy, rule, &policy["spec"]["podSelector"]);
        }
        for rule in items(&policy["spec"]["egress"]) {
            for peer in items(&rule["to"]).iter().filter(|peer| peer["namespaceSelector"].is_null()) {
                check(policy, rule, &peer["podSelector"]);
            }
        }
    }
    faults
}

/// A host of this namespace in a value is a Service that is there, with that port.
fn addresses(all: &Manifests) -> Vec<String> {
    let mut faults = Vec::new();
    for key in ["INFLUXDB_URL", "APP_UPSTREAMS"] {
        let value = all.value("tagline-values", key).unwrap_or_default();
        for address in value.split_whitespace() {
            let address = address.strip_prefix("http://").unwrap_or(address);
            let Some((host, port)) = address.split_once(':') else { continue };
            let Some(service) = host.strip_suffix(&format!(".{NAMESPACE}.svc")) else { continue };
            let ports = all.find("Service", service).map(|service| items(&service["spec"]["ports"]));
            if !ports.unwrap_or_default().iter().any(|known| known["port"].as_u64() == port.parse().ok()) {
                faults.push(format!("{key} names {address}, and no Service here has that port"));
            }
        }
    }
    faults
}

/// Caddy knows each replica of the gateway by its name, and no other.
pub fn upstreams(all: &Manifests) -> Vec<String> {
    let gateway = all.workload("tagline");
    let service = text(&gateway.object["spec"]["serviceName"]);
    let port = gateway.port("http").unwrap_or_default();
    let replicas = gateway.object["spec"]["replicas"].as_u64().unwrap_or_default();
    let expected: Vec<_> = (0..replicas).map(|number| format!("tagline-{number}.{service}:{port}")).collect();
    let told: Vec<_> =
        all.workload("caddy").environment(all, "TAGLINE_UPSTREAMS").unwrap_or_default().split_whitespace().collect();
    let mut faults = Vec::new();
    if told != expected {
        faults.push(format!("Caddy's TAGLINE_UPSTREAMS are {told:?}, and the replicas are {expected:?}"));
    }
    let counted = gateway.environment(all, "TAGLINE__SERVER__REPLICAS").unwrap_or_default();
    if counted != format!("dns:{service}") {
        faults.push(format!("the gateway counts its replicas by {counted:?}, and their Service is {service}"));
    }
    faults
}

/// The number behind the last colon.
fn last_number(address: &str) -> Option<u64> {
    address.rsplit(':').next()?.parse().ok()
}
