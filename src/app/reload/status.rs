//! What readiness says of the settings.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use crate::clock::UnixNanos;
use crate::http::{Check, CheckStatus};

/// Which settings are in force, since when, and what became of the last reload.
#[derive(Debug)]
pub(in crate::app) struct Status(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    generation: u64,
    since: UnixNanos,
    /// Why the last reload was refused, and when.
    refused: Option<(UnixNanos, String)>,
    /// Keys that changed and take a restart.
    waiting: Vec<&'static str>,
}

impl Status {
    /// At the start.
    pub(in crate::app) fn new(now: UnixNanos) -> Self {
        Self(Mutex::new(Inner { generation: 1, since: now, refused: None, waiting: Vec::new() }))
    }

    /// A new generation is in force.
    pub(super) fn in_force(&self, generation: u64, since: UnixNanos, waiting: Vec<&'static str>) {
        *self.lock() = Inner { generation, since, refused: None, waiting };
    }

    /// The files hold what is in force.
    pub(super) fn as_in_force(&self) {
        self.lock().refused = None;
    }

    /// What the files hold is refused.
    pub(super) fn refused(&self, at: UnixNanos, mistakes: &[String]) {
        let mut why = mistakes.first().cloned().unwrap_or_default();
        if mistakes.len() > 1 {
            why.push_str(&format!(" (and {} more, see the log)", mistakes.len() - 1));
        }
        self.lock().refused = Some((at, why));
    }

    /// Keys that changed and take a restart.
    pub(super) fn waiting(&self) -> Vec<&'static str> {
        self.lock().waiting.clone()
    }

    /// The check `settings`. It is degraded while a restart would change something: good or bad.
    pub(in crate::app) fn check(&self) -> Check {
        let Inner { generation, since, refused, waiting } = &*self.lock();
        let in_force = format!("generation {generation} since {}", time(*since));
        let (status, detail) = match refused {
            Some((at, why)) => {
                let detail = format!(
                    "what the files hold was refused at {}: {why}. In force stays {in_force}; mend the files, they are read again when they change",
                    time(*at)
                );
                (CheckStatus::Degraded, detail)
            }
            None if !waiting.is_empty() => {
                let keys = waiting.join(", ");
                (CheckStatus::Degraded, format!("{in_force}; {keys} changed since the start, and take a restart"))
            }
            None => (CheckStatus::Ok, in_force),
        };
        Check { name: "settings".to_owned(), status, detail: Some(detail) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn time(at: UnixNanos) -> String {
    let since = Duration::from_nanos(u64::try_from(at).unwrap_or(0));
    humantime::format_rfc3339_seconds(UNIX_EPOCH + since).to_string()
}
