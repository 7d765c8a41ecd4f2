//! Each overlay goes into a cluster by one command, and says so where it does not fit.

use super::{Deployed, applied, apply, deployed, sources_extending};
use crate::support::cluster::Cluster;
use crate::support::manifests::{Manifests, Sources};
use serde_json::Value;
use std::collections::BTreeMap;

#[tokio::test]
async fn the_overlay_for_aks_is_applied_whole_and_a_second_time_changes_nothing() {
    applied_twice("aks").await;
}

#[tokio::test]
async fn the_overlay_for_ones_own_machine_is_applied_whole_and_a_second_time_changes_nothing() {
    applied_twice("local").await;
}

/// The overlay alone, then with each component on top, as somebody would who gets the operator later.
async fn applied_twice(overlay: &str) {
    let Deployed { cluster, sources } = deployed(overlay).await;
    let mut before = BTreeMap::new();
    for overlay in [overlay, "monitored", "extended"] {
        let first = versions(&applied(cluster, sources, overlay).await);
        let built = Manifests::read(&sources.build(&format!("overlays/{overlay}")));
        assert_eq!(first.len(), built.objects.len(), "every object of {overlay} is there: {first:?}");
        let changed: Vec<&String> =
            before.iter().filter(|(name, at)| first.get(*name) != Some(at)).map(|(name, _)| name).collect();
        let expected: &[&str] = if overlay == "extended" { &["Deployment/caddy"] } else { &[] };
        assert_eq!(changed, expected, "by the components");
        let second = versions(&applied(cluster, sources, overlay).await);
        assert_eq!(first, second, "{overlay}, once more");
        before = second;
    }
    assert_eq!(difference(cluster, sources, "extended").await, (Some(0), String::new()));

    // As the comments at the top of both tell it: without --server-side.
    let folder = sources.path(&format!("overlays/{overlay}"));
    cluster.done(&["apply", "--dry-run=server", "-k", folder.to_str().expect("ASCII letters")]).await;

    // A difference is seen where there is one.
    let sources = sources_extending(overlay);
    sources.edit("base/gateway.yaml", "minReadySeconds: ", "minReadySeconds: 1");
    let (code, told) = difference(cluster, &sources, "extended").await;
    assert!(code == Some(1) && told.contains("+  minReadySeconds: 1"), "{code:?}: {told}");
}

#[tokio::test]
async fn what_does_not_fit_is_refused_by_name() {
    let (cluster, sources) = (&deployed("aks").await.cluster, sources_extending("aks"));
    let mistakes = [
        // A field that nobody knows.
        ("base/gateway.yaml", "minReadySeconds:", "minReadySecond:", ".spec.minReadySecond: field not declared"),
        // A value of the wrong type.
        (
            "base/caddy.yaml",
            "revisionHistoryLimit: 5",
            "revisionHistoryLimit: five",
            ".spec.revisionHistoryLimit: expected numeric",
        ),
        // A value that no schema forbids, but Kubernetes does.
        ("base/telegraf.yaml", "kind: Role\n  name: telegraf", "kind: Role\n  name: other", "cannot change roleRef"),
        ("base/network.yaml", "port: 9180", "port: 91800", "must be between 1 and 65535"),
        // The same, of the resources that others bring.
        (
            "overlays/aks/secrets.yaml",
            "objectName: influxdb-token\n          key",
            "objectNam: x\n          key",
            ".objectNam: field not declared",
        ),
        ("overlays/aks/secrets.yaml", "provider: azure", "provider: 7", ".spec.provider: expected string"),
        (
            "components/prometheus-operator/pod-monitors.yaml",
            "- port: admin",
            "- prot: admin",
            ".prot: field not declared",
        ),
        ("components/prometheus-operator/rules.yaml", "for: 5m", "for: a while", ".for: Invalid value: \"a while\""),
    ];
    for (file, right, wrong, _) in mistakes {
        sources.edit(file, right, wrong);
    }
    let ran = apply(cluster, &sources, "monitored", &["--dry-run=server"]).await;
    assert_eq!(ran.code, Some(1), "{}", ran.stdout);
    for (file, _, wrong, told) in mistakes {
        assert!(ran.stderr.contains(told), "{file}, {wrong}: {}", ran.stderr);
    }
}

/// `kind/name` of each object that `kubectl apply -o json` printed, with its version, which every change raises.
fn versions(printed: &str) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned();
    let list: Value = serde_json::from_str(printed).expect("kubectl prints JSON");
    let items = list["items"].as_array().expect("a list has items").iter();
    items
        .map(|item| {
            let meta = &item["metadata"];
            (format!("{}/{}", text(&item["kind"]), text(&meta["name"])), text(&meta["resourceVersion"]))
        })
        .collect()
}

async fn difference(cluster: &Cluster, sources: &Sources, overlay: &str) -> (Option<i32>, String) {
    let folder = sources.path(&format!("overlays/{overlay}"));
    let ran = cluster.kubectl(&["diff", "--server-side", "-k", folder.to_str().expect("ASCII letters")]).await;
    (ran.code, ran.stdout + &ran.stderr)
}
