//! The component for the Prometheus operator: what it scrapes is there, and its alerts fire when they should and only then.

use super::{OVERLAYS, deployed};
use crate::support::caddy::Caddy;
use crate::support::manifests::Manifests;
use crate::support::{Gateway, config_for, eventually, http, influx, server_binary};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

const COMPONENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/k8s/components/prometheus-operator");

/// An overlay together with the component, as kustomize makes it.
async fn monitored(overlay: &str) -> Manifests {
    Manifests::read(&deployed(overlay).await.sources.build("overlays/monitored"))
}

#[tokio::test]
async fn every_alert_fires_when_it_should_and_not_before() {
    let rules = monitored("aks").await.get("PrometheusRule", "tagline")["spec"].clone();
    let (passed, said) = promtool(&rules, &["check", "rules", "rules.json"]);
    assert!(passed, "{said}");
    let (passed, said) = promtool(&rules, &["test", "rules", "rules.test.yaml"]);
    assert!(passed, "{said}");

    // Each expectation is the whole set of alerts that fire: one that is never named has not been seen to fire.
    let expected = std::fs::read_to_string(format!("{COMPONENT}/rules.test.yaml")).expect("the component's tests");
    for rule in alerts(&rules) {
        let name = rule["alert"].as_str().expect("all rules are alerts");
        assert!(expected.contains(&format!("alertname=\"{name}\"")), "{name} is never seen to fire");
        let annotations = &rule["annotations"];
        for what in ["summary", "description", "first_command"] {
            assert!(annotations[what].as_str().is_some_and(|text| !text.trim().is_empty()), "{name} has no {what}");
        }
        assert!(["critical", "warning"].map(Value::from).contains(&rule["labels"]["severity"]), "{name}");
    }
}

#[tokio::test]
async fn an_alert_that_is_changed_is_noticed() {
    let rules = monitored("aks").await.get("PrometheusRule", "tagline")["spec"].clone();
    let text = rules.to_string();
    let mistakes = [
        // Without the wait, without the look back, with another threshold, of another row.
        ("\"for\":\"5m\"", "\"for\":\"0s\""),
        ("\"for\":\"15m\"", "\"for\":\"0s\""),
        ("\"for\":\"1m\"", "\"for\":\"10m\""),
        (" offset 15m)", ")"),
        ("sum by (namespace, pod) (tagline_spool_points", "sum by (namespace, pod) (tagline_absent"),
        ("> 0.5", "> 0.49"),
        ("> 60", "> 3600"),
        ("> 0.1", "> 0.2"),
        ("lost_.*", "lost_damaged"),
        ("quarantined|set_aside", "quarantined|set_aside|truncated"),
        ("check!=\\\"lifecycle\\\"", "check!=\\\"spool\\\""),
    ];
    for (right, wrong) in mistakes {
        assert!(text.contains(right), "{right} is in no rule: {text}");
        let changed = serde_json::from_str(&text.replace(right, wrong)).expect("still JSON");
        let (passed, said) = promtool(&changed, &["test", "rules", "rules.test.yaml"]);
        assert!(!passed && said.contains("FAILED"), "{right} -> {wrong}: {said}");
    }
}

#[tokio::test]
async fn the_alerts_ask_for_metrics_that_are_there() {
    let rules = monitored("aks").await.get("PrometheusRule", "tagline")["spec"].clone();
    let asked: BTreeSet<String> = alerts(&rules).flat_map(|rule| metrics_in(rule["expr"].as_str().unwrap())).collect();
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
        // Those that count by a kind of trouble begin to exist with it.
        let later = ["tagline_spool_records_total", "tagline_series_demoted_total"].contains(&family);
        assert!(families.contains(family) || later, "{family} is not among {families:?}");
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

fn alerts(rules: &Value) -> impl Iterator<Item = &Value> {
    let groups = rules["groups"].as_array().expect("groups").iter();
    groups.flat_map(|group| group["rules"].as_array().expect("rules"))
}

/// The names in an expression that begin as the gateway's and Caddy's metrics do.
fn metrics_in(expression: &str) -> Vec<String> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("tagline_") || word.starts_with("caddy_")).map(str::to_owned).collect()
}

/// Runs promtool where `rules.json` is these groups, beside the component's own tests; whether it was content, and what it said.
fn promtool(rules: &Value, arguments: &[&str]) -> (bool, String) {
    let folder = TempDir::with_prefix("tagline-rules-").expect("a temporary folder");
    std::fs::write(folder.path().join("rules.json"), rules.to_string()).expect("a new file");
    std::fs::copy(Path::new(COMPONENT).join("rules.test.yaml"), folder.path().join("rules.test.yaml"))
        .expect("a new file");
    let binary = server_binary("promtool").unwrap_or_else(|error| panic!("{error}"));
    let ran = Command::new(&binary).args(arguments).env_clear().current_dir(folder.path()).output();
    let ran = ran.unwrap_or_else(|error| panic!("{}: {error}", binary.display()));
    (ran.status.success(), String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned())
}
