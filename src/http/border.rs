//! What surrounds every public request: keep-alive, for refused ones too and until the drain, and the request metrics.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::{ConnectionType, Method, StatusCode, header};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, ResponseError, web};
use bytes::Bytes;
use futures_util::Stream;
use futures_util::StreamExt;

use super::problem::Problem;
use super::{Stage, State, connections};
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
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
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
    let body = SharedBody::of(request.take_payload());
    if let Some(problem) = without_an_end(&request) {
        return Ok(closing(request.into_response(problem.error_response()).map_into_boxed_body(), body));
    }
    request.set_payload(Payload::from(Box::pin(body.clone()) as BoxedBody));

    let answered = next.call(request).await;
    let status = match &answered {
        Ok(response) => response.status(),
        Err(error) => error.as_response_error().status_code(),
    };
    if !body.ended() && declared.is_none_or(|length| length <= DRAIN_BYTES) {
        // Whether it was drained or the bound was hit: the answer goes out either way.
        let _ = tokio::time::timeout(DRAIN_TIME, drain(body.clone())).await;
    }
    if let (true, Some(state)) = (is_ingest, state) {
        state.metrics.request(status.as_u16(), monotonic().saturating_duration_since(started));
    }
    let answered = answered.map(ServiceResponse::map_into_boxed_body);
    if body.ended() { answered } else { answered.map(|answer| closing(answer, body)) }
}

/// While draining, each answer ends its connection. Whoever keeps one open would otherwise still hold it when the listener stops, and the next request on it
/// would cross our closing: to the client a reset, of which nobody knows what became. So it leaves between two requests, and its next connection goes where
/// the load balancer says.
fn until_the_drain(answer: &mut ServiceResponse) {
    let state = answer.request().app_data::<web::Data<State>>();
    if state.is_some_and(|state| state.readiness.lifecycle.stage() == Stage::Draining) {
        answer.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
}

/// OPTIONS has no body of use, and a preflight is answered before anybody could look at one: the connection ends with the answer. So it does with every
/// answer while the gateway drains.
pub async fn around_preflights(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let unread = if request.method() == Method::OPTIONS { request.take_payload() } else { Payload::None };
    let body = SharedBody::of(unread);
    let mut answered = next.call(request).await.map(ServiceResponse::map_into_boxed_body);
    if let Ok(answer) = &mut answered {
        until_the_drain(answer);
    }
    if body.ended() { answered } else { answered.map(|answer| closing(answer, body)) }
}

/// What actix would read to the end of the connection, the next request included, whatever length was announced.
fn without_an_end(request: &ServiceRequest) -> Option<Problem> {
    let upgrades = || request.headers().get_all(header::UPGRADE);
    let websocket = upgrades().any(|to| to.as_bytes().trim_ascii().eq_ignore_ascii_case(b"websocket"));
    (websocket || request.method() == Method::CONNECT).then(|| {
        let detail = "this server neither upgrades nor tunnels: send a plain HTTP/1.1 request";
        Problem::new(StatusCode::BAD_REQUEST, "upgrade_refused", detail)
    })
}

/// Ends the connection with this answer. actix would otherwise go on reading a chunked body and throw it away, for as long as chunks come
/// or none: it does so for a body that nobody holds any more when the answer is written. So the answer holds it.
fn closing(answer: ServiceResponse, unread: SharedBody) -> ServiceResponse {
    answer.map_body(|_, body| BoxBody::new(Holding { body, _unread: unread }))
}

/// An answer's body that holds the request's.
struct Holding {
    body: BoxBody,
    _unread: SharedBody,
}

impl MessageBody for Holding {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(context)
    }
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
#[derive(Clone)]
struct SharedBody(Rc<RefCell<Body>>);

struct Body {
    payload: Payload,
    ended: bool,
}

impl SharedBody {
    fn of(payload: Payload) -> Self {
        let ended = matches!(payload, Payload::None);
        Self(Rc::new(RefCell::new(Body { payload, ended })))
    }

    /// Whether it was read to its end, or there was none.
    fn ended(&self) -> bool {
        self.0.borrow().ended
    }
}

impl Stream for SharedBody {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut body = self.0.borrow_mut();
        let polled = Pin::new(&mut body.payload).poll_next(context);
        body.ended |= matches!(polled, Poll::Ready(None));
        polled
    }
}
