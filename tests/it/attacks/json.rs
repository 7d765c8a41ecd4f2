//! JSON that a careless reader takes, or falls over: depth, numbers, names twice, bytes that are no text.

use serde_json::json;

use super::World;
use super::row::{Expected, Nothing, Refused, Rejected, Row, Taken, event, event_with, keyed, row};

const NOT_JSON: Expected = Refused(400, "body_not_json");
const SHAPE: Expected = Refused(400, "body_unknown_shape");

pub(super) fn rows(_: &World) -> Vec<Row> {
    let mut rows = depth();
    rows.append(&mut numbers());
    rows.append(&mut names());
    rows.append(&mut bytes());
    rows.append(&mut dialects());
    rows
}

fn depth() -> Vec<Row> {
    let lists = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let objects = |depth: usize| format!("{}1{}", r#"{"x":"#.repeat(depth), "}".repeat(depth));
    let inside = |value: String| event().to_string().replacen('{', &format!("{{\"x\":{value},"), 1);
    let in_metrics =
        event().to_string().replacen(r#""element_count":1"#, &format!(r#""element_count":{}"#, lists(50_000)), 1);
    let at_end = |value: String| format!("[{},{value}]", event());
    vec![
        row("100,000 lists begun", &keyed("[".repeat(100_000)), NOT_JSON),
        row("100,000 lists", &keyed(lists(100_000)), Rejected("malformed")),
        row("100,000 objects begun", &keyed(r#"{"a":"#.repeat(100_000)), NOT_JSON),
        row("100,000 objects", &keyed(objects(100_000)), SHAPE),
        row("100,000 lists in a member that is not read", &keyed(inside(lists(100_000))), Taken(1)),
        row("50,000 lists as a metric", &keyed(in_metrics), Rejected("not_a_number")),
        row("100,000 lists beside a good event", &keyed(at_end(lists(100_000))), Taken(1)),
        row(
            "100,000 lists in an envelope",
            &keyed(format!("{{\"x\":{},\"events\":[{}]}}", lists(100_000), event())),
            Taken(1),
        ),
    ]
}

fn numbers() -> Vec<Row> {
    let metric = |number: &str| {
        keyed(event().to_string().replacen(r#""element_count":1"#, &format!(r#""element_count":{number}"#), 1))
    };
    let timed = |number: &str| keyed(event().to_string().replacen('{', &format!("{{\"timestamp\":{number},"), 1));
    let seq =
        |number: &str| keyed(event().to_string().replacen('{', &format!("{{\"timestamp\":1e12,\"seq\":{number},"), 1));
    let digits = "9".repeat(400);
    let mut rows: Vec<Row> =
        ["1E+", "1e", "01", "+1", ".5", "1.", "-", "0x10", "1_000", "NaN", "-Infinity", "1e1e1", "1,5", "\u{661}"]
            .iter()
            .map(|number| row(format!("the number {number}"), &metric(number), NOT_JSON))
            .collect();
    for (number, expected) in [
        ("1e999", Rejected("not_a_number")),
        ("-1e999", Rejected("not_a_number")),
        (&digits, Rejected("not_a_number")),
        ("1e308", Rejected("out_of_range")),
        ("9223372036854775807", Rejected("out_of_range")),
        ("18446744073709551616", Rejected("out_of_range")),
        ("-1", Rejected("out_of_range")),
        ("\"1\"", Rejected("not_a_number")),
        ("null", Rejected("not_a_number")),
        ("true", Rejected("not_a_number")),
        ("[1]", Rejected("not_a_number")),
        ("-0", Taken(1)),
        ("-0.0", Taken(1)),
        ("1e-400", Taken(1)),
    ] {
        rows.push(row(format!("the metric {:.20}", number), &metric(number), expected));
    }
    let long = format!("0.{}", "1".repeat(400_000));
    rows.push(row("a metric of 400,000 digits", &metric(&long), Taken(1)));
    for (number, expected) in [
        ("1e999", Rejected("bad_timestamp")),
        (&digits, Rejected("bad_timestamp")),
        ("9223372036854775807", Rejected("bad_timestamp")),
        ("-9223372036854775808", Rejected("bad_timestamp")),
        ("1e15", Rejected("bad_timestamp")),
        ("4102444800000", Rejected("in_future")),
        ("\"now\"", Rejected("malformed")),
    ] {
        rows.push(row(format!("the timestamp {:.20}", number), &timed(number), expected));
    }
    for number in ["-1", "1.5", "1e999", "\"1\"", "18446744073709551616"] {
        rows.push(row(format!("the seq {number}"), &seq(number), Rejected("malformed")));
    }
    rows
}

/// One name twice, and names that mean something to somebody else.
fn names() -> Vec<Row> {
    let text = event().to_string();
    let twice = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        keyed(text.replacen(from, to, 1))
    };
    let duplicate = Rejected("duplicate_name");
    let view = r#""viewName":"v""#;
    let mut rows = vec![
        row("a member twice", &twice(view, r#""viewName":"v","viewName":"w""#), duplicate),
        row("a member twice, once escaped", &twice(view, r#""viewName":"v","view\u004eame":"w""#), duplicate),
        row("a metric twice", &twice(r#""element_count":1"#, r#""element_count":1,"element_count":2"#), duplicate),
        row(
            "a metric twice, once escaped",
            &twice(r#""element_count":1"#, r#""element_count":1,"element\u005fcount":2"#),
            duplicate,
        ),
        row(
            "a tag twice",
            &keyed(event_with("tags", json!({})).replace(r#""tags":{}"#, r#""tags":{"path":"/","path":"/x"}"#)),
            duplicate,
        ),
        row("`metrics` twice", &twice(r#""metrics":"#, r#""metrics":{"duration_ms":1},"metrics":"#), duplicate),
        row("`events` twice", &keyed(format!("{{\"events\":[{text}],\"events\":[{text}]}}")), duplicate),
        row(
            "a member that is not read, a thousand times",
            &keyed(text.replacen('{', &format!("{{{}", r#""x":1,"#.repeat(1_000)), 1)),
            Taken(1),
        ),
        row("__proto__ as a member", &keyed(event_with("__proto__", json!({"tenant_id": "globex"}))), Taken(1)),
        row("an empty tag's name", &keyed(event_with("tags", json!({"": "x"}))), Rejected("bad_name")),
        row("an empty metric's name", &keyed(event_with("metrics", json!({"": 1}))), Rejected("bad_name")),
    ];
    for name in [
        "__proto__",
        "_field",
        "_measurement",
        "_time",
        "_value",
        "time",
        "session",
        "trace_id",
        "host",
        "instance",
        "tenant_id",
        "view_name",
        "session_id",
    ] {
        rows.push(row(
            format!("the metric {name}"),
            &keyed(event_with("metrics", json!({ name: 1 }))),
            Rejected("reserved_name"),
        ));
    }
    for name in
        ["__proto__", "_field", "_measurement", "time", "session", "trace_id", "view_name", "action_name", "session_id"]
    {
        rows.push(row(
            format!("the tag {name}"),
            &keyed(event_with("tags", json!({ name: "x" }))),
            Rejected("reserved_name"),
        ));
    }
    for name in ["_internal", "gateway_outcomes", "caddy_http_requests"] {
        rows.push(row(
            format!("the measurement {name}"),
            &keyed(event_with("measurement", name)),
            Rejected("reserved_name"),
        ));
    }
    rows
}

/// Bytes that are no UTF-8, in every place that can hold text; and escapes that are no Unicode.
fn bytes() -> Vec<Row> {
    let full = json!({
        "sessionId": "S1", "viewName": "V1", "actionName": "A1", "measurement": "M1", "traceId": "T1",
        "tags": {"N1": "W1"}, "metrics": {"F1": 1}, "X1": "Y1",
    });
    let full = full.to_string();
    let with = |place: &str, bytes: &[u8]| {
        let at = full.find(place).expect("the place is in the text");
        keyed([&full.as_bytes()[..at], bytes, &full.as_bytes()[at + 2..]].concat())
    };
    let mut rows = Vec::new();
    for (what, bad) in [
        ("an overlong slash", &b"\xc0\xaf"[..]),
        ("an overlong newline", b"\xe0\x80\x8a"),
        ("half a surrogate pair", b"\xed\xa0\x80"),
        ("a lone continuation", b"\x80"),
        ("a sequence cut short", b"\xe2\x82"),
        ("beyond Unicode", b"\xf4\x90\x80\x80"),
        ("Latin-1", b"caf\xe9"),
    ] {
        rows.push(row(format!("{what} in the view"), &with("V1", bad), NOT_JSON));
    }
    for (what, place) in [
        ("the session", "S1"),
        ("the action", "A1"),
        ("the measurement", "M1"),
        ("the trace", "T1"),
        ("a tag's name", "N1"),
        ("a tag", "W1"),
        ("a metric's name", "F1"),
        ("a name that is not read", "X1"),
        ("a value that is not read", "Y1"),
    ] {
        rows.push(row(format!("a lone continuation in {what}"), &with(place, b"\x80"), NOT_JSON));
        rows.push(row(format!("a raw newline in {what}"), &with(place, b"\n"), NOT_JSON));
    }
    for (what, place) in
        [("the view", "V1"), ("the session", "S1"), ("a tag", "W1"), ("a tag's name", "N1"), ("a metric's name", "F1")]
    {
        rows.push(row(format!("an escaped half of a pair in {what}"), &with(place, br"\ud800"), Rejected("malformed")));
    }
    rows
}

/// What other readers call JSON, and what is something else.
fn dialects() -> Vec<Row> {
    let text = event().to_string();
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let utf32: Vec<u8> = text.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect();
    let marked = [b"\xff\xfe".as_slice(), &utf16].concat();
    let bodies: Vec<(&str, Vec<u8>, Expected)> = vec![
        ("UTF-16", utf16, NOT_JSON),
        ("UTF-16 with its mark", marked, NOT_JSON),
        ("UTF-32", utf32, NOT_JSON),
        ("a byte order mark twice", format!("\u{feff}\u{feff}{text}").into(), NOT_JSON),
        ("a comment", format!("/* x */{text}").into(), NOT_JSON),
        ("a comment to the line's end", format!("{text}// x").into(), NOT_JSON),
        ("a trailing comma", text.replacen("\"element_count\":1", "\"element_count\":1,", 1).into(), NOT_JSON),
        ("a trailing comma in a list", format!("[{text},]").into(), NOT_JSON),
        ("single quotes", text.replace('"', "'").into(), NOT_JSON),
        ("names without quotes", b"{viewName:\"v\"}".to_vec(), NOT_JSON),
        ("two documents", format!("{text}{text}").into(), NOT_JSON),
        ("a document a line", format!("{text}\n{text}\n").into(), NOT_JSON),
        ("a guard against JSON in scripts", format!(")]}}',\n{text}").into(), NOT_JSON),
        ("JSONP", format!("callback({text})").into(), NOT_JSON),
        ("a form", b"viewName=v&actionName=a&tenant_id=globex".to_vec(), NOT_JSON),
        (
            "XML with an entity",
            b"<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><x>&e;</x>".to_vec(),
            NOT_JSON,
        ),
        ("line protocol", b"frontend_performance,tenant_id=globex duration_ms=1i".to_vec(), NOT_JSON),
        ("a NUL after it", [text.as_bytes(), b"\0"].concat(), NOT_JSON),
        ("a NUL before it", [b"\0", text.as_bytes()].concat(), NOT_JSON),
        ("an escape that there is not", text.replacen("\"v\"", "\"\\x41\"", 1).into(), NOT_JSON),
        ("a tab in a string", text.replacen("\"v\"", "\"\t\"", 1).into(), NOT_JSON),
        ("a string alone", b"\"globex\"".to_vec(), SHAPE),
        ("a number alone", b"1".to_vec(), SHAPE),
        ("null alone", b"null".to_vec(), SHAPE),
        ("an object of nothing known", b"{\"tenant_id\":\"globex\"}".to_vec(), SHAPE),
        ("`events` that is none", b"{\"events\":{\"0\":1}}".to_vec(), SHAPE),
        ("an empty list", b"[]".to_vec(), Nothing),
    ];
    bodies.into_iter().map(|(name, body, expected)| row(name, &keyed(body), expected)).collect()
}
