//! Faults of names: of what is mounted, referred to, run, and who it runs as.

use super::{EXTENDED, Mutation, caddy, gateway, pod, remove, telegraf, variable};
use serde_json::json;

pub const MUTATIONS: &[Mutation] = &[
    ("namespace", "aks", |all| remove(all, "Namespace", "tagline"), "there is no Namespace"),
    (
        "namespace",
        "aks",
        |all| all.get_mut("Service", "caddy")["metadata"]["namespace"] = json!("default"),
        "Service caddy",
    ),
    ("volumes", "aks", |all| gateway(all)["volumeMounts"][0]["name"] = json!("setting"), "mounts \"setting\""),
    ("volumes", "aks", |all| drop(caddy(all)["volumeMounts"].as_array_mut().map(Vec::pop)), "does not mount it"),
    ("volumes", "local", |all| gateway(all)["volumeMounts"][1]["mountPath"] = json!("/etc/tagline"), "at one path"),
    (
        "references",
        "aks",
        |all| {
            variable(gateway(all), "TAGLINE__INFLUXDB__URL")["valueFrom"]["configMapKeyRef"]["key"] =
                json!("INFLUX_URL")
        },
        "has no INFLUX_URL",
    ),
    (
        "references",
        "aks",
        |all| variable(telegraf(all), "INFLUXDB_TOKEN")["valueFrom"]["secretKeyRef"]["key"] = json!("token"),
        "has no token",
    ),
    ("references", "local", |all| remove(all, "Secret", "telegraf-secrets"), "comes from Secret telegraf-secrets"),
    (
        "references",
        "aks",
        |all| variable(gateway(all), "TAGLINE__INFLUXDB__TOKEN_FILE")["value"] = json!("/etc/tagline/secrets/token"),
        "told of /etc/tagline/secrets/token",
    ),
    (
        "references",
        "aks",
        |all| {
            variable(caddy(all), "CADDY_TLS")["value"] = json!("/etc/caddy/secrets/tls.crt /etc/caddy/secrets/tls.pem")
        },
        "told of /etc/caddy/secrets/tls.crt",
    ),
    (
        "references",
        "aks",
        |all| variable(gateway(all), "TAGLINE__SPOOL__DIR")["value"] = json!("/data"),
        "nothing is mounted there",
    ),
    (
        "references",
        "local",
        |all| caddy(all)["args"][3] = json!("/etc/caddy/caddyfile"),
        "told of /etc/caddy/caddyfile",
    ),
    (
        "references",
        "local",
        |all| {
            drop(all.get_mut("Secret", "caddy-secrets")["data"].as_object_mut().map(|data| data.remove("proxy-secret")))
        },
        "/etc/caddy/secrets/proxy-secret",
    ),
    ("references", "aks", |all| remove(all, "SecretProviderClass", "caddy"), "is of something that is not there"),
    (
        "references",
        "aks",
        |all| {
            all.get_mut("SecretProviderClass", "telegraf")["spec"]["secretObjects"][0]["data"][0]["objectName"] =
                json!("tagline-influxdb-token")
        },
        "keeps \"tagline-influxdb-token\"",
    ),
    (
        "references",
        "aks",
        |all| {
            let volumes = pod(all, "DaemonSet", "telegraf")["volumes"].as_array_mut().expect("it has volumes");
            volumes.retain(|volume| volume["csi"].is_null());
        },
        "no pod mounts the SecretProviderClass telegraf",
    ),
    (
        "references",
        EXTENDED,
        |all| {
            all.get_mut("PodMonitor", "tagline")["spec"]["podMetricsEndpoints"][0]["authorization"]["credentials"]["key"] =
                json!("token")
        },
        "PodMonitor tagline asks",
    ),
    (
        "references",
        EXTENDED,
        |all| {
            drop(
                all.get_mut("ConfigMap", "tagline-values")["data"]
                    .as_object_mut()
                    .map(|data| data.remove("AUTH_UPSTREAM")),
            )
        },
        "has no AUTH_UPSTREAM",
    ),
    ("accounts", "aks", |all| remove(all, "ServiceAccount", "caddy"), "which is not there"),
    (
        "accounts",
        "aks",
        |all| pod(all, "Deployment", "caddy")["serviceAccountName"] = json!("telegraf"),
        "another's service account",
    ),
    (
        "accounts",
        "aks",
        |all| all.get_mut("RoleBinding", "telegraf")["subjects"][0]["name"] = json!("default"),
        "others than telegraf",
    ),
    (
        "accounts",
        "aks",
        |all| all.get_mut("RoleBinding", "telegraf")["roleRef"]["name"] = json!("view"),
        "the Role view",
    ),
    (
        "accounts",
        "aks",
        |all| all.get_mut("Role", "telegraf")["rules"][0]["resources"] = json!(["pods", "secrets"]),
        "more than pods",
    ),
    (
        "accounts",
        "aks",
        |all| all.objects.push(json!({ "kind": "ClusterRoleBinding", "metadata": { "name": "telegraf" } })),
        "beyond the namespace",
    ),
    ("images", "aks", |all| caddy(all)["image"] = json!("caddy"), "caddy runs caddy"),
    ("images", "aks", |all| telegraf(all)["image"] = json!("telegraf:latest"), "telegraf:latest"),
    ("images", "aks", |all| gateway(all)["image"] = json!("registry.example/tagline:0.0.9"), "tagline:0.0.9"),
    (
        "images",
        "local",
        |all| pod(all, "StatefulSet", "influxdb")["containers"][0]["image"] = json!("influxdb:2.7-alpine"),
        "influxdb:2.7-alpine",
    ),
    (
        "images",
        "local",
        |all| pod(all, "Deployment", "app")["containers"][0]["image"] = json!("nginx:1.27"),
        "nginx:1.27",
    ),
    (
        "placeholders",
        "aks",
        |all| {
            all.get_mut("SecretProviderClass", "tagline")["spec"]["parameters"]["clientID"] =
                json!("from-AZURE_CLIENT_ID")
        },
        "SecretProviderClass tagline",
    ),
];
