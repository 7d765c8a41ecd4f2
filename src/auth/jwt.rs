//! JSON Web Tokens: whose key may have signed this, with which algorithms, and did it?
//!
//! The token chooses only *which issuer* it claims to be of. That issuer's settings choose the key and the algorithms: the
//! header's `alg` must be one of them, and its `jwk`, `jku`, `x5u`, `x5c` and `kid` are not read at all.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use aws_lc_rs::signature::{self, ParsedPublicKey, VerificationAlgorithm};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, crypto};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::clock::UnixNanos;
use crate::config::{self, Issuer, IssuerKey};

use super::authenticator::Proven;
use super::claims::{Claims, TenantClaim};
use super::{AuthError, Code, Proof, Rights};

/// The longest token looked at, in bytes: nothing longer is decoded.
pub(super) const MAX_LEN: usize = 8 * 1024;

/// All issuers, by their `iss` claim.
pub(super) struct Issuers(HashMap<String, Verifier>);

struct Verifier {
    /// Its name in the settings.
    name: String,
    audience: Vec<String>,
    /// By name in the header; the value is what is verified with.
    algorithms: Vec<(&'static str, Algorithm)>,
    key: DecodingKey,
    tenant_claim: TenantClaim,
    leeway: Duration,
}

/// What is read of a header. Everything else that it may say is the sender's wish.
#[derive(Deserialize)]
struct Header {
    alg: String,
    /// Extensions that must be understood (RFC 7515 section 4.1.11): there is none that we do.
    crit: Option<IgnoredAny>,
}

impl Issuers {
    /// Reads the keys of all issuers; the error says which setting is wrong.
    pub(super) fn new(issuers: &BTreeMap<String, Issuer>) -> Result<Self, String> {
        let mut all: HashMap<String, Verifier> = HashMap::new();
        for (name, issuer) in issuers {
            let verifier = Verifier::new(name, issuer).map_err(|why| format!("issuers.{name}: {why}"))?;
            if let Some(other) = all.insert(issuer.issuer.clone(), verifier) {
                return Err(format!(
                    "issuers.{name}.issuer is also that of issuers.{}: a token's iss must choose one key; join the two",
                    other.name
                ));
            }
        }
        Ok(Self(all))
    }

    /// Proves the tenant that a token names. All claims are read from the very bytes that the signature covers.
    pub(super) fn verify(&self, token: &str, now: UnixNanos) -> Result<Proven, AuthError> {
        if token.len() > MAX_LEN {
            return Err(Code::TokenTooLarge.because(format!("the token is longer than {MAX_LEN} bytes")));
        }
        let malformed = || {
            Code::TokenMalformed
                .because("the token is no JWT: three parts of unpadded base64url, JSON in the first two")
        };
        let (message, signature) = token.rsplit_once('.').ok_or_else(malformed)?;
        let (header, payload) = message.split_once('.').ok_or_else(malformed)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| malformed());
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| malformed())?;
        if header.crit.is_some() {
            return Err(Code::TokenMalformed.because("the token's header has crit: no such extension is supported"));
        }
        let claims = Claims::parse(&decode(payload)?)?;
        let issuer = claims.issuer().and_then(|iss| self.0.get(iss)).ok_or_else(|| {
            Code::TokenIssuerUnknown.because("the token's iss is none of the issuers configured here")
        })?;
        issuer.check_signature(&header.alg, message, signature)?;
        claims.check_times(now, issuer.leeway)?;
        claims.check_audience(&issuer.audience)?;
        let tenant = claims.tenant(&issuer.tenant_claim)?;
        Ok(Proven { tenant, proof: Proof::Jwt(issuer.name.clone()), rights: Rights::All })
    }
}

/// Whether a token would be taken from these issuers; the command that mints tokens asks before it hands one out.
pub(crate) fn check_token(issuers: &BTreeMap<String, Issuer>, token: &str, now: UnixNanos) -> Result<(), String> {
    Issuers::new(issuers)?.verify(token, now).map(|_| ()).map_err(|refused| refused.to_string())
}

impl Verifier {
    fn new(name: &str, issuer: &Issuer) -> Result<Self, String> {
        if issuer.audience.is_empty() {
            return Err("audience is empty: name at least one, or any token of this issuer would be taken".to_owned());
        }
        let algorithms: Vec<_> = issuer.algorithms.iter().map(|a| (name_of(*a), library_algorithm(*a))).collect();
        let family =
            algorithms.first().map(|(_, first)| first.family()).ok_or("algorithms is empty: name at least one")?;
        if algorithms.iter().any(|(_, a)| a.family() != family) {
            return Err("algorithms need keys of different kinds: one issuer has one key".to_owned());
        }
        let key = decoding_key(&issuer.key, family)?;
        for (name, algorithm) in &algorithms {
            if let Some(check) = public_key_algorithm(*algorithm) {
                let bytes = key.try_get_as_bytes().map_err(|e| e.to_string())?;
                ParsedPublicKey::new(check, bytes)
                    .map_err(|_| format!("public_key_file holds no key that {name} can be verified with"))?;
            }
        }
        Ok(Self {
            name: name.to_owned(),
            audience: issuer.audience.clone(),
            algorithms,
            key,
            tenant_claim: TenantClaim::new(&issuer.tenant_claim),
            leeway: issuer.leeway,
        })
    }

    fn check_signature(&self, alg: &str, message: &str, signature: &str) -> Result<(), AuthError> {
        let pinned = self.algorithms.iter().find(|(name, _)| *name == alg).map(|(_, algorithm)| *algorithm);
        let pinned = pinned.ok_or_else(|| {
            Code::TokenSignature.because("the token's alg is none of the algorithms that its issuer is pinned to here")
        })?;
        match crypto::verify(signature, message.as_bytes(), &self.key, pinned) {
            Ok(true) => Ok(()),
            _ => {
                Err(Code::TokenSignature
                    .because("the token was not signed with its issuer's key, or was changed after"))
            }
        }
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
        (IssuerKey::Jwks { .. }, _) => Err("jwks_url is not read yet".to_owned()),
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

/// What a public key is parsed for at start; `None` for shared secrets.
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

fn name_of(algorithm: config::Algorithm) -> &'static str {
    match algorithm {
        config::Algorithm::HS256 => "HS256",
        config::Algorithm::HS384 => "HS384",
        config::Algorithm::HS512 => "HS512",
        config::Algorithm::RS256 => "RS256",
        config::Algorithm::RS384 => "RS384",
        config::Algorithm::RS512 => "RS512",
        config::Algorithm::PS256 => "PS256",
        config::Algorithm::PS384 => "PS384",
        config::Algorithm::PS512 => "PS512",
        config::Algorithm::ES256 => "ES256",
        config::Algorithm::ES384 => "ES384",
        config::Algorithm::EdDSA => "EdDSA",
    }
}

/// The library's name of one of our algorithms.
pub(crate) fn library_algorithm(algorithm: config::Algorithm) -> Algorithm {
    match algorithm {
        config::Algorithm::HS256 => Algorithm::HS256,
        config::Algorithm::HS384 => Algorithm::HS384,
        config::Algorithm::HS512 => Algorithm::HS512,
        config::Algorithm::RS256 => Algorithm::RS256,
        config::Algorithm::RS384 => Algorithm::RS384,
        config::Algorithm::RS512 => Algorithm::RS512,
        config::Algorithm::PS256 => Algorithm::PS256,
        config::Algorithm::PS384 => Algorithm::PS384,
        config::Algorithm::PS512 => Algorithm::PS512,
        config::Algorithm::ES256 => Algorithm::ES256,
        config::Algorithm::ES384 => Algorithm::ES384,
        config::Algorithm::EdDSA => Algorithm::EdDSA,
    }
}
