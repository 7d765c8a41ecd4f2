//! Hot reload: the settings change while requests come.
//!
//! *Comes in*: SIGHUP, or a change of a file that the settings were read from. *Goes out*: a whole new [`Generation`](crate::http::Generation) in
//! [`State`], swapped in one step, or a refusal with every mistake while the old one stays. *Never*: half of a change; a request that is judged by two
//! generations (each loads one, once); a setting that takes a restart dropped in silence.
//!
//! All that can fail is done before the first thing is changed, and none of it on an HTTP worker.

mod restart;
mod status;
#[cfg(test)]
mod tests;
mod watch;

pub(super) use status::Status;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio::task::{block_in_place, spawn_blocking};

use super::{field_types, generation};
use crate::auth::KeySets;
use crate::config::{self, Files, Loaded, Settings, Sources};
use crate::deliver::Controls;
use crate::http::State;
use crate::metrics::ReloadResult;
use watch::Watch;

/// How often the files are looked at. A change is taken when two looks saw the same, so within two of these.
const EVERY: Duration = Duration::from_secs(1);

/// How many mistakes stand in the log, each on a line.
const TOLD: usize = 50;

/// Where settings were read from, so that they can be read again.
#[derive(Debug)]
pub struct Origin {
    /// Where to look.
    pub sources: Sources,
    /// The files that were read at the start.
    pub files: Files,
}

/// What became of one reload.
#[derive(PartialEq, Eq, Debug)]
enum Verdict {
    Applied,
    Unchanged,
    /// The mistakes, one each.
    Refused(Vec<String>),
}

/// Takes settings into force.
pub(super) struct Reloader {
    pub(super) sources: Sources,
    /// What the settings in force were read from.
    pub(super) files: Files,
    /// The settings in force: of what takes a restart, those of the start.
    pub(super) settings: Settings,
    pub(super) state: Arc<State>,
    pub(super) issuer_keys: KeySets,
    pub(super) controls: Controls,
    pub(super) status: Arc<Status>,
}

impl Reloader {
    /// Reloads at each SIGHUP and each change of a file, until it is dropped. That cuts no change in half: it waits nowhere in the midst of one.
    pub(super) async fn follow(mut self, mut hangups: Signal) {
        let mut watch = Watch::of(self.files.clone());
        loop {
            let asked = tokio::select! {
                Some(()) = hangups.recv() => true,
                () = tokio::time::sleep(EVERY) => {
                    let files = watch.files().clone();
                    let Ok(now) = spawn_blocking(move || files.look_again()).await else { continue };
                    if !watch.is_due(now) {
                        continue;
                    }
                    watch.is_asked()
                }
            };
            self.reload(&mut watch, asked).await;
        }
    }

    async fn reload(&mut self, watch: &mut Watch, asked: bool) {
        let (sources, known) = (self.sources.clone(), self.files.clone());
        let read = spawn_blocking(move || {
            let loaded = config::read(&sources);
            // When they are refused, the files in force are watched too: they may come back.
            let now = loaded.files.clone().and(&known).look_again();
            (loaded, now)
        });
        let (loaded, now) = match read.await {
            Ok(read) => read,
            Err(error) => {
                watch.judged(watch.files().clone());
                return self.end(asked, Verdict::Refused(vec![ours(&error.to_string())]));
            }
        };
        if !loaded.files.are_in(&now) {
            if asked {
                tracing::info!(
                    "SIGHUP: a settings file changed while it was read; it is read again when it stands still"
                );
            }
            return watch.unsteady(asked);
        }
        let verdict = block_in_place(|| catch_unwind(AssertUnwindSafe(|| self.judge(loaded))))
            .unwrap_or_else(|_| Verdict::Refused(vec![ours("see above")]));
        // What is no longer named need not be watched.
        let refused = matches!(verdict, Verdict::Refused(_));
        watch.judged(if refused { now } else { self.files.clone() });
        if asked {
            self.issuer_keys.refetch();
        }
        self.end(asked, verdict);
    }

    /// What comes of settings that were read. All or nothing.
    fn judge(&mut self, loaded: Loaded) -> Verdict {
        if loaded.files == self.files {
            return Verdict::Unchanged;
        }
        let applied = match loaded.settings {
            Err(findings) => Err(findings.iter().map(ToString::to_string).collect()),
            Ok(settings) => self.apply(settings).map_err(|why| vec![why]),
        };
        match applied {
            Err(mistakes) => Verdict::Refused(mistakes),
            Ok(()) => {
                self.files = loaded.files;
                Verdict::Applied
            }
        }
    }

    fn apply(&mut self, fresh: Settings) -> Result<(), String> {
        let (settings, waiting) = restart::in_a_running_process(&self.settings, fresh)?;
        let types = field_types::compare(&settings.spool.dir, &settings.catalog)?;
        let delivery = self.controls.prepare(&settings)?;
        let next = generation::next(&self.state.generation.load(), &settings, &self.state.ledger, &self.issuer_keys)?;
        types.keep()?;
        // From here on nothing fails.
        let number = next.number;
        self.controls.apply(delivery);
        self.state.generation.store(Arc::new(next));
        self.state.replicas.follow(&settings.server.replicas);
        self.state.addresses.change(&settings.server.address);
        let (dry_run, proxies) = (settings.server.address.dry_run, !settings.server.trusted_proxies.is_empty());
        self.state.connections.change(&settings.server.connections, dry_run, proxies);
        let known = self.settings.warnings();
        settings.warnings().iter().filter(|warning| !known.contains(warning)).for_each(|new| tracing::warn!("{new}"));
        self.settings = settings;
        self.status.in_force(number, self.state.clock.now(), waiting);
        Ok(())
    }

    fn end(&self, asked: bool, verdict: Verdict) {
        let cause = if asked { "SIGHUP" } else { "a file changed" };
        let generation = self.state.generation.load().number;
        let (metrics, now) = (&self.state.metrics, self.state.clock.now());
        let result = match verdict {
            Verdict::Applied => {
                tracing::info!(generation, cause, "settings: a new generation is in force");
                let waiting = self.status.waiting();
                if !waiting.is_empty() {
                    tracing::warn!(
                        "settings: {} changed, and take a restart; the rest is in force",
                        waiting.join(", ")
                    );
                }
                ReloadResult::Applied
            }
            Verdict::Unchanged => {
                tracing::info!(generation, cause, "settings: the files hold what is in force");
                self.status.as_in_force();
                ReloadResult::Unchanged
            }
            Verdict::Refused(mistakes) => {
                for mistake in mistakes.iter().take(TOLD) {
                    tracing::error!("settings: {mistake}");
                }
                let mistakes_told = mistakes.len().min(TOLD);
                tracing::error!(
                    generation,
                    cause,
                    mistakes = mistakes.len(),
                    told = mistakes_told,
                    "settings: refused; the old ones stay in force"
                );
                self.status.refused(now, &mistakes);
                ReloadResult::Refused
            }
        };
        if result != ReloadResult::Refused {
            metrics.settings_in_force(generation, now);
        }
        // Last: who counts the reloads finds the rest done.
        metrics.reload(result);
    }
}

/// A mistake of the gateway's own.
fn ours(what: &str) -> String {
    format!("the reload failed by a mistake of Tagline's own ({what}); please report it")
}
