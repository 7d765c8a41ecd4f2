//! A hundred thousand events through the running gateway: InfluxDB, the ledger and the metrics count the same.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{ACME_KEY, Bucket, Gateway, client, config_for, eventually, influx};

const EVENTS: u64 = 100_000;
const PER_REQUEST: u64 = 500;
const CONNECTIONS: u64 = 4;
const SESSIONS: u64 = 50;

/// 2023-11-14T22:13:20Z, in milliseconds.
const BASE: u64 = 1_700_000_000_000;

/// One request of one connection: events of several sessions, each of which counts its own.
fn body(connection: u64, request: u64) -> String {
    let events = (0..PER_REQUEST).map(|place| {
        let number = request * PER_REQUEST + place;
        let action = ["fetch", "sort", "filter"][number as usize % 3];
        json!({
            "sessionId": format!("s-{connection}-{}", number % SESSIONS),
            "viewName": "UserListView", "actionName": action,
            // Many in each millisecond: what keeps them apart is `seq`.
            "timestamp": BASE + number / 1_000, "seq": number / SESSIONS,
            "metrics": {"duration_ms": number % 1_000, "element_count": connection},
        })
    });
    Value::from_iter(events).to_string()
}

async fn send(url: String, connection: u64) {
    let client = client();
    for request in 0..EVENTS / CONNECTIONS / PER_REQUEST {
        let answer = client.post(&url).body(body(connection, request)).send().await.unwrap();
        assert_eq!(answer.status(), 202);
        let answer: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        assert_eq!((&answer["accepted"], &answer["rejectedCount"]), (&json!(PER_REQUEST), &json!(0)));
    }
}

/// What a Flux aggregate over all points of a field says.
async fn ask(bucket: &Bucket, field: &str, aggregate: &str) -> i64 {
    let pipe = format!("|> filter(fn: (r) => r._field == \"{field}\") |> {aggregate}");
    let rows = bucket.select(&pipe).await;
    let [row] = &rows[..] else { panic!("{field} {aggregate}: {rows:?}") };
    row.int("_value")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_events_are_a_hundred_thousand_points_and_the_ledger_agrees() {
    let bucket = influx().bucket("volume");
    let limits = "[tenants.acme.limits]\npoints_per_second = 1_000_000\nburst = 1_000_000\n";
    let gateway = Gateway::start(&format!("{}\n{limits}", config_for(&bucket))).await;
    let url = format!("{}/v1/telemetry/{ACME_KEY}", gateway.url());
    let senders: Vec<_> = (0..CONNECTIONS).map(|connection| tokio::spawn(send(url.clone(), connection))).collect();

    // The ledger balances at every moment, not only at the end.
    let mut looks = 0;
    while !senders.iter().all(tokio::task::JoinHandle::is_finished) {
        let row = gateway.admin_json("/admin/ledger")["tenants"]["acme"].take();
        let part = |name: &str| row["outcomes"][name].as_u64().unwrap_or_default();
        assert_eq!(row["balances"], true, "{row}");
        assert_eq!(row["accepted"].as_u64(), Some(row["pending"].as_u64().unwrap() + part("delivered")), "{row}");
        looks += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(looks > 0);
    for sender in senders {
        sender.await.unwrap();
    }

    let row = gateway.delivered("acme", EVENTS).await;
    assert_eq!(
        (&row["accepted"], &row["pending"], &row["balances"]),
        (&json!(EVENTS), &json!(0), &json!(true)),
        "{row}"
    );
    assert_eq!(row["outcomes"], json!({"delivered": EVENTS}), "{row}");
    // The gateway's own report of a minute may be on its way just now.
    eventually(Duration::from_secs(10), || async {
        let spool = gateway.admin_json("/admin/ledger")["spool"].take();
        let empty = spool["points"] == 0 && spool["bytes"] == 0;
        if empty { Ok(()) } else { Err(spool.to_string()) }
    })
    .await;

    assert_eq!(bucket.count("frontend_performance", "duration_ms").await, EVENTS);
    // Not only as many: the same. Each connection sent 0 to 999 over and over.
    assert_eq!(ask(&bucket, "duration_ms", "group() |> sum()").await, (EVENTS / 1_000 * 499_500) as i64);
    assert_eq!(ask(&bucket, "element_count", "group() |> sum()").await, (EVENTS / CONNECTIONS * (1 + 2 + 3)) as i64);
    let sessions =
        "keep(columns: [\"session_id\", \"_value\"]) |> group(columns: [\"session_id\"]) |> count() |> group()";
    let each = (EVENTS / CONNECTIONS / SESSIONS) as i64;
    assert_eq!(ask(&bucket, "duration_ms", &format!("{sessions} |> count()")).await, (CONNECTIONS * SESSIONS) as i64);
    for end in ["min", "max"] {
        assert_eq!(ask(&bucket, "duration_ms", &format!("{sessions} |> {end}()")).await, each, "of each session");
    }

    let metric = |sample: &str| gateway.metric(sample).unwrap_or_default() as u64;
    assert_eq!(metric("tagline_points_accepted_total{tenant=\"acme\"}"), EVENTS);
    assert_eq!(metric("tagline_points_total{tenant=\"acme\",outcome=\"delivered\"}"), EVENTS);
    assert_eq!(metric("tagline_points_pending{tenant=\"acme\"}"), 0);
    assert_eq!(metric("tagline_http_requests_total{status=\"202\"}"), EVENTS / PER_REQUEST);
    assert!(metric("tagline_batch_points_sum") >= EVENTS, "all of them, and the gateway's own");
}
