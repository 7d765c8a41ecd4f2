//! Metrics become fields of the type that the catalog says, once for all: InfluxDB refuses a point whose field has another type than the
//! stored one, whoever's point it is.

use bumpalo::collections::Vec as BumpVec;

use crate::config::{FieldRule, FieldType};
use crate::decode::{Event, MAX_METRICS, Number, is_name};
use crate::outcome::Reason;

use super::compiled::MeasurementRules;
use super::request::Request;
use super::{FieldValue, Rejected};

/// Appends the event's metrics as fields, in the order sent. The answer has a bit for each of them that the catalog does not list.
pub(super) fn append<'p>(
    request: &Request<'_>,
    event: &'p Event<'_>,
    rules: &MeasurementRules,
    fields: &mut BumpVec<'p, (&'p str, FieldValue<'p>)>,
) -> Result<u64, Rejected> {
    const { assert!(MAX_METRICS <= u64::BITS as usize) };
    if event.metrics.len() > MAX_METRICS {
        let detail = format!("more than {MAX_METRICS} metrics in one event");
        return Rejected::because(Reason::TooMany, detail);
    }
    let mut unlisted = 0;
    for (place, (name, number)) in event.metrics.iter().enumerate() {
        let rule = rules.field(name);
        check_name(request, rules, name, rule.is_some())?;
        if fields.iter().any(|(other, _)| *other == name) {
            return Rejected::because(Reason::DuplicateName, format!("the metric `{name}` stands twice"));
        }
        fields.push((name, value(name, *number, rule)?));
        unlisted |= u64::from(rule.is_none()) << place;
    }
    Ok(unlisted)
}

fn check_name(request: &Request<'_>, rules: &MeasurementRules, name: &str, catalogued: bool) -> Result<(), Rejected> {
    if request.rules.is_reserved(name) || rules.takes_tag(name) {
        let detail = if is_name(name) {
            format!("a metric cannot be named `{name}`: a tag or a field of the server's is")
        } else {
            "a metric's name cannot begin with `_`".to_owned()
        };
        return Rejected::because(Reason::ReservedName, detail);
    }
    if catalogued {
        return Ok(());
    }
    if !is_name(name) {
        let detail = "a metric's name is not [A-Za-z][A-Za-z0-9_.:-]{0,63}".to_owned();
        return Rejected::because(Reason::BadName, detail);
    }
    if !rules.other_fields {
        let detail = format!("`{name}` is no field of this measurement, and it takes no others");
        return Rejected::because(Reason::UnknownField, detail);
    }
    Ok(())
}

/// The number as the rule's type: an integer is rounded to the nearest, half away from zero. Without a rule it is a float.
fn value<'p>(name: &str, number: Number, rule: Option<FieldRule>) -> Result<FieldValue<'p>, Rejected> {
    let (kind, bounds) = rule.map_or((FieldType::Float, None), |rule| (rule.kind, rule.bounds));
    let (value, as_float) = match kind {
        FieldType::Int => {
            let whole = match number {
                Number::Int(whole) => whole,
                Number::Float(float) => whole(float).ok_or_else(|| Rejected {
                    reason: if float.is_finite() { Reason::OutOfRange } else { Reason::NotANumber },
                    detail: format!("`{name}` does not fit a 64-bit integer"),
                })?,
            };
            (FieldValue::Int(whole), whole as f64)
        }
        FieldType::Float => {
            let float = match number {
                Number::Int(whole) => whole as f64,
                Number::Float(float) => float,
            };
            if !float.is_finite() {
                return Rejected::because(Reason::NotANumber, format!("`{name}` is not a finite number"));
            }
            (FieldValue::Float(float), float)
        }
    };
    match bounds {
        Some(bounds) if !(bounds.min..=bounds.max).contains(&as_float) => {
            let detail = format!("`{name}` is not within {} and {}", bounds.min, bounds.max);
            Rejected::because(Reason::OutOfRange, detail)
        }
        _ => Ok(value),
    }
}

fn whole(float: f64) -> Option<i64> {
    /// 2^63, the first float above every `i64`; its negative is `i64::MIN` itself.
    const END: f64 = 9_223_372_036_854_775_808.0;
    let rounded = float.round();
    (-END..END).contains(&rounded).then_some(rounded as i64)
}
