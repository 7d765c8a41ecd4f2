//! One GET of a set of keys: what came, or why nothing did.
//!
//! `https` is checked end to end, also through the proxy that `HTTPS_PROXY` names. Plain `http` is for loopback alone (the settings
//! see to that): it passes no proxy, and `localhost` is not asked of any resolver.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use reqwest::header::{ACCEPT, AGE, CACHE_CONTROL, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH, LOCATION};
use reqwest::{Client, Response, StatusCode, redirect, tls};

use super::keys::shown;
use crate::metrics::KeyFetch;

/// The largest document that is read. Sets of keys have a few KiB.
const MAX_BODY: usize = 256 << 10;

/// The longest ETag that is kept.
const MAX_ETAG: usize = 256;

/// What a server said.
#[derive(Debug)]
pub(super) enum Fetched {
    /// 304.
    NotModified(Freshness),
    /// 200, with a document that nobody has read yet.
    Document { body: Vec<u8>, etag: Option<HeaderValue>, fresh: Freshness },
}

/// How long the answer holds by its own word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Freshness(pub(super) Option<Duration>);

/// Why there are no keys, for the metrics and for people.
#[derive(Debug)]
pub(super) struct FetchError {
    pub(super) kind: KeyFetch,
    pub(super) why: String,
}

pub(super) fn failed(kind: KeyFetch, why: impl Into<String>) -> FetchError {
    FetchError { kind, why: why.into() }
}

#[derive(Debug)]
pub(super) struct Fetcher {
    https: Client,
    loopback: Client,
}

impl Fetcher {
    /// `patience` is for a whole answer, its body too.
    pub(super) fn new(patience: Duration) -> Result<Self, String> {
        let builder = || {
            Client::builder()
                .user_agent(concat!("tagline/", env!("CARGO_PKG_VERSION")))
                .timeout(patience)
                .connect_timeout(patience / 2)
                .pool_max_idle_per_host(0)
                // As for InfluxDB: reqwest 0.11 carries h2 0.3 (RUSTSEC-2026-0258).
                .http1_only()
                // Who can answer with a redirect could name any server, also one inside.
                .redirect(redirect::Policy::none())
        };
        let https = builder().https_only(true).min_tls_version(tls::Version::TLS_1_2).build();
        let here = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), SocketAddr::from((Ipv6Addr::LOCALHOST, 0))];
        let loopback = builder().no_proxy().resolve_to_addrs("localhost", &here).tls_built_in_root_certs(false).build();
        let unfit = |e: reqwest::Error| format!("the client that fetches issuers' keys cannot be made: {e}");
        Ok(Self { https: https.map_err(unfit)?, loopback: loopback.map_err(unfit)? })
    }

    /// Asks once. With `etag` the answer may be that nothing has changed.
    pub(super) async fn get(&self, url: &str, etag: Option<HeaderValue>) -> Result<Fetched, FetchError> {
        let client = if url.starts_with("http://") { &self.loopback } else { &self.https };
        let conditional = etag.is_some();
        let mut request = client.get(url).header(ACCEPT, "application/jwk-set+json, application/json");
        if let Some(etag) = etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let response = request.send().await.map_err(transport)?;
        let fresh = Freshness::of(response.headers());
        match response.status() {
            StatusCode::OK => {
                let etag = response.headers().get(ETAG).filter(|etag| etag.len() <= MAX_ETAG).cloned();
                Ok(Fetched::Document { body: body(response).await?, etag, fresh })
            }
            StatusCode::NOT_MODIFIED if conditional => Ok(Fetched::NotModified(fresh)),
            status if status.is_redirection() => {
                Err(failed(KeyFetch::Redirect, redirected(status, response.headers())))
            }
            status => Err(failed(KeyFetch::Status, format!("the server answered {}", status.as_u16()))),
        }
    }
}

async fn body(mut response: Response) -> Result<Vec<u8>, FetchError> {
    let mut body = Vec::new();
    let announced = response.content_length().unwrap_or(0);
    if announced <= MAX_BODY as u64 {
        while let Some(chunk) = response.chunk().await.map_err(transport)? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        return Ok(body);
    }
    Err(too_large())
}

fn too_large() -> FetchError {
    failed(KeyFetch::TooLarge, format!("the answer is larger than {} KiB", MAX_BODY >> 10))
}

fn redirected(status: StatusCode, headers: &HeaderMap) -> String {
    let to = headers.get(LOCATION).and_then(|to| to.to_str().ok()).and_then(|to| to.split(['?', '#']).next());
    let to = to.map_or_else(String::new, |to| format!(" to {}", shown(to)));
    format!(
        "the server answered {} with a redirect{to}, and none is followed: set jwks_url to the last one",
        status.as_u16()
    )
}

/// A transport error in words, with its innermost cause and without the URL, which stands beside it anyway.
fn transport(error: reqwest::Error) -> FetchError {
    let (kind, what) = match () {
        () if error.is_timeout() => (KeyFetch::Timeout, "no answer in time"),
        () if error.is_connect() => (KeyFetch::Unreachable, "no connection"),
        () => (KeyFetch::Unreachable, "the connection failed"),
    };
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    failed(kind, format!("{what}: {cause}"))
}

impl Freshness {
    /// `max-age` less the time that the answer already lay in a cache on the way (RFC 9111 section 4.2).
    fn of(headers: &HeaderMap) -> Self {
        let mut max_age = None;
        let values = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
        for directive in values.flat_map(|value| value.split(',')) {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            match name.trim().to_ascii_lowercase().as_str() {
                "no-cache" | "no-store" => return Self(Some(Duration::ZERO)),
                "max-age" => max_age = value.trim().trim_matches('"').parse().ok().or(max_age),
                _ => {}
            }
        }
        let age = headers.get(AGE).and_then(|age| age.to_str().ok()?.trim().parse().ok()).unwrap_or(0);
        Self(max_age.map(|seconds: u64| Duration::from_secs(seconds.saturating_sub(age))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh(headers: &[(&'static str, &'static str)]) -> Option<u64> {
        let headers = headers
            .iter()
            .map(|(name, value)| (reqwest::header::HeaderName::from_static(name), HeaderValue::from_static(value)));
        Freshness::of(&headers.collect()).0.map(|fresh| fresh.as_secs())
    }

    #[test]
    fn freshness_is_max_age_less_the_time_spent_in_caches() {
        assert_eq!(fresh(&[]), None);
        assert_eq!(fresh(&[("cache-control", "public, Max-Age = 600, must-revalidate")]), Some(600));
        assert_eq!(fresh(&[("cache-control", "max-age=\"90\"")]), Some(90));
        assert_eq!(fresh(&[("cache-control", "max-age=600"), ("age", "100")]), Some(500));
        assert_eq!(fresh(&[("cache-control", "max-age=600"), ("age", "601")]), Some(0));
        assert_eq!(fresh(&[("cache-control", "max-age=600, no-cache")]), Some(0));
        assert_eq!(fresh(&[("cache-control", "no-store")]), Some(0));
        for odd in ["max-age", "max-age=", "max-age=-1", "max-age=soon", "s-maxage=9", "max-age=99999999999999999999"] {
            assert_eq!(fresh(&[("cache-control", odd)]), None, "{odd}");
        }
    }
}
