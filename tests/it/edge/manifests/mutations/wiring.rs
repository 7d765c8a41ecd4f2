//! Faults of ports, labels, variables and times.

use super::{EXTENDED, Mutation, caddy, edit, gateway, pod, remove, telegraf, unset, variable};
use serde_json::json;

pub const MUTATIONS: &[Mutation] = &[
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
        "ports",
        EXTENDED,
        |all| all.get_mut("PodMonitor", "caddy")["spec"]["podMetricsEndpoints"][0]["port"] = json!("http-metrics"),
        "PodMonitor caddy scrapes",
    ),
    (
        "selectors",
        EXTENDED,
        |all| all.get_mut("PodMonitor", "tagline")["spec"]["selector"]["matchLabels"] = json!({}),
        "PodMonitor tagline selects",
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
        |all| edit(all, "caddy-config", "Caddyfile", "shutdown_delay {$CADDY_SHUTDOWN_DELAY:10s}", "shutdown_delay 0s"),
        "out of reach after 10 s",
    ),
    (
        "times",
        "aks",
        |all| caddy(all)["lifecycle"]["preStop"]["sleep"]["seconds"] = json!(5),
        "out of reach after 10 s",
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
        |all| all.get_mut("StatefulSet", "tagline")["spec"]["minReadySeconds"] = json!(30),
        "tagline is replaced after 30 s",
    ),
    (
        "variables",
        EXTENDED,
        |all| variable(caddy(all), "AUTH_UPSTREAM")["name"] = json!("AUTH_SERVICE"),
        "sets AUTH_SERVICE",
    ),
];
