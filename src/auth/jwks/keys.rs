//! One set of published keys (RFC 7517): what of it is taken, and which key a token means.

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;

use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::signature::RsaPublicKeyComponents;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, CommonParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::super::keys::verifies;

/// Most keys taken of one set. Providers publish two to ten.
pub(super) const MAX_KEYS: usize = 64;

/// The longest `kid`, in bytes; of a published key and of a token.
pub(crate) const MAX_KID: usize = 256;

/// A key that an issuer published, and what it may verify.
#[derive(Debug)]
pub(crate) struct PublishedKey {
    kid: Option<String>,
    /// By its kind and, where it has one, its own `alg`. Which of them are taken is the issuer's settings' say.
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

impl PublishedKey {
    /// Which one it is, for people.
    pub(crate) fn told(&self) -> String {
        match &self.kid {
            Some(kid) => format!("kid {} of the published ones", shown(kid)),
            None => "the only published one that it can be".to_owned(),
        }
    }

    /// What signatures are held against.
    pub(crate) fn key(&self) -> &DecodingKey {
        &self.key
    }
}

impl PartialEq for PublishedKey {
    fn eq(&self, other: &Self) -> bool {
        let same = |ours: &DecodingKey, theirs: &DecodingKey| matches!((ours.try_get_as_bytes(), theirs.try_get_as_bytes()), (Ok(ours), Ok(theirs)) if ours == theirs);
        self.kid == other.kid && self.algorithms == other.algorithms && same(&self.key, &other.key)
    }
}

/// The keys of one set, in its order.
#[derive(Default, PartialEq, Debug)]
pub(crate) struct KeySet(Vec<Arc<PublishedKey>>);

/// Which key a token means.
#[derive(Debug)]
pub(crate) enum Found {
    /// This one.
    Key(Arc<PublishedKey>),
    /// None of these: the set may be old.
    Nothing,
    /// It could be one of several: no newer set would tell.
    Several,
}

/// A key that was left out, and why.
pub(super) type Skipped = String;

/// The document as it came; each key is read apart, so that one that is none spoils no other.
#[derive(Deserialize)]
struct Document<'d> {
    #[serde(borrow)]
    keys: Vec<&'d RawValue>,
}

/// What only a private key has.
#[derive(Deserialize)]
struct Private {
    d: Option<IgnoredAny>,
}

impl KeySet {
    /// Reads a document. `None` when it is no set of keys at all.
    pub(super) fn read(document: &[u8]) -> Option<(Self, Vec<Skipped>)> {
        let Document { keys } = serde_json::from_slice(document).ok()?;
        let (mut taken, mut skipped) = (Vec::new(), Vec::new());
        for (index, json) in keys.iter().enumerate() {
            match take(json.get()) {
                Ok(_) if taken.len() == MAX_KEYS => {
                    skipped.push(format!("all from number {}: a set has {MAX_KEYS} keys at most", index + 1));
                    break;
                }
                Ok(key) => taken.push(Arc::new(key)),
                Err(why) => skipped.push(format!("number {}: {why}", index + 1)),
            }
        }
        // A long list of oddities is not worth a long line in the log.
        if skipped.len() > MAX_KEYS {
            let more = skipped.len() - MAX_KEYS;
            skipped.truncate(MAX_KEYS);
            skipped.push(format!("and {more} more"));
        }
        Some((Self(taken), skipped))
    }

    /// The one key that can be meant: with the token's `kid` where it has one, and of the kind that its algorithm needs. Where two
    /// could be meant, neither is: a name that stands for two keys proves nothing.
    pub(crate) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Found {
        let named = |key: &PublishedKey| kid.is_none() || key.kid.as_deref() == kid;
        let mut fitting = self.0.iter().filter(|key| named(key) && key.algorithms.contains(&algorithm));
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Found::Key(Arc::clone(key)),
            (None, _) => Found::Nothing,
            // The same key twice is one key.
            (Some(first), Some(second)) if first.same_as(second) && fitting.all(|key| first.same_as(key)) => {
                Found::Key(Arc::clone(first))
            }
            _ => Found::Several,
        }
    }

    /// How many keys there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// How many keys verify one of these algorithms.
    pub(crate) fn usable(&self, algorithms: &[Algorithm]) -> usize {
        self.0.iter().filter(|key| key.algorithms.iter().any(|a| algorithms.contains(a))).count()
    }

    /// The `kid`s of the keys that have one.
    pub(crate) fn kids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|key| key.kid.as_deref())
    }

    /// The names of the keys, for people; a key without one is `(no kid)`.
    pub(crate) fn names(&self) -> Vec<String> {
        self.0.iter().map(|key| key.kid.as_deref().map_or_else(|| "(no kid)".to_owned(), shown)).collect()
    }
}

impl PublishedKey {
    fn same_as(&self, other: &Self) -> bool {
        matches!((self.key.try_get_as_bytes(), other.key.try_get_as_bytes()), (Ok(ours), Ok(theirs)) if ours == theirs)
    }
}

/// A text of somebody else's for a log or a terminal: escaped, and not long.
pub(crate) fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(64).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{short:?}")
}

/// Reads one key, or says why it is left out.
fn take(json: &str) -> Result<PublishedKey, String> {
    let Ok(Jwk { common, algorithm: parameters }) = serde_json::from_str::<Jwk>(json) else {
        return Err("it is no JSON Web Key".to_owned());
    };
    let name = common.key_id.as_deref().map_or_else(|| "without kid".to_owned(), |kid| format!("kid {}", shown(kid)));
    let left_out = |why: &str| format!("{name}: {why}");
    check_purpose(&common).map_err(left_out)?;
    if common.key_id.as_ref().is_some_and(|kid| kid.len() > MAX_KID) {
        return Err(left_out("its kid is longer than 256 bytes"));
    }
    if !matches!(serde_json::from_str(json), Ok(Private { d: None })) {
        return Err(left_out(
            "it holds the private key too, so that anybody can sign with it: the issuer must replace it",
        ));
    }
    let (mut algorithms, key) = read(&parameters).map_err(left_out)?;
    if let Some(own) = common.key_algorithm {
        algorithms.retain(|algorithm| own == (*algorithm).into());
        if algorithms.is_empty() {
            return Err(left_out("its alg is none that a key of its kind can verify here"));
        }
    }
    let bytes = key.try_get_as_bytes().map_err(|_| left_out("it cannot be read"))?;
    algorithms.retain(|algorithm| verifies(bytes, *algorithm));
    if algorithms.is_empty() {
        return Err(left_out(match key.family() {
            AlgorithmFamily::Rsa => "it is no RSA key of 2048 to 8192 bits",
            _ => "its numbers are no point on its curve",
        }));
    }
    Ok(PublishedKey { kid: common.key_id, algorithms, key })
}

/// A key that says what it is for must say that it verifies signatures.
fn check_purpose(common: &CommonParameters) -> Result<(), &'static str> {
    if common.public_key_use.as_ref().is_some_and(|purpose| *purpose != PublicKeyUse::Signature) {
        return Err("its use is not sig");
    }
    match &common.key_operations {
        Some(operations) if !operations.contains(&KeyOperations::Verify) => Err("its key_ops do not hold verify"),
        _ => Ok(()),
    }
}

/// The key, and every algorithm that keys of its kind verify.
fn read(parameters: &AlgorithmParameters) -> Result<(Vec<Algorithm>, DecodingKey), &'static str> {
    let unreadable = "its numbers are no unpadded base64url";
    match parameters {
        AlgorithmParameters::RSA(rsa) => {
            let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| unreadable);
            let (n, e) = (decode(&rsa.n)?, decode(&rsa.e)?);
            // Some write the modulus with the zero that keeps it positive in DER.
            let components = RsaPublicKeyComponents { n: without_zeros(&n), e: without_zeros(&e) };
            let der = AsDer::<PublicKeyX509Der<'_>>::as_der(&components).map_err(|_| "its numbers are no RSA key")?;
            Ok((AlgorithmFamily::Rsa.algorithms().to_vec(), DecodingKey::from_rsa_der(der.as_ref())))
        }
        AlgorithmParameters::EllipticCurve(point) => {
            let algorithm = match point.curve {
                EllipticCurve::P256 => Algorithm::ES256,
                EllipticCurve::P384 => Algorithm::ES384,
                _ => return Err("its curve is neither P-256 nor P-384"),
            };
            let key = DecodingKey::from_ec_components(&point.x, &point.y).map_err(|_| unreadable)?;
            Ok((vec![algorithm], key))
        }
        AlgorithmParameters::OctetKeyPair(point) if point.curve == EllipticCurve::Ed25519 => {
            let key = DecodingKey::from_ed_components(&point.x).map_err(|_| unreadable)?;
            Ok((vec![Algorithm::EdDSA], key))
        }
        AlgorithmParameters::OctetKey(_) => Err("it is a shared secret, which is never taken from a URL"),
        _ => Err("no algorithm that is taken here uses a key of its kind"),
    }
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}
