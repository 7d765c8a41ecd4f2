//! The border to HTTP: the only room that knows actix.
//!
//! *Comes in*: requests on two listeners, public and admin. *Goes out*: an answer from the status table for every request, on the
//! public listener with CORS; one hand-over to the spool for every accepted body. *Never*: a handler that runs without a proven [`Tenant`](crate::auth::Tenant); a
//! body read without a bound; a credential, a query string or a body in a log or an answer.

mod admin;
mod body;
mod border;
mod connections;
mod extract;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod health;
mod inflate;
mod ingest;
mod playground;
mod problem;
mod security;
mod starting;
mod state;
#[cfg(test)]
mod tests;

pub use admin::Gate;
pub use health::{Check, CheckStatus, Lifecycle, Readiness, Stage};
pub use playground::Playground;
pub use starting::{Starting, serve_starting};
pub use state::{Generation, State};

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_cors::Cors;
use actix_web::dev::{self, ServerHandle};
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};

use crate::config::Server;

/// How long browsers may remember a preflight's answer (Chromium caps it at two hours).
const PREFLIGHT_MAX_AGE: usize = 7200;

/// How long a request's head may take to arrive on the admin listener, and while the gateway starts.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an idle connection is kept. Longer than the idle time of the proxies in front (Caddy: 2 minutes), so that it is
/// they who close it, and never a request that crosses our closing.
const KEEP_ALIVE: Duration = Duration::from_secs(150);

/// Most connections at once on the admin listener: far more than probes, scrapers and people need, and few enough that answers which nobody reads are
/// bounded. An idle one is closed after 5 seconds, actix's own figure.
const ADMIN_CONNECTIONS: usize = 128;

/// The running listeners.
pub struct Listeners {
    public: ServerHandle,
    admin: ServerHandle,
    tasks: [tokio::task::JoinHandle<io::Result<()>>; 2],
    _sweeper: connections::Sweeper,
}

impl Listeners {
    /// Stops accepting on the public listener, and waits until what is in flight has been answered.
    pub async fn stop_public(&self) {
        self.public.stop(true).await;
    }

    /// Stops the admin listener.
    pub async fn stop_admin(&self) {
        self.admin.stop(false).await;
    }

    /// Completes when a listener ends; an error if by itself.
    pub async fn ended(&mut self) -> io::Result<()> {
        let [public, admin] = &mut self.tasks;
        let ended = tokio::select! { end = public => end, end = admin => end };
        ended.unwrap_or_else(|panic| Err(io::Error::other(panic)))
    }
}

/// Serves both listeners until they are stopped.
///
/// # Errors
/// When a socket cannot be handed to the server.
pub fn serve(state: &Arc<State>, public: TcpListener, admin: TcpListener, settings: &Server) -> io::Result<Listeners> {
    state.connections.have_room_for(connections::allow_open_files(settings.connections.max));
    let wires = Arc::new(connections::Wires::new(settings.connections.head_timeout, KEEP_ALIVE));
    let sweeper = connections::Sweeper::start(Arc::clone(state), Arc::clone(&wires));
    let public = public_server(Arc::clone(state), public, settings, wires)?;
    let admin = admin_server(Arc::clone(state), admin)?;
    Ok(Listeners {
        public: public.handle(),
        admin: admin.handle(),
        tasks: [tokio::spawn(public), tokio::spawn(admin)],
        _sweeper: sweeper,
    })
}

fn public_server(
    state: Arc<State>,
    listener: TcpListener,
    settings: &Server,
    wires: Arc<connections::Wires>,
) -> io::Result<dev::Server> {
    let accepting = Arc::clone(&state);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::from(Arc::clone(&state)))
            .wrap(from_fn(border::keep_alive_and_observe))
            .wrap(cors())
            .wrap(from_fn(border::around_preflights))
            .wrap(security::public())
            .configure(ingest::routes)
            .configure(playground::routes)
            .service(health::healthz)
            .default_service(web::to(problem::not_found))
    })
    .on_connect(move |stream, extensions| connections::accept(&accepting, &wires, stream, extensions))
    // For each worker. Ours is exact over all of them; those that it cuts are still the worker's for a moment.
    .max_connections(settings.connections.max.saturating_add(1024))
    .listen(listener)?
    .client_request_timeout(settings.connections.head_timeout)
    .keep_alive(KEEP_ALIVE)
    // What is in flight gets half of the time; the other half is for the flush.
    .shutdown_timeout((settings.drain_timeout / 2).as_secs().max(1))
    .disable_signals();
    let server = if settings.workers == 0 { server } else { server.workers(settings.workers) };
    Ok(server.run())
}

fn admin_server(state: Arc<State>, listener: TcpListener) -> io::Result<dev::Server> {
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::from(Arc::clone(&state)))
            .wrap(from_fn(admin::guard))
            .wrap(security::admin())
            .service(health::healthz)
            .service(health::readyz)
            .configure(admin::routes)
            .default_service(web::to(problem::not_found))
    })
    .listen(listener)?
    .workers(1)
    .max_connections(ADMIN_CONNECTIONS)
    .client_request_timeout(HEAD_TIMEOUT)
    .shutdown_timeout(1)
    .disable_signals();
    Ok(server.run())
}

/// The origin is echoed, not `*`: a beacon with a JSON blob carries credentials, and a browser then drops an answer (and, after a
/// preflight, the POST itself) whose origin is the star. Whether the origin *may send* is the write key's matter, not CORS's.
fn cors() -> Cors {
    Cors::default()
        .allow_any_origin()
        // A preflight for another method is let through: the request itself then gets our 405, which the page can read.
        .allow_any_method()
        .allow_any_header()
        .expose_headers(["Retry-After", "Date"])
        .supports_credentials()
        .max_age(PREFLIGHT_MAX_AGE)
}
