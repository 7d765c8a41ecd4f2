//! Tokens: nothing that was not signed with an issuer's own key proves anything, and what was signed proves what its claims say, read naively.

use serde_json::{Map, Value};

use super::gateway::{
    AUDIENCE, DENIED_JTI, DENIED_SUB, Family, GLOBEX, Gateway, LEEWAY_S, NOW, NOW_S, TABLE, b64, hmac,
};
use super::naive::{has_duplicates, is_tenant_id, origin};
use crate::auth::{AuthError, Presented, Tenant};
use crate::clock::UnixNanos;

/// The longest token that is looked at, as the documentation says.
const LONGEST: usize = 8 * 1024;
/// The page that sends: what an upload token must be bound to.
const PAGE: &str = "https://app.example";

/// How a token is signed; the input's first byte.
enum Signed {
    /// With an issuer's key.
    By(Family),
    /// As an attacker can.
    Forged(fn(&Gateway, &str) -> Vec<u8>),
}

fn signed(how: u8) -> Option<Signed> {
    use Signed::{By, Forged};
    Some(match how {
        b'h' => By(Family::Hmac),
        b'r' => By(Family::Rsa),
        b'c' => By(Family::Ec),
        b'e' => By(Family::Ed),
        b'u' => By(Family::Upload),
        // Not at all.
        b'n' => Forged(|_, _| Vec::new()),
        // With keys of the same kinds that no issuer has.
        b'H' => Forged(|gateway, message| gateway.strangers.sign(Family::Hmac, message)),
        b'C' => Forged(|gateway, message| gateway.strangers.sign(Family::Ec, message)),
        b'E' => Forged(|gateway, message| gateway.strangers.sign(Family::Ed, message)),
        // With what everybody can read: public keys as shared secrets.
        b'1' => Forged(|gateway, message| hmac(gateway.signers.public_pem(Family::Rsa).as_bytes(), message)),
        b'2' => Forged(|gateway, message| hmac(gateway.signers.public_pem(Family::Ec).as_bytes(), message)),
        b'3' => Forged(|gateway, message| hmac(gateway.signers.public_pem(Family::Ed).as_bytes(), message)),
        b'0' => Forged(|_, message| hmac(b"", message)),
        // With the signature of a token that holds.
        b's' => Forged(|gateway, _| {
            let good = gateway.good_token("acme");
            good.rsplit('.').next().unwrap_or_default().as_bytes().to_vec()
        }),
        _ => return None,
    })
}

/// Proves a tenant by a token. The input is `how`, a byte, then the header's JSON, a newline and the claims' JSON; or, when the byte names no way of
/// signing, the token itself.
pub fn token(input: &[u8]) -> bool {
    let gateway = Gateway::shared();
    let Some((&how, rest)) = input.split_first() else { return false };
    let Some(signed) = signed(how) else {
        let refused = verify(gateway, input, NOW);
        assert!(refused.is_err(), "nobody signed {input:?}");
        return false;
    };
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let (header, claims) = (&rest[..end], rest.get(end + 1..).unwrap_or_default());
    let message = format!("{}.{}", b64(header), b64(claims));
    let (family, signature) = match signed {
        Signed::By(family) => (Some(family), gateway.signers.sign(family, &message)),
        Signed::Forged(sign) => (None, sign(gateway, &message)),
    };
    let token = format!("{message}.{}", b64(signature));
    let proven = verify(gateway, token.as_bytes(), NOW);
    let again = verify(gateway, token.as_bytes(), NOW);
    let outcome = |proven: &Result<Tenant, AuthError>| {
        proven.as_ref().map(|tenant| tenant.id().as_str().to_owned()).map_err(|error| error.code)
    };
    assert_eq!(outcome(&proven), outcome(&again), "asked twice, two answers");
    let wanted = match family {
        Some(family) if token.len() <= LONGEST => proves(family, header, claims),
        _ => Naive::Nobody,
    };
    match (&proven, wanted) {
        (Ok(tenant), Naive::Tenant { id, ends }) => {
            assert_eq!(tenant.id().as_str(), id);
            if let Some(end) = after(ends) {
                let late = verify(gateway, token.as_bytes(), end);
                assert_eq!(late.map(drop).map_err(|error| error.code), Err("token_expired"));
            }
        }
        (Ok(tenant), Naive::Nobody) => panic!("{} is proven by {}", tenant.id(), String::from_utf8_lossy(input)),
        (Err(error), Naive::Tenant { id, .. }) => panic!("{id} is refused as {}: {}", error.code, error.detail),
        (Err(_), Naive::Nobody) | (_, Naive::Unsure) => {}
    }
    proven.is_ok()
}

fn verify(gateway: &Gateway, token: &[u8], now: UnixNanos) -> Result<Tenant, AuthError> {
    let header = [b"Bearer ", token].concat();
    let presented = Presented { authorization: vec![&header], origin: vec![PAGE.as_bytes()], ..Presented::default() };
    gateway.authenticator.verify(&presented, now, &|| Ok(()))
}

/// What a naive reading says of a token whose signature holds.
enum Naive {
    Tenant {
        id: String,
        ends: f64,
    },
    Nobody,
    /// A time too near to now, or a header that parsers may read differently.
    Unsure,
}

fn proves(family: Family, header: &[u8], claims: &[u8]) -> Naive {
    let Ok(header_json) = serde_json::from_slice::<Value>(header) else { return Naive::Unsure };
    match has_duplicates(header) {
        Some(false) => {}
        Some(true) => return Naive::Nobody,
        None => return Naive::Unsure,
    }
    let (Ok(claims_json), Some(false)) = (serde_json::from_slice::<Value>(claims), has_duplicates(claims)) else {
        return Naive::Nobody;
    };
    let (Value::Object(header), Value::Object(claims)) = (&header_json, &claims_json) else {
        return Naive::Nobody;
    };
    if header.contains_key("crit") || header.get("alg").and_then(Value::as_str) != Some(family.algorithm().0) {
        return Naive::Nobody;
    }
    let audience: &[&str] = if family == Family::Upload { &["tagline"] } else { &[AUDIENCE, "telemetry-eu"] };
    if claims.get("iss").and_then(Value::as_str) != Some(family.issuer()) || !has_audience(claims.get("aud"), audience)
    {
        return Naive::Nobody;
    }
    let (Some(ends), begins) = (claims.get("exp").and_then(Value::as_f64), claims.get("nbf").map(Value::as_f64)) else {
        return Naive::Nobody;
    };
    let (now, leeway) = (NOW_S as f64, LEEWAY_S as f64);
    let begins = match begins {
        Some(None) => return Naive::Nobody,
        Some(Some(begins)) => begins,
        None => 0.0,
    };
    // An upload token's end lies an hour ahead at most.
    let reach = if family == Family::Upload { now + 3_600.0 + leeway - ends } else { 1.0 };
    let margins = [ends + leeway - now, now - (begins - leeway), reach];
    if margins.iter().any(|margin| margin.abs() < 0.01) {
        return Naive::Unsure;
    }
    if margins.iter().any(|margin| *margin < 0.0) {
        return Naive::Nobody;
    }
    let id = match family {
        Family::Upload if !is_bound(claims) => None,
        Family::Upload => Some("acme"),
        Family::Hmac if is_denied(claims.get("jti"), &DENIED_JTI) || is_denied(claims.get("sub"), &DENIED_SUB) => None,
        Family::Ed => {
            let value = text_or_whole(claims.get(family.tenant_claim()));
            TABLE.iter().find(|(listed, _)| Some(*listed) == value.as_deref()).map(|(_, id)| *id)
        }
        Family::Ec => claims_json.pointer(family.tenant_claim()).and_then(Value::as_str),
        _ => claims.get(family.tenant_claim()).and_then(Value::as_str),
    };
    match id {
        Some(id) if is_tenant_id(id) && ["acme", GLOBEX].contains(&id) => Naive::Tenant { id: id.to_owned(), ends },
        _ => Naive::Nobody,
    }
}

/// Whether an upload token is minted for this page, and for measurements by their names.
fn is_bound(claims: &Map<String, Value>) -> bool {
    let page = claims.get("origin").and_then(Value::as_str).is_some_and(|text| origin(text) == PAGE);
    let names = |list: &Vec<Value>| !list.is_empty() && list.iter().all(Value::is_string);
    page && claims.get("measurements").is_none_or(|listed| listed.as_array().is_some_and(names))
}

fn is_denied(claim: Option<&Value>, denied: &[&str]) -> bool {
    match claim {
        Some(Value::String(text)) => denied.contains(&text.as_str()),
        Some(Value::Number(number)) => denied.contains(&number.to_string().as_str()),
        _ => false,
    }
}

/// A text, or a whole number as text.
fn text_or_whole(claim: Option<&Value>) -> Option<String> {
    match claim? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if !number.is_f64() => Some(number.to_string()),
        _ => None,
    }
}

fn has_audience(aud: Option<&Value>, ours: &[&str]) -> bool {
    let ours = |text: &str| ours.contains(&text);
    match aud {
        Some(Value::String(one)) => ours(one),
        Some(Value::Array(all)) => all.iter().all(Value::is_string) && all.iter().filter_map(Value::as_str).any(ours),
        _ => false,
    }
}

/// A moment after the end and its leeway, where the clock can show it.
fn after(ends: f64) -> Option<UnixNanos> {
    let seconds = ends.ceil() + LEEWAY_S as f64 + 1.0;
    (seconds < 9.0e9).then(|| seconds as i64 * 1_000_000_000)
}
