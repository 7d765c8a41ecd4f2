//! The component for the Prometheus operator: what it scrapes is there, and its rules ask for what is scraped. When they fire is
//! `edge::alerting`'s.

use super::{OVERLAYS, deployed};
use crate::support::caddy::Caddy;
use crate::support::manifests::Manifests;
use crate::support::{Gateway, config_for, eventually, http, influx};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

/// An overlay together with the component, as kustomize makes it.
async fn monitored(overlay: &str) -> Manifests {
    Manifests::read(&deployed(overlay).await.sources.build("overlays/monitored"))
}

#[tokio::test]
async fn the_alerts_ask_for_metrics_that_are_there() {
    let rules = monitored("aks").await.get("PrometheusRule", "tagline")["spec"].clone();
    let asked: BTreeSet<String> = all(&rules).flat_map(|rule| metrics_in(rule["expr"].as_str().unwrap())).collect();
    assert!(asked.len() > 10, "{asked:?}");

    let gateway = Gateway::start(&config_for(&influx().bucket("alerts"))).await;
    let scrape = http::request(gateway.admin_address(), "GET", "/metrics", &[], b"").text();
    let caddy = Caddy::for_sites(&["acme.app.test"]).gateway(&gateway).start().await;
    // Caddy calls a gateway healthy from its first check on.
    let healthy = format!("caddy_reverse_proxy_upstreams_healthy{{upstream=\"{}\"}} 1", gateway.address());
    let of_caddy = eventually(Duration::from_secs(20), || async {
        let metrics = caddy.metrics();
        if metrics.contains(&healthy) { Ok(metrics) } else { Err(metrics) }
    });
    let scrape = scrape + &of_caddy.await;
    let families: BTreeSet<&str> =
        scrape.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let documented =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md")).expect("the documentation");
    for metric in asked {
        let family = metric.strip_suffix("_bucket").unwrap_or(&metric);
        assert!(families.contains(family), "{family} is not among {families:?}");
        assert!(family.starts_with("caddy_") || documented.contains(&format!("`{family}`")), "{family}");
    }
}

#[tokio::test]
async fn what_is_scraped_is_there_and_prometheus_is_let_through() {
    for overlay in OVERLAYS {
        let built = monitored(overlay).await;
        let monitors: Vec<&Value> = built.all("PodMonitor").collect();
        assert_eq!(monitors.len(), 2, "{overlay}");
        for monitor in monitors {
            let spec = &monitor["spec"];
            let labels = &spec["selector"]["matchLabels"];
            let name = labels["app.kubernetes.io/name"].as_str().expect("it selects by name");
            assert_eq!(spec["jobLabel"], "app.kubernetes.io/name", "the rules ask for job=\"{name}\"");
            let endpoint = &spec["podMetricsEndpoints"][0];
            let port = port_of(&built, name, &endpoint["port"]);
            // The rules compare a replica with what it was before a restart, which gives it another address.
            let named =
                serde_json::json!([{"sourceLabels": ["__meta_kubernetes_pod_name"], "targetLabel": "instance"}]);
            assert_eq!(endpoint["relabelings"], named, "{overlay}: {name}");

            // Both ways through the default deny: the port is the container's.
            let policies =
                built.all("NetworkPolicy").filter(|policy| policy["spec"]["podSelector"]["matchLabels"] == *labels);
            let ways = policies.flat_map(|policy| policy["spec"]["ingress"].as_array().cloned().unwrap_or_default());
            let open = ways
                .filter(|way| way["from"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/name"] == "prometheus");
            assert_eq!(
                open.map(|way| way["ports"][0]["port"].clone()).collect::<Vec<_>>(),
                [port],
                "{overlay}: {name}"
            );

            if name == "tagline" {
                let token = &endpoint["authorization"]["credentials"];
                assert!(
                    holds(&built, token["name"].as_str().unwrap(), token["key"].as_str().unwrap()),
                    "{overlay}: {token}"
                );
            }
        }
    }
}

/// The number of a container's port in the pods of this name.
fn port_of(built: &Manifests, name: &str, port: &Value) -> Value {
    let templates = built.objects.iter().map(|object| &object["spec"]["template"]);
    let found = templates.filter(|template| template["metadata"]["labels"]["app.kubernetes.io/name"] == name);
    let containers = found.flat_map(|template| template["spec"]["containers"].as_array().expect("containers"));
    let mut ports = containers.flat_map(|container| container["ports"].as_array().expect("ports"));
    let found = ports.find(|known| known["name"] == *port);
    found.unwrap_or_else(|| panic!("no container of {name} has a port {port}"))["containerPort"].clone()
}

/// Whether there is a Secret with this key, be it one that the Key Vault's driver makes.
fn holds(built: &Manifests, secret: &str, key: &str) -> bool {
    let own = built.all("Secret").any(|object| object["metadata"]["name"] == secret && object["data"][key].is_string());
    let classes = built.all("SecretProviderClass").filter_map(|class| class["spec"]["secretObjects"].as_array());
    let mut synced = classes.flatten().filter(|object| object["secretName"] == secret);
    own || synced.any(|object| object["data"].as_array().expect("keys").iter().any(|item| item["key"] == key))
}

fn all(rules: &Value) -> impl Iterator<Item = &Value> {
    let groups = rules["groups"].as_array().expect("groups").iter();
    groups.flat_map(|group| group["rules"].as_array().expect("rules"))
}

/// The names in an expression that begin as the gateway's and Caddy's metrics do. What a rule records has colons in its name.
fn metrics_in(expression: &str) -> Vec<String> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | ':'));
    words.filter(|word| word.starts_with("tagline_") || word.starts_with("caddy_")).map(str::to_owned).collect()
}
