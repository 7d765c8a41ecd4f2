//! The gateway that the targets try: settings through the loader, keys made anew for each run, and what is right to present to it.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use aws_lc_rs::{hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;

use crate::auth::{Authenticator, Directory, KeySets};
use crate::clock::{Clock, UnixNanos};
use crate::config::{self, Algorithm, Issuer, IssuerKey, Settings, TenantId};
use crate::enrich::Enricher;
use crate::metrics::Metrics;

/// 2026-09-21T14:13:20Z, the second in which all targets stand.
pub(crate) const NOW_S: i64 = 1_790_000_000;
/// The same in nanoseconds, and a few more.
pub(crate) const NOW: UnixNanos = NOW_S * 1_000_000_000 + 123_456;
/// The leeway of all issuers, by default.
pub(super) const LEEWAY_S: i64 = 30;
/// What tokens must name.
pub(super) const AUDIENCE: &str = "telemetry";
/// What a trusted proxy shows.
pub(crate) const PROXY_SECRET: &str = "the-proxy-secret-of-the-fuzz-targets";
/// The cookie that may carry a token.
pub(crate) const COOKIE: &str = "tagline_token";
/// The tenant that the corpus names beside `acme`.
pub(crate) const GLOBEX: &str = "globex";

/// Write keys: the key, its tenant, and the origins that it takes, as the settings write them.
pub(crate) const KEYS: [(&str, &str, &str); 4] = [
    ("wk_acme_web_0123", "acme", "https://app.example,https://*.acme.example,http://localhost:3000"),
    ("wk_acme_any_0123", "acme", "*"),
    ("wk_globex_web_01", GLOBEX, "https://globex.example:8443"),
    ("wk_globex_any_01", GLOBEX, "*"),
];

/// What the values of the `ed` issuer's claim stand for.
pub(super) const TABLE: [(&str, &str); 2] = [("7", "acme"), ("Globex Inc.", GLOBEX)];
/// The deny lists of the `hmac` issuer.
pub(super) const DENIED_JTI: [&str; 2] = ["revoked", "13"];
pub(super) const DENIED_SUB: [&str; 1] = ["mallory"];

/// Whose key signs: one issuer a family.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Family {
    Hmac,
    Rsa,
    Ec,
    Ed,
    /// No issuer's: the backend of `acme` signs upload tokens.
    Upload,
}

impl Family {
    /// Those of issuers.
    const ISSUERS: [Self; 4] = [Self::Hmac, Self::Rsa, Self::Ec, Self::Ed];

    pub(super) fn issuer(self) -> &'static str {
        match self {
            Self::Hmac => "https://hmac.example",
            Self::Rsa => "https://rsa.example",
            Self::Ec => "https://ec.example",
            Self::Ed => "https://ed.example",
            Self::Upload => "tenant:acme",
        }
    }

    /// The one algorithm that its issuer is pinned to.
    pub(super) fn algorithm(self) -> (&'static str, Algorithm) {
        match self {
            Self::Hmac | Self::Upload => ("HS256", Algorithm::HS256),
            Self::Rsa => ("RS256", Algorithm::RS256),
            Self::Ec => ("ES256", Algorithm::ES256),
            Self::Ed => ("EdDSA", Algorithm::EdDSA),
        }
    }

    /// The claim that names the tenant.
    pub(super) fn tenant_claim(self) -> &'static str {
        match self {
            Self::Hmac | Self::Rsa | Self::Upload => "tenant_id",
            Self::Ec => "/ctx/tenants/0/id",
            Self::Ed => "https://example.com/tenant",
        }
    }
}

/// Private keys of all families.
pub(super) struct Signers {
    hmac: String,
    upload: String,
    rsa: RsaKeyPair,
    ec: EcdsaKeyPair,
    ed: Ed25519KeyPair,
}

impl Signers {
    fn new() -> Self {
        let secret = || {
            let mut secret = [0; 32];
            rand::fill(&mut secret).expect("the machine has random numbers");
            STANDARD.encode(secret)
        };
        Self {
            hmac: secret(),
            upload: secret(),
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).expect("a key pair"),
            ec: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key pair"),
            ed: Ed25519KeyPair::generate().expect("a key pair"),
        }
    }

    /// The public key's PEM: what an attacker can know.
    pub(super) fn public_pem(&self, family: Family) -> String {
        let spki = |key: &dyn AsDer<PublicKeyX509Der<'static>>| key.as_der().expect("a public key").as_ref().to_vec();
        let der = match family {
            Family::Hmac | Family::Upload => Vec::new(),
            Family::Rsa => spki(self.rsa.public_key()),
            Family::Ec => spki(self.ec.public_key()),
            Family::Ed => spki(self.ed.public_key()),
        };
        let text = STANDARD.encode(der);
        let lines: Vec<String> =
            text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
    }

    /// The signature of `message` by the family's own algorithm.
    pub(super) fn sign(&self, family: Family, message: &str) -> Vec<u8> {
        let bytes = message.as_bytes();
        match family {
            Family::Hmac => hmac(self.hmac.as_bytes(), message),
            Family::Upload => hmac(self.upload.as_bytes(), message),
            Family::Rsa => {
                let mut out = vec![0; self.rsa.public_modulus_len()];
                self.rsa.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), bytes, &mut out).expect("an RSA signature");
                out
            }
            Family::Ec => self.ec.sign(&SystemRandom::new(), bytes).expect("an EC signature").as_ref().to_vec(),
            Family::Ed => self.ed.sign(bytes).as_ref().to_vec(),
        }
    }
}

pub(super) fn hmac(secret: &[u8], message: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes()).as_ref().to_vec()
}

pub(super) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What the targets of identity are tried on.
pub(crate) struct Gateway {
    pub(crate) authenticator: Authenticator,
    pub(crate) enricher: Enricher,
    pub(super) signers: Signers,
    /// Another set, that no issuer knows.
    pub(super) strangers: Signers,
}

impl Gateway {
    /// One for the whole process: RSA keys take long to make.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: LazyLock<Gateway> = LazyLock::new(Gateway::new);
        &SHARED
    }

    fn new() -> Self {
        let signers = Signers::new();
        let mut settings = settings(&[("TAGLINE__TENANTS__ACME__UPLOAD_SECRETS__BACKEND__SECRET", &signers.upload)]);
        for family in Family::ISSUERS {
            let key = match family {
                Family::Hmac => IssuerKey::Hmac(signers.hmac.as_str().into()),
                family => IssuerKey::PublicPem { pem: signers.public_pem(family), path: "key.pem".into() },
            };
            let issuer = issuer(family, key, &settings.issuers);
            settings.issuers.insert(format!("{family:?}").to_lowercase(), issuer);
        }
        settings.issuers.remove("template");
        Self {
            authenticator: authenticator(&settings),
            enricher: Enricher::new(&settings),
            strangers: Signers::new(),
            signers,
        }
    }

    /// A token that holds, of this tenant.
    pub(crate) fn good_token(&self, tenant: &str) -> String {
        let family = Family::Hmac;
        let claims = json!({ "iss": family.issuer(), "aud": AUDIENCE, "exp": NOW_S + 60, "tenant_id": tenant });
        let header = json!({ "alg": family.algorithm().0, "typ": "JWT" });
        let message = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
        format!("{message}.{}", b64(self.signers.sign(family, &message)))
    }
}

fn issuer(family: Family, key: IssuerKey, loaded: &BTreeMap<String, Issuer>) -> Issuer {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let table = TABLE.iter().map(|(value, id)| ((*value).to_owned(), TenantId::parse(id).expect("an id")));
    Issuer {
        issuer: family.issuer().to_owned(),
        tenants: if family == Family::Ed { table.collect() } else { BTreeMap::new() },
        denied_jti: texts(if family == Family::Hmac { &DENIED_JTI } else { &[] }),
        denied_sub: texts(if family == Family::Hmac { &DENIED_SUB } else { &[] }),
        algorithms: vec![family.algorithm().1],
        tenant_claim: family.tenant_claim().to_owned(),
        key,
        ..loaded["template"].clone()
    }
}

pub(super) fn authenticator(settings: &Settings) -> Authenticator {
    // No issuer here publishes its keys; one HTTP client, which is never used, is dear enough.
    static SETS: LazyLock<KeySets> = LazyLock::new(|| {
        let metrics = Arc::new(Metrics::new().expect("metrics"));
        KeySets::new(Clock::manual(NOW), metrics).expect("an HTTP client")
    });
    let directory = Arc::new(Directory::of(settings, &Arc::default()));
    Authenticator::new(settings, directory, &SETS).expect("sound settings")
}

/// The settings of the targets, and these beside them: two tenants with two keys each, a trusted proxy, the default catalog and a measurement with
/// few rules.
pub(super) fn settings(more: &[(&str, &str)]) -> Settings {
    let mut env = vec![
        ("INFLUXDB_URL", "http://127.0.0.1:8086"),
        ("INFLUXDB_ORG", "acme"),
        ("INFLUXDB_TOKEN", "unused"),
        ("TAGLINE__ENRICH__INSTANCE", "aks-weu-1"),
        ("TAGLINE__ENRICH__STATIC_TAGS__ENV", "prod"),
        ("TAGLINE__ENRICH__USER_AGENT", "true"),
        ("TAGLINE__MEASUREMENTS__OPEN__TAGS", "free,path"),
        ("TAGLINE__SERVER__TRUSTED_PROXIES", "10.0.0.0/8,fd00::/8"),
        ("TAGLINE__SERVER__PROXY_SECRET", PROXY_SECRET),
        ("TAGLINE__SERVER__TOKEN_COOKIE", COOKIE),
        ("TAGLINE__ISSUERS__TEMPLATE__ISSUER", "https://template.example"),
        ("TAGLINE__ISSUERS__TEMPLATE__AUDIENCE", "telemetry,telemetry-eu"),
        ("TAGLINE__ISSUERS__TEMPLATE__ALGORITHMS", "HS256"),
        ("TAGLINE__ISSUERS__TEMPLATE__HMAC_SECRET", "the-template-is-no-issuer-of-anything"),
    ];
    env.extend(more);
    let mut env: Vec<(String, String)> =
        env.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    for (at, (key, tenant, origins)) in KEYS.into_iter().enumerate() {
        let place = format!("TAGLINE__TENANTS__{}__KEYS__K{at}", tenant.to_uppercase());
        env.push((format!("{place}__KEY"), key.to_owned()));
        env.push((format!("{place}__ORIGINS"), origins.to_owned()));
    }
    match config::load(&config::Sources { file: None, env }) {
        Ok(settings) => settings,
        Err(findings) => panic!("the settings of the fuzz targets: {findings}"),
    }
}
