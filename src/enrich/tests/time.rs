//! What time a point gets.

use super::*;

#[test]
fn an_event_with_time_and_seq_has_one_time_on_every_replica() {
    let (here, mut there) = (settings(), settings());
    there.enrich.lane = 8;
    let body = |session: &str, seq: u64| {
        format!(
            r#"{{"measurement":"open","metrics":{{"x":1}},"sessionId":"{session}","timestamp":{NOW_MS}.75,"seq":{seq}}}"#
        )
    };
    for mode in [SessionMode::Tag, SessionMode::Field, SessionMode::Hash(16)] {
        let first = time(&here, mode, &body("s", 5)).unwrap();
        assert_eq!(time(&there, mode, &body("s", 5)), Ok(first), "{mode:?}");
        assert_eq!(first / 1_000_000, NOW_MS, "floored to the millisecond");
        assert_ne!(time(&here, mode, &body("s", 6)), Ok(first), "{mode:?}");
    }
    assert_eq!(time(&here, SessionMode::Tag, &body("s", 3_000_005)), Ok(NOW_MS * 1_000_000 + 5));
    let apart = [SessionMode::Field, SessionMode::Hash(1)];
    for mode in apart {
        assert_ne!(
            time(&here, mode, &body("s", 5)),
            time(&here, mode, &body("t", 5)),
            "sessions share a series: {mode:?}"
        );
    }
    let none = open(r#""metrics":{"x":1}"#);
    assert_ne!(time(&here, SessionMode::Tag, &none), Ok(TIME), "without a session the series is shared too");
}

#[test]
fn sessions_that_count_from_0_stay_apart_however_their_ids_look() {
    let settings = settings();
    for prefix in ["", "s-", "session-", "a-longer-session-", "123e4567-e89b-12d3-a456-4266141740"] {
        let bodies = (0..1_000).map(|n| {
            format!(
                r#"{{"measurement":"open","metrics":{{"x":1}},"sessionId":"{prefix}{:02}","timestamp":{NOW_MS},"seq":{}}}"#,
                n % 40,
                n / 40
            )
        });
        let times: std::collections::BTreeSet<_> =
            bodies.map(|body| time(&settings, SessionMode::Field, &body).unwrap()).collect();
        // By chance alone, half a pair of a thousand meets among a million.
        assert!(times.len() >= 996, "{prefix}: {} of 1,000", times.len());
    }
}

#[test]
fn without_seq_the_lane_and_a_counter_tell_events_apart() {
    let body = format!(r#"{{"measurement":"open","metrics":{{"x":1}},"sessionId":"s","timestamp":{NOW_MS}}}"#);
    assert_eq!(time(&settings(), SessionMode::Tag, &body), Ok(NOW_MS * 1_000_000 + 7_000));
}

#[test]
fn without_a_time_it_is_the_receipts() {
    let settings = settings();
    let (enricher, tenant, defaults) = (Enricher::new(&settings), acme(SessionMode::Tag), Defaults::default());
    let event = Event {
        measurement: "open".into(),
        metrics: vec![("x".into(), crate::decode::Number::Int(1))],
        ..Event::default()
    };
    let arena = Bump::new();
    for (enricher, wanted) in [(&enricher, NOW), (&enricher, NOW + 1), (&enricher.reloaded(&settings), NOW + 2)] {
        let request = enricher.request(context(&tenant), &defaults);
        assert_eq!(request.point(&event, &arena).unwrap().time, wanted);
    }
}

#[test]
fn a_large_skew_is_corrected_only_for_events_without_seq() {
    let hour = 3_600_000;
    let sent = NOW_MS + hour;
    let body = |seq: &str, sent_at: i64| {
        format!(
            r#"{{"sentAt":{sent_at},"events":[{{"measurement":"open","metrics":{{"x":1}},"timestamp":{}{seq}}}]}}"#,
            sent - 250
        )
    };
    let millis = |body: &str| time(&settings(), SessionMode::Tag, body).map(|time| time / 1_000_000);
    assert_eq!(millis(&body("", sent)), Ok(NOW_MS - 250));
    assert_eq!(millis(&body(r#","seq":1"#, sent)), Err(Reason::InFuture));
    let behind = format!(
        r#"{{"sentAt":{0},"events":[{{"measurement":"open","metrics":{{"x":1}},"timestamp":{0}}}]}}"#,
        NOW_MS - 59_000
    );
    assert_eq!(millis(&behind), Ok(NOW_MS - 59_000), "a small skew is left alone");
}

#[test]
fn a_time_outside_the_window_is_refused() {
    let at = |settings: &Settings, millis: i64| {
        time(
            settings,
            SessionMode::Tag,
            &format!(r#"{{"measurement":"open","sessionId":"s","metrics":{{"x":1}},"timestamp":{millis},"seq":0}}"#),
        )
    };
    let (settings, month) = (settings(), 30 * 86_400_000);
    assert!(at(&settings, NOW_MS + 60_000).is_ok());
    assert_eq!(at(&settings, NOW_MS + 60_001), Err(Reason::InFuture));
    assert!(at(&settings, NOW_MS - month + 1).is_ok());
    assert_eq!(at(&settings, NOW_MS - month), Err(Reason::TooOld));
    assert_eq!(at(&settings, i64::MAX), Err(Reason::BadTimestamp));
    let mut for_ever = settings.clone();
    for_ever.influxdb = None;
    assert_eq!(at(&for_ever, -1_000), Ok(-1_000_000_000));
}
