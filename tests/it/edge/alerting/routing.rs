//! The example of Alertmanager: each alert reaches who it is for, and what is only a consequence waits.

use super::{OF_TASKS, alerts, name};
use crate::support::alertmanager::{Alertmanager, amtool, example};
use serde_json::{Value, json};

#[test]
fn amtool_takes_the_example() {
    let ran = amtool(&["check-config", example().to_str().expect("ASCII")]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("SUCCESS") && ran.stdout.contains("3 receivers"), "{}", ran.stdout);
}

#[test]
fn each_alert_has_the_receiver_that_its_severity_asks_for() {
    for rule in alerts() {
        let severity = rule["labels"]["severity"].as_str().expect("a severity");
        let wanted = if severity == "critical" { "night" } else { "day" };
        assert_eq!(receiver(&[("alertname", name(&rule)), ("severity", severity)]), wanted, "{}", name(&rule));
    }
    for alert in OF_TASKS {
        for severity in ["warning", "critical"] {
            let wanted = if alert == "TaskFailing" { "day" } else { "tenants" };
            let labels = [("alertname", alert), ("severity", severity), ("source", "influxdb"), ("tenant_id", "acme")];
            assert_eq!(receiver(&labels), wanted, "{alert}");
        }
    }
    // What nobody thought of is not lost.
    assert_eq!(receiver(&[("alertname", "SomethingElse")]), "day");
}

/// Who gets an alert with these labels, by amtool.
fn receiver(labels: &[(&str, &str)]) -> String {
    let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let file = example();
    let arguments = ["config", "routes", "test", "--config.file", file.to_str().expect("ASCII")];
    let ran = amtool(&arguments.into_iter().chain(labels.iter().map(String::as_str)).collect::<Vec<_>>());
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    ran.stdout.trim().to_owned()
}

#[tokio::test]
async fn influxdb_away_in_one_cluster_silences_its_consequences_there_and_nowhere_else() {
    let alertmanager = Alertmanager::start(&[]).await;
    let mut told = Vec::new();
    for cluster in ["west", "east"] {
        for alert in alerts() {
            told.push(alert_of(&alert, cluster));
        }
        // The checks of two buckets, and one that has nothing to do with InfluxDB.
        for check in ["destination:acme", "issuer:login"] {
            let labels = json!({ "alertname": "TaglineCheckDegraded", "severity": "warning", "cluster": cluster,
                "namespace": "tagline", "instance": "tagline-9", "check": check });
            told.push(json!({ "labels": labels }));
        }
    }
    // All that can be wrong at once is, but what is said of InfluxDB, of a gateway that is down, and of its disk and settings: in the east.
    let sources =
        ["TaglineInfluxdbAway", "TaglineDown", "TaglineCheckFailed", "TaglineSettingsRefused", "TaglineSpoolDamaged"];
    told.retain(|alert| {
        let (alert, cluster) = (alert["labels"]["alertname"].as_str(), &alert["labels"]["cluster"]);
        cluster == "west" || !sources.contains(&alert.expect("a name"))
    });
    alertmanager.tell(&json!(told));

    let named = |labels: &Value| {
        let check = labels["check"].as_str().map(|check| format!(" {check}")).unwrap_or_default();
        format!(
            "{}: {}{check}",
            labels["cluster"].as_str().unwrap_or("-"),
            labels["alertname"].as_str().expect("a name")
        )
    };
    // Of all that fires in the west just these; and in the east, where the same fires, nothing.
    let consequences = [
        "west: TaglineDeliveryStalled",
        "west: TaglineCheckDegraded destination:app_observability",
        "west: TaglineCheckDegraded destination:acme",
        "west: CaddyUpstreamUnhealthy",
        "west: TaglineSlowDisk",
        "west: TaglineConnectionsRefused",
    ];
    // Each kind of consequence of a gateway that is down; its settings are refused, too.
    let expected: Vec<&str> = consequences.iter().copied().chain(["west: TaglineSettingsRefused"]).collect();
    alertmanager.inhibits(named, &expected).await;

    // InfluxDB is back, and the gateway is: what goes on by itself is told, and one that is degraded for its settings is not told twice.
    let ended = |alert: &str| {
        let mut ended = told.iter().find(|told| told["labels"]["alertname"] == alert).expect("it was told").clone();
        ended["endsAt"] = json!("2020-01-01T00:00:00Z");
        ended["startsAt"] = json!("2019-01-01T00:00:00Z");
        ended
    };
    let settings = json!({ "labels": { "alertname": "TaglineCheckDegraded", "severity": "warning", "cluster": "west",
        "namespace": "tagline", "instance": "tagline-0", "check": "settings" } });
    alertmanager.tell(&json!([ended("TaglineInfluxdbAway"), ended("TaglineDown"), settings]));
    alertmanager.inhibits(named, &["west: TaglineSlowDisk", "west: TaglineCheckDegraded settings"]).await;
}

/// An alert of the rules as Prometheus would tell it of this cluster: all of one replica.
fn alert_of(rule: &Value, cluster: &str) -> Value {
    let mut labels = json!({ "alertname": name(rule), "severity": rule["labels"]["severity"], "cluster": cluster,
        "namespace": "tagline", "instance": "tagline-0" });
    match name(rule) {
        "TaglineCheckDegraded" => labels["check"] = json!("destination:app_observability"),
        "TaglineDown" | "CaddyUpstreamUnhealthy" => labels["gateway"] = json!("tagline-0"),
        _ => {}
    }
    json!({ "labels": labels })
}

#[tokio::test]
async fn tenants_that_seem_silent_for_influxdbs_absence_wait_where_clusters_are_not_told_apart() {
    let alertmanager = Alertmanager::start(&[]).await;
    let named = |labels: &Value| labels["tenant_id"].as_str().unwrap_or("-").to_owned();
    let silent = of_a_task("TenantSilent", "acme", "is silent");
    let away = |labels: Value| json!({ "labels": labels });
    // With a label that the task's alert has not: what holds in the west says nothing of a tenant who may be in the east.
    let in_the_west = json!({ "alertname": "TaglineInfluxdbAway", "severity": "critical", "cluster": "west", "namespace": "tagline" });
    alertmanager.tell(&json!([silent, away(in_the_west)]));
    alertmanager.has_said(&[("tenants", "firing", "acme"), ("night", "firing", "TaglineInfluxdbAway")]).await;
    alertmanager.inhibits(named, &[]).await;

    let anywhere = json!({ "alertname": "TaglineInfluxdbAway", "severity": "critical", "namespace": "tagline" });
    let slower = of_a_task("TenantSlowerThanUsual", "acme", "is slower");
    alertmanager.tell(&json!([of_a_task("TenantSilent", "globex", "is silent"), slower, away(anywhere)]));
    alertmanager
        .inhibits(
            |labels| format!("{} {}", labels["alertname"], labels["tenant_id"]),
            &["\"TenantSilent\" \"acme\"", "\"TenantSilent\" \"globex\""],
        )
        .await;
}

/// What InfluxDB's tasks send: it holds for a week, or until they say that it has ended.
fn of_a_task(alert: &str, tenant: &str, summary: &str) -> Value {
    json!({
        "labels": { "alertname": alert, "tenant_id": tenant, "severity": "critical", "source": "influxdb" },
        "annotations": { "summary": format!("{tenant} {summary}"), "description": "what the task saw" },
        "startsAt": "2026-01-01T00:00:00Z",
        "endsAt": "2126-01-01T00:00:00Z",
    })
}

#[tokio::test]
async fn what_is_one_thing_is_one_message_and_a_tenants_trouble_is_its_own() {
    let alertmanager = Alertmanager::start(&[]).await;
    let lost = |cluster: &str, replica: &str| {
        json!({
            "labels": { "alertname": "TaglinePointsLost", "severity": "critical", "cluster": cluster,
                "namespace": "tagline", "instance": replica },
            "annotations": { "summary": format!("{cluster}/{replica} has lost points"),
                "first_command": "kubectl exec -n tagline tagline-0 -- tagline spool",
                "runbook_url": "docs/runbook.md#taglinepointslost" },
        })
    };
    let limited = json!({ "labels": { "alertname": "TaglineTenantsLimited", "severity": "warning", "cluster": "west" },
        "annotations": { "summary": "a tenant is limited" } });
    let slower = ["acme", "globex"].map(|tenant| of_a_task("TenantSlowerThanUsual", tenant, "is slower"));
    let silent = ["acme", "globex"].map(|tenant| of_a_task("TenantSilent", tenant, "is silent"));
    let failing = of_a_task("TaskFailing", "", "a task fails");
    alertmanager.tell(&json!([
        lost("west", "tagline-0"),
        lost("west", "tagline-1"),
        lost("east", "tagline-0"),
        limited,
        slower[0],
        slower[1],
        silent[0],
        silent[1],
        failing,
    ]));
    alertmanager
        .has_said(&[
            ("night", "firing", "west/tagline-0 has lost points west/tagline-1 has lost points"),
            ("night", "firing", "east/tagline-0 has lost points"),
            ("night", "firing", "docs/runbook.md#taglinepointslost"),
            ("day", "firing", "a tenant is limited"),
            ("day", "firing", "a task fails"),
            ("tenants", "firing", "TenantSlowerThanUsual acme"),
            ("tenants", "firing", "TenantSlowerThanUsual globex"),
            ("tenants", "firing", "what the task saw"),
        ])
        .await;
    let said = alertmanager.messages();
    let of = |to: &str, text: &str| said.iter().filter(|one| one.to == to && one.text.contains(text)).count();
    assert_eq!(of("night", "TaglinePointsLost"), 2, "one for each cluster: {said:#?}");
    let both = said.iter().filter(|one| one.text.contains("acme is silent") && one.text.contains("globex is silent"));
    assert_eq!((both.count(), of("tenants", "TenantSilent")), (1, 1), "one for all who fell silent: {said:#?}");
    assert_eq!(of("tenants", "TenantSlowerThanUsual"), 2, "one for each tenant: {said:#?}");

    // The task says that it is over.
    let mut over = slower[0].clone();
    over["endsAt"] = json!("2026-01-01T00:00:01Z");
    alertmanager.tell(&json!([over]));
    alertmanager.has_said(&[("tenants", "resolved", "TenantSlowerThanUsual acme")]).await;
    let resolved = alertmanager.messages().into_iter().filter(|one| one.status == "resolved").count();
    assert_eq!(resolved, 1);
}
