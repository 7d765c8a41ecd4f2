//! The pods that the workloads describe fit the namespace's own rules (Pod Security `restricted`), and no laxer ones do.

use super::{OVERLAYS, deployed};
use serde_json::{Value, json};

#[tokio::test]
async fn every_pod_that_a_workload_describes_is_let_in_and_only_telegraf_gets_a_token() {
    for overlay in OVERLAYS {
        let cluster = &deployed(overlay).await.cluster;
        let templates = cluster.templates().await;
        assert!(templates.len() >= 3, "{overlay}: {templates:?}");
        for template in templates {
            let (_, name) = template.of.split_once('/').expect("kind/name");
            let ran = cluster.create(&template.pod(&format!("{name}-0"), "node-a")).await;
            assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{overlay}: {}", template.of);
            // What admission made of it: the token of the pod's ServiceAccount would be a volume of its own.
            let pod = cluster.json(&["get", "pod", &format!("{name}-0"), "--namespace", "tagline"]).await;
            assert_eq!(has_token(&pod), name == "telegraf", "{overlay}: {pod:#}");
        }
    }
}

#[tokio::test]
async fn a_pod_that_wants_more_than_it_needs_is_refused_by_name() {
    let cluster = &deployed("aks").await.cluster;
    let pod = cluster.template("statefulset/tagline").await.pod("tagline-0", "node-a");
    let container = "/spec/containers/0/securityContext";
    let wishes = [
        (format!("{container}/privileged"), json!(true), "privileged"),
        (format!("{container}/allowPrivilegeEscalation"), json!(true), "allowPrivilegeEscalation != false"),
        (format!("{container}/capabilities"), json!({}), "unrestricted capabilities"),
        (format!("{container}/capabilities/add"), json!(["SYS_ADMIN"]), "unrestricted capabilities"),
        ("/spec/securityContext/runAsUser".to_owned(), json!(0), "runAsUser=0"),
        ("/spec/securityContext/runAsNonRoot".to_owned(), json!(false), "runAsNonRoot != true"),
        ("/spec/securityContext/seccompProfile".to_owned(), json!({"type": "Unconfined"}), "seccompProfile"),
        ("/spec/hostNetwork".to_owned(), json!(true), "host namespaces"),
        (
            "/spec/volumes/0".to_owned(),
            json!({"name": pod["spec"]["volumes"][0]["name"], "hostPath": {"path": "/"}}),
            "restricted volume types",
        ),
        // And of the ServiceAccounts there are only those of the overlay.
        ("/spec/serviceAccountName".to_owned(), json!("another"), "serviceaccount \"another\" not found"),
    ];
    let pods = wishes.iter().enumerate().map(|(number, (place, wish, _))| {
        let mut pod = with(&pod, place, wish);
        pod["metadata"]["name"] = format!("wish-{number}").into();
        pod
    });
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": pods.collect::<Vec<_>>() });
    let ran = cluster.create(&list).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "none of them is let in");
    // One refusal a pod, in their order.
    let refusals: Vec<&str> = ran.stderr.lines().collect();
    assert_eq!(refusals.len(), wishes.len(), "{}", ran.stderr);
    for ((place, _, told), refusal) in wishes.iter().zip(refusals) {
        assert!(refusal.contains(told), "{place}: {refusal}");
    }
}

/// The same with this value there; a member that is missing at the end is added.
fn with(pod: &Value, place: &str, value: &Value) -> Value {
    let mut pod = pod.clone();
    let (parent, last) = place.rsplit_once('/').expect("a pointer");
    let parent = pod.pointer_mut(parent).unwrap_or_else(|| panic!("no {parent}"));
    match (parent, last.parse::<usize>()) {
        (Value::Array(items), Ok(index)) => items[index] = value.clone(),
        (parent, _) => parent[last] = value.clone(),
    }
    pod
}

fn has_token(pod: &Value) -> bool {
    let volumes = pod["spec"]["volumes"].as_array().expect("a pod has volumes");
    let mut sources = volumes.iter().filter_map(|volume| volume["projected"]["sources"].as_array()).flatten();
    // Workload identity's tokens are for Azure, and are put in by a webhook that is not here.
    sources.any(|source| source["serviceAccountToken"].is_object())
}
