//! The tags that an event brings: view, action, the free tags that the catalog allows, and what the user agent adds to them.

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;

use crate::decode::{Event, MAX_TAGS, is_name};
use crate::outcome::Reason;

use super::compiled::MeasurementRules;
use super::request::Request;
use super::{MAX_PATH, MAX_TAG_VALUE, Rejected, path, scrub};

type Tags<'p> = BumpVec<'p, (&'p str, &'p str)>;

/// Appends them, unsorted. The answer is how many free tags were left out because the catalog does not list them.
pub(super) fn append<'p>(
    request: &'p Request<'_>,
    event: &'p Event<'_>,
    rules: &MeasurementRules,
    arena: &'p Bump,
    tags: &mut Tags<'p>,
) -> Result<u64, Rejected> {
    let view = event.view_name.as_deref().or(request.defaults.view_name.as_deref());
    if let Some(view) = view {
        let view = if path::is_path(view) {
            template(request, "viewName", view, arena)?
        } else {
            free_text(request, "viewName", view, arena)?
        };
        push(tags, "view_name", view);
    }
    if let Some(action) = event.action_name.as_deref() {
        push(tags, "action_name", free_text(request, "actionName", action, arena)?);
    }
    let dropped = free(request, event, rules, arena, tags)?;
    if rules.agent_tags && request.rules.user_agent {
        for (name, value) in request.agent().tags() {
            if rules.takes_tag(name) && !request.rules.is_reserved(name) && tags.iter().all(|(key, _)| *key != name) {
                tags.push((name, value));
            }
        }
    }
    Ok(dropped)
}

fn free<'p>(
    request: &'p Request<'_>,
    event: &'p Event<'_>,
    rules: &MeasurementRules,
    arena: &'p Bump,
    tags: &mut Tags<'p>,
) -> Result<u64, Rejected> {
    let own = &event.tags;
    let all = || {
        let shared = request.defaults.tags.iter();
        own.iter().chain(shared.filter(|(name, _)| own.iter().all(|(other, _)| other != name)))
    };
    let mut dropped = 0;
    for (place, (name, value)) in all().enumerate() {
        if place == MAX_TAGS {
            return Rejected::because(Reason::TooMany, format!("more than {MAX_TAGS} tags in one event"));
        }
        check_name(request, name)?;
        if all().take(place).any(|(other, _)| other == name) {
            return Rejected::because(Reason::DuplicateName, format!("the tag `{name}` stands twice"));
        }
        if !rules.takes_tag(name) {
            dropped += 1;
        } else if matches!(&**name, "path" | "endpoint") {
            push(tags, name, template(request, name, value, arena)?);
        } else {
            push(tags, name, free_text(request, name, value, arena)?);
        }
    }
    Ok(dropped)
}

fn check_name(request: &Request<'_>, name: &str) -> Result<(), Rejected> {
    if request.rules.is_reserved(name) {
        let detail = match name {
            "session_id" => "the tag `session_id` is set by the member `sessionId`".to_owned(),
            "view_name" => "the tag `view_name` is set by the member `viewName`".to_owned(),
            "action_name" => "the tag `action_name` is set by the member `actionName`".to_owned(),
            name if is_name(name) => format!("the tag `{name}` is the server's to set"),
            _ => "a tag's name cannot begin with `_`".to_owned(),
        };
        return Rejected::because(Reason::ReservedName, detail);
    }
    if !is_name(name) {
        let detail = "a tag's name is not [A-Za-z][A-Za-z0-9_.:-]{0,63}".to_owned();
        return Rejected::because(Reason::BadName, detail);
    }
    Ok(())
}

fn template<'p>(request: &'p Request<'_>, name: &str, value: &'p str, arena: &'p Bump) -> Result<&'p str, Rejected> {
    let path = scrub::without_queries(path::without_query(value), arena);
    let path = bounded(name, path, MAX_PATH)?;
    // Before the rules for what is private: a number of a path is `:id` whether or not it could be a card's.
    let template = path::template(path, &request.rules.path_rules, arena);
    Ok(request.rules.scrubber.text(template, MAX_PATH, arena, &request.scrubbed))
}

fn free_text<'p>(request: &'p Request<'_>, name: &str, value: &'p str, arena: &'p Bump) -> Result<&'p str, Rejected> {
    let text = bounded(name, scrub::without_queries(value, arena), MAX_TAG_VALUE)?;
    Ok(request.rules.scrubber.text(text, MAX_TAG_VALUE, arena, &request.scrubbed))
}

fn bounded<'p>(name: &str, value: &'p str, most: usize) -> Result<&'p str, Rejected> {
    if value.len() > most {
        return Rejected::because(Reason::TooLong, format!("`{name}` is longer than {most} bytes"));
    }
    Ok(value)
}

/// An empty value is left out: InfluxDB refuses it, and its series would be the same as without.
fn push<'p>(tags: &mut Tags<'p>, name: &'p str, value: &'p str) {
    if !value.is_empty() {
        tags.push((name, value));
    }
}
