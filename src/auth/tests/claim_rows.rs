//! What a well-signed token says: times, audience, tenant, and shapes that are no token at all.

use serde_json::{Value, json};

use super::forge::{claims, header, with};
use super::*;

const EC: &str = "https://ec.example";

fn rsa(changes: Value) -> Request {
    request().bearer(&KEYS.rsa.token(&with(changes)))
}

fn ec(changes: Value) -> Request {
    request().bearer(&KEYS.ec.token(&with(changes)))
}

/// Signed as it stands.
fn raw(claims: &str) -> Request {
    request().bearer(&KEYS.rsa.sign(&header("RS256"), claims))
}

fn refused(code: Code) -> Result<&'static str, Code> {
    Err(code)
}

#[test]
fn a_well_signed_token_must_say_what_is_needed() {
    let good = KEYS.rsa.token(&claims());
    let signed = &good[..good.rfind('.').unwrap()];
    let plain = claims().to_string();
    let twice = plain.replace("\"tenant_id\"", "\"tenant_id\":\"globex\",\"tenant_id\"");
    let tenants = r#"[{"id":"acme","id":"globex"}]"#;
    let deep = format!(r#"{{"iss":"{EC}","aud":"telemetry","exp":{},"ctx":{{"tenants":{tenants}}}}}"#, NOW + 60);
    let crit = r#"{"alg":"RS256","crit":["b64"],"b64":true}"#;
    let rows = vec![
        // Times.
        row("expired a second before the leeway's end", rsa(json!({ "exp": NOW - LEEWAY + 1 })), Ok("acme")),
        row("expired at the leeway's end", rsa(json!({ "exp": NOW - LEEWAY })), refused(Code::TokenExpired)),
        row("expired, as a float", rsa(json!({ "exp": (NOW - LEEWAY) as f64 - 0.5 })), refused(Code::TokenExpired)),
        row("just not expired, as a float", rsa(json!({ "exp": (NOW - LEEWAY) as f64 + 0.5 })), Ok("acme")),
        row("exp before 1970", rsa(json!({ "exp": -1 })), refused(Code::TokenExpired)),
        row("exp far ahead", rsa(json!({ "exp": 1e300 })), Ok("acme")),
        row("exp of the largest integer", rsa(json!({ "exp": u64::MAX })), Ok("acme")),
        row("exp missing", rsa(json!({ "exp": null })), refused(Code::TokenMalformed)),
        row("exp as text", rsa(json!({ "exp": "4102444800" })), refused(Code::TokenMalformed)),
        row("nbf at the leeway's end", rsa(json!({ "nbf": NOW + LEEWAY })), Ok("acme")),
        row("nbf beyond the leeway", rsa(json!({ "nbf": NOW + LEEWAY + 1 })), refused(Code::TokenNotYetValid)),
        row(
            "nbf as a float beyond the leeway",
            rsa(json!({ "nbf": (NOW + LEEWAY) as f64 + 0.25 })),
            refused(Code::TokenNotYetValid),
        ),
        row("nbf as text", rsa(json!({ "nbf": "0" })), refused(Code::TokenMalformed)),
        // Audience.
        row("wrong audience", rsa(json!({ "aud": "billing" })), refused(Code::TokenAudience)),
        row("audience by prefix", rsa(json!({ "aud": "telemetry-us" })), refused(Code::TokenAudience)),
        row("no audience", rsa(json!({ "aud": null })), refused(Code::TokenAudience)),
        row("one of several audiences", rsa(json!({ "aud": ["billing", "telemetry-eu"] })), Ok("acme")),
        row("none of several audiences", rsa(json!({ "aud": ["billing", "shop"] })), refused(Code::TokenAudience)),
        row("audience array empty", rsa(json!({ "aud": [] })), refused(Code::TokenAudience)),
        row("audience array of other things", rsa(json!({ "aud": ["telemetry", 7] })), refused(Code::TokenAudience)),
        // The tenant.
        row("tenant missing", rsa(json!({ "tenant_id": null })), refused(Code::TokenTenantClaim)),
        row("tenant an array", rsa(json!({ "tenant_id": ["acme"] })), refused(Code::TokenTenantClaim)),
        row("tenant an object", rsa(json!({ "tenant_id": { "id": "acme" } })), refused(Code::TokenTenantClaim)),
        row("tenant a number", rsa(json!({ "tenant_id": 7 })), refused(Code::TokenTenantClaim)),
        row("tenant empty", rsa(json!({ "tenant_id": "" })), refused(Code::TokenTenantClaim)),
        row("tenant too long", rsa(json!({ "tenant_id": "a".repeat(65) })), refused(Code::TokenTenantClaim)),
        row("tenant with a newline", rsa(json!({ "tenant_id": "acme\n" })), refused(Code::TokenTenantClaim)),
        row("tenant with a comma", rsa(json!({ "tenant_id": "acme,host=x" })), refused(Code::TokenTenantClaim)),
        row(
            "JSON pointer into nothing",
            ec(json!({ "iss": EC, "ctx": { "tenants": [] } })),
            refused(Code::TokenTenantClaim),
        ),
        row(
            "JSON pointer as a name",
            ec(json!({ "iss": EC, "/ctx/tenants/0/id": "acme" })),
            refused(Code::TokenTenantClaim),
        ),
        row("tenant twice", raw(&twice), refused(Code::TokenMalformed)),
        row(
            "tenant twice, deep down",
            request().bearer(&KEYS.ec.sign(&header("ES256"), &deep)),
            refused(Code::TokenMalformed),
        ),
        row("tenant unknown", rsa(json!({ "tenant_id": "ghost" })), refused(Code::TenantUnknown)),
        row("tenant in another case", rsa(json!({ "tenant_id": "Acme" })), refused(Code::TenantUnknown)),
        row("tenant disabled", rsa(json!({ "tenant_id": "off" })), refused(Code::TenantDisabled)),
        row("tenant that requires a JWT", rsa(json!({ "tenant_id": "strict" })), Ok("strict")),
        // Shapes.
        row("empty", request().bearer(""), refused(Code::TokenMalformed)),
        row("scheme alone", request().authorization("Bearer"), refused(Code::TokenMalformed)),
        row("empty ?access_token=", request().access_token(""), refused(Code::TokenMalformed)),
        row("garbage", request().bearer("not a token"), refused(Code::TokenMalformed)),
        row("bytes that are no text", request().authorization(b"Bearer \xff\xfe"), refused(Code::TokenMalformed)),
        row("two parts", request().bearer(signed), refused(Code::TokenMalformed)),
        row("four parts", request().bearer(&format!("{good}.x")), refused(Code::TokenMalformed)),
        row("padded base64", request().bearer(&format!("{good}=")), refused(Code::TokenSignature)),
        row(
            "header twice an alg",
            request().bearer(&KEYS.rsa.sign(r#"{"alg":"none","alg":"RS256"}"#, &plain)),
            refused(Code::TokenMalformed),
        ),
        row("header without alg", request().bearer(&KEYS.rsa.sign("{}", &plain)), refused(Code::TokenMalformed)),
        row(
            "header with a crit of null",
            request().bearer(&KEYS.rsa.sign(r#"{"alg":"RS256","crit":null}"#, &plain)),
            refused(Code::TokenMalformed),
        ),
        row(
            "header twice a name, deep in it",
            request().bearer(&KEYS.rsa.sign(r#"{"alg":"RS256","x":{"y":1,"y":2}}"#, &plain)),
            refused(Code::TokenMalformed),
        ),
        row("header with crit", request().bearer(&KEYS.rsa.sign(crit, &plain)), refused(Code::TokenMalformed)),
        row("claims an array", raw("[]"), refused(Code::TokenMalformed)),
        row("claims nested without end", raw(&"[".repeat(3_000)), refused(Code::TokenMalformed)),
        row("something after the claims", raw(&format!("{plain}{{}}")), refused(Code::TokenMalformed)),
        row("8 KiB and more", rsa(json!({ "more": "x".repeat(8 * 1024) })), refused(Code::TokenTooLarge)),
        row("large, but below the bound", rsa(json!({ "more": "x".repeat(5_000) })), Ok("acme")),
    ];
    try_all(rows, 45);
}

#[test]
fn a_json_pointer_unescapes_its_names() {
    let mut settings = settings();
    settings.issuers.get_mut("rsa").unwrap().tenant_claim = "/a~1b/c~0d".to_owned();
    let authenticator = build(&settings).unwrap();
    let token = format!("Bearer {}", KEYS.rsa.token(&with(json!({ "a/b": { "c~d": "acme" } }))));
    let presented = Presented { authorization: vec![token.as_bytes()], ..Presented::default() };
    assert_eq!(authenticator.verify(&presented, NOW * NANOS, &|| Ok(())).unwrap().id().as_str(), "acme");
}

#[test]
fn a_token_ends_at_its_nanosecond() {
    let token = KEYS.rsa.token(&with(json!({ "exp": NOW })));
    let presented = Presented { access_token: vec![token], ..Presented::default() };
    let end = (NOW + LEEWAY) * NANOS;
    assert!(AUTHENTICATOR.verify(&presented, end - 1, &|| Ok(())).is_ok());
    assert_eq!(AUTHENTICATOR.verify(&presented, end, &|| Ok(())).unwrap_err().code, "token_expired");
}
