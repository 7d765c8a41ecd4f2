//! The typed settings. Made by the loader alone, so that each value here is already valid.

mod answers;
mod identity;
mod installation;
mod tenants;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;

use super::{Catalog, TenantId};
pub use answers::{Answers, Baseline, Source};
pub use identity::{Algorithm, Issuer, IssuerKey, MAX_UPLOAD_SECRETS, OriginRule, Require, UPLOAD_ISSUER, WriteKey};
pub(in crate::config) use installation::NamedInflux;
pub use installation::{Installation, InstalledTenant};
pub use tenants::{DryRun, Limits, TenantDefaults, TenantSettings, Unknown};

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
    /// `[tenant_defaults]`
    pub tenant_defaults: TenantDefaults,
    /// `[measurements.NAME]`
    pub catalog: Arc<Catalog>,
    /// `[answers]`
    pub answers: Answers,
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
    pub replicas: Replicas,
    /// Largest body as received, bytes.
    pub max_body: usize,
    /// Largest body after inflating, bytes.
    pub max_inflated: usize,
    /// Most events in one request.
    pub max_events: usize,
    /// Addresses whose `X-Tenant-ID` is believed when the secret stands beside it.
    pub trusted_proxies: Vec<IpNet>,
    /// The secrets of which a trusted proxy sends one in `X-Proxy-Secret`: two during a rotation.
    pub proxy_secrets: Vec<Secret>,
    /// What the admin listener asks for as `Authorization: Bearer`, but for `/healthz` and `/readyz`.
    pub admin_token: Option<Secret>,
    /// The cookie that may carry a JWT.
    pub token_cookie: Option<String>,
    /// Connections, and how slow one may be.
    pub connections: Connections,
    /// What an address may do before it proved anything.
    pub address: AddressLimits,
    /// Whether a crash may leave a core dump, which holds every secret.
    pub core_dumps: bool,
}

/// How many replicas share a tenant's rate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Replicas {
    /// So many.
    Fixed(u32),
    /// As many as a headless service's name has addresses.
    Dns(String),
}

impl Replicas {
    /// What holds before a name was looked up.
    pub fn at_start(&self) -> u32 {
        match self {
            Self::Fixed(replicas) => *replicas,
            Self::Dns(_) => 1,
        }
    }
}

/// `[server.connections]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Connections {
    /// Most connections at once.
    pub max: usize,
    /// Most connections of one address that is no trusted proxy; 0: no limit.
    pub per_address: u32,
    /// How long a request's head may take.
    pub head_timeout: Duration,
    /// How long a body may take, from its first byte to its last.
    pub body_timeout: Duration,
}

/// `[server.address]`: what one client address may do before it proved anything.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AddressLimits {
    /// Failed proofs a second. Beyond it, tokens of that address that are not known yet wait (429).
    pub failures_per_second: u32,
    /// Failed proofs at once.
    pub burst: u32,
    /// Most addresses that are remembered.
    pub tracked: usize,
    /// Counted, not enforced; for `connections.per_address` too.
    pub dry_run: bool,
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
    /// What of a client's address is stored.
    pub client_address: ClientAddress,
    /// What is taken out of free strings.
    pub scrub: BTreeSet<Scrub>,
    /// More of that: regular expressions (of the `regex` crate, linear in time) by name.
    pub scrub_patterns: BTreeMap<String, String>,
}

/// What of a client's address is stored, as the field `client_address`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClientAddress {
    /// Nothing.
    Off,
    /// Its network: the first 24 bits of an IPv4 address, 48 of an IPv6 address.
    Network,
    /// All of it.
    Full,
}

/// What is taken out of free strings.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Scrub {
    /// E-mail addresses.
    Email,
    /// Bearer tokens and JWTs.
    Bearer,
    /// Card numbers that pass their checksum.
    Card,
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
