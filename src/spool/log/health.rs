//! How the log's disk is: told by the two threads, asked by readiness.

use std::io;
use std::sync::{MutexGuard, PoisonError};

use super::super::Health;
use super::super::state::Core;
use super::writer::Job;

/// What is wrong now.
#[derive(Debug, Default)]
pub(in crate::spool) struct Trouble {
    /// The last commit failed.
    writing: Option<String>,
    /// The cursor could not be written, or a segment not deleted.
    keeping: Option<String>,
    no_space: bool,
    pub(super) set_aside: Vec<String>,
}

impl Core {
    /// How the log is; `None` without one.
    pub(in crate::spool) fn health_of_log(&self) -> Option<Health> {
        let trouble = self.trouble()?;
        Some(Health {
            failed: trouble.writing.clone().or_else(|| trouble.keeping.clone()),
            no_space: trouble.no_space,
            set_aside: trouble.set_aside.clone(),
        })
    }

    /// Whether the last commit failed.
    pub(super) fn writing_failed(&self) -> bool {
        self.trouble().is_some_and(|trouble| trouble.writing.is_some())
    }

    pub(super) fn disk_works(&self) {
        let Some(mut trouble) = self.trouble() else { return };
        if trouble.writing.take().is_some() || std::mem::take(&mut trouble.no_space) {
            tracing::info!("the spool's log can be written again");
        }
    }

    pub(super) fn disk_is_full(&self) {
        let Some(mut trouble) = self.trouble() else { return };
        trouble.writing = None;
        if !std::mem::replace(&mut trouble.no_space, true) {
            tracing::error!(
                "the disk of the spool's log has no space left: new requests get 503 until delivery, or somebody, has made some"
            );
        }
    }

    pub(super) fn disk_failed(&self, error: &io::Error) {
        let Some(mut trouble) = self.trouble() else { return };
        let why =
            format!("the spool's log cannot be written: {error}; new requests get 503. Look at the disk of spool.dir");
        if trouble.writing.as_ref() != Some(&why) {
            tracing::error!("{why}");
            trouble.writing = Some(why);
        }
    }

    pub(super) fn keeping_failed(&self, error: &io::Error) {
        let Some(mut trouble) = self.trouble() else { return };
        let why = format!(
            "what was delivered cannot be written down: {error}; no segment of the spool's log can be deleted, and a restart would deliver again. \
             Look at the disk of spool.dir"
        );
        if trouble.keeping.as_ref() != Some(&why) {
            tracing::error!("{why}");
            trouble.keeping = Some(why);
        }
    }

    pub(super) fn keeping_works(&self) {
        if let Some(mut trouble) = self.trouble() {
            trouble.keeping = None;
        }
    }

    /// A file, or a copy of a damaged place, that somebody should look at; whether nobody knew of it.
    pub(super) fn set_aside(&self, name: String) -> bool {
        match self.trouble() {
            Some(mut trouble) if !trouble.set_aside.contains(&name) => {
                trouble.set_aside.push(name);
                true
            }
            _ => false,
        }
    }

    /// What was set aside under this name is well again.
    pub(super) fn no_longer_aside(&self, name: &str) {
        if let Some(mut trouble) = self.trouble() {
            trouble.set_aside.retain(|other| other != name);
        }
    }

    pub(super) fn ask_writer(&self, job: Job) {
        if let Some(log) = &self.log {
            // A writer that has ended needs to do nothing more.
            let _ = log.jobs.send(job);
        }
    }

    fn trouble(&self) -> Option<MutexGuard<'_, Trouble>> {
        let log = self.log.as_ref()?;
        Some(log.trouble.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Nothing is written to a segment any more.
    pub(super) fn seal(&self, base: u64) {
        let mut state = self.lock();
        if let Some(segment) = state.segments.get_mut(base) {
            segment.sealed = true;
        }
        state.segments.weigh();
        drop(state);
        if let Some(log) = &self.log {
            log.wake_keeper();
        }
    }
}
