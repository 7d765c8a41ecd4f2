//! Decoding: a body's bytes become events.
//!
//! *Comes in*: the inflated body. *Goes out*: for each item an [`Event`] that borrows from the body, or the reason why it is
//! none; or one [`DecodeError`] when the body as a whole cannot be read. *Never*: a look at the content type; a tenant (a body that
//! names one is not believed: the member is not even read); more memory than a small multiple of the body.
//!
//! A new format is a file of its own in this folder, and a line in [`decode`].

use std::borrow::Cow;

use thiserror::Error;

use crate::outcome::Reason;

/// A number as it stood in the body.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Number {
    /// Fits an `i64`.
    Int(i64),
    /// Anything else; finite unless a format can say otherwise.
    Float(f64),
}

/// One event, not yet checked against the catalog. Strings are as sent, unbounded but by the body.
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
    /// `metrics`, in the order sent, duplicates kept.
    pub metrics: Vec<(Cow<'b, str>, Number)>,
    /// `tags`, in the order sent, duplicates kept.
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

/// A body, read.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Decoded<'b> {
    /// The items in the order sent.
    pub items: Vec<Result<Event<'b>, Unreadable>>,
    /// `sentAt` of an envelope: milliseconds since 1970 by the client's clock.
    pub sent_at_ms: Option<f64>,
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
pub fn decode<'b>(_body: &'b [u8], _max_events: usize) -> Result<Decoded<'b>, DecodeError> {
    unimplemented!("decode room")
}
