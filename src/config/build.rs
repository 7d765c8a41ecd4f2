//! Builds the typed settings of the merged layers, and tells the mistakes that only show when values stand side by side.

mod answers;
mod catalog;
mod dev;
mod identity;
mod influx;
mod tenants;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use config::Value as Merged;
use secrecy::ExposeSecret;
use xxhash_rust::xxh3::xxh3_64;

use super::files::Reading;
use super::finding::{Findings, Place};
use super::section::Section;
use super::settings::{
    AddressLimits, ClientAddress, Connections, DryRun, Durability, Enrich, Installation, Limits, Log, LogFormat,
    OnFull, Profile, Replicas, Server, SessionMode, Settings, SpoolSettings,
};
use super::sources::Sources;
use super::tree::Places;
use super::{Catalog, values};

/// What the builders start from.
pub(crate) struct Given<'m> {
    pub(crate) merged: &'m Merged,
    pub(crate) places: &'m Places,
    pub(crate) reading: &'m Reading,
    pub(crate) sources: &'m Sources,
    /// Whether a configuration must say where points go.
    pub(crate) needs_destination: bool,
}

/// A value that `config/default.toml` sets, so that it cannot be missing.
fn set<T>(value: Option<T>) -> T {
    value.expect("config/default.toml sets it; it is compiled in, and tested against the schema")
}

/// Builds everything. What it returns is only good when it added no finding.
pub(crate) fn build(given: &Given<'_>, findings: &mut Findings) -> Settings {
    let root = Section::root(given.merged, given.places, given.reading);
    let mut server = server(&root.sub("server"), findings);
    let profile = profile(given, &root, &server, findings);
    if profile == Profile::Dev && !root.sub("server").is_set_by_operator("drain_delay") {
        // On a developer's machine there is no load balancer that needs to notice.
        server.drain_delay = Duration::ZERO;
    }
    let catalog = catalog::catalog(&root, findings);
    let enrich = enrich(given, &root.sub("enrich"), &catalog, findings);
    let issuers = identity::issuers(&root, findings);
    let session = set(root.sub("enrich").read("session", values::session));
    let defaults = tenants::Defaults::new(&root, session, &server, findings);
    let mut tenants = tenants::tenants(&root, &defaults, &catalog, findings);
    if profile == Profile::Dev {
        tenants.extend(dev::demo_tenant(&defaults));
    }
    identity::hold_together(&root, &tenants, defaults.of_unknown().unknown, findings);
    let needs_influxdb = given.needs_destination && profile == Profile::Configured;
    Settings {
        profile,
        influxdb: influx::influxdb(&root.sub("influxdb"), needs_influxdb, findings),
        enrich,
        spool: spool(&root.sub("spool"), profile, defaults.limits.spool_share),
        log: log(&root.sub("log"), profile),
        issuers,
        tenants,
        tenant_defaults: defaults.of_unknown(),
        catalog: catalog.into(),
        answers: answers::answers(&root, findings),
        server,
    }
}

/// What an InfluxDB is set up for. The mistakes that are told are those of what it is made of: elsewhere a secret's file may be missing
/// on this machine, or not be made yet.
pub(crate) fn installation(given: &Given<'_>, findings: &mut Findings) -> Installation {
    let mut all = Findings::default();
    let settings = build(given, &mut all);
    let concerns = |key: &str| key.is_empty() || key.starts_with("answers.") || key.ends_with(".expect_within");
    for finding in all.iter().filter(|finding| concerns(&finding.key)) {
        findings.add(finding.place.clone(), finding.key.clone(), finding.message.clone());
    }
    let root = Section::root(given.merged, given.places, given.reading);
    Installation::of(settings, influx::named(&root.sub("influxdb")))
}

fn server(section: &Section<'_>, findings: &mut Findings) -> Server {
    let bytes = |key| set(section.size(key).and_then(|bytes| usize::try_from(bytes).ok()));
    let server = Server {
        listen: set(section.read("listen", values::listener)),
        admin_listen: set(section.read("admin_listen", values::listener)),
        workers: set(section.int("workers")),
        drain_delay: set(section.duration("drain_delay")),
        drain_timeout: set(section.duration("drain_timeout")),
        replicas: set(section
            .int("replicas")
            .map(Replicas::Fixed)
            .or_else(|| section.read("replicas", values::replicas))),
        max_body: bytes("max_body"),
        max_inflated: bytes("max_inflated"),
        max_events: set(section.int("max_events")),
        trusted_proxies: section.list("trusted_proxies", values::network),
        proxy_secrets: section.secrets("proxy_secret", "proxy_secret_file", MAX_PROXY_SECRETS, findings),
        admin_token: section.secret("admin_token", "admin_token_file", findings),
        token_cookie: section.text("token_cookie").map(str::to_owned),
        connections: connections(&section.sub("connections"), findings),
        address: address(&section.sub("address")),
        core_dumps: set(section.flag("core_dumps")),
    };
    if collide(server.listen, server.admin_listen) {
        let key = later_of(section, "admin_listen", "listen");
        let message = format!(
            "the public listener {} and the admin listener {} are one; give each a port of its own",
            server.listen, server.admin_listen
        );
        section.wrong(findings, key, message);
    }
    if server.max_inflated < server.max_body {
        let key = later_of(section, "max_inflated", "max_body");
        section.wrong(findings, key, "max_inflated is smaller than max_body: a plain body of that size could never be taken; make it as large at least");
    }
    proxies(section, &server, findings);
    if server.admin_token.as_ref().is_some_and(|token| token.expose_secret().chars().count() < 16) {
        let key = if section.has("admin_token") { "admin_token" } else { "admin_token_file" };
        section.wrong(findings, key, "the token is too short; 16 characters or more");
    }
    server
}

fn connections(section: &Section<'_>, findings: &mut Findings) -> Connections {
    let mut time = |key| {
        let time: Duration = set(section.duration(key));
        if !(Duration::from_secs(1)..=Duration::from_secs(3600)).contains(&time) {
            section.wrong(
                findings,
                key,
                "from one second to an hour: phones are slow, and a connection must end; write \"10s\"",
            );
        }
        time
    };
    Connections {
        head_timeout: time("head_timeout"),
        body_timeout: time("body_timeout"),
        max: set(section.int::<i64>("max").and_then(|max| usize::try_from(max).ok())),
        per_address: set(section.int("per_address")),
    }
}

fn address(section: &Section<'_>) -> AddressLimits {
    AddressLimits {
        failures_per_second: set(section.int("failures_per_second")),
        burst: set(section.int("burst")),
        tracked: set(section.int::<i64>("tracked").and_then(|most| usize::try_from(most).ok())),
        dry_run: set(section.flag("dry_run")),
    }
}

/// Which of two keys somebody set, the first if both.
fn later_of<'k>(section: &Section<'_>, first: &'k str, second: &'k str) -> &'k str {
    if !section.is_set_by_operator(first) && section.is_set_by_operator(second) { second } else { first }
}

/// A listener on all addresses of a port takes that port from every other one.
fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    let same_address = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() == b.port() && a.port() != 0 && same_address
}

/// How many secrets of proxies count at once: enough for a rotation that begins before the last one has ended.
const MAX_PROXY_SECRETS: usize = 4;

fn proxies(section: &Section<'_>, server: &Server, findings: &mut Findings) {
    let has_secret = section.has("proxy_secret") || section.has("proxy_secret_file");
    let names_proxies = section.has("trusted_proxies") && !section.texts("trusted_proxies").is_empty();
    let secret_key = if section.has("proxy_secret") { "proxy_secret" } else { "proxy_secret_file" };
    if names_proxies && !has_secret {
        let why = "an address alone proves no tenant";
        section.wrong(findings, "trusted_proxies", format!("there is no proxy_secret: {why}; set `proxy_secret_file`"));
    }
    if has_secret && !names_proxies && !section.was_refused("trusted_proxies") {
        section.wrong(
            findings,
            secret_key,
            "no proxy is trusted, so nothing would ask for it; list the proxies in `trusted_proxies`",
        );
    }
    if server.proxy_secrets.iter().any(|secret| secret.expose_secret().chars().count() < 16) {
        section.wrong(findings, secret_key, "the secret is too short; 16 characters or more");
    }
}

/// Nothing configured means the dev profile, and that stays on loopback.
fn profile(given: &Given<'_>, root: &Section<'_>, server: &Server, findings: &mut Findings) -> Profile {
    let any = |key| !root.sub(key).names().is_empty() || given.places.any_refused_under(key);
    let identity = any("tenants") || any("issuers");
    if let Some(file) = &given.sources.file {
        if !identity {
            let message =
                "configures no tenant and no issuer: nobody could send; add [tenants.ID] here or in `tenants_file`";
            findings.add(Place::whole_file(file), "", message);
        }
        return Profile::Configured;
    }
    if identity {
        return Profile::Configured;
    }
    let section = root.sub("server");
    for (key, address) in [("listen", server.listen), ("admin_listen", server.admin_listen)] {
        if !address.ip().is_loopback() && !section.was_refused(key) {
            let why = "no tenant and no issuer is configured, and the demo tenant of such a start stays on loopback";
            section.wrong(
                findings,
                key,
                format!("{address} is reachable from outside, but {why}; give --config FILE, or listen on 127.0.0.1"),
            );
        }
    }
    Profile::Dev
}

fn enrich(given: &Given<'_>, section: &Section<'_>, catalog: &Catalog, findings: &mut Findings) -> Enrich {
    let host = host_name(given.sources);
    let replica = section.text("replica").map_or_else(|| host.clone(), str::to_owned);
    let tags = section.sub("static_tags");
    let mut static_tags = BTreeMap::new();
    for name in tags.names() {
        let clash = catalog.measurements.iter().find(|(_, measurement)| measurement.fields.contains_key(&name));
        if let Some((measurement, _)) = clash {
            tags.wrong(
                findings,
                &name,
                format!(
                    "it is a field of the measurement {measurement}, and one name cannot be both; choose another name"
                ),
            );
        }
        static_tags.extend(tags.text(&name).map(|value| (name, value.to_owned())));
    }
    Enrich {
        instance: section.text("instance").map_or(host, str::to_owned),
        lane: lane(&replica),
        replica,
        static_tags,
        max_clock_skew: set(section.duration("max_clock_skew")),
        max_future: set(section.duration("max_future")),
        user_agent: set(section.flag("user_agent")),
        path_rules: section.list("path_rules", values::path_rule),
        client_address: match section.text("client_address") {
            Some("network") => ClientAddress::Network,
            Some("full") => ClientAddress::Full,
            _ => ClientAddress::Off,
        },
        scrub: section.list("scrub", values::scrub).into_iter().collect(),
        scrub_patterns: scrub_patterns(&section.sub("scrub_patterns")),
    }
}

fn scrub_patterns(section: &Section<'_>) -> BTreeMap<String, String> {
    let pattern = |name: String| section.text(&name).map(str::to_owned).map(|pattern| (name, pattern));
    section.names().into_iter().filter_map(pattern).collect()
}

/// The host name: a pod's own in Kubernetes.
fn host_name(sources: &Sources) -> String {
    let kernel = || std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let usable = |name: &str| values::tag_value(name.trim()).ok().map(str::to_owned);
    sources.variable("HOSTNAME").and_then(usable).or_else(|| usable(&kernel())).unwrap_or_else(|| "localhost".into())
}

/// A replica's lane, 0..1000: the ordinal of a StatefulSet's pod, so that replicas cannot share one, else a hash of the name.
fn lane(replica: &str) -> u16 {
    let ordinal = replica.rsplit_once('-').and_then(|(_, last)| last.parse::<u64>().ok());
    let lane = ordinal.unwrap_or_else(|| xxh3_64(replica.as_bytes())) % 1000;
    u16::try_from(lane).unwrap_or_default()
}

fn spool(section: &Section<'_>, profile: Profile, default_share: f64) -> SpoolSettings {
    let default = if profile == Profile::Dev { "data" } else { "/var/lib/tagline" };
    let durability = match (section.text("durability"), profile) {
        (Some("memory"), _) | (None, Profile::Dev) => Durability::Memory,
        _ => Durability::Fsync,
    };
    let on_full = match section.text("on_full") {
        Some("drop_oldest") => OnFull::DropOldest,
        _ => OnFull::Reject,
    };
    SpoolSettings {
        dir: section.text("dir").unwrap_or(default).into(),
        durability,
        max_bytes: set(section.size("max_bytes")),
        on_full,
        max_memory: set(section.size("max_memory")),
        max_dead_letters: set(section.size("max_dead_letters")),
        default_share,
    }
}

fn log(section: &Section<'_>, profile: Profile) -> Log {
    let format = match (section.text("format"), profile) {
        (Some("json"), _) => LogFormat::Json,
        (Some("text"), _) | (_, Profile::Dev) => LogFormat::Text,
        (_, Profile::Configured) => LogFormat::Json,
    };
    Log { format, level: set(section.text("level")).to_owned() }
}

/// A session mode, unless it is not set.
fn session(section: &Section<'_>) -> Option<SessionMode> {
    section.read("session", values::session)
}

/// The limits that a table sets, over those below it.
fn limits(section: &Section<'_>, below: Limits) -> Limits {
    Limits {
        points_per_second: section.int("points_per_second").unwrap_or(below.points_per_second),
        burst: section.int("burst").unwrap_or(below.burst),
        bytes_per_second: section
            .size("bytes_per_second")
            .and_then(|n| u32::try_from(n).ok())
            .or(below.bytes_per_second),
        in_flight: section.int("in_flight").unwrap_or(below.in_flight),
        spool_share: section.number("spool_share").unwrap_or(below.spool_share),
        series_per_hour: section.int("series_per_hour").unwrap_or(below.series_per_hour),
        series_per_day: section.int("series_per_day").unwrap_or(below.series_per_day),
        dry_run: dry_run(section).unwrap_or(below.dry_run),
    }
}

/// The limits that are only counted, unless it is not set.
fn dry_run(section: &Section<'_>) -> Option<DryRun> {
    let all = section.flag("dry_run");
    let named = section.texts("dry_run");
    let is = |limit: &str| all == Some(true) || named.contains(&limit);
    section.is_set_by_operator("dry_run").then(|| DryRun {
        points_per_second: is("points_per_second"),
        bytes_per_second: is("bytes_per_second"),
        in_flight: is("in_flight"),
        series_per_hour: is("series_per_hour"),
        series_per_day: is("series_per_day"),
    })
}
