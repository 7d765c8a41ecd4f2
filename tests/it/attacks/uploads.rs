//! Upload tokens, which a tenant's backend mints: acme's secret is the attacker's to use, and speaks for acme's pages only.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::forge::{hmac_signed, put_together};
use super::row::{Expected, Refused, Rejected, Request, Row, Taken, post, row};
use super::{ACME_SECRET, GLOBEX_SECRET, World};
use crate::support::keys::unix_seconds;
use crate::support::{ACME_KEY, GLOBEX_KEY};

const PAGE: &str = "https://acme.example";
const HS: &str = r#"{"alg":"HS256","typ":"JWT"}"#;
const MALFORMED: Expected = Refused(401, "token_malformed");
const SIGNATURE: Expected = Refused(401, "token_signature");
const NOT_ALLOWED: Expected = Refused(403, "origin_not_allowed");

pub(super) fn rows(world: &World) -> Vec<Row> {
    let mut rows = says();
    rows.append(&mut signed(world));
    rows.append(&mut pages());
    rows
}

/// What acme's backend would mint, with these changes; `null` takes a claim away.
fn claims(changes: &Value) -> String {
    let mut all = json!({ "iss": "tenant:acme", "aud": "tagline", "origin": PAGE, "exp": unix_seconds() + 300 });
    let members = all.as_object_mut().expect("claims are an object");
    for (name, value) in changes.as_object().expect("changes are an object") {
        match value {
            Value::Null => members.remove(name),
            value => members.insert(name.clone(), value.clone()),
        };
    }
    all.to_string()
}

fn minted(changes: &Value) -> String {
    hmac_signed(HS, &claims(changes), ACME_SECRET.as_bytes())
}

fn from_page(token: &str) -> Request {
    post("/v1/telemetry").bearer(token).header("Origin", PAGE)
}

fn says() -> Vec<Row> {
    let now = unix_seconds();
    let rows: Vec<(&str, Value, Expected)> = vec![
        ("as it should be", json!({}), Taken(1)),
        ("it names another tenant beside", json!({ "tenant_id": "globex", "sub": "globex" }), Taken(1)),
        ("for a year", json!({ "exp": now + 31_536_000 }), Refused(401, "token_lifetime")),
        ("for two hours", json!({ "exp": now + 7_200 }), Refused(401, "token_lifetime")),
        ("for ever", json!({ "exp": null }), MALFORMED),
        ("expired", json!({ "exp": now - 600 }), Refused(401, "token_expired")),
        ("not yet", json!({ "nbf": now + 600 }), Refused(401, "token_not_yet_valid")),
        ("for another service", json!({ "aud": "telemetry" }), Refused(401, "token_audience")),
        ("for no service", json!({ "aud": null }), Refused(401, "token_audience")),
        ("for any page", json!({ "origin": "*" }), MALFORMED),
        ("for no page", json!({ "origin": null }), MALFORMED),
        ("for the page null", json!({ "origin": "null" }), MALFORMED),
        ("for pages below a domain", json!({ "origin": "https://*.acme.example" }), MALFORMED),
        ("for a page's path", json!({ "origin": "https://acme.example/shop" }), MALFORMED),
        ("for several pages", json!({ "origin": [PAGE, "https://evil.com"] }), MALFORMED),
        ("for no measurement", json!({ "measurements": [] }), MALFORMED),
        ("for a measurement that is no text", json!({ "measurements": [1] }), MALFORMED),
        ("for another measurement", json!({ "measurements": ["backend_api_latency"] }), Rejected("not_allowed")),
    ];
    rows.into_iter().map(|(what, changes, expected)| row(what, &from_page(&minted(&changes)), expected)).collect()
}

fn signed(world: &World) -> Vec<Row> {
    let globex = json!({ "iss": "tenant:globex", "origin": "https://globex.example" });
    let victims = |token: &str| post("/v1/telemetry").bearer(token).header("Origin", "https://globex.example");
    let hs384 = jsonwebtoken::encode(
        &Header::new(Algorithm::HS384),
        &serde_json::from_str::<Value>(&claims(&json!({}))).unwrap_or_default(),
        &EncodingKey::from_secret(ACME_SECRET.as_bytes()),
    );
    let none = put_together(r#"{"alg":"none"}"#, &claims(&globex), "");
    let theirs = hmac_signed(HS, &claims(&json!({})), GLOBEX_SECRET.as_bytes());
    let whole = minted(&json!({}));
    let (rest, end) = whole.split_at(whole.len() - 2);
    let changed = format!("{rest}{}", if end == "AA" { "QQ" } else { "AA" });
    let mut rows = vec![
        row("another tenant's, by one's own secret", &victims(&minted(&globex)), SIGNATURE),
        row("one's own, by another's secret", &from_page(&theirs), SIGNATURE),
        row(
            "another tenant's, by an issuer's key",
            &victims(&world.keys.rsa.sign_texts(r#"{"alg":"RS256"}"#, &claims(&globex))),
            SIGNATURE,
        ),
        row(
            "another tenant's, by an issuer's key under HS256",
            &victims(&world.keys.rsa.sign_texts(HS, &claims(&globex))),
            SIGNATURE,
        ),
        row(
            "another tenant's, by its publishable key",
            &victims(&hmac_signed(HS, &claims(&globex), GLOBEX_KEY.as_bytes())),
            SIGNATURE,
        ),
        row("another tenant's, by nothing", &victims(&hmac_signed(HS, &claims(&globex), b"")), SIGNATURE),
        row("alg none", &victims(&none), SIGNATURE),
        row("HS384", &from_page(&hs384.unwrap_or_default()), SIGNATURE),
        row("changed after", &from_page(&changed), SIGNATURE),
    ];
    for iss in [
        "tenant:",
        "tenant:nobody",
        "tenant:strict",
        "tenant:GLOBEX",
        "tenant:globex ",
        "tenant:acme,globex",
        "tenant:../globex",
        "tenant:globex\u{0}",
    ] {
        rows.push(row(format!("iss {iss:?}"), &from_page(&minted(&json!({ "iss": iss }))), SIGNATURE));
    }
    for iss in ["Tenant:acme", "acme", "xtenant:acme"] {
        rows.push(row(
            format!("iss {iss:?}"),
            &from_page(&minted(&json!({ "iss": iss }))),
            Refused(401, "token_issuer_unknown"),
        ));
    }
    rows
}

/// The page that it was minted for, and others.
fn pages() -> Vec<Row> {
    let token = minted(&json!({}));
    let from = |origin: &str| post("/v1/telemetry").bearer(&token).header("Origin", origin);
    vec![
        row("from another page", &from("https://evil.com"), NOT_ALLOWED),
        row("from a page whose name begins so", &from("https://acme.example.evil.com"), NOT_ALLOWED),
        row("from another port", &from("https://acme.example:8443"), NOT_ALLOWED),
        row("over http", &from("http://acme.example"), NOT_ALLOWED),
        row("from null", &from("null"), NOT_ALLOWED),
        row("from no page", &post("/v1/telemetry").bearer(&token), Refused(403, "origin_missing")),
        row("from what is no page", &from("acme.example"), Refused(403, "origin_malformed")),
        row(
            "in the query, from its page",
            &post(format_args!("/ingest?access_token={token}")).header("Origin", PAGE),
            Taken(1),
        ),
        row(
            "in the query, from another",
            &post(format_args!("/ingest?access_token={token}")).header("Origin", "https://evil.com"),
            NOT_ALLOWED,
        ),
        row(
            "beside one's own key, from another page",
            &post(format_args!("/v1/telemetry/{ACME_KEY}")).bearer(&token).header("Origin", "https://evil.com"),
            NOT_ALLOWED,
        ),
        row(
            "beside another tenant's key",
            &post(format_args!("/v1/telemetry/{GLOBEX_KEY}")).bearer(&token).header("Origin", PAGE),
            NOT_ALLOWED,
        ),
        row(
            "with another tenant's header",
            &from(PAGE).header("X-Tenant-ID", "globex"),
            Refused(403, "tenant_mismatch"),
        ),
    ]
}
