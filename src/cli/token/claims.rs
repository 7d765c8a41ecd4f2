//! The claims of a minted token.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::clock::Clock;
use crate::config::{Issuer, TenantId};

use super::super::Failure;

/// Claims that follow from the settings and the other arguments.
const OURS: [&str; 5] = ["iss", "aud", "exp", "nbf", "iat"];

/// Issuer, audience, times and tenant as the gateway wants them, with the caller's own beside.
pub(super) fn build(
    issuer: &Issuer,
    audience: &str,
    tenant: &TenantId,
    clock: &Clock,
    ttl: Duration,
    more: &[String],
) -> Result<Value, Failure> {
    let now = clock.now_millis() / 1_000;
    let ttl = i64::try_from(ttl.as_secs()).ok().filter(|seconds| *seconds > 0);
    let exp = ttl.and_then(|seconds| now.checked_add(seconds));
    let exp = exp.ok_or_else(|| Failure::Misuse("--ttl must be at least a second, such as 5m or 1h".to_owned()))?;
    let mut claims = Map::new();
    for claim in more {
        let (name, value) = claim
            .split_once('=')
            .filter(|(name, _)| !name.is_empty())
            .ok_or_else(|| Failure::Misuse(format!("--claim {claim:?}: write NAME=VALUE")))?;
        if OURS.contains(&name) {
            return Err(Failure::Misuse(format!(
                "--claim {name}: follows from the issuer's settings and --ttl; leave it out"
            )));
        }
        if name == issuer.tenant_claim {
            return Err(Failure::Misuse(format!("--claim {name}: names the tenant; say it with --tenant")));
        }
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        claims.insert(name.to_owned(), value);
    }
    let fixed = [("iss", json!(issuer.issuer)), ("aud", json!(audience)), ("iat", json!(now)), ("exp", json!(exp))];
    claims.extend(fixed.map(|(name, value)| (name.to_owned(), value)));
    let mut claims = Value::Object(claims);
    if place(&mut claims, &issuer.tenant_claim, value_for(issuer, tenant)?).is_none() {
        return Err(Failure::Misuse(format!("--claim stands in the way of the tenant claim {}", issuer.tenant_claim)));
    }
    Ok(claims)
}

/// What the claim must hold for the gateway to see this tenant.
fn value_for<'a>(issuer: &'a Issuer, tenant: &'a TenantId) -> Result<&'a str, Failure> {
    if issuer.tenants.is_empty() {
        return Ok(tenant.as_str());
    }
    let value = issuer.tenants.iter().find(|(_, listed)| *listed == tenant).map(|(value, _)| value.as_str());
    value.ok_or_else(|| {
        Failure::Misuse(format!(
            "--tenant {tenant}: the issuer's table of tenants has no value that stands for it; add one"
        ))
    })
}

/// Puts the tenant where the issuer's `tenant_claim` says: a name, or a JSON pointer whose objects are made on the way.
fn place(claims: &mut Value, claim: &str, tenant: &str) -> Option<()> {
    let tenant = Value::from(tenant);
    let Some(pointer) = claim.strip_prefix('/') else {
        claims.as_object_mut()?.insert(claim.to_owned(), tenant);
        return Some(());
    };
    let mut at = claims;
    for token in pointer.split('/') {
        let name = token.replace("~1", "/").replace("~0", "~");
        if at.is_null() {
            *at = Value::Object(Map::new());
        }
        at = at.as_object_mut()?.entry(name).or_insert(Value::Null);
    }
    at.is_null().then(|| *at = tenant)
}
