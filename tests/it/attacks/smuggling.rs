//! Where a request ends, and whose it is: what a proxy and the gateway could read in two ways.
//!
//! What cannot be read in one way only is refused, and its connection ends. So no byte of a refused or taken body is ever read as a request.

use super::World;
use super::row::{Expected, Nothing, Refused, Request, Row, Status, Taken, event, keyed, post, raw};
use crate::support::{ACME_KEY, GLOBEX_KEY};

const BAD: [Expected; 1] = [Status(400)];
/// No answer: the connection ends there.
const CUT: [Expected; 0] = [];
const REFUSED: Expected = Refused(400, "upgrade_refused");
const MISSING: Expected = Refused(401, "credential_missing");

pub(super) fn rows(_: &World) -> Vec<Row> {
    let mut rows = lengths();
    rows.append(&mut codings());
    rows.append(&mut chunks());
    rows.append(&mut pipelined());
    rows.append(&mut heads());
    rows.append(&mut other_protocols());
    rows
}

/// A request of the victim's key, as a page of the victim's would send it: what a smuggler would hide.
fn hidden() -> Vec<u8> {
    let request = post(format_args!("/v1/telemetry/{GLOBEX_KEY}")).header("Origin", "https://globex.example");
    request.bytes()
}

fn unsized_request() -> Request {
    post(format_args!("/v1/telemetry/{ACME_KEY}")).without_length()
}

/// A body in chunks, with a hidden request behind it.
fn with_hidden(request: &Request, body: &[u8]) -> Vec<u8> {
    [&request.clone().body(body).kept_alive(), hidden().as_slice()].concat()
}

/// The event as one chunk, and the end.
fn chunked() -> Vec<u8> {
    let event = event().to_string();
    format!("{:x}\r\n{event}\r\n0\r\n\r\n", event.len()).into_bytes()
}

fn lengths() -> Vec<Row> {
    let event = event().to_string();
    let with = |value: &str| with_hidden(&unsized_request().line(format!("Content-Length: {value}")), event.as_bytes());
    let length = event.len();
    let mut rows: Vec<Row> = [
        format!("+{length}"),
        "-1".to_owned(),
        format!("0x{length:x}"),
        format!("{length},{length}"),
        format!("{length}, {}", length + 1),
        format!("{length} {length}"),
        format!("{length};x"),
        format!("{length}.0"),
        format!("{length}e0"),
        format!("\"{length}\""),
        "18446744073709551616".to_owned(),
        "x".to_owned(),
        String::new(),
    ]
    .iter()
    .map(|value| raw(format!("Content-Length: {value:?}"), with(value), &BAD))
    .collect();
    let twice = |second: usize| {
        let request = unsized_request().line(format!("Content-Length: {length}"));
        with_hidden(&request.line(format!("Content-Length: {second}")), event.as_bytes())
    };
    rows.push(raw("two lengths", twice(0), &BAD));
    rows.push(raw("the same length twice", twice(length), &BAD));
    rows.push(raw("a length of 2^64 - 1", with("18446744073709551615"), &[Refused(413, "body_too_large")]));
    rows.push(raw(
        "no length: the body is no body, and no request",
        [unsized_request().body(Vec::new()).kept_alive(), event.into()].concat(),
        &[Refused(400, "body_empty"), Status(400)],
    ));
    rows
}

fn codings() -> Vec<Row> {
    let te = |value: &str| unsized_request().line(format!("Transfer-Encoding: {value}"));
    let mut rows: Vec<Row> = [
        "xchunked",
        "chunked, identity",
        "identity, chunked",
        "gzip, chunked",
        "chunked, chunked",
        "chunked;x=1",
        "\"chunked\"",
        "identity",
        "gzip",
        "",
        "chunked\u{b}",
        "chun\u{a0}ked",
    ]
    .iter()
    .map(|value| raw(format!("Transfer-Encoding: {value:?}"), with_hidden(&te(value), &chunked()), &BAD))
    .collect();
    let length = |request: Request| request.line("Content-Length: 4");
    rows.push(raw(
        "CL.TE",
        with_hidden(&length(unsized_request()).line("Transfer-Encoding: chunked"), &chunked()),
        &BAD,
    ));
    rows.push(raw("TE.CL", with_hidden(&length(te("chunked")), &chunked()), &BAD));
    rows.push(raw("TE.CL, a length of 0", with_hidden(&te("chunked").line("Content-Length: 0"), &chunked()), &BAD));
    rows.push(raw("TE.TE", with_hidden(&te("chunked").line("Transfer-Encoding: identity"), &chunked()), &BAD));
    rows.push(raw("TE.TE, the same", with_hidden(&te("chunked").line("transfer-encoding: chunked"), &chunked()), &BAD));
    rows.push(raw("TE folded", with_hidden(&te("\r\n chunked"), &chunked()), &BAD));
    rows.push(raw(
        "TE before a blank and the colon",
        with_hidden(&unsized_request().line("Transfer-Encoding : chunked"), &chunked()),
        &BAD,
    ));
    // A name that is nearly it means nothing: the chunks are then no body, and no request either.
    rows.push(raw(
        "Transfer_Encoding",
        with_hidden(&unsized_request().line("Transfer_Encoding: chunked"), &chunked()),
        &[Refused(400, "body_empty"), Status(400)],
    ));
    let old =
        unsized_request().start(format!("POST /v1/telemetry/{ACME_KEY} HTTP/1.0")).line("Transfer-Encoding: chunked");
    rows.push(raw("TE in HTTP/1.0", with_hidden(&old, &chunked()), &BAD));
    rows
}

fn chunks() -> Vec<Row> {
    let te = unsized_request().line("Transfer-Encoding: chunked");
    let event = event().to_string();
    let (length, event) = (event.len(), event.as_str());
    let bodies = [
        ("a negative size", format!("-1\r\n{event}\r\n0\r\n\r\n")),
        ("a size with 0x", format!("0x{length:x}\r\n{event}\r\n0\r\n\r\n")),
        ("a size with a plus", format!("+{length:x}\r\n{event}\r\n0\r\n\r\n")),
        ("an empty size", format!("\r\n{event}\r\n0\r\n\r\n")),
        ("a size of 17 digits", format!("1{:016x}\r\n{event}\r\n0\r\n\r\n", length)),
        ("two sizes", format!("{length:x} {length:x}\r\n{event}\r\n0\r\n\r\n")),
        ("a size ended by LF", format!("{length:x}\n{event}\r\n0\r\n\r\n")),
        ("a size ended by CR", format!("{length:x}\r{event}\r\n0\r\n\r\n")),
        ("an extension with a LF", format!("{length:x};a\nb\r\n{event}\r\n0\r\n\r\n")),
        ("an extension with a NUL", format!("{length:x};a\0b\r\n{event}\r\n0\r\n\r\n")),
        ("a chunk longer than its size", format!("{:x}\r\n{event}\r\n0\r\n\r\n", length - 1)),
        ("a chunk ended by LF", format!("{length:x}\r\n{event}\n0\r\n\r\n")),
    ];
    let mut rows: Vec<Row> =
        bodies.into_iter().map(|(what, body)| raw(what, with_hidden(&te, body.as_bytes()), &CUT)).collect();
    // Trailers are no headers: what stands in them is not read.
    let ends = te.clone().header("Connection", "close");
    let trailers = format!("{length:x}\r\n{event}\r\n0\r\nX-Tenant-ID: globex\r\nContent-Length: 5\r\n\r\n");
    rows.push(raw("a tenant in a trailer", ends.clone().body(trailers).kept_alive(), &[Taken(1)]));
    let extended = format!("{length:X};a=\"b;c\"\r\n{event}\r\n000\r\n\r\n");
    rows.push(raw("an extension that means nothing", ends.body(extended).kept_alive(), &[Taken(1)]));
    rows
}

/// Several requests on one connection: each is its own, with its own credential.
fn pipelined() -> Vec<Row> {
    let good = keyed(event().to_string()).kept_alive();
    let bare = post("/v1/telemetry").bytes();
    let hidden = hidden();
    let cut = String::from_utf8_lossy(&hidden).replace("Origin: https://globex.example\r\n", "");
    let large = [vec![b' '; 300_000], hidden.clone()].concat();
    let refused = |body: &[u8]| post("/v1/telemetry/unknown-key-0123456789").body(body).kept_alive();
    let unknown = Refused(401, "write_key_unknown");
    let preflight = post("/")
        .start("OPTIONS /ingest HTTP/1.1")
        .header("Origin", "https://evil.example")
        .header("Access-Control-Request-Method", "POST");
    let unending = preflight.clone().without_length().header("Transfer-Encoding", "chunked").body("5\r\nhello\r\n");
    let not_json = [Refused(400, "body_not_json"), MISSING];
    vec![
        raw("the second without a credential", [good.clone(), bare.clone()].concat(), &[Taken(1), MISSING]),
        raw(
            "the second with the victim's key, from nowhere",
            [&good, cut.as_bytes()].concat(),
            &[Taken(1), Refused(403, "origin_missing")],
        ),
        raw("a request as a body", [keyed(hidden.clone()).kept_alive(), bare.clone()].concat(), &not_json),
        raw("a request as a refused body", [refused(&hidden), bare.clone()].concat(), &[unknown, MISSING]),
        raw("a request at the end of a refused body that is not drained", refused(&large), &[unknown]),
        raw(
            "a request after too large a body",
            [keyed(vec![b' '; (1 << 20) + 1]).kept_alive(), hidden.clone()].concat(),
            &[Refused(413, "body_too_large")],
        ),
        raw(
            "a request as a GET's body",
            [post("/").start("GET /healthz HTTP/1.1").body(hidden.clone()).kept_alive(), bare.clone()].concat(),
            &[Status(200), MISSING],
        ),
        raw(
            "a request as the body of OPTIONS",
            [post("/").start("OPTIONS /ingest HTTP/1.1").body(hidden.clone()).kept_alive(), bare.clone()].concat(),
            &[Nothing, MISSING],
        ),
        raw(
            "a request as a preflight's body",
            [preflight.body(hidden.clone()).kept_alive(), bare.clone()].concat(),
            &[Status(200), MISSING],
        ),
        raw("a preflight whose chunks do not end", unending.kept_alive(), &[Status(200)]),
        // Whoever wrote "the last" may still be taken at their word twice: each request stands for itself.
        raw("after the last one", [keyed(event().to_string()).bytes(), bare.clone()].concat(), &[Taken(1), MISSING]),
        raw("newlines before the second", [&good, &b"\r\n\r\n"[..], &bare].concat(), &[Taken(1), MISSING]),
        raw("noise before the second", [&good, &b"\0\0"[..], &bare].concat(), &[Taken(1), Status(400)]),
    ]
}

/// Request lines and heads.
fn heads() -> Vec<Row> {
    let line = |line: &str| keyed(event().to_string()).start(line).bytes();
    let path = format!("/v1/telemetry/{ACME_KEY}");
    let host = |text: &str| {
        let bytes = keyed(event().to_string()).bytes();
        String::from_utf8_lossy(&bytes).replace("Host: gateway\r\n", text).into_bytes()
    };
    let lf = String::from_utf8_lossy(&keyed(event().to_string()).bytes()).replace("\r\n", "\n").into_bytes();
    vec![
        raw("HTTP/0.9", format!("POST {path}\r\n\r\n"), &BAD),
        raw("HTTP/1.0 without a length", unsized_request().start(format!("POST {path} HTTP/1.0")).bytes(), &BAD),
        raw(
            "HTTP/1.0 that would go on",
            [
                keyed(event().to_string()).start(format!("POST {path} HTTP/1.0")).kept_alive(),
                post("/v1/telemetry").bytes(),
            ]
            .concat(),
            &[Taken(1), MISSING],
        ),
        raw("HTTP/1.2", line(&format!("POST {path} HTTP/1.2")), &BAD),
        raw("HTTP/2.0", line(&format!("POST {path} HTTP/2.0")), &BAD),
        raw("http/1.1", line(&format!("POST {path} http/1.1")), &BAD),
        raw("two blanks", line(&format!("POST  {path} HTTP/1.1")), &BAD),
        raw("a tab", line(&format!("POST\t{path}\tHTTP/1.1")), &BAD),
        raw("a blank in the target", line(&format!("POST {path} x HTTP/1.1")), &BAD),
        raw("a NUL in the target", line(&format!("POST {path}\0 HTTP/1.1")), &BAD),
        raw("no target", line("POST HTTP/1.1"), &BAD),
        raw("a method in lower case", line(&format!("post {path} HTTP/1.1")), &[Refused(405, "method_not_allowed")]),
        raw(
            "another method by a header",
            post(&path).start(format!("GET {path} HTTP/1.1")).header("X-HTTP-Method-Override", "POST").bytes(),
            &[Refused(405, "method_not_allowed")],
        ),
        raw("TRACE", line(&format!("TRACE {path} HTTP/1.1")), &[Refused(405, "method_not_allowed")]),
        raw(
            "an absolute target, another host's",
            line(&format!("POST http://globex.example{path} HTTP/1.1")),
            &[Taken(1)],
        ),
        raw("no host", host(""), &BAD),
        raw("two hosts", host("Host: gateway\r\nHost: globex.example\r\n"), &BAD),
        raw("lines ended by LF alone", lf, &[Taken(1)]),
        raw(
            "a name that a proxy would drop",
            keyed(event().to_string()).line("Connection: close, X-Tenant-ID").line("X-Tenant-ID: globex").bytes(),
            &[Refused(403, "tenant_mismatch")],
        ),
    ]
}

fn other_protocols() -> Vec<Row> {
    let event = event().to_string();
    let upgrade = |to: &str| {
        let request = keyed(event.clone()).line("Connection: Upgrade").line(format!("Upgrade: {to}"));
        [request.kept_alive(), post("/v1/telemetry").bytes()].concat()
    };
    vec![
        raw("HTTP/2's preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &BAD),
        raw("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".repeat(20), &BAD),
        raw("HTTP/2 by upgrade", upgrade("h2c"), &[Taken(1), MISSING]),
        // Else all that follows on the connection would be this one's body, whoever's it is.
        raw("WebSocket by upgrade", upgrade("websocket"), &[REFUSED]),
        raw(
            "WebSocket by upgrade, among others",
            upgrade(
                "h2c
Upgrade: WebSocket",
            ),
            &[REFUSED],
        ),
        raw("CONNECT", [&b"CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: gateway\r\n\r\n"[..], &hidden()].concat(), &[REFUSED]),
        raw("Expect something else", keyed(event.clone()).line("Expect: 200-ok").bytes(), &[Taken(1)]),
    ]
}
