//! The status table: each row of it as an answer, with its code, with CORS, and with the connection usable afterwards.

use std::io::Write;

use serde_json::{Value, json};

use crate::support::{ACME_KEY, Answer, Connection, Gateway, IN_MEMORY, SigningKey, claims, config_for, influx};

const ORIGIN: &str = "https://app.example";

/// A valid event.
fn event() -> Value {
    json!({"sessionId": "s", "viewName": "v", "actionName": "a", "metrics": {"duration_ms": 1}})
}

fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!(
        "{method} {target} HTTP/1.1\r\nHost: gateway\r\nOrigin: {ORIGIN}\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    [head.as_bytes(), b"\r\n", body].concat()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

struct Row {
    what: &'static str,
    request: Vec<u8>,
    status: u16,
    code: &'static str,
}

/// One row for each cause of each status that a client can bring about at will.
fn table(expired: &str) -> Vec<Row> {
    let keyed = format!("/v1/telemetry/{ACME_KEY}");
    let good = event().to_string();
    let bad = json!([{"viewName": "v"}, 7]).to_string();
    let many = Value::from(vec![event(); 11]).to_string();
    let large = format!("[{}{}]", " ".repeat(70_000), good);
    let bomb = gzip(format!("[{}{}]", " ".repeat(300_000), good).as_bytes());
    let no_metrics = json!([{"viewName": "v", "actionName": "a", "metrics": {}}]).to_string();
    let bearer = format!("Bearer {expired}");
    let row = |what, status, code, request| Row { what, request, status, code };
    let post = |headers: &[(&str, &str)], body: &[u8]| request("POST", &keyed, headers, body);
    vec![
        row("a good event", 202, "", post(&[], good.as_bytes())),
        row("no metric", 204, "", post(&[], no_metrics.as_bytes())),
        row("an empty array", 204, "", post(&[], b"[]")),
        row("an empty body", 400, "body_empty", post(&[], b"")),
        row("no JSON", 400, "body_not_json", post(&[], b"{\"viewName\":")),
        row("not UTF-8", 400, "body_not_json", post(&[], b"{\"viewName\":\"\xff\"}")),
        row("an unknown shape", 400, "body_unknown_shape", post(&[], b"\"text\"")),
        row("no valid event", 400, "no_valid_event", post(&[], bad.as_bytes())),
        row("not gzip", 400, "body_not_inflatable", post(&[("Content-Encoding", "gzip")], good.as_bytes())),
        row("no credential", 401, "credential_missing", request("POST", "/v1/telemetry", &[], good.as_bytes())),
        row(
            "an unknown key",
            401,
            "write_key_unknown",
            request("POST", "/v1/telemetry?k=no-such-key-0123", &[], good.as_bytes()),
        ),
        row(
            "an expired token",
            401,
            "token_expired",
            request("POST", "/v1/telemetry", &[("Authorization", &bearer)], good.as_bytes()),
        ),
        row(
            "a foreign origin",
            403,
            "origin_not_allowed",
            request("POST", "/ingest?k=globex-key-0123456789abcdef", &[], good.as_bytes()),
        ),
        row("another tenant", 403, "tenant_mismatch", post(&[("X-Tenant-ID", "globex")], good.as_bytes())),
        row("no such route", 404, "not_found", request("POST", "/v2/telemetry", &[], good.as_bytes())),
        row("GET", 405, "method_not_allowed", request("GET", &keyed, &[], b"")),
        row("PUT", 405, "method_not_allowed", request("PUT", "/ingest", &[], good.as_bytes())),
        row("too large as sent", 413, "body_too_large", post(&[], large.as_bytes())),
        row("too large inflated", 413, "inflated_too_large", post(&[("Content-Encoding", "gzip")], &bomb)),
        row("too many events", 413, "too_many_events", post(&[], many.as_bytes())),
        row("an unknown encoding", 415, "encoding_unknown", post(&[("Content-Encoding", "snappy")], good.as_bytes())),
    ]
}

fn limits() -> [(&'static str, &'static str); 3] {
    [
        ("TAGLINE__SERVER__MAX_BODY", "64KiB"),
        ("TAGLINE__SERVER__MAX_INFLATED", "128KiB"),
        ("TAGLINE__SERVER__MAX_EVENTS", "10"),
    ]
}

fn has_cors(answer: &Answer) -> bool {
    answer.header("access-control-allow-origin") == Some(ORIGIN)
        && answer.header("access-control-allow-credentials") == Some("true")
}

#[tokio::test]
async fn every_row_of_the_status_table_answers_with_its_code_and_cors_and_keeps_the_connection() {
    let bucket = influx().bucket("answers");
    let key = SigningKey::es256();
    let gateway = Gateway::start_with(&format!("{}\n{}", config_for(&bucket), key.issuer_toml("idp")), &limits()).await;
    let mut expired = claims("acme");
    expired["exp"] = 1_700_000_000.into();

    // One connection for all of them: a refused body must not cost the connection.
    let mut connection = Connection::open(gateway.address());
    for row in table(&key.sign(&expired)) {
        let answer = connection
            .try_exchange(&row.request)
            .unwrap_or_else(|error| panic!("{}: the connection did not survive until here: {error}", row.what));
        assert_eq!(answer.status, row.status, "{}: {}", row.what, answer.text());
        assert!(has_cors(&answer), "{}: {answer:?}", row.what);
        assert!(answer.header("date").is_some(), "{}", row.what);
        if row.code.is_empty() {
            continue;
        }
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{}", row.what);
        let problem = answer.json();
        assert_eq!(problem["code"], row.code, "{}: {problem}", row.what);
        assert_eq!(problem["status"], row.status, "{}", row.what);
        assert!(problem["serverTime"].as_i64() > Some(1_700_000_000_000), "{}: {problem}", row.what);
        assert!(!problem["detail"].as_str().unwrap_or_default().is_empty(), "{}: {problem}", row.what);
    }
}

#[tokio::test]
async fn too_many_points_are_429_with_a_true_retry_after() {
    let bucket = influx().bucket("budget");
    let config = format!("{}\n[tenants.acme.limits]\npoints_per_second = 5\nburst = 10\n", config_for(&bucket));
    let gateway = Gateway::start_with(&config, &limits()).await;
    let target = format!("/v1/telemetry/{ACME_KEY}");
    let body = Value::from(vec![event(); 10]).to_string();
    let ten = request("POST", &target, &[], body.as_bytes());
    let mut connection = Connection::open(gateway.address());
    assert_eq!(connection.exchange(&ten).status, 202);
    let refused = connection.exchange(&ten);
    assert_eq!((refused.status, refused.json()["code"].as_str()), (429, Some("over_budget")), "{}", refused.text());
    assert!(has_cors(&refused));
    let wait: u64 = refused.header("retry-after").expect("Retry-After").parse().unwrap();
    // Ten points at five a second.
    assert!((1..=3).contains(&wait), "{wait}");
    tokio::time::sleep(std::time::Duration::from_secs(wait)).await;
    assert_eq!(connection.exchange(&ten).status, 202, "Retry-After was not true");
    // The other tenant was never held up.
    let other = [("Origin-Of-No-Importance", "1")];
    let globex = request("POST", "/v1/telemetry/globex-key-0123456789abcdef", &other, body.as_bytes());
    let globex = String::from_utf8(globex).unwrap().replace(ORIGIN, "https://globex.example");
    assert_eq!(connection.exchange(globex).status, 202);
}

#[tokio::test]
async fn the_good_events_of_a_batch_are_kept_and_the_bad_ones_named_by_index_and_reason() {
    let bucket = influx().bucket("partial");
    let gateway = Gateway::start(&config_for(&bucket)).await;
    let bad = |member: &str, value: Value| {
        let mut event = event();
        event[member] = value;
        event
    };
    let events = Value::from(vec![
        event(),
        bad("metrics", json!({"duration_ms": null})),
        bad("viewName", json!(5)),
        bad("measurement", json!("no_such_measurement")),
        bad("tags", json!({"tenant_id": "globex"})),
        bad("metrics", json!({"duration_ms": -1})),
        bad("timestamp", json!(4_102_444_800_000_i64)),
        event(),
        bad("actionName", json!("")),
    ]);
    let target = format!("/v1/telemetry/{ACME_KEY}");
    let answer =
        Connection::open(gateway.address()).exchange(request("POST", &target, &[], events.to_string().as_bytes()));
    assert_eq!(answer.status, 202, "{}", answer.text());
    let answer = answer.json();
    assert_eq!((&answer["accepted"], &answer["rejectedCount"]), (&json!(2), &json!(7)), "{answer}");
    let reasons: Vec<_> = answer["rejected"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| (r["index"].as_u64().unwrap(), r["reason"].as_str().unwrap().to_owned()))
        .collect();
    let expected = [
        (1, "not_a_number"),
        (2, "malformed"),
        (3, "unknown_measurement"),
        (4, "reserved_name"),
        (5, "out_of_range"),
        (6, "in_future"),
        (8, "missing_member"),
    ];
    assert_eq!(reasons, expected.map(|(index, reason)| (index, reason.to_owned())));
    // The operator sees the same, by tenant.
    let seen = gateway.admin_json("/admin/rejections");
    assert_eq!(seen["tenants"]["acme"].as_array().map(Vec::len), Some(7), "{seen}");
}

#[tokio::test]
async fn at_most_twenty_rejections_are_listed_and_all_are_counted() {
    let bucket = influx().bucket("many-rejections");
    let gateway = Gateway::start(&config_for(&bucket)).await;
    let mut events = vec![json!(7); 30];
    events.push(event());
    let body = Value::from(events).to_string();
    let answer = Connection::open(gateway.address())
        .exchange(request("POST", &format!("/v1/telemetry/{ACME_KEY}"), &[], body.as_bytes()))
        .json();
    assert_eq!(answer["rejected"].as_array().map(Vec::len), Some(20));
    assert_eq!((&answer["rejectedCount"], &answer["accepted"]), (&json!(30), &json!(1)));
}

#[tokio::test]
async fn what_can_never_be_taken_is_413_and_not_a_503_to_be_tried_for_ever() {
    let bucket = influx().bucket("never");
    let small = [IN_MEMORY, ("TAGLINE__SPOOL__MAX_MEMORY", "1MiB")];
    let gateway = Gateway::start_with(&config_for(&bucket), &small).await;
    let target = format!("/v1/telemetry/{ACME_KEY}");
    // A view of 200 characters, repeated in 5,000 lines: larger than the whole spool, though the body is small.
    let events = Value::from(vec![json!({"actionName": "a", "metrics": {"duration_ms": 1}}); 5000]);
    let envelope = json!({"viewName": "v".repeat(200), "events": events}).to_string();
    let answer = Connection::open(gateway.address()).exchange(request("POST", &target, &[], envelope.as_bytes()));
    assert_eq!((answer.status, answer.json()["code"].as_str()), (413, Some("lines_too_large")), "{}", answer.text());
    let totals = gateway.admin_json("/admin/ledger")["tenants"]["acme"].clone();
    assert_eq!((&totals["accepted"], &totals["balances"]), (&json!(0), &json!(true)), "{totals}");
}

#[tokio::test]
async fn a_few_hundred_bytes_that_inflate_to_the_cap_do_not_add_up_to_the_machines_memory() {
    let bucket = influx().bucket("bombs");
    let gateway = Gateway::start(&config_for(&bucket)).await;
    let target = format!("/v1/telemetry/{ACME_KEY}");
    let mut text = vec![b' '; (8 << 20) - 2];
    text.extend_from_slice(b"[]");
    let bomb = zstd::stream::encode_all(&text[..], 19).unwrap();
    assert!(bomb.len() < 2000, "{}", bomb.len());
    let packed = request("POST", &target, &[("Content-Encoding", "zstd"), ("Connection", "close")], &bomb);
    // Twice the cores, and at least four, are inflated at once. Twenty-five times as many come.
    let places = (2 * std::thread::available_parallelism().unwrap().get()).max(4);
    let asked = 25 * places;
    let before = peak_memory(&gateway);
    let answers: Vec<_> = std::thread::scope(|scope| {
        let ask = || Connection::open(gateway.address()).exchange(&packed).status;
        let asked: Vec<_> = (0..asked).map(|_| scope.spawn(ask)).collect();
        asked.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(answers.iter().all(|status| matches!(status, 204 | 429 | 503)), "{answers:?}");
    assert!(answers.contains(&204), "none was taken: {answers:?}");
    // Inflated all at once they would be 8 MiB each and more; what the allocator keeps for later is a few times the places.
    let grown = peak_memory(&gateway) - before;
    assert!(grown < (asked as u64) * (8 << 20) / 2, "{} MiB for {places} places", grown >> 20);
}

/// The most memory that the process ever had, bytes.
fn peak_memory(gateway: &Gateway) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("Linux tells the peak");
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[tokio::test]
async fn a_preflight_is_answered_without_a_credential_and_may_be_cached() {
    let bucket = influx().bucket("preflight");
    let gateway = Gateway::start(&config_for(&bucket)).await;
    let asked =
        [("Access-Control-Request-Method", "POST"), ("Access-Control-Request-Headers", "authorization,content-type")];
    // For another method too: the request itself then gets a 405 that the page can read.
    let other = [("Access-Control-Request-Method", "DELETE")];
    let answer = Connection::open(gateway.address()).exchange(request("OPTIONS", "/v1/telemetry", &other, b""));
    assert_eq!((answer.status, has_cors(&answer)), (200, true), "{answer:?}");
    for target in ["/v1/telemetry", "/v1/telemetry/any", "/api/telemetry/ingest", "/ingest"] {
        let answer = Connection::open(gateway.address()).exchange(request("OPTIONS", target, &asked, b""));
        assert_eq!(answer.status, 200, "{target}: {answer:?}");
        assert!(has_cors(&answer), "{target}: {answer:?}");
        assert!(
            answer.header("access-control-max-age").is_some_and(|age| age.parse::<u32>().unwrap() >= 600),
            "{answer:?}"
        );
        let allowed = answer.header("access-control-allow-headers").unwrap_or_default().to_lowercase();
        assert!(allowed.contains("authorization") && allowed.contains("content-type"), "{allowed}");
    }
}

#[tokio::test]
async fn an_answer_echoes_nothing_of_a_refused_body() {
    let bucket = influx().bucket("echo");
    let gateway = Gateway::start(&config_for(&bucket)).await;
    let target = format!("/v1/telemetry/{ACME_KEY}");
    for body in [
        r#"{"viewName":"SECRET-VALUE","actionName":5,"metrics":{"duration_ms":1}}"#,
        r#"{"viewName":"SECRET-VALUE","#,
        r#"{"viewName":"v","actionName":"a","metrics":{"duration_ms":"SECRET-VALUE"}}"#,
        r#"{"viewName":"v","actionName":"a","measurement":"SECRET-VALUE","metrics":{"duration_ms":1}}"#,
    ] {
        let answer = Connection::open(gateway.address()).exchange(request("POST", &target, &[], body.as_bytes()));
        assert_eq!(answer.status, 400, "{body}");
        assert!(!answer.text().contains("SECRET-VALUE"), "{}", answer.text());
    }
    assert!(!gateway.log().contains("SECRET-VALUE"), "{}", gateway.log());
    assert!(!gateway.log().contains(ACME_KEY), "{}", gateway.log());
}
