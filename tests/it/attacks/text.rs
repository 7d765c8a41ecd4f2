//! Line protocol forged by what stands in a text: every text of every format. What is taken is one point, and its own tenant's; the table's end
//! asks InfluxDB for that.

use serde_json::{Value, json};

use super::World;
use super::row::{Expected, Rejected, Row, Taken, event, event_with, keyed, post, row};
use crate::support::ACME_KEY;

/// Texts that try to be more than a value.
const FORGED: [(&str, &str); 15] = [
    ("a line after LF", "x\nfrontend_performance,tenant_id=globex duration_ms=1i"),
    ("a line after CRLF", "x\r\nfrontend_performance,tenant_id=globex duration_ms=1i\r\n"),
    ("a line after fields", "x element_count=1i 1\nforged,tenant_id=globex f=1 1"),
    ("a line after a bare CR", "x\rforged,tenant_id=globex f=1"),
    ("a line after U+2028", "x\u{2028}forged,tenant_id=globex f=1"),
    ("a line after U+0085", "x\u{85}forged,tenant_id=globex f=1"),
    ("a line after NUL", "x\0forged,tenant_id=globex f=1"),
    ("a tag after a comma", "x,tenant_id=globex"),
    ("a tag after an escaped comma", "x\\,tenant_id=globex"),
    ("a backslash at the end", "x\\"),
    ("two backslashes at the end", "x\\\\"),
    ("the letters of an escaped newline", "x\\nforged,tenant_id=globex f=1"),
    ("a string's end", "x\",tenant_id=\"globex"),
    ("fields after a blank", "x forged=1i,tenant_id=\"globex\""),
    ("a comment", "#x"),
];

pub(super) fn rows(_: &World) -> Vec<Row> {
    let mut rows = Vec::new();
    for (what, text) in FORGED {
        for (place, body) in values(text) {
            rows.push(row(format!("{what}, in {place}"), &keyed(body), Taken(1)));
        }
        for (place, body, expected) in names(text) {
            rows.push(row(format!("{what}, in {place}"), &keyed(body), expected));
        }
    }
    // In what the request says beside its body.
    let agent = "Mozilla/5.0 (X,tenant_id=globex duration_ms=1i\\) Chrome/131.0 \\";
    rows.push(row("a tag in User-Agent", &keyed(event().to_string()).header("User-Agent", agent), Taken(1)));
    let trace = "00-,tenant_id=globex-1-01";
    rows.push(row("a tag in traceparent", &keyed(event().to_string()).header("traceparent", trace), Taken(1)));
    let query = format!("/v1/telemetry/{ACME_KEY}?viewName=x%0Aforged,tenant_id=globex%20f=1&tenant_id=globex");
    rows.push(row("a line in the query", &post(query), Taken(1)));
    rows
}

/// A body for every place where a value is a free text.
fn values(text: &str) -> Vec<(&'static str, String)> {
    let plain = json!({"viewName": "v", "actionName": "a", "metrics": {"element_count": 1}});
    let envelope = |member: &str, value: Value| {
        let mut event = plain.clone();
        if member == "viewName" {
            event.as_object_mut().expect("an event is an object").remove("viewName");
        }
        json!({ member: value, "events": [event] }).to_string()
    };
    let mut item = json!({"metricName": "web_vitals_lcp", "value": 1, "tags": {"path": text}});
    let in_list = json!([item]).to_string();
    item["tags"] = json!({"path": "/"});
    item["sessionId"] = json!(text);
    vec![
        ("the session", event_with("sessionId", text)),
        ("the view", event_with("viewName", text)),
        ("the view as a path", event_with("viewName", format!("/{text}"))),
        ("the action", event_with("actionName", text)),
        ("a tag", event_with("tags", json!({ "path": text }))),
        ("a tag that is not listed", event_with("tags", json!({ "colour": text }))),
        (
            "a list's session",
            json!([serde_json::from_str::<Value>(&event_with("sessionId", text)).unwrap_or_default()]).to_string(),
        ),
        ("the envelope's session", envelope("sessionId", json!(text))),
        ("the envelope's view", envelope("viewName", json!(text))),
        ("the envelope's tags", envelope("tags", json!({ "path": text }))),
        ("a metric list's tag", in_list),
        ("a metric list's session", json!([item]).to_string()),
    ]
}

/// A body for every place where a text is a name: none of these is one.
fn names(text: &str) -> Vec<(&'static str, String, Expected)> {
    let list = json!([{"metricName": text, "value": 1, "tags": {"path": "/"}}]).to_string();
    vec![
        ("a tag's name", event_with("tags", json!({ text: "x" })), Rejected("bad_name")),
        ("a metric's name", event_with("metrics", json!({ text: 1 })), Rejected("bad_name")),
        ("the measurement", event_with("measurement", text), Rejected("unknown_measurement")),
        ("a metric list's name", list, Rejected("unknown_measurement")),
        ("the trace", event_with("traceId", text), Rejected("malformed")),
    ]
}
