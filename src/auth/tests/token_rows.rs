//! JWTs: what is taken, and what is refused as what.

use serde_json::{Value, json};

use super::forge::{b64, claims, header, with};
use super::*;

fn rsa(claims: Value) -> Request {
    request().bearer(&KEYS.rsa.token(&claims))
}

fn refused(code: Code) -> Result<&'static str, Code> {
    Err(code)
}

#[test]
fn a_token_proves_its_tenant_or_is_refused_by_name() {
    let good = KEYS.rsa.token(&claims());
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let plain = claims().to_string();
    let public_pem = KEYS.rsa.public_pem();
    let ec =
        json!({ "iss": "https://ec.example", "tenant_id": null, "ctx": { "tenants": [{ "id": "globex" }] } });
    let ed =
        json!({ "iss": "https://ed.example", "tenant_id": "acme", "https://example.com/tenant": "globex" });
    let hmac = json!({ "iss": "https://hmac.example", "tenant_id": null, "tid": "acme" });
    let globex_signed = KEYS.rsa.token(&with(json!({ "tenant_id": "globex" })));
    let globex_payload = globex_signed.split('.').nth(1).unwrap();
    let rs_header = header("RS256");
    let rows = vec![
        row("RS256", request().bearer(&good), Ok("acme")),
        row("PS256, pinned too", request().bearer(&KEYS.rsa.sign_pss(&header("PS256"), &plain)), Ok("acme")),
        row("ES256, tenant by JSON pointer", request().bearer(&KEYS.ec.token(&with(ec.clone()))), Ok("globex")),
        row("EdDSA, tenant by a name that is a URL", request().bearer(&KEYS.ed.token(&with(ed.clone()))), Ok("globex")),
        row("HS256", request().bearer(&KEYS.hmac.token(&with(hmac.clone()))), Ok("acme")),
        row("scheme in lower case", request().authorization(format!("bearer {good}")), Ok("acme")),
        row("scheme in upper case, two blanks", request().authorization(format!("BEARER  {good} ")), Ok("acme")),
        row("?access_token=", request().access_token(&good), Ok("acme")),
        row("the same token both ways", request().bearer(&good).access_token(&good), Ok("acme")),
        // Algorithms.
        row("alg none, no signature", request().bearer(&format!("{}.{}.", b64(header("none")), b64(&plain))), refused(Code::TokenSignature)),
        row("alg None", request().bearer(&KEYS.rsa.sign(&header("None"), &plain)), refused(Code::TokenSignature)),
        row("HS256 keyed with the public PEM", request().bearer(&Signer::hmac(&public_pem).sign(&header("HS256"), &plain)), refused(Code::TokenSignature)),
        row("HS256 by MAC, RS256 by header", request().bearer(&Signer::hmac(&public_pem).sign(&rs_header, &plain)), refused(Code::TokenSignature)),
        row("HS256 with the HMAC issuer's secret", request().bearer(&KEYS.hmac.sign(&header("HS256"), &plain)), refused(Code::TokenSignature)),
        row("a good RS256 signature under alg RS384", request().bearer(&KEYS.rsa.sign(&header("RS384"), &plain)), refused(Code::TokenSignature)),
        row("a PSS signature under alg RS256", request().bearer(&KEYS.rsa.sign_pss(&rs_header, &plain)), refused(Code::TokenSignature)),
        row("ES256 by an EC key at the RSA issuer", request().bearer(&KEYS.ec.token(&claims())), refused(Code::TokenSignature)),
        row("ES256 in the header, RSA key", request().bearer(&KEYS.rsa.sign(&header("ES256"), &plain)), refused(Code::TokenSignature)),
        row("RS256 at the EC issuer", request().bearer(&KEYS.rsa.token(&with(ec.clone()))), refused(Code::TokenSignature)),
        row("EdDSA at the EC issuer", request().bearer(&KEYS.ed.token(&with(ec))), refused(Code::TokenSignature)),
        row("HS256 keyed with the Ed25519 PEM", request().bearer(&Signer::hmac(&KEYS.ed.public_pem()).token(&with(ed))), refused(Code::TokenSignature)),
        // Keys and issuers.
        row("another RSA key", request().bearer(&KEYS.other_rsa.token(&claims())), refused(Code::TokenSignature)),
        row("the RSA issuer's token under the HMAC issuer's name", rsa(with(hmac)), refused(Code::TokenSignature)),
        row("another payload under a good signature", request().bearer(&format!("{}.{globex_payload}.{signature}", b64(&rs_header))), refused(Code::TokenSignature)),
        row("no signature", request().bearer(&format!("{signed}.")), refused(Code::TokenSignature)),
        row("signature cut short", request().bearer(&good[..good.len() - 4]), refused(Code::TokenSignature)),
        row("its own key in the header", request().bearer(&KEYS.other_rsa.sign(&json!({ "alg": "RS256", "jwk": { "kty": "RSA", "n": "AQAB", "e": "AQAB" } }).to_string(), &plain)), refused(Code::TokenSignature)),
        row("a key's address in the header", request().bearer(&KEYS.other_rsa.sign(&json!({ "alg": "RS256", "jku": "https://evil.example/keys", "x5u": "https://evil.example/x", "kid": "../../key" }).to_string(), &plain)), refused(Code::TokenSignature)),
        row("such headers on a good token are not read", request().bearer(&KEYS.rsa.sign(&json!({ "alg": "RS256", "jku": "https://x.example", "jwk": 7, "kid": ["?"] }).to_string(), &plain)), Ok("acme")),
        row("issuer unknown", rsa(with(json!({ "iss": "https://other.example" }))), refused(Code::TokenIssuerUnknown)),
        row("issuer by prefix", rsa(with(json!({ "iss": "https://rsa.example/" }))), refused(Code::TokenIssuerUnknown)),
        row("issuer missing", rsa(with(json!({ "iss": null }))), refused(Code::TokenIssuerUnknown)),
        row("issuer an array", rsa(with(json!({ "iss": ["https://rsa.example"] }))), refused(Code::TokenIssuerUnknown)),
        // Times.
        row("expired a second before the leeway's end", rsa(with(json!({ "exp": NOW - LEEWAY + 1 }))), Ok("acme")),
        row("expired at the leeway's end", rsa(with(json!({ "exp": NOW - LEEWAY }))), refused(Code::TokenExpired)),
        row("expired, as a float", rsa(with(json!({ "exp": (NOW - LEEWAY) as f64 - 0.5 }))), refused(Code::TokenExpired)),
        row("just not expired, as a float", rsa(with(json!({ "exp": (NOW - LEEWAY) as f64 + 0.5 }))), Ok("acme")),
        row("exp before 1970", rsa(with(json!({ "exp": -1 }))), refused(Code::TokenExpired)),
        row("exp far ahead", rsa(with(json!({ "exp": 1e300 }))), Ok("acme")),
        row("exp of the largest integer", rsa(with(json!({ "exp": u64::MAX }))), Ok("acme")),
        row("exp missing", rsa(with(json!({ "exp": null }))), refused(Code::TokenMalformed)),
        row("exp as text", rsa(with(json!({ "exp": "4102444800" }))), refused(Code::TokenMalformed)),
        row("nbf at the leeway's end", rsa(with(json!({ "nbf": NOW + LEEWAY }))), Ok("acme")),
        row("nbf beyond the leeway", rsa(with(json!({ "nbf": NOW + LEEWAY + 1 }))), refused(Code::TokenNotYetValid)),
        row("nbf as a float beyond the leeway", rsa(with(json!({ "nbf": (NOW + LEEWAY) as f64 + 0.25 }))), refused(Code::TokenNotYetValid)),
        row("nbf as text", rsa(with(json!({ "nbf": "0" }))), refused(Code::TokenMalformed)),
        // Audience.
        row("wrong audience", rsa(with(json!({ "aud": "billing" }))), refused(Code::TokenAudience)),
        row("audience by prefix", rsa(with(json!({ "aud": "telemetry-us" }))), refused(Code::TokenAudience)),
        row("no audience", rsa(with(json!({ "aud": null }))), refused(Code::TokenAudience)),
        row("one of several audiences", rsa(with(json!({ "aud": ["billing", "telemetry-eu"] }))), Ok("acme")),
        row("none of several audiences", rsa(with(json!({ "aud": ["billing", "shop"] }))), refused(Code::TokenAudience)),
        row("audience array empty", rsa(with(json!({ "aud": [] }))), refused(Code::TokenAudience)),
        row("audience array of other things", rsa(with(json!({ "aud": ["telemetry", 7] }))), refused(Code::TokenAudience)),
        // The tenant.
        row("tenant missing", rsa(with(json!({ "tenant_id": null }))), refused(Code::TokenTenantClaim)),
        row("tenant an array", rsa(with(json!({ "tenant_id": ["acme"] }))), refused(Code::TokenTenantClaim)),
        row("tenant an object", rsa(with(json!({ "tenant_id": { "id": "acme" } }))), refused(Code::TokenTenantClaim)),
        row("tenant a number", rsa(with(json!({ "tenant_id": 7 }))), refused(Code::TokenTenantClaim)),
        row("tenant empty", rsa(with(json!({ "tenant_id": "" }))), refused(Code::TokenTenantClaim)),
        row("tenant too long", rsa(with(json!({ "tenant_id": "a".repeat(65) }))), refused(Code::TokenTenantClaim)),
        row("tenant with a newline", rsa(with(json!({ "tenant_id": "acme\n" }))), refused(Code::TokenTenantClaim)),
        row("tenant with a comma", rsa(with(json!({ "tenant_id": "acme,host=x" }))), refused(Code::TokenTenantClaim)),
        row("JSON pointer into nothing", request().bearer(&KEYS.ec.token(&with(json!({ "iss": "https://ec.example", "ctx": { "tenants": [] } })))), refused(Code::TokenTenantClaim)),
        row("JSON pointer as a name", request().bearer(&KEYS.ec.token(&with(json!({ "iss": "https://ec.example", "/ctx/tenants/0/id": "acme" })))), refused(Code::TokenTenantClaim)),
        row("tenant twice", request().bearer(&KEYS.rsa.sign(&rs_header, &plain.replace("\"tenant_id\"", "\"tenant_id\":\"globex\",\"tenant_id\""))), refused(Code::TokenMalformed)),
        row("tenant twice, deep down", request().bearer(&KEYS.ec.sign(&header("ES256"), &format!(r#"{{"iss":"https://ec.example","aud":"telemetry","exp":{},"ctx":{{"tenants":[{{"id":"acme","id":"globex"}}]}}}}"#, NOW + 60))), refused(Code::TokenMalformed)),
        row("tenant unknown", rsa(with(json!({ "tenant_id": "ghost" }))), refused(Code::TenantUnknown)),
        row("tenant in another case", rsa(with(json!({ "tenant_id": "Acme" }))), refused(Code::TenantUnknown)),
        row("tenant disabled", rsa(with(json!({ "tenant_id": "off" }))), refused(Code::TenantDisabled)),
        row("tenant that requires a JWT", rsa(with(json!({ "tenant_id": "strict" }))), Ok("strict")),
        // Shapes.
        row("empty", request().bearer(""), refused(Code::TokenMalformed)),
        row("scheme alone", request().authorization("Bearer"), refused(Code::TokenMalformed)),
        row("empty ?access_token=", request().access_token(""), refused(Code::TokenMalformed)),
        row("garbage", request().bearer("not a token"), refused(Code::TokenMalformed)),
        row("bytes that are no text", request().authorization(b"Bearer \xff\xfe"), refused(Code::TokenMalformed)),
        row("two parts", request().bearer(signed), refused(Code::TokenMalformed)),
        row("four parts", request().bearer(&format!("{good}.x")), refused(Code::TokenMalformed)),
        row("padded base64", request().bearer(&format!("{good}=")), refused(Code::TokenSignature)),
        row("header twice an alg", request().bearer(&KEYS.rsa.sign(r#"{"alg":"none","alg":"RS256"}"#, &plain)), refused(Code::TokenMalformed)),
        row("header without alg", request().bearer(&KEYS.rsa.sign("{}", &plain)), refused(Code::TokenMalformed)),
        row("header with crit", request().bearer(&KEYS.rsa.sign(r#"{"alg":"RS256","crit":["b64"],"b64":true}"#, &plain)), refused(Code::TokenMalformed)),
        row("claims an array", request().bearer(&KEYS.rsa.sign(&rs_header, "[]")), refused(Code::TokenMalformed)),
        row("claims nested without end", request().bearer(&KEYS.rsa.sign(&rs_header, &"[".repeat(3_000))), refused(Code::TokenMalformed)),
        row("something after the claims", request().bearer(&KEYS.rsa.sign(&rs_header, &format!("{plain}{{}}"))), refused(Code::TokenMalformed)),
        row("8 KiB and more", rsa(with(json!({ "more": "x".repeat(8 * 1024) }))), refused(Code::TokenTooLarge)),
        row("large, but below the bound", rsa(with(json!({ "more": "x".repeat(5_000) }))), Ok("acme")),
    ];
    try_all(rows, 80);
}

#[test]
fn a_json_pointer_unescapes_its_names() {
    let mut settings = settings();
    settings.issuers.get_mut("rsa").unwrap().tenant_claim = "/a~1b/c~0d".to_owned();
    let authenticator = build(&settings).unwrap();
    let token = format!(
        "Bearer {}",
        KEYS.rsa.token(&with(json!({ "a/b": { "c~d": "acme" } })))
    );
    let presented = Presented {
        authorization: vec![token.as_bytes()],
        ..Presented::default()
    };
    assert_eq!(
        authenticator
            .verify(&presented, NOW * NANOS)
            .unwrap()
            .id()
            .as_str(),
        "acme"
    );
}

#[test]
fn a_token_ends_at_its_nanosecond() {
    let token = KEYS.rsa.token(&with(json!({ "exp": NOW })));
    let presented = Presented {
        access_token: vec![token],
        ..Presented::default()
    };
    let end = (NOW + LEEWAY) * NANOS;
    assert!(AUTHENTICATOR.verify(&presented, end - 1).is_ok());
    assert_eq!(
        AUTHENTICATOR.verify(&presented, end).unwrap_err().code,
        "token_expired"
    );
}
