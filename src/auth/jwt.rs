//! JSON Web Tokens: whose key may have signed this, with which algorithms, and did it?
//!
//! The token chooses only *which issuer* it claims to be of. That issuer's settings choose the key and the algorithms: the
//! header's `alg` must be one of them, its `kid` only chooses among the keys that the issuer itself publishes, and its `jwk`,
//! `jku`, `x5u` and `x5c` are not read at all.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::clock::{Clock, UnixNanos};
use crate::config::{self, Issuer};
use crate::metrics::Metrics;

use super::authenticator::Proven;
use super::claims::{Claims, TenantClaim};
use super::jwks::KeySets;
use super::keys::Keys;
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
    keys: Keys,
    tenant_claim: TenantClaim,
    leeway: Duration,
}

/// What is read of a header. Everything else that it may say is the sender's wish.
#[derive(Deserialize)]
struct Header {
    alg: String,
    /// Chooses among published keys; read as anything, for an issuer with one key does not look at it.
    kid: Option<Value>,
    /// Extensions that must be understood (RFC 7515 section 4.1.11): there is none that we do.
    crit: Option<IgnoredAny>,
}

impl Issuers {
    /// Reads the keys of all issuers; the error says which setting is wrong.
    pub(super) fn new(issuers: &BTreeMap<String, Issuer>, sets: &KeySets) -> Result<Self, String> {
        let mut all: HashMap<String, Verifier> = HashMap::new();
        for (name, issuer) in issuers {
            let verifier = Verifier::new(name, issuer, sets).map_err(|why| format!("issuers.{name}: {why}"))?;
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
        issuer.check_signature(&header, message, signature, now)?;
        claims.check_times(now, issuer.leeway)?;
        claims.check_audience(&issuer.audience)?;
        let tenant = claims.tenant(&issuer.tenant_claim)?;
        Ok(Proven { tenant, proof: Proof::Jwt(issuer.name.clone()), rights: Rights::All })
    }
}

/// Says whether a token would be taken from these issuers: for commands, which ask once and have no task that keeps keys fresh.
pub(crate) struct TokenCheck {
    issuers: Issuers,
    sets: KeySets,
}

impl TokenCheck {
    /// Fetches the keys that the issuers publish, once. Those that could not be fetched are not there.
    pub(crate) async fn new(issuers: &BTreeMap<String, Issuer>, clock: &Clock) -> Result<Self, String> {
        let metrics = Metrics::new().map_err(|e| e.to_string())?;
        let sets = KeySets::new(clock.clone(), Arc::new(metrics))?;
        let issuers = Issuers::new(issuers, &sets)?;
        sets.run_due().await;
        Ok(Self { issuers, sets })
    }

    /// The `kid`s that an issuer publishes.
    pub(crate) fn kids(&self, issuer: &str) -> Vec<String> {
        self.sets.kids(issuer)
    }

    /// Whether this token holds.
    pub(crate) fn check(&self, token: &str, now: UnixNanos) -> Result<(), String> {
        self.issuers.verify(token, now).map(|_| ()).map_err(|refused| refused.to_string())
    }
}

impl Verifier {
    fn new(name: &str, issuer: &Issuer, sets: &KeySets) -> Result<Self, String> {
        if issuer.audience.is_empty() {
            return Err("audience is empty: name at least one, or any token of this issuer would be taken".to_owned());
        }
        let algorithms: Vec<_> = issuer.algorithms.iter().map(|a| (name_of(*a), library_algorithm(*a))).collect();
        Ok(Self {
            name: name.to_owned(),
            audience: issuer.audience.clone(),
            keys: Keys::new(name, &issuer.key, &algorithms, sets)?,
            algorithms,
            tenant_claim: TenantClaim::new(&issuer.tenant_claim),
            leeway: issuer.leeway,
        })
    }

    fn check_signature(
        &self,
        header: &Header,
        message: &str,
        signature: &str,
        now: UnixNanos,
    ) -> Result<(), AuthError> {
        let pinned = self.algorithms.iter().find(|(name, _)| *name == header.alg).map(|(_, algorithm)| *algorithm);
        let pinned = pinned.ok_or_else(|| {
            Code::TokenSignature.because("the token's alg is none of the algorithms that its issuer is pinned to here")
        })?;
        self.keys.verify(header.kid.as_ref(), pinned, message, signature, now)
    }
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
