//! The ingest routes: one body of a proven tenant, from the socket to the spool.

use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use serde::Serialize;

use super::body;
use super::extract::Proven;
use super::inflate::{self, Plain};
use super::problem::{LISTED, Problem, RejectedItem, listed, method_not_allowed};
use crate::admit::Permit;
use crate::decode::DecodeError;
use crate::enrich::{Context, Scrubbed};
use crate::ingest::{self, Lines, Unusable};
use crate::metrics::{Metrics, ScrubRule};
use crate::outcome::Reason;
use crate::spool::{Refused, Submission};

/// Adds the ingest routes.
pub(super) fn routes(app: &mut web::ServiceConfig) {
    for path in ["/v1/telemetry", "/v1/telemetry/{key}", "/api/telemetry/ingest", "/ingest"] {
        app.service(
            web::resource(path)
                .route(web::post().to(receive))
                .route(web::method(actix_web::http::Method::OPTIONS).to(options))
                .default_service(web::to(method_not_allowed)),
        );
    }
}

/// Whether a path is an ingest route: what the request metrics count.
pub(super) fn is_ingest_path(path: &str) -> bool {
    matches!(path, "/v1/telemetry" | "/api/telemetry/ingest" | "/ingest") || path.starts_with("/v1/telemetry/")
}

/// OPTIONS that is no preflight (a preflight never comes here: the CORS layer answers it).
async fn options() -> HttpResponse {
    HttpResponse::NoContent().insert_header((header::ALLOW, "POST, OPTIONS")).finish()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Accepted<'a> {
    accepted: usize,
    rejected: Vec<RejectedItem<'a>>,
    rejected_count: usize,
    server_time: i64,
}

/// Cheap before dear: debt, then bytes, then inflating, then parsing, then the charge; the spool last, in one hand-over.
///
/// What is refused before parsing is counted as a request only (nobody knows how many items it held); after it, item by item.
async fn receive(proven: Proven, request: HttpRequest, payload: web::Payload) -> Result<HttpResponse, Problem> {
    let Proven { tenant, generation, state, received, client } = &proven;
    let profile = tenant.profile();
    let account = &profile.account;
    let permit = profile.quota.enter()?;

    let body = body::read(&request, payload, generation.max_body, generation.body_timeout).await?;
    permit.charge_bytes(body.len())?;
    // The place among the large bodies is held until nothing of this one is needed any more.
    let Plain { body, place: _place } = plain(&request, body, generation.max_inflated, &permit).await?;
    permit.weigh(body.len())?;
    if body.trim_ascii().is_empty() {
        let detail = "the body is empty; send an event, an array of events, an envelope or a metric list";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "body_empty", detail));
    }

    let context = Context {
        tenant,
        received: *received,
        sent_at_ms: None,
        client: *client,
        user_agent: text(&request, "user-agent"),
        traceparent: text(&request, "traceparent"),
    };
    let charge = |items: usize| {
        permit.charge_points(items).map_err(|exceeded| {
            account.rejected_whole(*received, Reason::RateLimited, items as u64, exceeded.limit.as_str());
            Problem::from(exceeded)
        })
    };
    let lines = ingest::ingest(&generation.enricher, context, &body, generation.limits, charge)?.map_err(unusable)?;
    let Lines { body: encoded, points, rejected, tags_dropped, scrubbed, demoted } = lines;
    count_scrubbed(&state.metrics, scrubbed);
    if tags_dropped > 0 {
        account.tags_dropped(tags_dropped);
        state.metrics.tags_dropped(tags_dropped);
    }
    state.metrics.series_demoted(&demoted);
    // A good request takes the account's lock once, when the spool accepts it.
    if !rejected.is_empty() {
        account.rejected(rejected.iter().cloned());
    }
    if points == 0 {
        return nothing_valid(rejected);
    }

    let encoded = Bytes::from(encoded);
    let submission = Submission {
        account: account.clone(),
        share: profile.settings.limits.spool_share,
        destination: profile.destination.clone(),
        // max_events bounds it far below.
        points: u32::try_from(points).unwrap_or(u32::MAX),
        lines: encoded.clone(),
    };
    state.spool.append(submission).await.map_err(|refused| {
        account.rejected_whole(*received, Reason::SpoolFull, points as u64, "spool");
        no_room(refused)
    })?;
    if let Some(playground) = &state.playground {
        playground.remember(&encoded);
    }

    let answer = Accepted {
        accepted: points,
        rejected: listed(&rejected),
        rejected_count: rejected.len(),
        server_time: state.clock.now_millis(),
    };
    debug_assert!(answer.rejected.len() <= LISTED);
    Ok(HttpResponse::Accepted().insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff")).json(answer))
}

async fn plain(request: &HttpRequest, body: Bytes, max: usize, permit: &Permit<'_>) -> Result<Plain, Problem> {
    let headers = request.headers();
    if headers.get_all(header::CONTENT_ENCODING).nth(1).is_some() {
        let detail = "more than one Content-Encoding header; compress once";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "encoding_unknown", detail));
    }
    let named = headers.get(header::CONTENT_ENCODING).map(|value| value.as_bytes());
    inflate::inflate(inflate::encoding(named, &body)?, body, max, permit.large_body()).await
}

fn count_scrubbed(metrics: &Metrics, scrubbed: Scrubbed) {
    let Scrubbed { email, bearer, card, pattern } = scrubbed;
    let rules = [
        (ScrubRule::Email, email),
        (ScrubRule::Bearer, bearer),
        (ScrubRule::Card, card),
        (ScrubRule::Pattern, pattern),
    ];
    for (rule, strings) in rules.into_iter().filter(|(_, strings)| *strings > 0) {
        metrics.scrubbed(rule, strings);
    }
}

fn text<'r>(request: &'r HttpRequest, name: &str) -> Option<&'r str> {
    request.headers().get(name)?.to_str().ok()
}

fn unusable(error: Unusable) -> Problem {
    let (status, code) = match &error {
        Unusable::Unreadable(DecodeError::NotJson { .. }) => (StatusCode::BAD_REQUEST, "body_not_json"),
        Unusable::Unreadable(DecodeError::UnknownShape(_)) => (StatusCode::BAD_REQUEST, "body_unknown_shape"),
        Unusable::Unreadable(DecodeError::TooManyEvents { .. }) => (StatusCode::PAYLOAD_TOO_LARGE, "too_many_events"),
        Unusable::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "lines_too_large"),
    };
    Problem::new(status, code, error.to_string())
}

fn no_room(refused: Refused) -> Problem {
    let (code, detail, wait) = match refused {
        Refused::TooLarge { limit } => {
            let detail = format!(
                "the lines of this request are more than the whole spool holds, {limit} bytes: send fewer events in one request"
            );
            return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "lines_too_large", detail);
        }
        Refused::Full { retry_after } => (
            "spool_full",
            "the gateway's spool, or the tenant's share of it, is full; nothing of this request was taken",
            retry_after,
        ),
        Refused::Disk { retry_after } => (
            "disk_failed",
            "the gateway's disk failed, so nothing of this request is promised; send it again (with timestamp and seq an event stays one point)",
            retry_after,
        ),
        Refused::Closed => {
            ("stopping", "this gateway is stopping; nothing of this request was taken", Duration::from_secs(1))
        }
    };
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).retry_after(wait)
}

/// No event became a point: 204 when there was nothing to store, 400 when there was and none was valid.
fn nothing_valid(rejected: Vec<crate::outcome::Rejection>) -> Result<HttpResponse, Problem> {
    if rejected.iter().all(|r| r.reason == Reason::Empty) {
        return Ok(HttpResponse::NoContent().finish());
    }
    let detail = "no event of the request is valid; `rejected` says why, by index";
    Err(Problem::new(StatusCode::BAD_REQUEST, "no_valid_event", detail).rejected(rejected))
}
