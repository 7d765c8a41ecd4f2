//! What becomes of names, numbers and traces.

use super::*;

#[test]
fn names_sizes_and_numbers_are_bounded_with_a_reason() {
    let text = |len: usize| "x".repeat(len);
    let metrics = |count: usize| (0..count).map(|n| format!(r#""m{n}":1"#)).collect::<Vec<_>>().join(",");
    let tags = |count: usize| (0..count).map(|n| format!(r#""t{n}":"1""#)).collect::<Vec<_>>().join(",");
    let one = r#""metrics":{"x":1}"#;
    let cases = [
        (format!(r#"{one},"sessionId":"{}""#, text(MAX_SESSION)), None),
        (format!(r#"{one},"sessionId":"{}""#, text(MAX_SESSION + 1)), Some(Reason::TooLong)),
        (format!(r#"{one},"viewName":"{}""#, text(MAX_TAG_VALUE)), None),
        (format!(r#"{one},"viewName":"{}""#, text(MAX_TAG_VALUE + 1)), Some(Reason::TooLong)),
        (format!(r#"{one},"actionName":"{}""#, text(MAX_TAG_VALUE + 1)), Some(Reason::TooLong)),
        (format!(r#"{one},"tags":{{"free":"{}"}}"#, text(MAX_TAG_VALUE + 1)), Some(Reason::TooLong)),
        (format!(r#"{one},"tags":{{"unlisted":"{}"}}"#, text(10_000)), None),
        (format!(r#"{one},"tags":{{"path":"/{}?{}"}}"#, text(MAX_PATH - 1), text(9_000)), None),
        (format!(r#"{one},"tags":{{"path":"/{}"}}"#, text(MAX_PATH)), Some(Reason::TooLong)),
        (format!(r#""metrics":{{{}}}"#, metrics(MAX_METRICS)), None),
        (format!(r#""metrics":{{{}}}"#, metrics(MAX_METRICS + 1)), Some(Reason::TooMany)),
        (format!(r#"{one},"tags":{{{}}}"#, tags(MAX_TAGS)), None),
        (format!(r#"{one},"tags":{{{}}}"#, tags(MAX_TAGS + 1)), Some(Reason::TooMany)),
        (format!(r#""metrics":{{"{}":1}}"#, text(64)), None),
        (format!(r#""metrics":{{"{}":1}}"#, text(65)), Some(Reason::BadName)),
        (r#""metrics":{"1x":1}"#.to_owned(), Some(Reason::BadName)),
        (r#""metrics":{"":1}"#.to_owned(), Some(Reason::BadName)),
        (r#""metrics":{"a b":1}"#.to_owned(), Some(Reason::BadName)),
        (r#""metrics":{"a\n":1}"#.to_owned(), Some(Reason::BadName)),
        (format!(r#"{one},"tags":{{"a b":"1"}}"#), Some(Reason::BadName)),
        (r#""metrics":{"x":1,"x":1}"#.to_owned(), Some(Reason::DuplicateName)),
        (format!(r#"{one},"tags":{{"free":"1","free":"1"}}"#), Some(Reason::DuplicateName)),
        (r#""metrics":{}"#.to_owned(), Some(Reason::Empty)),
        (format!(r#"{one},"traceId":"7""#), Some(Reason::Malformed)),
    ];
    for (members, wanted) in cases {
        assert_eq!(point(&open(&members)).err().map(|rejected| rejected.reason), wanted, "{members:.200}");
    }
}

#[test]
fn a_field_has_the_catalogs_type_for_ever() {
    let told = |number: &str| {
        let body = format!(
            r#"{{"viewName":"v","actionName":"a","metrics":{{"delta":{number}}},"timestamp":{NOW_MS},"seq":1}}"#
        );
        point(&body).map(|told| told.split("delta=").nth(1).unwrap().split(' ').next().unwrap().to_owned())
    };
    for (number, wanted) in [
        ("12.6", "Int(13)"),
        ("12.5", "Int(13)"),
        ("-12.5", "Int(-13)"),
        ("12.4", "Int(12)"),
        ("0.49999999999999994", "Int(0)"),
        ("-0.0", "Int(0)"),
        ("9223372036854775807", "Int(9223372036854775807)"),
        ("-9223372036854775808", "Int(-9223372036854775808)"),
        ("1e18", "Int(1000000000000000000)"),
    ] {
        assert_eq!(told(number).unwrap(), wanted, "{number}");
    }
    for number in ["9223372036854775808", "1e19", "-1e300"] {
        assert_eq!(told(number).unwrap_err().reason, Reason::OutOfRange, "{number}");
    }
    let bounded = |number: &str| {
        let body =
            format!(r#"{{"viewName":"v","actionName":"a","metrics":{{"duration_ms":{number}}},"timestamp":{NOW_MS}}}"#);
        point(&body).err().map(|rejected| rejected.reason)
    };
    assert_eq!(bounded("600000.4"), None);
    assert_eq!(bounded("-0.4"), None);
    assert_eq!(bounded("600000.5"), Some(Reason::OutOfRange));
    assert_eq!(bounded("-1"), Some(Reason::OutOfRange));
    let lcp =
        |value: &str| point(&format!(r#"{{"metricName":"web_vitals_lcp","value":{value},"tags":{{"path":"/"}}}}"#));
    assert!(lcp("7").unwrap().contains("value=Float(7.0)"));
    assert_eq!(lcp("600000.1").unwrap_err().reason, Reason::OutOfRange);
    let closed = r#"{"measurement":"backend_api_latency","tags":{"endpoint":"/"},"metrics":{"other":1}}"#;
    assert_eq!(refusal(closed).0, Reason::UnknownField);
}

#[test]
fn numbers_that_are_not_finite_are_refused_whatever_the_format() {
    let (settings, tenant) = (settings(), acme(SessionMode::Tag));
    let (enricher, defaults) = (Enricher::new(&settings), Defaults::default());
    let request = enricher.request(context(&tenant), &defaults);
    for (measurement, name) in [("open", "x"), ("frontend_performance", "duration_ms")] {
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let event = Event {
                measurement: measurement.into(),
                view_name: Some("v".into()),
                action_name: Some("a".into()),
                metrics: vec![(name.into(), crate::decode::Number::Float(number))],
                ..Event::default()
            };
            assert_eq!(request.point(&event, &Bump::new()).unwrap_err().reason, Reason::NotANumber);
        }
    }
}

#[test]
fn a_trace_id_becomes_a_field_in_lower_case() {
    let header = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let with = |member: &str, header: Option<&str>| {
        let body = open(&format!(r#""metrics":{{"x":1}}{member}"#));
        let tenant = acme(SessionMode::Tag);
        let told = point_in(&settings(), &tenant, &body, |context| {
            // Leaked: a test's header may live as long as it likes.
            context.traceparent = header.map(|header| &*Box::leak(header.to_owned().into_boxed_str()));
        });
        told.map(|told| told.split("trace_id=Str(\"").nth(1).map(|rest| rest[..32].to_owned()))
            .map_err(|rejected| rejected.reason)
    };
    let trace = Ok(Some(TRACE.to_owned()));
    assert_eq!(with(&format!(r#","traceId":"{TRACE}""#), None), trace);
    assert_eq!(with(&format!(r#","traceId":"{}""#, TRACE.to_uppercase()), None), trace);
    assert_eq!(with(&format!(r#","traceparent":"{header}""#), None), trace);
    assert_eq!(with("", Some(&header)), trace);
    assert_eq!(with(r#","traceId":"11111111111111111111111111111111""#, Some(&header)), Ok(Some("1".repeat(32))));
    assert_eq!(with("", Some(&format!("01-{TRACE}-00f067aa0ba902b7-01-later"))), trace);
    assert_eq!(with("", None), Ok(None));
    let zero = "0".repeat(32);
    for bad in [
        "x".to_owned(),
        zero.clone(),
        format!("00-{zero}-00f067aa0ba902b7-01"),
        format!("ff-{TRACE}-00f067aa0ba902b7-01"),
        format!("00-{TRACE}-0000000000000000-01"),
        format!("00-{TRACE}-00f067aa0ba902b7-01-more"),
        format!("00-{TRACE}"),
        "ü".repeat(16),
    ] {
        assert_eq!(with(&format!(r#","traceId":"{bad}""#), None), Err(Reason::Malformed), "{bad}");
        assert_eq!(with("", Some(&bad)), Ok(None), "a bad header is no fault of the event's: {bad}");
    }
}
