//! Reading a body under its cap.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpRequest, web};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;

use super::problem::Problem;

/// The length that a request announces; `None` for a chunked body.
pub(super) fn declared_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Reads the whole body: `max` bytes at the most, within `time`, for a slow sender must not hold a place in flight for ever.
pub async fn read(request: &HttpRequest, body: web::Payload, max: usize, time: Duration) -> Result<Bytes, Problem> {
    let declared = declared_length(request.headers());
    if let Some(declared) = declared
        && declared > max
    {
        return Err(too_large(Some(declared), max));
    }
    tokio::time::timeout(time, collect(body, max, declared.unwrap_or(0))).await.unwrap_or_else(|_| {
        let detail =
            format!("the body did not arrive within {} s (server.connections.body_timeout)", time.as_secs_f64());
        Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", detail))
    })
}

async fn collect(mut body: web::Payload, max: usize, expected: usize) -> Result<Bytes, Problem> {
    let mut first = Bytes::new();
    let mut collected = BytesMut::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|_| {
            Problem::new(StatusCode::BAD_REQUEST, "body_broken", "the body ended before its announced length")
        })?;
        if first.len() + collected.len() + chunk.len() > max {
            return Err(too_large(None, max));
        }
        // A beacon comes in one chunk: that chunk is the body, and nothing is copied.
        if first.is_empty() && collected.is_empty() {
            first = chunk;
            continue;
        }
        if collected.is_empty() {
            collected.reserve(expected.max(first.len() + chunk.len()));
            collected.extend_from_slice(&std::mem::take(&mut first));
        }
        collected.extend_from_slice(&chunk);
    }
    Ok(if collected.is_empty() { first } else { collected.freeze() })
}

fn too_large(size: Option<usize>, max: usize) -> Problem {
    let size = size.map_or_else(|| "more".to_owned(), |size| format!("{size} bytes"));
    let detail = format!(
        "the body is {size}; server.max_body allows {max} bytes: send fewer events in one request, or compress"
    );
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
}
