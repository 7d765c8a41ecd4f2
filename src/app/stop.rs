//! Running until stopped, and draining in order.
//!
//! The order: readiness false; go on accepting for `drain_delay`, so that load balancers notice, and end each connection with its next answer; stop
//! accepting and answer what is in flight; report the last outcomes; flush; leave what the destination will not take in the log, or spill it from memory; end. A second signal leaves
//! at once: with durability `fsync` that loses nothing.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::reload::{Origin, Reloader};
use super::{Gateway, StartError, spooling};
use crate::clock::monotonic;
use crate::http::Stage;

/// How the gateway ended.
#[derive(Debug, PartialEq, Eq)]
pub struct Stopped {
    /// Points that wait in the log of durability `fsync` for the next start.
    pub waiting: u64,
    /// Points that no destination took from memory and that lie in a file now, for `tagline replay`.
    pub spilled: Option<(PathBuf, u64)>,
    /// Points that could not even be spilled. Counted per tenant in the log.
    pub lost: u64,
}

/// What asks a gateway to stop, or to read its settings again. Listened for before it starts: to take up a large log takes a while, and in a
/// container, where it is the first process, a signal that nobody listens for is not even deadly.
#[derive(Debug)]
pub struct Signals {
    ending: Ending,
    hangups: Signal,
}

#[derive(Debug)]
struct Ending {
    term: Signal,
    int: Signal,
}

impl Signals {
    /// From now on signals are heard.
    ///
    /// # Errors
    /// When they cannot be listened for.
    pub fn listen() -> Result<Self, StartError> {
        let failed = |e: std::io::Error| StartError(format!("signals cannot be listened for: {e}"));
        Ok(Self {
            ending: Ending {
                term: signal(SignalKind::terminate()).map_err(failed)?,
                int: signal(SignalKind::interrupt()).map_err(failed)?,
            },
            // Left alone, SIGHUP would end the process without a drain. One that comes during the start is heard after it, one during the drain not.
            hangups: signal(SignalKind::hangup()).map_err(failed)?,
        })
    }

    /// Completes at the next SIGTERM or SIGINT.
    pub async fn stop(&mut self) {
        self.ending.comes().await;
    }
}

impl Ending {
    async fn comes(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }
}

impl Gateway {
    /// Serves until SIGTERM or SIGINT, then drains. Meanwhile it reads its settings again at SIGHUP, and when a file of `origin` changes. A second
    /// signal ends the process at once, with `leave`.
    ///
    /// # Errors
    /// When a listener ends by itself.
    pub async fn run(
        mut self,
        signals: Signals,
        origin: Origin,
        leave: impl FnOnce() + Send + 'static,
    ) -> Result<Stopped, StartError> {
        let Signals { mut ending, hangups } = signals;
        let reloads = tokio::spawn(self.reloader(origin).follow(hangups));
        tokio::select! {
            () = ending.comes() => {}
            ended = self.listeners.ended() => {
                let why = ended.err().map_or_else(|| "without an error".to_owned(), |e| e.to_string());
                return Err(StartError(format!("a listener ended by itself: {why}")));
            }
        }
        // One that is under way ends first: it is taken whole, or not at all.
        reloads.abort();
        let _ = reloads.await;
        let second = tokio::spawn(async move {
            ending.comes().await;
            leave();
        });
        let stopped = self.stop().await;
        second.abort();
        Ok(stopped)
    }

    fn reloader(&self, origin: Origin) -> Reloader {
        Reloader {
            sources: origin.sources,
            files: origin.files,
            settings: self.settings.clone(),
            state: Arc::clone(&self.state),
            issuer_keys: self.issuer_keys.clone(),
            controls: self.delivery.controls(),
            status: Arc::clone(&self.status),
        }
    }

    /// Drains in order; see the module's documentation.
    pub async fn stop(self) -> Stopped {
        let server = &self.settings.server;
        tracing::info!(delay_ms = server.drain_delay.as_millis() as u64, "draining: readiness is false");
        self.state.readiness.lifecycle.enter(Stage::Draining);
        tokio::time::sleep(server.drain_delay).await;

        let deadline = monotonic() + server.drain_timeout;
        self.listeners.stop_public().await;
        // What is on its way gets a moment to arrive, so that the last delta of gateway_outcomes counts it as delivered.
        self.settled(server.drain_timeout / 4).await;
        self.outcomes.report().await;
        let left = deadline.saturating_duration_since(monotonic());
        let stopped = self.delivery.stop(left).await;
        if stopped.waiting > 0 {
            tracing::warn!(
                points = stopped.waiting,
                "what InfluxDB did not take waits in {} for the next start",
                spooling::log_dir(&self.settings.spool).display()
            );
        }
        self.state.spool.shut_down().await;
        self.listeners.stop_admin().await;
        for account in self.state.ledger.accounts() {
            let totals = account.totals();
            tracing::info!(
                tenant = account.name(),
                accepted = totals.accepted,
                delivered = totals.delivered,
                dead_lettered = totals.dead_lettered,
                spilled = totals.spilled,
                pending = totals.pending,
                lost = totals.lost.iter().sum::<u64>(),
                balances = totals.balances(),
                "ledger"
            );
        }
        Stopped { waiting: stopped.waiting, spilled: stopped.spilled, lost: stopped.lost }
    }

    async fn settled(&self, at_most: Duration) {
        let spool = self.state.spool.clone();
        let empty = async {
            while spool.pending().points > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        // Not settled in time: the destination is away or slow, and the flush goes on from here.
        let _ = tokio::time::timeout(at_most, empty).await;
    }
}
