//! What a controller and a kubelet would do: pods out of templates, on a node, with a status.

use super::{Cluster, Ran};
use serde_json::{Value, json};
use std::net::Ipv4Addr;

/// What a workload says of its pods.
#[derive(Debug, Clone)]
pub struct Template {
    /// `statefulset/tagline`, say.
    pub of: String,
    template: Value,
    claims: Vec<Value>,
}

impl Template {
    /// The pod that a controller would make of it, on this node. A StatefulSet's claims become its volumes.
    pub fn pod(&self, name: &str, node: &str) -> Value {
        let mut pod = self.template.clone();
        pod["apiVersion"] = "v1".into();
        pod["kind"] = "Pod".into();
        pod["metadata"]["name"] = name.into();
        pod["metadata"]["namespace"] = "tagline".into();
        pod["spec"]["nodeName"] = node.into();
        let claims = self.claims.iter().map(|claim| {
            let claim = claim["metadata"]["name"].as_str().expect("a claim has a name");
            json!({ "name": claim, "persistentVolumeClaim": { "claimName": format!("{claim}-{name}") } })
        });
        if !self.claims.is_empty() {
            let volumes = pod["spec"]["volumes"].as_array().cloned().unwrap_or_default();
            pod["spec"]["volumes"] = volumes.into_iter().chain(claims).collect();
        }
        pod
    }
}

impl Cluster {
    /// The templates of all StatefulSets, Deployments and DaemonSets in the namespace `tagline`, as the API server completed them.
    pub async fn templates(&self) -> Vec<Template> {
        let list = self.json(&["get", "statefulsets,deployments,daemonsets", "--namespace", "tagline"]).await;
        let items = list["items"].as_array().expect("a list has items");
        let text = |value: &Value| value.as_str().expect("a kind and a name are text").to_owned();
        items
            .iter()
            .map(|item| Template {
                of: format!("{}/{}", text(&item["kind"]).to_lowercase(), text(&item["metadata"]["name"])),
                template: item["spec"]["template"].clone(),
                claims: item["spec"]["volumeClaimTemplates"].as_array().cloned().unwrap_or_default(),
            })
            .collect()
    }

    /// The template of `KIND/NAME`.
    pub async fn template(&self, of: &str) -> Template {
        let found = self.templates().await.into_iter().find(|template| template.of == of);
        found.unwrap_or_else(|| panic!("there is no {of}"))
    }

    /// Writes a pod's status as the kubelet would once it runs and its probes pass.
    pub async fn runs(&self, pod: &str, address: Ipv4Addr) {
        let found = self.json(&["get", "pod", pod, "--namespace", "tagline"]).await;
        let containers = found["spec"]["containers"].as_array().expect("a pod has containers");
        let statuses = containers.iter().map(|container| {
            json!({
                "name": container["name"], "image": container["image"], "imageID": "", "restartCount": 0,
                "ready": true, "started": true, "state": { "running": { "startedAt": "2026-01-01T00:00:00Z" } },
            })
        });
        let condition =
            |name: &str| json!({ "type": name, "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z" });
        let conditions = ["Initialized", "ContainersReady", "PodScheduled", "Ready"].map(condition);
        let status = json!({
            "phase": "Running",
            "podIP": address.to_string(),
            "podIPs": [{ "ip": address.to_string() }],
            "conditions": conditions,
            "containerStatuses": statuses.collect::<Vec<_>>(),
        });
        let patch = json!({ "status": status }).to_string();
        self.done(&["patch", "pod", pod, "--namespace", "tagline", "--subresource", "status", "--patch", &patch]).await;
    }

    /// The end of a pod: its controller's wish, and then its kubelet's word that it is gone.
    pub async fn ends(&self, pod: &str) {
        self.done(&["delete", "pod", pod, "--namespace", "tagline", "--wait=false"]).await;
        self.done(&["delete", "pod", pod, "--namespace", "tagline", "--grace-period=0", "--force"]).await;
    }
}
