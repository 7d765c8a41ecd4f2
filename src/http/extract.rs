//! The typed extractor: a handler that takes [`Proven`] cannot run without a tenant.

use std::cell::Cell;
use std::future::{Ready, ready};
use std::net::IpAddr;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header::HeaderMap;
use actix_web::{FromRequest, HttpRequest, web};

use super::problem::Problem;
use super::{Generation, State};
use crate::admit::Exceeded;
use crate::auth::{AuthError, Presented, Refusal, Tenant};
use crate::clock::UnixNanos;

/// A request whose tenant is proven.
pub struct Proven {
    /// Who sends.
    pub tenant: Tenant,
    /// The settings that this request is judged by, to its end.
    pub generation: Arc<Generation>,
    /// What the handlers share.
    pub state: web::Data<State>,
    /// When the request's head was read.
    pub received: UnixNanos,
    /// The client's address, where one is known: the peer's, or what a trusted proxy tells. Personal data: store it only when set so.
    pub client: Option<IpAddr>,
}

impl FromRequest for Proven {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(prove(request))
    }
}

fn prove(request: &HttpRequest) -> Result<Proven, Problem> {
    let Some(state) = request.app_data::<web::Data<State>>() else {
        // A mistake of ours in wiring the routes; refuse rather than guess.
        let status = actix_web::http::StatusCode::INTERNAL_SERVER_ERROR;
        return Err(Problem::new(status, "internal", "the gateway is wired wrongly: no state"));
    };
    let generation = state.generation.load_full();
    let received = state.clock.now();
    let presented = presented(request);
    let client = generation.authenticator.client_address(&presented);
    let tenant = verify(state, &generation, &presented, client, received)?;
    Ok(Proven { tenant, generation, state: state.clone(), received, client })
}

/// Proves the tenant. A refusal that cost a signature check is charged to the client's address; what is refused cheaply (a write key that
/// nobody knows, no credential) is not, and nothing where the client is not known.
fn verify(
    state: &State,
    generation: &Generation,
    presented: &Presented<'_>,
    client: Option<IpAddr>,
    received: UnixNanos,
) -> Result<Tenant, AuthError> {
    let cost = Cell::new(false);
    let may_cost = || {
        if let Some(client) = client {
            let limited = |exceeded: Exceeded| AuthError::address_limited(exceeded.retry_after);
            state.addresses.may_cost(client).map_err(limited)?;
        }
        cost.set(true);
        Ok(())
    };
    let proven = generation.authenticator.verify(presented, received, &may_cost);
    if let (Err(error), Some(client), true) = (&proven, client, cost.get())
        && matches!(error.kind, Refusal::Unauthenticated | Refusal::Forbidden)
    {
        state.addresses.failed(client);
    }
    proven
}

/// Collects every credential that a request carries, wherever it stands.
pub(super) fn presented(request: &HttpRequest) -> Presented<'_> {
    let headers = request.headers();
    let mut presented = Presented {
        authorization: all(headers, "authorization"),
        tenant_header: all(headers, "x-tenant-id"),
        proxy_secret: all(headers, "x-proxy-secret"),
        origin: all(headers, "origin"),
        cookies: all(headers, "cookie"),
        forwarded_for: all(headers, "x-forwarded-for"),
        peer: request.peer_addr().map(|peer| peer.ip()),
        ..Presented::default()
    };
    for key in all(headers, "x-api-key") {
        presented.write_keys.push(String::from_utf8_lossy(key).into_owned());
    }
    if let Some(key) = request.match_info().get("key") {
        presented.write_keys.push(key.to_owned());
    }
    // actix splits and percent-decodes; a query that is none carries no credential.
    if let Ok(query) = web::Query::<Vec<(String, String)>>::from_query(request.query_string()) {
        for (name, value) in query.into_inner() {
            match name.as_str() {
                "k" => presented.write_keys.push(value),
                "access_token" => presented.access_token.push(value),
                _ => {}
            }
        }
    }
    presented
}

fn all<'r>(headers: &'r HeaderMap, name: &str) -> Vec<&'r [u8]> {
    headers.get_all(name).map(|value| value.as_bytes()).collect()
}
