//! `X-Tenant-ID` in every spelling: it proves nothing here, and beside a credential it must agree.

use super::World;
use super::row::{Expected, Refused, Request, Row, Status, Taken, post, raw, row};
use crate::support::ACME_KEY;

const MISMATCH: Expected = Refused(403, "tenant_mismatch");
const MISSING: Expected = Refused(401, "credential_missing");
const TWICE: Expected = Refused(403, "header_duplicated");

fn keyed() -> Request {
    post(format_args!("/v1/telemetry/{ACME_KEY}"))
}

pub(super) fn rows(_: &World) -> Vec<Row> {
    let mut rows = Vec::new();
    // The header's name, in every case that a proxy or a client may write it.
    for name in ["X-Tenant-ID", "x-tenant-id", "X-TENANT-ID", "x-Tenant-Id"] {
        rows.push(row(format!("{name} of another"), &keyed().header(name, "globex"), MISMATCH));
        rows.push(row(format!("{name} alone"), &post("/v1/telemetry").header(name, "globex"), MISSING));
    }
    // Names that some framework turns into it: not read at all.
    for name in
        ["X_Tenant_ID", "X-Tenant_ID", "HTTP_X_TENANT_ID", "X-Tenant-Id-", "X-TenantID", "Tenant-ID", "X.Tenant.ID"]
    {
        rows.push(row(format!("{name} is nothing"), &keyed().header(name, "globex"), Taken(1)));
        rows.push(row(format!("{name} alone"), &post("/v1/telemetry").header(name, "globex"), MISSING));
    }
    // Values that are nearly the own tenant's, or more than one.
    let values: [(&str, &[u8]); 19] = [
        ("blanks around", b"  globex  "),
        ("a tab", b"\tglobex"),
        ("the own, in capitals", b"ACME"),
        ("both, by comma", b"acme, globex"),
        ("both, the other first", b"globex,acme"),
        ("both, by semicolon", b"acme; globex"),
        ("in quotation marks", b"\"acme\""),
        ("encoded", b"%67lobex"),
        ("encoded, the own", b"%61cme"),
        ("an encoded newline", b"acme%0d%0aX-Tenant-ID: globex"),
        ("as a MIME word", b"=?utf-8?Q?globex?="),
        ("empty", b""),
        ("a star", b"*"),
        ("a placeholder", b"{http.auth.tenant}"),
        ("a path", b"../globex"),
        ("a backslash", b"acme\\"),
        ("bytes that are no text", b"glob\xe9x"),
        ("full width", "\u{ff47}lobex".as_bytes()),
        ("very long", &[b'g'; 5_000]),
    ];
    for (what, value) in values {
        rows.push(row(format!("its value: {what}"), &keyed().header("X-Tenant-ID", value), MISMATCH));
    }
    rows.push(row("its value: the own", &keyed().header("X-Tenant-ID", "acme"), Taken(1)));
    rows.push(row("its value: the own, blanks after", &keyed().line("X-Tenant-ID:acme  \t"), Taken(1)));

    // Twice, whatever it says.
    let twice = |first: &str, second: &str| keyed().header("X-Tenant-ID", first).header("x-tenant-id", second);
    rows.push(row("twice, the own first", &twice("acme", "globex"), TWICE));
    rows.push(row("twice, the other first", &twice("globex", "acme"), TWICE));
    rows.push(row("twice the own", &twice("acme", "acme"), TWICE));

    rows.append(&mut smuggled());
    rows.append(&mut guesses());
    rows
}

/// A newline that is no end of a header, by each way that parsers differ in.
fn smuggled() -> Vec<Row> {
    let bad = [Status(400)];
    let with = |line: &[u8]| keyed().line(line).bytes();
    vec![
        raw("folded onto the next line", with(b"X-Tenant-ID: acme\r\n globex"), &bad),
        raw("folded onto the next line by a tab", with(b"X-Tenant-ID:\r\n\tglobex"), &bad),
        raw("after a bare CR", with(b"X-Ignored: a\rX-Tenant-ID: globex"), &bad),
        raw("after a NUL", with(b"X-Ignored: a\0X-Tenant-ID: globex"), &bad),
        raw("a NUL in its value", with(b"X-Tenant-ID: acme\0globex"), &bad),
        raw("a blank before the colon", with(b"X-Tenant-ID : globex"), &bad),
        raw("a tab before the colon", with(b"X-Tenant-ID\t: globex"), &bad),
        raw("a blank before the name", with(b" X-Tenant-ID: globex"), &bad),
        raw("no colon", with(b"X-Tenant-ID globex"), &bad),
        raw("an empty name", with(b": globex"), &bad),
        raw("a name that is not ASCII", with("X-Tenant-\u{ff29}D: globex".as_bytes()), &bad),
        // Read as a line's end, as RFC 9112 allows: the header is seen, and does not agree.
        raw("after a bare LF", with(b"X-Ignored: a\nX-Tenant-ID: globex"), &[MISMATCH]),
        raw("a vertical tab in its value", with(b"X-Tenant-ID: acme\x0bglobex"), &bad),
    ]
}

/// Nobody is a trusted proxy here.
fn guesses() -> Vec<Row> {
    let alone = || post("/v1/telemetry").header("X-Tenant-ID", "globex");
    let untrusted = Refused(401, "proxy_not_trusted");
    vec![
        row("with a guess at the proxy's secret", &alone().header("X-Proxy-Secret", "guess"), untrusted),
        row("with an empty secret", &alone().header("X-Proxy-Secret", ""), untrusted),
        row("with two secrets", &alone().header("X-Proxy-Secret", "a").header("X-Proxy-Secret", "b"), untrusted),
        row("as if forwarded by a proxy", &alone().header("X-Forwarded-For", "127.0.0.1"), MISSING),
        row("as if forwarded, RFC 7239", &alone().header("Forwarded", "for=127.0.0.1;by=10.0.0.1"), MISSING),
        row(
            "as if from the machine itself",
            &alone().header("X-Real-IP", "127.0.0.1").header("True-Client-IP", "::1"),
            MISSING,
        ),
        row(
            "with the key and a guess",
            &keyed().header("X-Tenant-ID", "globex").header("X-Proxy-Secret", "guess"),
            MISMATCH,
        ),
        row("as a query parameter", &post("/v1/telemetry?X-Tenant-ID=globex&tenant_id=globex"), MISSING),
        row("as a cookie", &post("/v1/telemetry").header("Cookie", "X-Tenant-ID=globex; tenant_id=globex"), MISSING),
        row("as a host", &post("http://globex.example/v1/telemetry"), MISSING),
    ]
}
