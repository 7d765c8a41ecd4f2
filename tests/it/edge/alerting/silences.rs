//! What is quiet for a while, and for no longer: silences that end, and windows that are known.

use crate::support::alertmanager::{Alertmanager, amtool};
use crate::support::eventually;
use serde_json::json;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

/// The command of the runbook's introduction, without its values.
fn silence(alertmanager: &Alertmanager, duration: &str, matchers: &[&str]) {
    let runbook = super::read("docs/runbook.md");
    let told = runbook.lines().find(|line| line.starts_with("amtool silence add ")).expect("the runbook tells how");
    for part in ["--alertmanager.url", "--duration", "--author", "--comment"] {
        assert!(told.contains(part), "{told} has no {part}");
    }
    let url = format!("--alertmanager.url={}", alertmanager.url());
    let about = ["--author", "somebody", "--comment", "a migration", "--duration", duration];
    let ran = amtool(&[&["silence", "add", &url][..], &about, matchers].concat());
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
}

#[tokio::test]
async fn a_silence_is_of_one_tenant_and_ends_by_itself() {
    let alertmanager = Alertmanager::start(&[]).await;
    silence(&alertmanager, "5s", &["tenant_id=acme"]);
    let slower = |tenant: &str| {
        json!({
            "labels": { "alertname": "TenantSlowerThanUsual", "tenant_id": tenant, "severity": "warning",
                "source": "influxdb" },
            "annotations": { "summary": format!("{tenant} is slower than usual") },
        })
    };
    alertmanager.tell(&json!([slower("acme"), slower("globex")]));
    alertmanager.has_said(&[("tenants", "firing", "globex is slower")]).await;
    let about_acme = || alertmanager.messages().iter().filter(|one| one.text.contains("acme")).count();
    eventually(SOON, || async {
        let alerts = alertmanager.alerts();
        let suppressed = alerts.iter().find(|alert| alert["labels"]["tenant_id"] == "acme").expect("it is known");
        if suppressed["status"]["state"] == "suppressed" { Ok(()) } else { Err(suppressed.to_string()) }
    })
    .await;
    assert_eq!(about_acme(), 0, "while the silence holds");
    // Nobody did anything.
    alertmanager.has_said(&[("tenants", "firing", "acme is slower")]).await;
}

#[tokio::test]
async fn a_known_window_is_quiet_about_influxdb_and_about_nothing_else() {
    let always =
        [("weekdays: [sunday]", "weekdays: ['sunday:saturday']"), ("start_time: '02:00', end_time: '04:00'", ALL_DAY)];
    let alertmanager = Alertmanager::start(&always).await;
    let alert = |name: &str, severity: &str| json!({ "labels": { "alertname": name, "severity": severity } });
    let away = json!([
        alert("TaglineInfluxdbAway", "critical"),
        alert("TaglineDeliveryStalled", "warning"),
        alert("TaglineCheckDegraded", "warning"),
    ]);
    alertmanager.tell(&away);
    alertmanager.tell(&json!([alert("TaglineSpoolHalfFull", "critical"), alert("TaglineSlowDisk", "warning")]));
    alertmanager.has_said(&[("night", "firing", "TaglineSpoolHalfFull"), ("day", "firing", "TaglineSlowDisk")]).await;
    // One that was told after them all had its turn after theirs.
    alertmanager.tell(&json!([alert("TaglineSpoolDamaged", "critical")]));
    alertmanager.has_said(&[("night", "firing", "TaglineSpoolDamaged")]).await;
    let said = alertmanager.messages();
    assert_eq!(said.len(), 3, "{said:#?}");

    // Outside of the window the same is told (but for what InfluxDB's absence explains).
    let other_day = Alertmanager::start(&[]).await;
    other_day.tell(&away);
    other_day.has_said(&[("night", "firing", "TaglineInfluxdbAway")]).await;
}

const ALL_DAY: &str = "start_time: '00:00', end_time: '24:00'";
