//! What a token says: times, audience, whose issuer, which tenant.

use serde_json::{Value, json};

use super::World;
use super::forge::{ec_claims, with};
use super::row::{Expected, Refused, Row, Taken, post, row};
use crate::identity::claims_of;
use crate::support::keys::unix_seconds;
use crate::support::{SigningKey, claims};

const MALFORMED: Expected = Refused(401, "token_malformed");
const SIGNATURE: Expected = Refused(401, "token_signature");
const CLAIM: Expected = Refused(403, "token_tenant_claim");
const EXPIRED: Expected = Refused(401, "token_expired");
const AUDIENCE: Expected = Refused(401, "token_audience");
const ISSUER: Expected = Refused(401, "token_issuer_unknown");

pub(super) fn rows(world: &World) -> Vec<Row> {
    let mut rows = said(world);
    rows.append(&mut twice_or_odd(world));
    rows.append(&mut confusion(world));
    rows.append(&mut revoked(world));
    rows
}

fn bearer(name: &str, token: &str, expected: Expected) -> Row {
    row(name, &post("/v1/telemetry").bearer(token), expected)
}

/// One claim that is not as it should be.
fn said(world: &World) -> Vec<Row> {
    let now = unix_seconds();
    let changes: Vec<(&str, Value, Expected)> = vec![
        ("expired", json!({ "exp": now - 600 }), EXPIRED),
        ("expired, negative", json!({ "exp": -1 }), EXPIRED),
        ("expired, zero", json!({ "exp": 0 }), EXPIRED),
        ("expired, a float", json!({ "exp": (now - 600) as f64 + 0.5 }), EXPIRED),
        ("no exp", json!({ "exp": null }), MALFORMED),
        ("exp as text", json!({ "exp": "4102444800" }), MALFORMED),
        ("exp true", json!({ "exp": true }), MALFORMED),
        ("exp a list", json!({ "exp": [4_102_444_800_u64] }), MALFORMED),
        ("not yet valid", json!({ "nbf": now + 600 }), Refused(401, "token_not_yet_valid")),
        ("not yet valid, by a float", json!({ "nbf": now as f64 + 600.5 }), Refused(401, "token_not_yet_valid")),
        ("nbf as text", json!({ "nbf": "0" }), MALFORMED),
        ("another audience", json!({ "aud": "billing" }), AUDIENCE),
        ("no audience", json!({ "aud": null }), AUDIENCE),
        ("an empty audience", json!({ "aud": "" }), AUDIENCE),
        ("no audience of several", json!({ "aud": ["billing", "shop"] }), AUDIENCE),
        ("no audience in the list", json!({ "aud": [] }), AUDIENCE),
        ("an audience beside what is none", json!({ "aud": ["telemetry", { "x": 1 }] }), AUDIENCE),
        ("an audience as an object", json!({ "aud": { "telemetry": true } }), AUDIENCE),
        ("an audience in another case", json!({ "aud": "Telemetry" }), AUDIENCE),
        ("an audience with a blank", json!({ "aud": "telemetry " }), AUDIENCE),
        ("no issuer", json!({ "iss": null }), ISSUER),
        ("an issuer nobody knows", json!({ "iss": "https://evil.example" }), ISSUER),
        ("an issuer with a slash more", json!({ "iss": "https://identity.example/" }), ISSUER),
        ("an issuer in another case", json!({ "iss": "https://Identity.example" }), ISSUER),
        ("an issuer in a list", json!({ "iss": ["https://identity.example"] }), ISSUER),
        ("an issuer and a NUL", json!({ "iss": "https://identity.example\u{0}" }), ISSUER),
        ("no tenant", json!({ "tenant_id": null }), CLAIM),
        ("the tenant a list", json!({ "tenant_id": ["globex"] }), CLAIM),
        ("the tenant an object", json!({ "tenant_id": { "id": "globex" } }), CLAIM),
        ("the tenant a number", json!({ "tenant_id": 7 }), CLAIM),
        ("the tenant true", json!({ "tenant_id": true }), CLAIM),
        ("the tenant empty", json!({ "tenant_id": "" }), CLAIM),
        ("the tenant of 65 characters", json!({ "tenant_id": "g".repeat(65) }), CLAIM),
        ("the tenant with a newline", json!({ "tenant_id": "globex\n" }), CLAIM),
        ("the tenant with a forged line", json!({ "tenant_id": "acme duration_ms=1i\nx,tenant_id=globex" }), CLAIM),
        ("the tenant with NUL", json!({ "tenant_id": "globex\u{0}" }), CLAIM),
        ("the tenant with a comma", json!({ "tenant_id": "acme,tenant_id=globex" }), CLAIM),
        ("the tenant with a backslash", json!({ "tenant_id": "globex\\" }), CLAIM),
        ("the tenant as a path", json!({ "tenant_id": "../globex" }), CLAIM),
        ("the tenant with blanks around", json!({ "tenant_id": " globex " }), CLAIM),
        ("the tenant in Cyrillic", json!({ "tenant_id": "gl\u{43e}bex" }), CLAIM),
        ("the tenant in full width", json!({ "tenant_id": "\u{ff47}lobex" }), CLAIM),
        ("the tenant with a zero-width joiner", json!({ "tenant_id": "glo\u{200d}bex" }), CLAIM),
        ("the tenant with a combining mark", json!({ "tenant_id": "globex\u{301}" }), CLAIM),
        ("the tenant in another case", json!({ "tenant_id": "GLOBEX" }), Refused(403, "tenant_unknown")),
        ("a tenant nobody knows", json!({ "tenant_id": "nobody" }), Refused(403, "tenant_unknown")),
        ("a tenant that is switched off", json!({ "tenant_id": "off" }), Refused(403, "tenant_disabled")),
        // Beside its own, what another issuer would ask for.
        (
            "a second claim is not looked at",
            json!({ "tid": "globex", "tenant": "globex", "ctx": { "tenant": "globex" } }),
            Taken(1),
        ),
        ("iat ahead says nothing", json!({ "iat": now + 86_400 }), Taken(1)),
    ];
    changes
        .into_iter()
        .map(|(name, changes, expected)| bearer(name, &world.keys.well_signed(&changes), expected))
        .collect()
}

/// Claims that two readers would read in two ways, as their own texts.
fn twice_or_odd(world: &World) -> Vec<Row> {
    let rsa = &world.keys.rsa;
    let text = with(&json!({})).to_string();
    let edited = |name: &str, from: &str, to: &str, expected| {
        let edited = text.replacen(from, to, 1);
        assert_ne!(edited, text, "{name} changes nothing");
        bearer(name, &rsa.sign_texts(r#"{"alg":"RS256"}"#, &edited), expected)
    };
    let tenant = r#""tenant_id":"acme""#;
    let exp = exp_of(&text);
    vec![
        edited("the tenant twice, globex first", tenant, r#""tenant_id":"globex","tenant_id":"acme""#, MALFORMED),
        edited("the tenant twice, globex last", tenant, r#""tenant_id":"acme","tenant_id":"globex""#, MALFORMED),
        edited("the tenant twice, once escaped", tenant, r#""tenant_id":"acme","tenant\u005fid":"globex""#, MALFORMED),
        edited("a name twice, deep down", tenant, r#""tenant_id":"acme","x":[{"y":1,"y":2}]"#, MALFORMED),
        edited("exp twice", &exp, &format!("{exp},\"exp\":0"), MALFORMED),
        edited("exp beyond any float", &exp, "\"exp\":1e400", MALFORMED),
        edited("exp with 400 digits", &exp, &format!("\"exp\":{}", "9".repeat(400)), MALFORMED),
        edited("exp NaN", &exp, "\"exp\":NaN", MALFORMED),
        edited("exp Infinity", &exp, "\"exp\":Infinity", MALFORMED),
        edited("exp in hexadecimal", &exp, "\"exp\":0xFFFFFFFF", MALFORMED),
        edited("exp with a leading zero", &exp, "\"exp\":04102444800", MALFORMED),
        edited("a comment", tenant, "/* */\"tenant_id\":\"globex\"", MALFORMED),
        edited("something after the claims", "}", "}{\"tenant_id\":\"globex\"}", MALFORMED),
        edited("half a surrogate pair", tenant, r#""tenant_id":"\ud83d""#, MALFORMED),
        edited("a raw newline in the tenant", tenant, "\"tenant_id\":\"globex\n\"", MALFORMED),
        edited("a byte order mark", "{", "\u{feff}{", MALFORMED),
    ]
}

fn exp_of(claims: &str) -> String {
    let from = claims.find("\"exp\":").expect("claims have exp");
    let length = claims[from..].find([',', '}']).expect("a claim ends");
    claims[from..from + length].to_owned()
}

/// Each issuer speaks with its own key, for its own audience, and names the tenant in its own place.
fn confusion(world: &World) -> Vec<Row> {
    let keys = &world.keys;
    let billing = |audience: &str| {
        let mut claims = claims_of("billing", "globex");
        claims["aud"] = json!(audience);
        claims
    };
    let by = |name: &str, key: &SigningKey, claims: &Value, expected| bearer(name, &key.sign(claims), expected);
    let pointer = |tenant: Value| ec_claims(&tenant);
    vec![
        by("billing's name, the first issuer's key", &keys.rsa, &billing("billing"), SIGNATURE),
        by("the first issuer's name, billing's key", &keys.billing, &claims("globex"), SIGNATURE),
        by("billing for the first issuer's audience", &keys.billing, &billing("telemetry"), AUDIENCE),
        by("the first issuer for billing's audience", &keys.rsa, &with(&json!({ "aud": "billing" })), AUDIENCE),
        by("the EC issuer's name, the RSA key", &keys.rsa, &pointer(json!("globex")), SIGNATURE),
        by("the first issuer's name, the EC key", &keys.ec, &claims("globex"), SIGNATURE),
        by("the first issuer's name, the Ed25519 key", &keys.ed, &claims("globex"), SIGNATURE),
        by("the first issuer's name, the shared secret", &keys.hs, &claims("globex"), SIGNATURE),
        by("the shared secret's issuer, the RSA key", &keys.rsa, &claims_of("hs", "globex"), SIGNATURE),
        by("the Ed25519 issuer's name, the attacker's key", &keys.own, &claims_of("ed", "globex"), SIGNATURE),
        by("another issuer's tenant claim", &keys.ec, &claims_of("ec", "globex"), CLAIM),
        by(
            "the JSON pointer as a name",
            &keys.ec,
            &{
                let mut claims = claims_of("ec", "globex");
                claims["/ctx/tenant"] = json!("globex");
                claims
            },
            CLAIM,
        ),
        by("the JSON pointer into a list", &keys.ec, &pointer(json!(["globex"])), CLAIM),
    ]
}

/// An issuer that speaks for some tenants only, one whose keys nobody has seen, and tokens on the deny list.
fn revoked(world: &World) -> Vec<Row> {
    let keys = &world.keys;
    let partner = |tenant: &Value| {
        let mut claims = claims_of("partner", "acme");
        claims["tenant_id"] = tenant.clone();
        keys.partner.sign(&claims)
    };
    const REVOKED: Expected = Refused(401, "token_revoked");
    let stolen = with(&json!({ "jti": "stolen", "tenant_id": "globex" }));
    vec![
        bearer("a partner's own value", &partner(&json!("org-1")), Taken(1)),
        bearer("a partner that names another tenant", &partner(&json!("globex")), CLAIM),
        bearer("a partner that names its tenant by id", &partner(&json!("acme")), CLAIM),
        bearer("a partner's value in another case", &partner(&json!("ORG-1")), CLAIM),
        bearer("a partner's value and a newline", &partner(&json!("org-1\n")), CLAIM),
        bearer("a partner's value in a list", &partner(&json!(["org-1"])), CLAIM),
        bearer(
            "an issuer whose keys are not to be had",
            &keys.own.sign(&claims_of("away", "globex")),
            Refused(503, "issuer_keys_loading"),
        ),
        bearer("a token that was revoked", &keys.well_signed(&json!({ "jti": "stolen" })), REVOKED),
        bearer("a revoked jti as a number", &keys.well_signed(&json!({ "jti": 17 })), REVOKED),
        bearer("a user who was shut out", &keys.well_signed(&json!({ "sub": "mallory" })), REVOKED),
        bearer(
            "a user who was shut out, another token",
            &keys.well_signed(&json!({ "sub": "mallory", "jti": "x" })),
            REVOKED,
        ),
        bearer("a revoked token, forged", &keys.own.sign(&stolen), SIGNATURE),
    ]
}
