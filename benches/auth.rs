//! What a proof costs: `cargo bench --bench auth`.
//!
//! `unknown` tokens are new each time and cost their signature check; `known` ones come again, and are found by their SHA-256. The ratio of the two is
//! what the cache of verified tokens is for. A write key stands beside them for comparison.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use divan::Bencher;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;

use tagline::auth::{AuthError, Authenticator, Directory, KeySets, Presented, Tenant};
use tagline::clock::Clock;
use tagline::config;
use tagline::metrics::Metrics;
use tagline::outcome::Ledger;

const NOW: i64 = 1_790_000_000_000_123_456;
const NOW_SECONDS: i64 = NOW / 1_000_000_000;
const ORIGIN: &str = "https://app.example";
const KEY: &str = "bench-key-0123456789abcdef";
const SECRET: &str = "a secret of benches, of thirty-two letters and more";

fn main() {
    divan::main();
}

/// Who signed a token.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Signer {
    Rs256,
    Es256,
    Hs256,
    Upload,
}

const SIGNERS: [Signer; 4] = [Signer::Rs256, Signer::Es256, Signer::Hs256, Signer::Upload];

impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::Hs256 => "HS256",
            Self::Upload => "upload token",
        })
    }
}

#[divan::bench(args = SIGNERS, sample_count = 50, sample_size = 20)]
fn unknown(bencher: Bencher<'_, '_>, signer: Signer) {
    let gateway = Gateway::new();
    bencher.with_inputs(|| gateway.token(signer)).bench_refs(|token| gateway.token_verdict(token).is_ok());
}

#[divan::bench(args = SIGNERS)]
fn known(bencher: Bencher<'_, '_>, signer: Signer) {
    let gateway = Gateway::new();
    let token = gateway.token(signer);
    gateway.token_verdict(&token).expect("a good token");
    bencher.bench(|| gateway.token_verdict(divan::black_box(&token)).is_ok());
}

/// The same bad token over and over.
#[divan::bench]
fn known_to_be_forged(bencher: Bencher<'_, '_>) {
    let gateway = Gateway::new();
    let forged = Gateway::new().token(Signer::Rs256);
    gateway.token_verdict(&forged).expect_err("signed by another key");
    bencher.bench(|| gateway.token_verdict(divan::black_box(&forged)).is_err());
}

#[divan::bench]
fn write_key(bencher: Bencher<'_, '_>) {
    let gateway = Gateway::new();
    bencher.bench(|| {
        let write_keys = vec![divan::black_box(KEY).to_owned()];
        gateway.verdict(&Presented { write_keys, origin: vec![ORIGIN.as_bytes()], ..Presented::default() }).is_ok()
    });
}

/// A gateway with an issuer of each kind, and the keys to sign as one.
struct Gateway {
    authenticator: Authenticator,
    rsa: EncodingKey,
    ec: EncodingKey,
    /// So that no token comes twice.
    minted: AtomicU64,
}

impl Gateway {
    fn new() -> Self {
        let folder = tempfile::TempDir::new().expect("a folder");
        let rsa = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
        let ec = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
        let public = [
            ("RS256", AsDer::<PublicKeyX509Der<'_>>::as_der(rsa.public_key()).expect("DER").as_ref().to_vec()),
            ("ES256", AsDer::<PublicKeyX509Der<'_>>::as_der(ec.public_key()).expect("DER").as_ref().to_vec()),
        ];
        let mut env: Vec<(String, String)> = [
            ("TAGLINE__TENANTS__ACME__KEYS__WEB__KEY", KEY),
            ("TAGLINE__TENANTS__ACME__KEYS__WEB__ORIGINS", ORIGIN),
            ("TAGLINE__TENANTS__ACME__UPLOAD_SECRETS__ONE__SECRET", SECRET),
            ("TAGLINE__ISSUERS__HS256__HMAC_SECRET", SECRET),
            ("INFLUXDB_URL", "http://127.0.0.1:8086"),
            ("INFLUXDB_ORG", "bench"),
            ("INFLUXDB_TOKEN", "unused"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
        for (name, der) in public {
            let file = folder.path().join(name);
            let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der));
            std::fs::write(&file, pem).expect("a file");
            env.push((format!("TAGLINE__ISSUERS__{name}__PUBLIC_KEY_FILE"), file.display().to_string()));
        }
        for name in ["RS256", "ES256", "HS256"] {
            let row = [("ISSUER", issuer(name)), ("AUDIENCE", "telemetry".to_owned()), ("ALGORITHMS", name.to_owned())];
            env.extend(row.map(|(key, value)| (format!("TAGLINE__ISSUERS__{name}__{key}"), value)));
        }
        let settings = config::load(&config::Sources { file: None, env }).expect("sound settings");
        let directory = Arc::new(Directory::of(&settings, &Arc::new(Ledger::default())));
        let sets =
            KeySets::new(Clock::manual(NOW), Arc::new(Metrics::new().expect("metrics"))).expect("an HTTP client");
        let (rsa, ec) = (AsDer::<Pkcs8V1Der<'_>>::as_der(&rsa).expect("DER"), ec.to_pkcs8v1().expect("DER"));
        Self {
            authenticator: Authenticator::new(&settings, directory, &sets).expect("sound settings"),
            rsa: EncodingKey::from_rsa_pem(&pem(rsa.as_ref())).expect("a key"),
            ec: EncodingKey::from_ec_pem(&pem(ec.as_ref())).expect("a key"),
            minted: AtomicU64::new(0),
        }
    }

    fn token(&self, signer: Signer) -> String {
        let jti = self.minted.fetch_add(1, Ordering::Relaxed);
        let claims = json!({
            "iss": issuer(&signer.to_string()), "aud": "telemetry", "exp": NOW_SECONDS + 600, "tenant_id": "acme", "jti": jti,
            "sub": "somebody@example.com", "scope": "telemetry:write",
        });
        let upload =
            json!({ "iss": "tenant:acme", "aud": "tagline", "exp": NOW_SECONDS + 600, "origin": ORIGIN, "jti": jti });
        let secret = EncodingKey::from_secret(SECRET.as_bytes());
        let (algorithm, key, claims) = match signer {
            Signer::Rs256 => (Algorithm::RS256, &self.rsa, claims),
            Signer::Es256 => (Algorithm::ES256, &self.ec, claims),
            Signer::Hs256 => (Algorithm::HS256, &secret, claims),
            Signer::Upload => (Algorithm::HS256, &secret, upload),
        };
        encode(&Header::new(algorithm), &claims, key).expect("a token")
    }

    fn token_verdict(&self, token: &str) -> Result<Tenant, AuthError> {
        let authorization = format!("Bearer {token}");
        let authorization = vec![authorization.as_bytes()];
        self.verdict(&Presented { authorization, origin: vec![ORIGIN.as_bytes()], ..Presented::default() })
    }

    fn verdict(&self, presented: &Presented<'_>) -> Result<Tenant, AuthError> {
        self.authenticator.verify(presented, NOW, &|| Ok(()))
    }
}

fn issuer(name: &str) -> String {
    format!("https://{}.example", name.to_lowercase())
}

fn pem(pkcs8: &[u8]) -> Vec<u8> {
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(pkcs8)).into_bytes()
}
