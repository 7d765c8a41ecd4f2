//! Too much of everything: headers, URLs, bodies, events, and what a small body would become.

use serde_json::{Value, json};

use super::World;
use super::row::{Expected, Refused, Rejected, Row, Status, Taken, event, event_with, keyed, post, raw, row};
use crate::support::ACME_KEY;

const BODY: Expected = Refused(413, "body_too_large");
const EVENTS: Expected = Refused(413, "too_many_events");

pub(super) fn rows(_: &World) -> Vec<Row> {
    let mut rows = heads();
    rows.append(&mut bodies());
    rows.append(&mut events());
    rows
}

fn heads() -> Vec<Row> {
    let body = event().to_string();
    let headers = |count: usize| (0..count).fold(keyed(body.clone()), |r, at| r.header(&format!("X-H-{at}"), "x"));
    let one = |length: usize| keyed(body.clone()).header("X-Long", "x".repeat(length));
    let query = |length: usize| post(format_args!("/v1/telemetry/{ACME_KEY}?x={}", "x".repeat(length)));
    let unending =
        [format!("POST /v1/telemetry/{ACME_KEY} HTTP/1.1\r\n").as_bytes(), &b"X-H: x\r\n".repeat(40_000)].concat();
    vec![
        row("90 headers", &headers(90), Taken(1)),
        row("100 headers", &headers(100), Status(431)),
        row("10,000 headers", &headers(10_000), Status(431)),
        row("a header of 100,000 bytes", &one(100_000), Taken(1)),
        row("a header of 1 MB", &one(1_000_000), Status(431)),
        raw("a head without an end", unending, &[Status(431)]),
        // The HTTP library falls over this one, and its connection with it; nothing else does.
        raw("a header's name of 70,000 bytes", keyed(body.clone()).header(&"x".repeat(70_000), "x").bytes(), &[]),
        row("a query of 60,000 bytes", &query(60_000), Taken(1)),
        row("a query of 70,000 bytes", &query(70_000), Status(400)),
        row("a URL of 1 MB", &query(1_000_000), Status(431)),
        row("10,000 parameters", &post(format_args!("/v1/telemetry/{ACME_KEY}?{}", "a=b&".repeat(10_000))), Taken(1)),
        row(
            "a method of 1,000 letters",
            &keyed(body.clone()).start(format!("{} / HTTP/1.1", "A".repeat(1_000))),
            Refused(404, "not_found"),
        ),
        row("a path of 20,000 segments", &post("/a".repeat(20_000)), Refused(404, "not_found")),
        row(
            "a traceparent of 50,000 bytes",
            &keyed(body.clone()).header("traceparent", "00-".repeat(17_000)),
            Taken(1),
        ),
        row(
            "a User-Agent of 50,000 bytes",
            &keyed(body.clone()).header("User-Agent", "Mozilla/5.0 (".repeat(4_000)),
            Taken(1),
        ),
        row(
            "an Origin of 50,000 bytes",
            &keyed(body).header("Origin", format!("https://{}", "a.".repeat(25_000))),
            Taken(1),
        ),
    ]
}

fn bodies() -> Vec<Row> {
    let chunks = |count: usize, end: &str| {
        let request = keyed(Vec::new()).without_length().header("Transfer-Encoding", "chunked");
        let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x1_0000));
        [request.bytes(), chunk.repeat(count).into_bytes(), end.into()].concat()
    };
    let bytes: String = event().to_string().bytes().map(|byte| format!("1\r\n{}\r\n", char::from(byte))).collect();
    let single = keyed(bytes + "0\r\n\r\n").without_length().header("Transfer-Encoding", "chunked");
    vec![
        row("one byte more than max_body", &keyed(vec![b' '; (1 << 20) + 1]), BODY),
        row(
            "10 GB announced",
            &keyed("{").without_length().header("Content-Length", 10_000_000_000_u64.to_string()),
            BODY,
        ),
        raw("2 MiB in chunks", chunks(32, "0\r\n\r\n"), &[BODY]),
        raw("chunks without an end", chunks(48, ""), &[BODY]),
        raw(
            "one chunk of 2^60 bytes",
            [
                keyed(Vec::new()).without_length().header("Transfer-Encoding", "chunked").bytes(),
                b"1000000000000000\r\n".to_vec(),
                vec![b' '; 2 << 20],
            ]
            .concat(),
            &[BODY],
        ),
        row("a chunk a byte", &single, Taken(1)),
        row("1 MiB of blanks", &keyed(vec![b' '; 1 << 20]), Refused(400, "body_empty")),
        row("1 MiB of one string", &keyed(event_with("viewName", "v".repeat(1_000_000))), Rejected("too_long")),
    ]
}

fn events() -> Vec<Row> {
    let list = |item: &str, count: usize| format!("[{}]", vec![item; count].join(","));
    let named = |count: usize| -> Value {
        (0..count).map(|at| (format!("n{at}"), json!(1))).collect::<serde_json::Map<_, _>>().into()
    };
    // Nine tags of 200 characters stand in the body once, and would stand in 5,000 lines.
    let tags =
        ["path", "browser", "os", "device", "app_version", "release", "locale", "connection_type", "connectionType"];
    let tags: serde_json::Map<String, Value> =
        tags.iter().map(|tag| ((*tag).to_owned(), json!("x".repeat(200)))).collect();
    let item = json!({"viewName": "v", "actionName": "a", "metrics": {"element_count": 1}});
    let amplified = json!({ "tags": tags, "events": vec![item; 5_000] }).to_string();
    vec![
        row("5,001 events", &keyed(list(&event().to_string(), 5_001)), EVENTS),
        row("half a million numbers", &keyed(list("1", 500_000)), EVENTS),
        row("300,000 empty objects", &keyed(list("{}", 300_000)), EVENTS),
        row("5,001 events in an envelope", &keyed(format!("{{\"events\":{}}}", list("{}", 5_001))), EVENTS),
        row("65 metrics", &keyed(event_with("metrics", named(65))), Rejected("too_many")),
        row("50,000 metrics", &keyed(event_with("metrics", named(50_000))), Rejected("too_many")),
        row("33 tags", &keyed(event_with("tags", named(33))), Rejected("too_many")),
        row("50,000 tags", &keyed(event_with("tags", named(50_000))), Rejected("too_many")),
        row(
            "50,000 unknown members",
            &keyed({
                let mut event = named(50_000);
                event["viewName"] = json!("v");
                event["actionName"] = json!("a");
                event["metrics"] = json!({"element_count": 1});
                event.to_string()
            }),
            Taken(1),
        ),
        row(
            "a session of 10,000 characters",
            &keyed(event_with("sessionId", "s".repeat(10_000))),
            Rejected("too_long"),
        ),
        row(
            "an action of 10,000 characters",
            &keyed(event_with("actionName", "a".repeat(10_000))),
            Rejected("too_long"),
        ),
        row(
            "a tag of 10,000 characters",
            &keyed(event_with("tags", json!({ "path": "x".repeat(10_000) }))),
            Rejected("too_long"),
        ),
        row(
            "a measurement of 10,000 characters",
            &keyed(event_with("measurement", "m".repeat(10_000))),
            Rejected("unknown_measurement"),
        ),
        row(
            "a metric's name of 10,000 characters",
            &keyed(event_with("metrics", json!({ ("m".repeat(10_000)): 1 }))),
            Rejected("bad_name"),
        ),
        row("a small body of many long lines", &keyed(amplified), Refused(413, "lines_too_large")),
    ]
}
