//! `X-Tenant-ID`, trusted proxies, and several credentials in one request.

use serde_json::json;

use super::forge::{claims, with};
use super::*;
use crate::auth::Proof;

/// A trusted proxy's request.
fn proxied(tenant: &str) -> Request {
    request().peer("10.1.2.3").secret(PROXY_SECRET).tenant(tenant)
}

#[test]
fn a_tenant_header_is_believed_from_a_trusted_proxy_alone() {
    let missing = Err(Code::CredentialMissing);
    let acme = KEYS.rsa.token(&claims());
    let rows = vec![
        row("nothing at all", request(), missing),
        row("Basic alone", request().authorization("Basic YWNtZTphY21lYWNtZQ=="), missing),
        row("straight from a browser", request().peer("203.0.113.9").tenant("acme"), missing),
        row("without a peer address", request().tenant("acme"), missing),
        row("trusted proxy", proxied("acme"), Ok("acme")),
        row(
            "trusted proxy, mapped address",
            request().peer("::ffff:10.1.2.3").secret(PROXY_SECRET).tenant("acme"),
            Ok("acme"),
        ),
        row("trusted proxy, mapped net", request().peer("192.0.2.7").secret(PROXY_SECRET).tenant("acme"), Ok("acme")),
        row("trusted proxy, IPv6", request().peer("fd00::1").secret(PROXY_SECRET).tenant("acme"), Ok("acme")),
        row(
            "the secret from a stranger",
            request().peer("203.0.113.9").secret(PROXY_SECRET).tenant("acme"),
            Err(Code::ProxyNotTrusted),
        ),
        row(
            "a guess from a stranger is told the same",
            request().peer("203.0.113.9").secret("a guess at the secret").tenant("acme"),
            Err(Code::ProxyNotTrusted),
        ),
        row("trusted address, no secret", request().peer("10.1.2.3").tenant("acme"), Err(Code::ProxySecret)),
        row(
            "trusted address, wrong secret",
            request().peer("10.1.2.3").secret("a guess at the secret").tenant("acme"),
            Err(Code::ProxySecret),
        ),
        row(
            "trusted address, empty secret",
            request().peer("10.1.2.3").secret("").tenant("acme"),
            Err(Code::ProxySecret),
        ),
        row(
            "trusted address, the secret's beginning",
            request().peer("10.1.2.3").secret(&PROXY_SECRET[..20]).tenant("acme"),
            Err(Code::ProxySecret),
        ),
        row("two secrets, one right", proxied("acme").secret("a guess at the secret"), Err(Code::HeaderDuplicated)),
        row("secret without header", request().peer("10.1.2.3").secret(PROXY_SECRET), missing),
        row("header twice, equal", proxied("acme").tenant("acme"), Err(Code::HeaderDuplicated)),
        row("the client's copy beside the proxy's", proxied("acme").tenant("globex"), Err(Code::HeaderDuplicated)),
        row("two in one header", proxied("acme, globex"), Err(Code::TenantHeaderMalformed)),
        row("unfilled placeholder", proxied("{http.auth.user.tenant}"), Err(Code::TenantHeaderMalformed)),
        row("empty", proxied(""), Err(Code::TenantHeaderMalformed)),
        row(
            "no text",
            request().peer("10.1.2.3").secret(PROXY_SECRET).tenant(b"\xff"),
            Err(Code::TenantHeaderMalformed),
        ),
        row("unknown tenant", proxied("ghost"), Err(Code::TenantUnknown)),
        row("disabled tenant", proxied("off"), Err(Code::TenantDisabled)),
        row("tenant that requires a JWT", proxied("strict"), Err(Code::TenantRequiresJwt)),
        row("proxy and JWT agree", proxied("acme").bearer(&acme), Ok("acme")),
        row("proxy and JWT disagree", proxied("globex").bearer(&acme), Err(Code::TenantMismatch)),
        row("proxy and a bad JWT", proxied("acme").bearer(&KEYS.other_rsa.token(&claims())), Err(Code::TokenSignature)),
        row("proxy and key agree", proxied("acme").key(KEY_ACME_ANY), Ok("acme")),
        row("proxy and key disagree", proxied("globex").key(KEY_ACME_ANY), Err(Code::TenantMismatch)),
        row(
            "wrong proxy secret beside a good JWT",
            request().peer("10.1.2.3").secret("a guess at the secret").tenant("acme").bearer(&acme),
            Err(Code::ProxySecret),
        ),
        row(
            "proxy with a JWT where one is required",
            proxied("strict").bearer(&KEYS.rsa.token(&with(json!({ "tenant_id": "strict" })))),
            Ok("strict"),
        ),
    ];
    try_all(rows, 30);
}

#[test]
fn from_anyone_else_the_header_is_only_compared() {
    let acme = KEYS.rsa.token(&claims());
    let mismatch = Err(Code::TenantMismatch);
    let rows = vec![
        row("JWT, equal", request().bearer(&acme).tenant("acme"), Ok("acme")),
        row("JWT, other", request().bearer(&acme).tenant("globex"), mismatch),
        row("JWT, other case", request().bearer(&acme).tenant("ACME"), mismatch),
        row("JWT, empty", request().bearer(&acme).tenant(""), mismatch),
        row("JWT, equal and more", request().bearer(&acme).tenant("acme "), mismatch),
        row("key, equal", request().key(KEY_ACME_ANY).tenant("acme"), Ok("acme")),
        row("key, other", request().key(KEY_ACME_ANY).tenant("globex"), mismatch),
        row(
            "a listed address without the secret, other",
            request().peer("10.1.2.3").key(KEY_ACME_ANY).tenant("globex"),
            mismatch,
        ),
        row(
            "a stranger's secret gives the header no weight",
            request().peer("203.0.113.9").secret(PROXY_SECRET).key(KEY_ACME_ANY).tenant("globex"),
            mismatch,
        ),
    ];
    try_all(rows, 9);
}

#[test]
fn credentials_that_disagree_are_refused() {
    let acme = KEYS.rsa.token(&claims());
    let globex = KEYS.rsa.token(&with(json!({ "tenant_id": "globex" })));
    let expired = KEYS.rsa.token(&with(json!({ "exp": 1 })));
    let conflict = Err(Code::CredentialsConflict);
    let page = "https://globex.example";
    let rows = vec![
        row("JWT and key agree", request().bearer(&acme).key(KEY_ACME_ANY), Ok("acme")),
        row("JWT and key disagree", request().bearer(&acme).key(KEY_GLOBEX).origin(page), conflict),
        row("two keys agree", request().key(KEY_ACME_ANY).key(KEY_ACME).origin("https://app.example"), Ok("acme")),
        row("two keys disagree", request().key(KEY_ACME_ANY).key(KEY_GLOBEX).origin(page), conflict),
        row("two Authorization headers disagree", request().bearer(&acme).bearer(&globex), conflict),
        row("Authorization and ?access_token= disagree", request().bearer(&acme).access_token(&globex), conflict),
        row("?access_token= twice", request().access_token(&globex).access_token(&acme), conflict),
        row("a bad JWT beside a good one", request().bearer(&acme).bearer(&expired), Err(Code::TokenExpired)),
        row("a bad JWT beside a good key", request().key(KEY_ACME_ANY).bearer(&expired), Err(Code::TokenExpired)),
        row("a bad key beside a good JWT", request().bearer(&acme).key("tk_nobody"), Err(Code::WriteKeyUnknown)),
        row(
            "a key from a wrong page beside a good JWT",
            request().bearer(&acme).key(KEY_ACME).origin(page),
            Err(Code::OriginNotAllowed),
        ),
        row("Basic beside a key", request().authorization("Basic YWNtZTphY21lYWNtZQ==").key(KEY_ACME_ANY), Ok("acme")),
        row(
            "five credentials",
            request().bearer(&acme).bearer(&acme).bearer(&acme).bearer(&acme).key(KEY_ACME_ANY),
            Err(Code::CredentialsTooMany),
        ),
    ];
    try_all(rows, 13);
}

#[test]
fn the_strongest_proof_is_the_one_that_is_told() {
    let acme = KEYS.rsa.token(&claims());
    let proof = |request: Request| request.verify().unwrap().proof().clone();
    assert_eq!(proof(request().key(KEY_ACME_ANY)), Proof::WriteKey("any".to_owned()));
    assert_eq!(proof(request().key(KEY_ACME_ANY).bearer(&acme)), Proof::Jwt("rsa".to_owned()));
    assert_eq!(proof(proxied("acme")), Proof::Proxy);
    assert_eq!(proof(proxied("acme").key(KEY_ACME_ANY)), Proof::Proxy);
    assert_eq!(proof(proxied("acme").bearer(&acme)), Proof::Jwt("rsa".to_owned()));
}

#[test]
fn without_a_secret_in_the_settings_no_proxy_is_trusted() {
    for secrets in [vec![], vec!["".into()]] {
        let mut settings = settings();
        settings.server.proxy_secrets = secrets;
        let authenticator = build(&settings).unwrap();
        for shown in [vec![], vec![b"".as_slice()]] {
            let presented = Presented {
                tenant_header: vec![b"acme"],
                proxy_secret: shown,
                peer: Some("10.1.2.3".parse().unwrap()),
                ..Presented::default()
            };
            assert_eq!(
                authenticator.verify(&presented, NOW * NANOS, &|| Ok(())).unwrap_err().kind,
                Refusal::Unauthenticated
            );
        }
    }
}
