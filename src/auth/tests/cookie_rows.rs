//! A token in a cookie: which a browser sends unasked, whatever page made it send.

use serde_json::json;

use super::forge::{claims, with};
use super::*;

const APP: &str = "https://app.example";

/// A browser's cookies, from a page of this origin.
fn from(origin: &str, cookies: &str) -> Request {
    request().cookie(cookies).origin(origin)
}

fn session(token: &str) -> String {
    format!("theme=dark; {COOKIE}={token}; lang=en")
}

#[test]
fn a_token_in_a_cookie_counts_alone_and_from_a_page_of_its_tenant() {
    let acme = KEYS.rsa.token(&claims());
    let cookies = session(&acme);
    let globex = KEYS.rsa.token(&with(json!({ "tenant_id": "globex" })));
    let strict = KEYS.rsa.token(&with(json!({ "tenant_id": "strict" })));
    let ghost = KEYS.rsa.token(&with(json!({ "tenant_id": "ghost" })));
    let expired = KEYS.rsa.token(&with(json!({ "exp": 1 })));
    let forged = KEYS.other_rsa.token(&claims());
    let not_allowed = Err(Code::OriginNotAllowed);
    let twice = Err(Code::HeaderDuplicated);
    let rows = vec![
        row("from a key's origin", from(APP, &cookies), Ok("acme")),
        row("from a tenant's own origin", from("https://intranet.example", &cookies), Ok("acme")),
        row("from a listed subdomain", from("https://shop.acme.example", &cookies), Ok("acme")),
        row("the only cookie", from(APP, &format!("{COOKIE}={acme}")), Ok("acme")),
        row("in the second Cookie header", from(APP, "a=b").cookie(&cookies), Ok("acme")),
        row("blanks around", from(APP, &format!(" a=b ;\t{COOKIE}={acme} ; c=d")), Ok("acme")),
        row("where a JWT is required", from("https://strict.example", &session(&strict)), Ok("strict")),
        // Origins.
        row("from another site", from("https://evil.example", &cookies), not_allowed),
        row("from another tenant's site", from("https://globex.example", &cookies), not_allowed),
        row("from the origin of the token's tenant, not of another", from(APP, &session(&globex)), not_allowed),
        row("over http", from("http://app.example", &cookies), not_allowed),
        row("the origin as a prefix", from("https://app.example.evil.com", &cookies), not_allowed),
        row("Origin: null", from("null", &cookies), not_allowed),
        row("no Origin", request().cookie(&cookies), Err(Code::OriginMissing)),
        row("no Origin, expired", request().cookie(session(&expired)), Err(Code::OriginMissing)),
        row("no origin at all, in words", from("nonsense", &cookies), Err(Code::OriginMalformed)),
        row("two Origins", from(APP, &cookies).origin(APP), twice),
        row(
            "a tenant of which only * is listed has no pages",
            from("https://off.example", &session(&KEYS.rsa.token(&with(json!({ "tenant_id": "keyless" }))))),
            not_allowed,
        ),
        row("a tenant that is not listed", from(APP, &session(&ghost)), Err(Code::TenantUnknown)),
        // The token.
        row("expired", from(APP, &session(&expired)), Err(Code::TokenExpired)),
        row("forged", from(APP, &session(&forged)), Err(Code::TokenSignature)),
        row("no token", from(APP, &session("s3ss10n-1d-of-another-kind")), Err(Code::TokenMalformed)),
        row("no text", request().cookie(b"__Host-session=\xff\xfe").origin(APP), Err(Code::TokenMalformed)),
        row("quoted", from(APP, &format!("{COOKIE}=\"{acme}\"")), Err(Code::TokenMalformed)),
        row("empty: signed out", from(APP, &format!("{COOKIE}=; a=b")), Err(Code::CredentialMissing)),
        // The name.
        row("another name", from(APP, &format!("session={acme}")), Err(Code::CredentialMissing)),
        row("another case", from(APP, &format!("__host-session={acme}")), Err(Code::CredentialMissing)),
        row("a name that ends so", from(APP, &format!("x{COOKIE}={acme}")), Err(Code::CredentialMissing)),
        row("a name that begins so", from(APP, &format!("{COOKIE}2={acme}")), Err(Code::CredentialMissing)),
        row("in another cookie's value", from(APP, &format!("a={COOKIE}={acme}")), Err(Code::CredentialMissing)),
        row("twice, equal", from(APP, &format!("{COOKIE}={acme}; {COOKIE}={acme}")), twice),
        row("twice, another", from(APP, &format!("{COOKIE}={acme}; {COOKIE}={globex}")), twice),
        row("twice, one empty", from(APP, &format!("{COOKIE}=; {COOKIE}={acme}")), twice),
        row("twice, over two headers", from(APP, &cookies).cookie(&cookies), twice),
        // Beside what was sent on purpose it does not count, good or bad.
        row("beside a key", from("https://globex.example", &cookies).key(KEY_GLOBEX), Ok("globex")),
        row("a bad one beside a key", from("https://globex.example", &session(&forged)).key(KEY_GLOBEX), Ok("globex")),
        row("beside a bad key", from(APP, &cookies).key("tk_nobody"), Err(Code::WriteKeyUnknown)),
        row("beside a Bearer token", from(APP, &cookies).bearer(&globex), Ok("globex")),
        row("beside a bad Bearer token", from(APP, &cookies).bearer(&forged), Err(Code::TokenSignature)),
        row("beside ?access_token=", from(APP, &cookies).access_token(&globex), Ok("globex")),
        row(
            "beside Basic, which is no credential of ours",
            from(APP, &cookies).authorization("Basic eDp5"),
            Ok("acme"),
        ),
        row(
            "beside a trusted proxy",
            from(APP, &cookies).peer("10.1.2.3").secret(PROXY_SECRET).tenant("globex"),
            Ok("globex"),
        ),
        row(
            "beside a proxy's wrong secret",
            from(APP, &cookies).peer("10.1.2.3").secret("a guess at the secret").tenant("acme"),
            Err(Code::ProxySecret),
        ),
        row("a stranger's X-Tenant-ID, equal", from(APP, &cookies).tenant("acme"), Ok("acme")),
        row("a stranger's X-Tenant-ID, other", from(APP, &cookies).tenant("globex"), Err(Code::TenantMismatch)),
    ];
    try_all(rows, 45);
}

#[test]
fn without_the_setting_no_cookie_is_read() {
    let mut settings = settings();
    settings.server.token_cookie = None;
    let gateway = build(&settings).unwrap();
    let refused = from(APP, &session(&KEYS.rsa.token(&claims()))).verify_by(&gateway, NOW * NANOS).unwrap_err();
    assert_eq!(refused.code, "credential_missing");
}

#[test]
fn a_tenant_that_is_vouched_for_has_no_pages_and_takes_no_place_by_a_cookie() {
    let mut settings = settings();
    settings.tenant_defaults.unknown = config::Unknown::Accept { most: 1 };
    let gateway = build(&settings).unwrap();
    let token = |tenant: &str| KEYS.rsa.token(&with(json!({ "tenant_id": tenant })));
    let by_cookie = from(APP, &session(&token("first"))).verify_by(&gateway, NOW * NANOS);
    assert_eq!(by_cookie.unwrap_err().code, "tenant_unknown");
    assert!(request().bearer(&token("second")).verify_by(&gateway, NOW * NANOS).is_ok(), "the one place is free");
}
