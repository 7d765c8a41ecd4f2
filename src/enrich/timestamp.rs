//! A point's time: final before it is spooled, so that a redelivery overwrites itself, and unlike its neighbours', so that it overwrites nothing else.
//!
//! Client milliseconds, then six low digits that tell events of one millisecond apart; without a client time, the time of receipt.

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::clock::{NANOS_PER_MILLI, UnixNanos};
use crate::decode::Number;
use crate::outcome::Reason;

use super::Rejected;
use super::compiled::Rules;

/// The first and the last time that InfluxDB stores (`models.MinNanoTime`, `models.MaxNanoTime`).
const STORABLE: std::ops::RangeInclusive<UnixNanos> = UnixNanos::MIN + 2..=UnixNanos::MAX - 1;

/// How far receipts may run ahead of the clock before it is believed that the clock was set back: nanoseconds.
const MAX_AHEAD: UnixNanos = 1_000_000_000;

/// What makes times unique in this process.
#[derive(Debug, Default)]
pub(super) struct Ticks {
    counter: AtomicU64,
    demoted: AtomicU64,
    last_receipt: AtomicI64,
}

impl Ticks {
    /// The time of an event that brings none: when it was received, and later than every receipt before it. A clock that was set back by more
    /// than a second starts anew.
    pub(super) fn receipt(&self, now: UnixNanos) -> UnixNanos {
        let next = |last: UnixNanos| {
            if last.saturating_sub(now) > MAX_AHEAD { now } else { now.max(last + 1) }
        };
        match self.last_receipt.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last))) {
            Ok(last) | Err(last) => next(last),
        }
    }

    /// The six low digits of an event without `seq`: the replica's lane, and a counter of this process.
    pub(super) fn low_digits(&self, lane: u16) -> i64 {
        let count = self.counter.fetch_add(1, Ordering::Relaxed) % 1_000;
        i64::from(lane % 1_000) * 1_000 + count as i64
    }

    /// The same for an event that was demoted into a series that many share: all six digits count, from the lane on, so that a batch with one
    /// time for all is kept whole.
    pub(super) fn low_digits_of_demoted(&self, lane: u16) -> i64 {
        let count = self.demoted.fetch_add(1, Ordering::Relaxed) % 1_000_000;
        (i64::from(lane % 1_000) * 1_000 + count as i64) % 1_000_000
    }
}

/// Milliseconds to add to a client's times: its clock's error, when it is larger than `max_skew`, else nothing. The error is known only
/// where an envelope says when it was sent; the way here counts as error too, which is why small ones are left alone.
pub(super) fn offset(sent_at: Option<f64>, received: UnixNanos, max_skew: i64) -> i64 {
    let Some(sent_at) = sent_at.and_then(|sent| millis(Number::Float(sent)).ok()) else {
        return 0;
    };
    let error = received.div_euclid(NANOS_PER_MILLI).saturating_sub(sent_at);
    if error.saturating_abs() > max_skew { error } else { 0 }
}

/// A client's milliseconds, floored to whole ones. Whole numbers stay exact.
pub(super) fn millis(sent: Number) -> Result<i64, Rejected> {
    match sent {
        Number::Int(millis) => Ok(millis),
        Number::Float(millis) if millis.abs() < 9.3e12 => Ok(millis.floor() as i64),
        Number::Float(_) => not_storable(),
    }
}

/// The time of these milliseconds and low digits.
pub(super) fn nanos(millis: i64, low_digits: i64) -> Result<UnixNanos, Rejected> {
    let nanos = millis.checked_mul(NANOS_PER_MILLI).and_then(|nanos| nanos.checked_add(low_digits));
    nanos.filter(|nanos| STORABLE.contains(nanos)).map_or_else(not_storable, Ok)
}

fn not_storable<T>() -> Result<T, Rejected> {
    let detail = "`timestamp` is no number of milliseconds since 1970 that InfluxDB can store".to_owned();
    Rejected::because(Reason::BadTimestamp, detail)
}

/// The time itself, if it lies in the window [received - retention, received + max_future].
pub(super) fn in_window(time: UnixNanos, received: UnixNanos, rules: &Rules) -> Result<UnixNanos, Rejected> {
    if time > received.saturating_add(rules.max_future) {
        let detail =
            format!("`timestamp` is more than {} s ahead of the gateway's clock", rules.max_future / 1_000_000_000);
        return Rejected::because(Reason::InFuture, detail);
    }
    if rules.retention != 0 && time < received.saturating_sub(rules.retention) {
        let detail = format!("`timestamp` is before the bucket's retention of {} s", rules.retention / 1_000_000_000);
        return Rejected::because(Reason::TooOld, detail);
    }
    Ok(time)
}
