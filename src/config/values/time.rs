//! Durations and instants.

use std::time::Duration;

use toml_edit::{Datetime, Offset};

use super::{Outcome, quote};

/// The longest duration that makes sense anywhere; it keeps nanoseconds within an `i64`.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

/// `"5s"`, `"1m 30s"`, `"30d"`.
pub(crate) fn duration(text: &str) -> Outcome<Duration> {
    let parsed = humantime::parse_duration(text)
        .map_err(|_| format!("{} is no duration; write for example \"5s\" or \"1m 30s\"", quote(text)))?;
    let longest = || format!("{} is longer than 100 years; write a shorter one", quote(text));
    (parsed <= LONGEST).then_some(parsed).ok_or_else(longest)
}

/// Nanoseconds since 1970 of `2027-01-31` (its beginning, UTC) or `2027-01-31T18:00:00+01:00`.
pub(crate) fn instant(text: &str) -> Outcome<i64> {
    let wrong = |why: &str| format!("{} {why}; write for example 2027-01-31 or 2027-01-31T18:00:00Z", quote(text));
    let time: Datetime = text.trim().parse().map_err(|_| wrong("is no date"))?;
    let date = time.date.ok_or_else(|| wrong("has no date"))?;
    let offset = match (time.time, time.offset) {
        (None, _) | (_, Some(Offset::Z)) => 0,
        (_, Some(Offset::Custom { minutes })) => i64::from(minutes),
        (Some(_), None) => return Err(wrong("names no offset from UTC")),
    };
    let days = days_since_1970(i64::from(date.year), i64::from(date.month), i64::from(date.day));
    let clock = time.time.map_or((0, 0), |t| {
        let seconds = i64::from(t.hour) * 3600 + i64::from(t.minute) * 60 + i64::from(t.second.unwrap_or(0));
        (seconds, i64::from(t.nanosecond.unwrap_or(0)))
    });
    let seconds = days * 86_400 + clock.0 - offset * 60;
    seconds
        .checked_mul(1_000_000_000)
        .and_then(|nanos| nanos.checked_add(clock.1))
        .ok_or_else(|| wrong("is out of range"))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar: whole 400-year eras, then the day within a year that begins in March, so
/// that the leap day is its last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}
