//! A gate that writes pass: one for the server, shared by all lanes, and one for each bucket.
//!
//! While it is shut only one probe passes at a time, and only when its time has come; the probe's answer opens the gate or shuts it for longer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::LaneState;

/// How long to wait after a failure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Shortest back-off.
    pub(crate) backoff: Duration,
    /// Longest back-off. Short, so that points are fresh again a few seconds after an outage; and no hammer: while a gate is shut all lanes of this
    /// process together have one write under way, of one batch, and a server that refuses the connection is not even sent that.
    pub(crate) backoff_cap: Duration,
    /// First wait before a probe of something that somebody must mend.
    pub(crate) pause: Duration,
    /// Longest such wait.
    pub(crate) pause_cap: Duration,
    /// How long a batch may wait for more, since its first record.
    pub(crate) linger: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            backoff: Duration::from_millis(100),
            backoff_cap: Duration::from_secs(2),
            pause: Duration::from_secs(10),
            pause_cap: Duration::from_secs(60),
            linger: Duration::from_secs(1),
        }
    }
}

impl Pace {
    /// Full jitter: anything up to the exponential bound, so that replicas and lanes do not come back in step.
    fn backoff(&self, attempt: u32) -> Duration {
        let bound = exponential(self.backoff * 2, self.backoff_cap, attempt);
        self.backoff + bound.saturating_sub(self.backoff).mul_f64(fastrand::f64())
    }

    /// A pause waits for a person: no full jitter, a fifth to spread the probes.
    fn pause(&self, attempt: u32) -> Duration {
        exponential(self.pause, self.pause_cap, attempt).mul_f64(0.8 + 0.2 * fastrand::f64())
    }
}

fn exponential(base: Duration, cap: Duration, attempt: u32) -> Duration {
    base.saturating_mul(1u32 << attempt.min(20)).min(cap)
}

#[derive(Debug)]
struct Shut {
    until: Instant,
    /// How many probes failed.
    attempt: u32,
    probing: bool,
    /// What is wrong and what to do, when it will not mend by itself.
    pause: Option<String>,
}

#[derive(Debug, Default)]
struct State {
    shut: Option<Shut>,
    /// The gateway stops: everything gets its one try.
    flushing: bool,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Gate {
    name: String,
    pace: Pace,
    state: Mutex<State>,
    changed: Notify,
    delivered: AtomicU64,
}

impl Gate {
    pub(crate) fn new(name: String, pace: Pace) -> Self {
        Self { name, pace, state: Mutex::default(), changed: Notify::new(), delivered: AtomicU64::new(0) }
    }

    /// Waits until a write may go.
    pub(crate) async fn pass(&self) -> Pass<'_> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Listening before the look: a change between the two is not missed.
            changed.as_mut().enable();
            let wake = {
                let mut state = self.lock();
                let flushing = state.flushing;
                match &mut state.shut {
                    None => {
                        return Pass { gate: self, probe: false };
                    }
                    Some(_) if flushing => {
                        return Pass { gate: self, probe: false };
                    }
                    Some(shut) if shut.probing => None,
                    Some(shut) if shut.until <= Instant::now() => {
                        shut.probing = true;
                        return Pass { gate: self, probe: true };
                    }
                    Some(shut) => Some(shut.until),
                }
            };
            match wake {
                Some(until) => tokio::select! {
                    () = tokio::time::sleep_until(until) => {}
                    () = changed => {}
                },
                None => changed.await,
            }
        }
    }

    /// From now on nothing waits here.
    pub(crate) fn flush(&self) {
        self.lock().flushing = true;
        self.changed.notify_waiters();
    }

    /// What shut it may be mended: the next write is a probe at once.
    pub(crate) fn try_now(&self) {
        if let Some(shut) = &mut self.lock().shut {
            (shut.until, shut.attempt) = (Instant::now(), 0);
        }
        self.changed.notify_waiters();
    }

    /// How many batches were delivered through it: whoever fails while this grows fails alone.
    pub(crate) fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    /// For readiness and the admin listener.
    pub(crate) fn state(&self) -> LaneState {
        match &self.lock().shut {
            None => LaneState::Flowing,
            Some(Shut { pause: Some(why), .. }) => LaneState::Paused(why.clone()),
            Some(_) => LaneState::BackingOff,
        }
    }

    fn shut(&self, probe: bool, pause: Option<String>) {
        let mut state = self.lock();
        let attempt = match &state.shut {
            // Writes that were under way when it shut say nothing new, unless it turns out that somebody must mend it.
            Some(shut) if !probe && (shut.pause.is_some() || pause.is_none()) => return,
            // From backing off to paused, or back: another trouble, its own count.
            Some(shut) if shut.pause.is_some() == pause.is_some() => shut.attempt + 1,
            _ => 0,
        };
        let known = state.shut.as_ref().and_then(|shut| shut.pause.as_deref());
        match &pause {
            Some(why) if known != Some(why.as_str()) => {
                tracing::error!(gate = self.name, "delivery paused: {why}; what is accepted stays in the spool");
            }
            None if state.shut.is_none() => {
                tracing::warn!(gate = self.name, "delivery backs off; what is accepted stays in the spool");
            }
            _ => {}
        }
        let wait = if pause.is_some() { self.pace.pause(attempt) } else { self.pace.backoff(attempt) };
        state.shut = Some(Shut { until: Instant::now() + wait, attempt, probing: false, pause });
        drop(state);
        self.changed.notify_waiters();
    }

    fn open(&self) {
        if self.lock().shut.take().is_some() {
            tracing::info!(gate = self.name, "delivery goes on");
            self.changed.notify_waiters();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leave for one write. Dropped without a verdict, a probe's turn goes to the next who waits.
#[derive(Debug)]
pub(crate) struct Pass<'g> {
    gate: &'g Gate,
    probe: bool,
}

impl Pass<'_> {
    /// It answered as it should (a refusal of the data is such an answer).
    pub(crate) fn good(mut self) {
        // A write that was under way when the gate shut is older news than the failure that shut it: only the probe opens.
        if std::mem::take(&mut self.probe) {
            self.gate.open();
        }
    }

    /// A batch was taken.
    pub(crate) fn delivered(self) {
        self.gate.delivered.fetch_add(1, Ordering::Relaxed);
        self.good();
    }

    /// Not now.
    pub(crate) fn later(mut self) {
        let probe = std::mem::take(&mut self.probe);
        self.gate.shut(probe, None);
    }

    /// Not until somebody mends it.
    pub(crate) fn pause(mut self, why: String) {
        let probe = std::mem::take(&mut self.probe);
        self.gate.shut(probe, Some(why));
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.probe {
            if let Some(shut) = &mut self.gate.lock().shut {
                shut.probing = false;
            }
            self.gate.changed.notify_waiters();
        }
    }
}
