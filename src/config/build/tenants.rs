//! `[tenant_defaults]` and `[tenants.ID]`

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::ExposeSecret;

use super::super::finding::Findings;
use super::super::section::Section;
use super::super::settings::{
    DryRun, Limits, MAX_UPLOAD_SECRETS, OriginRule, Require, Secret, Server, SessionMode, TenantDefaults,
    TenantSettings, Unknown, WriteKey,
};
use super::super::{Catalog, TenantId, values};
use super::{identity, limits, session, set};

/// What holds for a tenant that says nothing else.
pub(super) struct Defaults {
    unknown: Unknown,
    require: Require,
    pub(super) session: SessionMode,
    expect_within: Option<Duration>,
    pub(super) limits: Limits,
    max_events: usize,
}

impl Defaults {
    /// Reads `[tenant_defaults]`; `session` is what `[enrich]` says.
    pub(super) fn new(
        root: &Section<'_>,
        enrich_session: SessionMode,
        server: &Server,
        findings: &mut Findings,
    ) -> Self {
        let section = root.sub("tenant_defaults");
        let own = section.sub("limits");
        let base = Limits {
            points_per_second: set(own.int("points_per_second")),
            burst: set(own.int("burst")),
            bytes_per_second: None,
            in_flight: set(own.int("in_flight")),
            spool_share: set(own.number("spool_share")),
            series_per_hour: set(own.int("series_per_hour")),
            series_per_day: set(own.int("series_per_day")),
            dry_run: DryRun::default(),
        };
        let most = set(section.int::<i64>("max_unknown").and_then(|most| usize::try_from(most).ok()));
        let defaults = Self {
            unknown: match section.text("unknown") {
                Some("accept") => Unknown::Accept { most },
                _ => Unknown::Reject,
            },
            require: require(&section).unwrap_or(Require::Any),
            session: session(&section).unwrap_or(enrich_session),
            expect_within: expect_within(&section, findings),
            limits: limits(&own, base),
            max_events: server.max_events,
        };
        if too_small(defaults.limits.burst, server.max_events) {
            // Whoever raised max_events above the default burst looks there.
            let server_section = root.sub("server");
            let message = burst_message(defaults.limits.burst, server.max_events);
            if own.is_set_by_operator("burst") {
                own.wrong(findings, "burst", message);
            } else {
                server_section.wrong(findings, "max_events", message);
            }
        }
        defaults
    }

    /// What holds for a tenant that is not listed.
    pub(super) fn of_unknown(&self) -> TenantDefaults {
        let tenant = TenantSettings {
            bucket: None,
            disabled: false,
            require: self.require,
            session: self.session,
            origins: Vec::new(),
            keys: BTreeMap::new(),
            upload_secrets: BTreeMap::new(),
            // Who is not listed is not expected.
            expect_within: None,
            limits: self.limits,
        };
        TenantDefaults { unknown: self.unknown, tenant }
    }
}

fn too_small(burst: u32, max_events: usize) -> bool {
    usize::try_from(burst).is_ok_and(|burst| burst < max_events)
}

fn burst_message(burst: u32, max_events: usize) -> String {
    format!(
        "the burst {burst} is below server.max_events {max_events}: a full request could never pass; raise the burst or lower max_events"
    )
}

fn require(section: &Section<'_>) -> Option<Require> {
    section.text("require").map(|text| if text == "jwt" { Require::Jwt } else { Require::Any })
}

/// The tenants of all layers.
pub(super) fn tenants(
    root: &Section<'_>,
    defaults: &Defaults,
    catalog: &Catalog,
    findings: &mut Findings,
) -> BTreeMap<TenantId, TenantSettings> {
    let mut owners: BTreeMap<String, Section<'_>> = BTreeMap::new();
    let mut signers = BTreeMap::new();
    let mut tenants = BTreeMap::new();
    for (name, section) in root.named("tenants") {
        let Some(id) = TenantId::parse(&name) else {
            continue;
        };
        let own = section.sub("limits");
        let limits = limits(&own, defaults.limits);
        if own.int::<u32>("burst").is_some() && too_small(limits.burst, defaults.max_events) {
            own.wrong(findings, "burst", burst_message(limits.burst, defaults.max_events));
        }
        let mut keys = BTreeMap::new();
        for (name, key) in section.named("keys") {
            one_owner(&key, &mut owners, findings);
            keys.extend(write_key(&key, catalog, findings).map(|key| (name, key)));
        }
        let settings = TenantSettings {
            bucket: section.text("bucket").map(Into::into),
            disabled: section.flag("disabled").unwrap_or(false),
            require: require(&section).unwrap_or(defaults.require),
            session: session(&section).unwrap_or(defaults.session),
            origins: origins(&section, findings),
            keys,
            upload_secrets: upload_secrets(&section, &mut signers, findings),
            expect_within: expect_within(&section, findings).or(defaults.expect_within),
            limits,
        };
        tenants.insert(id, settings);
    }
    tenants
}

/// How long a tenant may be silent. A shorter time than the check's own period would say nothing.
fn expect_within(section: &Section<'_>, findings: &mut Findings) -> Option<Duration> {
    let within = section.duration("expect_within")?;
    if within < Duration::from_secs(60) {
        section.wrong(
            findings,
            "expect_within",
            "at least a minute, which is how often it is looked at; write \"15m\"",
        );
    }
    Some(within)
}

/// The origins of a tenant's pages.
fn origins(section: &Section<'_>, findings: &mut Findings) -> Vec<OriginRule> {
    let origins = section.list("origins", values::origin);
    if origins.contains(&OriginRule::Any) {
        section.wrong(
            findings,
            "origins",
            "\"*\" names no page of this tenant; write its pages' origins, such as \"https://app.example\"",
        );
    }
    origins
}

/// The secrets of a tenant's backend.
fn upload_secrets(
    section: &Section<'_>,
    signers: &mut BTreeMap<String, (String, String)>,
    findings: &mut Findings,
) -> BTreeMap<String, Secret> {
    let tenant = section.own_key();
    let mut secrets = BTreeMap::new();
    if section.sub("upload_secrets").names().len() > MAX_UPLOAD_SECRETS {
        let message = format!("more than {MAX_UPLOAD_SECRETS}; remove those that nothing is signed with any more");
        section.wrong(findings, "upload_secrets", message);
    }
    for (name, section) in section.named("upload_secrets") {
        if !section.has("secret") && !section.has("secret_file") {
            findings.add(section.own_place(), section.own_key(), "no secret; set `secret_file`");
            continue;
        }
        let secret = identity::long_secret(&section, "secret", "secret_file", findings);
        if let Some(secret) = &secret {
            let text = secret.expose_secret().to_owned();
            let (owner, key) = signers.entry(text).or_insert_with(|| (tenant.clone(), section.own_key()));
            if *owner != tenant {
                let message = format!(
                    "{key} has the same secret, so that each backend could speak for the other's tenant; give each its own"
                );
                section.wrong(findings, if section.has("secret") { "secret" } else { "secret_file" }, message);
            }
        }
        secrets.extend(secret.map(|secret| (name, secret)));
    }
    secrets
}

/// A write key names one tenant and one row: two with the same key are a mistake at the second. The key is never echoed.
fn one_owner<'m>(key: &Section<'m>, owners: &mut BTreeMap<String, Section<'m>>, findings: &mut Findings) {
    let Some(text) = key.text("key") else { return };
    if let Some(first) = owners.get(text) {
        let (earlier, later) = if first.place("key") <= key.place("key") { (first, key) } else { (key, first) };
        let message = format!("{} ({}) has the same key; give each its own", earlier.own_key(), earlier.place("key"));
        later.wrong(findings, "key", message);
    } else {
        owners.insert(text.to_owned(), key.clone());
    }
}

fn write_key(section: &Section<'_>, catalog: &Catalog, findings: &mut Findings) -> Option<WriteKey> {
    if !section.has("key") {
        findings.add(section.own_place(), section.key("key"), "missing; `tagline token --write-key` makes one");
    }
    let origins: Vec<OriginRule> = section.list("origins", values::origin);
    if origins.is_empty() && !section.was_refused("origins") {
        let message = "missing: no page could use the key; list origins such as \"https://app.example\", or \"*\" for servers too";
        findings.add(section.own_place(), section.key("origins"), message);
    }
    let measurements = section.texts("measurements");
    for (i, name) in measurements.iter().enumerate().filter(|(_, name)| catalog.get(name).is_none()) {
        let hint = values::nearest(name, catalog.measurements.keys().map(String::as_str)).map_or_else(
            || "describe it in [measurements.NAME]".to_owned(),
            |near| format!("did you mean \"{near}\"?"),
        );
        let message = format!("{} is no known measurement; {hint}", values::quote(name));
        findings.add(section.item_place("measurements", i), section.key("measurements"), message);
    }
    Some(WriteKey {
        key: Secret::from(section.text("key")?.to_owned()),
        origins,
        expires: section.read("expires", values::instant),
        measurements: measurements.into_iter().map(str::to_owned).collect(),
    })
}
