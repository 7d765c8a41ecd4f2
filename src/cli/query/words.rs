//! Numbers as people read them: with their unit, and no digit that says nothing.

use std::time::Duration;

use indicatif::HumanCount;

use crate::answers::{Value, table::rfc3339};

/// How a number of some kind is put in words.
pub(super) type Words = fn(Option<f64>) -> String;

/// `1,240 ms`, `8.4 ms`; `-` where there is none.
pub(super) fn ms(number: Option<f64>) -> String {
    number.map_or_else(
        || "-".to_owned(),
        |number| match number.abs() {
            size if size >= 9.95 || number.fract() == 0.0 => format!("{} ms", grouped(number.round())),
            _ => format!("{number:.1} ms"),
        },
    )
}

/// The same of a difference: `+512 ms`, `-20 ms`.
pub(super) fn difference(number: Option<f64>) -> String {
    let sign = if number.is_some_and(|number| number > 0.0) { "+" } else { "" };
    format!("{sign}{}", ms(number))
}

/// `18,204`
pub(super) fn count(number: Option<f64>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| grouped(number.round()))
}

/// `1 event`, `18,204 events`
pub(super) fn events(number: Option<f64>) -> String {
    let number = number.unwrap_or(0.0);
    if number.round() == 1.0 { "1 event".to_owned() } else { format!("{} events", count(Some(number))) }
}

/// `93%`, `1.2%`
pub(super) fn percent(share: Option<f64>) -> String {
    share.map_or_else(
        || "-".to_owned(),
        |share| match share * 100.0 {
            percent if percent.abs() >= 9.95 || percent == 0.0 => format!("{percent:.0}%"),
            percent => format!("{percent:.1}%"),
        },
    )
}

/// `1m`, `90s`, `24h`, `7d`: in the largest unit that divides it, as the arguments take it.
pub(super) fn length(duration: Duration) -> String {
    const DAY: u64 = 86_400;
    match duration.as_secs() {
        seconds if seconds == 0 || duration.subsec_nanos() != 0 => {
            humantime::format_duration(duration).to_string().replace(' ', "")
        }
        seconds if seconds % DAY == 0 && seconds > DAY => format!("{}d", seconds / DAY),
        seconds if seconds % 3600 == 0 => format!("{}h", seconds / 3600),
        seconds if seconds % 60 == 0 => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}

/// A value of whatever column, as short as it may be: what has a unit by its name, gets it.
pub(super) fn cell(column: &str, value: Option<&Value>) -> String {
    let Some(value) = value else { return String::new() };
    match value {
        Value::Text(text) => text.clone(),
        Value::Bool(bool) => bool.to_string(),
        Value::Time(time) => {
            let text = rfc3339(*time);
            // Six digits behind the milliseconds tell events apart, and nothing to a reader.
            let milliseconds = text.split_once('.').map(|(seconds, part)| format!("{seconds}.{:.3}Z", part));
            milliseconds.unwrap_or(text)
        }
        Value::Int(_) | Value::UInt(_) | Value::Float(_) => {
            let number = value.number();
            match unit(column) {
                Unit::Milliseconds => ms(number),
                Unit::Share => percent(number),
                Unit::None => number.map(rounded).unwrap_or_default(),
            }
        }
    }
}

enum Unit {
    Milliseconds,
    Share,
    None,
}

/// The scripts' names say it.
fn unit(column: &str) -> Unit {
    let percentile =
        |name: &str| name.strip_prefix('p').is_some_and(|digits| digits.len() == 2 && digits.parse::<u8>().is_ok());
    match column {
        "share" | "explains" => Unit::Share,
        _ if column.ends_with("_share") => Unit::Share,
        _ if column.ends_with("_ms") => Unit::Milliseconds,
        // `p99`, `p99_a`, `p99_difference`
        _ if column.split('_').next().is_some_and(percentile) => Unit::Milliseconds,
        _ => Unit::None,
    }
}

/// Three digits, or all that stand before the point.
fn rounded(number: f64) -> String {
    match number.abs() {
        _ if !number.is_finite() => number.to_string(),
        size if size >= 99.5 || number.fract() == 0.0 => grouped(number.round()),
        size if size >= 9.95 => format!("{number:.1}"),
        size if size >= 0.01 => format!("{number:.2}"),
        _ => format!("{number:.4}"),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, and the sign stands before it")]
fn grouped(whole: f64) -> String {
    let sign = if whole < 0.0 { "-" } else { "" };
    format!("{sign}{}", HumanCount(whole.abs() as u64))
}
