//! Settings with which no authenticator is built: the message names the setting and holds no secret.

use super::*;

fn mistake(change: impl FnOnce(&mut Settings)) -> String {
    let mut settings = settings();
    change(&mut settings);
    let message = build(&settings).expect_err("a mistake");
    for secret in [KEY_ACME, KEY_GLOBEX, PROXY_SECRET, HMAC_SECRET, "BEGIN"] {
        assert!(!message.contains(secret), "{message}");
    }
    message
}

fn rsa_issuer(settings: &mut Settings) -> &mut Issuer {
    settings.issuers.get_mut("rsa").unwrap()
}

#[test]
fn an_issuer_whose_key_does_not_fit_its_algorithms_is_told_at_start() {
    let cases: [(&str, IssuerKey, &[Algorithm]); 7] = [
        ("HS algorithms", KEYS.rsa.public_key(), &[Algorithm::HS256]),
        ("HS algorithms only", IssuerKey::Hmac(HMAC_SECRET.into()), &[Algorithm::RS256]),
        ("different kinds", KEYS.rsa.public_key(), &[Algorithm::RS256, Algorithm::ES256]),
        ("no PEM public key", KEYS.ec.public_key(), &[Algorithm::EdDSA]),
        ("ES384", KEYS.ec.public_key(), &[Algorithm::ES256, Algorithm::ES384]),
        ("is empty", KEYS.rsa.public_key(), &[]),
        (
            "private key",
            IssuerKey::PublicPem { pem: KEYS.rsa.private_pem(), path: "key.pem".into() },
            &[Algorithm::RS256],
        ),
    ];
    for (expected, key, algorithms) in cases {
        let message = mistake(|s| {
            rsa_issuer(s).key = key;
            rsa_issuer(s).algorithms = algorithms.to_vec();
        });
        assert!(message.starts_with("issuers.rsa: ") && message.contains(expected), "{message}");
    }
}

#[test]
fn an_rsa_issuer_takes_no_key_of_another_kind() {
    for key in [KEYS.ec.public_key(), KEYS.ed.public_key()] {
        let message = mistake(|s| rsa_issuer(s).key = key);
        assert!(message.starts_with("issuers.rsa: "), "{message}");
    }
}

#[test]
fn an_rsa_key_that_is_too_short_is_told_at_start() {
    let key = IssuerKey::PublicPem { pem: forge::short_rsa_pem(), path: "key.pem".into() };
    let message = mistake(|s| rsa_issuer(s).key = key);
    assert!(message.contains("holds no key that RS256 can be verified with"), "{message}");
}

#[test]
fn an_issuer_without_audience_is_told_at_start() {
    let message = mistake(|s| rsa_issuer(s).audience.clear());
    assert!(message.contains("audience"), "{message}");
}

#[test]
fn two_issuers_of_one_name_are_told_at_start() {
    let message = mistake(|s| rsa_issuer(s).issuer = "https://ec.example".to_owned());
    assert!(message.contains("issuers.rsa.issuer") && message.contains("issuers.ec"), "{message}");
}

#[test]
fn a_key_of_two_tenants_is_told_at_start() {
    let message = mistake(|s| {
        let globex = s.tenants.get_mut(&TenantId::parse("globex").unwrap()).unwrap();
        globex.keys.get_mut("web").unwrap().key = KEY_ACME.into();
    });
    assert!(message.contains("tenants.globex.keys.web") && message.contains("tenants.acme.keys.web"), "{message}");
}

#[test]
fn a_rule_that_is_no_origin_is_told_at_start() {
    let message = mistake(|s| {
        let globex = s.tenants.get_mut(&TenantId::parse("globex").unwrap()).unwrap();
        globex.keys.get_mut("web").unwrap().origins = vec![OriginRule::Exact("globex.example".to_owned())];
    });
    assert!(message.contains("origins"), "{message}");
}
