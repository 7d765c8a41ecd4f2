//! Upload tokens: a JWT that a tenant's own backend mints for one of its pages, for minutes, with a secret that it shares with the
//! gateway. For tenants that do not want a key to stand in the page for good.
//!
//! What such a token is follows from nothing but the settings: HS256, `iss = "tenant:ID"`, `aud = "tagline"`. The secrets tried are those of the
//! tenant that `iss` names, so that one tenant's backend cannot speak for another's.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use secrecy::ExposeSecret;
use serde_json::Value;

use crate::clock::UnixNanos;
use crate::config::{MAX_UPLOAD_SECRETS, Secret, Settings, TenantId, TenantSettings, UPLOAD_ISSUER};

use super::claims::Claims;
use super::origin::{Origin, Tuple};
use super::token::{Parts, Statement, Verdict};
use super::{AuthError, Code, Proof, Rights};

/// What `aud` must name.
pub(crate) const AUDIENCE: &str = "tagline";

/// How far ahead `exp` may lie.
pub(crate) const LONGEST: Duration = Duration::from_secs(60 * 60);

/// The leeway between the backend's clock and ours.
const LEEWAY: Duration = Duration::from_secs(30);

/// The secrets of all tenants' backends, by the `iss` of what they sign.
pub(super) struct UploadSecrets(HashMap<String, Signers>);

struct Signers {
    tenant: TenantId,
    /// Each with its name in the settings. Which one signed is found by trying: they are few, and the token is not asked.
    secrets: Vec<(String, DecodingKey)>,
}

impl UploadSecrets {
    /// Collects the secrets of all tenants.
    pub(super) fn new(tenants: &BTreeMap<TenantId, TenantSettings>) -> Result<Self, String> {
        let mut all = HashMap::new();
        for (tenant, settings) in tenants.iter().filter(|(_, settings)| !settings.upload_secrets.is_empty()) {
            if settings.upload_secrets.len() > MAX_UPLOAD_SECRETS {
                return Err(format!(
                    "tenants.{tenant}.upload_secrets: more than {MAX_UPLOAD_SECRETS}; remove the oldest"
                ));
            }
            let key = |secret: &Secret| DecodingKey::from_secret(secret.expose_secret().as_bytes());
            let secrets = settings.upload_secrets.iter().map(|(name, secret)| (name.clone(), key(secret))).collect();
            all.insert(issuer(tenant), Signers { tenant: tenant.clone(), secrets });
        }
        Ok(Self(all))
    }

    /// Whether a token claims to be minted by a tenant's backend.
    pub(super) fn issued(claims: &Claims) -> bool {
        claims.issuer().is_some_and(|iss| iss.starts_with(UPLOAD_ISSUER))
    }

    /// Checks such a token.
    pub(super) fn check(
        &self,
        parts: &Parts<'_>,
        now: UnixNanos,
        may_cost: &dyn Fn() -> Result<(), AuthError>,
    ) -> Result<Verdict, AuthError> {
        if parts.header.alg != "HS256" {
            return Err(Code::TokenSignature.because("an upload token is signed with HS256, and by nothing else"));
        }
        // The window ends a leeway after exp, and the backend's clock may be a leeway ahead of ours.
        let window = parts.claims.window(LEEWAY)?.within(LONGEST + LEEWAY + LEEWAY);
        window.check(now)?;
        may_cost()?;
        let says = self.signer(parts).and_then(|(tenant, name)| statement(&parts.claims, tenant, name));
        Ok(Verdict { window, says, keys: None })
    }

    /// Whose secret signed it. A tenant that has none is told the same as one whose secret is another.
    fn signer(&self, parts: &Parts<'_>) -> Result<(&TenantId, &str), AuthError> {
        let signers = parts.claims.issuer().and_then(|iss| self.0.get(iss));
        let signed = |key: &DecodingKey| {
            crypto::verify(parts.signature, parts.message.as_bytes(), key, Algorithm::HS256).unwrap_or(false)
        };
        signers
            .and_then(|all| Some((&all.tenant, all.secrets.iter().find(|(_, key)| signed(key))?.0.as_str())))
            .ok_or_else(|| {
                Code::TokenSignature.because(
                    "the upload token was signed with none of the upload_secrets that the tenant in its iss has here, or was changed after",
                )
            })
    }
}

/// Whether an upload token would be taken from a page of this origin; the command that mints them asks before it hands one out.
pub(crate) fn check_token(settings: &Settings, token: &str, origin: &str, now: UnixNanos) -> Result<(), String> {
    let secrets = UploadSecrets::new(&settings.tenants)?;
    let check = || {
        let parts = Parts::read(token)?;
        secrets.check(&parts, now, &|| Ok(()))?.on(&Origin::read(&[origin.as_bytes()])?, now)
    };
    check().map(drop).map_err(|refused| refused.to_string())
}

/// The `iss` of a tenant's upload tokens.
pub(crate) fn issuer(tenant: &TenantId) -> String {
    format!("{UPLOAD_ISSUER}{tenant}")
}

fn statement(claims: &Claims, tenant: &TenantId, name: &str) -> Result<Statement, AuthError> {
    claims.check_audience(&[AUDIENCE.to_owned()])?;
    let origin = claims.get("origin").and_then(Value::as_str).and_then(Tuple::parse).ok_or_else(|| {
        Code::TokenMalformed.because(
            "the upload token's origin must be the page's origin, scheme://host[:port] as a browser sends it: no path, no *, not null",
        )
    })?;
    let rights = match claims.get("measurements") {
        None => Rights::All,
        Some(listed) => Rights::Only(Arc::new(names(listed).ok_or_else(|| {
            Code::TokenMalformed
                .because("the upload token's measurements must be a list of names, at least one; leave it out for all")
        })?)),
    };
    Ok(Statement { tenant: tenant.clone(), proof: Proof::UploadToken(name.to_owned()), rights, origin: Some(origin) })
}

/// The texts of a list that is not empty and holds nothing else.
fn names(listed: &Value) -> Option<BTreeSet<String>> {
    let listed = listed.as_array().filter(|all| !all.is_empty())?;
    listed.iter().map(|name| name.as_str().map(str::to_owned)).collect()
}
