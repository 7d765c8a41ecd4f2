//! Signs tokens, good ones and bad ones, with keys made on the spot.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PSS_SHA256, RsaKeyPair, RsaPublicKeyComponents,
};
use aws_lc_rs::{hmac, signature};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{AUDIENCE, NOW};
use crate::config::IssuerKey;

/// The DER before a P-256 point in a SubjectPublicKeyInfo (RFC 5480): the curve's names, then a bit string of 66 bytes.
const P256_SPKI: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// A key pair, or a shared secret.
pub(crate) struct Signer {
    kind: Kind,
    public: Vec<u8>,
    private: Vec<u8>,
}

enum Kind {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Hmac(String),
}

impl Signer {
    pub(crate) fn rsa() -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let public = AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).unwrap().as_ref().to_vec();
        let private = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).unwrap().as_ref().to_vec();
        Self { kind: Kind::Rsa(pair), public, private }
    }

    pub(crate) fn p256() -> Self {
        let private = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, private.as_ref()).unwrap();
        let public = [&P256_SPKI, pair.public_key().as_ref()].concat();
        Self { kind: Kind::Ec(pair), public, private: private.as_ref().to_vec() }
    }

    pub(crate) fn p384() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
        let public = AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).unwrap().as_ref().to_vec();
        let private = pair.to_pkcs8v1().unwrap().as_ref().to_vec();
        Self { kind: Kind::Ec(pair), public, private }
    }

    pub(crate) fn ed25519() -> Self {
        let private = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(private.as_ref()).unwrap();
        let public =
            AsDer::<PublicKeyX509Der<'_>>::as_der(signature::KeyPair::public_key(&pair)).unwrap().as_ref().to_vec();
        Self { kind: Kind::Ed(pair), public, private: private.as_ref().to_vec() }
    }

    pub(crate) fn hmac(secret: &str) -> Self {
        Self { kind: Kind::Hmac(secret.to_owned()), public: Vec::new(), private: Vec::new() }
    }

    pub(crate) fn public_pem(&self) -> String {
        pem("PUBLIC KEY", &self.public)
    }

    /// The public key as issuers publish it.
    pub(crate) fn jwk(&self) -> Value {
        match &self.kind {
            Kind::Rsa(pair) => {
                let RsaPublicKeyComponents { n, e } = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({ "kty": "RSA", "n": b64(n), "e": b64(e) })
            }
            Kind::Ec(pair) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                let curve = if x.len() == 32 { "P-256" } else { "P-384" };
                json!({ "kty": "EC", "crv": curve, "x": b64(x), "y": b64(y) })
            }
            Kind::Ed(pair) => {
                let point = signature::KeyPair::public_key(pair).as_ref();
                json!({ "kty": "OKP", "crv": "Ed25519", "x": b64(point) })
            }
            Kind::Hmac(secret) => json!({ "kty": "oct", "k": b64(secret) }),
        }
    }

    pub(crate) fn private_pem(&self) -> String {
        pem("PRIVATE KEY", &self.private)
    }

    pub(crate) fn public_key(&self) -> IssuerKey {
        IssuerKey::PublicPem { pem: self.public_pem(), path: "key.pem".into() }
    }

    /// Signs with the key's own algorithm, whatever the header says.
    pub(crate) fn sign(&self, header: &str, claims: &str) -> String {
        self.sign_raw(&format!("{}.{}", b64(header), b64(claims)))
    }

    /// RSA only: with PSS padding.
    pub(crate) fn sign_pss(&self, header: &str, claims: &str) -> String {
        let Kind::Rsa(pair) = &self.kind else { panic!("PSS is RSA's") };
        let message = format!("{}.{}", b64(header), b64(claims));
        let signature = rsa(pair, &RSA_PSS_SHA256, &message);
        format!("{message}.{}", b64(signature))
    }

    /// RSA and HMAC: truly signed with the SHA-384 algorithm of the family, RS384 or HS384.
    pub(crate) fn sign_384(&self, alg: &str, claims: &str) -> String {
        let message = format!("{}.{}", b64(header(alg)), b64(claims));
        let signature = match &self.kind {
            Kind::Rsa(pair) => rsa(pair, &RSA_PKCS1_SHA384, &message),
            Kind::Hmac(secret) => {
                let key = hmac::Key::new(hmac::HMAC_SHA384, secret.as_bytes());
                hmac::sign(&key, message.as_bytes()).as_ref().to_vec()
            }
            _ => panic!("RSA and HMAC only"),
        };
        format!("{message}.{}", b64(signature))
    }

    fn sign_raw(&self, message: &str) -> String {
        let bytes = message.as_bytes();
        let signature = match &self.kind {
            Kind::Rsa(pair) => rsa(pair, &RSA_PKCS1_SHA256, message),
            Kind::Ec(pair) => pair.sign(&SystemRandom::new(), bytes).unwrap().as_ref().to_vec(),
            Kind::Ed(pair) => pair.sign(bytes).as_ref().to_vec(),
            Kind::Hmac(secret) => {
                hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), bytes).as_ref().to_vec()
            }
        };
        format!("{message}.{}", b64(signature))
    }

    /// A token with the right `alg` in its header.
    pub(crate) fn token(&self, claims: &Value) -> String {
        let alg = match &self.kind {
            Kind::Rsa(_) => "RS256",
            Kind::Ec(_) => "ES256",
            Kind::Ed(_) => "EdDSA",
            Kind::Hmac(_) => "HS256",
        };
        self.sign(&header(alg), &claims.to_string())
    }
}

/// A public key of 1024 bits, as PEM.
pub(crate) fn short_rsa_pem() -> String {
    let components = RsaPublicKeyComponents { n: &[0xc5_u8; 128][..], e: &[1, 0, 1] };
    pem("PUBLIC KEY", AsDer::<PublicKeyX509Der<'_>>::as_der(&components).unwrap().as_ref())
}

fn rsa(pair: &RsaKeyPair, padding: &'static dyn signature::RsaEncoding, message: &str) -> Vec<u8> {
    let mut out = vec![0; pair.public_modulus_len()];
    pair.sign(padding, &SystemRandom::new(), message.as_bytes(), &mut out).unwrap();
    out
}

pub(crate) fn header(alg: &str) -> String {
    json!({ "alg": alg, "typ": "JWT" }).to_string()
}

/// Claims that the `rsa` issuer would make for `acme`, for a minute.
pub(crate) fn claims() -> Value {
    json!({ "iss": "https://rsa.example", "aud": AUDIENCE, "exp": NOW + 60, "tenant_id": "acme" })
}

/// The same with these members replaced or added, and those that are null removed.
pub(crate) fn with(changes: Value) -> Value {
    let mut all = claims();
    let map = all.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => map.remove(name),
            value => map.insert(name.clone(), value.clone()),
        };
    }
    all
}

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
