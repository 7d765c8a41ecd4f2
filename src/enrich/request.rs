//! One request's enrichment.

use std::cell::{Cell, OnceCell};

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;

use crate::clock::UnixNanos;
use crate::decode::{Defaults, Event, MAX_METRICS};
use crate::outcome::Reason;

use super::agent::Agent;
use super::client;
use super::compiled::{MeasurementRules, Rules, is_reserved_measurement};
use super::draft::Draft;
use super::scrub::Scrubbed;
use super::session::{self, Session};
use super::timestamp::{self, Ticks};
use super::{Context, FieldValue, Point, Rejected, fields, tags, trace};

/// One request's enrichment: what is worked out once for all its events (server tags, user agent, skew, trace).
pub struct Request<'r> {
    pub(super) rules: &'r Rules,
    pub(super) ticks: &'r Ticks,
    pub(super) context: Context<'r>,
    pub(super) defaults: &'r Defaults<'r>,
    /// Tenant, instance, host and the static tags: on every point.
    pub(super) server_tags: Vec<(&'r str, &'r str)>,
    /// The header's trace id, if the header is valid.
    trace: Option<String>,
    /// The field `client_address`.
    client: Option<String>,
    /// Milliseconds to add to the client's times without `seq`.
    clock_offset: i64,
    /// Read from the header when the first point wants it.
    agent: OnceCell<Agent<'r>>,
    tags_dropped: Cell<u64>,
    pub(super) scrubbed: Cell<Scrubbed>,
}

impl<'r> Request<'r> {
    pub(super) fn new(rules: &'r Rules, ticks: &'r Ticks, context: Context<'r>, defaults: &'r Defaults<'r>) -> Self {
        let mut server_tags = Vec::with_capacity(rules.static_tags.len() + 2);
        server_tags.extend(rules.static_tags.iter().map(|(k, v)| (k.as_str(), v.as_str())));
        server_tags.push(("tenant_id", context.tenant.id().as_str()));
        server_tags.extend(context.tenant.host().filter(|host| !host.is_empty()).map(|host| ("host", host)));
        server_tags.sort_unstable();
        Self {
            trace: context.traceparent.and_then(trace::id_of_header).map(|id| id.to_ascii_lowercase()),
            client: client::stored(context.client, rules.client_address),
            clock_offset: timestamp::offset(context.sent_at_ms, context.received, rules.max_clock_skew),
            rules,
            ticks,
            context,
            defaults,
            server_tags,
            agent: OnceCell::new(),
            tags_dropped: Cell::new(0),
            scrubbed: Cell::default(),
        }
    }

    /// Makes the point of one event. What it borrows lives in the event, the request, or `arena`.
    pub fn point<'p>(&'p self, event: &'p Event<'_>, arena: &'p Bump) -> Result<Point<'p>, Rejected> {
        self.draft(event, arena).map(|draft| *draft.point())
    }

    /// The same, as a draft that can be made a point of fewer series.
    pub fn draft<'p>(&'p self, event: &'p Event<'_>, arena: &'p Bump) -> Result<Draft<'p, 'r>, Rejected> {
        let (measurement, rules) = self.measurement(&event.measurement)?;
        if event.metrics.is_empty() {
            return Rejected::because(Reason::Empty, "`metrics` is empty: there is nothing to store".to_owned());
        }
        let text = event.session_id.as_deref().or(self.defaults.session_id.as_deref());
        let scrubber = &self.rules.scrubber;
        let text = text.map(|id| scrubber.session(id, self.context.tenant.id().as_str(), arena, &self.scrubbed));
        let session = session::store(text, self.context.tenant.profile().settings.session, arena)?;

        let mut tags = BumpVec::with_capacity_in(self.server_tags.len() + event.tags.len() + 8, arena);
        tags.extend_from_slice(&self.server_tags);
        tags.extend(session.tag());
        let dropped = tags::append(self, event, rules, arena, &mut tags)?;
        self.check_needs(rules, &session, &tags)?;
        tags.sort_unstable_by_key(|(key, _)| *key);

        let mut fields = BumpVec::with_capacity_in(event.metrics.len().min(MAX_METRICS) + 3, arena);
        let unlisted = fields::append(self, event, rules, &mut fields)?;
        let metrics = fields.len();
        fields.extend(session.field().map(|text| ("session", FieldValue::Str(text))));
        let trace = match event.trace.as_deref() {
            Some(text) => Some(trace::id(text, arena)?),
            None => self.trace.as_deref(),
        };
        fields.extend(trace.map(|id| ("trace_id", FieldValue::Str(id))));
        fields.extend(self.client.as_deref().map(|address| ("client_address", FieldValue::Str(address))));

        let (millis, time) = self.time(event, &session)?;
        self.tags_dropped.set(self.tags_dropped.get() + dropped);
        let point = Point { measurement, tags: tags.into_bump_slice(), fields: fields.into_bump_slice(), time };
        Ok(Draft { request: self, rules, point, metrics, unlisted, session, millis, seq: event.seq })
    }

    /// How many free tags of kept points were left out so far because the catalog does not list them.
    pub fn tags_dropped(&self) -> u64 {
        self.tags_dropped.get()
    }

    /// In how many strings each scrub rule found something so far, those of rejected events included.
    pub fn scrubbed(&self) -> Scrubbed {
        self.scrubbed.get()
    }

    /// What the user agent says of itself; read once.
    pub(super) fn agent(&self) -> &Agent<'r> {
        self.agent.get_or_init(|| self.context.user_agent.map(Agent::read).unwrap_or_default())
    }

    fn measurement(&self, name: &str) -> Result<(&str, &MeasurementRules), Rejected> {
        let Some((name, rules)) = self.rules.measurement(name) else {
            return if is_reserved_measurement(name) {
                let detail = "measurements named `caddy_…`, `gateway_…` or `_…` are written by others".to_owned();
                Rejected::because(Reason::ReservedName, detail)
            } else {
                let detail = "the catalog does not know this measurement: see [measurements.NAME]".to_owned();
                Rejected::because(Reason::UnknownMeasurement, detail)
            };
        };
        if !self.context.tenant.may_write(name) {
            let detail = format!("this write key may not write `{name}`");
            return Rejected::because(Reason::NotAllowed, detail);
        }
        Ok((name, rules))
    }

    fn check_needs(
        &self,
        rules: &MeasurementRules,
        session: &Session<'_>,
        tags: &[(&str, &str)],
    ) -> Result<(), Rejected> {
        let given = |need: &str| match need {
            "session_id" => session.id().is_some(),
            need => tags.iter().any(|(key, _)| *key == need),
        };
        match rules.needs.iter().find(|need| !given(need)) {
            None => Ok(()),
            Some(missing) => {
                let what = match missing.as_str() {
                    "session_id" => "the member `sessionId`".to_owned(),
                    "view_name" => "the member `viewName`".to_owned(),
                    "action_name" => "the member `actionName`".to_owned(),
                    tag => format!("the tag `{tag}`"),
                };
                Rejected::because(Reason::MissingMember, format!("{what} is missing or empty"))
            }
        }
    }

    /// The client's milliseconds, if it sent any, and the point's time.
    fn time(&self, event: &Event<'_>, session: &Session<'_>) -> Result<(Option<i64>, UnixNanos), Rejected> {
        let Some(sent) = event.timestamp_ms else {
            return Ok((None, self.ticks.receipt(self.context.received)));
        };
        let offset = if event.seq.is_some() { 0 } else { self.clock_offset };
        let millis = timestamp::millis(sent)?.saturating_add(offset);
        let low = match event.seq {
            Some(seq) => session.low_digits(seq),
            None => self.ticks.low_digits(self.rules.lane),
        };
        let time = timestamp::in_window(timestamp::nanos(millis, low)?, self.context.received, self.rules)?;
        Ok((Some(millis), time))
    }
}
