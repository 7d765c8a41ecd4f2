//! Enrichment: an event of a proven tenant becomes a point.
//!
//! *Comes in*: an [`Event`], and the [`Context`] of its request with the [`Tenant`]. *Goes out*: a [`Point`] whose names, types, bounds and
//! nanosecond time are final, or a [`Rejected`] with the reason. *Never*: a tag of the caller's that overrides one of the server's;
//! a field whose type differs from the catalog's; an allocation per point outside the request's arena; I/O.

use bumpalo::Bump;

use crate::auth::Tenant;
use crate::clock::UnixNanos;
use crate::decode::Event;
use crate::outcome::Reason;

/// A field's value, of its final type.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum FieldValue<'p> {
    /// `13i`
    Int(i64),
    /// `12.6`; always finite.
    Float(f64),
    /// `"text"`
    Str(&'p str),
}

/// A point, ready to be encoded.
///
/// Invariants that the encoder relies on: `tags` sorted by key, keys unique, no value empty; at least one field; floats finite.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Point<'p> {
    /// The measurement.
    pub measurement: &'p str,
    /// (key, value), sorted by key.
    pub tags: &'p [(&'p str, &'p str)],
    /// (key, value), in a stable order.
    pub fields: &'p [(&'p str, FieldValue<'p>)],
    /// Final: a redelivery of the same event has the same time.
    pub time: UnixNanos,
}

/// What all events of one request share.
#[derive(Clone, Debug)]
pub struct Context<'r> {
    /// Who sends.
    pub tenant: &'r Tenant,
    /// When the request was received.
    pub received: UnixNanos,
    /// The envelope's `sentAt`, if there was one.
    pub sent_at_ms: Option<f64>,
    /// The `User-Agent` header.
    pub user_agent: Option<&'r str>,
    /// The request's `traceparent` header, for events that carry none.
    pub traceparent: Option<&'r str>,
}

/// Why an event became no point.
#[derive(Clone, PartialEq, Debug)]
pub struct Rejected {
    /// The reason.
    pub reason: Reason,
    /// What exactly; names a member or a bound, never a value of the caller's.
    pub detail: String,
}

/// Makes points; built once per generation of settings, shared by all workers.
#[derive(Debug)]
pub struct Enricher {}

/// One request's enrichment: what is worked out once for all its events (user agent, host, skew).
pub struct Request<'e, 'r> {
    _enricher: &'e Enricher,
    _context: Context<'r>,
}

impl Enricher {
    /// Works out what all events of one request share.
    pub fn request<'e, 'r>(&'e self, context: Context<'r>) -> Request<'e, 'r> {
        Request { _enricher: self, _context: context }
    }
}

impl Request<'_, '_> {
    /// Makes the point of one event. What it borrows lives in the event, the request, or `arena`.
    pub fn point<'p>(&'p self, _event: &'p Event<'_>, _arena: &'p Bump) -> Result<Point<'p>, Rejected> {
        unimplemented!("enrich room")
    }

    /// How many free tags were left out so far because the catalog does not list them.
    pub fn tags_dropped(&self) -> u64 {
        unimplemented!("enrich room")
    }
}
