mod bounds;

use super::*;

fn read(body: &str) -> Decoded<'_> {
    decode(body.as_bytes(), 100).unwrap()
}

fn one(body: &str) -> Result<Event<'_>, Unreadable> {
    let mut items = read(body).items;
    assert_eq!(items.len(), 1, "{body}");
    items.remove(0)
}

fn finding(body: &str) -> (Reason, String) {
    let unreadable = one(body).expect_err(body);
    (unreadable.reason, unreadable.detail)
}

fn int(name: &str, number: i64) -> (Cow<'_, str>, Number) {
    (name.into(), Number::Int(number))
}

#[test]
fn the_first_clients_event_is_read_byte_for_byte() {
    let body = r#"{"sessionId":"s-1","viewName":"UserListView","actionName":"fetchUsers","metrics":{"duration_ms":120,"element_count":50}}"#;
    let wanted = Event {
        measurement: "frontend_performance".into(),
        session_id: Some("s-1".into()),
        view_name: Some("UserListView".into()),
        action_name: Some("fetchUsers".into()),
        metrics: vec![int("duration_ms", 120), int("element_count", 50)],
        ..Event::default()
    };
    assert_eq!(one(body), Ok(wanted));
}

#[test]
fn the_qwik_clients_metric_list_is_read_byte_for_byte() {
    let body = r#"[{"metricName":"web_vitals_lcp","value":2312.4,"tags":{"path":"/products/123","sdkVersion":"0.1.0","connectionType":"4g"},"timestamp":1790000000000}]"#;
    let wanted = Event {
        measurement: "web_vitals_lcp".into(),
        metrics: vec![("value".into(), Number::Float(2312.4))],
        tags: vec![
            ("path".into(), "/products/123".into()),
            ("sdkVersion".into(), "0.1.0".into()),
            ("connectionType".into(), "4g".into()),
        ],
        timestamp_ms: Some(Number::Int(1_790_000_000_000)),
        ..Event::default()
    };
    assert_eq!(one(body), Ok(wanted.clone()));
    assert_eq!(one(&body[1..body.len() - 1]), Ok(wanted), "an item on its own");
}

#[test]
fn every_member_of_an_event_is_read_and_unknown_ones_are_skipped() {
    let event = one(
        r#"{"measurement":"m","sessionId":"s\n","viewName":"v","actionName":"a","metrics":{"x":1.5,"y":-2},"timestamp":1790000000000.25,
            "seq":18446744073709551615,"tags":{"a":"b","n":4,"f":4.5,"t":true},"traceId":"abc","tenant_id":"evil","tenantId":["evil"],"later":{"x":[1,{}]}}"#,
    )
    .unwrap();
    let tags = [("a", "b"), ("n", "4"), ("f", "4.5"), ("t", "true")];
    let wanted = Event {
        measurement: "m".into(),
        session_id: Some("s\n".into()),
        view_name: Some("v".into()),
        action_name: Some("a".into()),
        metrics: vec![("x".into(), Number::Float(1.5)), int("y", -2)],
        tags: tags.map(|(k, v)| (k.into(), v.into())).to_vec(),
        timestamp_ms: Some(Number::Float(1_790_000_000_000.25)),
        seq: Some(u64::MAX),
        trace: Some("abc".into()),
    };
    assert_eq!(event, wanted);
}

#[test]
fn null_and_empty_members_are_absent() {
    let body = r#"{"measurement":null,"sessionId":null,"viewName":"","actionName":null,"metrics":null,"tags":null,"timestamp":null,"seq":null,"traceId":null,"metricName":null}"#;
    let wanted = Event { measurement: DEFAULT_MEASUREMENT.into(), ..Event::default() };
    assert_eq!(one(body), Ok(wanted));
}

#[test]
fn strings_without_escapes_are_borrowed() {
    let event = one(r#"{"sessionId":"plain","viewName":"es\"caped","metrics":{"a":1}}"#).unwrap();
    assert!(matches!(event.session_id, Some(Cow::Borrowed("plain"))));
    assert!(matches!(event.view_name, Some(Cow::Owned(ref text)) if text == "es\"caped"));
    assert!(matches!(event.metrics[0].0, Cow::Borrowed("a")));
}

#[test]
fn integers_stay_exact_and_floats_round_trip() {
    let text = r#"{"metrics":{"a":9223372036854775807,"b":-9223372036854775808,"c":9223372036854775808,"d":1.7976931348623157e308,"e":5e-324,"f":0.1,"g":-0.0}}"#;
    let numbers: Vec<_> = one(text).unwrap().metrics.into_iter().map(|(_, number)| number).collect();
    let wanted = [
        Number::Int(i64::MAX),
        Number::Int(i64::MIN),
        Number::Float(9_223_372_036_854_775_808.0),
        Number::Float(f64::MAX),
        Number::Float(5e-324),
        Number::Float(0.1),
        Number::Float(-0.0),
    ];
    assert_eq!(numbers, wanted);
    assert!(matches!(numbers[6], Number::Float(zero) if zero.is_sign_negative()));
}

#[test]
fn an_envelope_says_once_what_its_events_share() {
    for body in [
        r#"{"events":[{"metrics":{"a":1}},{"metricName":"m","value":2,"tags":{"own":"1"}},{"metrics":{"a":1},"measurement":"own"}],
            "sentAt":1790000000000.5,"sessionId":"s","viewName":"v","tags":{"x":"y"},"measurement":"shared","tenantId":"evil"}"#,
        r#"{"measurement":"shared","sentAt":1790000000000.5,"sessionId":"s","viewName":"v","tags":{"x":"y"},
            "events":[{"metrics":{"a":1}},{"metricName":"m","value":2,"tags":{"own":"1"}},{"metrics":{"a":1},"measurement":"own"}]}"#,
    ] {
        let decoded = read(body);
        let measurements: Vec<_> = decoded.items.iter().map(|item| &*item.as_ref().unwrap().measurement).collect();
        assert_eq!(measurements, ["shared", "m", "own"]);
        assert_eq!(decoded.sent_at_ms, Some(1_790_000_000_000.5));
        let defaults = Defaults {
            session_id: Some("s".into()),
            view_name: Some("v".into()),
            tags: vec![("x".into(), "y".into())],
        };
        assert_eq!(decoded.defaults, defaults);
    }
}

#[test]
fn what_is_wrong_in_an_envelope_is_wrong_with_each_of_its_events() {
    let decoded = read(r#"{"events":[{"metrics":{"a":1}},{"metrics":{"a":1}}],"sentAt":"now"}"#);
    let detail = "in the envelope: `sentAt` is a string, not a number".to_owned();
    let bad = Err(Unreadable { reason: Reason::Malformed, detail });
    assert_eq!(decoded.items, [bad.clone(), bad]);
}

#[test]
fn an_event_on_its_own_may_say_when_it_was_sent() {
    let decoded = read(r#"{"metrics":{"a":1},"sentAt":1790000000000}"#);
    assert_eq!(decoded.sent_at_ms, Some(1_790_000_000_000.0));
    assert!(decoded.items[0].is_ok());
}

#[test]
fn empty_lists_are_read_as_nothing() {
    for body in ["[]", r#"{"events":[]}"#, " [ ] "] {
        assert_eq!(read(body), Decoded::default(), "{body}");
    }
}

#[test]
fn one_bad_item_does_not_spoil_the_others() {
    let bad = [
        ("7", Reason::Malformed),
        ("null", Reason::Malformed),
        ("[]", Reason::Malformed),
        ("{}", Reason::Malformed),
        (r#"{"value":1}"#, Reason::Malformed),
        (r#"{"metrics":[]}"#, Reason::Malformed),
        (r#"{"metrics":{"a":null}}"#, Reason::NotANumber),
        (r#"{"metrics":{"a":1e999}}"#, Reason::NotANumber),
        (r#"{"metrics":{"a":"\ud800"}}"#, Reason::Malformed),
        (r#"{"metrics":{"a":1},"sessionId":"\ud800"}"#, Reason::Malformed),
        (r#"{"metrics":{"a":1,"\ud800":2}}"#, Reason::Malformed),
        (r#"{"metrics":{"a":1},"timestamp":1e999}"#, Reason::BadTimestamp),
        (r#"{"metricName":"m","value":-1e999}"#, Reason::NotANumber),
    ];
    for (item, reason) in bad {
        let good = r#"{"metrics":{"a":1}}"#;
        for body in [format!("[{good},{item},{good}]"), format!(r#"{{"events":[{good},{item},{good}]}}"#)] {
            let items = read(&body).items;
            assert_eq!(items.len(), 3, "{body}");
            assert!(items[0].is_ok() && items[2].is_ok(), "{body}");
            assert_eq!(items[1].as_ref().unwrap_err().reason, reason, "{body}");
        }
    }
    let unknown = r#"[{"metrics":{"a":1},"later":1e999,"more":["\ud800"]}]"#;
    assert!(one(unknown).is_ok(), "what nobody reads cannot be wrong");
}

#[test]
fn a_finding_names_the_member_and_never_echoes_a_value() {
    let malformed = |detail: &str| (Reason::Malformed, detail.to_owned());
    let not_a_number = |detail: &str| (Reason::NotANumber, detail.to_owned());
    let duplicate = |detail: &str| (Reason::DuplicateName, detail.to_owned());
    for (body, wanted) in [
        (r#"{"metrics":{},"sessionId":7}"#, malformed("`sessionId` is a number, not a string")),
        (r#"{"metrics":{},"viewName":["x"]}"#, malformed("`viewName` is a list, not a string")),
        (r#"{"metrics":{},"timestamp":"2024"}"#, malformed("`timestamp` is a string, not a number")),
        (r#"{"metrics":{},"seq":-1}"#, malformed("`seq` is not a whole number of 0 or more")),
        (r#"{"metrics":{},"seq":1.5}"#, malformed("`seq` is not a whole number of 0 or more")),
        (r#"{"metrics":{},"seq":true}"#, malformed("`seq` is a boolean, not a number")),
        (r#"{"metrics":"x"}"#, malformed("`metrics` is a string, not an object")),
        (r#"{"metrics":{},"tags":[1]}"#, malformed("`tags` is a list, not an object")),
        (r#"{"metrics":{},"tags":{"a":null}}"#, malformed("`a` in `tags` is null, not a string")),
        (r#"{"metrics":{},"tags":{"a":{"b":1}}}"#, malformed("`a` in `tags` is an object, not a string")),
        (r#"{"metrics":{"a":"1"}}"#, not_a_number("`a` in `metrics` is a string, not a number")),
        (r#"{"metrics":{"a":true}}"#, not_a_number("`a` in `metrics` is a boolean, not a number")),
        (r#"{"metrics":{"<script>":null}}"#, not_a_number("a value in `metrics` is null, not a number")),
        (r#"{"metrics":{"a":1e999}}"#, not_a_number("`a` in `metrics` is beyond the range of a 64-bit float")),
        (r#"{"metricName":"m","value":null}"#, not_a_number("`value` is null, not a number")),
        (r#"{"metrics":{},"seq":1,"seq":2}"#, duplicate("`seq` stands twice")),
        (r#"{"metrics":{"a":1},"metrics":{"a":1}}"#, duplicate("`metrics` stands twice")),
        (r#"{"metricName":"m"}"#, (Reason::MissingMember, "`value` is missing beside `metricName`".to_owned())),
    ] {
        assert_eq!(finding(body), wanted, "{body}");
    }
}

#[test]
fn duplicate_metrics_and_tags_are_kept_for_the_next_room_to_refuse() {
    let event = one(r#"{"metrics":{"a":1,"a":2},"tags":{"t":"1","t":"2"}}"#).unwrap();
    assert_eq!(event.metrics.len(), 2);
    assert_eq!(event.tags.len(), 2);
}

#[test]
fn what_is_no_json_fails_the_body_and_says_where() {
    for (body, line, column) in [
        (&b""[..], 1, 0),
        (b"{", 1, 1),
        (b"[{\"metrics\":{}},\n 1e999, }", 2, 9),
        (b"{\"metrics\":{\"a\":NaN}}", 1, 17),
        (b"{} {}", 1, 4),
        (b"{\"a\":\"\xFF\"}", 1, 7),
        (b"{\n\"later\":\"\xC3\"}", 2, 10),
    ] {
        let error = decode(body, 100).unwrap_err();
        let DecodeError::NotJson { line: l, column: c, .. } = error else { panic!("{error:?}") };
        assert_eq!((l, c), (line, column), "{}", String::from_utf8_lossy(body));
    }
}

#[test]
fn json_of_another_shape_fails_the_body() {
    for body in ["7", "null", r#""text""#, "true", "{}", r#"{"later":1}"#, r#"{"events":{}}"#, r#"{"sentAt":1}"#] {
        let error = decode(body.as_bytes(), 100).unwrap_err();
        assert!(matches!(error, DecodeError::UnknownShape(_)), "{body}: {error:?}");
    }
}

#[test]
fn a_byte_order_mark_and_white_space_are_no_mistake() {
    let body = "\u{FEFF} \r\n\t[ {\"metrics\" : { \"a\" : 1 } } ]\n";
    assert!(one(body).is_ok());
}
