mod series;

use std::convert::Infallible;

use influxdb_line_protocol::parse_lines;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use serde_json::{Value, json};

use super::*;
use crate::auth::Tenant;
use crate::config::SessionMode;
use crate::encode::lines;
use crate::enrich::fixture::{NOW_MS, context, settings};
use crate::outcome::Reason;

const MODES: [SessionMode; 3] = [SessionMode::Tag, SessionMode::Field, SessionMode::Hash(8)];

const LIMITS: Limits = Limits { max_events: 50, max_lines: 256 << 10 };

fn ingested(mode: SessionMode, body: &[u8]) -> Result<Lines, Unusable> {
    let tenant = Tenant::for_test("acme", mode, Some("app.example"));
    let Ok(ingested) = ingest::<Infallible>(&Enricher::new(&settings()), context(&tenant), body, LIMITS, |_| Ok(()));
    ingested
}

#[test]
fn the_first_clients_event_becomes_a_line() {
    let body = br#"{"sessionId":"s-1","viewName":"UserListView","actionName":"fetchUsers","metrics":{"duration_ms":120,"element_count":50}}"#;
    let wanted = "frontend_performance,action_name=fetchUsers,env=prod,host=app.example,instance=aks-weu-1,region=weu,session_id=s-1,\
                  tenant_id=acme,view_name=UserListView duration_ms=120i,element_count=50i 1790000000000123456\n";
    let lines = ingested(SessionMode::Tag, body).unwrap();
    assert_eq!(String::from_utf8(lines.body).unwrap(), wanted);
    assert_eq!((lines.points, lines.rejected.len(), lines.tags_dropped), (1, 0, 0));
}

#[test]
fn the_qwik_clients_metric_list_becomes_a_line() {
    let body = br#"[{"metricName":"web_vitals_lcp","value":2312.4,"tags":{"path":"/products/123","sdkVersion":"0.1.0","connectionType":"4g"},"timestamp":1790000000000}]"#;
    let wanted = "web_vitals_lcp,connectionType=4g,env=prod,host=app.example,instance=aks-weu-1,path=/products/:id,region=weu,\
                  sdkVersion=0.1.0,tenant_id=acme value=2312.4 1790000000000007000\n";
    let lines = ingested(SessionMode::Tag, body).unwrap();
    assert_eq!(String::from_utf8(lines.body).unwrap(), wanted);
}

#[test]
fn good_events_are_kept_and_bad_ones_are_told_by_their_place() {
    let body = br#"[{"measurement":"open","metrics":{"x":1}},{"measurement":"other","metrics":{"x":1}},7,{"measurement":"open","metrics":{}},
        {"measurement":"open","metrics":{"x":2},"tags":{"unlisted":"1"}}]"#;
    let lines = ingested(SessionMode::Tag, body).unwrap();
    let told: Vec<_> = lines.rejected.iter().map(|rejection| (rejection.index, rejection.reason)).collect();
    assert_eq!(told, [(1, Reason::UnknownMeasurement), (2, Reason::Malformed), (3, Reason::Empty)]);
    assert_eq!((lines.points, lines.tags_dropped), (2, 1));
}

#[test]
fn the_whole_batch_is_charged_before_any_of_it_is_worked_on() {
    let tenant = Tenant::for_test("acme", SessionMode::Tag, None);
    let body = br#"[{"measurement":"open","metrics":{"x":1}},7]"#;
    let refused = ingest(&Enricher::new(&settings()), context(&tenant), body, LIMITS, Err);
    assert_eq!(refused, Err(2));
    let unparsable =
        ingest::<()>(&Enricher::new(&settings()), context(&tenant), b"{", LIMITS, |_| panic!("nothing to charge"));
    assert!(unparsable.unwrap().is_err());
}

#[test]
fn an_envelope_whose_members_are_repeated_in_every_line_makes_no_more_lines_than_the_bound() {
    let event = r#"{"measurement":"open","metrics":{"x":1}}"#;
    let events = [event; 40].join(",");
    let body = |tag: usize| format!(r#"{{"tags":{{"free":"{}"}},"events":[{events}]}}"#, "v".repeat(tag));
    let tenant = Tenant::for_test("acme", SessionMode::Tag, None);
    let made = |tag: usize, max_lines: usize| {
        let limits = Limits { max_lines, ..LIMITS };
        let body = body(tag);
        let Ok(made) =
            ingest::<Infallible>(&Enricher::new(&settings()), context(&tenant), body.as_bytes(), limits, |_| Ok(()));
        made.map(|lines| lines.body.len())
    };
    let whole = made(200, usize::MAX).unwrap();
    assert!(whole > 40 * 200 && whole > 4 * body(200).len(), "{whole}");
    assert_eq!(made(200, whole), Ok(whole));
    assert_eq!(made(200, whole - 1), Err(Unusable::TooLarge { limit: whole - 1 }));
}

/// What holds for whatever is sent: as many lines as points, each parses to one point of this tenant and of a known measurement, and every
/// item has one end.
fn assert_sound(mode: SessionMode, body: &[u8]) {
    let Ok(made) = ingested(mode, body) else { return };
    let text = std::str::from_utf8(&made.body).unwrap();
    let parsed: Vec<_> =
        parse_lines(text).map(|line| line.unwrap_or_else(|error| panic!("{error}: {text:?}"))).collect();
    assert_eq!(parsed.len(), made.points, "{text:?}");
    assert_eq!(lines(&made.body).count(), made.points, "{text:?}");
    for line in &parsed {
        let known = ["frontend_performance", "backend_api_latency", "web_vitals_lcp", "open"];
        assert!(known.contains(&line.series.measurement.as_str()), "{text:?}");
        let tags = line.series.tag_set.as_ref().unwrap();
        let tenants: Vec<_> =
            tags.iter().filter(|(key, _)| *key == "tenant_id").map(|(_, value)| value.as_str()).collect();
        assert_eq!(tenants, ["acme"], "{text:?}");
        for (key, value) in [("instance", "aks-weu-1"), ("host", "app.example"), ("env", "prod"), ("region", "weu")] {
            assert_eq!(line.tag_value(key).map(|tag| tag.as_str()), Some(value), "{text:?}");
        }
        assert!(tags.windows(2).all(|pair| pair[0].0 < pair[1].0), "sorted, and none twice: {text:?}");
        let mut names: Vec<_> = line.field_set.iter().map(|(name, _)| name.as_str()).collect();
        names.extend(tags.iter().map(|(key, _)| key.as_str()));
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all, "no name is a tag and a field: {text:?}");
        assert!(!names.iter().any(|name| name.starts_with('_') || *name == "time"), "{text:?}");
        assert!(line.timestamp.is_some());
    }
}

fn hostile() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        3 => proptest::sample::select(",= \"\\\n\r\t\0#_/?a1.é\u{7F}\u{85}\u{2028}😀".chars().collect::<Vec<_>>()),
        1 => any::<char>(),
    ];
    let known = [
        "tenant_id",
        "session_id",
        "session",
        "time",
        "env",
        "host",
        "free",
        "path",
        "endpoint",
        "browser",
        "duration_ms",
        "delta",
        "value",
        "x",
        "web_vitals_lcp",
        "backend_api_latency",
        "open",
        "frontend_performance",
        "caddy_x",
        "#",
        "/users/123?x=1",
        "evil",
        "\\",
        "a\nb x=1i 1",
    ];
    prop_oneof![
        1 => proptest::collection::vec(character, 0..10).prop_map(|characters| characters.into_iter().collect()),
        2 => proptest::sample::select(known.to_vec()).prop_map(str::to_owned),
    ]
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (0..100_i64).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0..5_000_i64).prop_map(|ago| Value::from(NOW_MS - ago)),
    ]
}

fn object_of(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    proptest::collection::vec((hostile(), value), 0..5).prop_map(|pairs| Value::Object(pairs.into_iter().collect()))
}

/// What may stand in a member: mostly what should, sometimes anything.
fn mostly(good: impl Strategy<Value = Value> + 'static) -> impl Strategy<Value = Value> {
    let anything = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number(),
        Just(json!([])),
        Just(json!({"a": [1]}))
    ];
    prop_oneof![12 => good, 1 => anything]
}

fn member() -> impl Strategy<Value = (String, Value)> {
    let text = || mostly(hostile().prop_map(Value::from));
    let named =
        |name: &'static str, value: BoxedStrategy<Value>| value.prop_map(move |value| (name.to_owned(), value)).boxed();
    let measurement =
        proptest::sample::select(vec!["open", "web_vitals_lcp", "frontend_performance"]).prop_map(Value::from);
    prop_oneof![
        4 => named("metrics", mostly(object_of(number())).boxed()),
        2 => named("tags", mostly(object_of(text())).boxed()),
        1 => named("sessionId", text().boxed()),
        1 => named("viewName", text().boxed()),
        1 => named("actionName", text().boxed()),
        2 => named("timestamp", mostly((0..5_000_i64).prop_map(|ago| Value::from(NOW_MS - ago))).boxed()),
        1 => named("seq", mostly(any::<u64>().prop_map(Value::from)).boxed()),
        1 => named("traceId", text().boxed()),
        3 => named("measurement", mostly(measurement).boxed()),
        1 => named("metricName", text().boxed()),
        1 => named("value", mostly(number()).boxed()),
        1 => (hostile(), text()),
    ]
}

fn event() -> impl Strategy<Value = Value> {
    proptest::collection::vec(member(), 1..10).prop_map(|members| Value::Object(members.into_iter().collect()))
}

/// An event that is likely to be taken, with hostile text wherever text may stand.
fn likely_event() -> impl Strategy<Value = Value> {
    let texts = (hostile(), hostile(), hostile(), hostile(), hostile());
    let number = prop_oneof![any::<i32>().prop_map(Value::from), any::<f64>().prop_map(Value::from)];
    let numbers = proptest::collection::vec(number, 1..4);
    (proptest::sample::select(vec!["open", "web_vitals_lcp"]), texts, numbers, 0..5_000_i64).prop_map(
        |(measurement, (session, view, action, free, path), numbers, ago)| {
            let metrics: serde_json::Map<_, _> =
                numbers.into_iter().enumerate().map(|(at, number)| (format!("m{at}"), number)).collect();
            let tags = json!({"free": free, "path": path, "component": session});
            match measurement {
                "open" => json!({"measurement": measurement, "metrics": metrics, "tags": tags, "sessionId": session, "viewName": view,
                    "actionName": action, "timestamp": NOW_MS - ago}),
                _ => json!({"metricName": measurement, "value": ago, "tags": tags, "sessionId": session, "viewName": view}),
            }
        },
    )
}

fn body() -> impl Strategy<Value = Value> {
    let item = || prop_oneof![event(), likely_event(), likely_event()];
    let list = move || proptest::collection::vec(mostly(item()), 0..6).prop_map(Value::Array);
    prop_oneof![
        1 => item(),
        2 => list(),
        2 => (event(), list(), mostly(number())).prop_map(|(mut envelope, events, sent_at)| {
            envelope["events"] = events;
            envelope["sentAt"] = sent_at;
            envelope
        }),
    ]
}

#[test]
fn the_generator_makes_bodies_that_become_lines() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let made: usize = (0..500)
        .map(|_| {
            let body = body().new_tree(&mut runner).unwrap().current().to_string();
            ingested(SessionMode::Tag, body.as_bytes()).map_or(0, |lines| lines.points)
        })
        .sum();
    assert!(made > 50, "{made} points of 500 bodies: the properties below would say little");
}

/// Run longer by `make fuzz`.
mod property {
    use super::*;

    proptest! {
        #![proptest_config(crate::property::config(600))]

        #[test]
        fn whatever_events_are_sent_every_line_is_one_point_of_the_tenant(body in body(), mode in proptest::sample::select(MODES.to_vec())) {
            assert_sound(mode, body.to_string().as_bytes());
        }

        #[test]
        fn whatever_bytes_are_sent_nothing_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            assert_sound(SessionMode::Tag, &body);
        }

        #[test]
        fn a_body_that_is_cut_or_changed_somewhere_breaks_nothing(body in body(), at in any::<proptest::sample::Index>(), byte in any::<u8>()) {
            let mut bytes = body.to_string().into_bytes();
            let at = at.index(bytes.len());
            assert_sound(SessionMode::Tag, &bytes[..at]);
            bytes[at] = byte;
            assert_sound(SessionMode::Field, &bytes);
        }
    }
}
