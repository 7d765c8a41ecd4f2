//! Why an item that is well-formed JSON could not be read: a number that no 64-bit float holds, or a string that is no Unicode (half a
//! surrogate pair). The parser says neither where nor which; this walks the item once more, slowly, on the failing path only.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::Unreadable;
use super::json::{AnyValue, Name, in_member};
use super::members::KNOWN;
use crate::outcome::Reason;

/// Names the member that could not be read.
pub(super) fn why_unreadable(item: &str) -> Unreadable {
    let Some(members) = members(item) else {
        return bad_name();
    };
    for (member, value) in members.iter().filter(|(member, _)| KNOWN.contains(&&**member)) {
        let inner = if matches!(&**member, "metrics" | "tags") { self::members(value) } else { Some(Vec::new()) };
        let Some(inner) = inner else { return bad_name() };
        if let Some((name, value)) = inner.iter().find(|(_, value)| !readable(value)) {
            return unreadable(member, value, &in_member(member, name));
        }
        if inner.is_empty() && !readable(value) {
            return unreadable(member, value, &format!("`{member}`"));
        }
    }
    Unreadable { reason: Reason::Malformed, detail: "a member cannot be read".to_owned() }
}

fn unreadable(member: &str, value: &str, place: &str) -> Unreadable {
    if value.starts_with('"') {
        return Unreadable {
            reason: Reason::Malformed,
            detail: format!("{place} holds half a surrogate pair: it is not Unicode"),
        };
    }
    let reason = match member {
        "metrics" | "value" => Reason::NotANumber,
        "timestamp" => Reason::BadTimestamp,
        _ => Reason::Malformed,
    };
    Unreadable { reason, detail: format!("{place} is beyond the range of a 64-bit float") }
}

fn bad_name() -> Unreadable {
    let detail = "a member's name holds half a surrogate pair: it is not Unicode".to_owned();
    Unreadable { reason: Reason::Malformed, detail }
}

fn readable(value: &str) -> bool {
    AnyValue.deserialize(&mut serde_json::Deserializer::from_str(value)).is_ok()
}

/// The members of an object, unread; none of what is no object; `None` when a name cannot be read.
fn members(text: &str) -> Option<Vec<(Cow<'_, str>, &str)>> {
    if !text.trim_start().starts_with('{') {
        return Some(Vec::new());
    }
    serde_json::Deserializer::from_str(text).deserialize_map(Unread).ok()
}

struct Unread;

impl<'de> Visitor<'de> for Unread {
    type Value = Vec<(Cow<'de, str>, &'de str)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while members.len() < MOST {
            let Some(name) = object.next_key_seed(Name)? else {
                return Ok(members);
            };
            members.push((name, object.next_value::<&RawValue>()?.get()));
        }
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(members)
    }
}

/// The most members that are looked at: memory stays bounded on this path too.
const MOST: usize = 256;
