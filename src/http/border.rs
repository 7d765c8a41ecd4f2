//! What surrounds every public request: keep-alive for refused ones, and the request metrics.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::StatusCode;
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, web};
use bytes::Bytes;
use futures_util::Stream;
use futures_util::StreamExt;

use super::problem::Problem;
use super::{State, connections};
use crate::clock::monotonic;

/// How much of a refused request's body is read and thrown away, so that the connection can be used again. A body beyond
/// that costs more to read than a new connection.
const DRAIN_BYTES: usize = 256 * 1024;

/// How long a refused body may take to arrive.
const DRAIN_TIME: Duration = Duration::from_secs(2);

/// Counts the request, and drains what a refused one left unread. An actix handler that leaves the body unread closes the
/// connection: measured at a tenth of the requests a second.
pub async fn keep_alive_and_observe(
    mut request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    // Of a connection that was cut when it was accepted, what had arrived by then can still be read.
    if request.conn_data::<connections::Cut>().is_some() {
        let detail = "too many connections; nothing of this request was taken";
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail);
        return Err(problem.retry_after(Duration::from_secs(1)).into());
    }
    let _busy = connections::busy(&request);
    let started = monotonic();
    let state = request.app_data::<web::Data<State>>().cloned();
    let is_ingest = super::ingest::is_ingest_path(request.path());
    let declared = super::body::declared_length(request.headers());
    let body = Rc::new(RefCell::new(request.take_payload()));
    request.set_payload(Payload::from(Box::pin(SharedBody(Rc::clone(&body))) as BoxedBody));

    let answered = next.call(request).await;
    let status = match &answered {
        Ok(response) => response.status(),
        Err(error) => error.as_response_error().status_code(),
    };
    if !status.is_success() && declared.is_none_or(|length| length <= DRAIN_BYTES) {
        // Whether it was drained or the bound was hit: the answer goes out either way.
        let _ = tokio::time::timeout(DRAIN_TIME, drain(SharedBody(body))).await;
    }
    if let (true, Some(state)) = (is_ingest, state) {
        state.metrics.request(status.as_u16(), monotonic().saturating_duration_since(started));
    }
    answered
}

async fn drain(mut body: SharedBody) {
    let mut drained = 0;
    while let Some(Ok(chunk)) = body.next().await {
        drained += chunk.len();
        if drained > DRAIN_BYTES {
            return;
        }
    }
}

type BoxedBody = Pin<Box<dyn Stream<Item = Result<Bytes, PayloadError>>>>;

/// The request's body, readable by the handler and, after it, by the border.
struct SharedBody(Rc<RefCell<Payload>>);

impl Stream for SharedBody {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_next(context)
    }
}
