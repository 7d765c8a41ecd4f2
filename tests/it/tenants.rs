//! What Tagline is for: two tenants at once, each asked for its own P99.

use std::time::Duration;

use serde_json::json;

use crate::support::{ACME_KEY, GLOBEX_KEY, Gateway, client, config_for, eventually, influx};

/// Events of one tenant: durations `first`, `first + 1`, …, 1,000 of them, in ten requests.
async fn send(gateway: &Gateway, key: &str, origin: &str, first: i64) {
    let client = client();
    let start = 1_790_000_000_000_i64;
    for request in 0..10 {
        let events: Vec<_> = (0..100)
            .map(|event| {
                let at = request * 100 + event;
                json!({
                    "sessionId": format!("s-{}", at % 7), "viewName": "UserListView", "actionName": "fetchUsers",
                    "timestamp": start + at, "seq": at, "metrics": {"duration_ms": first + at},
                })
            })
            .collect();
        let url = format!("{}/v1/telemetry/{key}", gateway.url());
        let body = serde_json::to_vec(&events).unwrap();
        let answer = client.post(url).header("Origin", origin).body(body).send().await.unwrap();
        assert_eq!(answer.status(), 202);
    }
}

#[tokio::test]
async fn two_tenants_written_at_once_each_have_their_own_p99() {
    let bucket = influx().bucket("two-tenants");
    let gateway = Gateway::start(&config_for(&bucket)).await;
    tokio::join!(
        send(&gateway, ACME_KEY, "https://app.example", 500),
        send(&gateway, GLOBEX_KEY, "https://globex.example", 0),
    );
    let rows = eventually(Duration::from_secs(20), || async {
        let counted = bucket.count("frontend_performance", "duration_ms").await;
        if counted < 2000 {
            return Err(format!("{counted} points"));
        }
        let p99 = "|> filter(fn: (r) => r._measurement == \"frontend_performance\" and r._field == \"duration_ms\")
            |> toFloat() |> group(columns: [\"tenant_id\"]) |> quantile(q: 0.99, method: \"exact_mean\")";
        Ok(bucket.select(p99).await)
    })
    .await;
    let p99: Vec<_> = rows.iter().map(|row| (row.text("tenant_id"), row.float("_value"))).collect();
    let [("acme", acme), ("globex", globex)] = p99[..] else { panic!("{p99:?}") };
    // 1,000 consecutive numbers: the P99 lies between the 990th and the 991st.
    assert!((1488.0..=1490.0).contains(&acme), "{acme}");
    assert!((988.0..=990.0).contains(&globex), "{globex}");
}
