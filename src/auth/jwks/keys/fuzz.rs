//! The fuzz target of published keys: see [`crate::fuzz`].

use serde_json::Value;

use super::{Algorithm, Found, KeySet, MAX_KEYS, MAX_KID};
use crate::fuzz::has_duplicates;

/// What a published key may verify.
const PUBLIC: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// Reads a set of keys: only public ones, of the kinds that are known, that are for signatures; bounded, and told in lines of a bounded length.
///
/// The whole input is the document.
pub fn jwks(document: &[u8]) -> bool {
    let json = serde_json::from_slice::<Value>(document).ok();
    let listed = json.as_ref().and_then(|json| json.get("keys")).and_then(Value::as_array);
    let Some((set, skipped)) = KeySet::read(document) else {
        // With `keys` twice two readers could see two sets: it is none.
        assert!(listed.is_none() || has_duplicates(document) != Some(false), "a set of keys was not read");
        return false;
    };
    assert!(set.len() <= MAX_KEYS && skipped.len() <= MAX_KEYS + 1);
    for line in &skipped {
        assert!(line.len() < 1_000 && !line.contains(char::is_control), "{line:?}");
    }
    let again = KeySet::read(document).expect("it was read a moment ago");
    assert!(again.0 == set && again.1 == skipped, "read twice, two sets");

    let shared = [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];
    assert_eq!(set.usable(&shared), 0, "a shared secret was taken from a document that anybody can read");
    assert_eq!(set.usable(&PUBLIC), set.len(), "a key that verifies nothing was kept");
    for kid in set.kids().map(Some).chain([None]) {
        assert!(kid.is_none_or(|kid| kid.len() <= MAX_KID));
        for algorithm in shared.into_iter().chain(PUBLIC) {
            match set.find(kid, algorithm) {
                Found::Key(key) => {
                    assert!(key.algorithms.contains(&algorithm), "{algorithm:?} by a key of another kind");
                    assert!(kid.is_none() || key.kid.as_deref() == kid, "{kid:?} means another key");
                }
                Found::Nothing => {}
                Found::Several => assert!(set.len() > 1),
            }
        }
    }
    if let Some(listed) = listed {
        let public = listed.iter().filter(|key| is_public(key)).count();
        assert!(set.len() <= public, "{} keys of {public}: {listed:?}", set.len());
    }
    set.len() > 0
}

/// A naive look at a key: of a kind with a public half, without the private one, and for signatures where it says what for.
fn is_public(key: &Value) -> bool {
    let text = |name| key.get(name).and_then(Value::as_str);
    let kind = matches!(text("kty"), Some("RSA" | "EC" | "OKP"));
    let private = key.get("d").is_some_and(|d| !d.is_null());
    let purpose = key.get("use").is_none_or(|purpose| purpose.is_null() || purpose == "sig");
    let operations = key.get("key_ops").and_then(Value::as_array);
    kind && !private && purpose && operations.is_none_or(|all| all.iter().any(|operation| operation == "verify"))
}
