//! What of a set is taken.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm as Alg;

use super::super::keys::{Found, KeySet, MAX_KEYS};
use super::*;

fn read(keys: &[Value]) -> (KeySet, Vec<String>) {
    KeySet::read(set(keys).as_bytes()).expect("a set")
}

/// Why a key is left out.
fn left_out(key: Value) -> String {
    let (taken, skipped) = read(&[key.clone(), named(&KEYS.ed, "another")]);
    assert_eq!(taken.names(), ["\"another\""], "{key} {skipped:?}");
    let [why] = &skipped[..] else { panic!("{skipped:?}") };
    why.clone()
}

fn modulus() -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(KEYS.rsa.jwk()["n"].as_str().unwrap()).unwrap()
}

#[test]
fn a_key_that_does_not_verify_signatures_of_its_issuer_is_left_out_and_spoils_no_other() {
    let rsa = |more: Value| jwk(&KEYS.rsa, more);
    let ec = |more: Value| jwk(&KEYS.ec, more);
    let n = modulus();
    let mut short = n[..128].to_vec();
    short[127] |= 1;
    let mut nearly = n.clone();
    nearly[0] = 0x7f;
    let rows = [
        (json!(7), "no JSON Web Key"),
        (json!({ "kid": "a" }), "no algorithm that is taken here"),
        (json!({ "kty": "RSA", "n": b64(&n) }), "no algorithm that is taken here"),
        (json!({ "kty": "oct", "k": b64("a shared secret of 32 characters"), "alg": "HS256" }), "shared secret"),
        (rsa(json!({ "use": "enc" })), "its use is not sig"),
        (rsa(json!({ "use": "" })), "its use is not sig"),
        (rsa(json!({ "key_ops": ["sign"] })), "key_ops"),
        (rsa(json!({ "key_ops": [] })), "key_ops"),
        (rsa(json!({ "alg": "HS256" })), "its alg is none"),
        (rsa(json!({ "alg": "ES256" })), "its alg is none"),
        (rsa(json!({ "alg": "RSA-OAEP" })), "its alg is none"),
        (rsa(json!({ "alg": "none" })), "its alg is none"),
        (rsa(json!({ "d": "AQAB" })), "private key"),
        (ec(json!({ "d": "AQAB" })), "private key"),
        (rsa(json!({ "kid": "k".repeat(257) })), "longer than 256 bytes"),
        (rsa(json!({ "kid": 7 })), "no JSON Web Key"),
        // 1024 bits, 2047, and 57.
        (rsa(json!({ "n": b64(short) })), "2048 to 8192 bits"),
        (rsa(json!({ "n": b64(nearly) })), "2048 to 8192 bits"),
        (rsa(json!({ "n": "AQABAQABAQE" })), "2048 to 8192 bits"),
        (rsa(json!({ "e": "AQ" })), "2048 to 8192 bits"),
        (rsa(json!({ "n": "" })), "RSA key"),
        (rsa(json!({ "n": "a+b/" })), "base64url"),
        (ec(json!({ "crv": "P-384" })), "no point on its curve"),
        (ec(json!({ "crv": "P-521" })), "neither P-256 nor P-384"),
        (ec(json!({ "crv": "secp256k1" })), "no algorithm that is taken here"),
        (ec(json!({ "x": b64([0; 32]) })), "no point on its curve"),
        (ec(json!({ "x": b64([1; 31]) })), "no point on its curve"),
        (ec(json!({ "alg": "ES384" })), "its alg is none"),
        (jwk(&KEYS.ed, json!({ "x": b64([1; 31]) })), "no point on its curve"),
        (jwk(&KEYS.ed, json!({ "crv": "X25519" })), "no algorithm that is taken here"),
        (jwk(&KEYS.ed, json!({ "alg": "ES256" })), "its alg is none"),
    ];
    for (key, expected) in rows {
        let why = left_out(key.clone());
        assert!(why.starts_with("number 1: ") && why.contains(expected), "{key}: {why}");
    }
}

#[test]
fn a_key_verifies_what_its_kind_and_its_own_alg_say() {
    let all =
        [Alg::RS256, Alg::RS384, Alg::RS512, Alg::PS256, Alg::PS384, Alg::PS512, Alg::ES256, Alg::ES384, Alg::EdDSA];
    let (rsa, p384) = (&KEYS.rsa, Signer::p384());
    let rows = [
        (rsa, json!({}), &all[..6]),
        (rsa, json!({ "use": "sig", "key_ops": ["verify"], "x5c": ["AAAA"], "x5t": "AAAA" }), &all[..6]),
        (rsa, json!({ "alg": "RS256" }), &all[..1]),
        (rsa, json!({ "alg": "PS512" }), &all[5..6]),
        (&KEYS.ec, json!({}), &all[6..7]),
        (&p384, json!({ "alg": "ES384" }), &all[7..8]),
        (&KEYS.ed, json!({ "alg": "EdDSA" }), &all[8..]),
    ];
    for (signer, more, expected) in rows {
        let (keys, skipped) = read(&[jwk(signer, more.clone())]);
        assert_eq!(skipped, Vec::<String>::new());
        let verifies = all.into_iter().filter(|alg| matches!(keys.find(None, *alg), Found::Key(_)));
        assert_eq!(verifies.collect::<Vec<_>>(), expected, "{more}");
        assert!(matches!(keys.find(None, Alg::HS256), Found::Nothing));
    }
    // A modulus with the zero that DER keeps it positive by.
    let mut zero = vec![0];
    zero.extend(modulus());
    assert_eq!(read(&[jwk(rsa, json!({ "n": b64(zero) }))]).0, read(&[rsa.jwk()]).0);
}

#[test]
fn no_more_keys_are_taken_than_a_set_may_have() {
    let many: Vec<Value> = (0..1_000).map(|n| named(&KEYS.ed, &format!("key-{n}"))).collect();
    let (keys, skipped) = read(&many);
    assert_eq!(keys.names().len(), MAX_KEYS);
    assert_eq!(skipped, ["all from number 65: a set has 64 keys at most"]);
    let odd = vec![json!({}); 1_000];
    assert_eq!(read(&odd).1.len(), MAX_KEYS + 1);
}

#[test]
fn what_a_log_shows_of_a_set_is_escaped_and_short() {
    let evil = format!("a\n\u{1b}[31m{}", "x".repeat(200));
    let (keys, skipped) = read(&[named(&KEYS.ed, &evil), jwk(&KEYS.rsa, json!({ "kid": evil, "use": "enc" }))]);
    let shown = format!("{} {}", keys.names()[0], skipped[0]);
    assert!(!shown.contains(['\n', '\u{1b}']) && shown.contains("\\n") && shown.len() < 300, "{shown}");
}

mod property {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(crate::property::config(500))]

        /// Whatever a server sends, reading ends, within bounds; and what is taken is one of its keys.
        #[test]
        fn any_document_is_read_or_refused(cut in 0..2_000_usize, at in 0..2_000_usize, byte: u8, junk: Vec<u8>) {
            let mut document = set(&[named(&KEYS.rsa, "a"), named(&KEYS.ec, "b"), named(&KEYS.ed, "c")]).into_bytes();
            let length = document.len();
            document[at % length] = byte;
            document.truncate(length - cut % 2 * (cut % length));
            for document in [&document, &junk] {
                if let Some((keys, _)) = KeySet::read(document) {
                    prop_assert!(keys.names().len() <= 3);
                }
            }
        }
    }
}
