//! A token in a cookie, which a browser sends whatever page made it: the victim's browser on the attacker's page.

use super::row::{Expected, Refused, Request, Row, Taken, post, row};
use super::{COOKIE, World};
use crate::support::{ACME_KEY, claims};

const NOT_ALLOWED: Expected = Refused(403, "origin_not_allowed");
const MISSING: Expected = Refused(401, "credential_missing");
const TWICE: Expected = Refused(403, "header_duplicated");

pub(super) fn rows(world: &World) -> Vec<Row> {
    let (acme, globex) = (world.keys.acme(), world.keys.globex());
    let forged = world.keys.own.sign(&claims("globex"));
    let cookie = |name: &str, value: &str| post("/v1/telemetry").header("Cookie", format!("{name}={value}"));
    let victim = || cookie(COOKIE, &globex);
    let own = || cookie(COOKIE, &acme);
    let from = |request: Request, origin: &str| request.header("Origin", origin);
    let page = "https://acme.example";
    let mut rows: Vec<Row> = [
        ("https://evil.com", NOT_ALLOWED),
        ("https://acme.example", NOT_ALLOWED),
        ("https://globex.example.evil.com", NOT_ALLOWED),
        ("https://evilglobex.example", NOT_ALLOWED),
        ("https://app.globex.example", NOT_ALLOWED),
        ("https://globex.example.", NOT_ALLOWED),
        ("https://globex.example:444", NOT_ALLOWED),
        ("http://globex.example", NOT_ALLOWED),
        ("null", NOT_ALLOWED),
        ("", Refused(403, "origin_malformed")),
        ("globex.example", Refused(403, "origin_malformed")),
        ("https://globex.example/", Refused(403, "origin_malformed")),
    ]
    .into_iter()
    .map(|(origin, expected)| row(format!("the victim's, from {origin:?}"), &from(victim(), origin), expected))
    .collect();
    rows.extend([
        row("the victim's, from nowhere", &victim(), Refused(403, "origin_missing")),
        row(
            "the victim's, by Referer",
            &victim().header("Referer", "https://globex.example/"),
            Refused(403, "origin_missing"),
        ),
        row("the victim's, two origins", &from(from(victim(), "https://globex.example"), "https://evil.com"), TWICE),
        row(
            "the victim's, as a simple form",
            &from(victim(), "https://evil.com").header("Content-Type", "text/plain"),
            NOT_ALLOWED,
        ),
        row("one's own, from one's own page", &from(own(), page), Taken(1)),
        row(
            "one's own, with the victim's header",
            &from(own(), page).header("X-Tenant-ID", "globex"),
            Refused(403, "tenant_mismatch"),
        ),
        row(
            "forged, from the victim's page",
            &from(cookie(COOKIE, &forged), "https://globex.example"),
            Refused(401, "token_signature"),
        ),
        row("twice in one header", &from(cookie(COOKIE, &format!("{acme}; {COOKIE}={globex}")), page), TWICE),
        row("twice in two headers", &from(own().header("Cookie", format!("{COOKIE}={globex}")), page), TWICE),
        row("twice, once empty", &from(own().header("Cookie", format!("{COOKIE}=")), page), TWICE),
        row("another name", &from(cookie("session", &globex), "https://globex.example"), MISSING),
        row("a name in another case", &from(cookie("__host-SESSION", &globex), "https://globex.example"), MISSING),
        row("a name with more before it", &from(cookie("x__Host-session", &globex), "https://globex.example"), MISSING),
        row("a name with a blank", &from(cookie("__Host-session ", &globex), "https://globex.example"), MISSING),
        row(
            "in another cookie's value",
            &from(cookie("a", &format!("{COOKIE}={globex}")), "https://globex.example"),
            MISSING,
        ),
        row("after a comma", &from(cookie("a", &format!("b,{COOKIE}={globex}")), "https://globex.example"), MISSING),
        row(
            "as Set-Cookie",
            &from(post("/v1/telemetry").header("Set-Cookie", format!("{COOKIE}={globex}")), "https://globex.example"),
            MISSING,
        ),
        row(
            "in quotation marks",
            &from(cookie(COOKIE, &format!("\"{globex}\"")), "https://globex.example"),
            Refused(401, "token_malformed"),
        ),
        // Beside what was sent on purpose it does not count, so that the victim's cookie cannot be had for the attacker's key.
        row(
            "the victim's, beside one's own key",
            &from(
                post(format_args!("/v1/telemetry/{ACME_KEY}")).header("Cookie", format!("{COOKIE}={globex}")),
                "https://globex.example",
            ),
            Taken(1),
        ),
        row("the victim's, beside one's own token", &from(victim().bearer(&acme), "https://globex.example"), Taken(1)),
    ]);
    rows
}
