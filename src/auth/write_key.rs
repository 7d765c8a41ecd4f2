//! Write keys: publishable, many per tenant, each bound to origins.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use secrecy::ExposeSecret;

use crate::clock::UnixNanos;
use crate::config::{TenantId, TenantSettings};

use super::authenticator::Proven;
use super::fingerprint::fingerprint;
use super::origin::{Origin, Rule};
use super::{AuthError, Code, Proof, Rights};

/// No key of ours is longer; nothing longer is hashed.
const MAX_LEN: usize = 256;

/// All write keys, by digest: the time that a look-up takes tells nothing of a key.
pub(super) struct KeyRing(HashMap<[u8; 32], Entry>);

struct Entry {
    tenant: TenantId,
    name: String,
    rules: Vec<Rule>,
    expires: Option<UnixNanos>,
    rights: Rights,
}

impl KeyRing {
    /// Collects the keys of all tenants. The error names the key, never its value.
    pub(super) fn new(tenants: &BTreeMap<TenantId, TenantSettings>) -> Result<Self, String> {
        let mut keys = HashMap::new();
        for (tenant, settings) in tenants {
            for (name, key) in &settings.keys {
                let place = format!("tenants.{tenant}.keys.{name}");
                let secret = key.key.expose_secret();
                if secret.is_empty() || secret.len() > MAX_LEN {
                    return Err(format!(
                        "{place}.key: 1 to {MAX_LEN} characters; make one with `tagline token --write-key`"
                    ));
                }
                let measurements = &key.measurements;
                let rights = match measurements.is_empty() {
                    true => Rights::All,
                    false => Rights::Only(Arc::new(measurements.iter().cloned().collect())),
                };
                let rules = rules(&key.origins, &place)?;
                let entry = Entry { tenant: tenant.clone(), name: name.clone(), rules, expires: key.expires, rights };
                if let Some(other) = keys.insert(fingerprint(secret), entry) {
                    let Entry { tenant, name, .. } = other;
                    return Err(format!(
                        "{place}.key is also tenants.{tenant}.keys.{name}.key: a key proves one tenant; give each its own"
                    ));
                }
            }
        }
        Ok(Self(keys))
    }

    /// Proves the tenant of a key used from this origin.
    pub(super) fn verify(&self, key: &str, origin: &Origin, now: UnixNanos) -> Result<Proven, AuthError> {
        let entry = (key.len() <= MAX_LEN).then(|| self.0.get(&fingerprint(key))).flatten();
        let entry =
            entry.ok_or_else(|| Code::WriteKeyUnknown.because("the write key is not known here, or no longer"))?;
        if entry.expires.is_some_and(|end| now >= end) {
            return Err(Code::WriteKeyExpired.because("the write key has expired: use the tenant's current one"));
        }
        entry.check_origin(origin)?;
        Ok(Proven {
            tenant: entry.tenant.clone(),
            proof: Proof::WriteKey(entry.name.clone()),
            rights: entry.rights.clone(),
        })
    }
}

impl Entry {
    fn check_origin(&self, origin: &Origin) -> Result<(), AuthError> {
        if self.rules.iter().any(|rule| rule.admits(origin)) {
            return Ok(());
        }
        Err(match origin {
            Origin::Absent => Code::OriginMissing.because(
                "this write key is for browsers, which send Origin; for a server use a JWT, or a key with origins = [\"*\"]",
            ),
            Origin::Malformed => Origin::malformed(),
            Origin::Opaque => Code::OriginNotAllowed
                .because("Origin is null (a sandboxed frame or a local file), which only a key with origins = [\"*\"] takes"),
            Origin::Tuple(_) => Code::OriginNotAllowed
                .because("this page's origin is not in the write key's origins: add it there, or use that page's own key"),
        })
    }
}

/// The rules of a tenant and of its keys that name origins, for the `host` tag and for cookies.
pub(super) fn listed_origins(tenant: &TenantId, settings: &TenantSettings) -> Result<Vec<Rule>, String> {
    let place = format!("tenants.{tenant}");
    let mut all = rules(&settings.origins, &place)?;
    for (name, key) in &settings.keys {
        all.extend(rules(&key.origins, &format!("{place}.keys.{name}"))?);
    }
    Ok(all)
}

fn rules(origins: &[crate::config::OriginRule], place: &str) -> Result<Vec<Rule>, String> {
    let rule = |origin| {
        Rule::new(origin).ok_or_else(|| {
            format!("{place}.origins: {origin:?} is no origin; write scheme://host[:port], https://*.example.com or *")
        })
    };
    origins.iter().map(rule).collect()
}
