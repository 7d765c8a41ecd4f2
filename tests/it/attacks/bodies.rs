//! acme's key, and a body that says it is globex's: in every format, in every place that a body has.

use serde_json::{Value, json};

use super::World;
use super::row::{Expected, Rejected, Request, Row, Taken, event, event_with, keyed, post, row};
use crate::support::ACME_KEY;

const RESERVED: Expected = Rejected("reserved_name");

/// The names by which a body might name a tenant.
const NAMES: [&str; 8] =
    ["tenant_id", "tenantId", "tenant", "TENANT_ID", "organization", "x-tenant-id", "accountId", "tid"];

pub(super) fn rows(_: &World) -> Vec<Row> {
    let mut rows = Vec::new();
    // A member that nobody reads.
    for name in NAMES {
        for value in [json!("globex"), json!({ "id": "globex" })] {
            rows.push(row(format!("the member {name}: {value}"), &keyed(event_with(name, value)), Taken(1)));
        }
    }
    for (format, request) in [
        ("an event", keyed(event_with("tenant_id", "globex"))),
        ("a list", keyed(format!("[{}]", event_with("tenant_id", "globex")))),
        ("an envelope", keyed(json!({ "tenant_id": "globex", "tenant": "globex", "events": [event()] }).to_string())),
        ("an envelope's event", keyed(format!("{{\"events\":[{}]}}", event_with("tenantId", "globex")))),
        ("a metric list", metrics(&json!({ "path": "/" }))),
    ] {
        rows.push(row(format!("a tenant in {format}, and in the query"), &request, Taken(1)));
    }
    // A tag or a metric of that name.
    for (format, request) in tagged("tenant_id", "globex") {
        rows.push(row(format!("the tag tenant_id in {format}"), &request, RESERVED));
    }
    for name in ["instance", "host", "session_id", "view_name", "_measurement"] {
        for (format, request) in tagged(name, "globex") {
            rows.push(row(format!("the tag {name} in {format}"), &request, RESERVED));
        }
    }
    for name in ["tenant_id,a", "a,tenant_id", "tenant_id ", "tenant_id\n", "tenant\u{5f}id\u{0}", "tenant_id=globex"] {
        for (format, request) in tagged(name, "globex") {
            rows.push(row(format!("the tag {name:?} in {format}"), &request, Rejected("bad_name")));
        }
    }
    for name in [
        "frontend_performance,tenant_id=globex",
        "frontend_performance ",
        "Frontend_Performance",
        "frontend_performance\n",
    ] {
        rows.push(row(
            format!("the measurement {name:?}"),
            &keyed(event_with("measurement", name)),
            Rejected("unknown_measurement"),
        ));
        let envelope = json!({ "measurement": name, "events": [event()] }).to_string();
        rows.push(row(
            format!("the envelope's measurement {name:?}"),
            &keyed(envelope),
            Rejected("unknown_measurement"),
        ));
    }
    let both = json!([{"metricName": "web_vitals_lcp", "value": 1, "metrics": {"element_count": 1}}]).to_string();
    rows.push(row("an item of two formats", &keyed(both), Rejected("malformed")));
    rows
}

fn metrics(tags: &Value) -> Request {
    let item =
        json!({"metricName": "web_vitals_lcp", "value": 1, "tags": tags, "tenantId": "globex", "tenant_id": "globex"});
    post(format_args!("/api/telemetry/ingest?k={ACME_KEY}&tenant_id=globex")).body(json!([item]).to_string())
}

/// A tag, in each format.
fn tagged(name: &str, value: &str) -> Vec<(&'static str, Request)> {
    let tags = json!({ name: value });
    let event_of = |tags: &Value| event_with("tags", tags.clone());
    vec![
        ("an event", keyed(event_of(&tags))),
        ("a list", keyed(format!("[{}]", event_of(&tags)))),
        ("an envelope's event", keyed(format!("{{\"events\":[{}]}}", event_of(&tags)))),
        ("an envelope", keyed(json!({ "tags": tags, "events": [event()] }).to_string())),
        ("a metric list", metrics(&tags)),
    ]
}
