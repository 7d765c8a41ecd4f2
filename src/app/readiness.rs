//! The named checks of `/readyz`. The names are stable: docs/operations.md tells what each means, and what to do.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::reload::Status;
use super::spooling::{left_by_fsync, log_dir};
use crate::auth::{KeyHealth, KeySets};
use crate::config::{Durability, OnFull, SpoolSettings};
use crate::deliver::{LaneState, View};
use crate::http::{Check, CheckStatus, Lifecycle, Readiness};
use crate::spool::{Health, Pending, Spool};

/// How long an issuer's keys may be out of reach before somebody should look: the old ones verify what they did before.
const KEYS_STALE: Duration = Duration::from_secs(300);

/// What the checks of the spool need to know of the settings.
pub(super) struct Log {
    dir: PathBuf,
    durability: Durability,
    on_full: OnFull,
}

impl Log {
    pub(super) fn of(settings: &SpoolSettings) -> Self {
        Self { dir: log_dir(settings), durability: settings.durability, on_full: settings.on_full }
    }
}

pub(super) fn readiness(
    lifecycle: Lifecycle,
    settings: Arc<Status>,
    spool: Spool,
    log: Log,
    delivery: View,
    issuer_keys: KeySets,
) -> Readiness {
    let checks = move || {
        let health = spool.health();
        let mut checks = vec![settings.check(), log.spool(&health, spool.pending())];
        checks.extend(log.set_aside(&health));
        checks.extend(log.left());
        checks.extend(delivery.lanes().into_iter().map(|(bucket, lane)| lane_check(&bucket, &lane)));
        checks.extend(issuer_keys.health().iter().map(|(issuer, health)| issuer_check(issuer, health)));
        checks
    };
    Readiness { lifecycle, checks: Box::new(checks) }
}

fn check(name: &str, status: CheckStatus, detail: Option<String>) -> Check {
    Check { name: name.to_owned(), status, detail }
}

impl Log {
    /// Whether it takes requests. A disk that failed is the one trouble that another replica does not have: only then this one is not ready.
    pub(super) fn spool(&self, health: &Health, pending: Pending) -> Check {
        let dir = self.dir.display();
        if let Some(why) = &health.failed {
            let detail = format!(
                "{why} ({dir}) and at the kernel's log. What was accepted goes on being delivered; the check is well again when a write succeeds"
            );
            return check("spool", CheckStatus::Failed, Some(detail));
        }
        if health.no_space {
            let detail = format!(
                "the disk of {dir} has no space left: requests get 503 until delivery, or somebody, has made room. Give it a larger disk, or set \
                 spool.max_bytes below its size"
            );
            return check("spool", CheckStatus::Degraded, Some(detail));
        }
        // From nine tenths on: there is still time to look.
        // Whichever is more: what has ended can still lie on the disk, beside something that has not.
        let used = pending.bytes.max(pending.disk);
        if used.saturating_mul(10) < pending.limit.saturating_mul(9) {
            return check("spool", CheckStatus::Ok, None);
        }
        let then = match self.on_full {
            OnFull::Reject => "new requests get 503 when it is full",
            OnFull::DropOldest => "when it is full the oldest points are dropped, counted as lost_dropped_oldest",
        };
        let detail =
            format!("{} of {} bytes wait for delivery; {then}. See the destination's check", used, pending.limit);
        check("spool", CheckStatus::Degraded, Some(detail))
    }

    /// What of the log could not be read. It stays degraded until somebody took the files away.
    pub(super) fn set_aside(&self, health: &Health) -> Option<Check> {
        let (first, rest) = health.set_aside.split_first()?;
        let dir = self.dir.display();
        let names = rest.iter().fold(first.clone(), |all, name| format!("{all}, {name}"));
        let detail = format!(
            "parts of the log in {dir} could not be read and lie there apart: {names}. `tagline spool` says what they hold, `tagline replay \
             {dir}/{first}` sends what is whole in one; then move them away"
        );
        Some(check("spool-set-aside", CheckStatus::Degraded, Some(detail)))
    }

    /// A log that a gateway in memory mode does not deliver. Looked at each time: it is well as soon as the files are gone.
    pub(super) fn left(&self) -> Option<Check> {
        let left = (self.durability == Durability::Memory).then(|| left_by_fsync(&self.dir))?;
        left.map(|detail| check("spool-log", CheckStatus::Degraded, Some(detail)))
    }
}

fn lane_check(bucket: &str, lane: &LaneState) -> Check {
    let (status, detail) = match lane {
        LaneState::Flowing => (CheckStatus::Ok, None),
        LaneState::BackingOff => {
            let detail = "the destination is away or overloaded; accepted points are kept and tried again";
            (CheckStatus::Degraded, Some(detail.to_owned()))
        }
        LaneState::Paused(why) => (CheckStatus::Degraded, Some(why.clone())),
    };
    check(&format!("destination:{bucket}"), status, detail)
}

/// Whether an issuer's published keys are there and fresh. Never a failure: other replicas would not reach them either.
pub(super) fn issuer_check(issuer: &str, health: &KeyHealth) -> Check {
    let name = format!("issuer:{issuer}");
    let url = &health.url;
    let detail = match (&health.failing, health.loaded) {
        (Some((_, why)), false) => {
            format!("its keys could not be fetched yet from {url}: {why}. Its tokens get 503 until then")
        }
        (None, false) => format!("its keys are just fetched from {url}. Its tokens get 503 until then"),
        (Some((since, why)), true) if *since >= KEYS_STALE => format!(
            "its keys could not be fetched from {url} for {} minutes: {why}. Those from before stay in force; tokens signed with newer ones get \
             503, and keys that the issuer withdrew are still taken",
            since.as_secs() / 60
        ),
        _ => return check(&name, CheckStatus::Ok, None),
    };
    check(&name, CheckStatus::Degraded, Some(detail))
}
