//! A point's time, by what the event brings. (That it is the same for one event wherever it is sent: `idempotence`.)

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::{BASE, event, with};
use crate::support::{ACME_KEY, Gateway, config_for, influx};

fn now_millis() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

#[tokio::test]
async fn a_thousand_events_of_one_millisecond_without_seq_stay_a_thousand() {
    let bucket = influx().bucket("one-millisecond");
    let gateway = Gateway::start(&config_for(&bucket)).await;
    let one = with("a", "timestamp", json!(BASE));
    // Over several requests, as a page sends them.
    for _ in 0..4 {
        gateway.accept(ACME_KEY, &[], &vec![one.clone(); 250].into());
    }
    gateway.delivered("acme", 1_000).await;
    let rows = bucket.rows("frontend_performance").await;
    let times: BTreeSet<_> = rows.iter().map(|row| row.nanos("_time")).collect();
    assert_eq!(times.len(), 1_000);
    assert!(times.iter().all(|time| time / 1_000_000 == BASE), "{:?} to {:?}", times.first(), times.last());
}

#[tokio::test]
async fn events_without_a_timestamp_have_the_time_of_receipt_and_five_thousand_stay_five_thousand() {
    let bucket = influx().bucket("receipt");
    let gateway = Gateway::start(&config_for(&bucket)).await;
    let before = now_millis();
    // `seq` alone is no time.
    let events = vec![with("a", "seq", json!(1)); 5_000];
    assert_eq!(gateway.accept(ACME_KEY, &[], &events.into()), 5_000);
    let after = now_millis();
    gateway.delivered("acme", 5_000).await;
    assert_eq!(bucket.count("frontend_performance", "duration_ms").await, 5_000);
    let ends = ["min", "max"].map(|end| {
        format!("|> filter(fn: (r) => r._field == \"duration_ms\") |> map(fn: (r) => ({{_value: int(v: r._time)}})) |> group() |> {end}()")
    });
    for end in ends {
        let millis = bucket.select(&end).await[0].int("_value") / 1_000_000;
        assert!((before..=after + 1).contains(&millis), "{before} <= {millis} <= {after}");
    }
}

#[tokio::test]
async fn sent_at_corrects_a_clock_that_is_far_off_and_only_for_events_without_seq() {
    const HOUR: i64 = 3_600_000;
    let bucket = influx().bucket("skew");
    let gateway = Gateway::start(&config_for(&bucket)).await;
    let now = now_millis();
    // An event that happened five seconds before it was sent, by a clock that is `off` milliseconds off.
    let envelope = |action: &str, off: i64, seq: bool| {
        let mut event = with(action, "timestamp", json!(now + off - 5_000));
        if seq {
            event["seq"] = json!(1);
        }
        json!({"sentAt": now + off, "events": [event]})
    };
    gateway.accept(ACME_KEY, &[], &envelope("an hour slow", -HOUR, false));
    gateway.accept(ACME_KEY, &[], &envelope("an hour fast", HOUR, false));
    gateway.accept(ACME_KEY, &[], &envelope("half a minute slow", -30_000, false));
    gateway.accept(ACME_KEY, &[], &envelope("an hour slow, with seq", -HOUR, true));
    gateway.accept(ACME_KEY, &[], &with("no sentAt", "timestamp", json!(now - HOUR)));
    let fast = gateway.post(ACME_KEY, &[], envelope("an hour fast, with seq", HOUR, true).to_string());
    assert_eq!((fast.status, &fast.json()["rejected"][0]["reason"]), (400, &json!("in_future")), "{}", fast.text());
    gateway.delivered("acme", 5).await;
    let took = now_millis() - now;
    let of = super::by_action(&bucket).await;
    let at = |action| of(action).nanos("_time") / 1_000_000 - now;
    // Corrected by the gateway's clock, which went on a little since.
    for action in ["an hour slow", "an hour fast"] {
        assert!((-5_000..=took - 5_000).contains(&at(action)), "{action}: {}", at(action));
    }
    assert_eq!(at("half a minute slow"), -35_000, "what is not far off is left alone");
    assert_eq!(at("an hour slow, with seq"), -HOUR - 5_000);
    assert_eq!(at("no sentAt"), -HOUR);
}

#[tokio::test]
async fn an_event_before_the_retention_or_in_the_future_is_rejected_with_the_reason() {
    const MINUTE: i64 = 60_000;
    let bucket = influx().bucket_with_retention("window", std::time::Duration::from_secs(3_600));
    let gateway = Gateway::start_with(&config_for(&bucket), &[("TAGLINE__INFLUXDB__RETENTION", "1h")]).await;
    let now = now_millis();
    let cases = [
        (json!(now - 61 * MINUTE), Some("too_old")),
        (json!(0), Some("too_old")),
        (json!(-1), Some("too_old")),
        (json!(now - 59 * MINUTE), None),
        (json!(now + MINUTE / 2), None),
        (json!(now + 3 * MINUTE), Some("in_future")),
        (json!(now * 1_000), Some("bad_timestamp")),
        (json!(1e300), Some("bad_timestamp")),
        (json!(i64::MIN), Some("bad_timestamp")),
    ];
    let events: Value = cases.iter().map(|(at, _)| with("a", "timestamp", at.clone())).collect();
    let answer = gateway.post(ACME_KEY, &[], events.to_string());
    assert_eq!(answer.status, 202, "{}", answer.text());
    let rejected = answer.json()["rejected"].take();
    let seen: Vec<_> =
        rejected.as_array().unwrap().iter().map(|r| (r["index"].as_u64(), r["reason"].as_str())).collect();
    let wanted =
        cases.iter().zip(0..).filter_map(|((_, reason), index)| reason.map(|reason| (Some(index), Some(reason))));
    assert_eq!(seen, wanted.collect::<Vec<_>>());
    let row = gateway.delivered("acme", 2).await;
    assert_eq!(row["accepted"], 2, "InfluxDB itself, with the same retention, takes what the gateway took: {row}");
    assert_eq!(
        (&row["outcomes"]["rejected_too_old"], &row["outcomes"]["rejected_in_future"]),
        (&json!(3), &json!(1)),
        "{row}"
    );
    assert_eq!(bucket.count("frontend_performance", "duration_ms").await, 2);
}

#[tokio::test]
async fn the_first_millisecond_that_influxdb_can_store_is_taken_and_the_one_before_is_not() {
    let bucket = influx().bucket("first-time");
    let gateway = Gateway::start(&config_for(&bucket)).await;
    let first = i64::MIN / 1_000_000;
    gateway.accept(ACME_KEY, &[], &json!([with("first", "timestamp", json!(first)), event("now")]));
    let before = gateway.post(ACME_KEY, &[], with("a", "timestamp", json!(first - 1)).to_string());
    assert_eq!(before.json()["rejected"][0]["reason"], "bad_timestamp", "{}", before.text());
    let row = gateway.delivered("acme", 2).await;
    assert_eq!(row["accepted"], 2, "{row}");
    let flux = format!(
        "from(bucket: \"{}\") |> range(start: time(v: {}), stop: 1678-01-01T00:00:00Z) |> map(fn: (r) => ({{_value: int(v: r._time)}}))",
        bucket.name(),
        i64::MIN + 2
    );
    let stored = bucket.query(&flux).await;
    assert_eq!(stored.first().map(|row| row.int("_value").div_euclid(1_000_000)), Some(first), "{stored:?}");
}
