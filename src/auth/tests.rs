//! The gateway that the tables of this room are tried on: four issuers, five tenants, keys made anew for each run.

mod forge;
mod header_rows;
mod host;
mod key_rows;
mod origins;
mod settings_mistakes;
mod token_rows;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use crate::admit::Quota;
use crate::config::{
    self, Algorithm, Catalog, Enrich, Issuer, IssuerKey, Limits, Log, LogFormat, OriginRule, Require, Server,
    SessionMode, Settings, SpoolSettings, TenantId, TenantSettings, WriteKey,
};
use crate::outcome::Account;

use super::{AuthError, Authenticator, Code, Directory, Presented, Profile, Refusal, Tenant, rule_from_text};
pub(crate) use forge::Signer;

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
    }
}

pub(crate) fn issuers() -> BTreeMap<String, Issuer> {
    let all = [
        (
            "rsa",
            issuer(
                "https://rsa.example",
                &[Algorithm::RS256, Algorithm::PS256],
                "tenant_id",
                KEYS.rsa.public_key(),
            ),
        ),
        (
            "ec",
            issuer(
                "https://ec.example",
                &[Algorithm::ES256],
                "/ctx/tenants/0/id",
                KEYS.ec.public_key(),
            ),
        ),
        (
            "ed",
            issuer(
                "https://ed.example",
                &[Algorithm::EdDSA],
                "https://example.com/tenant",
                KEYS.ed.public_key(),
            ),
        ),
        (
            "hmac",
            issuer(
                "https://hmac.example",
                &[Algorithm::HS256],
                "tid",
                IssuerKey::Hmac(HMAC_SECRET.into()),
            ),
        ),
    ];
    all.into_iter()
        .map(|(name, issuer)| (name.to_owned(), issuer))
        .collect()
}

fn limits() -> Limits {
    Limits {
        points_per_second: 1_000,
        burst: 5_000,
        bytes_per_second: None,
        in_flight: 100,
        spool_share: 0.5,
    }
}

fn write_key(key: &str, origins: &[&str]) -> WriteKey {
    let origins = origins
        .iter()
        .map(|text| rule_from_text(text).expect("an origin rule"))
        .collect();
    WriteKey {
        key: key.into(),
        origins,
        expires: None,
        measurements: Vec::new(),
    }
}

fn tenant(keys: Vec<(&str, WriteKey)>) -> TenantSettings {
    TenantSettings {
        bucket: None,
        disabled: false,
        require: Require::Any,
        session: SessionMode::Tag,
        keys: keys
            .into_iter()
            .map(|(name, key)| (name.to_owned(), key))
            .collect(),
        limits: limits(),
    }
}

fn tenants() -> BTreeMap<TenantId, TenantSettings> {
    let acme = tenant(vec![
        (
            "web",
            write_key(
                KEY_ACME,
                &[
                    "https://app.example",
                    "https://*.acme.example",
                    "http://localhost:3000",
                ],
            ),
        ),
        ("any", write_key(KEY_ACME_ANY, &["*"])),
        (
            "old",
            WriteKey {
                expires: Some(NOW * NANOS),
                ..write_key(KEY_ACME_OLD, &["*"])
            },
        ),
        (
            "vitals",
            WriteKey {
                expires: Some(NOW * NANOS + 1),
                measurements: vec!["web_vitals_lcp".to_owned()],
                ..write_key(KEY_ACME_VITALS, &["*"])
            },
        ),
    ]);
    let globex = tenant(vec![("web", write_key(KEY_GLOBEX, &["https://globex.example"]))]);
    let off = TenantSettings {
        disabled: true,
        ..tenant(vec![("web", write_key(KEY_OFF, &["*"]))])
    };
    let strict = TenantSettings {
        require: Require::Jwt,
        ..tenant(vec![("web", write_key(KEY_STRICT, &["https://strict.example"]))])
    };
    let all = [
        ("acme", acme),
        ("globex", globex),
        ("off", off),
        ("strict", strict),
        ("keyless", tenant(Vec::new())),
    ];
    all.into_iter()
        .map(|(id, tenant)| (TenantId::parse(id).expect("an id"), tenant))
        .collect()
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
            replicas: 1,
            max_body: 1 << 20,
            max_inflated: 8 << 20,
            max_events: 5_000,
            trusted_proxies: ["10.0.0.0/8", "::ffff:192.0.2.0/120", "fd00::/8"]
                .map(|net| net.parse().unwrap())
                .to_vec(),
            proxy_secret: Some(PROXY_SECRET.into()),
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
        },
        spool: SpoolSettings {
            dir: "data".into(),
            durability: config::Durability::Memory,
            max_memory: 1 << 20,
            max_dead_letters: 1 << 20,
        },
        log: Log {
            format: LogFormat::Text,
            level: "info".to_owned(),
        },
        issuers: issuers(),
        tenants: tenants(),
        catalog: Arc::new(Catalog::default()),
    }
}

pub(crate) fn build(settings: &Settings) -> Result<Authenticator, String> {
    let server = &settings.server;
    let profiles = settings.tenants.iter().map(|(id, tenant)| Profile {
        id: id.clone(),
        settings: tenant.clone(),
        destination: "app_observability".into(),
        quota: Quota::new(tenant.limits, server.replicas, server.max_events, server.max_body),
        account: Account::detached(id.as_str()),
    });
    Authenticator::new(settings, Arc::new(Directory::new(profiles)))
}

static AUTHENTICATOR: LazyLock<Authenticator> = LazyLock::new(|| build(&settings()).expect("good settings"));

fn verify(presented: &Presented<'_>) -> Result<Tenant, AuthError> {
    AUTHENTICATOR.verify(presented, NOW * NANOS)
}

/// One row of a table: what it is, what is presented, and the tenant or the code that must come of it.
struct Row {
    name: &'static str,
    request: Request,
    expected: Result<&'static str, Code>,
}

fn row(name: &'static str, request: Request, expected: Result<&'static str, Code>) -> Row {
    Row {
        name,
        request,
        expected,
    }
}

/// An owned request, built up by the rows.
#[derive(Default)]
struct Request {
    authorization: Vec<Vec<u8>>,
    access_token: Vec<String>,
    write_keys: Vec<String>,
    tenant_header: Vec<Vec<u8>>,
    proxy_secret: Vec<Vec<u8>>,
    origin: Vec<Vec<u8>>,
    peer: Option<IpAddr>,
}

fn request() -> Request {
    Request::default()
}

impl Request {
    fn authorization(mut self, value: impl AsRef<[u8]>) -> Self {
        self.authorization.push(value.as_ref().to_vec());
        self
    }
    fn bearer(self, token: &str) -> Self {
        self.authorization(format!("Bearer {token}"))
    }
    fn access_token(mut self, token: &str) -> Self {
        self.access_token.push(token.to_owned());
        self
    }
    fn key(mut self, key: &str) -> Self {
        self.write_keys.push(key.to_owned());
        self
    }
    fn tenant(mut self, value: impl AsRef<[u8]>) -> Self {
        self.tenant_header.push(value.as_ref().to_vec());
        self
    }
    fn secret(mut self, value: &str) -> Self {
        self.proxy_secret.push(value.as_bytes().to_vec());
        self
    }
    fn origin(mut self, value: impl AsRef<[u8]>) -> Self {
        self.origin.push(value.as_ref().to_vec());
        self
    }
    fn peer(mut self, address: &str) -> Self {
        self.peer = Some(address.parse().expect("an address"));
        self
    }
    fn verify(&self) -> Result<Tenant, AuthError> {
        verify(&Presented {
            authorization: self.authorization.iter().map(Vec::as_slice).collect(),
            access_token: self.access_token.clone(),
            write_keys: self.write_keys.clone(),
            tenant_header: self.tenant_header.iter().map(Vec::as_slice).collect(),
            proxy_secret: self.proxy_secret.iter().map(Vec::as_slice).collect(),
            origin: self.origin.iter().map(Vec::as_slice).collect(),
            peer: self.peer,
        })
    }

    /// Everything secret that the request carries.
    fn secrets(&self) -> Vec<String> {
        let bytes = self
            .authorization
            .iter()
            .chain(&self.proxy_secret)
            .map(|b| String::from_utf8_lossy(b).into_owned());
        let all = bytes
            .chain(self.access_token.iter().cloned())
            .chain(self.write_keys.iter().cloned());
        let parts: Vec<String> = all
            .flat_map(|text| text.split([' ', '.']).map(str::to_owned).collect::<Vec<_>>())
            .collect();
        parts.into_iter().filter(|part| part.len() > 10).collect()
    }
}

/// Tries every row and tells of all that came out otherwise.
fn try_all(rows: Vec<Row>, at_least: usize) {
    assert!(rows.len() >= at_least, "only {} rows", rows.len());
    let mut wrong = Vec::new();
    for Row {
        name,
        request,
        expected,
    } in rows
    {
        let got = request.verify();
        if let Err(refused) = &got {
            let leaked = request
                .secrets()
                .into_iter()
                .any(|secret| refused.detail.contains(&secret));
            assert!(
                !leaked,
                "{name}: the detail holds a credential: {}",
                refused.detail
            );
            let code = Code::ALL
                .into_iter()
                .find(|code| code.as_str() == refused.code)
                .expect("a listed code");
            assert_eq!(refused.kind, code.kind(), "{name}");
            assert!(refused.detail.len() > 15, "{name}: {}", refused.detail);
        }
        let got = got
            .as_ref()
            .map(|tenant| tenant.id().as_str())
            .map_err(|refused| refused.code);
        let expected = expected.map_err(Code::as_str);
        if got != expected {
            wrong.push(format!("{name}: expected {expected:?}, got {got:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_code_stands_in_the_documentation_with_its_status() {
    let page = include_str!("../../docs/identity.md");
    for code in Code::ALL {
        let status = if code.kind() == Refusal::Unauthenticated {
            401
        } else {
            403
        };
        let cell = format!("| `{}` | {status} |", code.as_str());
        assert!(page.contains(&cell), "docs/identity.md has no row {cell}");
    }
}

#[test]
fn debug_shows_no_credential() {
    let request = request()
        .bearer("aaaaaaaaaaaaaaa")
        .key(KEY_ACME)
        .secret(PROXY_SECRET);
    let presented = Presented {
        authorization: vec![&request.authorization[0]],
        write_keys: request.write_keys.clone(),
        proxy_secret: vec![&request.proxy_secret[0]],
        ..Presented::default()
    };
    let tenant = super::tests::request()
        .key(KEY_ACME_ANY)
        .verify()
        .expect("a good key");
    let shown = format!("{presented:?} {:?} {tenant:?} {:?}", *AUTHENTICATOR, settings());
    for secret in [
        "aaaaaaaaaaaaaaa",
        KEY_ACME,
        KEY_ACME_ANY,
        PROXY_SECRET,
        HMAC_SECRET,
    ] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}
