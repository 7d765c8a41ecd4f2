//! The one source of time.
//!
//! Everything that asks "what time is it" asks a [`Clock`], so that a test can move it. `clippy.toml` bans the
//! standard library's own `now` functions elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Nanoseconds since 1970-01-01T00:00:00Z, InfluxDB's own unit and range (about the years 1678 to 2262).
pub type UnixNanos = i64;

/// Nanoseconds in a millisecond.
pub const NANOS_PER_MILLI: i64 = 1_000_000;

/// A clock that tells wall time; cheap to clone, and all clones tell the same time.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's own clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still until [`Clock::advance`] moves it.
    pub fn manual(start: UnixNanos) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(start))))
    }

    /// The wall time now. A machine clock before 1970 reads as 0, one after 2262 as the largest value.
    pub fn now(&self) -> UnixNanos {
        match &self.0 {
            Source::System => system_nanos(),
            Source::Manual(now) => now.load(Ordering::Relaxed),
        }
    }

    /// The wall time in whole milliseconds, the unit that browsers speak.
    pub fn now_millis(&self) -> i64 {
        self.now() / NANOS_PER_MILLI
    }

    /// Moves a manual clock; a system clock does not move by wish.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(now) = &self.0 {
            now.fetch_add(i64::try_from(by.as_nanos()).unwrap_or(i64::MAX), Ordering::Relaxed);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one clock")]
fn system_nanos() -> UnixNanos {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// A monotonic instant, for measuring how long something took.
#[expect(clippy::disallowed_methods, reason = "this is the one clock")]
pub fn monotonic() -> Instant {
    Instant::now()
}
