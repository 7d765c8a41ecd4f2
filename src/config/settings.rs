//! The typed settings. Made by the loader alone, so that each value here is already valid.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;

use super::{Catalog, TenantId};

/// A secret: `Debug` is redacted, and the memory is wiped on drop.
pub type Secret = SecretString;

/// How the gateway was started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Profile {
    /// Nothing was configured: loopback only, a demo tenant, files instead of InfluxDB unless it is told of one.
    Dev,
    /// Somebody configured tenants or issuers.
    Configured,
}

/// All settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How the gateway was started.
    pub profile: Profile,
    /// `[server]`
    pub server: Server,
    /// `[influxdb]`; `None`: line protocol files in `spool.dir` instead.
    pub influxdb: Option<Influx>,
    /// `[enrich]`
    pub enrich: Enrich,
    /// `[spool]`
    pub spool: SpoolSettings,
    /// `[log]`
    pub log: Log,
    /// `[issuers.NAME]`
    pub issuers: BTreeMap<String, Issuer>,
    /// `[tenants.ID]`, with `[tenant_defaults]` already applied.
    pub tenants: BTreeMap<TenantId, TenantSettings>,
    /// `[measurements.NAME]`
    pub catalog: Arc<Catalog>,
}

impl Settings {
    /// The bucket of tenants that have none of their own. Without an InfluxDB the files are named after it.
    pub fn default_bucket(&self) -> Arc<str> {
        self.influxdb.as_ref().map_or_else(|| "app_observability".into(), |influx| Arc::clone(&influx.bucket))
    }
}

/// `[server]`
#[derive(Clone, Debug)]
pub struct Server {
    /// Public listener.
    pub listen: SocketAddr,
    /// Admin listener: health, metrics, ledger.
    pub admin_listen: SocketAddr,
    /// HTTP workers; 0: one a core.
    pub workers: usize,
    /// How long to go on accepting after SIGTERM, while load balancers notice that readiness is false.
    pub drain_delay: Duration,
    /// How long flushing may take after that, before what is left is spilled.
    pub drain_timeout: Duration,
    /// How many replicas share a tenant's rate.
    pub replicas: u32,
    /// Largest body as received, bytes.
    pub max_body: usize,
    /// Largest body after inflating, bytes.
    pub max_inflated: usize,
    /// Most events in one request.
    pub max_events: usize,
    /// Addresses whose `X-Tenant-ID` is believed when the secret stands beside it.
    pub trusted_proxies: Vec<IpNet>,
    /// The secret that a trusted proxy sends in `X-Proxy-Secret`.
    pub proxy_secret: Option<Secret>,
}

/// `[influxdb]`
#[derive(Clone, Debug)]
pub struct Influx {
    /// Base URL, `http` or `https`, without credentials.
    pub url: String,
    /// Organisation's name.
    pub org: String,
    /// Default bucket.
    pub bucket: Arc<str>,
    /// Write token.
    pub token: Secret,
    /// Whether a missing bucket is created on 404.
    pub create_bucket: bool,
    /// Whether bodies are gzipped.
    pub gzip: bool,
    /// How long one write may take.
    pub timeout: Duration,
    /// The bucket's retention; zero: for ever. Older events are rejected.
    pub retention: Duration,
    /// Batches in flight for one bucket.
    pub in_flight: usize,
}

/// How a session id is stored. Each mode makes another number of series: see the data model.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SessionMode {
    /// Tag `session_id`: a series for every session.
    Tag,
    /// Field `session`: no series.
    Field,
    /// Tag `session_bucket` (0..N) and field `session`: N series.
    Hash(u32),
}

/// One configured path template: `/orders/{}/lines` matches three segments and gives `/orders/:id/lines`; `{name}` gives `:name`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PathRule {
    /// The segments in order: a literal, or `Err(name)` for a placeholder.
    pub segments: Vec<Result<String, String>>,
}

/// `[enrich]`
#[derive(Clone, Debug)]
pub struct Enrich {
    /// The deployment's name; the same on every replica.
    pub instance: String,
    /// This replica's own name (`HOSTNAME`, the pod): only in the gateway's own metrics.
    pub replica: String,
    /// The replica's lane, 0..1000, for timestamps of events without `seq`: a StatefulSet's ordinal, else a hash of the name.
    pub lane: u16,
    /// Tags on every point.
    pub static_tags: BTreeMap<String, String>,
    /// `sentAt` corrects a client clock that is further off than this.
    pub max_clock_skew: Duration,
    /// How far ahead of the gateway a point's time may be.
    pub max_future: Duration,
    /// Whether browser, os and device are read from `User-Agent`.
    pub user_agent: bool,
    /// Path templates tried before the general rules.
    pub path_rules: Vec<PathRule>,
}

/// What 202 stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// The point is on disk: fdatasync has confirmed it.
    Fsync,
    /// The point is in the gateway's memory.
    Memory,
}

/// What happens when the spool is full.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnFull {
    /// New requests get 503.
    Reject,
    /// The oldest points make room, counted as lost.
    DropOldest,
}

/// `[spool]`
#[derive(Clone, Debug)]
pub struct SpoolSettings {
    /// Where the log, spill files, dead letters, and the files of a gateway without InfluxDB go.
    pub dir: PathBuf,
    /// What 202 stands for.
    pub durability: Durability,
    /// Most bytes of the log on disk (durability `fsync`).
    pub max_bytes: u64,
    /// Most bytes of line protocol in memory that wait for delivery. Beyond it the backlog lies on disk alone (`fsync`), or requests get 503 (`memory`).
    pub max_memory: u64,
    /// What happens when the spool is full.
    pub on_full: OnFull,
    /// Most bytes of dead letters kept, over all tenants; each keeps within its `spool_share` of it.
    pub max_dead_letters: u64,
    /// The share (0..=1) of an account that is no listed tenant's: `tenant_defaults.limits.spool_share`.
    pub default_share: f64,
}

/// Format of the logs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// `[log]`
#[derive(Clone, Debug)]
pub struct Log {
    /// Format; the default is text in the dev profile and JSON elsewhere.
    pub format: LogFormat,
    /// A `tracing` filter, such as `info` or `tagline=debug`.
    pub level: String,
}

/// Signature algorithms a JWT issuer may be pinned to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
#[expect(missing_docs, reason = "RFC 7518 names")]
pub enum Algorithm {
    HS256,
    HS384,
    HS512,
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

/// The key that an issuer's tokens are verified with.
#[derive(Clone, Debug)]
pub enum IssuerKey {
    /// Shared secret, for HS algorithms.
    Hmac(Secret),
    /// Public key in PEM, for the others; read at start from `public_key_file`.
    PublicPem {
        /// The PEM text.
        pem: String,
        /// Where it was read.
        path: PathBuf,
    },
}

/// `[issuers.NAME]`
#[derive(Clone, Debug)]
pub struct Issuer {
    /// The `iss` claim that its tokens carry.
    pub issuer: String,
    /// Audiences of which a token must name one; empty is a mistake that the loader reports.
    pub audience: Vec<String>,
    /// The only algorithms that are taken; never read from the token's header.
    pub algorithms: Vec<Algorithm>,
    /// The claim that names the tenant: a name, or a JSON pointer when it begins with `/`.
    pub tenant_claim: String,
    /// The key.
    pub key: IssuerKey,
    /// Clock leeway for `exp` and `nbf`.
    pub leeway: Duration,
}

/// Which credentials a tenant takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Require {
    /// Any proof.
    Any,
    /// A JWT only: a publishable write key is not enough.
    Jwt,
}

/// Which origins may use a write key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OriginRule {
    /// `*`: any origin, and none at all (servers, `curl`).
    Any,
    /// One origin: scheme, host and port as a browser writes them (lower case, no default port).
    Exact(String),
    /// `https://*.example.com`: any subdomain, at any depth, not the domain itself.
    Subdomains {
        /// `https://`
        scheme: String,
        /// `.example.com`, with the port if there is one.
        suffix: String,
    },
}

/// `[tenants.ID.keys.NAME]`
#[derive(Clone, Debug)]
pub struct WriteKey {
    /// The key; publishable, yet redacted in logs.
    pub key: Secret,
    /// Who may use it.
    pub origins: Vec<OriginRule>,
    /// Until when (nanoseconds since 1970), if it ends.
    pub expires: Option<i64>,
    /// Measurements it may write; empty: all.
    pub measurements: Vec<String>,
}

/// `[tenants.ID.limits]`
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Limits {
    /// Points a second over all replicas.
    pub points_per_second: u32,
    /// Points at once; at least `server.max_events`.
    pub burst: u32,
    /// Body bytes a second as received, over all replicas; `None`: no limit.
    pub bytes_per_second: Option<u32>,
    /// Requests at once on one replica.
    pub in_flight: u32,
    /// The share of the spool (0..=1) that the tenant may fill.
    pub spool_share: f64,
}

/// `[tenants.ID]`
#[derive(Clone, Debug)]
pub struct TenantSettings {
    /// Its own bucket, if it has one.
    pub bucket: Option<Arc<str>>,
    /// Whether it is switched off (403).
    pub disabled: bool,
    /// Which credentials it takes.
    pub require: Require,
    /// How its sessions are stored.
    pub session: SessionMode,
    /// Its write keys, by name.
    pub keys: BTreeMap<String, WriteKey>,
    /// Its budget.
    pub limits: Limits,
}
