//! What the listeners answer while the spool is taken up, which can take a minute: alive, not ready, and 503 with `Retry-After` to telemetry.
//!
//! Without it a liveness probe would end the process in the midst of a long recovery, again and again, and a client that comes past the probes would
//! hang instead of being told.

#[cfg(test)]
mod tests;

use std::io;
use std::net::TcpListener;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::http::{KeepAlive, StatusCode};
use actix_web::{App, HttpResponse, HttpServer, get, web};

use super::health::{self, Check, CheckStatus};
use super::problem::Problem;
use super::{HEAD_TIMEOUT, cors, security};

/// When a client may try again: a guess.
const RETRY: Duration = Duration::from_secs(2);

/// Both listeners, answering so.
#[derive(Debug)]
pub struct Starting {
    public: ServerHandle,
    admin: ServerHandle,
}

/// Answers on both listeners until it is stopped; they can be served again then.
///
/// # Errors
/// When a socket cannot be handed to the server.
pub fn serve_starting(public: &TcpListener, admin: &TcpListener) -> io::Result<Starting> {
    // A connection that was kept alive would end in a reset when the real server takes over.
    let public = HttpServer::new(|| {
        App::new().wrap(cors()).wrap(security::public()).service(health::healthz).default_service(web::to(not_yet))
    })
    .listen(public.try_clone()?)?
    .workers(1)
    .client_request_timeout(HEAD_TIMEOUT)
    .keep_alive(KeepAlive::Disabled)
    .disable_signals()
    .run();
    let admin = HttpServer::new(|| {
        App::new().wrap(security::admin()).service(health::healthz).service(readyz).default_service(web::to(not_yet))
    })
    .listen(admin.try_clone()?)?
    .workers(1)
    .client_request_timeout(HEAD_TIMEOUT)
    .keep_alive(KeepAlive::Disabled)
    .disable_signals()
    .run();
    let starting = Starting { public: public.handle(), admin: admin.handle() };
    tokio::spawn(public);
    tokio::spawn(admin);
    Ok(starting)
}

impl Starting {
    /// Ends it; what has come in is answered first.
    pub async fn stop(self) {
        self.public.stop(true).await;
        self.admin.stop(true).await;
    }
}

async fn not_yet() -> Result<HttpResponse, Problem> {
    let detail = "this gateway is starting: it takes up what an earlier run left; nothing of this request was taken";
    Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "starting", detail).retry_after(RETRY))
}

#[get("/readyz")]
async fn readyz() -> HttpResponse {
    let detail = Some("starting: the spool's log is read".to_owned());
    let check = Check { name: "lifecycle".to_owned(), status: CheckStatus::Failed, detail };
    HttpResponse::ServiceUnavailable().json(health::Ready { status: CheckStatus::Failed, checks: vec![check] })
}
