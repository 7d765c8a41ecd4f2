//! An event with `timestamp` and `seq` is one point however often it is sent, by whichever way; two events are two. In every session
//! mode, counted by Flux.

use serde_json::{Value, json};

use crate::support::{ACME_KEY, Bucket, GLOBEX_KEY, Gateway, Row, Switch, config_for, eventually, influx};

const INITECH_KEY: &str = "initech-key-0123456789abcdef";
const HOOLI_KEY: &str = "hooli-key-0123456789abcdef";

/// A tenant in each session mode: its key, and the origin that it sends from. `acme` has what `enrich.session` says, the others what
/// stands with them. `hooli` sends no session at all.
const SENDERS: [(&str, &str, &str); 4] = [
    ("acme", ACME_KEY, "https://app.example"),
    ("globex", GLOBEX_KEY, "https://globex.example"),
    ("initech", INITECH_KEY, "https://initech.example"),
    ("hooli", HOOLI_KEY, "https://hooli.example"),
];

/// 2023-11-14T22:13:20Z, in milliseconds.
const BASE: i64 = 1_700_000_000_000;

fn config(bucket: &Bucket) -> String {
    let key = |tenant: &str, key: &str| format!("[tenants.{tenant}.keys.any]\nkey = \"{key}\"\norigins = [\"*\"]\n");
    format!(
        "{}\n[enrich]\ninstance = \"weu-1\"\nsession = \"tag\"\n[tenants.globex]\nsession = \"field\"\n\
         [tenants.initech]\nsession = \"hash:2\"\n{}{}",
        config_for(bucket),
        key("initech", INITECH_KEY),
        key("hooli", HOOLI_KEY),
    )
}

/// What the environment of a replica of that name says.
fn environment<'s>(name: &'s str, url: &'s str) -> [(&'s str, &'s str); 2] {
    [("HOSTNAME", name), ("INFLUXDB_URL", url)]
}

/// `sessions` times `each` events of three milliseconds. The field tells every one of them from all others.
fn batch(tenant: &str, sessions: u64, each: u64) -> Vec<Value> {
    let event = |number: u64| {
        let mut event = json!({
            "sessionId": format!("s-{}", number % sessions), "viewName": "v", "actionName": "a",
            "timestamp": (BASE + (number % 3) as i64) as f64 + 0.75, "seq": number / sessions,
            "metrics": {"element_count": number},
        });
        if tenant == "hooli" {
            // What tells its events apart is `seq` alone.
            event.as_object_mut().unwrap().remove("sessionId");
            event["seq"] = json!(number);
        }
        event
    };
    (0..sessions * each).map(event).collect()
}

/// The points of a tenant: each its number and its time, in order.
async fn points(bucket: &Bucket, tenant: &str) -> Vec<(u64, i64)> {
    let pipe =
        format!("|> filter(fn: (r) => r.tenant_id == \"{tenant}\" and r._field == \"element_count\") |> group()");
    let rows = bucket.select(&pipe).await;
    let point = |row: &Row| (row.int("_value").unsigned_abs(), row.nanos("_time"));
    let mut points: Vec<(u64, i64)> = rows.iter().map(point).collect();
    points.sort_unstable();
    points
}

/// Waits until nothing is pending.
async fn settled(gateway: &Gateway) {
    eventually(std::time::Duration::from_secs(30), || async {
        let ledger = gateway.admin_json("/admin/ledger");
        if ledger["spool"]["points"] == 0 { Ok(()) } else { Err(ledger.to_string()) }
    })
    .await;
}

#[tokio::test]
async fn the_same_events_sent_again_and_to_another_replica_are_one_point_each() {
    let (bucket, influxdb) = (influx().bucket("resent"), influx().url());
    let config = config(&bucket);
    let (names, url) = (["tagline-0", "tagline-1"], influxdb.as_str());
    let (zero, one) = (environment(names[0], url), environment(names[1], url));
    let (one, other) = tokio::join!(Gateway::start_with(&config, &zero), Gateway::start_with(&config, &one));
    let mut first = Vec::new();
    for (tenant, key, origin) in SENDERS {
        let headers = [("Origin", origin)];
        let mut events = batch(tenant, 10, 30);
        assert_eq!(one.accept(key, &headers, &json!(events)), 300);
        settled(&one).await;
        first.push(points(&bucket, tenant).await);
        // As a retry: in another order, in parts, some of them twice, and by a clock that has been set meanwhile.
        events.reverse();
        one.accept(key, &headers, &json!(events[..200]));
        let more = [&events[..], &events[..50]].concat();
        one.accept(key, &headers, &json!({"sentAt": BASE + 86_400_000, "events": more}));
        fastrand::shuffle(&mut events);
        other.accept(key, &headers, &json!({"sentAt": 0, "events": events}));
    }
    settled(&one).await;
    settled(&other).await;
    for ((tenant, ..), first) in SENDERS.iter().zip(first) {
        assert!(first.iter().map(|(number, _)| *number).eq(0..300), "{tenant}: {} points", first.len());
        assert!(first.iter().all(|(number, time)| time / 1_000_000 == BASE + (number % 3) as i64), "{tenant}: floored");
        assert_eq!(points(&bucket, tenant).await, first, "{tenant}");
    }
    let [acme, ..] = &points(&bucket, "acme").await[..] else { panic!("no points of acme") };
    assert_eq!(*acme, (0, BASE * 1_000_000), "seq mod 10^6 where the session is a tag");
}

#[tokio::test]
async fn events_of_two_sessions_with_the_same_seq_in_the_same_millisecond_stay_two() {
    let bucket = influx().bucket("sessions-apart");
    let gateway = Gateway::start_with(&config(&bucket), &environment("tagline-0", &influx().url())).await;
    // Two hundred sessions that all count from 0, in one millisecond and with the same tags otherwise.
    let events: Value = (0..400)
        .map(|number: u64| {
            json!({
                "sessionId": format!("s-{}", number % 200), "viewName": "v", "actionName": "a",
                "timestamp": BASE, "seq": number / 200, "metrics": {"element_count": number},
            })
        })
        .collect();
    let modes = &SENDERS[..3];
    for (_, key, origin) in modes {
        gateway.accept(key, &[("Origin", origin)], &events);
    }
    settled(&gateway).await;
    for (tenant, ..) in modes {
        let points = points(&bucket, tenant).await;
        assert!(points.iter().map(|(number, _)| *number).eq(0..400), "{tenant}: {} points", points.len());
        assert!(points.iter().all(|(_, time)| time / 1_000_000 == BASE), "{tenant}: one millisecond");
    }
}

#[tokio::test]
async fn a_client_that_sends_again_after_a_crash_makes_no_second_point() {
    let (bucket, switch) = (influx().bucket("sent-again"), Switch::to(influx().address()));
    let url = switch.url();
    let mut gateway = Gateway::start_with(&config(&bucket), &environment("tagline-0", &url)).await;
    let send = |gateway: &Gateway| {
        for (tenant, key, origin) in SENDERS {
            gateway.accept(key, &[("Origin", origin)], &json!(batch(tenant, 7, 20)));
        }
    };
    // Both copies wait side by side, and a third comes when the first two have arrived.
    switch.cut();
    send(&gateway);
    gateway.kill().await;
    gateway.start_again().await;
    send(&gateway);
    let ledger = gateway.admin_json("/admin/ledger");
    assert_eq!(ledger["tenants"]["initech"]["pending"], 280, "{ledger}");
    switch.mend();
    settled(&gateway).await;
    send(&gateway);
    settled(&gateway).await;
    for (tenant, ..) in SENDERS {
        let points = points(&bucket, tenant).await;
        assert!(points.iter().map(|(number, _)| *number).eq(0..140), "{tenant}: {} points", points.len());
    }
}
