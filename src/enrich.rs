//! Enrichment: an event of a proven tenant becomes a point.
//!
//! *Comes in*: an [`Event`](crate::decode::Event), and the [`Context`] of its request with the [`Tenant`]. *Goes out*: a [`Point`] whose names, types, bounds and
//! nanosecond time are final, or a [`Rejected`] with the reason. *Never*: a tag of the caller's that overrides one of the server's;
//! a field whose type differs from the catalog's; an allocation per point outside the request's arena; I/O.
//!
//! The rules, as users read them, stand in `docs/data-model.md`.

mod agent;
mod client;
mod compiled;
mod draft;
mod fields;
#[cfg(test)]
pub(crate) mod fixture;
mod path;
mod request;
mod scrub;
mod session;
mod tags;
#[cfg(test)]
mod tests;
mod timestamp;
mod trace;

pub use draft::Draft;
pub use request::Request;
pub use scrub::Scrubbed;

use std::net::IpAddr;
use std::sync::Arc;

use crate::auth::Tenant;
use crate::clock::UnixNanos;
use crate::config::Settings;
use crate::decode::Defaults;
use crate::outcome::Reason;

use compiled::Rules;
use timestamp::Ticks;

/// What stands for a tag's value in a tenant that makes too many series.
pub const OTHER: &str = "__other__";
/// The longest `sessionId`, bytes.
pub const MAX_SESSION: usize = 128;
/// The longest tag value (`viewName` and `actionName` are such), bytes.
pub const MAX_TAG_VALUE: usize = 256;
/// The longest path (the tags `path` and `endpoint`, and a `viewName` that is one), bytes, after its query is cut.
pub const MAX_PATH: usize = 512;

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
    /// Where the request came from; stored only if `enrich.client_address` says so.
    pub client: Option<IpAddr>,
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

impl Rejected {
    fn because<T>(reason: Reason, detail: String) -> Result<T, Self> {
        Err(Self { reason, detail })
    }
}

/// Makes points; built once per generation of settings, shared by all workers.
#[derive(Debug)]
pub struct Enricher {
    rules: Rules,
    /// Outlives a reload, so that times stay unique over it.
    ticks: Arc<Ticks>,
}

impl Enricher {
    /// Compiles the rules of these settings: the first enricher of a process.
    pub fn new(settings: &Settings) -> Self {
        Self::compile(settings, Arc::default())
    }

    /// Compiles the rules of new settings; what makes times unique in this process goes on.
    pub fn reloaded(&self, settings: &Settings) -> Self {
        Self::compile(settings, Arc::clone(&self.ticks))
    }

    fn compile(settings: &Settings, ticks: Arc<Ticks>) -> Self {
        if settings.enrich.user_agent {
            agent::warm_up();
        }
        let rules = Rules::new(settings);
        Self { rules, ticks }
    }

    /// Works out what all events of one request share. `defaults` is what its envelope says for all of them.
    pub fn request<'r>(&'r self, context: Context<'r>, defaults: &'r Defaults<'r>) -> Request<'r> {
        Request::new(&self.rules, &self.ticks, context, defaults)
    }
}
