//! What is said of a panic: where, and how many there were.
//!
//! A panic ends one task, and with it one connection at the most; the rest goes on. Its message is not told, since it can quote what was being worked
//! on (a slice that cuts a character shows the text), and it is told once a second at the most: a request that finds a mistake in a library
//! (a header's name of more than 64 KiB does) can be sent again and again, and must not fill the log.

use std::panic::{self, PanicHookInfo};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::clock::monotonic;

/// How often it is told.
const EVERY: Duration = Duration::from_secs(1);

/// How many panics there were, and when one was told last.
struct Seen {
    panics: u64,
    told: Option<Instant>,
}

static SEEN: Mutex<Seen> = Mutex::new(Seen { panics: 0, told: None });

impl Seen {
    /// One more. How many there were, if that is to be told now.
    fn one_more(&mut self, now: Instant) -> Option<u64> {
        self.panics += 1;
        if self.told.is_some_and(|told| now.saturating_duration_since(told) < EVERY) {
            return None;
        }
        self.told = Some(now);
        Some(self.panics)
    }
}

/// From now on panics are told so, and no longer on stderr as they come.
pub(super) fn tell_seldom() {
    panic::set_hook(Box::new(tell));
}

fn tell(panic: &PanicHookInfo<'_>) {
    // Released before the log is written to: what that calls might panic too.
    let due = SEEN.lock().unwrap_or_else(PoisonError::into_inner).one_more(monotonic());
    if let Some(panics) = due {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(
            panics,
            place,
            "a task ended by a panic, and one connection at the most with it; this is a mistake in Tagline or in a library of its: please report the place"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_panics_is_told_once_a_second_and_none_is_forgotten() {
        let mut seen = Seen { panics: 0, told: None };
        let start = monotonic();
        let told: Vec<_> =
            (0..2_500).filter_map(|millis| seen.one_more(start + Duration::from_millis(millis))).collect();
        assert_eq!(told, [1, 1_001, 2_001]);
    }
}
