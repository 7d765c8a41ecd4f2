//! Errors as `application/problem+json` (RFC 9457), each with a stable `code`.

use std::fmt;
use std::time::Duration;

use actix_web::body::BoxBody;
use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use serde::Serialize;

use crate::admit::Exceeded;
use crate::auth::{AuthError, Refusal};
use crate::clock::Clock;
use crate::outcome::Rejection;

/// How many rejected items an answer lists; the rest is a number.
pub const LISTED: usize = 20;

/// An answer that is no success.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    retry_after: Option<Duration>,
    allow: Option<&'static str>,
    rejected: Vec<Rejection>,
}

impl Problem {
    /// A problem of this status, with its stable code and what is wrong and what to do.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), retry_after: None, allow: None, rejected: Vec::new() }
    }

    /// `Retry-After`: whole seconds, rounded up, at least 1.
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Items that were rejected, each with its index and reason.
    pub fn rejected(mut self, rejected: Vec<Rejection>) -> Self {
        self.rejected = rejected;
        self
    }
}

impl From<AuthError> for Problem {
    fn from(error: AuthError) -> Self {
        let status = match error.kind {
            Refusal::Unauthenticated => StatusCode::UNAUTHORIZED,
            Refusal::Forbidden => StatusCode::FORBIDDEN,
            Refusal::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::Limited => StatusCode::TOO_MANY_REQUESTS,
        };
        let problem = Self::new(status, error.code, error.detail);
        match error.retry_after {
            Some(wait) => problem.retry_after(wait),
            None => problem,
        }
    }
}

impl From<Exceeded> for Problem {
    fn from(exceeded: Exceeded) -> Self {
        let detail = format!("the tenant's budget {} is used up; wait as Retry-After says", exceeded.limit);
        Self::new(StatusCode::TOO_MANY_REQUESTS, "over_budget", detail).retry_after(exceeded.retry_after)
    }
}

/// One rejected item, as the client sees it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RejectedItem<'a> {
    index: usize,
    reason: &'static str,
    detail: &'a str,
}

/// The first [`LISTED`] rejections for an answer.
pub fn listed(rejections: &[Rejection]) -> Vec<RejectedItem<'_>> {
    let listed = rejections.iter().take(LISTED);
    listed.map(|r| RejectedItem { index: r.index, reason: r.reason.as_str(), detail: &r.detail }).collect()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    /// RFC 9457: without a page of its own a problem is `about:blank`, titled by its status.
    r#type: &'static str,
    title: &'a str,
    status: u16,
    code: &'a str,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rejected: Vec<RejectedItem<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected_count: Option<usize>,
    server_time: i64,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.status.as_u16(), self.code, self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let seconds = self.retry_after.map(|wait| (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1));
        let wire = Wire {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            code: self.code,
            detail: &self.detail,
            retry_after_seconds: seconds,
            rejected: listed(&self.rejected),
            rejected_count: (!self.rejected.is_empty()).then_some(self.rejected.len()),
            // An error needs no injected clock: the time is for the client's skew, and this is the wall clock's only other reader.
            server_time: Clock::system().now_millis(),
        };
        let mut response = HttpResponse::build(self.status);
        response.insert_header((header::CONTENT_TYPE, "application/problem+json"));
        response.insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
        if let Some(seconds) = seconds {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        if let Some(allow) = self.allow {
            response.insert_header((header::ALLOW, allow));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer realm=\"tagline\""));
        }
        // Serializing these plain fields cannot fail; were it so, the status would still stand.
        response.body(serde_json::to_vec(&wire).unwrap_or_default())
    }
}

/// 404 for every path that is none of ours.
pub async fn not_found(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let detail = match request.path() {
        path if path.starts_with("/v1/") || path.starts_with("/api/") || path.starts_with("/ingest") => {
            "no such route; telemetry goes to POST /v1/telemetry, /v1/telemetry/{write key}, /api/telemetry/ingest or /ingest"
        }
        _ => "no such route",
    };
    Err(Problem::new(StatusCode::NOT_FOUND, "not_found", detail))
}

/// 405 for another method on an ingest route.
pub async fn method_not_allowed() -> Result<HttpResponse, Problem> {
    let mut problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "send telemetry with POST");
    problem.allow = Some("POST, OPTIONS");
    Err(problem)
}
