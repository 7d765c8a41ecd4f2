//! Faults of what pods may do and get, and of whom they may speak with.

use super::{EXTENDED, Mutation, caddy, gateway, pod, remove, telegraf, variable};
use serde_json::{Value, json};

pub const MUTATIONS: &[Mutation] = &[
    (
        "restricted",
        "aks",
        |all| {
            all.get_mut("Namespace", "tagline")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] =
                json!("baseline")
        },
        "not restricted",
    ),
    ("restricted", "aks", |all| pod(all, "DaemonSet", "telegraf")["hostNetwork"] = json!(true), "has hostNetwork"),
    (
        "restricted",
        "aks",
        |all| {
            pod(all, "DaemonSet", "telegraf")["volumes"][1] =
                json!({ "name": "buffer", "hostPath": { "path": "/var/lib/telegraf" } })
        },
        "another kind",
    ),
    (
        "restricted",
        "aks",
        |all| pod(all, "DaemonSet", "telegraf")["volumes"][1]["emptyDir"] = json!({}),
        "without limit",
    ),
    (
        "restricted",
        "aks",
        |all| pod(all, "Deployment", "caddy")["securityContext"]["runAsNonRoot"] = json!(false),
        "may run as root",
    ),
    (
        "restricted",
        "aks",
        |all| pod(all, "Deployment", "caddy")["securityContext"]["runAsUser"] = json!(0),
        "user of the system",
    ),
    (
        "restricted",
        "aks",
        |all| pod(all, "Deployment", "caddy")["securityContext"]["seccompProfile"]["type"] = json!("Unconfined"),
        "seccomp",
    ),
    ("restricted", "aks", |all| caddy(all)["securityContext"]["allowPrivilegeEscalation"] = json!(true), "escalate"),
    (
        "restricted",
        "aks",
        |all| gateway(all)["securityContext"]["readOnlyRootFilesystem"] = json!(false),
        "root file system",
    ),
    ("restricted", "aks", |all| gateway(all)["securityContext"]["privileged"] = json!(true), "is privileged"),
    ("restricted", "aks", |all| gateway(all)["securityContext"]["runAsUser"] = json!(0), "overrides the pod's user"),
    (
        "restricted",
        "aks",
        |all| gateway(all)["securityContext"]["capabilities"]["drop"] = json!(["NET_RAW"]),
        "keeps capabilities",
    ),
    (
        "restricted",
        "aks",
        |all| caddy(all)["securityContext"]["capabilities"]["add"] = Value::Null,
        "another capability",
    ),
    (
        "restricted",
        "aks",
        |all| gateway(all)["securityContext"]["capabilities"]["add"] = json!(["NET_BIND_SERVICE"]),
        "another capability",
    ),
    ("restricted", "aks", |all| caddy(all)["ports"][0]["hostPort"] = json!(80), "a port of the node"),
    (
        "restricted",
        "aks",
        |all| pod(all, "StatefulSet", "tagline")["automountServiceAccountToken"] = json!(true),
        "a token",
    ),
    (
        "restricted",
        "aks",
        |all| pod(all, "DaemonSet", "telegraf")["automountServiceAccountToken"] = json!(false),
        "a token",
    ),
    ("restricted", "aks", |all| pod(all, "Deployment", "caddy")["enableServiceLinks"] = Value::Null, "each Service"),
    ("restricted", "aks", |all| gateway(all)["resources"]["limits"]["cpu"] = json!("1"), "throttled"),
    ("restricted", "aks", |all| telegraf(all)["resources"]["limits"] = Value::Null, "no limits of memory"),
    (
        "restricted",
        "aks",
        |all| pod(all, "StatefulSet", "tagline")["securityContext"]["fsGroup"] = Value::Null,
        "cannot write",
    ),
    (
        "restricted",
        "aks",
        |all| pod(all, "StatefulSet", "tagline")["securityContext"]["fsGroupChangePolicy"] = Value::Null,
        "walks over it",
    ),
    (
        "restricted",
        "aks",
        |all| {
            all.get_mut("StatefulSet", "tagline")["spec"]["persistentVolumeClaimRetentionPolicy"]["whenScaled"] =
                json!("Delete")
        },
        "loses its volume",
    ),
    (
        "restricted",
        "aks",
        |all| pod(all, "StatefulSet", "tagline")["initContainers"] = json!([{ "name": "first" }]),
        "more than one container",
    ),
    (
        "restricted",
        "aks",
        |all| {
            all.get_mut("StatefulSet", "tagline")["spec"]["volumeClaimTemplates"][0]["spec"]["resources"] = Value::Null
        },
        "not whole",
    ),
    (
        "probes",
        "aks",
        |all| gateway(all)["livenessProbe"]["httpGet"]["path"] = json!("/readyz"),
        "tagline's livenessProbe",
    ),
    (
        "probes",
        "aks",
        |all| gateway(all)["readinessProbe"]["httpGet"]["port"] = json!("http"),
        "tagline's readinessProbe",
    ),
    ("probes", "aks", |all| gateway(all)["startupProbe"] = gateway(all)["livenessProbe"].clone(), "a startupProbe"),
    ("probes", "aks", |all| caddy(all)["livenessProbe"]["httpGet"]["port"] = json!("http"), "caddy's livenessProbe"),
    ("probes", "aks", |all| caddy(all)["livenessProbe"]["failureThreshold"] = json!(1), "restarted after less"),
    ("room", "aks", |all| gateway(all)["resources"]["limits"]["memory"] = json!("512Mi"), "is killed at 512"),
    (
        "room",
        "local",
        |all| variable(gateway(all), "TAGLINE__SPOOL__MAX_MEMORY")["value"] = json!("1GiB"),
        "is killed at 512",
    ),
    (
        "room",
        "aks",
        |all| variable(gateway(all), "TAGLINE__SPOOL__MAX_BYTES")["value"] = json!("32GiB"),
        "its volume has",
    ),
    ("ways", "aks", |all| remove(all, "NetworkPolicy", "default-deny"), "is open, and nobody needs it"),
    ("ways", "local", |all| remove(all, "NetworkPolicy", "default-deny"), "is open, and nobody needs it"),
    ("ways", "aks", |all| remove(all, "NetworkPolicy", "dns"), "tagline -> dns:53 is shut"),
    (
        "ways",
        "aks",
        |all| all.get_mut("NetworkPolicy", "dns")["spec"]["egress"][0]["ports"] = Value::Null,
        "tagline -> dns:9153 is open",
    ),
    (
        "ways",
        "aks",
        |all| {
            let pods =
                json!([{ "namespaceSelector": {}, "podSelector": { "matchLabels": { "k8s-app": "kube-dns" } } }]);
            all.get_mut("NetworkPolicy", "dns")["spec"]["egress"][0]["to"] = pods;
        },
        "caddy -> world:53 is shut",
    ),
    (
        "ways",
        "aks",
        |all| all.get_mut("NetworkPolicy", "caddy")["spec"]["ingress"][1]["from"] = json!([]),
        "stranger -> caddy:9180 is open",
    ),
    (
        "ways",
        "aks",
        |all| all.get_mut("NetworkPolicy", "caddy")["spec"]["ingress"][0]["ports"] = json!([]),
        "world -> caddy:9180 is open",
    ),
    ("ways", "aks", |all| remove(all, "NetworkPolicy", "caddy-to-app"), "caddy -> app:80 is shut"),
    ("ways", "aks", |all| remove(all, "NetworkPolicy", "app-to-gateway"), "app -> tagline:8080 is shut"),
    (
        "ways",
        "aks",
        |all| all.get_mut("NetworkPolicy", "tagline")["spec"]["ingress"][0]["from"][0]["namespaceSelector"] = json!({}),
        "stranger -> tagline:8080 is open",
    ),
    (
        "ways",
        "aks",
        |all| all.get_mut("NetworkPolicy", "tagline")["spec"]["egress"] = json!([{}]),
        "tagline -> world:80 is open",
    ),
    (
        "ways",
        "aks",
        |all| all.get_mut("NetworkPolicy", "telegraf")["spec"]["egress"][2]["ports"][1]["port"] = json!(8443),
        "telegraf -> world:6443 is shut",
    ),
    ("ways", "aks", |all| remove(all, "NetworkPolicy", "writers-to-influxdb"), "tagline -> influxdb:8086 is shut"),
    ("ways", "local", |all| remove(all, "NetworkPolicy", "influxdb"), "telegraf -> influxdb:8086 is shut"),
    (
        "ways",
        "local",
        |all| all.get_mut("NetworkPolicy", "app")["spec"]["ingress"] = json!([{}]),
        "world -> app:8080 is open",
    ),
    (
        "ways",
        EXTENDED,
        |all| remove(all, "NetworkPolicy", "prometheus-to-gateway"),
        "prometheus -> tagline:8081 is shut",
    ),
    ("ways", EXTENDED, |all| remove(all, "NetworkPolicy", "caddy-to-auth"), "caddy -> auth:9000 is shut"),
];
