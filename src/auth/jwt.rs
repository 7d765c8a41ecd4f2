//! JSON Web Tokens: whose key may have signed this, with which algorithms, and did it?
//!
//! The token chooses only *which issuer* it claims to be of. That issuer's settings choose the key and the algorithms: the
//! header's `alg` must be one of them, its `kid` only chooses among the keys that the issuer itself publishes, and its `jwk`,
//! `jku`, `x5u` and `x5c` are not read at all.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::{Algorithm, crypto};
use serde_json::Value;

use crate::clock::{Clock, UnixNanos};
use crate::config::{self, Issuer, TenantId, UPLOAD_ISSUER};
use crate::metrics::Metrics;

use super::claims::{Claims, TenantClaim};
use super::explain::Steps;
use super::jwks::KeySets;
use super::keys::{Key, Keys};
use super::origin::Origin;
use super::token::{Parts, Statement, Verdict};
use super::{AuthError, Code, Proof, Rights};

/// All issuers, by their `iss` claim.
pub(super) struct Issuers(HashMap<String, Arc<Verifier>>);

pub(super) struct Verifier {
    /// Its name in the settings.
    name: String,
    audience: Vec<String>,
    /// By name in the header; the value is what is verified with.
    algorithms: Vec<(&'static str, Algorithm)>,
    keys: Keys,
    tenant_claim: TenantClaim,
    /// What the claim's values stand for; empty: each for itself.
    tenants: BTreeMap<String, TenantId>,
    denied_jti: BTreeSet<String>,
    denied_sub: BTreeSet<String>,
    leeway: Duration,
}

/// The keys of an issuer as they were when a verdict was found by them.
pub(super) struct KeysSeen {
    issuer: Arc<Verifier>,
    version: u64,
}

/// What is read of a header. Everything else that it may say is the sender's wish.
pub(super) struct Header {
    pub(super) alg: String,
    /// Chooses among published keys; read as anything, for an issuer with one key does not look at it.
    pub(super) kid: Option<Value>,
    /// Whether it names extensions that must be understood (RFC 7515 section 4.1.11), in whatever form: there is none that we do.
    pub(super) crit: bool,
}

impl Header {
    /// Reads a token's header, in which as in its claims no name may stand twice.
    pub(super) fn parse(json: &[u8]) -> Result<Self, AuthError> {
        let all = Claims::parse(json)?;
        let alg = all.get("alg").and_then(Value::as_str).map(str::to_owned);
        Ok(Self {
            alg: alg.ok_or_else(|| Code::TokenMalformed.because("the token's header has no alg"))?,
            kid: all.get("kid").filter(|kid| !kid.is_null()).cloned(),
            crit: all.get("crit").is_some(),
        })
    }
}

impl Issuers {
    /// Reads the keys of all issuers; the error says which setting is wrong.
    pub(super) fn new(issuers: &BTreeMap<String, Issuer>, sets: &KeySets) -> Result<Self, String> {
        let mut all: HashMap<String, Arc<Verifier>> = HashMap::new();
        for (name, issuer) in issuers {
            let verifier = Verifier::new(name, issuer, sets).map_err(|why| format!("issuers.{name}: {why}"))?;
            if let Some(other) = all.insert(issuer.issuer.clone(), Arc::new(verifier)) {
                return Err(format!(
                    "issuers.{name}.issuer is also that of issuers.{}: a token's iss must choose one key; join the two",
                    other.name
                ));
            }
        }
        Ok(Self(all))
    }

    /// Checks a token of one of the issuers; the cheap before the dear. An error here is found without a signature check, and is
    /// not worth remembering; what the signature check finds stands in the verdict.
    pub(super) fn check(
        &self,
        parts: &Parts<'_>,
        now: UnixNanos,
        may_cost: &dyn Fn() -> Result<(), AuthError>,
    ) -> Result<Verdict, AuthError> {
        let issuer = parts.claims.issuer().and_then(|iss| self.0.get(iss)).ok_or_else(|| {
            Code::TokenIssuerUnknown.because("the token's iss is none of the issuers configured here")
        })?;
        let pinned = issuer.pinned(&parts.header.alg)?;
        let window = parts.claims.window(issuer.leeway)?;
        window.check(now)?;
        // Before the keys are looked at: a change meanwhile makes the verdict one of the old keys.
        let keys = KeysSeen { version: issuer.keys.version(), issuer: Arc::clone(issuer) };
        may_cost()?;
        let key = issuer.keys.choose(parts.header.kid.as_ref(), pinned, now)?;
        let signed = issuer.check_signature(&key, pinned, parts, now);
        let says = signed.and_then(|()| issuer.read(&parts.claims));
        Ok(Verdict { window, says, keys: Some(keys) })
    }

    /// What [`Issuers::check`] does, told step by step and gone on with after a step that fails; keys that are to be fetched are.
    pub(super) async fn explain(&self, parts: &Parts<'_>, sets: &KeySets, now: UnixNanos, steps: &mut Steps<'_>) {
        let Some(issuer) = parts.claims.issuer().and_then(|iss| self.0.get(iss)) else { return };
        let pinned = issuer.pinned(&parts.header.alg);
        let names: Vec<&str> = issuer.algorithms.iter().map(|(name, _)| *name).collect();
        steps.tell("algorithm", pinned.as_ref(), |_| format!("one of those of the issuer: {}", names.join(", ")));
        steps.times(parts.claims.window(Duration::ZERO), parts.claims.window(issuer.leeway), issuer.leeway, now);
        sets.run_due().await;
        let kid = parts.header.kid.as_ref();
        if let Ok(pinned) = pinned {
            let mut key = issuer.keys.choose(kid, pinned, now);
            if key.is_err() {
                // As the gateway does: a key that is not known makes a fetch of its own.
                sets.run_due().await;
                key = issuer.keys.choose(kid, pinned, now);
            }
            steps.tell("key", key.as_ref(), |key| key.told());
            if let Ok(key) = key {
                let signed = issuer.check_signature(&key, pinned, parts, now);
                steps.tell("signature", signed, |()| "made with that key".to_owned());
            }
        }
        let denied = [("jti", &issuer.denied_jti), ("sub", &issuer.denied_sub)];
        let allowed = denied.into_iter().try_for_each(|(claim, denied)| parts.claims.check_denied(claim, denied));
        steps.tell("deny lists", allowed, |()| "its jti and sub stand on none".to_owned());
        let audience = parts.claims.check_audience(&issuer.audience);
        // A caller is not told what is configured; whoever runs the command has the settings.
        let configured = issuer.audience.join(", ");
        let audience = audience.map_err(|AuthError { detail, .. }| {
            Code::TokenAudience.because(format!("{detail}; configured: {configured}"))
        });
        steps.tell("audience", audience, |()| format!("names one of {configured}"));
        let tenant = parts.claims.tenant(&issuer.tenant_claim, &issuer.tenants);
        steps.tell("tenant claim", tenant.as_ref(), |tenant| match issuer.tenants.is_empty() {
            true => format!("names tenant {tenant}"),
            false => format!("stands for tenant {tenant} by issuers.{}.tenants", issuer.name),
        });
        steps.tenant(tenant.ok().as_ref());
    }

    /// The claim that names the tenant, for the issuer of these claims.
    pub(super) fn tenant_claim(&self, claims: &Claims) -> Option<&TenantClaim> {
        claims.issuer().and_then(|iss| self.0.get(iss)).map(|issuer| &issuer.tenant_claim)
    }
}

impl KeysSeen {
    /// Whether the issuer still has them.
    pub(super) fn unchanged(&self) -> bool {
        self.issuer.keys.version() == self.version
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

    /// Why an issuer's published keys could not be fetched, and from where.
    pub(crate) fn unfetched(&self, issuer: &str) -> Option<String> {
        let health = self.sets.health().remove(issuer)?;
        health.failing.map(|(_, why)| format!("could not be fetched from {}: {why}", health.url))
    }

    /// Whether this token holds.
    pub(crate) fn check(&self, token: &str, now: UnixNanos) -> Result<(), String> {
        let check = |parts: Parts<'_>| self.issuers.check(&parts, now, &|| Ok(()))?.on(&Origin::Absent, now);
        Parts::read(token).and_then(check).map(|_| ()).map_err(|refused| refused.to_string())
    }
}

impl Verifier {
    fn new(name: &str, issuer: &Issuer, sets: &KeySets) -> Result<Self, String> {
        if issuer.issuer.starts_with(UPLOAD_ISSUER) {
            return Err(format!(
                "issuer begins with \"{UPLOAD_ISSUER}\", as the tenants' own upload tokens do: name another"
            ));
        }
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
            tenants: issuer.tenants.clone(),
            denied_jti: issuer.denied_jti.clone(),
            denied_sub: issuer.denied_sub.clone(),
            leeway: issuer.leeway,
        })
    }

    /// The algorithm of a header, if it is one that the issuer is pinned to.
    fn pinned(&self, alg: &str) -> Result<Algorithm, AuthError> {
        let pinned = self.algorithms.iter().find(|(name, _)| *name == alg).map(|(_, algorithm)| *algorithm);
        pinned.ok_or_else(|| {
            Code::TokenSignature.because("the token's alg is none of the algorithms that its issuer is pinned to here")
        })
    }

    /// Whether this key signed it.
    fn check_signature(
        &self,
        key: &Key<'_>,
        pinned: Algorithm,
        parts: &Parts<'_>,
        now: UnixNanos,
    ) -> Result<(), AuthError> {
        if let Ok(true) = crypto::verify(parts.signature, parts.message.as_bytes(), key.material(), pinned) {
            return Ok(());
        }
        self.keys.doubt(parts.header.kid.as_ref(), now);
        Err(Code::TokenSignature.because("the token was not signed with its issuer's key, or was changed after"))
    }

    /// What the claims say, of which the signature is proven: only now, so that nobody learns from forged tokens what is configured.
    fn read(&self, claims: &Claims) -> Result<Statement, AuthError> {
        claims.check_denied("jti", &self.denied_jti)?;
        claims.check_denied("sub", &self.denied_sub)?;
        claims.check_audience(&self.audience)?;
        let tenant = claims.tenant(&self.tenant_claim, &self.tenants)?;
        Ok(Statement { tenant, proof: Proof::Jwt(self.name.clone()), rights: Rights::All, origin: None })
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
