//! The steps agree with what a request gets, and show what somebody on call needs.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::super::jwks::tests::provider::{Provider, Reply, keys};
use super::super::tests::forge::{claims, header, with};
use super::super::tests::{KEYS, NANOS, NOW, Signer, settings};
use super::super::{Authenticator, Code};
use super::*;
use crate::config::{Algorithm, Issuer};

async fn explained(settings: &Settings, token: &str, origin: Option<&str>) -> Explanation {
    explain(settings, token, origin, &Clock::manual(NOW * NANOS)).await.unwrap()
}

impl Explanation {
    /// The code of the first step that does not hold.
    fn first_bad(&self) -> Option<&'static str> {
        self.steps.iter().find_map(|step| match step.found {
            Found::Bad { code, .. } => code,
            _ => None,
        })
    }

    fn text(&self, name: &str) -> String {
        let step = self.steps.iter().find(|step| step.name == name).unwrap_or_else(|| panic!("no {name}: {self:?}"));
        match &step.found {
            Found::Good(text) | Found::Note(text) => text.clone(),
            Found::Bad { why, .. } => why.clone(),
        }
    }
}

/// What the gateway itself says, and that the steps say the same.
async fn agree(settings: &Settings, token: &str, expected: Result<&str, Code>) -> Explanation {
    let explanation = explained(settings, token, None).await;
    let sets = KeySets::new(Clock::manual(NOW * NANOS), Arc::new(Metrics::new().unwrap())).unwrap();
    let directory = Arc::new(Directory::of(settings, &Arc::default()));
    let authenticator = Authenticator::new(settings, directory, &sets).unwrap();
    sets.run_due().await;
    let presented = Presented { access_token: vec![token.to_owned()], ..Presented::default() };
    let ask = || authenticator.verify(&presented, NOW * NANOS, &|| Ok(()));
    let mut verified = ask();
    if verified.as_ref().is_err_and(|e| e.code == Code::IssuerKeysLoading.as_str()) {
        sets.run_due().await;
        verified = ask();
    }
    let got = verified.as_ref().map(|tenant| tenant.id().as_str()).map_err(|e| e.code);
    assert_eq!(got, expected.map_err(Code::as_str), "{explanation:?}");
    let said = explanation.verdict.as_ref().map(|tenant| tenant.id().as_str()).map_err(|e| e.code);
    assert_eq!(said, got, "{explanation:?}");
    assert_eq!(explanation.first_bad(), got.err(), "{explanation:?}");
    explanation
}

#[tokio::test]
async fn every_step_that_fails_is_named_as_the_gateway_names_it() {
    let mut settings = settings();
    let rsa = settings.issuers.get_mut("rsa").unwrap();
    rsa.denied_jti = BTreeSet::from(["stolen".to_owned()]);
    rsa.denied_sub = BTreeSet::from(["mallory".to_owned()]);
    let signed = |changes: Value| KEYS.rsa.token(&with(changes));
    let rows = [
        (signed(json!({})), Ok("acme")),
        ("no.jwt".to_owned(), Err(Code::TokenMalformed)),
        ("a".repeat(9_000), Err(Code::TokenTooLarge)),
        (KEYS.rsa.sign(r#"{"alg":"RS256","crit":["x"]}"#, &claims().to_string()), Err(Code::TokenMalformed)),
        (signed(json!({ "iss": "https://evil.example" })), Err(Code::TokenIssuerUnknown)),
        (signed(json!({ "iss": null })), Err(Code::TokenIssuerUnknown)),
        (KEYS.rsa.sign(&header("ES256"), &claims().to_string()), Err(Code::TokenSignature)),
        (KEYS.rsa.sign(&header("none"), &claims().to_string()), Err(Code::TokenSignature)),
        (KEYS.other_rsa.token(&claims()), Err(Code::TokenSignature)),
        (signed(json!({ "exp": NOW - 3_600 })), Err(Code::TokenExpired)),
        (signed(json!({ "exp": null })), Err(Code::TokenMalformed)),
        (signed(json!({ "exp": 1e300 })), Ok("acme")),
        (signed(json!({ "exp": -1e300 })), Err(Code::TokenExpired)),
        (signed(json!({ "nbf": NOW + 3_600, "exp": NOW + 7_200 })), Err(Code::TokenNotYetValid)),
        (KEYS.other_rsa.token(&with(json!({ "exp": NOW - 3_600, "aud": "x" }))), Err(Code::TokenExpired)),
        (signed(json!({ "jti": "stolen", "aud": "x" })), Err(Code::TokenRevoked)),
        (signed(json!({ "sub": "mallory" })), Err(Code::TokenRevoked)),
        (signed(json!({ "aud": ["billing", "crm"] })), Err(Code::TokenAudience)),
        (signed(json!({ "tenant_id": ["acme"] })), Err(Code::TokenTenantClaim)),
        (signed(json!({ "tenant_id": "off" })), Err(Code::TenantDisabled)),
        (signed(json!({ "tenant_id": "umbrella" })), Err(Code::TenantUnknown)),
        (signed(json!({ "iss": "tenant:acme", "aud": "tagline" })), Err(Code::TokenSignature)),
    ];
    for (token, expected) in rows {
        let explanation = agree(&settings, &token, expected).await;
        let shown = format!("{:?}", explanation.steps);
        if let Some((message, signature)) = token.rsplit_once('.').filter(|(_, signature)| signature.len() > 20) {
            assert!(!shown.contains(signature) && !shown.contains(message), "{shown}");
        }
    }
}

#[tokio::test]
async fn the_steps_after_one_that_fails_are_told_too() {
    let token = KEYS.other_rsa.token(&with(json!({ "exp": NOW - 7_320, "aud": "crm", "tenant_id": "umbrella" })));
    let explanation = explained(&settings(), &token, None).await;
    assert_eq!(explanation.text("issuer"), "issuers.rsa");
    assert_eq!(explanation.text("algorithm"), "one of those of the issuer: RS256, PS256");
    let times = explanation.text("times");
    assert!(times.starts_with("ended 2h 2m ago (2025-12-31T21:58:00Z), with a leeway of 30s: "), "{times}");
    assert!(explanation.text("says").contains("aud \"crm\", exp 2025-12-31T21:58:00Z, no nbf, tenant_id \"umbrella\""));
    let bad: Vec<&str> =
        explanation.steps.iter().filter(|s| matches!(s.found, Found::Bad { .. })).map(|s| s.name).collect();
    assert_eq!(bad, ["times", "signature", "audience", "tenant"]);
}

#[tokio::test]
async fn a_claims_value_may_stand_for_a_tenant_and_a_tenant_may_be_unlisted() {
    let mut settings = settings();
    let acme = TenantId::parse("acme").unwrap();
    settings.issuers.get_mut("rsa").unwrap().tenants = BTreeMap::from([("customer 7".to_owned(), acme)]);
    let token = KEYS.rsa.token(&with(json!({ "tenant_id": "customer 7" })));
    let explanation = agree(&settings, &token, Ok("acme")).await;
    assert_eq!(explanation.text("tenant claim"), "stands for tenant acme by issuers.rsa.tenants");
    agree(&settings, &KEYS.rsa.token(&claims()), Err(Code::TokenTenantClaim)).await;

    settings.issuers.get_mut("rsa").unwrap().tenants.clear();
    settings.tenant_defaults.unknown = Unknown::Accept { most: 1 };
    let token = KEYS.rsa.token(&with(json!({ "tenant_id": "umbrella" })));
    let explanation = agree(&settings, &token, Ok("umbrella")).await;
    assert!(explanation.text("tenant").contains("umbrella is not listed"), "{explanation:?}");
}

#[tokio::test]
async fn what_a_token_says_is_shown_escaped_and_short() {
    let evil = format!("\u{1b}[2J\n{}", "x".repeat(500));
    let header = json!({ "alg": "RS256", "kid": evil }).to_string();
    let claims = with(json!({ "aud": [evil.clone()], "tenant_id": { "a": evil }, "nbf": evil, "iss": evil }));
    let token = KEYS.rsa.sign(&header, &claims.to_string());
    let explanation = explained(&settings(), &token, None).await;
    for step in &explanation.steps {
        let text = explanation.text(step.name);
        assert!(text.len() < 700 && !text.contains(['\u{1b}', '\n']), "{}: {text}", step.name);
    }
}

#[tokio::test]
async fn an_origin_is_told_with_the_host_that_it_makes() {
    let token = KEYS.rsa.token(&claims());
    for (origin, part, taken) in [
        ("https://app.example", "host \"app.example\"", true),
        ("https://evil.example", "without the tag host", true),
        ("no origin", "scheme://host", true),
    ] {
        let explanation = explained(&settings(), &token, Some(origin)).await;
        assert!(explanation.text("origin").contains(part), "{explanation:?}");
        assert_eq!(explanation.verdict.is_ok(), taken, "{origin}");
    }
}

fn published(url: String) -> Settings {
    let mut settings = settings();
    let issuer = settings.issuers.remove("rsa").unwrap();
    let issuer = Issuer { key: IssuerKey::Jwks { url }, algorithms: vec![Algorithm::RS256], ..issuer };
    settings.issuers.insert("idp".to_owned(), issuer);
    settings
}

#[tokio::test]
async fn published_keys_are_fetched_and_the_one_that_is_meant_is_named() {
    let named = |signer: &Signer, kid: &str| {
        let mut jwk = signer.jwk();
        jwk["kid"] = json!(kid);
        jwk
    };
    let mut provider = Provider::start(keys(&[named(&KEYS.other_rsa, "old"), named(&KEYS.rsa, "new")])).await;
    let settings = published(provider.url());
    let token = |kid: &str| KEYS.rsa.sign(&json!({ "alg": "RS256", "kid": kid }).to_string(), &claims().to_string());
    let explanation = agree(&settings, &token("new"), Ok("acme")).await;
    assert_eq!(explanation.text("published keys"), format!("2 from {}: \"old\", \"new\"", provider.url()));
    assert_eq!(explanation.text("key"), "kid \"new\" of the published ones");
    agree(&settings, &token("made up"), Err(Code::TokenKeyUnknown)).await;
    agree(&settings, &KEYS.rsa.token(&claims()), Err(Code::TokenKeyUnknown)).await;

    // A token of another issuer is none of that server's business.
    let before = provider.count();
    explained(&settings, &KEYS.hmac.token(&with(json!({ "iss": "https://hmac.example" }))), None).await;
    explained(&settings, "no.jwt", None).await;
    assert_eq!(provider.count(), before);

    provider.reply(Reply::Raw(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n".to_vec()));
    let explanation = agree(&settings, &token("new"), Err(Code::IssuerKeysLoading)).await;
    assert!(explanation.text("published keys").ends_with(": the server answered 500"), "{explanation:?}");
    provider.go_away().await;
    agree(&settings, &token("new"), Err(Code::IssuerKeysLoading)).await;
}
