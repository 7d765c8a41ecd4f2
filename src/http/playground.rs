//! The page at `/` in the dev profile: sends a real event from the browser and shows what came of it.
//!
//! It exists only on loopback and only while nothing is configured: the page holds the demo tenant's key.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, get, web};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::State;
use super::admin::row;
use super::problem::{Problem, not_found};

/// What the page needs to know.
#[derive(Debug)]
pub struct Playground {
    /// The demo tenant's id.
    pub tenant: String,
    /// Its write key.
    pub key: SecretString,
    /// Where points go, in words.
    pub destination: String,
    /// `http://127.0.0.1:8081`
    pub admin: String,
    /// The lines of the last accepted request.
    pub last: Mutex<String>,
}

impl Playground {
    /// Keeps the lines of the last request, to be shown; cut at 4 KiB.
    pub(super) fn remember(&self, lines: &[u8]) {
        let shown = String::from_utf8_lossy(&lines[..lines.len().min(4096)]).into_owned();
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = shown;
    }
}

/// Adds the page; outside the dev profile its routes answer 404.
pub(super) fn routes(app: &mut web::ServiceConfig) {
    app.service(page).service(seen);
}

/// The page holds a key, so it is for the person at this machine alone: asked for by a loopback name, and by no other page. A site that
/// points its own name at 127.0.0.1 (DNS rebinding) asks by that name, and one that fetches across origins says its origin.
fn is_at_this_machine(request: &HttpRequest) -> bool {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let loopback =
        name == "localhost" || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let own = format!("http://{host}");
    loopback && request.headers().get_all(header::ORIGIN).all(|origin| origin.as_bytes() == own.as_bytes())
}

#[get("/")]
async fn page(state: web::Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let Some(playground) = state.playground.as_ref().filter(|_| is_at_this_machine(&request)) else {
        return not_found(request).await;
    };
    let facts = json!({
        "tenant": playground.tenant,
        "key": playground.key.expose_secret(),
        "destination": playground.destination,
        "admin": playground.admin,
    });
    // `<` cannot stand in the block that holds the facts: it could close it.
    let facts = facts.to_string().replace('<', "\\u003c");
    let page = include_str!("playground.html").replace("{{facts}}", &facts);
    let policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'";
    Ok(HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((header::CONTENT_SECURITY_POLICY, policy))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header(("Cross-Origin-Resource-Policy", "same-origin"))
        .insert_header((header::X_FRAME_OPTIONS, "DENY"))
        .body(page))
}

#[get("/playground/seen")]
async fn seen(state: web::Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let Some(playground) = state.playground.as_ref().filter(|_| is_at_this_machine(&request)) else {
        return not_found(request).await;
    };
    let account = state.ledger.accounts().into_iter().find(|account| account.name() == playground.tenant);
    Ok(HttpResponse::Ok().insert_header(("Cross-Origin-Resource-Policy", "same-origin")).json(json!({
        "lines": *playground.last.lock().unwrap_or_else(PoisonError::into_inner),
        "ledger": account.map(|account| row(&account.totals())),
    })))
}
