//! Tagline's own event: `{sessionId, viewName, actionName, metrics: {name: number}, timestamp, seq, tags, …}`.

use super::Event;
use super::members::Members;

/// The event of these members; its measurement is empty when they name none.
pub(super) fn event(members: Members<'_>) -> Event<'_> {
    Event {
        measurement: members.measurement.unwrap_or_default(),
        session_id: members.session_id,
        view_name: members.view_name,
        action_name: members.action_name,
        metrics: members.metrics,
        tags: members.tags,
        timestamp_ms: members.timestamp,
        seq: members.seq,
        trace: members.trace_id.or(members.traceparent),
    }
}
