//! What InfluxDB's checks send, taken by a real Alertmanager and told to whom the example says.

use crate::asking::checks::{Checked, HOUR, MINUTE, expected};
use crate::support::alertmanager::Alertmanager;

#[tokio::test]
async fn an_alert_of_a_check_reaches_its_receiver_and_ends_there() {
    let (checked, alertmanager) = (Checked::new(), Alertmanager::start(&[]).await);
    checked.send_to(&format!("{}/api/v2/alerts", alertmanager.url()));
    // An Alertmanager has its own clock: what ends in its future is not over.
    let (now, tenants) = (checked.now - HOUR, expected(&[("acme", 15)]));
    checked.at(now, "deadman", &tenants).await.unwrap();
    alertmanager.has_said(&[("tenants", "firing", "acme sent nothing since ")]).await;
    let labels: Vec<_> = alertmanager.alerts().iter().map(|alert| alert["labels"]["severity"].clone()).collect();
    assert_eq!(labels, ["critical"]);

    checked.event("acme", now).await;
    checked.at(now + MINUTE, "deadman", &tenants).await.unwrap();
    alertmanager.has_said(&[("tenants", "resolved", "acme")]).await;
    assert_eq!(alertmanager.alerts(), [] as [serde_json::Value; 0]);
}
