//! Decoding: a body's bytes become events.
//!
//! *Comes in*: the inflated body. *Goes out*: for each item an [`Event`] that borrows from the body, or the reason why it is
//! none; or one [`DecodeError`] when the body as a whole cannot be read. *Never*: a look at the content type; a tenant (a body that
//! names one is not believed: the member is not even read); more memory than a small multiple of the body.
//!
//! One bad item never spoils its neighbours: wrong types are findings, not parse errors. Only what is no JSON at all, or JSON of no known shape,
//! fails the body.
//!
//! A new format is a file of its own in this folder, and a line in `members`, which tells items apart.

mod body;
mod json;
mod members;
mod metric_list;
mod native;
mod salvage;
#[cfg(test)]
mod tests;

pub(crate) use json::is_name;

use std::borrow::Cow;

use serde_json::error::Category;
use serde_json::value::RawValue;
use thiserror::Error;

use crate::outcome::Reason;

/// The measurement of an event that names none.
pub const DEFAULT_MEASUREMENT: &str = "frontend_performance";

/// The most metrics that one event may carry. One more is kept by the decoder, so that the next room sees that there were too many, and no
/// more than that: a small body must not become a large vector.
pub const MAX_METRICS: usize = 64;

/// The most tags that one event may carry, those of its envelope included.
pub const MAX_TAGS: usize = 32;

/// A number as it stood in the body.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Number {
    /// Fits an `i64`.
    Int(i64),
    /// Anything else; finite unless a format can say otherwise.
    Float(f64),
}

/// One event, not yet checked against the catalog. Strings are as sent, unbounded but by the body. A member that was `null` is absent.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Event<'b> {
    /// The measurement; `frontend_performance` when the body names none.
    pub measurement: Cow<'b, str>,
    /// `sessionId`
    pub session_id: Option<Cow<'b, str>>,
    /// `viewName`
    pub view_name: Option<Cow<'b, str>>,
    /// `actionName`
    pub action_name: Option<Cow<'b, str>>,
    /// `metrics`, in the order sent, duplicates kept; at most [`MAX_METRICS`] + 1.
    pub metrics: Vec<(Cow<'b, str>, Number)>,
    /// `tags`, in the order sent, duplicates kept; at most [`MAX_TAGS`] + 1. Numbers and booleans are taken as their text.
    pub tags: Vec<(Cow<'b, str>, Cow<'b, str>)>,
    /// `timestamp`: milliseconds since 1970, may be fractional.
    pub timestamp_ms: Option<Number>,
    /// `seq`: unique per session, over tabs and reloads.
    pub seq: Option<u64>,
    /// `traceId`, or `traceparent` as sent.
    pub trace: Option<Cow<'b, str>>,
}

/// An item that is no event.
#[derive(Clone, PartialEq, Debug)]
pub struct Unreadable {
    /// Why.
    pub reason: Reason,
    /// What exactly; of our own making, never an echo of the body's values.
    pub detail: String,
}

/// What an envelope says for all its events; an event's own member wins. Kept once and not copied into the events, so that a long value
/// beside many events costs no more than its place in the body.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Defaults<'b> {
    /// `sessionId`
    pub session_id: Option<Cow<'b, str>>,
    /// `viewName`
    pub view_name: Option<Cow<'b, str>>,
    /// `tags`; an event's own tag of the same name wins.
    pub tags: Vec<(Cow<'b, str>, Cow<'b, str>)>,
}

/// A body, read.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Decoded<'b> {
    /// The items in the order sent.
    pub items: Vec<Result<Event<'b>, Unreadable>>,
    /// `sentAt` of an envelope, or of an event on its own: milliseconds since 1970 by the client's clock.
    pub sent_at_ms: Option<f64>,
    /// What an envelope says for all its events; empty for the other shapes.
    pub defaults: Defaults<'b>,
}

/// A body that cannot be read at all.
#[derive(Clone, PartialEq, Debug, Error)]
pub enum DecodeError {
    /// No JSON; where it broke.
    #[error("the body is not JSON: {what} at line {line}, column {column}")]
    NotJson {
        /// What the parser met.
        what: &'static str,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// JSON of no known shape.
    #[error("the body is none of: an event, an array of events, an envelope {{events:[…]}}, a metric list: {0}")]
    UnknownShape(&'static str),
    /// More events than one request may carry.
    #[error("{found} events in one request; the limit is {limit}")]
    TooManyEvents {
        /// How many there are.
        found: usize,
        /// `server.max_events`
        limit: usize,
    },
}

/// Reads a body by what it is. `max_events` is the most items that one body may carry.
///
/// UTF-8, with or without a byte order mark. A body that is well-formed JSON and yet holds what no type of ours can (`1e999`, half a
/// surrogate pair) is read a second time, item by item, so that only the item that holds it is refused.
pub fn decode<'b>(body: &'b [u8], max_events: usize) -> Result<Decoded<'b>, DecodeError> {
    let text = text(body)?;
    if let Ok(read) = body::read(text, max_events, body::Reading::Direct) {
        return read;
    }
    if let Err(error) = serde_json::from_str::<&RawValue>(text) {
        return Err(not_json(&error));
    }
    if let Ok(read) = body::read(text, max_events, body::Reading::ItemByItem) {
        return read;
    }
    // What cannot be held stands in the body's own members: an event on its own, or what an envelope says for all.
    let items = vec![Err(salvage::why_unreadable(text))];
    Ok(Decoded { items, ..Decoded::default() })
}

fn text(body: &[u8]) -> Result<&str, DecodeError> {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    std::str::from_utf8(body).map_err(|error| {
        let before = &body[..error.valid_up_to()];
        let line_start = before.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
        DecodeError::NotJson {
            what: "bytes that are not UTF-8",
            line: 1 + before.iter().filter(|&&b| b == b'\n').count(),
            column: 1 + before.len() - line_start,
        }
    })
}

fn not_json(error: &serde_json::Error) -> DecodeError {
    let what = match error.classify() {
        Category::Eof => "the end in the middle of a value",
        Category::Io | Category::Syntax | Category::Data => "a syntax error",
    };
    DecodeError::NotJson { what, line: error.line(), column: error.column() }
}
