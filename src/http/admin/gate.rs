//! Who may ask the admin listener: whoever bears `server.admin_token`. Where none is set, whoever can reach it, but no page of a browser that got here by a
//! name of its own.
//!
//! `/healthz` and `/readyz` answer everybody, so that a probe needs no secret; but only who may ask for the rest is told what `/readyz` looked at, since that
//! names buckets and issuers. Tokens can be tried as fast as one worker answers; a token that is random and has 16
//! characters or more is not found so, and the listener is inside.

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::IpAddr;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap};
use actix_web::http::{StatusCode, Uri};
use actix_web::middleware::Next;
use actix_web::{Error, ResponseError, web};
use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;

use crate::auth::fingerprint;
use crate::config::Server;
use crate::http::State;
use crate::http::problem::Problem;

/// The largest body that a request here may bring. None of them needs any.
const MAX_BODY: u64 = 1024;

/// Ends of names that nobody can register: the machine itself, mDNS and Kubernetes' own domain, private use.
const PRIVATE: [&str; 4] = ["localhost", "local", "internal", "svc"];

/// What is asked of each request.
pub struct Gate {
    /// SHA-256 of the token: digests have one length, so that comparing them tells nothing of the token's.
    token: Option<[u8; 32]>,
}

impl Gate {
    /// By these settings.
    pub fn new(settings: &Server) -> Self {
        Self { token: settings.admin_token.as_ref().map(|token| fingerprint(token.expose_secret().as_bytes())) }
    }

    fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        let length = headers.get(header::CONTENT_LENGTH).map(|length| length.to_str().ok()?.parse::<u64>().ok());
        let large = length.is_some_and(|length| length.is_none_or(|length| length > MAX_BODY));
        if large || headers.contains_key(header::TRANSFER_ENCODING) {
            let detail = format!("the admin listener reads no body; one of {MAX_BODY} bytes is passed over");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail));
        }
        if matches!(uri.path(), "/healthz" | "/readyz") {
            return Ok(());
        }
        self.asks_rightly(headers)
    }

    /// Whether who asks may see everything here.
    ///
    /// # Errors
    /// 401 without the token; 403, where none is set, by a name that could be anybody's.
    pub(in crate::http) fn asks_rightly(&self, headers: &HeaderMap) -> Result<(), Problem> {
        match self.token {
            Some(token) if bears(headers, &token) => Ok(()),
            Some(_) => {
                let detail = "send server.admin_token as `Authorization: Bearer`";
                Err(Problem::new(StatusCode::UNAUTHORIZED, "admin_token", detail))
            }
            None if headers.get_all(header::HOST).any(|host| host.to_str().map_or(true, is_public_name)) => {
                let detail = "this name could be any site's (DNS rebinding): ask by address, by localhost or by a name that ends in .local, .svc or .internal, or set server.admin_token_file";
                Err(Problem::new(StatusCode::FORBIDDEN, "host_not_allowed", detail))
            }
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("token", &self.token.map(|_| "[redacted]")).finish()
    }
}

/// Lets through what the gate lets through.
pub(in crate::http) async fn guard<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let checked = match request.app_data::<web::Data<State>>() {
        Some(state) => state.generation.load().gate.check(request.uri(), request.headers()),
        // A mistake of ours in wiring the routes; refuse rather than let all in.
        None => {
            let detail = "the admin listener is wired wrongly: no state";
            Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail))
        }
    };
    match checked {
        Ok(()) => next.call(request).await.map(ServiceResponse::map_into_left_body),
        Err(problem) => Ok(request.into_response(problem.error_response()).map_into_right_body()),
    }
}

/// Whether one `Authorization` header, and no other, bears the token.
fn bears(headers: &HeaderMap, token: &[u8; 32]) -> bool {
    let mut sent = headers.get_all(header::AUTHORIZATION);
    let (Some(sent), None) = (sent.next(), sent.next()) else { return false };
    let Some((scheme, shown)) = sent.as_bytes().split_at_checked("bearer ".len()) else { return false };
    scheme.eq_ignore_ascii_case(b"bearer ") && bool::from(fingerprint(shown.trim_ascii()).ct_eq(token))
}

/// Whether somebody could own this name and have it lead here: a page under it would then be of one origin with this listener, and could read all of it.
/// Addresses and names without a dot lead nowhere else.
fn is_public_name(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    if bare.parse::<IpAddr>().is_ok() {
        return false;
    }
    let end = name.strip_suffix('.').unwrap_or(name).rsplit_once('.').map(|(_, end)| end);
    end.is_some_and(|end| !PRIVATE.iter().any(|private| end.eq_ignore_ascii_case(private)))
}
