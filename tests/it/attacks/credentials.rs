//! More than one credential, a credential that stands where it should not, and headers that come twice.

use serde_json::json;

use super::row::{Expected, Refused, Rejected, Request, Row, Taken, event, post, raw, row};
use super::{EXPIRED_KEY, NARROW_KEY, OFF_KEY, STRICT_KEY, World};
use crate::identity::claims_of;
use crate::support::{ACME_KEY, GLOBEX_KEY, claims};

const CONFLICT: Expected = Refused(403, "credentials_conflict");
const MISSING: Expected = Refused(401, "credential_missing");
const MALFORMED: Expected = Refused(401, "token_malformed");
const UNKNOWN: Expected = Refused(401, "write_key_unknown");

/// A page of the victim, from which its key would be taken.
const GLOBEX_PAGE: &str = "https://globex.example";

pub(super) fn rows(world: &World) -> Vec<Row> {
    let mut rows = pairs(world);
    rows.append(&mut places(world));
    rows.append(&mut write_keys());
    rows.append(&mut many(world));
    rows
}

/// Where a credential can stand.
const PLACES: [&str; 5] = ["the path", "?k=", "X-Api-Key", "Authorization", "?access_token="];

/// A request with the first credential in one place and the second in another.
fn both(world: &World, [first, second]: [&str; 2], [here, there]: [&str; 2]) -> Request {
    let (mut path, mut query, mut headers) = (String::new(), Vec::new(), Vec::new());
    for (tenant, place) in [(first, here), (second, there)] {
        let key = if tenant == "acme" { ACME_KEY } else { GLOBEX_KEY };
        let token = || world.keys.rsa.sign(&claims(tenant));
        match place {
            "the path" => path = format!("/{key}"),
            "?k=" => query.push(format!("k={key}")),
            "X-Api-Key" => headers.push(("X-Api-Key", key.to_owned())),
            "Authorization" => headers.push(("Authorization", format!("Bearer {}", token()))),
            _ => query.push(format!("access_token={}", token())),
        }
    }
    let request = post(format_args!("/v1/telemetry{path}?{}", query.join("&"))).header("Origin", GLOBEX_PAGE);
    headers.into_iter().fold(request, |request, (name, value)| request.header(name, value))
}

/// Two that prove different tenants, in every pairing of places, either way round.
fn pairs(world: &World) -> Vec<Row> {
    let mut rows = Vec::new();
    for here in PLACES {
        for there in PLACES {
            // One path holds one key; in every other place two can stand.
            if here == "the path" && there == "the path" {
                continue;
            }
            let request = both(world, ["acme", "globex"], [here, there]);
            rows.push(row(format!("acme in {here}, globex in {there}"), &request, CONFLICT));
        }
    }
    for place in &PLACES[1..] {
        let request = both(world, ["acme", "acme"], [place, place]);
        rows.push(row(format!("the same twice in {place}"), &request, Taken(1)));
    }
    rows
}

/// A good credential beside a bad one, and bad ones in strange dress.
fn places(world: &World) -> Vec<Row> {
    let acme = world.keys.acme();
    let keyed = format!("/v1/telemetry/{ACME_KEY}");
    let forged = world.keys.own.sign(&claims("globex"));
    let off = world.keys.rsa.sign(&claims("off"));
    vec![
        row("a good key beside a forged token", &post(&keyed).bearer(&forged), Refused(401, "token_signature")),
        row(
            "a good token beside an unknown key",
            &post("/v1/telemetry?k=unknown-key-0123456789").bearer(&acme),
            UNKNOWN,
        ),
        row("a good key beside an empty token", &post(format_args!("{keyed}?access_token=")), MALFORMED),
        row("a good token beside an empty key", &post("/v1/telemetry?k=").bearer(&acme), UNKNOWN),
        row(
            "a good token beside one of a tenant that is off",
            &post(format_args!("/ingest?access_token={off}")).bearer(&acme),
            CONFLICT,
        ),
        row(
            "two tokens of two issuers, one tenant",
            &post(format_args!("/ingest?access_token={}", world.keys.ed.sign(&claims_of("ed", "acme")))).bearer(&acme),
            Taken(1),
        ),
        row("a token as Basic", &post("/ingest").header("Authorization", format!("Basic {acme}")), MISSING),
        row("a token without a scheme", &post("/ingest").header("Authorization", &acme), MISSING),
        row("a token after a tab", &post("/ingest").header("Authorization", format!("Bearer\t{acme}")), MISSING),
        row(
            "a token after another scheme's name",
            &post("/ingest").header("Authorization", format!("Basic Bearer {acme}")),
            MISSING,
        ),
        row("a token in quotation marks", &post("/ingest").bearer(format!("\"{acme}\"")), MALFORMED),
        row(
            "a token in Proxy-Authorization",
            &post("/ingest").header("Proxy-Authorization", format!("Bearer {acme}")),
            MISSING,
        ),
        row(
            "a token in X-Authorization",
            &post("/ingest").header("X-Authorization", format!("Bearer {acme}")),
            MISSING,
        ),
        row("a token in Authorization_", &post("/ingest").header("Authorization_", format!("Bearer {acme}")), MISSING),
        row(
            "a token in the body",
            &post("/ingest").body(json!({ "access_token": acme, "events": [event()] }).to_string()),
            MISSING,
        ),
        row("a token in the fragment", &post(format_args!("/ingest#access_token={acme}")), MISSING),
        row("a token's name in capitals", &post(format_args!("/ingest?ACCESS_TOKEN={acme}")), MISSING),
        row("a token after a semicolon", &post(format_args!("/ingest?x=1;access_token={acme}")), MISSING),
        row("a token as an array's member", &post(format_args!("/ingest?access_token[]={acme}")), MISSING),
        row("a key as a token", &post("/ingest").bearer(ACME_KEY), MALFORMED),
        row("a token as a key", &post(format_args!("/ingest?k={acme}")), UNKNOWN),
        row("a token in the path", &post(format_args!("/v1/telemetry/{acme}")), UNKNOWN),
        row(
            "bytes that are no text as a token",
            &post("/ingest").header("Authorization", b"Bearer \xff\xfe"),
            MALFORMED,
        ),
        row(
            "two Authorization headers, one Basic",
            &post("/ingest").header("Authorization", "Basic YTpi").bearer(&acme),
            Taken(1),
        ),
        row(
            "two Authorization headers, one forged",
            &post("/ingest").bearer(&acme).bearer(&forged),
            Refused(401, "token_signature"),
        ),
    ]
}

/// Write keys that are almost one, or one that may not do this.
fn write_keys() -> Vec<Row> {
    let key = |key: &str| post(format_args!("/v1/telemetry?k={key}"));
    let half = &GLOBEX_KEY[..GLOBEX_KEY.len() / 2];
    vec![
        row("half of a key", &key(half), UNKNOWN),
        row("a key and one character", &key(&format!("{ACME_KEY}x")), UNKNOWN),
        row("a key in capitals", &key(&ACME_KEY.to_uppercase()), UNKNOWN),
        row("a key and a NUL", &key(&format!("{ACME_KEY}%00")), UNKNOWN),
        row("a key and a newline", &key(&format!("{ACME_KEY}%0A")), UNKNOWN),
        row("a key and a blank", &key(&format!("{ACME_KEY}+")), UNKNOWN),
        row("a key encoded twice", &key(&ACME_KEY.replace('-', "%252D")), UNKNOWN),
        row("a key as a wildcard", &key("*"), UNKNOWN),
        row("a key as SQL", &key("'%20OR%20'1'='1"), UNKNOWN),
        row("a key of bytes that are no text", &key("%ff%fe"), UNKNOWN),
        row("a key of 60,000 characters", &key(&"k".repeat(60_000)), UNKNOWN),
        row(
            "two keys in the path",
            &post(format_args!("/v1/telemetry/{ACME_KEY}/{GLOBEX_KEY}")),
            Refused(404, "not_found"),
        ),
        row(
            "a key behind dots in the path",
            &post(format_args!("/v1/telemetry/x/../{ACME_KEY}")),
            Refused(404, "not_found"),
        ),
        row("a slash in the path's key", &post(format_args!("/v1/telemetry/{ACME_KEY}%2F{GLOBEX_KEY}")), UNKNOWN),
        row("an expired key", &key(EXPIRED_KEY), Refused(401, "write_key_expired")),
        row("a key of a tenant that is off", &key(OFF_KEY), Refused(403, "tenant_disabled")),
        row("a key where tokens are asked for", &key(STRICT_KEY), Refused(403, "tenant_requires_jwt")),
        row(
            "a key of another tenant's that is bound, beside one's own",
            &post(format_args!("/v1/telemetry/{ACME_KEY}?k={NARROW_KEY}")),
            CONFLICT,
        ),
        row("a key's tenant is off, whatever it is bound to", &key(NARROW_KEY), Refused(403, "tenant_disabled")),
        row(
            "a reserved measurement with one's own key",
            &key(ACME_KEY).body(r#"{"measurement":"gateway_outcomes","metrics":{"points":1}}"#),
            Rejected("reserved_name"),
        ),
    ]
}

/// More than anyone needs.
fn many(world: &World) -> Vec<Row> {
    let five = format!("/ingest?{}", vec![format!("k={ACME_KEY}"); 5].join("&"));
    let thousand = format!("/ingest?{}", vec![format!("k={ACME_KEY}"); 1_000].join("&"));
    let acme = world.keys.acme();
    let tokens = (0..90).fold(post("/ingest"), |request, _| request.bearer(&acme));
    let too_many = Refused(403, "credentials_too_many");
    vec![
        row("five keys", &post(five), too_many),
        row("a thousand keys", &post(thousand), too_many),
        row("ninety tokens", &tokens, too_many),
        raw(
            "a preflight with credentials proves nothing",
            post(format_args!("/v1/telemetry/{ACME_KEY}"))
                .start(format!("OPTIONS /v1/telemetry/{ACME_KEY} HTTP/1.1"))
                .header("Origin", "https://evil.example")
                .header("Access-Control-Request-Method", "POST")
                .bytes(),
            &[Expected::Status(200)],
        ),
    ]
}
