//! Each format, in each encoding and under any content type: the same point in InfluxDB.

use std::collections::BTreeMap;
use std::io::Write;

use serde_json::{Value, json};

use crate::support::{ACME_KEY, Answer, Connection, Gateway, Row, config_for, influx};

/// 2023-11-14T22:13:20Z, in milliseconds.
const BASE: i64 = 1_700_000_000_000;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// One format: its name, its route, and a body whose event happened at this millisecond.
type Format = (&'static str, &'static str, fn(i64) -> Value);

fn event(at: i64) -> Value {
    json!({
        "sessionId": "s-1", "viewName": "UserListView", "actionName": "fetch users", "seq": 7, "timestamp": at, "traceId": TRACE,
        "metrics": {"duration_ms": 12.6, "element_count": 50, "ratio": 0.5}, "tags": {"path": "/users/42", "release": "é-1"},
    })
}

/// The same event, with all that an envelope can say for its events moved there.
fn envelope(at: i64) -> Value {
    json!({
        "sessionId": "s-1", "viewName": "UserListView", "sentAt": at + 5, "measurement": "frontend_performance",
        "tags": {"path": "/users/42", "release": "é-1"},
        "events": [{
            "actionName": "fetch users", "seq": 7, "timestamp": at, "traceId": TRACE,
            "metrics": {"duration_ms": 12.6, "element_count": 50, "ratio": 0.5},
        }],
    })
}

fn metric(at: i64) -> Value {
    json!({
        "metricName": "web_vitals_lcp", "value": 2312.4, "timestamp": at,
        "tags": {"path": "/products/123", "sdkVersion": "0.1.0", "connectionType": "4g"},
    })
}

const NATIVE: [Format; 4] = [
    ("an event", "/v1/telemetry", event),
    ("an array", "/v1/telemetry", |at| json!([event(at)])),
    ("an envelope", "/v1/telemetry", |at| json!({"events": [event(at)]})),
    ("an envelope with defaults", "/v1/telemetry", envelope),
];

const METRICS: [Format; 4] = [
    ("a metric", "/ingest", metric),
    ("a metric list", "/ingest", |at| json!([metric(at)])),
    ("a metric on the Qwik client's route", "/api/telemetry/ingest", metric),
    ("a metric list on the native route", "/v1/telemetry", |at| json!([metric(at)])),
];

fn post(route: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("POST {route}?k={ACME_KEY} HTTP/1.1\r\nHost: gateway\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    [head.as_bytes(), b"\r\n", body].concat()
}

#[track_caller]
fn accepted(what: &str, answer: &Answer) {
    assert_eq!(answer.status, 202, "{what}: {}", answer.text());
    assert_eq!((&answer.json()["accepted"], &answer.json()["rejectedCount"]), (&json!(1), &json!(0)), "{what}");
}

/// All of a point but its time.
fn content(row: &Row) -> BTreeMap<&str, &str> {
    let time = ["_start", "_stop", "_time"];
    row.columns().filter(|name| !time.contains(name)).map(|name| (name, row.text(name))).collect()
}

/// Checks that the rows are one and the same point at `BASE`, `BASE + 1`, …
#[track_caller]
fn all_the_same(rows: &[Row], sent: i64, known: &[(&str, &str)]) {
    let times: Vec<_> = rows.iter().map(|row| row.nanos("_time") / 1_000_000).collect();
    assert_eq!(times, (BASE..BASE + sent).collect::<Vec<_>>());
    let first = content(&rows[0]);
    for (name, value) in known {
        assert_eq!(first.get(name), Some(value), "{name}: {first:?}");
    }
    let names: Vec<_> = first.keys().filter(|name| !["_measurement", "instance"].contains(*name)).collect();
    assert_eq!(names, known.iter().map(|(name, _)| name).collect::<Vec<_>>(), "exactly these tags and fields");
    for row in rows {
        assert_eq!(content(row), first);
    }
}

const NATIVE_POINT: [(&str, &str); 10] = [
    ("action_name", "fetch users"),
    ("duration_ms", "13"),
    ("element_count", "50"),
    ("path", "/users/:id"),
    ("ratio", "0.5"),
    ("release", "é-1"),
    ("session_id", "s-1"),
    ("tenant_id", "acme"),
    ("trace_id", TRACE),
    ("view_name", "UserListView"),
];

const METRIC_POINT: [(&str, &str); 5] = [
    ("connectionType", "4g"),
    ("path", "/products/:id"),
    ("sdkVersion", "0.1.0"),
    ("tenant_id", "acme"),
    ("value", "2312.4"),
];

#[tokio::test]
async fn each_format_is_the_same_point_whatever_the_content_type_says() {
    let content_types = [
        None,
        Some("application/json"),
        Some("text/plain;charset=UTF-8"),
        Some("application/octet-stream"),
        Some("application/x-www-form-urlencoded"),
        Some("multipart/form-data; boundary=x"),
        Some("application/json; charset=latin-1"),
        Some("no media type at all"),
    ];
    let bucket = influx().bucket("formats");
    let gateway = Gateway::start(&config_for(&bucket)).await;
    let mut connection = Connection::open(gateway.address());
    let mut send = |formats: [Format; 4]| {
        let mut at = BASE;
        for (what, route, body) in formats {
            for content_type in content_types {
                let headers: Vec<_> = content_type.iter().map(|value| ("Content-Type", *value)).collect();
                let answer = connection.exchange(post(route, &headers, body(at).to_string().as_bytes()));
                accepted(&format!("{what} as {content_type:?}"), &answer);
                at += 1;
            }
        }
        at - BASE
    };
    let (native, metrics) = (send(NATIVE), send(METRICS));
    gateway.delivered("acme", (native + metrics).unsigned_abs()).await;
    all_the_same(&bucket.rows("frontend_performance").await, native, &NATIVE_POINT);
    all_the_same(&bucket.rows("web_vitals_lcp").await, metrics, &METRIC_POINT);
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn zlib(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn deflate(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn brotli(body: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::new();
    brotli::CompressorWriter::new(&mut encoded, 4096, 5, 22).write_all(body).unwrap();
    encoded
}

fn zstd(body: &[u8]) -> Vec<u8> {
    zstd::encode_all(body, 3).unwrap()
}

/// gzip in two members, as `cat a.gz b.gz` makes it.
fn gzip_in_two(body: &[u8]) -> Vec<u8> {
    let (one, other) = body.split_at(body.len() / 2);
    [gzip(one), gzip(other)].concat()
}

/// An encoding: its name, its headers, and what makes it.
type Coded = (&'static str, &'static [(&'static str, &'static str)], fn(&[u8]) -> Vec<u8>);

const ENCODINGS: [Coded; 11] = [
    ("identity", &[("Content-Encoding", "identity")], <[u8]>::to_vec),
    ("gzip", &[("Content-Encoding", "gzip")], gzip),
    ("GZip", &[("Content-Encoding", "GZip")], gzip),
    ("x-gzip", &[("Content-Encoding", "x-gzip")], gzip),
    ("gzip in two members", &[("Content-Encoding", "gzip")], gzip_in_two),
    ("deflate", &[("Content-Encoding", "deflate")], zlib),
    ("deflate without zlib's header", &[("Content-Encoding", "deflate")], deflate),
    ("br", &[("Content-Encoding", "br")], brotli),
    ("zstd", &[("Content-Encoding", "zstd")], zstd),
    ("gzip by its magic, as text", &[("Content-Type", "text/plain;charset=UTF-8")], gzip),
    ("gzip by its magic, as nothing", &[], gzip),
];

#[tokio::test]
async fn each_encoding_is_the_same_point() {
    let bucket = influx().bucket("encodings");
    let gateway = Gateway::start(&config_for(&bucket)).await;
    let mut connection = Connection::open(gateway.address());
    let mut send = |(format, route, body): Format| {
        for ((what, headers, encode), at) in ENCODINGS.iter().zip(BASE..) {
            let body = encode(body(at).to_string().as_bytes());
            accepted(&format!("{format} as {what}"), &connection.exchange(post(route, headers, &body)));
        }
        ENCODINGS.len() as i64
    };
    let (native, metrics) = (send(NATIVE[3]), send(METRICS[1]));
    gateway.delivered("acme", (native + metrics).unsigned_abs()).await;
    all_the_same(&bucket.rows("frontend_performance").await, native, &NATIVE_POINT);
    all_the_same(&bucket.rows("web_vitals_lcp").await, metrics, &METRIC_POINT);
}

#[tokio::test]
async fn a_body_that_inflates_to_hundreds_of_kilobytes_arrives_whole_in_each_encoding() {
    let bucket = influx().bucket("inflated");
    let gateway = Gateway::start(&config_for(&bucket)).await;
    for ((what, headers, encode), batch) in ENCODINGS.iter().zip(0..) {
        let events: Vec<_> = (0..1_000).map(|event_of_batch| event(BASE + batch * 1_000 + event_of_batch)).collect();
        let body = Value::from(events).to_string();
        assert!(body.len() > 200_000, "the inflater's way for large bodies is meant: {}", body.len());
        let answer = gateway.post(ACME_KEY, headers, encode(body.as_bytes()));
        assert_eq!((answer.status, &answer.json()["accepted"]), (202, &json!(1_000)), "{what}: {}", answer.text());
    }
    let sent = 1_000 * ENCODINGS.len() as u64;
    gateway.delivered("acme", sent).await;
    assert_eq!(bucket.count("frontend_performance", "duration_ms").await, sent);
}

/// A request without a length: the body in chunks of so many bytes, with an extension that means nothing.
fn in_chunks(headers: &str, body: &[u8], size: usize) -> Vec<u8> {
    let head = format!(
        "POST /v1/telemetry?k={ACME_KEY} HTTP/1.1\r\nHost: gateway\r\nTransfer-Encoding: chunked\r\n{headers}\r\n"
    );
    let mut request = head.into_bytes();
    for chunk in body.chunks(size) {
        request.extend_from_slice(format!("{:x};note=1\r\n", chunk.len()).as_bytes());
        request.extend_from_slice(chunk);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    request
}

#[tokio::test]
async fn a_body_in_chunks_without_a_length_is_the_same_point_wherever_it_is_cut() {
    let bucket = influx().bucket("chunked");
    let gateway = Gateway::start(&config_for(&bucket)).await;
    let mut connection = Connection::open(gateway.address());
    let mut at = BASE;
    // One byte a chunk cuts through the two bytes of `é`.
    for size in [1, 7, 100, 100_000] {
        let answer = connection.exchange(in_chunks("", event(at).to_string().as_bytes(), size));
        accepted(&format!("chunks of {size}"), &answer);
        let answer = connection.exchange(in_chunks(
            "Content-Encoding: gzip\r\n",
            &gzip(event(at + 1).to_string().as_bytes()),
            size,
        ));
        accepted(&format!("gzip in chunks of {size}"), &answer);
        at += 2;
    }
    // The chunks come late, one by one.
    let request = in_chunks("", event(at).to_string().as_bytes(), 50);
    for part in request.chunks(97) {
        connection.send(part).unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    accepted("chunks that dribble", &connection.receive().unwrap());
    let sent = at + 1 - BASE;
    gateway.delivered("acme", sent.unsigned_abs()).await;
    all_the_same(&bucket.rows("frontend_performance").await, sent, &NATIVE_POINT);
}

#[tokio::test]
async fn a_byte_order_mark_and_white_space_change_nothing() {
    let bucket = influx().bucket("bom");
    let gateway = Gateway::start(&config_for(&bucket)).await;
    let mut connection = Connection::open(gateway.address());
    let mut at = BASE;
    for (what, route, body) in NATIVE {
        let marked = |at| format!("\u{feff}{}", body(at)).into_bytes();
        accepted(what, &connection.exchange(post(route, &[], &marked(at))));
        accepted(what, &connection.exchange(post(route, &[("Content-Encoding", "gzip")], &gzip(&marked(at + 1)))));
        let spaced = format!("\u{feff}\r\n\t {:#}\n\n", body(at + 2));
        accepted(what, &connection.exchange(post(route, &[], spaced.as_bytes())));
        at += 3;
    }
    gateway.delivered("acme", (at - BASE).unsigned_abs()).await;
    all_the_same(&bucket.rows("frontend_performance").await, at - BASE, &NATIVE_POINT);
}

#[tokio::test]
async fn requests_that_are_pipelined_are_answered_in_order_and_each_arrives_once() {
    let bucket = influx().bucket("pipelined");
    let gateway = Gateway::start(&config_for(&bucket)).await;
    let mut connection = Connection::open(gateway.address());
    let one = |at: i64| post("/v1/telemetry", &[], event(at).to_string().as_bytes());

    connection.send([one(BASE), one(BASE + 1)].concat()).unwrap();
    for what in ["the first of two", "the second of two"] {
        accepted(what, &connection.receive().unwrap());
    }
    // A refused one between them, whose body nobody has read, is not taken for the next request.
    let refused = post("/v1/telemetry", &[("X-Tenant-ID", "globex")], one(BASE).as_slice());
    let chunked = in_chunks("", event(BASE + 3).to_string().as_bytes(), 10);
    connection.send([one(BASE + 2), refused, chunked, one(BASE + 4)].concat()).unwrap();
    accepted("before the refused one", &connection.receive().unwrap());
    assert_eq!(connection.receive().unwrap().status, 403);
    accepted("after the refused one", &connection.receive().unwrap());
    accepted("the last", &connection.receive().unwrap());

    gateway.delivered("acme", 5).await;
    all_the_same(&bucket.rows("frontend_performance").await, 5, &NATIVE_POINT);
}

#[tokio::test]
async fn a_sender_that_waits_to_be_told_to_continue_is_told() {
    let bucket = influx().bucket("continue");
    let gateway = Gateway::start(&config_for(&bucket)).await;
    let request = post("/v1/telemetry", &[("Expect", "100-continue")], event(BASE).to_string().as_bytes());
    let body = request.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let mut stream = std::net::TcpStream::connect(gateway.address()).unwrap();
    stream.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
    stream.write_all(&request[..body]).unwrap();
    let mut told = [0; 25];
    std::io::Read::read_exact(&mut stream, &mut told).unwrap();
    assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n", "{}", String::from_utf8_lossy(&told));
    stream.write_all(&request[body..]).unwrap();
    let mut status = [0; 12];
    std::io::Read::read_exact(&mut stream, &mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 202");
    gateway.delivered("acme", 1).await;
}
