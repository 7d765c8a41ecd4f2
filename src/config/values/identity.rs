//! Whose word is taken: algorithms, keys, tenants.

use super::{Outcome, nearest, quote};
use crate::config::{Algorithm, TenantId};

/// A signature algorithm by its RFC 7518 name.
pub(crate) fn algorithm(text: &str) -> Outcome<Algorithm> {
    use Algorithm::*;
    let all = [HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA]
        .map(|a| (format!("{a:?}"), a));
    if let Some((_, algorithm)) = all.iter().find(|(name, _)| name == text) {
        return Ok(*algorithm);
    }
    if text.eq_ignore_ascii_case("none") {
        return Err("\"none\" would take tokens that nobody signed; name the algorithm that the issuer signs with, such as \"RS256\"".into());
    }
    let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
    let hint = nearest(text, names.iter().copied())
        .map_or_else(|| format!("write one of {}", names.join(", ")), |near| format!("did you mean \"{near}\"?"));
    Err(format!("{} is no algorithm that is taken; {hint}", quote(text)))
}

/// A publishable write key: long enough not to be guessed, and safe in a path or a query as it is. Never echoed.
pub(crate) fn write_key(text: &str) -> Outcome<&str> {
    if text.chars().count() < 16 {
        return Err("the key is too short: 16 characters or more; `tagline token --write-key` makes one".into());
    }
    if text.len() > 128 {
        return Err("the key is too long: 128 characters at most".into());
    }
    let safe = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b));
    safe.then_some(text)
        .ok_or_else(|| "the key cannot stand in a URL as it is; use letters, digits and \"-._~\" only".into())
}

/// A tenant's id.
pub(crate) fn tenant_id(text: &str) -> Outcome<TenantId> {
    TenantId::parse(text).ok_or_else(|| {
        format!("{} is no tenant id; write 1 to 64 characters of A-Z, a-z, 0-9, \"_\" and \"-\"", quote(text))
    })
}

/// A value of a claim, as a key of `issuers.NAME.tenants`.
pub(crate) fn claim_value(text: &str) -> Outcome<()> {
    let good = (1..=256).contains(&text.len()) && !text.chars().any(char::is_control);
    good.then_some(())
        .ok_or_else(|| format!("{} is no claim's value; write 1 to 256 bytes without control characters", quote(text)))
}

/// A cookie's name (RFC 6265 section 4.1.1: a token).
pub(crate) fn cookie_name(text: &str) -> Outcome<&str> {
    let good = (1..=128).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
    good.then_some(text).ok_or_else(|| format!("{} is no cookie's name; write for example \"session\"", quote(text)))
}
