//! The victim's publishable key, from pages that are not the victim's.

use super::row::{Expected, Refused, Row, post, row};
use super::{INITECH_KEY, World};
use crate::support::GLOBEX_KEY;

const NOT_ALLOWED: Expected = Refused(403, "origin_not_allowed");
const MALFORMED: Expected = Refused(403, "origin_malformed");

pub(super) fn rows(_: &World) -> Vec<Row> {
    let from = |key: &str, origin: &[u8]| post(format_args!("/v1/telemetry/{key}")).header("Origin", origin);
    let mut rows = Vec::new();
    for (origin, expected) in [
        ("https://globex.example.evil.com", NOT_ALLOWED),
        ("https://evilglobex.example", NOT_ALLOWED),
        ("https://evil.com/globex.example", MALFORMED),
        ("https://evil.com?https://globex.example", MALFORMED),
        ("https://evil.com#globex.example", MALFORMED),
        ("https://globex.example@evil.com", MALFORMED),
        ("https://globex.example:443@evil.com", MALFORMED),
        ("https://evil.com\\@globex.example", MALFORMED),
        ("https://app.globex.example", NOT_ALLOWED),
        ("https://globex.example.", NOT_ALLOWED),
        ("https://globex.example:8443", NOT_ALLOWED),
        ("https://globex.example:80", NOT_ALLOWED),
        ("https://globex.example:", MALFORMED),
        ("https://globex.example:+443", MALFORMED),
        ("https://globex.example:99999", MALFORMED),
        ("https://globex.example:443:443", MALFORMED),
        ("http://globex.example", NOT_ALLOWED),
        ("ftp://globex.example", NOT_ALLOWED),
        ("chrome-extension://globex.example", NOT_ALLOWED),
        ("globex.example", MALFORMED),
        ("//globex.example", MALFORMED),
        ("https:globex.example", MALFORMED),
        ("https:///globex.example", MALFORMED),
        ("https://", MALFORMED),
        ("null", NOT_ALLOWED),
        ("NULL", MALFORMED),
        ("", MALFORMED),
        ("*", MALFORMED),
        ("https://*", MALFORMED),
        ("https://*.example", MALFORMED),
        ("https://globex.example https://evil.com", MALFORMED),
        ("https://globex.example, https://evil.com", MALFORMED),
        ("https://xn--glbex-jye.example", NOT_ALLOWED),
        ("https://gl\u{43e}bex.example", MALFORMED),
        ("https://globex\u{3002}example", MALFORMED),
        ("https://globex%2eexample", MALFORMED),
        ("https://globex..example", MALFORMED),
        ("https://[::1]", NOT_ALLOWED),
        ("https://[globex.example]", MALFORMED),
        ("https://globex.example/", MALFORMED),
        ("javascript:alert(1)", MALFORMED),
        ("data:text/html,globex.example", MALFORMED),
        ("file://", MALFORMED),
    ] {
        rows.push(row(format!("from {origin:?}"), &from(GLOBEX_KEY, origin.as_bytes()), expected));
    }
    for (origin, expected) in [
        ("https://initech.example", NOT_ALLOWED),
        ("https://evilinitech.example", NOT_ALLOWED),
        ("https://.initech.example", MALFORMED),
        ("https://a..initech.example", MALFORMED),
        ("https://a.initech.example:8443", NOT_ALLOWED),
        ("https://a.initech.example.evil.com", NOT_ALLOWED),
        ("https://a.initech.example.", NOT_ALLOWED),
        ("https://evil.com:443.initech.example", MALFORMED),
        ("https://evil.com/.initech.example", MALFORMED),
        ("https://evil.com@a.initech.example", MALFORMED),
        ("http://a.initech.example", NOT_ALLOWED),
        ("https://initech.example:443", NOT_ALLOWED),
    ] {
        rows.push(row(format!("under a wildcard, from {origin:?}"), &from(INITECH_KEY, origin.as_bytes()), expected));
    }
    let victim = "https://globex.example";
    let none = post(format_args!("/v1/telemetry/{GLOBEX_KEY}"));
    let twice = Refused(403, "header_duplicated");
    rows.push(row("no Origin at all", &none, Refused(403, "origin_missing")));
    rows.push(row(
        "Referer in its place",
        &none.clone().header("Referer", "https://globex.example/page"),
        Refused(403, "origin_missing"),
    ));
    rows.push(row(
        "the victim's host in Host",
        &none.clone().header("X-Forwarded-Host", "globex.example"),
        Refused(403, "origin_missing"),
    ));
    rows.push(row(
        "two, the victim's first",
        &from(GLOBEX_KEY, victim.as_bytes()).header("Origin", "https://evil.com"),
        twice,
    ));
    rows.push(row("two, the victim's last", &from(GLOBEX_KEY, b"https://evil.com").header("Origin", victim), twice));
    rows.push(row("bytes that are no text", &from(GLOBEX_KEY, b"https://globex.example\xff"), MALFORMED));
    rows.push(row(
        "300 characters of labels",
        &from(GLOBEX_KEY, format!("https://{}globex.example", "a.".repeat(200)).as_bytes()),
        MALFORMED,
    ));
    rows
}
