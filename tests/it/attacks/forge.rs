//! Tokens, good and forged.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use crate::identity::claims_of;
use crate::support::{SigningKey, claims};

/// The keys of the issuers, and one of the attacker's own.
pub(super) struct Keys {
    /// `https://identity.example`: RS256.
    pub(super) rsa: SigningKey,
    /// `https://billing.example`: RS256 too, for another audience.
    pub(super) billing: SigningKey,
    /// `https://ec.example`: ES256, the tenant by a JSON pointer.
    pub(super) ec: SigningKey,
    /// `https://ed.example`: EdDSA.
    pub(super) ed: SigningKey,
    /// `https://hs.example`: HS256.
    pub(super) hs: SigningKey,
    /// `https://partner.example`: HS256, and speaks for acme alone, as `org-1`.
    pub(super) partner: SigningKey,
    /// Nobody's but the attacker's.
    pub(super) own: SigningKey,
}

impl Keys {
    pub(super) fn make() -> Self {
        Self {
            rsa: SigningKey::rs256(),
            billing: SigningKey::rs256(),
            ec: SigningKey::es256(),
            ed: SigningKey::ed25519(),
            hs: SigningKey::hs256(),
            partner: SigningKey::hs256(),
            own: SigningKey::rs256(),
        }
    }

    /// What the attacker was given: acme's token.
    pub(super) fn acme(&self) -> String {
        self.rsa.sign(&claims("acme"))
    }

    /// What the victim keeps to itself.
    pub(super) fn globex(&self) -> String {
        self.rsa.sign(&claims("globex"))
    }

    /// Claims with these changes, well signed by the first issuer.
    pub(super) fn well_signed(&self, changes: &Value) -> String {
        self.rsa.sign(&with(changes))
    }
}

/// acme's claims with these members replaced or added; `null` takes one away.
pub(super) fn with(changes: &Value) -> Value {
    let mut all = claims("acme");
    let members = all.as_object_mut().expect("claims are an object");
    for (name, value) in changes.as_object().expect("changes are an object") {
        match value {
            Value::Null => members.remove(name),
            value => members.insert(name.clone(), value.clone()),
        };
    }
    all
}

/// Claims of the issuer that looks for the tenant elsewhere.
pub(super) fn ec_claims(tenant: &Value) -> Value {
    let mut claims = claims_of("ec", "acme");
    claims["ctx"] = json!({ "tenant": tenant });
    claims
}

/// Header and claims with this for a signature.
pub(super) fn put_together(header: &str, claims: &str, signature: &str) -> String {
    format!("{}.{}.{signature}", b64(header), b64(claims))
}

/// Signed with HMAC by any bytes: a public key, an empty secret.
pub(super) fn hmac_signed(header: &str, claims: &str, secret: &[u8]) -> String {
    let message = format!("{}.{}", b64(header), b64(claims));
    let key = EncodingKey::from_secret(secret);
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256);
    format!("{message}.{}", signature.expect("HMAC signs with anything"))
}

/// The bytes in a PEM's armour.
pub(super) fn der(pem: &str) -> Vec<u8> {
    let text: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    STANDARD.decode(text).expect("PEM is base64")
}

pub(super) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
