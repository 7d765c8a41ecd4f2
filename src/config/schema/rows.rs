//! The rows of the schema, in the order of the reference.

use super::{Kind, Row};

const GIB: u64 = 1 << 30;

const fn row(key: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Row {
    Row { key, kind, default, doc }
}

const fn secret(file_key: &'static str, variable: Option<&'static str>) -> Kind {
    Kind::Secret { file_key, variable }
}

const fn choice(now: &'static [&'static str], later: &'static [&'static str]) -> Kind {
    Kind::Choice { now, later }
}

const MANY: i64 = u32::MAX as i64;

/// All keys.
#[rustfmt::skip] // one row a line reads as the table that it is
pub(crate) const ROWS: &[Row] = &[
    row("tenants_file", Kind::File, "", "A file that holds `[tenants.*]` and `[tenant_defaults]` only; it lies above the file that names it."),
    row("server.listen", Kind::Listener, "", "Public listener."),
    row("server.admin_listen", Kind::Listener, "", "Admin listener: health, metrics, ledger. Unauthenticated: keep it inside."),
    row("server.workers", Kind::Int(0, 1024), "", "HTTP workers; 0: one a core."),
    row("server.drain_delay", Kind::Duration, "", "How long to go on accepting after SIGTERM, while load balancers notice; nothing in the dev profile."),
    row("server.drain_timeout", Kind::Duration, "", "How long flushing may take after that. The rest stays in the log for the next start (`fsync`), or is spilled to a file (`memory`)."),
    row("server.replicas", Kind::Int(1, 10_000), "", "How many replicas share a tenant's rate."),
    row("server.max_body", Kind::Size(1024, GIB), "", "Largest body as received."),
    row("server.max_inflated", Kind::Size(1024, GIB), "", "Largest body after inflating; at least `max_body`."),
    row("server.max_events", Kind::Int(1, 1_000_000), "", "Most events in one request."),
    row("server.trusted_proxies", Kind::Networks, "", "Whose `X-Tenant-ID` is believed, when `proxy_secret` stands beside it."),
    row("server.proxy_secret", secret("proxy_secret_file", None), "", "What a trusted proxy sends in `X-Proxy-Secret`; 16 characters or more."),
    row("server.proxy_secret_file", Kind::File, "", "The same, in a file."),
    row("influxdb.url", Kind::Url, "", "Base URL, such as `https://influxdb:8086`, or `INFLUXDB_URL`."),
    row("influxdb.org", Kind::Text, "", "Organisation's name, or `INFLUXDB_ORG`."),
    row("influxdb.bucket", Kind::Text, "", "Bucket of the tenants that have none of their own, or `INFLUXDB_BUCKET`."),
    row("influxdb.token", secret("token_file", Some("INFLUXDB_TOKEN")), "", "Write token: `INFLUXDB_TOKEN`."),
    row("influxdb.token_file", Kind::File, "", "The same, in a file."),
    row("influxdb.create_bucket", Kind::Bool, "", "Whether a missing bucket is created."),
    row("influxdb.gzip", Kind::Bool, "", "Whether bodies are gzipped."),
    row("influxdb.timeout", Kind::Duration, "", "How long one write may take."),
    row("influxdb.retention", Kind::Duration, "", "The buckets' retention: older events are rejected. `\"0s\"`: for ever."),
    row("influxdb.in_flight", Kind::Int(1, 64), "", "Batches in flight for one bucket."),
    row("enrich.instance", Kind::TagValue, "the host name", "The deployment's name, the same on every replica: the tag `instance`. A pod's name here multiplies the series by every pod that ever lived."),
    row("enrich.replica", Kind::TagValue, "`HOSTNAME`", "This replica's own name: in the gateway's own metrics only. Its trailing `-N`, or else its hash, keeps the timestamps of replicas apart."),
    row("enrich.static_tags.*", Kind::TagValue, "", "A tag on every point. A constant: it makes no series of its own."),
    row("enrich.session", Kind::Session, "", "How sessions are stored. `tag`: a series for every session; `field`: none; `hash:N`: N series."),
    row("enrich.max_clock_skew", Kind::Duration, "", "`sentAt` corrects a client clock that is further off than this."),
    row("enrich.max_future", Kind::Duration, "", "How far ahead of the gateway a point's time may be."),
    row("enrich.user_agent", Kind::Bool, "", "Whether browser, os and device family are read from `User-Agent`."),
    row("enrich.path_rules", Kind::PathRules, "", "Path templates tried before the general ones: `\"/orders/{}/lines\"` gives `/orders/:id/lines`, `{name}` gives `:name`."),
    row("spool.dir", Kind::File, "`/var/lib/tagline`; `data` in the dev profile", "Where the log of durability `fsync`, spill files, dead letters, and the files of a gateway without InfluxDB go. One process at a time."),
    row("spool.durability", choice(&["fsync", "memory"], &[]), "`\"fsync\"`; `\"memory\"` in the dev profile", "What 202 stands for. `fsync`: the points are on disk, and outlive a crash. `memory`: they are in the gateway's memory, and a crash loses what waits."),
    row("spool.max_bytes", Kind::Size(16 << 20, 64 << 40), "", "Most bytes of the log on disk (`fsync`): how long an outage of InfluxDB may last before it is full. The disk needs that much, and some more for dead letters."),
    row("spool.on_full", choice(&["reject", "drop_oldest"], &[]), "", "What happens when the spool is full. `reject`: new requests get 503; `drop_oldest`: the oldest points make room, counted as lost."),
    row("spool.max_memory", Kind::Size(1 << 20, 64 * GIB), "", "Most bytes of line protocol in memory that wait for delivery. Beyond it the backlog lies on disk alone (`fsync`), or the spool is full (`memory`)."),
    row("spool.max_dead_letters", Kind::Size(0, 64 * GIB), "", "Most bytes of dead letters kept, over all tenants; each keeps within its `spool_share` of it."),
    row("log.format", choice(&["auto", "json", "text"], &[]), "", "`auto`: text in the dev profile, JSON elsewhere."),
    row("log.level", Kind::LogFilter, "", "Such as `info`, or `warn,tagline=debug`."),
    row("issuers.*.issuer", Kind::Text, "required", "The `iss` claim of its tokens; no two issuers share one."),
    row("issuers.*.audience", Kind::OneOrMany, "required", "Audiences of which a token must name one."),
    row("issuers.*.algorithms", Kind::Algorithms, "required", "The only ones taken: HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA."),
    row("issuers.*.tenant_claim", Kind::Text, "`\"tenant_id\"`", "The claim that names the tenant: a name, or a JSON pointer when it begins with `/`."),
    row("issuers.*.leeway", Kind::Duration, "`\"30s\"`", "Clock leeway for `exp` and `nbf`, 5 minutes at most."),
    row("issuers.*.hmac_secret", secret("hmac_secret_file", None), "", "Shared secret of HS algorithms; 32 bytes or more."),
    row("issuers.*.hmac_secret_file", Kind::File, "", "The same, in a file."),
    row("issuers.*.public_key_file", Kind::File, "", "Public key in PEM, for the other algorithms."),
    row("issuers.*.jwks_url", Kind::Later, "", "Where the issuer publishes its keys."),
    row("tenant_defaults.unknown", choice(&["reject"], &["accept"]), "", "What becomes of a tenant that is not listed."),
    row("tenant_defaults.require", choice(&["any", "jwt"], &[]), "", "`jwt`: a publishable write key is not enough."),
    row("tenant_defaults.session", Kind::Session, "`enrich.session`", "How sessions are stored."),
    row("tenant_defaults.limits.points_per_second", Kind::Int(1, MANY), "", "Points a second over all replicas."),
    row("tenant_defaults.limits.burst", Kind::Int(1, MANY), "", "Points at once; at least `server.max_events`."),
    row("tenant_defaults.limits.bytes_per_second", Kind::Size(1, u32::MAX as u64), "no limit", "Body bytes a second as received, over all replicas."),
    row("tenant_defaults.limits.in_flight", Kind::Int(1, MANY), "", "Requests at once on one replica."),
    row("tenant_defaults.limits.spool_share", Kind::Number(0.0, 1.0), "", "The share of the spool (`spool.max_bytes`, or `spool.max_memory` in memory mode) that one tenant may fill, and of `spool.max_dead_letters`."),
    row("tenant_defaults.limits.series_per_hour", Kind::Later, "", "New series an hour."),
    row("tenant_defaults.limits.series_per_day", Kind::Later, "", "New series a day."),
    row("tenant_defaults.limits.dry_run", Kind::Later, "", "Limits are counted but not enforced."),
    row("tenants.*.bucket", Kind::Text, "`influxdb.bucket`", "Its own bucket."),
    row("tenants.*.disabled", Kind::Bool, "`false`", "Whether it is switched off: 403."),
    row("tenants.*.require", choice(&["any", "jwt"], &[]), "`tenant_defaults.require`", "`jwt`: a publishable write key is not enough."),
    row("tenants.*.session", Kind::Session, "`tenant_defaults.session`", "How its sessions are stored."),
    row("tenants.*.keys.*.key", Kind::WriteKey, "required", "A publishable write key; no two share one."),
    row("tenants.*.keys.*.origins", Kind::Origins, "required", "`\"https://app.example\"`, `\"https://*.example\"`, or `\"*\"`: any origin, and none at all."),
    row("tenants.*.keys.*.expires", Kind::Time, "never", "Until when it is taken."),
    row("tenants.*.keys.*.measurements", Kind::Texts, "all", "What it may write."),
    row("tenants.*.limits.points_per_second", Kind::Int(1, MANY), "as `tenant_defaults`", "Points a second over all replicas."),
    row("tenants.*.limits.burst", Kind::Int(1, MANY), "as `tenant_defaults`", "Points at once; at least `server.max_events`."),
    row("tenants.*.limits.bytes_per_second", Kind::Size(1, u32::MAX as u64), "as `tenant_defaults`", "Body bytes a second as received, over all replicas."),
    row("tenants.*.limits.in_flight", Kind::Int(1, MANY), "as `tenant_defaults`", "Requests at once on one replica."),
    row("tenants.*.limits.spool_share", Kind::Number(0.0, 1.0), "as `tenant_defaults`", "The share of the spool, and of the dead letters, that it may fill."),
    row("tenants.*.limits.series_per_hour", Kind::Later, "", "New series an hour."),
    row("tenants.*.limits.series_per_day", Kind::Later, "", "New series a day."),
    row("tenants.*.limits.dry_run", Kind::Later, "", "Its limits are counted but not enforced."),
    row("measurements.*.needs", Kind::Texts, "`[]`", "What an event must carry: `view_name`, `action_name`, or a tag."),
    row("measurements.*.tags", Kind::TagNames, "`[]`", "Free tags that a caller may set. Each value of each makes a series."),
    row("measurements.*.other_fields", Kind::Bool, "`true`", "Whether metrics without a rule are taken, as floats."),
    row("measurements.*.fields.*.type", choice(&["float", "int"], &[]), "`\"float\"`", "The field's type. A bucket that holds the field refuses the other type for ever."),
    row("measurements.*.fields.*.min", Kind::Number(f64::MIN, f64::MAX), "", "Smallest value taken."),
    row("measurements.*.fields.*.max", Kind::Number(f64::MIN, f64::MAX), "", "Largest value taken."),
];
