//! The claims of a token: strict JSON, times by our clock, audience, and the claim that names the tenant.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::config::TenantId;

use super::token::Window;
use super::{AuthError, Code};

const NANOS_PER_SECOND: i128 = 1_000_000_000;

/// The claims of a token, in which no name stands twice at any depth: two readers of one token must not see two tenants.
#[derive(Debug)]
pub(super) struct Claims(Map<String, Value>);

/// Which claim names the tenant.
#[derive(Debug)]
pub(super) enum TenantClaim {
    Name(String),
    /// RFC 6901.
    Pointer(String),
}

impl TenantClaim {
    /// A JSON pointer where it begins with `/`, else a name (which may hold anything: `https://example.com/tenant`).
    pub(super) fn new(text: &str) -> Self {
        if text.starts_with('/') { Self::Pointer(text.to_owned()) } else { Self::Name(text.to_owned()) }
    }
}

impl Claims {
    /// Reads a token's payload.
    pub(super) fn parse(json: &[u8]) -> Result<Self, AuthError> {
        match serde_json::from_slice(json) {
            Ok(Strict(Value::Object(claims))) => Ok(Self(claims)),
            // The parser's own message could quote the token.
            _ => {
                Err(Code::TokenMalformed
                    .because("the token's claims are no JSON object, or a name stands twice in them"))
            }
        }
    }

    /// The `iss` claim: before verifying it only chooses whose key is tried.
    pub(super) fn issuer(&self) -> Option<&str> {
        self.0.get("iss").and_then(Value::as_str)
    }

    /// A claim of this name.
    pub(super) fn get(&self, claim: &str) -> Option<&Value> {
        self.0.get(claim)
    }

    /// When the token holds: `exp` is required and it ends there (plus leeway); before `nbf` (less leeway) it does not yet hold.
    pub(super) fn window(&self, leeway: Duration) -> Result<Window, AuthError> {
        let leeway = i128::try_from(leeway.as_nanos()).unwrap_or(i128::MAX / 4);
        let exp = self.time("exp")?.ok_or_else(|| {
            Code::TokenMalformed
                .because("the token has no exp: a token that never ends is not taken; let the issuer set it")
        })?;
        let from = self.time("nbf")?.map(|nbf| nbf.saturating_sub(leeway));
        Ok(Window { from, until: exp.saturating_add(leeway), in_reach: None })
    }

    /// Whether a claim stands on a deny list. A number is compared as its decimal text, so that an issuer which writes one is not
    /// out of the list's reach.
    pub(super) fn check_denied(&self, claim: &str, denied: &BTreeSet<String>) -> Result<(), AuthError> {
        let is_denied = match self.0.get(claim) {
            Some(Value::String(text)) => denied.contains(text),
            Some(Value::Number(number)) => denied.contains(&number.to_string()),
            _ => false,
        };
        if is_denied {
            return Err(Code::TokenRevoked
                .because(format!("the token's {claim} is on the deny list of its issuer here: sign in again")));
        }
        Ok(())
    }

    /// One of `expected` must stand in `aud`, a string or an array of strings.
    pub(super) fn check_audience(&self, expected: &[String]) -> Result<(), AuthError> {
        let is_ours = |value: &Value| value.as_str().is_some_and(|aud| expected.iter().any(|ours| ours == aud));
        let found = match self.0.get("aud") {
            Some(Value::Array(all)) => all.iter().all(Value::is_string) && all.iter().any(is_ours),
            Some(one) => is_ours(one),
            None => false,
        };
        if found {
            return Ok(());
        }
        Err(Code::TokenAudience
            .because("the token's aud names none of the audiences that its issuer is configured with here"))
    }

    /// The value of the claim that names the tenant, whatever it is.
    pub(super) fn naming(&self, claim: &TenantClaim) -> Option<&Value> {
        match claim {
            TenantClaim::Name(name) => self.0.get(name),
            TenantClaim::Pointer(pointer) => point(&self.0, pointer),
        }
    }

    /// The tenant that the token names: by the claim's value itself, or, with a table, by what the table says of that value.
    pub(super) fn tenant(
        &self,
        claim: &TenantClaim,
        tenants: &BTreeMap<String, TenantId>,
    ) -> Result<TenantId, AuthError> {
        let (TenantClaim::Name(place) | TenantClaim::Pointer(place)) = claim;
        let value = self.naming(claim);
        if tenants.is_empty() {
            return value.and_then(Value::as_str).and_then(TenantId::parse).ok_or_else(|| {
                Code::TokenTenantClaim.because(format!(
                    "the token's claim {place} must be a string of 1 to 64 characters of A-Z a-z 0-9 _ -: ask the issuer for it"
                ))
            });
        }
        let tenant = match value {
            Some(Value::String(text)) => tenants.get(text),
            // 7.0 and 7e0 are no whole numbers here: one value, one spelling.
            Some(Value::Number(number)) if number.is_i64() || number.is_u64() => tenants.get(&number.to_string()),
            _ => None,
        };
        tenant.cloned().ok_or_else(|| {
            Code::TokenTenantClaim.because(format!(
                "the token's claim {place} holds no value that its issuer's table of tenants lists here: add it to that table"
            ))
        })
    }

    /// A NumericDate (RFC 7519 section 2: seconds, may have a fraction) in nanoseconds.
    fn time(&self, claim: &str) -> Result<Option<i128>, AuthError> {
        let Some(value) = self.0.get(claim) else {
            return Ok(None);
        };
        let nanos = value.as_number().and_then(nanos);
        let malformed =
            || Code::TokenMalformed.because(format!("the token's {claim} is no number of seconds since 1970"));
        nanos.map(Some).ok_or_else(malformed)
    }
}

fn nanos(seconds: &Number) -> Option<i128> {
    if let Some(whole) = seconds.as_i128() {
        return Some(whole * NANOS_PER_SECOND);
    }
    // Whole seconds and fraction apart: as one float the nanoseconds of today would be off by hundreds. The cast saturates.
    let float = seconds.as_f64().filter(|s| s.is_finite())?;
    Some((float.floor() as i128).saturating_mul(NANOS_PER_SECOND).saturating_add((float.rem_euclid(1.0) * 1e9) as i128))
}

/// `Value::pointer` over a map that is not wrapped in a `Value`.
fn point<'a>(claims: &'a Map<String, Value>, pointer: &str) -> Option<&'a Value> {
    let rest = pointer.strip_prefix('/')?;
    let (first, deeper) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    claims.get(&first.replace("~1", "/").replace("~0", "~"))?.pointer(deeper)
}

/// A JSON value in which no object holds a name twice; serde_json's own `Value` keeps the last in silence.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without duplicate names")
    }

    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_f64<E>(self, v: f64) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(Strict(value)) = seq.next_element()? {
            all.push(value);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let Strict(value) = map.next_value()?;
            if all.insert(name, value).is_some() {
                return Err(de::Error::custom("a name stands twice"));
            }
        }
        Ok(Value::Object(all))
    }
}
