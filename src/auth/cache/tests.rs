//! What is remembered changes no verdict, costs no signature check, and is bounded.

use std::cell::Cell;
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use serde_json::json;

use super::super::token::{Statement, Verdict, Window};
use super::super::{AuthError, Code, Proof, Rights};
use super::{MOST_BAD, VerifiedTokens};
use crate::auth::tests::{KEYS, NANOS, NOW, Signer, build_with, key_sets, settings, token_claims};
use crate::auth::{Authenticator, KeySets, Presented};
use crate::config::TenantId;

const NOW_NANOS: i64 = NOW * NANOS;

/// One for all: each new one reads the machine's certificates.
static SETS: LazyLock<KeySets> = LazyLock::new(key_sets);

fn gateway() -> Authenticator {
    build_with(&settings(), &SETS).unwrap()
}

/// What a token is worth at a time, and how many signature checks that took.
fn present(
    gateway: &Authenticator,
    token: &str,
    origin: Option<&str>,
    now: i64,
) -> (Result<String, &'static str>, u32) {
    let checks = Cell::new(0);
    let origin = origin.map_or_else(Vec::new, |origin| vec![origin.as_bytes()]);
    let presented = Presented { access_token: vec![token.to_owned()], origin, ..Presented::default() };
    let may_cost = || {
        checks.set(checks.get() + 1);
        Ok(())
    };
    let verdict = gateway.verify(&presented, now, &may_cost);
    (verdict.map(|tenant| tenant.id().to_string()).map_err(|refused| refused.code), checks.get())
}

fn at(gateway: &Authenticator, token: &str, now: i64) -> (Result<String, &'static str>, u32) {
    present(gateway, token, None, now)
}

fn good() -> Result<String, &'static str> {
    Ok("acme".to_owned())
}

#[test]
fn a_good_token_is_checked_once_a_minute() {
    let (gateway, token) = (gateway(), KEYS.rsa.token(&token_claims(json!({ "exp": NOW + 3_600 }))));
    assert_eq!(at(&gateway, &token, NOW_NANOS), (good(), 1));
    for later in [0, 1, 59 * NANOS, 60 * NANOS - 1] {
        assert_eq!(at(&gateway, &token, NOW_NANOS + later), (good(), 0), "{later}");
    }
    assert_eq!(at(&gateway, &token, NOW_NANOS + 60 * NANOS), (good(), 1));
    assert_eq!(at(&gateway, &token, NOW_NANOS + 90 * NANOS), (good(), 0));
}

#[test]
fn a_remembered_token_ends_and_begins_at_its_nanosecond() {
    let gateway = gateway();
    // The leeway is 30 s.
    let token = KEYS.rsa.token(&token_claims(json!({ "exp": NOW - 20, "nbf": NOW - 10 })));
    assert_eq!(at(&gateway, &token, NOW_NANOS), (good(), 1));
    assert_eq!(at(&gateway, &token, NOW_NANOS + 10 * NANOS - 1), (good(), 0));
    assert_eq!(at(&gateway, &token, NOW_NANOS + 10 * NANOS), (Err("token_expired"), 0));
    let token = KEYS.rsa.token(&token_claims(json!({ "nbf": NOW + 30 })));
    assert_eq!(at(&gateway, &token, NOW_NANOS - 1), (Err("token_not_yet_valid"), 0));
    assert_eq!(at(&gateway, &token, NOW_NANOS), (good(), 1));
    assert_eq!(at(&gateway, &token, NOW_NANOS - 1), (Err("token_not_yet_valid"), 0));
}

#[test]
fn a_clock_that_is_set_back_makes_nothing_last_longer() {
    let (gateway, token) = (gateway(), KEYS.rsa.token(&token_claims(json!({ "exp": NOW + 9_000 }))));
    assert_eq!(at(&gateway, &token, NOW_NANOS), (good(), 1));
    assert_eq!(at(&gateway, &token, NOW_NANOS - 3_600 * NANOS), (good(), 1));
    assert_eq!(at(&gateway, &token, NOW_NANOS), (good(), 1), "checked an hour ago, by that clock");
    assert_eq!(at(&gateway, &token, NOW_NANOS - 1), (good(), 1));
}

#[test]
fn a_bad_signature_is_remembered_for_five_seconds() {
    let (gateway, token) = (gateway(), KEYS.other_rsa.token(&token_claims(json!({}))));
    let bad = Err("token_signature");
    assert_eq!(at(&gateway, &token, NOW_NANOS), (bad.clone(), 1));
    assert_eq!(at(&gateway, &token, NOW_NANOS + 5 * NANOS - 1), (bad.clone(), 0));
    assert_eq!(at(&gateway, &token, NOW_NANOS + 5 * NANOS), (bad, 1));
}

#[test]
fn what_the_signer_says_in_vain_is_remembered_like_a_bad_signature() {
    for (claims, code) in
        [(json!({ "aud": "elsewhere" }), "token_audience"), (json!({ "tenant_id": "not an id" }), "token_tenant_claim")]
    {
        let (gateway, token) = (gateway(), KEYS.rsa.token(&token_claims(claims)));
        assert_eq!(at(&gateway, &token, NOW_NANOS), (Err(code), 1));
        assert_eq!(at(&gateway, &token, NOW_NANOS + 1), (Err(code), 0));
    }
}

#[test]
fn what_is_refused_without_a_signature_check_is_not_asked_for_one() {
    let gateway = gateway();
    let good = KEYS.rsa.token(&token_claims(json!({})));
    let cheap = [
        (KEYS.rsa.token(&token_claims(json!({ "exp": 1 }))), "token_expired"),
        (KEYS.rsa.token(&token_claims(json!({ "nbf": NOW + 3_600 }))), "token_not_yet_valid"),
        (KEYS.rsa.token(&token_claims(json!({ "iss": "https://nobody.example" }))), "token_issuer_unknown"),
        (KEYS.ec.token(&token_claims(json!({}))), "token_signature"),
        (format!("{good}.x"), "token_malformed"),
        ("x".repeat(9_000), "token_too_large"),
    ];
    for (token, code) in cheap {
        assert_eq!(at(&gateway, &token, NOW_NANOS), (Err(code), 0), "{code}");
    }
}

#[test]
fn a_refusal_of_the_cost_is_not_taken_for_a_verdict() {
    let (gateway, token) = (gateway(), KEYS.rsa.token(&token_claims(json!({}))));
    let presented = Presented { access_token: vec![token.clone()], ..Presented::default() };
    let limited = || Err(Code::CredentialsTooMany.because("this address has failed too often"));
    assert_eq!(gateway.verify(&presented, NOW_NANOS, &limited).unwrap_err().code, "credentials_too_many");
    assert_eq!(at(&gateway, &token, NOW_NANOS), (good(), 1));
    assert!(gateway.verify(&presented, NOW_NANOS, &limited).is_ok(), "a token that is known costs nothing");
}

#[test]
fn an_upload_token_is_remembered_and_its_origin_is_looked_at_each_time() {
    let gateway = gateway();
    let claims = json!({ "iss": "tenant:acme", "aud": "tagline", "exp": NOW + 60, "origin": "https://app.example" });
    let token = Signer::hmac(crate::auth::tests::UPLOAD_ACME[0]).token(&claims);
    let from = |origin| present(&gateway, &token, origin, NOW_NANOS);
    assert_eq!(from(Some("https://evil.example")), (Err("origin_not_allowed"), 1));
    assert_eq!(from(Some("https://app.example")), (good(), 0));
    assert_eq!(from(Some("https://evil.example")), (Err("origin_not_allowed"), 0));
    assert_eq!(from(None), (Err("origin_missing"), 0));
}

#[test]
fn a_generation_of_settings_begins_with_nothing_remembered() {
    let token = KEYS.rsa.token(&token_claims(json!({})));
    let before = gateway();
    assert_eq!(at(&before, &token, NOW_NANOS), (good(), 1));
    let mut without = settings();
    without.issuers.remove("rsa");
    assert_eq!(at(&build_with(&without, &SETS).unwrap(), &token, NOW_NANOS), (Err("token_issuer_unknown"), 0));
    assert_eq!(at(&gateway(), &token, NOW_NANOS), (good(), 1));
}

/// A verdict that is good for `acme`, or bad.
fn verdict(is_good: bool) -> Arc<Verdict> {
    match is_good {
        true => good_by(Proof::Jwt("rsa".to_owned())),
        false => that_says(Err(Code::TokenSignature.because("signed by somebody else"))),
    }
}

fn good_by(proof: Proof) -> Arc<Verdict> {
    let tenant = TenantId::parse("acme").unwrap();
    that_says(Ok(Statement { tenant, proof, rights: Rights::All, origin: None }))
}

fn that_says(says: Result<Statement, AuthError>) -> Arc<Verdict> {
    let window = Window { from: None, until: i128::MAX, in_reach: None };
    Arc::new(Verdict { window, says, keys: None })
}

fn digest(n: usize) -> [u8; 32] {
    crate::auth::fingerprint(n.to_le_bytes())
}

#[test]
fn a_flood_of_bad_tokens_pushes_out_no_good_one_and_takes_bounded_room() {
    let tokens = VerifiedTokens::default();
    for n in 0..1_000 {
        tokens.remember(digest(n), verdict(true), NOW_NANOS);
    }
    for n in 1_000..1_000 + 20 * MOST_BAD {
        tokens.remember(digest(n), verdict(false), NOW_NANOS);
    }
    assert_eq!(tokens.good.len(), 1_000, "none was added to the good ones");
    let kept = (0..1_000).filter(|n| tokens.get(&digest(*n), NOW_NANOS).is_some()).count();
    assert_eq!(kept, 1_000);
    assert!(tokens.bad.len() <= MOST_BAD, "{}", tokens.bad.len());
}

#[test]
fn good_tokens_take_bounded_room_too() {
    let tokens = VerifiedTokens::new(512, 16, 64);
    for n in 0..10_000 {
        tokens.remember(digest(n), verdict(true), NOW_NANOS);
    }
    assert!(tokens.good.len() <= 512, "{}", tokens.good.len());
}

#[test]
fn a_tenant_that_mints_upload_tokens_without_end_pushes_out_no_issuers() {
    let tokens = VerifiedTokens::new(512, 16, 64);
    for n in 0..256 {
        tokens.remember(digest(n), verdict(true), NOW_NANOS);
    }
    for n in 256..10_000 {
        tokens.remember(digest(n), good_by(Proof::UploadToken("2026".to_owned())), NOW_NANOS);
        assert!(tokens.get(&digest(n), NOW_NANOS).is_some(), "the last one is remembered");
    }
    let kept = (0..256).filter(|n| tokens.get(&digest(*n), NOW_NANOS).is_some()).count();
    assert_eq!((kept, tokens.good.len()), (256, 256));
    assert!(tokens.uploads.len() <= 16, "{}", tokens.uploads.len());
}

#[test]
fn debug_shows_no_digest() {
    let tokens = VerifiedTokens::default();
    tokens.remember([7; 32], verdict(true), NOW_NANOS);
    assert_eq!(format!("{tokens:?}"), "VerifiedTokens { good: 1, uploads: 0, bad: 0 }");
}

/// Run longer by `make fuzz`.
mod property {
    use super::*;

    /// Tokens of every kind of end, each with the origin that it is presented from.
    static TOKENS: LazyLock<Vec<String>> = LazyLock::new(|| {
        let upload =
            json!({ "iss": "tenant:acme", "aud": "tagline", "exp": NOW + 3_630, "origin": "https://app.example" });
        vec![
            KEYS.rsa.token(&token_claims(json!({ "exp": NOW + 50 }))),
            KEYS.rsa.token(&token_claims(json!({ "exp": NOW + 500, "nbf": NOW + 40, "tenant_id": "globex" }))),
            KEYS.rsa.token(&token_claims(json!({ "exp": NOW as f64 + 20.5, "aud": "elsewhere" }))),
            KEYS.rsa.token(&token_claims(json!({ "exp": NOW + 90, "tenant_id": 7 }))),
            KEYS.rsa.token(&token_claims(json!({ "tenant_id": "off" }))),
            KEYS.rsa.token(&token_claims(json!({ "tenant_id": "ghost" }))),
            KEYS.other_rsa.token(&token_claims(json!({ "exp": NOW + 30 }))),
            Signer::hmac(crate::auth::tests::UPLOAD_ACME[0]).token(&upload),
            Signer::hmac("a secret that nobody here was told of").token(&upload),
        ]
    });

    proptest! {
        #![proptest_config(crate::property::config(64))]

        /// Whatever was presented before, and wherever the clock went: a gateway that remembers answers as one that was just started.
        #[test]
        fn what_is_remembered_changes_no_verdict(
            steps in proptest::collection::vec((0..9usize, -40_000..160_000i64, 0..3usize), 1..40),
        ) {
            let remembers = gateway();
            for (which, millis, origin) in steps {
                let now = NOW_NANOS + millis * 1_000_000;
                let origin = [None, Some("https://app.example"), Some("https://evil.example")][origin];
                let token = &TOKENS[which];
                let (fresh, _) = present(&gateway(), token, origin, now);
                let (remembered, _) = present(&remembers, token, origin, now);
                prop_assert_eq!(remembered, fresh, "token {} at {} ms from {:?}", which, millis, origin);
            }
        }
    }
}
