//! The keys of one issuer: its own from the settings, or those that it publishes.
//!
//! The settings choose which; a token chooses at most among the published ones, by its `kid`.

use std::sync::Arc;

use aws_lc_rs::rsa;
use aws_lc_rs::signature::{self, ParsedPublicKey, RsaPublicKeyComponents, VerificationAlgorithm};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use secrecy::ExposeSecret;
use serde_json::Value;

use super::jwks::{Follower, KeySets, MAX_KID, PublishedKey};
use super::{AuthError, Code};
use crate::clock::UnixNanos;
use crate::config::IssuerKey;

/// The lengths of RSA keys that verify; shorter ones can be broken.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=8_192;

/// Where an issuer's keys come from.
pub(super) enum Keys {
    /// One, from the settings.
    Fixed(DecodingKey),
    /// Those behind its URL.
    Published(Arc<Follower>),
}

impl Keys {
    /// Reads the key, or follows the URL. The algorithms are those of the settings, by their names.
    pub(super) fn new(
        issuer: &str,
        key: &IssuerKey,
        algorithms: &[(&'static str, Algorithm)],
        sets: &KeySets,
    ) -> Result<Self, String> {
        let family =
            algorithms.first().map(|(_, first)| first.family()).ok_or("algorithms is empty: name at least one")?;
        if let IssuerKey::Jwks { url } = key {
            if algorithms.iter().any(|(_, algorithm)| algorithm.family() == AlgorithmFamily::Hmac) {
                // What is published is no secret: anyone who can read it could sign.
                return Err("jwks_url does not go with HS algorithms: take RS256 or ES256".to_owned());
            }
            let algorithms: Vec<_> = algorithms.iter().map(|(_, algorithm)| *algorithm).collect();
            return Ok(Self::Published(sets.follow(issuer, url, &algorithms)));
        }
        if algorithms.iter().any(|(_, a)| a.family() != family) {
            return Err("algorithms need keys of different kinds: one issuer has one key".to_owned());
        }
        let key = decoding_key(key, family)?;
        for (name, algorithm) in algorithms {
            let bytes = key.try_get_as_bytes().map_err(|e| e.to_string())?;
            if !verifies(bytes, *algorithm) {
                return Err(format!("public_key_file holds no key that {name} can be verified with"));
            }
        }
        Ok(Self::Fixed(key))
    }

    /// Changes when the keys do: what was found by other keys is no longer true. Read it before [`Keys::choose`].
    pub(super) fn version(&self) -> u64 {
        match self {
            Self::Fixed(_) => 0,
            Self::Published(follower) => follower.set().version(),
        }
    }

    /// The key that a token must be signed with. `algorithm` is one that the issuer is pinned to; `kid` is the token's, whatever it may be.
    pub(super) fn choose(
        &self,
        kid: Option<&Value>,
        algorithm: Algorithm,
        now: UnixNanos,
    ) -> Result<Key<'_>, AuthError> {
        match self {
            // There is nothing to choose: `kid` is not looked at.
            Self::Fixed(key) => Ok(Key::Fixed(key)),
            Self::Published(follower) => follower.set().choose(read_kid(kid)?, algorithm, now).map(Key::Published),
        }
    }

    /// A signature did not hold. Where the token named no key, the issuer may have replaced its only one.
    pub(super) fn doubt(&self, kid: Option<&Value>, now: UnixNanos) {
        if let (Self::Published(follower), None) = (self, kid) {
            follower.set().doubt(now);
        }
    }
}

/// One of an issuer's keys.
pub(super) enum Key<'k> {
    Fixed(&'k DecodingKey),
    Published(Arc<PublishedKey>),
}

impl Key<'_> {
    /// Which one it is, for people.
    pub(super) fn told(&self) -> String {
        match self {
            Self::Fixed(_) => "the issuer's only one, from the settings".to_owned(),
            Self::Published(key) => key.told(),
        }
    }

    pub(super) fn material(&self) -> &DecodingKey {
        match self {
            Self::Fixed(key) => key,
            Self::Published(key) => key.key(),
        }
    }
}

/// A token's `kid`: only ever compared with those of published keys.
pub(super) fn read_kid(kid: Option<&Value>) -> Result<Option<&str>, AuthError> {
    match kid {
        None => Ok(None),
        Some(Value::String(kid)) if kid.len() <= MAX_KID => Ok(Some(kid)),
        // Not one that could be published: no fetch would bring it.
        Some(Value::String(_)) => {
            Err(Code::TokenKeyUnknown.because(format!("the token's kid is longer than {MAX_KID} bytes")))
        }
        Some(_) => Err(Code::TokenMalformed.because("the token's kid is no text")),
    }
}

fn decoding_key(key: &IssuerKey, family: AlgorithmFamily) -> Result<DecodingKey, String> {
    match (key, family) {
        (IssuerKey::Hmac(secret), AlgorithmFamily::Hmac) => {
            Ok(DecodingKey::from_secret(secret.expose_secret().as_bytes()))
        }
        (IssuerKey::Hmac(_), _) => Err("hmac_secret goes with HS algorithms only: give public_key_file".to_owned()),
        (IssuerKey::PublicPem { .. }, AlgorithmFamily::Hmac) => {
            // A public key as a shared secret would let anyone who can read it sign tokens.
            Err("public_key_file does not go with HS algorithms: give hmac_secret".to_owned())
        }
        (IssuerKey::Jwks { .. }, _) => Err("jwks_url names no key of its own".to_owned()),
        (IssuerKey::PublicPem { pem, path }, _) => {
            if pem.contains("PRIVATE KEY") {
                return Err(format!("{} holds a private key: give the public one", path.display()));
            }
            let read = match family {
                AlgorithmFamily::Rsa => DecodingKey::from_rsa_pem,
                AlgorithmFamily::Ec => DecodingKey::from_ec_pem,
                _ => DecodingKey::from_ed_pem,
            };
            read(pem.as_bytes())
                .map_err(|_| format!("{} is no PEM public key of the kind that its algorithms need", path.display()))
        }
    }
}

/// Whether a key is one for this algorithm: of its kind, on its curve, long enough. Any shared secret is.
pub(super) fn verifies(key: &[u8], algorithm: Algorithm) -> bool {
    let Some(check) = public_key_algorithm(algorithm) else { return true };
    // The library looks at an RSA key's length with each signature only: a short one would be taken and never hold.
    let length =
        algorithm.family() != AlgorithmFamily::Rsa || rsa_bits(key).is_some_and(|bits| RSA_BITS.contains(&bits));
    length && ParsedPublicKey::new(check, key).is_ok()
}

fn rsa_bits(der: &[u8]) -> Option<usize> {
    let RsaPublicKeyComponents { n, .. } = RsaPublicKeyComponents::from(&rsa::PublicKey::from_der(der).ok()?);
    let n: Vec<u8> = n;
    n.first().map(|first| n.len() * 8 - first.leading_zeros() as usize)
}

/// What a public key is parsed for; `None` for shared secrets.
fn public_key_algorithm(algorithm: Algorithm) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match algorithm {
        Algorithm::RS256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::RS384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::RS512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::PS256 => &signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::PS384 => &signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::PS512 => &signature::RSA_PSS_2048_8192_SHA512,
        Algorithm::ES256 => &signature::ECDSA_P256_SHA256_FIXED,
        Algorithm::ES384 => &signature::ECDSA_P384_SHA384_FIXED,
        Algorithm::EdDSA => &signature::ED25519,
        _ => return None,
    })
}
