//! The gateway that the tables of this room are tried on: four issuers, five tenants, keys made anew for each run.

mod claim_rows;
mod cookie_rows;
pub(crate) mod forge;
mod header_rows;
mod host;
mod key_rows;
mod mapping_rows;
mod origins;
mod parsing;
mod settings_mistakes;
mod table;
mod token_rows;
mod upload_rows;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use crate::clock::Clock;
use crate::config::{
    self, Algorithm, Catalog, Enrich, Issuer, IssuerKey, Limits, Log, LogFormat, OriginRule, Require, Server, Settings,
    SpoolSettings, TenantId, TenantSettings, WriteKey,
};
use crate::metrics::Metrics;

use super::{Authenticator, Code, Directory, KeySets, Presented, Refusal, rule_from_text};
pub(crate) use forge::{Signer, with as token_claims};
use table::{Request, request, row, try_all, try_all_by};

/// 2026-01-01T00:00:00Z, the time at which all rows are tried, in seconds.
pub(crate) const NOW: i64 = 1_767_225_600;
pub(crate) const NANOS: i64 = 1_000_000_000;
const LEEWAY: i64 = 30;
const AUDIENCE: &str = "telemetry";
pub(crate) const PROXY_SECRET: &str = "a proxy secret that only tests know";
const HMAC_SECRET: &str = "a shared secret of 32 characters";

const KEY_ACME: &str = "tk_acme_web";
const KEY_ACME_ANY: &str = "tk_acme_any";
const KEY_ACME_OLD: &str = "tk_acme_old";
const KEY_ACME_VITALS: &str = "tk_acme_vitals";
const KEY_GLOBEX: &str = "tk_globex_web";
const KEY_OFF: &str = "tk_off_web";
const KEY_STRICT: &str = "tk_strict_web";

/// Secrets that the backends of `acme` (two, in a rotation), `strict` and `off` sign with.
pub(crate) const UPLOAD_ACME: [&str; 2] = ["acme's first secret of 32 letters", "acme's second secret of 32 letters"];
const UPLOAD_STRICT: &str = "the strict one's secret of 32 letters";
const UPLOAD_OFF: &str = "a switched-off one's secret of 32 letters";
const COOKIE: &str = "__Host-session";

/// Key pairs take long to make (RSA most): one set for all tests.
pub(crate) struct Keys {
    pub(crate) rsa: Signer,
    pub(crate) other_rsa: Signer,
    pub(crate) ec: Signer,
    pub(crate) ed: Signer,
    pub(crate) hmac: Signer,
}

pub(crate) static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys {
    rsa: Signer::rsa(),
    other_rsa: Signer::rsa(),
    ec: Signer::p256(),
    ed: Signer::ed25519(),
    hmac: Signer::hmac(HMAC_SECRET),
});

fn issuer(iss: &str, algorithms: &[Algorithm], tenant_claim: &str, key: IssuerKey) -> Issuer {
    Issuer {
        issuer: iss.to_owned(),
        audience: vec![AUDIENCE.to_owned(), "telemetry-eu".to_owned()],
        algorithms: algorithms.to_vec(),
        tenant_claim: tenant_claim.to_owned(),
        key,
        leeway: Duration::from_secs(LEEWAY as u64),
        tenants: BTreeMap::new(),
        denied_jti: BTreeSet::new(),
        denied_sub: BTreeSet::new(),
    }
}

pub(crate) fn issuers() -> BTreeMap<String, Issuer> {
    let all = [
        (
            "rsa",
            issuer("https://rsa.example", &[Algorithm::RS256, Algorithm::PS256], "tenant_id", KEYS.rsa.public_key()),
        ),
        ("ec", issuer("https://ec.example", &[Algorithm::ES256], "/ctx/tenants/0/id", KEYS.ec.public_key())),
        ("ed", issuer("https://ed.example", &[Algorithm::EdDSA], "https://example.com/tenant", KEYS.ed.public_key())),
        ("hmac", issuer("https://hmac.example", &[Algorithm::HS256], "tid", IssuerKey::Hmac(HMAC_SECRET.into()))),
    ];
    all.into_iter().map(|(name, issuer)| (name.to_owned(), issuer)).collect()
}

fn limits() -> Limits {
    Limits { points_per_second: 1_000, burst: 5_000, in_flight: 100, spool_share: 0.5, ..Limits::generous() }
}

fn write_key(key: &str, origins: &[&str]) -> WriteKey {
    let origins = origins.iter().map(|text| rule_from_text(text).expect("an origin rule")).collect();
    WriteKey { key: key.into(), origins, expires: None, measurements: Vec::new() }
}

fn tenant(keys: Vec<(&str, WriteKey)>) -> TenantSettings {
    TenantSettings {
        keys: keys.into_iter().map(|(name, key)| (name.to_owned(), key)).collect(),
        ..TenantSettings::plain(limits())
    }
}

fn tenants() -> BTreeMap<TenantId, TenantSettings> {
    let acme = tenant(vec![
        ("web", write_key(KEY_ACME, &["https://app.example", "https://*.acme.example", "http://localhost:3000"])),
        ("any", write_key(KEY_ACME_ANY, &["*"])),
        ("old", WriteKey { expires: Some(NOW * NANOS), ..write_key(KEY_ACME_OLD, &["*"]) }),
        (
            "vitals",
            WriteKey {
                expires: Some(NOW * NANOS + 1),
                measurements: vec!["web_vitals_lcp".to_owned()],
                ..write_key(KEY_ACME_VITALS, &["*"])
            },
        ),
    ]);
    let acme = TenantSettings {
        origins: vec![rule_from_text("https://intranet.example").expect("an origin rule")],
        upload_secrets: [("new", UPLOAD_ACME[0].into()), ("old", UPLOAD_ACME[1].into())]
            .map(|(name, secret)| (name.to_owned(), secret))
            .into(),
        ..acme
    };
    let globex = tenant(vec![("web", write_key(KEY_GLOBEX, &["https://globex.example"]))]);
    let off = TenantSettings {
        disabled: true,
        upload_secrets: [("one".to_owned(), UPLOAD_OFF.into())].into(),
        ..tenant(vec![("web", write_key(KEY_OFF, &["*"]))])
    };
    let strict = TenantSettings {
        require: Require::Jwt,
        upload_secrets: [("one".to_owned(), UPLOAD_STRICT.into())].into(),
        ..tenant(vec![("web", write_key(KEY_STRICT, &["https://strict.example"]))])
    };
    let all = [("acme", acme), ("globex", globex), ("off", off), ("strict", strict), ("keyless", tenant(Vec::new()))];
    all.into_iter().map(|(id, tenant)| (TenantId::parse(id).expect("an id"), tenant)).collect()
}

pub(crate) fn settings() -> Settings {
    Settings {
        profile: config::Profile::Configured,
        server: Server {
            listen: "127.0.0.1:0".parse().unwrap(),
            admin_listen: "127.0.0.1:0".parse().unwrap(),
            workers: 1,
            drain_delay: Duration::ZERO,
            drain_timeout: Duration::from_secs(1),
            replicas: config::Replicas::Fixed(1),
            max_body: 1 << 20,
            max_inflated: 8 << 20,
            max_events: 5_000,
            trusted_proxies: ["10.0.0.0/8", "::ffff:192.0.2.0/120", "fd00::/8"]
                .map(|net| net.parse().unwrap())
                .to_vec(),
            proxy_secrets: vec![PROXY_SECRET.into()],
            admin_token: None,
            token_cookie: Some(COOKIE.to_owned()),
            connections: config::Connections {
                max: 1_000,
                per_address: 0,
                head_timeout: Duration::from_secs(10),
                body_timeout: Duration::from_secs(30),
            },
            address: config::AddressLimits { failures_per_second: 100, burst: 500, tracked: 1_000, dry_run: false },
            core_dumps: false,
        },
        influxdb: None,
        enrich: Enrich {
            instance: "test".to_owned(),
            replica: "test-0".to_owned(),
            lane: 0,
            static_tags: BTreeMap::new(),
            max_clock_skew: Duration::from_secs(60),
            max_future: Duration::from_secs(60),
            user_agent: false,
            path_rules: Vec::new(),
            client_address: config::ClientAddress::Off,
            scrub: BTreeSet::new(),
            scrub_patterns: BTreeMap::new(),
        },
        spool: SpoolSettings {
            dir: "data".into(),
            durability: config::Durability::Memory,
            max_bytes: 1 << 20,
            max_memory: 1 << 20,
            on_full: config::OnFull::Reject,
            max_dead_letters: 1 << 20,
            default_share: 1.0,
        },
        log: Log { format: LogFormat::Text, level: "info".to_owned() },
        issuers: issuers(),
        tenants: tenants(),
        tenant_defaults: config::TenantDefaults {
            unknown: config::Unknown::Reject,
            tenant: TenantSettings::plain(limits()),
        },
        catalog: Arc::new(Catalog::default()),
        answers: config::Answers {
            source: None,
            rollup_bucket: "rollup".to_owned(),
            rollup_retention: Duration::ZERO,
            trace_url: None,
            alert_url: None,
            baseline: config::Baseline { weeks: 4, min_events: 200, floor: Duration::from_millis(100), factor: 1.5 },
        },
    }
}

/// Where published keys would be; these settings name none.
pub(crate) fn key_sets() -> KeySets {
    KeySets::new(Clock::manual(NOW * NANOS), Arc::new(Metrics::new().unwrap())).unwrap()
}

pub(crate) fn build(settings: &Settings) -> Result<Authenticator, String> {
    build_with(settings, &key_sets())
}

pub(crate) fn build_with(settings: &Settings, sets: &KeySets) -> Result<Authenticator, String> {
    Authenticator::new(settings, Arc::new(Directory::of(settings, &Arc::default())), sets)
}

static AUTHENTICATOR: LazyLock<Authenticator> = LazyLock::new(|| build(&settings()).expect("good settings"));

#[test]
fn every_code_stands_in_the_documentation_with_its_status() {
    let page = include_str!("../../docs/identity.md");
    for code in Code::ALL {
        let status = match code.kind() {
            Refusal::Unauthenticated => 401,
            Refusal::Forbidden => 403,
            Refusal::Limited => 429,
            Refusal::Unavailable => 503,
        };
        let cell = format!("| `{}` | {status} |", code.as_str());
        assert!(page.contains(&cell), "docs/identity.md has no row {cell}");
    }
}

#[test]
fn debug_shows_no_credential() {
    let request = request().bearer("aaaaaaaaaaaaaaa").key(KEY_ACME).secret(PROXY_SECRET);
    let presented = Presented {
        authorization: vec![&request.authorization[0]],
        write_keys: request.write_keys.clone(),
        proxy_secret: vec![&request.proxy_secret[0]],
        ..Presented::default()
    };
    let tenant = table::request().key(KEY_ACME_ANY).verify().expect("a good key");
    let shown = format!("{presented:?} {:?} {tenant:?} {:?}", *AUTHENTICATOR, settings());
    for secret in ["aaaaaaaaaaaaaaa", KEY_ACME, KEY_ACME_ANY, PROXY_SECRET, HMAC_SECRET, UPLOAD_ACME[0]] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}
