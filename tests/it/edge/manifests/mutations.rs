//! Each check is shown faults of its kind, and has to name them.

use super::CHECKS;
use crate::support::manifests::{Manifests, manifests};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A check, an overlay, what is broken in it, and what the check has to say.
type Mutation = (&'static str, &'static str, fn(&mut Manifests), &'static str);

fn pod<'m>(all: &'m mut Manifests, kind: &str, name: &str) -> &'m mut Value {
    &mut all.get_mut(kind, name)["spec"]["template"]["spec"]
}

fn gateway(all: &mut Manifests) -> &mut Value {
    &mut pod(all, "StatefulSet", "tagline")["containers"][0]
}

fn caddy(all: &mut Manifests) -> &mut Value {
    &mut pod(all, "Deployment", "caddy")["containers"][0]
}

fn telegraf(all: &mut Manifests) -> &mut Value {
    &mut pod(all, "DaemonSet", "telegraf")["containers"][0]
}

/// A variable of a container.
fn variable<'m>(container: &'m mut Value, name: &str) -> &'m mut Value {
    let variables = container["env"].as_array_mut().expect("it has variables");
    variables.iter_mut().find(|variable| variable["name"] == name).unwrap_or_else(|| panic!("{name} is not set"))
}

fn unset(container: &mut Value, name: &str) {
    container["env"].as_array_mut().expect("it has variables").retain(|variable| variable["name"] != name);
}

fn remove(all: &mut Manifests, kind: &str, name: &str) {
    let before = all.objects.len();
    all.objects.retain(|object| object["kind"] != kind || object["metadata"]["name"] != name);
    assert_eq!(all.objects.len(), before - 1, "there is no {kind} {name}");
}

/// Replaces text in a file of a ConfigMap.
fn edit(all: &mut Manifests, map: &str, file: &str, old: &str, new: &str) {
    let content = &mut all.get_mut("ConfigMap", map)["data"][file];
    let text = content.as_str().expect("a file");
    assert!(text.contains(old), "{file} does not hold {old:?}");
    *content = json!(text.replace(old, new));
}

const MUTATIONS: &[Mutation] = &[
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
            drop(
                pod(all, "DaemonSet", "telegraf")["volumes"]
                    .as_array_mut()
                    .map(|volumes| volumes.retain(|volume| volume["csi"].is_null())),
            )
        },
        "no pod mounts the SecretProviderClass telegraf",
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
    (
        "ports",
        "aks",
        |all| gateway(all)["readinessProbe"]["httpGet"]["port"] = json!("health"),
        "which the container does not name",
    ),
    (
        "ports",
        "aks",
        |all| all.get_mut("Service", "caddy")["spec"]["ports"][1]["targetPort"] = json!("tls"),
        "leads to port \"tls\"",
    ),
    ("ports", "aks", |all| gateway(all)["ports"][1]["containerPort"] = json!(9090), "TAGLINE__SERVER__ADMIN_LISTEN"),
    (
        "ports",
        "aks",
        |all| variable(caddy(all), "CADDY_METRICS_ADDRESS")["value"] = json!(":9181"),
        "CADDY_METRICS_ADDRESS",
    ),
    (
        "ports",
        "aks",
        |all| variable(caddy(all), "TAGLINE_ADMIN_PORT")["value"] = json!("8082"),
        "Caddy asks for health on port Some(8082)",
    ),
    (
        "ports",
        "aks",
        |all| edit(all, "telegraf-config", "telegraf.conf", "= 9180", "= 9181"),
        "scrapes port Some(9181) of caddy",
    ),
    (
        "ports",
        "aks",
        |all| edit(all, "telegraf-config", "telegraf.conf", "name=tagline", "name=gateway"),
        "scrapes port None of tagline",
    ),
    (
        "ports",
        "aks",
        |all| all.get_mut("NetworkPolicy", "caddy")["spec"]["ingress"][0]["ports"][0]["port"] = json!(80),
        "opens port 80 of caddy",
    ),
    (
        "ports",
        "aks",
        |all| all.get_mut("NetworkPolicy", "telegraf")["spec"]["egress"][1]["ports"][0]["port"] = json!(8082),
        "opens port 8082 of tagline",
    ),
    (
        "ports",
        "local",
        |all| {
            all.get_mut("ConfigMap", "tagline-values")["data"]["INFLUXDB_URL"] = json!("http://influxdb.tagline.svc:80")
        },
        "INFLUXDB_URL names",
    ),
    (
        "selectors",
        "aks",
        |all| all.get_mut("Service", "tagline")["spec"]["selector"] = json!({ "app.kubernetes.io/part-of": "tagline" }),
        "Service tagline selects",
    ),
    (
        "selectors",
        "aks",
        |all| all.get_mut("Service", "tagline-pods")["spec"]["selector"]["app.kubernetes.io/name"] = json!("gateway"),
        "Service tagline-pods selects []",
    ),
    (
        "selectors",
        "aks",
        |all| {
            all.get_mut("PodDisruptionBudget", "caddy")["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"] =
                json!("tagline")
        },
        "PodDisruptionBudget caddy selects",
    ),
    (
        "selectors",
        "aks",
        |all| {
            all.get_mut("DaemonSet", "telegraf")["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"] =
                json!("caddy")
        },
        "telegraf's own selector selects []",
    ),
    (
        "selectors",
        "aks",
        |all| {
            pod(all, "Deployment", "caddy")["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"] =
                json!({ "app": "caddy" })
        },
        "caddy's spread",
    ),
    (
        "selectors",
        "aks",
        |all| {
            all.get_mut("NetworkPolicy", "tagline")["spec"]["podSelector"]["matchLabels"] = json!({ "app": "tagline" })
        },
        "NetworkPolicy tagline",
    ),
    (
        "selectors",
        "aks",
        |all| {
            all.get_mut("NetworkPolicy", "tagline")["spec"]["ingress"][0]["from"][0]["podSelector"]["matchLabels"] =
                json!({ "app": "caddy" })
        },
        "a selector of nobody",
    ),
    (
        "selectors",
        "aks",
        |all| edit(all, "telegraf-config", "telegraf.conf", "name=caddy", "name=edge"),
        "selects nobody",
    ),
    (
        "selectors",
        "aks",
        |all| all.get_mut("StatefulSet", "tagline")["spec"]["serviceName"] = json!("tagline-set"),
        "which is not there",
    ),
    (
        "selectors",
        "aks",
        |all| all.get_mut("StatefulSet", "tagline")["spec"]["serviceName"] = json!("tagline"),
        "is not headless",
    ),
    (
        "selectors",
        "aks",
        |all| all.get_mut("Service", "tagline-pods")["spec"]["publishNotReadyAddresses"] = json!(false),
        "while they are not ready",
    ),
    ("selectors", "aks", |all| remove(all, "PodDisruptionBudget", "tagline"), "tagline has no PodDisruptionBudget"),
    (
        "selectors",
        "aks",
        |all| drop(pod(all, "Deployment", "caddy")["topologySpreadConstraints"].as_array_mut().map(Vec::pop)),
        "caddy is not spread",
    ),
    (
        "upstreams",
        "aks",
        |all| all.get_mut("StatefulSet", "tagline")["spec"]["replicas"] = json!(4),
        "TAGLINE_UPSTREAMS are",
    ),
    (
        "upstreams",
        "local",
        |all| variable(caddy(all), "TAGLINE_UPSTREAMS")["value"] = json!("tagline:8080"),
        "TAGLINE_UPSTREAMS are",
    ),
    (
        "upstreams",
        "aks",
        |all| variable(gateway(all), "TAGLINE__SERVER__REPLICAS")["value"] = json!("dns:tagline"),
        "counts its replicas",
    ),
    ("variables", "aks", |all| unset(caddy(all), "CADDY_SITES"), "caddy's files need CADDY_SITES"),
    (
        "variables",
        "aks",
        |all| variable(caddy(all), "APP_UPSTREAMS")["name"] = json!("APP_UPSTREAM"),
        "sets APP_UPSTREAM,",
    ),
    ("variables", "aks", |all| unset(telegraf(all), "NODE_NAME"), "telegraf's files need NODE_NAME"),
    (
        "variables",
        "aks",
        |all| variable(telegraf(all), "INFLUXDB_ORG")["name"] = json!("INFLUX_ORG"),
        "sets INFLUX_ORG",
    ),
    (
        "variables",
        "aks",
        |all| edit(all, "caddy-config", "Caddyfile", "import common.caddy", "import commons.caddy"),
        "has no commons.caddy",
    ),
    (
        "times",
        "aks",
        |all| variable(gateway(all), "TAGLINE__SERVER__DRAIN_TIMEOUT")["value"] = json!("45s"),
        "the gateway needs 65 s",
    ),
    (
        "times",
        "aks",
        |all| pod(all, "StatefulSet", "tagline")["terminationGracePeriodSeconds"] = json!(30),
        "and has 30",
    ),
    ("times", "aks", |all| unset(gateway(all), "TAGLINE__SERVER__DRAIN_DELAY"), "the gateway needs"),
    ("times", "aks", |all| pod(all, "Deployment", "caddy")["terminationGracePeriodSeconds"] = json!(30), "Caddy needs"),
    (
        "times",
        "aks",
        |all| edit(all, "caddy-config", "Caddyfile", "shutdown_delay {$CADDY_SHUTDOWN_DELAY:10s}", "shutdown_delay 2s"),
        "Caddy serves on for 7 s",
    ),
    (
        "times",
        "aks",
        |all| variable(gateway(all), "TAGLINE__SERVER__DRAIN_DELAY")["value"] = json!("1s"),
        "takes nothing after 1",
    ),
    (
        "times",
        "aks",
        |all| all.get_mut("Deployment", "caddy")["spec"]["minReadySeconds"] = json!(5),
        "caddy is replaced after 5 s",
    ),
    (
        "times",
        "aks",
        |all| all.get_mut("StatefulSet", "tagline")["spec"]["minReadySeconds"] = json!(0),
        "tagline is replaced after 0 s",
    ),
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
        |all| all.get_mut("NetworkPolicy", "dns")["spec"]["egress"][0]["to"][0]["podSelector"] = Value::Null,
        "caddy",
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
];

#[test]
fn every_check_finds_what_it_is_for() {
    let mut silent = Vec::new();
    for (name, overlay, mutate, expected) in MUTATIONS {
        let (_, check) = CHECKS.iter().find(|(known, _)| known == name).unwrap_or_else(|| panic!("no check {name}"));
        let mut broken = manifests(overlay).clone();
        mutate(&mut broken);
        let faults = check(&broken);
        if !faults.iter().any(|fault| fault.contains(expected)) {
            silent.push(format!("{name}, {overlay}: nothing with {expected:?} in {faults:?}"));
        }
    }
    assert!(silent.is_empty(), "{}", silent.join("\n"));
    let tried: BTreeSet<_> = MUTATIONS.iter().map(|(name, ..)| *name).collect();
    let untried: Vec<_> = CHECKS.iter().filter(|(name, _)| !tried.contains(name)).collect();
    assert!(untried.is_empty(), "no mutation is for {:?}", untried.iter().map(|(name, _)| name).collect::<Vec<_>>());
}
