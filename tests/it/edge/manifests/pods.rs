//! Pods: what they may do, how they are asked for their health, and how much they get.

use crate::support::manifests::{Manifests, NAMESPACE, Workload, items, text};
use serde_json::{Value, json};

/// Pod Security's `restricted`, and the rules of this house beyond it.
pub fn restricted(all: &Manifests) -> Vec<String> {
    let mut faults = Vec::new();
    let labels = all.find("Namespace", NAMESPACE).map(|namespace| &namespace["metadata"]["labels"]);
    if labels.is_none_or(|labels| labels["pod-security.kubernetes.io/enforce"] != "restricted") {
        faults.push("the namespace takes pods that are not restricted".to_owned());
    }
    for workload in all.workloads() {
        let mut must = |holds: bool, what: &str| {
            if !holds {
                faults.push(format!("{}: {what}", workload.name()));
            }
        };
        let (pod, container) = (workload.pod, workload.container());
        let (outer, inner) = (&pod["securityContext"], &container["securityContext"]);
        must(items(&pod["containers"]).len() == 1 && pod["initContainers"].is_null(), "has more than one container");
        for key in ["hostNetwork", "hostPID", "hostIPC"] {
            must(pod[key].is_null(), &format!("has {key}"));
        }
        let kinds = ["configMap", "secret", "csi", "emptyDir"];
        let known = |volume: &Value| kinds.iter().any(|kind| volume[kind].is_object());
        must(items(&pod["volumes"]).iter().all(known), "has a volume of another kind than those that are needed");
        let bounded = |volume: &Value| !volume["emptyDir"].is_object() || volume["emptyDir"]["sizeLimit"].is_string();
        must(items(&pod["volumes"]).iter().all(bounded), "may fill the node's disk by an emptyDir without limit");
        must(outer["runAsNonRoot"] == true, "may run as root");
        must(outer["runAsUser"].as_u64().is_some_and(|user| user >= 1000), "runs as a user of the system, or as any");
        must(
            outer["runAsGroup"].as_u64().is_some_and(|group| group >= 1000),
            "runs as a group of the system, or as any",
        );
        must(outer["seccompProfile"] == json!({ "type": "RuntimeDefault" }), "has no seccomp profile");
        must(outer["sysctls"].is_null() && outer["supplementalGroups"].is_null(), "asks for sysctls or groups");
        must(inner["allowPrivilegeEscalation"] == false, "may escalate its privileges");
        must(inner["readOnlyRootFilesystem"] == true, "may write to its root file system");
        must(inner["privileged"].is_null() && inner["procMount"].is_null(), "is privileged");
        must(inner["runAsUser"].is_null() && inner["runAsNonRoot"].is_null(), "overrides the pod's user");
        must(inner["capabilities"]["drop"] == json!(["ALL"]), "keeps capabilities");
        // The binary of Caddy's image does not start without this one in its bounding set.
        let needed =
            if text(&container["image"]).starts_with("caddy:") { json!(["NET_BIND_SERVICE"]) } else { Value::Null };
        must(inner["capabilities"]["add"] == needed, "adds another capability than it needs");
        must(items(&container["ports"]).iter().all(|port| port["hostPort"].is_null()), "takes a port of the node");
        // What only the local overlay has meets no other nodes.
        let travels = ["tagline", "caddy", "telegraf"].contains(&workload.name());
        let linux = pod["nodeSelector"] == json!({ "kubernetes.io/os": "linux" });
        must(linux || !travels, "may be put on a node with Windows");
        let is_telegraf = workload.name() == "telegraf";
        must(pod["automountServiceAccountToken"] == is_telegraf, "has a token that it does not need, or lacks one");
        must(pod["enableServiceLinks"] == false, "gets a variable for each Service");
        let resources = &container["resources"];
        for (given, what) in [("cpu", "requests"), ("memory", "requests"), ("memory", "limits")] {
            must(resources[what][given].is_string(), &format!("has no {what} of {given}"));
        }
        must(resources["limits"]["cpu"].is_null(), "is throttled");
        let claims = items(&workload.object["spec"]["volumeClaimTemplates"]);
        let fast = outer["fsGroup"] == outer["runAsGroup"] && outer["fsGroupChangePolicy"] == "OnRootMismatch";
        must(claims.is_empty() || fast, "cannot write to its volume, or walks over it at each start");
        // A claim is one value: what merges into one can leave it without these.
        let whole = |claim: &Value| {
            let spec = &claim["spec"];
            spec["accessModes"] == json!(["ReadWriteOnce"]) && spec["resources"]["requests"]["storage"].is_string()
        };
        must(claims.iter().all(whole), "claims a volume that is not whole");
        let kept = json!({ "whenDeleted": "Retain", "whenScaled": "Retain" });
        let policy = &workload.object["spec"]["persistentVolumeClaimRetentionPolicy"];
        must(claims.is_empty() || *policy == kept, "loses its volume");
    }
    faults
}

/// Probes ask for the process's own health on the inner port: never for what stands behind it.
pub fn probes(all: &Manifests) -> Vec<String> {
    let mut faults = Vec::new();
    let expected = [("tagline", "/healthz", "/readyz", "admin"), ("caddy", "/healthz", "/healthz", "metrics")];
    for (name, liveness, readiness, port) in expected {
        let container = all.workload(name).container();
        for (probe, path) in [("livenessProbe", liveness), ("readinessProbe", readiness)] {
            let asked = &container[probe]["httpGet"];
            if *asked != json!({ "path": path, "port": port }) {
                faults.push(format!("{name}'s {probe} is {asked}, and not {path} on {port}"));
            }
        }
        if !container["startupProbe"].is_null() {
            faults.push(format!("{name} has a startupProbe: it would restart a start that reads a long log"));
        }
        let of = |key: &str| container["livenessProbe"][key].as_u64().unwrap_or_default();
        if of("periodSeconds") * of("failureThreshold") < 30 {
            faults.push(format!("{name} is restarted after less than 30 s without an answer"));
        }
    }
    faults
}

const MIB: u64 = 1 << 20;

/// There is room for what the gateway may hold: in memory, and on its volume.
pub fn room(all: &Manifests) -> Vec<String> {
    let mut faults = Vec::new();
    let gateway = all.workload("tagline");
    let told = |variable: &str, otherwise: &str| size(gateway.environment(all, variable).unwrap_or(otherwise));
    // What is under way in an outage beside spool.max_memory (docs/operations.md), and as much again for requests.
    let needed = 2 * (told("TAGLINE__SPOOL__MAX_MEMORY", "256MiB") + 130 * MIB);
    let limit = size(text(&gateway.container()["resources"]["limits"]["memory"]));
    if limit < needed {
        faults.push(format!("the gateway may need {} MiB, and is killed at {}", needed / MIB, limit / MIB));
    }
    let needed = told("TAGLINE__SPOOL__MAX_BYTES", "10GiB") + told("TAGLINE__SPOOL__MAX_DEAD_LETTERS", "64MiB");
    // A tenth is the file system's own, and the headroom of the log.
    let volume = size(claimed(gateway)) / 10 * 9;
    if volume < needed {
        faults.push(format!("the spool may need {} MiB, and its volume has {}", needed / MIB, volume / MIB));
    }
    faults
}

fn claimed(workload: Workload<'_>) -> &str {
    text(&items(&workload.object["spec"]["volumeClaimTemplates"])[0]["spec"]["resources"]["requests"]["storage"])
}

/// `512Mi` of Kubernetes, or `512MiB` of the settings.
fn size(text: &str) -> u64 {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let unit = match unit.trim_end_matches('B') {
        "Mi" => MIB,
        "Gi" => 1024 * MIB,
        other => panic!("this test does not know the unit {other:?} of {text:?}"),
    };
    number.parse::<u64>().unwrap_or_else(|error| panic!("{text:?}: {error}")) * unit
}
