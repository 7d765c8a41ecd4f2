//! The members of an object that have a meaning for us, of whatever shape it is. Unknown ones are skipped, so that newer clients can say more;
//! none of the known ones names a tenant.

use std::borrow::Cow;

use serde::de::{IgnoredAny, MapAccess};

use super::body::{Items, List};
use super::json::{AnyValue, Name, Pairs, Scalar};
use super::{Event, MAX_METRICS, MAX_TAGS, Number, Unreadable, metric_list, native};
use crate::outcome::Reason;

/// The known members of an object, read; the names are the wire's.
#[derive(Default)]
pub(super) struct Members<'b> {
    pub(super) session_id: Option<Cow<'b, str>>,
    pub(super) view_name: Option<Cow<'b, str>>,
    pub(super) action_name: Option<Cow<'b, str>>,
    pub(super) measurement: Option<Cow<'b, str>>,
    pub(super) metric_name: Option<Cow<'b, str>>,
    pub(super) trace_id: Option<Cow<'b, str>>,
    pub(super) traceparent: Option<Cow<'b, str>>,
    pub(super) metrics: Vec<(Cow<'b, str>, Number)>,
    pub(super) tags: Vec<(Cow<'b, str>, Cow<'b, str>)>,
    pub(super) timestamp: Option<Number>,
    pub(super) seq: Option<u64>,
    /// `value`, not yet known to be a number.
    pub(super) value: Option<Scalar<'b>>,
    pub(super) sent_at_ms: Option<f64>,
    pub(super) events: Option<List<'b>>,
    /// A bit for each known member that stood here.
    seen: u32,
    /// The first thing that is wrong.
    pub(super) finding: Option<Unreadable>,
}

/// The known members, in the order of their bits.
pub(super) const KNOWN: [&str; 14] = [
    "sessionId",
    "viewName",
    "actionName",
    "measurement",
    "metricName",
    "traceId",
    "traceparent",
    "metrics",
    "tags",
    "timestamp",
    "seq",
    "value",
    "sentAt",
    "events",
];

/// How many of [`KNOWN`], from the first, make an event of an object: the others mean something beside them only.
const OF_AN_EVENT: usize = 11;
/// How many of [`KNOWN`], from the first, mean something inside an item: the others are an envelope's.
const IN_AN_ITEM: usize = 12;

impl<'b> Members<'b> {
    /// Reads all members of an object. `body` says how `events` are read, and is none inside an item, where `events` and `sentAt` mean nothing.
    pub(super) fn read<A: MapAccess<'b>>(mut object: A, body: Option<Items>) -> Result<Self, A::Error> {
        let mut members = Self::default();
        while let Some(name) = object.next_key_seed(Name)? {
            let known = KNOWN.iter().position(|known| *known == name);
            let Some(bit) = known.filter(|at| body.is_some() || *at < IN_AN_ITEM) else {
                object.next_value::<IgnoredAny>()?;
                continue;
            };
            let twice = members.seen & (1 << bit) != 0;
            members.seen |= 1 << bit;
            let member = KNOWN[bit];
            if twice {
                object.next_value::<IgnoredAny>()?;
                members.found::<()>(Reason::DuplicateName, || format!("`{member}` stands twice"));
                continue;
            }
            match (member, body) {
                ("metrics", _) => {
                    let pairs = object.next_value_seed(Pairs::of(member, MAX_METRICS + 1))?;
                    members.metrics = members.keep(pairs);
                }
                ("tags", _) => {
                    let pairs = object.next_value_seed(Pairs::of(member, MAX_TAGS + 1))?;
                    members.tags = members.keep(pairs);
                }
                ("events", Some(items)) => members.events = Some(object.next_value_seed(items)?),
                _ => {
                    let value = object.next_value_seed(AnyValue)?;
                    members.take(member, value);
                }
            }
        }
        Ok(members)
    }

    fn take(&mut self, member: &'static str, value: Scalar<'b>) {
        if matches!(value, Scalar::Null) && member != "value" {
            return;
        }
        match member {
            "sessionId" => self.session_id = self.string(member, value),
            "viewName" => self.view_name = self.string(member, value),
            "actionName" => self.action_name = self.string(member, value),
            "measurement" => self.measurement = self.string(member, value),
            "metricName" => self.metric_name = self.string(member, value),
            "traceId" => self.trace_id = self.string(member, value),
            "traceparent" => self.traceparent = self.string(member, value),
            "timestamp" => self.timestamp = self.number(member, &value),
            "sentAt" => self.sent_at_ms = self.number(member, &value).map(as_float),
            "seq" => self.seq = self.sequence(&value),
            _ => self.value = Some(value),
        }
    }

    /// An empty string says nothing: it is as good as absent.
    fn string(&mut self, member: &str, value: Scalar<'b>) -> Option<Cow<'b, str>> {
        match value {
            Scalar::Text(text) => Some(text).filter(|text| !text.is_empty()),
            other => self.found(Reason::Malformed, || format!("`{member}` is {}, not a string", other.kind())),
        }
    }

    fn number(&mut self, member: &str, value: &Scalar<'b>) -> Option<Number> {
        match value.number() {
            Ok(number) => Some(number),
            Err(kind) => self.found(Reason::Malformed, || format!("`{member}` is {kind}, not a number")),
        }
    }

    fn sequence(&mut self, value: &Scalar<'b>) -> Option<u64> {
        match *value {
            Scalar::Number(Number::Int(number)) if number >= 0 => Some(number.unsigned_abs()),
            Scalar::Large(number) => Some(number),
            ref other => self.found(Reason::Malformed, || match other {
                Scalar::Number(_) => "`seq` is not a whole number of 0 or more".to_owned(),
                other => format!("`seq` is {}, not a number", other.kind()),
            }),
        }
    }

    fn keep<T>(&mut self, pairs: Result<Vec<T>, Unreadable>) -> Vec<T> {
        pairs.unwrap_or_else(|finding| {
            self.finding.get_or_insert(finding);
            Vec::new()
        })
    }

    fn found<T>(&mut self, reason: Reason, detail: impl FnOnce() -> String) -> Option<T> {
        self.finding.get_or_insert_with(|| Unreadable { reason, detail: detail() });
        None
    }

    pub(super) fn is_event(&self) -> bool {
        self.seen & ((1 << OF_AN_EVENT) - 1) != 0
    }

    pub(super) fn into_item(self) -> Result<Event<'b>, Unreadable> {
        match self.finding {
            Some(finding) => Err(finding),
            None if self.metric_name.is_some() => metric_list::event(self),
            None if self.is_event() => Ok(native::event(self)),
            None => Err(Unreadable {
                reason: Reason::Malformed,
                detail: "the item has none of an event's members (`metrics`, `viewName`, … or `metricName`)".to_owned(),
            }),
        }
    }
}

fn as_float(number: Number) -> f64 {
    match number {
        Number::Int(number) => number as f64,
        Number::Float(number) => number,
    }
}
