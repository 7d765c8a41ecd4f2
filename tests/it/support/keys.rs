//! Keys made for one test, and the tokens that they sign.

use super::random_text;
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

/// The `iss` of [`claims`] and of [`SigningKey::issuer_toml`].
pub const ISSUER: &str = "https://identity.example";

/// The `aud` of [`claims`] and of [`SigningKey::issuer_toml`].
pub const AUDIENCE: &str = "telemetry";

/// A key that signs tokens; what verifies them lies in a folder of its own.
pub struct SigningKey {
    algorithm: Algorithm,
    encoding: EncodingKey,
    verification: Verification,
}

enum Verification {
    Secret { text: String, folder: TempDir },
    PublicKey { pem: String, folder: TempDir },
}

impl SigningKey {
    /// HS256 with a random secret.
    pub fn hs256() -> Self {
        let text = random_text(48);
        let folder = TempDir::with_prefix("tagline-key-").expect("a temporary folder");
        std::fs::write(folder.path().join("secret"), &text).expect("a file in a new folder");
        Self {
            algorithm: Algorithm::HS256,
            encoding: EncodingKey::from_secret(text.as_bytes()),
            verification: Verification::Secret { text, folder },
        }
    }

    /// RS256 with an RSA key of 2048 bits.
    pub fn rs256() -> Self {
        let pair = aws_lc_rs::rsa::KeyPair::generate(KeySize::Rsa2048).expect("an RSA key can be made");
        let private: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().expect("an RSA key has a DER form");
        // The RSA key alone, without its PKCS#8 wrapping, is what jsonwebtoken takes as DER; as PEM it takes both.
        let encoding = EncodingKey::from_rsa_pem(pem("PRIVATE KEY", private.as_ref()).as_bytes());
        Self::asymmetric(Algorithm::RS256, encoding, pair.public_key())
    }

    /// ES256 with a P-256 key.
    pub fn es256() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a P-256 key can be made");
        let private = pair.to_pkcs8v1().expect("a P-256 key has a PKCS#8 form");
        let encoding = EncodingKey::from_ec_pem(pem("PRIVATE KEY", private.as_ref()).as_bytes());
        Self::asymmetric(Algorithm::ES256, encoding, pair.public_key())
    }

    /// EdDSA with an Ed25519 key.
    pub fn ed25519() -> Self {
        let pair = Ed25519KeyPair::generate().expect("an Ed25519 key can be made");
        let private = pair.to_pkcs8().expect("an Ed25519 key has a PKCS#8 form");
        let encoding = EncodingKey::from_ed_pem(pem("PRIVATE KEY", private.as_ref()).as_bytes());
        Self::asymmetric(Algorithm::EdDSA, encoding, pair.public_key())
    }

    fn asymmetric(
        algorithm: Algorithm,
        encoding: jsonwebtoken::errors::Result<EncodingKey>,
        public: &impl AsDer<PublicKeyX509Der<'static>>,
    ) -> Self {
        let public = public.as_der().expect("a public key has a DER form");
        let pem = pem("PUBLIC KEY", public.as_ref());
        let folder = TempDir::with_prefix("tagline-key-").expect("a temporary folder");
        std::fs::write(folder.path().join("public.pem"), &pem).expect("a file in a new folder");
        Self {
            algorithm,
            encoding: encoding.expect("a key that was just made can be read"),
            verification: Verification::PublicKey { pem, folder },
        }
    }

    /// The algorithm's name in settings and token headers.
    pub fn algorithm(&self) -> String {
        format!("{:?}", self.algorithm)
    }

    /// The shared secret; only of HS256.
    pub fn secret(&self) -> &str {
        match &self.verification {
            Verification::Secret { text, .. } => text,
            Verification::PublicKey { .. } => panic!("{} has no shared secret", self.algorithm()),
        }
    }

    /// The public key as PEM; of all but HS256.
    pub fn public_pem(&self) -> &str {
        match &self.verification {
            Verification::PublicKey { pem, .. } => pem,
            Verification::Secret { .. } => panic!("{} has no public key", self.algorithm()),
        }
    }

    /// The file with [`SigningKey::public_pem`], there as long as this value lives.
    pub fn public_key_file(&self) -> PathBuf {
        match &self.verification {
            Verification::PublicKey { folder, .. } => folder.path().join("public.pem"),
            Verification::Secret { .. } => panic!("{} has no public key", self.algorithm()),
        }
    }

    /// The section `[issuers.NAME]` that trusts this key, for [`ISSUER`] and [`AUDIENCE`]. Further keys of the section can be
    /// appended.
    pub fn issuer_toml(&self, name: &str) -> String {
        let key = match &self.verification {
            Verification::Secret { folder, .. } => {
                format!("hmac_secret_file = \"{}\"", folder.path().join("secret").display())
            }
            Verification::PublicKey { .. } => {
                format!("public_key_file = \"{}\"", self.public_key_file().display())
            }
        };
        format!(
            "\n[issuers.{name}]\nissuer = \"{ISSUER}\"\naudience = \"{AUDIENCE}\"\nalgorithms = [\"{}\"]\n{key}\n",
            self.algorithm()
        )
    }

    /// The public key as issuers publish it, by this name; of all but HS256.
    pub fn jwk(&self, kid: &str) -> Value {
        let mut jwk =
            Jwk::from_encoding_key(&self.encoding, self.algorithm).expect("a key that signs has a public half");
        jwk.common.key_id = Some(kid.to_owned());
        serde_json::to_value(jwk).expect("a JWK is JSON")
    }

    /// A token with these claims.
    pub fn sign(&self, claims: &Value) -> String {
        self.sign_with_header(&Header::new(self.algorithm), claims)
    }

    /// A token with these claims and a header of the test's choice (a `kid`, another `typ`).
    pub fn sign_with_header(&self, header: &Header, claims: &Value) -> String {
        jsonwebtoken::encode(header, claims, &self.encoding).expect("these claims can be signed")
    }

    /// A token of these very texts, signed by the key's own algorithm whatever the header says.
    pub fn sign_texts(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &self.encoding, self.algorithm);
        format!("{message}.{}", signature.expect("a key signs by its own algorithm"))
    }
}

/// Claims that name this tenant and are good for five minutes.
pub fn claims(tenant: &str) -> Value {
    let now = unix_seconds();
    json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "user-1", "tenant_id": tenant, "iat": now, "exp": now + 300 })
}

/// The time now, as tokens tell it.
pub fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970").as_secs()
}

/// DER in the armour of RFC 7468.
fn pem(label: &str, der: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut armoured = format!("-----BEGIN {label}-----\n");
    for line in der.chunks(48) {
        for group in line.chunks(3) {
            let bits = group.iter().fold(0, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
            for index in 0..4 {
                let sextet = (bits >> (18 - 6 * index) & 63) as usize;
                armoured.push(if index > group.len() { '=' } else { char::from(ALPHABET[sextet]) });
            }
        }
        armoured.push('\n');
    }
    armoured.push_str(&format!("-----END {label}-----\n"));
    armoured
}
