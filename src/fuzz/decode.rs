//! The decoders: held against serde_json's own reading of the same body.

use std::borrow::Cow;

use serde_json::Value;
use serde_json::value::RawValue;

use super::naive;
use crate::decode::{
    DEFAULT_MEASUREMENT, DecodeError, Decoded, Event, MAX_METRICS, MAX_TAGS, Number, Unreadable, is_name,
};

/// `server.max_events` of this target.
const MAX_EVENTS: usize = 16;

/// Reads a body: what is kept is bounded and is what the body says; what is refused is told by names and fixed words alone.
///
/// The whole input is the body.
pub fn decode(body: &[u8]) -> bool {
    let read = crate::decode::decode(body, MAX_EVENTS);
    let text = std::str::from_utf8(body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body)).ok();
    let json = text.filter(|text| serde_json::from_str::<&RawValue>(text).is_ok());
    assert_eq!(
        matches!(read, Err(DecodeError::NotJson { .. })),
        json.is_none(),
        "what is JSON is taken for JSON, and nothing else"
    );
    match read {
        Ok(read) => {
            sound(&read, body);
            let whole: Option<Value> = json.and_then(|text| serde_json::from_str(text).ok());
            if let Some(whole) = whole {
                same(&read, &whole);
            }
            read.items.iter().any(Result::is_ok)
        }
        Err(DecodeError::TooManyEvents { found, limit }) => {
            assert!(limit == MAX_EVENTS && found > limit, "{found} of {limit}");
            let all = crate::decode::decode(body, found).expect("the same body under a higher limit");
            assert_eq!(all.items.len(), found);
            false
        }
        Err(DecodeError::NotJson { line, column, .. }) => {
            assert!(line >= 1 && line <= 1 + body.len() && column <= 1 + body.len(), "line {line}, column {column}");
            false
        }
        Err(DecodeError::UnknownShape(_)) => false,
    }
}

/// What holds for every body that was read.
fn sound(read: &Decoded<'_>, body: &[u8]) {
    assert!(read.items.len() <= MAX_EVENTS);
    assert!(read.defaults.tags.len() <= MAX_TAGS + 1);
    let sources = body.as_ptr_range();
    let from_body = |text: &Cow<'_, str>| match text {
        // Borrowed from the body, or a name of ours.
        Cow::Borrowed(text) => {
            sources.contains(&text.as_ptr())
                || text.is_empty()
                || ["value", "true", "false", DEFAULT_MEASUREMENT].contains(text)
        }
        // An escape only ever becomes shorter; a number's shortest text may be longer than the one that was sent.
        Cow::Owned(text) => text.len() <= body.len().max(32),
    };
    for item in &read.items {
        match item {
            Ok(event) => {
                assert!(!event.measurement.is_empty());
                assert!(event.metrics.len() <= MAX_METRICS + 1 && event.tags.len() <= MAX_TAGS + 1);
                let numbers = event.metrics.iter().map(|(_, number)| number).chain(&event.timestamp_ms);
                numbers.for_each(|number| assert!(!matches!(number, Number::Float(float) if !float.is_finite())));
                let names = event.metrics.iter().map(|(name, _)| name);
                let tags = event.tags.iter().flat_map(|(name, value)| [name, value]);
                let members = [&event.session_id, &event.view_name, &event.action_name, &event.trace];
                let all = names.chain(tags).chain(members.into_iter().flatten()).chain([&event.measurement]);
                all.for_each(|text| assert!(from_body(text), "{text:?} comes from elsewhere"));
            }
            Err(unreadable) => tells_no_value(unreadable),
        }
    }
}

/// The words that a finding is made of.
const WORDS: &str = "a an and as an are be beside beyond boolean cannot catalog envelope event events float half has holds in is it item \
    list longer member members more metricName missing name none not null number object of one or other pair range read s sequence stands \
    string surrogate than that the twice unicode value values whole 0 64 bit";

/// A finding may name a member where that looks like a name, between backticks; all else of it is ours.
fn tells_no_value(unreadable: &Unreadable) {
    let detail = &unreadable.detail;
    assert!(detail.len() < 300, "{detail}");
    for (at, part) in detail.split('`').enumerate() {
        if at % 2 == 1 {
            assert!(is_name(part) || part == "…", "{detail}");
            continue;
        }
        let words = part.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        for word in words {
            let known = WORDS.split_whitespace().any(|known| known.eq_ignore_ascii_case(word));
            assert!(known, "`{word}` in: {detail}");
        }
    }
}

/// What was read is what another parser reads.
fn same(read: &Decoded<'_>, whole: &Value) {
    let (items, envelope) = match whole {
        Value::Array(items) => (items.as_slice(), None),
        whole => match whole.get("events").and_then(Value::as_array) {
            Some(items) => (items.as_slice(), Some(whole)),
            None => (std::slice::from_ref(whole), None),
        },
    };
    // An envelope in which `events` stands twice keeps the first here and the last there; it is refused item by item.
    if read.items.iter().all(Result::is_err) {
        return;
    }
    assert_eq!(read.items.len(), items.len());
    if let Some(envelope) = envelope {
        assert_eq!(read.defaults.session_id.as_deref(), naive::text(envelope, "sessionId"));
        assert_eq!(read.defaults.view_name.as_deref(), naive::text(envelope, "viewName"));
    }
    for (event, value) in read.items.iter().zip(items) {
        if let Ok(event) = event {
            same_event(event, value, envelope);
        }
    }
}

fn same_event(event: &Event<'_>, value: &Value, envelope: Option<&Value>) {
    let text = |name| naive::text(value, name);
    assert_eq!(event.session_id.as_deref(), text("sessionId"));
    assert_eq!(event.view_name.as_deref(), text("viewName"));
    assert_eq!(event.action_name.as_deref(), text("actionName"));
    assert_eq!(event.trace.as_deref(), text("traceId").or(text("traceparent")));
    let shared = envelope.and_then(|envelope| naive::text(envelope, "measurement"));
    let measurement = text("metricName").or(text("measurement")).or(shared).unwrap_or(DEFAULT_MEASUREMENT);
    assert_eq!(event.measurement, measurement);
    assert_eq!(event.timestamp_ms.map(float), value.get("timestamp").and_then(Value::as_f64));
    assert_eq!(event.seq, value.get("seq").and_then(Value::as_u64));
    if text("metricName").is_some() {
        let [(name, number)] = event.metrics.as_slice() else { panic!("a metric has one value: {event:?}") };
        assert_eq!((&**name, Some(float(*number))), ("value", value["value"].as_f64()));
        return;
    }
    for (at, (name, number)) in event.metrics.iter().enumerate() {
        let last = !event.metrics[at + 1..].iter().any(|(later, _)| later == name);
        if last && event.metrics.len() <= MAX_METRICS {
            assert_eq!(Some(float(*number)), value["metrics"][&**name].as_f64(), "{name:?}");
        }
    }
    for (at, (name, tag)) in event.tags.iter().enumerate() {
        let last = !event.tags[at + 1..].iter().any(|(later, _)| later == name);
        if last
            && event.tags.len() <= MAX_TAGS
            && let Value::String(sent) = &value["tags"][&**name]
        {
            assert_eq!(tag, sent, "{name:?}");
        }
    }
}

fn float(number: Number) -> f64 {
    match number {
        Number::Int(number) => number as f64,
        Number::Float(number) => number,
    }
}
