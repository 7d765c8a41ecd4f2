//! How single values are read: each reader takes what stands in the settings and gives its final type, or says what is wrong with it
//! and what to write.

mod identity;
mod net;
mod time;

use super::settings::Scrub;
use super::{PathRule, SessionMode};

pub(crate) use identity::{algorithm, claim_value, cookie_name, tenant_id, write_key};
pub(crate) use net::{alert_url, jwks_url, listener, network, origin, replicas, trace_url, url};
pub(crate) use time::{duration, instant};

/// A value, or what is wrong with it and what to do.
pub(crate) type Outcome<T> = Result<T, String>;

/// Tags, fields and columns that the gateway or InfluxDB writes itself.
const RESERVED: &[&str] =
    &["tenant_id", "session_id", "session", "session_bucket", "host", "instance", "trace_id", "client_address", "time"];

/// Tags that are read from members of an event: a measurement may need them, but nothing else may be named like them.
pub(crate) const MEMBERS: &[&str] = &["view_name", "action_name"];

/// The limits that `dry_run` may name.
pub(crate) const LIMITS: &[&str] =
    &["points_per_second", "bytes_per_second", "in_flight", "series_per_hour", "series_per_day"];

/// Shows what somebody wrote, quoted, no longer than a message can bear.
pub(crate) fn quote(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((cut, _)) => format!("{:?}…", &text[..cut]),
        None => format!("{text:?}"),
    }
}

/// The candidate that `word` was most likely meant as.
pub(crate) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let word = word.to_ascii_lowercase();
    let near =
        candidates.into_iter().map(|c| (strsim::normalized_damerau_levenshtein(&word, &c.to_ascii_lowercase()), c));
    near.filter(|(score, _)| *score >= 0.6).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, candidate)| candidate)
}

/// Bytes: `"1MiB"`, `"256 kB"`, `"1024"`.
pub(crate) fn size(text: &str) -> Outcome<u64> {
    let wrong = || format!("{} is no size; write for example \"512KiB\", \"1MiB\" or \"10GiB\"", quote(text));
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().map_err(|_| wrong())?;
    let unit = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return Err(wrong()),
    };
    number.checked_mul(unit).ok_or_else(wrong)
}

/// A size in the largest unit that divides it.
pub(crate) fn show_size(bytes: u64) -> String {
    let unit = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")]
        .into_iter()
        .find(|(unit, _)| bytes > 0 && bytes.is_multiple_of(*unit));
    unit.map_or_else(|| format!("{bytes}B"), |(unit, name)| format!("{}{name}", bytes / unit))
}

/// `tag`, `field`, `hash:N`.
pub(crate) fn session(text: &str) -> Outcome<SessionMode> {
    match text {
        "tag" => return Ok(SessionMode::Tag),
        "field" => return Ok(SessionMode::Field),
        _ => {}
    }
    let buckets = text.strip_prefix("hash:").and_then(|n| n.parse().ok()).filter(|n| (1..=4096).contains(n));
    let wrong =
        || format!("{} is no session mode; write \"tag\", \"field\" or \"hash:N\" with N from 1 to 4096", quote(text));
    buckets.map(SessionMode::Hash).ok_or_else(wrong)
}

/// `/orders/{}/lines`, `/shops/{shop}/orders/{}`.
pub(crate) fn path_rule(text: &str) -> Outcome<PathRule> {
    let wrong = |why: &str| format!("{} is no path rule: {why}; write for example \"/orders/{{}}/lines\"", quote(text));
    let rest = text.strip_prefix('/').ok_or_else(|| wrong("it does not begin with \"/\""))?;
    if rest.contains(['?', '#', '\\']) || rest.chars().any(char::is_control) {
        return Err(wrong("it holds a query, a fragment, a backslash or a control character"));
    }
    let segment = |segment: &str| match segment.strip_prefix('{').and_then(|s| s.strip_suffix('}')) {
        Some("") => Ok(Err("id".to_owned())),
        Some(name) if name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') => Ok(Err(name.to_owned())),
        Some(_) => Err(wrong("a placeholder's name is letters, digits and \"_\"")),
        None if segment.is_empty() => Err(wrong("it holds an empty segment")),
        None if segment.contains(['{', '}']) => Err(wrong("a placeholder is a whole segment")),
        None => Ok(Ok(segment.to_owned())),
    };
    let segments = rest.split('/').map(segment).collect::<Outcome<Vec<_>>>()?;
    if segments.iter().all(Result::is_ok) {
        return Err(wrong("it has no placeholder"));
    }
    Ok(PathRule { segments })
}

/// A tag's value that needs no replacing in line protocol.
pub(crate) fn tag_value(text: &str) -> Outcome<&str> {
    let wrong = if text.trim().is_empty() {
        "an empty text cannot be a tag's value; leave the key out or give it a value".to_owned()
    } else if text.chars().any(|c| c.is_control() || c == '\\') {
        format!("{} holds a control character or a backslash, which no tag can hold; leave it out", quote(text))
    } else if text.len() > 256 {
        format!("{} is longer than 256 bytes; shorten it", quote(text))
    } else {
        return Ok(text);
    };
    Err(wrong)
}

/// The name of a key or an issuer.
pub(crate) fn plain_name(text: &str) -> Outcome<()> {
    let good = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    good.then_some(()).ok_or_else(|| {
        format!("{} is no name; write 1 to 64 characters of A-Z, a-z, 0-9, \"_\", \".\" and \"-\"", quote(text))
    })
}

fn well_formed(text: &str, what: &str) -> Outcome<()> {
    let good = text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.:-".contains(&b));
    let wrong = || {
        let rule = "begin with a letter, then letters, digits and \"_.:-\", 64 in all at most";
        format!("{} is no name of a {what}; {rule}", quote(text))
    };
    good.then_some(()).ok_or_else(wrong)
}

/// The name of a tag or field that the operator adds.
pub(crate) fn free_name(text: &str, what: &str) -> Outcome<()> {
    if text.starts_with('_') || RESERVED.contains(&text) {
        return Err(format!("{} is reserved: the gateway or InfluxDB writes it; choose another name", quote(text)));
    }
    if MEMBERS.contains(&text) {
        let member = if text == "view_name" { "viewName" } else { "actionName" };
        return Err(format!("{} is read from an event's `{member}`; it may stand in `needs` only", quote(text)));
    }
    well_formed(text, what)
}

/// What a measurement may need: a member's tag, or a free one.
pub(crate) fn needed_name(text: &str) -> Outcome<()> {
    if MEMBERS.contains(&text) { Ok(()) } else { free_name(text, "tag") }
}

/// The name of a measurement.
pub(crate) fn measurement_name(text: &str) -> Outcome<()> {
    if ["caddy_", "gateway_", "_"].iter().any(|prefix| text.starts_with(prefix)) {
        let why =
            "names that begin with \"caddy_\", \"gateway_\" or \"_\" belong to the edge, the gateway and InfluxDB";
        return Err(format!("{} is reserved: {why}; choose another name", quote(text)));
    }
    well_formed(text, "measurement")
}

/// What is scrubbed, by name.
pub(crate) fn scrub(text: &str) -> Outcome<Scrub> {
    match text {
        "email" => Ok(Scrub::Email),
        "bearer" => Ok(Scrub::Bearer),
        "card" => Ok(Scrub::Card),
        _ => Err(format!(
            "{} is nothing that is scrubbed; write \"email\", \"bearer\" or \"card\", or a pattern of your own in [enrich.scrub_patterns]",
            quote(text)
        )),
    }
}

/// A regular expression that cannot match nothing: what is empty stands everywhere.
pub(crate) fn pattern(text: &str) -> Outcome<regex::Regex> {
    let pattern = regex::RegexBuilder::new(text).size_limit(1 << 20).build().map_err(|error| {
        let why = error.to_string().lines().last().unwrap_or_default().trim().to_owned();
        format!("{} is no regular expression of the regex crate: {why}", quote(text))
    })?;
    if pattern.is_match("") {
        return Err(format!("{} matches an empty text; let it match one character at least", quote(text)));
    }
    Ok(pattern)
}
