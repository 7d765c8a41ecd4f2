//! What a hostile body cannot make the decoder spend: stack, memory, items.

use super::*;

#[test]
fn more_metrics_than_an_event_may_carry_are_not_collected() {
    let many: Vec<_> = (0..10_000).map(|n| format!(r#""m{n}":1"#)).collect();
    let body = format!(r#"{{"metrics":{{{0}}},"tags":{{{0}}}}}"#, many.join(","));
    let event = one(&body).unwrap();
    assert_eq!(event.metrics.len(), MAX_METRICS + 1);
    assert_eq!(event.tags.len(), MAX_TAGS + 1);
}

#[test]
fn too_many_events_are_counted_and_not_kept() {
    for body in [format!("[{}]", ["{}"; 11].join(",")), format!(r#"{{"events":[{}]}}"#, ["1e999"; 11].join(","))] {
        let error = decode(body.as_bytes(), 10).unwrap_err();
        assert_eq!(error, DecodeError::TooManyEvents { found: 11, limit: 10 });
        assert_eq!(decode(body.as_bytes(), 11).unwrap().items.len(), 11);
    }
}

#[test]
fn depth_costs_no_stack() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let objects = format!("{}1{}", r#"{"a":"#.repeat(100_000), "}".repeat(100_000));
    for nested in [&deep, &objects] {
        assert!(one(&format!(r#"{{"metrics":{{"a":1}},"later":{nested}}}"#)).is_ok());
        assert!(one(&format!(r#"[{{"metrics":{{"a":1}},"later":{nested},"seq":1}}]"#)).is_ok());
        for member in ["metrics", "tags", "sessionId", "seq", "timestamp"] {
            let (reason, _) = finding(&format!(r#"[{{"{member}":{nested}}}]"#));
            assert!(matches!(reason, Reason::Malformed | Reason::NotANumber), "{member}: {reason:?}");
        }
        assert_eq!(finding(&format!(r#"[{{"metrics":{{"a":{nested}}}}}]"#)).0, Reason::NotANumber);
        assert_eq!(finding(&format!(r#"[{{"metrics":{{"a":{nested},"b":1e999}}}}]"#)).0, Reason::NotANumber);
        assert!(decode(format!("[{nested}, {nested}").as_bytes(), 100).is_err());
    }
    assert_eq!(finding(&deep).0, Reason::Malformed, "a list of a list");
}

#[test]
fn a_value_that_an_envelope_shares_is_kept_once() {
    let long = "\\n".repeat(100_000);
    let body = format!(
        r#"{{"sessionId":"{long}","tags":{{"t":"{long}"}},"events":[{}]}}"#,
        ["{\"metrics\":{}}"; 90].join(",")
    );
    let mut decoded = None;
    let counted = allocation_counter::measure(|| decoded = Some(read(&body)));
    assert_eq!(decoded.unwrap().items.len(), 90);
    assert!(counted.bytes_max < 4 * body.len() as u64, "{} bytes for a body of {}", counted.bytes_max, body.len());
}
