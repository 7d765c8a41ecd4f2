//! How a change is told: sent first, then written, and neither twice.

use super::{Checked, DAY, HOUR, MINUTE, expected};
use serde_json::json;

#[tokio::test]
async fn a_change_is_told_once_with_all_that_an_alertmanager_needs() {
    let checked = Checked::new();
    let now = checked.now;
    let time = |at: i64| {
        let at = std::time::UNIX_EPOCH + std::time::Duration::from_nanos(at.unsigned_abs());
        humantime::format_rfc3339_nanos(at).to_string()
    };
    // A name that would end a text of JSON or of Flux, if it could.
    let odd = "a\"}]\\ ${x}\n";
    let tenants = expected(&[("acme", 15), (odd, 15)]);
    for minute in 0..3 {
        let told = checked.at(now + minute * MINUTE, "deadman", &tenants).await.unwrap();
        assert_eq!(told.len(), if minute == 0 { 2 } else { 0 }, "{told:?}");
    }
    let got = checked.listener.got();
    assert_eq!(got.len(), 2, "a request for each: {got:?}");
    let alert = got.iter().flatten().find(|alert| alert["labels"]["tenant_id"] == "acme").expect("acme's");
    let since = humantime::format_rfc3339_seconds(
        std::time::UNIX_EPOCH + std::time::Duration::from_nanos((now - DAY).unsigned_abs()),
    );
    let expected_alert = json!({
        "labels": { "alertname": "TenantSilent", "tenant_id": "acme", "severity": "critical", "source": "influxdb" },
        "annotations": {
            "summary": format!("acme sent nothing since {since}"),
            "description": "It is expected to send something every 15m.",
        },
        "startsAt": time(now),
        "endsAt": time(now + 7 * DAY),
    });
    assert_eq!(alert, &expected_alert);
    assert!(got.iter().flatten().any(|alert| alert["labels"]["tenant_id"] == odd), "{got:?}");

    let statuses = checked.statuses().await;
    assert_eq!(statuses.len(), 2, "{statuses:?}");
    let status = statuses.iter().find(|status| status.text("tenant_id") == "acme").expect("acme's");
    let tags = ["_level", "alertname", "_check_name", "_type"].map(|tag| status.text(tag));
    assert_eq!(tags, ["crit", "TenantSilent", &format!("TenantSilent {}", checked.bucket.name()), "custom"]);

    checked.event("acme", now + HOUR).await;
    checked.at(now + HOUR + MINUTE, "deadman", &tenants).await.unwrap();
    let over = &checked.listener.got()[2][0];
    // By the labels it was raised with: else an Alertmanager would not know which.
    assert_eq!(over["labels"], expected_alert["labels"]);
    assert_eq!(
        (&over["endsAt"], &over["startsAt"]),
        (&json!(time(now + HOUR + MINUTE)), &json!(time(now + HOUR + MINUTE)))
    );
}

#[tokio::test]
async fn a_run_of_the_same_time_tells_nothing_again() {
    let checked = Checked::new();
    for _ in 0..2 {
        checked.at(checked.now, "deadman", &expected(&[("acme", 15)])).await.unwrap();
    }
    assert_eq!(checked.listener.told(), ["acme critical"]);
}

#[tokio::test]
async fn one_alert_that_is_refused_stops_no_other_and_is_sent_again() {
    let checked = Checked::new();
    let (now, tenants) = (checked.now, expected(&[("a", 15), ("b", 15), ("c", 15)]));
    checked.listener.refuse(&["b"]);
    let failed = checked.at(now, "deadman", &tenants).await.unwrap_err();
    assert!(failed.contains("TAGLINE_ALERT_URL (answer: 500); it is sent again at the next run"), "{failed}");
    let told = |statuses: Vec<crate::support::Row>| {
        statuses.iter().map(|row| row.text("tenant_id").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(told(checked.statuses().await), ["a", "c"]);

    checked.listener.refuse(&[]);
    assert_eq!(checked.at(now + MINUTE, "deadman", &tenants).await.unwrap().len(), 1);
    assert_eq!(told(checked.statuses().await), ["a", "c", "b"]);
    let mut sent = checked.listener.told();
    assert_eq!(sent.pop().as_deref(), Some("b critical"));
    sent.sort();
    assert_eq!(sent, ["a critical", "b critical", "c critical"]);
}

#[tokio::test]
async fn what_nobody_took_is_told_when_somebody_listens_again_and_the_url_is_nowhere() {
    let checked = Checked::new();
    let (now, tenants) = (checked.now, expected(&[("a", 15), ("b", 15)]));
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    // Nobody at the port; no such host; no URL at all.
    for url in [
        format!("http://user:hush@{closed}/hush?hush"),
        "http://nowhere.invalid/hush".to_owned(),
        "hu sh://x".to_owned(),
    ] {
        checked.send_to(&url);
        let failed = checked.at(now, "deadman", &tenants).await.unwrap_err();
        assert!(failed.contains("TAGLINE_ALERT_URL (answer: none)"), "{failed}");
        assert!(!failed.contains("hush") && !failed.contains("hu sh"), "{failed}");
        assert_eq!(checked.statuses().await, []);
    }
    checked.send_to(&format!("http://{}/?token=hush", checked.listener.service.address()));
    assert_eq!(checked.at(now + MINUTE, "deadman", &tenants).await.unwrap().len(), 2);
    assert_eq!(checked.listener.told().len(), 2);
    let written = format!("{:?}", checked.statuses().await);
    assert!(!written.contains("hush"), "{written}");
}

#[tokio::test]
async fn without_its_secret_a_check_says_what_is_missing() {
    let checked = Checked::new();
    let target = format!("/api/v2/orgs/{}/secrets/delete", checked.bucket.organization_id());
    let body = json!({ "secrets": ["TAGLINE_ALERT_URL"] }).to_string();
    assert_eq!(checked.bucket.call("POST", &target, "application/json", body.as_bytes()).status, 204);
    let tenants = expected(&[("a", 15)]);
    let failed = checked.at(checked.now, "deadman", &tenants).await.unwrap_err();
    assert!(failed.contains("InfluxDB has no secret TAGLINE_ALERT_URL: `tagline setup` writes it"), "{failed}");
    // With `notify` off none is needed.
    let quiet: Vec<_> = tenants.into_iter().chain([("notify", tagline::answers::Literal::text("off"))]).collect();
    assert_eq!(checked.at(checked.now, "deadman", &quiet).await.unwrap().len(), 1);
    assert_eq!((checked.statuses().await.len(), checked.listener.got().len()), (1, 0));
}

#[tokio::test]
async fn an_alert_that_stays_is_told_again_after_a_day() {
    let checked = Checked::new();
    let (start, tenants) = (checked.now - 3 * DAY, expected(&[("a", 15)]));
    for hour in [0, 1, 23, 24, 25, 47, 48, 49] {
        checked.at(start + hour * HOUR, "deadman", &tenants).await.unwrap();
    }
    assert_eq!(checked.listener.told(), ["a critical"; 3]);
    let times: Vec<i64> = checked.statuses().await.iter().map(|row| (row.nanos("_time") - start) / HOUR).collect();
    assert_eq!(times, [0, 24, 48]);
}
