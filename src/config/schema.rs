//! The schema: one row for each key, in the order of the reference. It alone says which keys exist, of which kind their values are,
//! and what the reference tells about them.

mod rows;

use super::values::{self, Outcome};
pub(crate) use rows::ROWS;

/// What kind of value a key takes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Any text that is not empty.
    Text,
    /// `true` or `false`.
    Bool,
    /// A whole number within inclusive bounds.
    Int(i64, i64),
    /// A number within inclusive bounds.
    Number(f64, f64),
    /// A duration with its unit.
    Duration,
    /// Bytes, with or without a unit, within inclusive bounds.
    Size(u64, u64),
    /// An IP address and a port.
    Listener,
    /// A base URL of `http` or `https`.
    Url,
    /// A file's name.
    File,
    /// A secret: from a variable or a file, never from TOML.
    Secret {
        /// The key that names a file instead.
        file_key: &'static str,
        /// A shorter variable, if there is one.
        variable: Option<&'static str>,
    },
    /// A publishable write key.
    WriteKey,
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// `tag`, `field` or `hash:N`.
    Session,
    /// A `tracing` filter.
    LogFilter,
    /// A date, or a date and time with its offset.
    Time,
    /// A tag's value.
    TagValue,
    /// A list of texts.
    Texts,
    /// A list of texts, or one text.
    OneOrMany,
    /// A list of tag names.
    TagNames,
    /// A list of signature algorithms.
    Algorithms,
    /// A list of addresses or networks.
    Networks,
    /// A list of origins.
    Origins,
    /// A list of path rules.
    PathRules,
    /// A number of replicas, or a name that has as many addresses.
    Replicas,
    /// `true`, `false`, or a list of the limits meant.
    DryRun,
    /// A cookie's name.
    CookieName,
    /// Where an issuer's keys are published.
    JwksUrl,
    /// Where a trace is looked at: a URL with `{trace_id}` in it.
    TraceUrl,
    /// A tenant's id.
    TenantId,
    /// A list of what is scrubbed.
    Scrubs,
    /// A regular expression.
    Pattern,
}

impl Kind {
    /// How the reference names it.
    pub(crate) fn name(self) -> String {
        let choices =
            |texts: &[&str]| texts.iter().map(|text| format!("`\"{text}\"`")).collect::<Vec<_>>().join(" or ");
        match self {
            Self::Text => "text".into(),
            Self::Bool => "`true` or `false`".into(),
            Self::Int(min, i64::MAX) => format!("whole number from {min}"),
            Self::Int(min, max) => format!("whole number, {min} to {max}"),
            Self::Number(f64::MIN, f64::MAX) => "number".into(),
            Self::Number(min, max) => format!("number, {min} to {max}"),
            Self::Duration => "duration, such as `\"5s\"` or `\"1m 30s\"`".into(),
            Self::Size(min, max) => format!("size, {} to {}", values::show_size(min), values::show_size(max)),
            Self::Listener => "address and port".into(),
            Self::Url => "URL".into(),
            Self::File => "file".into(),
            Self::Secret { .. } => "secret: a variable, never TOML".into(),
            Self::WriteKey => "16 to 128 characters of `A-Z a-z 0-9 - . _ ~`".into(),
            Self::Choice(texts) => choices(texts),
            Self::Session => "`\"tag\"`, `\"field\"` or `\"hash:N\"`, N from 1 to 4096".into(),
            Self::LogFilter => "`tracing` filter".into(),
            Self::Time => "date, or date and time with offset".into(),
            Self::TagValue => "tag value".into(),
            Self::Texts => "list of texts".into(),
            Self::OneOrMany => "text or list of texts".into(),
            Self::TagNames => "list of tag names".into(),
            Self::Algorithms => "list of algorithms".into(),
            Self::Networks => "list of addresses or networks".into(),
            Self::Origins => "list of origins".into(),
            Self::PathRules => "list of path rules".into(),
            Self::Replicas => "whole number from 1, or `\"dns:NAME\"`".into(),
            Self::DryRun => "`true`, `false` or list of limits".into(),
            Self::CookieName => "cookie name".into(),
            Self::JwksUrl | Self::TraceUrl => "URL".into(),
            Self::TenantId => "tenant id".into(),
            Self::Scrubs => "list of `\"email\"`, `\"bearer\"`, `\"card\"`".into(),
            Self::Pattern => "regular expression".into(),
        }
    }

    /// Whether it is a list: in a variable its items are parted by commas.
    pub(crate) fn is_list(self) -> bool {
        matches!(
            self,
            Self::Texts
                | Self::OneOrMany
                | Self::TagNames
                | Self::Algorithms
                | Self::Networks
                | Self::Origins
                | Self::PathRules
                | Self::Scrubs
        )
    }
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// Dotted; `*` stands for a name that the operator chooses.
    pub(crate) key: &'static str,
    pub(crate) kind: Kind,
    /// What holds when it is not set, for the reference, when `config/default.toml` does not say it. `""`: nothing.
    pub(crate) default: &'static str,
    /// One line for the reference.
    pub(crate) doc: &'static str,
}

/// What the schema knows of a path.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Known {
    /// A value.
    Value(&'static Row),
    /// A table that holds fixed keys.
    Table,
    /// A table that holds names: `tenants`, `measurements.*.fields`.
    Names,
}

fn matches_pattern(pattern: &str, path: &[String]) -> bool {
    pattern.split('.').zip(path).all(|(want, have)| want == "*" || want == have)
}

/// Looks a path up.
pub(crate) fn find(path: &[String]) -> Option<Known> {
    let rows = || ROWS.iter().filter(|row| matches_pattern(row.key, path));
    let depth = |row: &Row| row.key.split('.').count();
    if let Some(row) = rows().find(|row| depth(row) == path.len()) {
        return Some(Known::Value(row));
    }
    let inside = rows().find(|row| depth(row) > path.len())?;
    let names = inside.key.split('.').nth(path.len()) == Some("*");
    Some(if names { Known::Names } else { Known::Table })
}

/// Which keys may stand under a table, in the order of the reference; none where the operator chooses the names.
pub(crate) fn keys_under(path: &[String]) -> Vec<&'static str> {
    let mut keys: Vec<&'static str> = Vec::new();
    for row in ROWS.iter().filter(|row| row.key.split('.').count() > path.len() && matches_pattern(row.key, path)) {
        match row.key.split('.').nth(path.len()) {
            Some(key) if key != "*" && !keys.contains(&key) => keys.push(key),
            _ => {}
        }
    }
    keys
}

/// What an unknown key may have been meant as, to end a message with: `did you mean "drain_delay"?`
pub(crate) fn suggestion(path: &[String]) -> Option<String> {
    let (last, parent) = path.split_last()?;
    if let Some(near) = values::nearest(last, keys_under(parent)) {
        return Some(format!("did you mean \"{near}\"?"));
    }
    // A key that exists in another table only, such as `listen` above all tables.
    let elsewhere = ROWS.iter().find(|row| row.key.rsplit('.').next() == Some(last.as_str()))?;
    Some(format!("did you mean \"{}\"?", elsewhere.key.replace('*', "NAME")))
}

/// Checks a name that the operator chose, by the table in which it stands.
pub(crate) fn check_name(parent: &[String], name: &str) -> Outcome<()> {
    let parent: Vec<&str> = parent.iter().map(String::as_str).collect();
    match parent.as_slice() {
        ["tenants"] => values::tenant_id(name).map(drop),
        ["issuers", _, "tenants"] => values::claim_value(name),
        ["measurements"] => values::measurement_name(name),
        ["measurements", _, "fields"] => values::free_name(name, "field"),
        ["enrich", "static_tags"] => values::free_name(name, "tag"),
        _ => values::plain_name(name),
    }
}
