//! `session` and `slowest-sessions`: a session is found however it is stored, whole, and without anybody else's.

use super::{Event, Literal, Range, Row, ask, inputs, text, week, write};
use crate::support::{Bucket, influx};
use std::collections::BTreeMap;

/// The events of a session of the week in a range, in the order of time.
fn events_of(session: u64, range: Range) -> Vec<&'static Event> {
    week().events().filter(|event| event.session == session && range.has(event)).collect()
}

#[tokio::test]
async fn a_session_is_a_timeline_of_all_its_events_and_of_what_the_backend_did_for_them() {
    let week = week();
    let range = Range::last(week, 24);
    let event =
        week.events().find(|event| range.has(event) && event.told_by_backend).expect("the backend tells of some");
    let expected = events_of(event.session, range);
    let asked = [text("tenant", event.tenant), text("session", &event.session())];
    let rows = ask(&week.bucket, "session", &inputs(range, &asked)).await;
    let mut times: Vec<i64> = rows.iter().map(|row| row.nanos("_time")).collect();
    assert!(times.is_sorted(), "{rows:?}");
    times.dedup();

    let (frontend, backend): (Vec<&Row>, Vec<&Row>) =
        rows.iter().partition(|row| row.text("measurement") == "frontend_performance");
    let seen: Vec<_> = frontend
        .iter()
        .map(|row| {
            let texts = ["view_name", "action_name", "trace_id"].map(|column| row.text(column).to_owned());
            (row.nanos("_time") / 1_000_000, texts, row.float("duration_ms"))
        })
        .collect();
    let sent: Vec<_> = expected
        .iter()
        .map(|event| {
            let texts = [event.view.to_owned(), event.action.to_owned(), event.trace()];
            (event.time_ms, texts, f64::from(event.duration_ms))
        })
        .collect();
    assert_eq!(seen, sent);
    let told: BTreeMap<_, _> =
        expected.iter().filter(|event| event.told_by_backend).map(|event| (event.trace(), event)).collect();
    assert_eq!(backend.len(), told.len(), "{rows:?}");
    for row in backend {
        let event = told[row.text("trace_id")];
        assert_eq!(row.text("measurement"), "backend_api_latency");
        assert_eq!((row.text("endpoint"), row.text("http_method")), (event.endpoint, event.method));
        assert!((row.float("latency_ms") - f64::from(event.backend_ms)).abs() < 1e-9, "{row:?}");
    }
    let details: serde_json::Value = serde_json::from_str(frontend[0].text("details")).expect("details are JSON");
    assert_eq!(details["browser"], expected[0].browser);
}

#[tokio::test]
async fn the_slowest_sessions_are_those_of_the_slowest_events_with_their_traces() {
    let week = week();
    let range = Range::last(week, 24);
    let narrow = [text("tenant", "acme"), text("view", "CheckoutView"), ("most", Literal::int(5))];
    let rows = ask(&week.bucket, "slowest-sessions", &inputs(range, &narrow)).await;
    let mut slowest: BTreeMap<u64, &Event> = BTreeMap::new();
    for event in
        week.events().filter(|event| (event.tenant, event.view) == ("acme", "CheckoutView") && range.has(event))
    {
        let known = slowest.entry(event.session).or_insert(event);
        if event.duration_ms > known.duration_ms {
            *known = event;
        }
    }
    let mut expected: Vec<_> = slowest.values().map(|event| event.duration_ms).collect();
    expected.sort_unstable_by(|one, other| other.cmp(one));
    let durations: Vec<_> = rows.iter().map(|row| row.float("slowest_ms") as u32).collect();
    assert_eq!(durations, expected[..5]);
    for row in &rows {
        let event = slowest.values().find(|event| event.session() == row.text("session")).expect("a session of acme's");
        assert_eq!(f64::from(event.duration_ms), row.float("slowest_ms"));
        let all = events_of(event.session, range).len();
        assert_eq!(row.int("events") as usize, all, "{row:?}");
        let same = week.events().find(|event| event.trace() == row.text("trace_id")).expect("a trace that was sent");
        assert_eq!((same.session, same.duration_ms), (event.session, event.duration_ms));
        assert_eq!((row.text("view_name"), row.text("action_name")), (same.view, same.action));
        assert_eq!(row.nanos("_time") / 1_000_000, same.time_ms);
    }
}

/// Session s-1 of acme's as three gateways would have stored it: as a tag; as a field with a bucket; and demoted, as a field alone. With a session
/// of the same id of another tenant, whose name begins alike, and of the same bucket.
async fn stored_in_each_mode() -> Bucket {
    let bucket = influx().bucket("sessions");
    let page = "view_name=V,action_name=go";
    let lines = [
        (50, format!("frontend_performance,tenant_id=acme,session_id=s-1,{page} duration_ms=10i,trace_id=\"a\"")),
        (49, "web_vitals_lcp,tenant_id=acme,session_id=s-1,path=/ value=1500".to_owned()),
        (
            40,
            format!(
                "frontend_performance,tenant_id=acme,session_bucket=3,{page} duration_ms=900i,session=\"s-1\",trace_id=\"b\""
            ),
        ),
        (30, format!("frontend_performance,tenant_id=acme,{page} duration_ms=30i,session=\"s-1\"")),
        (
            39,
            format!(
                "frontend_performance,tenant_id=acme,session_bucket=3,{page} duration_ms=800i,session=\"s-10\",trace_id=\"c\""
            ),
        ),
        (38, format!("frontend_performance,tenant_id=acme,session_bucket=3,{page} duration_ms=1i")),
        (
            37,
            format!(
                "frontend_performance,tenant_id=acme-2,session_bucket=3,{page} duration_ms=990i,session=\"s-1\",trace_id=\"b\""
            ),
        ),
        (36, format!("frontend_performance,tenant_id=acme-2,session_id=s-1,{page} duration_ms=990i,trace_id=\"a\"")),
        (41, "backend_api_latency,tenant_id=acme,endpoint=/go,http_method=GET latency_ms=5i,trace_id=\"b\"".to_owned()),
        (41, "backend_api_latency,tenant_id=acme,endpoint=/go,http_method=GET latency_ms=6i,trace_id=\"d\"".to_owned()),
        (
            41,
            "backend_api_latency,tenant_id=acme-2,endpoint=/go,http_method=GET latency_ms=7i,trace_id=\"b\"".to_owned(),
        ),
    ];
    write(&bucket, &lines).await;
    bucket
}

#[tokio::test]
async fn a_session_is_found_as_a_tag_as_a_field_and_after_demotion_all_at_once() {
    let bucket = stored_in_each_mode().await;
    let rows = ask(&bucket, "session", &[text("tenant", "acme"), text("session", "s-1")]).await;
    let took: Vec<_> = rows
        .iter()
        .map(|row| {
            let took = ["duration_ms", "latency_ms", "value"].map(|column| row.get(column)).into_iter().flatten();
            (row.text("measurement"), took.collect::<Vec<_>>().join(" "))
        })
        .collect();
    let expected = [
        ("frontend_performance", "10"),
        ("web_vitals_lcp", "1500"),
        ("backend_api_latency", "5"),
        ("frontend_performance", "900"),
        ("frontend_performance", "30"),
    ];
    assert_eq!(took, expected.map(|(measurement, took)| (measurement, took.to_owned())), "{rows:?}");
    assert_eq!(rows[1].text("path"), "/");
}

#[tokio::test]
async fn a_session_that_is_a_field_alone_is_found_without_others_of_its_bucket() {
    let bucket = stored_in_each_mode().await;
    let rows = ask(&bucket, "session", &[text("tenant", "acme"), text("session", "s-10")]).await;
    let traces: Vec<_> = rows.iter().map(|row| row.text("trace_id")).collect();
    assert_eq!(traces, ["c"], "{rows:?}");
}

#[tokio::test]
async fn the_slowest_sessions_know_each_way_to_store_them() {
    let bucket = stored_in_each_mode().await;
    let rows = ask(&bucket, "slowest-sessions", &[text("tenant", "acme")]).await;
    let seen: Vec<_> = rows
        .iter()
        .map(|row| (row.text("session"), row.int("events"), row.float("slowest_ms"), row.text("trace_id")))
        .collect();
    assert_eq!(seen, [("s-1", 3, 900.0, "b"), ("s-10", 1, 800.0, "c")], "{rows:?}");
}

#[tokio::test]
async fn an_id_that_is_a_pattern_is_taken_as_it_stands() {
    let bucket = influx().bucket("sessions");
    let page = "view_name=V,action_name=go";
    let lines = [
        (30, format!("frontend_performance,tenant_id=acme,session_bucket=3,{page} duration_ms=900i,session=\"a.*|(\"")),
        (29, format!("frontend_performance,tenant_id=acme,session_bucket=3,{page} duration_ms=10i,session=\"abc\"")),
    ];
    write(&bucket, &lines).await;
    let rows = ask(&bucket, "slowest-sessions", &[text("tenant", "acme")]).await;
    let seen: Vec<_> = rows.iter().map(|row| (row.text("session"), row.int("events"))).collect();
    assert_eq!(seen, [("a.*|(", 1), ("abc", 1)], "{rows:?}");
    let rows = ask(&bucket, "session", &[text("tenant", "acme"), text("session", "a.*|(")]).await;
    assert_eq!(rows.len(), 1, "{rows:?}");
}

#[tokio::test]
async fn what_another_tenant_did_at_the_same_moment_is_not_in_the_slowest_sessions() {
    let bucket = influx().bucket("sessions");
    let at = crate::support::now_ms() * 1_000_000 - 60_000_000_000;
    let line = |tenant: &str, duration: u32, session: &str| {
        format!(
            "frontend_performance,tenant_id={tenant},view_name=V,action_name=go duration_ms={duration}i,session=\"{session}\" {at}\n"
        )
    };
    let answer = bucket.write(line("acme", 10, "mine") + &line("acme-2", 900, "theirs")).await;
    assert_eq!(answer.status, 204, "{}", answer.text());
    // One only, for which the other's would have to make room.
    let one = [text("tenant", "acme"), ("most", Literal::int(1))];
    let rows = ask(&bucket, "slowest-sessions", &one).await;
    let seen: Vec<_> = rows.iter().map(|row| (row.text("session"), row.float("slowest_ms"))).collect();
    assert_eq!(seen, [("mine", 10.0)]);
}
