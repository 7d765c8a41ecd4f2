//! An item of a metric list, as the Qwik client sends it: `{metricName, value, tags, timestamp}`. The metric's name is the measurement, and
//! its one field is `value`.

use std::borrow::Cow;

use super::members::Members;
use super::{Event, Unreadable, native};
use crate::outcome::Reason;

/// The name of the one field.
const VALUE: &str = "value";

/// The event of these members, of which `metricName` is one.
pub(super) fn event(mut members: Members<'_>) -> Result<Event<'_>, Unreadable> {
    if !members.metrics.is_empty() || members.measurement.is_some() {
        return Err(Unreadable {
            reason: Reason::Malformed,
            detail: "`metricName` stands beside `metrics` or `measurement`: an item is one or the other".to_owned(),
        });
    }
    let Some(value) = members.value.take() else {
        return Err(Unreadable {
            reason: Reason::MissingMember,
            detail: "`value` is missing beside `metricName`".to_owned(),
        });
    };
    let number = value.number().map_err(|kind| Unreadable {
        reason: Reason::NotANumber,
        detail: format!("`value` is {kind}, not a number"),
    })?;
    members.metrics = vec![(Cow::Borrowed(VALUE), number)];
    members.measurement = members.metric_name.take();
    Ok(native::event(members))
}
