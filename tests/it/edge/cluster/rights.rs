//! Who may ask the API server for what: Telegraf for the pods of its namespace, and nobody else for anything.

use super::{OVERLAYS, deployed};
use crate::support::cluster::Cluster;
use std::collections::BTreeSet;
use std::path::Path;

/// All that Telegraf's Role gives: `kubectl auth can-i --list` tells it in these words.
const TELEGRAF: &str = "pods [list watch]";

/// The namespaces in which nobody here has any business.
const ELSEWHERE: [&str; 3] = ["default", "kube-system", "kube-public"];

#[tokio::test]
async fn telegraf_may_list_and_watch_pods_of_its_namespace_and_nobody_anything_else() {
    for overlay in OVERLAYS {
        let cluster = &deployed(overlay).await.cluster;
        let list = cluster.json(&["get", "serviceaccounts", "--namespace", "tagline"]).await;
        let accounts = list["items"].as_array().expect("a list has items").iter();
        let accounts: BTreeSet<&str> = accounts.filter_map(|item| item["metadata"]["name"].as_str()).collect();
        assert!(accounts.is_superset(&BTreeSet::from(["caddy", "tagline", "telegraf"])), "{overlay}: {accounts:?}");

        // What everybody has who has a token at all: to find out what there is, and what oneself may do.
        cluster.done(&["create", "serviceaccount", "nobody", "--namespace", "tagline"]).await;
        let nobody = cluster.kubeconfig_of("nobody").await;
        let everybody = rights(cluster, &nobody, "tagline").await;
        assert!(everybody.iter().any(|right| right.starts_with("selfsubjectaccessreviews")), "{everybody:?}");

        for account in accounts {
            let kubeconfig = cluster.kubeconfig_of(account).await;
            let own = &rights(cluster, &kubeconfig, "tagline").await - &everybody;
            let expected = if account == "telegraf" { BTreeSet::from([TELEGRAF.to_owned()]) } else { BTreeSet::new() };
            assert_eq!(own, expected, "{overlay}: {account}");
            for namespace in ELSEWHERE {
                let own = &rights(cluster, &kubeconfig, namespace).await - &everybody;
                assert_eq!(own, BTreeSet::new(), "{overlay}: {account} in {namespace}");
            }
        }
    }
}

#[tokio::test]
async fn what_telegraf_asks_beyond_its_role_is_refused() {
    let cluster = &deployed("aks").await.cluster;
    let telegraf = cluster.kubeconfig_of("telegraf").await;
    let may = async |question: &[&str]| {
        let ran = cluster.kubectl_as(&telegraf, &[&["auth", "can-i"], question].concat()).await;
        match (ran.stdout.trim(), ran.code) {
            ("yes", Some(0)) => true,
            ("no", Some(1)) => false,
            _ => panic!("{question:?}: {ran:?}"),
        }
    };
    for verb in ["list", "watch"] {
        assert!(may(&[verb, "pods", "--namespace", "tagline"]).await, "{verb}");
        assert!(!may(&[verb, "pods", "--namespace", "default"]).await, "{verb} elsewhere");
        assert!(!may(&[verb, "pods", "--all-namespaces"]).await, "{verb} everywhere");
    }
    for (verb, resource) in [
        ("get", "pods"),
        ("get", "pods/log"),
        ("create", "pods/exec"),
        ("create", "pods"),
        ("delete", "pods"),
        ("patch", "pods/status"),
        ("list", "secrets"),
        ("get", "configmaps"),
        ("list", "endpointslices"),
        ("create", "serviceaccounts/token"),
        ("escalate", "roles"),
    ] {
        assert!(!may(&[verb, resource, "--namespace", "tagline"]).await, "{verb} {resource}");
    }
    assert!(!may(&["list", "nodes"]).await && !may(&["get", "/metrics"]).await);

    // And what it is told is also what happens.
    let ran = cluster.kubectl_as(&telegraf, &["get", "pods", "--namespace", "tagline"]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let ran = cluster.kubectl_as(&telegraf, &["get", "secrets", "--namespace", "tagline"]).await;
    assert!(ran.code == Some(1) && ran.stderr.contains("secrets is forbidden"), "{ran:?}");
}

/// Each line of `kubectl auth can-i --list` as `RESOURCE [VERBS]` (or `URL [VERBS]`).
async fn rights(cluster: &Cluster, kubeconfig: &Path, namespace: &str) -> BTreeSet<String> {
    let ran =
        cluster.kubectl_as(kubeconfig, &["auth", "can-i", "--list", "--no-headers", "--namespace", namespace]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    // The empty lists of the two columns that do not concern a rule.
    ran.stdout.lines().map(|line| line.replace("[]", " ").split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}
