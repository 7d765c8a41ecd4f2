//! Liveness and readiness.
//!
//! Liveness never looks outside. Readiness is false only while starting or draining: were it
//! false during an InfluxDB outage, that outage would take every replica out of service, and clients would get the
//! proxy's 502 with no CORS and no `Retry-After`.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use actix_web::{HttpRequest, HttpResponse, get, web};
use serde::Serialize;

use super::State;

/// Where the process stands in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Stage {
    /// Not serving yet.
    Starting,
    /// Serving.
    Serving,
    /// SIGTERM was received.
    Draining,
}

/// The stage of the process; all clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Lifecycle(Arc<AtomicU8>);

impl Lifecycle {
    /// Moves on.
    pub fn enter(&self, stage: Stage) {
        self.0.store(stage as u8, Ordering::Release);
    }

    /// Where it stands.
    pub fn stage(&self) -> Stage {
        match self.0.load(Ordering::Acquire) {
            0 => Stage::Starting,
            1 => Stage::Serving,
            _ => Stage::Draining,
        }
    }
}

/// What a check found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckStatus {
    /// As it should be.
    Ok,
    /// Somebody should look; requests are taken all the same.
    Degraded,
    /// Requests must go elsewhere.
    Failed,
}

/// One named check.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Check {
    /// Stable name, such as `spool` or `destination:app_observability`.
    pub name: String,
    /// What was found.
    pub status: CheckStatus,
    /// What it means and what to do; mostly absent when all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Answers `/readyz`: the stage, and the checks that the app asks of its parts.
pub struct Readiness {
    /// The stage of the process.
    pub lifecycle: Lifecycle,
    /// Asks every part now; cheap, no I/O.
    pub checks: Box<dyn Fn() -> Vec<Check> + Send + Sync>,
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readiness").field("lifecycle", &self.lifecycle).finish_non_exhaustive()
    }
}

#[derive(Serialize)]
pub(super) struct Ready {
    pub(super) status: CheckStatus,
    pub(super) checks: Vec<Check>,
}

impl Readiness {
    pub(super) fn now(&self) -> Ready {
        let lifecycle = match self.lifecycle.stage() {
            Stage::Starting => (CheckStatus::Failed, Some("starting")),
            Stage::Serving => (CheckStatus::Ok, None),
            Stage::Draining => (CheckStatus::Failed, Some("draining: SIGTERM was received")),
        };
        let (status, detail) = lifecycle;
        let mut checks = vec![Check { name: "lifecycle".to_owned(), status, detail: detail.map(str::to_owned) }];
        checks.extend((self.checks)());
        let worst = |status| checks.iter().any(|check| check.status == status);
        let status = match () {
            () if worst(CheckStatus::Failed) => CheckStatus::Failed,
            () if worst(CheckStatus::Degraded) => CheckStatus::Degraded,
            () => CheckStatus::Ok,
        };
        Ready { status, checks }
    }
}

/// The process runs and answers.
#[get("/healthz")]
pub(super) async fn healthz() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ok\n")
}

/// Whether requests should come here, with every check by name for whoever may ask for the rest.
#[get("/readyz")]
pub(super) async fn readyz(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let mut ready = state.readiness.now();
    if state.generation.load().gate.asks_rightly(request.headers()).is_err() {
        ready.checks.clear();
    }
    match ready.status {
        CheckStatus::Failed => HttpResponse::ServiceUnavailable().json(ready),
        CheckStatus::Ok | CheckStatus::Degraded => HttpResponse::Ok().json(ready),
    }
}
