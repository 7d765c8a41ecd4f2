//! The week as what clients send. Written by hand: in a debug build that is several times quicker than by serde.

use super::events::{Event, Vital};
use std::fmt::Write as _;

/// A list of events of browsers.
pub fn frontend<'e>(events: impl IntoIterator<Item = &'e Event>) -> String {
    list(events, |body, event| {
        let _ = write!(
            body,
            r#"{{"sessionId":"s{:015x}","viewName":"{}","actionName":"{}","timestamp":{},"seq":{},"traceId":"{:032x}","tags":{{"browser":"{}","region":"{}"}},"metrics":{{"duration_ms":{},"element_count":{}}}}}"#,
            event.session,
            event.view,
            event.action,
            event.time_ms,
            event.seq,
            event.trace,
            event.browser,
            event.region,
            event.duration_ms,
            event.element_count,
        );
    })
}

/// A list of what the backend tells of some events.
pub fn backend<'e>(events: impl IntoIterator<Item = &'e Event>) -> String {
    list(events, |body, event| {
        let _ = write!(
            body,
            r#"{{"measurement":"backend_api_latency","timestamp":{},"traceId":"{:032x}","tags":{{"endpoint":"{}","http_method":"{}","status_code":"{}"}},"metrics":{{"latency_ms":{}}}}}"#,
            event.time_ms, event.trace, event.endpoint, event.method, event.status, event.backend_ms,
        );
    })
}

/// A metric list.
pub fn vitals<'v>(vitals: impl IntoIterator<Item = &'v Vital>) -> String {
    list(vitals, |body, vital| {
        let _ = write!(
            body,
            r#"{{"metricName":"{}","value":{},"tags":{{"path":"{}","rating":"{}"}},"timestamp":{}}}"#,
            vital.metric, vital.value, vital.path, vital.rating, vital.time_ms,
        );
    })
}

/// A list of JSON; nothing if it would be empty.
fn list<T>(items: impl IntoIterator<Item = T>, mut write: impl FnMut(&mut String, T)) -> String {
    let mut body = String::new();
    for item in items {
        body.push(if body.is_empty() { '[' } else { ',' });
        write(&mut body, item);
    }
    if !body.is_empty() {
        body.push(']');
    }
    body
}
