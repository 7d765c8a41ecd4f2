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
    let by_pem = Signer::hmac(&KEYS.rsa.public_pem());
    let by_ed_pem = Signer::hmac(&KEYS.ed.public_pem());
    let unsigned = format!("{}.{}.", b64(header("none")), b64(&plain));
    let ec = json!({ "iss": "https://ec.example", "tenant_id": null, "ctx": { "tenants": [{ "id": "globex" }] } });
    let ed = json!({ "iss": "https://ed.example", "tenant_id": "acme", "https://example.com/tenant": "globex" });
    let hmac = json!({ "iss": "https://hmac.example", "tenant_id": null, "tid": "acme" });
    let globex_signed = KEYS.rsa.token(&with(json!({ "tenant_id": "globex" })));
    let globex_payload = globex_signed.split('.').nth(1).unwrap();
    let rs_header = header("RS256");
    let swapped = format!("{}.{globex_payload}.{signature}", b64(&rs_header));
    let own_key = json!({ "alg": "RS256", "jwk": { "kty": "RSA", "n": "AQAB", "e": "AQAB" } }).to_string();
    let key_address =
        json!({ "alg": "RS256", "jku": "https://evil.example/k", "x5u": "https://evil.example/x", "kid": "../k" });
    let key_address = key_address.to_string();
    let odd_header = json!({ "alg": "RS256", "jku": "https://x.example", "jwk": 7, "kid": ["?"] }).to_string();
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
        row("alg none, no signature", request().bearer(&unsigned), refused(Code::TokenSignature)),
        row("alg None", request().bearer(&KEYS.rsa.sign(&header("None"), &plain)), refused(Code::TokenSignature)),
        row(
            "HS256 keyed with the public PEM",
            request().bearer(&by_pem.sign(&header("HS256"), &plain)),
            refused(Code::TokenSignature),
        ),
        row(
            "HS256 by MAC, RS256 by header",
            request().bearer(&by_pem.sign(&rs_header, &plain)),
            refused(Code::TokenSignature),
        ),
        row(
            "HS256 with the HMAC issuer's secret",
            request().bearer(&KEYS.hmac.sign(&header("HS256"), &plain)),
            refused(Code::TokenSignature),
        ),
        row(
            "a good RS256 signature under alg RS384",
            request().bearer(&KEYS.rsa.sign(&header("RS384"), &plain)),
            refused(Code::TokenSignature),
        ),
        row(
            "a true RS384 signature, not pinned",
            request().bearer(&KEYS.rsa.sign_384("RS384", &plain)),
            refused(Code::TokenSignature),
        ),
        row(
            "a true HS384 signature, not pinned",
            request().bearer(&KEYS.hmac.sign_384("HS384", &with(hmac.clone()).to_string())),
            refused(Code::TokenSignature),
        ),
        row(
            "a PSS signature under alg RS256",
            request().bearer(&KEYS.rsa.sign_pss(&rs_header, &plain)),
            refused(Code::TokenSignature),
        ),
        row(
            "ES256 by an EC key at the RSA issuer",
            request().bearer(&KEYS.ec.token(&claims())),
            refused(Code::TokenSignature),
        ),
        row(
            "ES256 in the header, RSA key",
            request().bearer(&KEYS.rsa.sign(&header("ES256"), &plain)),
            refused(Code::TokenSignature),
        ),
        row(
            "RS256 at the EC issuer",
            request().bearer(&KEYS.rsa.token(&with(ec.clone()))),
            refused(Code::TokenSignature),
        ),
        row("EdDSA at the EC issuer", request().bearer(&KEYS.ed.token(&with(ec))), refused(Code::TokenSignature)),
        row(
            "HS256 keyed with the Ed25519 PEM",
            request().bearer(&by_ed_pem.token(&with(ed))),
            refused(Code::TokenSignature),
        ),
        // Keys and issuers.
        row("another RSA key", request().bearer(&KEYS.other_rsa.token(&claims())), refused(Code::TokenSignature)),
        row("the RSA issuer's token under the HMAC issuer's name", rsa(with(hmac)), refused(Code::TokenSignature)),
        row("another payload under a good signature", request().bearer(&swapped), refused(Code::TokenSignature)),
        row("no signature", request().bearer(&format!("{signed}.")), refused(Code::TokenSignature)),
        row("signature cut short", request().bearer(&good[..good.len() - 4]), refused(Code::TokenSignature)),
        row(
            "its own key in the header",
            request().bearer(&KEYS.other_rsa.sign(&own_key, &plain)),
            refused(Code::TokenSignature),
        ),
        row(
            "a key's address in the header",
            request().bearer(&KEYS.other_rsa.sign(&key_address, &plain)),
            refused(Code::TokenSignature),
        ),
        row(
            "such headers on a good token are not read",
            request().bearer(&KEYS.rsa.sign(&odd_header, &plain)),
            Ok("acme"),
        ),
        row("issuer unknown", rsa(with(json!({ "iss": "https://other.example" }))), refused(Code::TokenIssuerUnknown)),
        row("issuer by prefix", rsa(with(json!({ "iss": "https://rsa.example/" }))), refused(Code::TokenIssuerUnknown)),
        row("issuer missing", rsa(with(json!({ "iss": null }))), refused(Code::TokenIssuerUnknown)),
        row("issuer an array", rsa(with(json!({ "iss": ["https://rsa.example"] }))), refused(Code::TokenIssuerUnknown)),
    ];
    try_all(rows, 30);
}
