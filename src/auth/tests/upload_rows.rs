//! Upload tokens: minted by a tenant's backend, for one page, for minutes.

use serde_json::{Value, json};

use super::forge::{b64, header, with};
use super::*;
use crate::auth::Proof;

const APP: &str = "https://app.example";
const HOUR: i64 = 3_600;

/// Claims as the backend of `acme` makes them, with these changes.
fn upload(changes: Value) -> Value {
    let base = json!({ "iss": "tenant:acme", "aud": "tagline", "exp": NOW + 600, "origin": APP });
    let mut all = base.as_object().unwrap().clone();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => all.remove(name),
            value => all.insert(name.clone(), value.clone()),
        };
    }
    Value::Object(all)
}

fn minted(changes: Value) -> String {
    Signer::hmac(UPLOAD_ACME[0]).token(&upload(changes))
}

/// A page of `acme` that has such a token.
fn page(changes: Value) -> Request {
    request().bearer(&minted(changes)).origin(APP)
}

#[test]
fn an_upload_token_proves_its_tenant_from_its_page_for_its_minutes() {
    let good = minted(json!({}));
    let by = |secret: &str, changes| request().bearer(&Signer::hmac(secret).token(&upload(changes))).origin(APP);
    let signature = Err(Code::TokenSignature);
    let malformed = Err(Code::TokenMalformed);
    let not_allowed = Err(Code::OriginNotAllowed);
    let headed = |alg: &str| {
        request().bearer(&Signer::hmac(UPLOAD_ACME[0]).sign(&header(alg), &upload(json!({})).to_string())).origin(APP)
    };
    let unsigned = format!("{}.{}.", b64(header("none")), b64(upload(json!({})).to_string()));
    let twice = upload(json!({})).to_string().replace("\"origin\"", "\"origin\":\"https://evil.example\",\"origin\"");
    let rows = vec![
        row("as Bearer", page(json!({})), Ok("acme")),
        row("as ?access_token=", request().access_token(&good).origin(APP), Ok("acme")),
        row("with the other secret", by(UPLOAD_ACME[1], json!({})), Ok("acme")),
        row("aud as a list", page(json!({ "aud": ["x", "tagline"] })), Ok("acme")),
        row("the origin in capitals, with its port", page(json!({ "origin": "HTTPS://App.Example:443" })), Ok("acme")),
        row(
            "from an origin that is listed nowhere",
            request().bearer(&minted(json!({ "origin": "https://new.example" }))).origin("https://new.example"),
            Ok("acme"),
        ),
        row("beside a key", page(json!({})).key(KEY_ACME), Ok("acme")),
        // Whose.
        row("another tenant's name", page(json!({ "iss": "tenant:globex" })), signature),
        row("another tenant's name, with secrets of its own", page(json!({ "iss": "tenant:strict" })), signature),
        row("another tenant's secret", by(UPLOAD_STRICT, json!({})), signature),
        row("a tenant that is not there", page(json!({ "iss": "tenant:ghost" })), signature),
        row("no tenant", page(json!({ "iss": "tenant:" })), signature),
        row("no tenant id", page(json!({ "iss": "tenant:acme " })), signature),
        row("the tenant in a claim does not count", page(json!({ "tenant_id": "globex" })), Ok("acme")),
        row("iss without the prefix", page(json!({ "iss": "acme" })), Err(Code::TokenIssuerUnknown)),
        row("an issuer's name, by the tenant's secret", page(json!({ "iss": "https://hmac.example" })), signature),
        row("the issuer's secret under the tenant's name", by(HMAC_SECRET, json!({})), signature),
        row("a write key as the secret", by(KEY_ACME, json!({})), signature),
        row("a disabled tenant", by(UPLOAD_OFF, json!({ "iss": "tenant:off" })), Err(Code::TenantDisabled)),
        row(
            "beside another tenant's key",
            request()
                .bearer(&minted(json!({ "origin": "https://globex.example" })))
                .origin("https://globex.example")
                .key(KEY_GLOBEX),
            Err(Code::CredentialsConflict),
        ),
        // How signed.
        row("alg none", request().bearer(&unsigned).origin(APP), signature),
        row("alg HS384 in the header", headed("HS384"), signature),
        row("alg RS256 in the header", headed("RS256"), signature),
        row(
            "truly HS384",
            request()
                .bearer(&Signer::hmac(UPLOAD_ACME[0]).sign_384("HS384", &upload(json!({})).to_string()))
                .origin(APP),
            signature,
        ),
        row("signed by RSA", request().bearer(&KEYS.rsa.token(&upload(json!({})))).origin(APP), signature),
        row("changed after", request().bearer(&format!("{}A", &good[..good.len() - 1])).origin(APP), signature),
        row(
            "kid does not matter",
            request()
                .bearer(
                    &Signer::hmac(UPLOAD_ACME[1])
                        .sign(r#"{"alg":"HS256","kid":"../new"}"#, &upload(json!({})).to_string()),
                )
                .origin(APP),
            Ok("acme"),
        ),
        // From where.
        row("from another page", request().bearer(&good).origin("https://evil.example"), not_allowed),
        row(
            "from another listed page of the tenant",
            request().bearer(&good).origin("https://intranet.example"),
            not_allowed,
        ),
        row("from another port", request().bearer(&good).origin("https://app.example:8443"), not_allowed),
        row("from http", request().bearer(&good).origin("http://app.example"), not_allowed),
        row("from null", request().bearer(&good).origin("null"), not_allowed),
        row("from nonsense", request().bearer(&good).origin("app.example"), Err(Code::OriginMalformed)),
        row("without Origin", request().bearer(&good), Err(Code::OriginMissing)),
        row("no origin in it", page(json!({ "origin": null })), malformed),
        row("origin *", page(json!({ "origin": "*" })), malformed),
        row("origin null, from null", request().bearer(&minted(json!({ "origin": "null" }))).origin("null"), malformed),
        row("a wildcard origin", page(json!({ "origin": "https://*.example" })), malformed),
        row("an origin with a path", page(json!({ "origin": "https://app.example/" })), malformed),
        row("several origins", page(json!({ "origin": [APP] })), malformed),
        row(
            "origin twice",
            request().bearer(&Signer::hmac(UPLOAD_ACME[0]).sign(&header("HS256"), &twice)).origin(APP),
            malformed,
        ),
        // When.
        row("at the end of its leeway", page(json!({ "exp": NOW - 30 })), Err(Code::TokenExpired)),
        row("a second before", page(json!({ "exp": NOW - 29 })), Ok("acme")),
        row("not yet", page(json!({ "nbf": NOW + 31 })), Err(Code::TokenNotYetValid)),
        row("no exp", page(json!({ "exp": null })), malformed),
        row("an hour", page(json!({ "exp": NOW + HOUR })), Ok("acme")),
        row("an hour by a clock that is ahead", page(json!({ "exp": NOW + HOUR + 30 })), Ok("acme")),
        row("longer", page(json!({ "exp": NOW + HOUR + 31 })), Err(Code::TokenLifetime)),
        row("for ever", page(json!({ "exp": 1e300 })), Err(Code::TokenLifetime)),
        // What for.
        row("no aud", page(json!({ "aud": null })), Err(Code::TokenAudience)),
        row("another aud", page(json!({ "aud": AUDIENCE })), Err(Code::TokenAudience)),
        row("measurements", page(json!({ "measurements": ["web_vitals_lcp"] })), Ok("acme")),
        row("measurements that are none", page(json!({ "measurements": [] })), malformed),
        row("measurements of another type", page(json!({ "measurements": "web_vitals_lcp" })), malformed),
        row("a measurement of another type", page(json!({ "measurements": ["web_vitals_lcp", 7] })), malformed),
        row("a tenant that requires a JWT", by(UPLOAD_STRICT, json!({ "iss": "tenant:strict" })), Ok("strict")),
    ];
    try_all(rows, 55);
}

#[test]
fn an_upload_token_writes_what_it_lists_and_is_told_by_its_secrets_name() {
    let bound = page(json!({ "measurements": ["web_vitals_lcp"] })).verify().unwrap();
    assert!(bound.may_write("web_vitals_lcp") && !bound.may_write("frontend_performance"));
    assert_eq!(bound.proof(), &Proof::UploadToken("new".to_owned()));
    assert_eq!(bound.host(), Some("app.example"));
    let free = page(json!({})).verify().unwrap();
    assert!(free.may_write("frontend_performance"));
    let elsewhere = request().bearer(&minted(json!({ "origin": "https://new.example" }))).origin("https://new.example");
    assert_eq!(elsewhere.verify().unwrap().host(), None, "only a listed origin becomes a tag");
}

#[test]
fn proofs_stand_in_the_order_of_their_strength() {
    let jwt = KEYS.rsa.token(&with(json!({})));
    let proof = |request: Request| request.verify().unwrap().proof().clone();
    let by_proxy = || page(json!({})).peer("10.1.2.3").secret(PROXY_SECRET).tenant("acme");
    assert_eq!(proof(page(json!({})).key(KEY_ACME)), Proof::UploadToken("new".to_owned()));
    assert_eq!(proof(by_proxy()), Proof::UploadToken("new".to_owned()));
    assert_eq!(proof(page(json!({})).bearer(&jwt)), Proof::Jwt("rsa".to_owned()));
}

#[test]
fn a_long_one_is_taken_in_its_last_hour() {
    let token = page(json!({ "exp": NOW + 2 * HOUR }));
    let gateway = build(&settings()).unwrap();
    let at = |seconds: i64| token.verify_by(&gateway, (NOW + seconds) * NANOS).map_err(|refused| refused.code);
    assert_eq!(at(HOUR - 31).unwrap_err(), "token_lifetime");
    assert_eq!(at(HOUR - 30).unwrap().id().as_str(), "acme");
    // Remembered by now; a clock that is set back finds the same.
    assert_eq!(at(HOUR - 31).unwrap_err(), "token_lifetime");
}
