//! The one place that makes InfluxDB clients, and the writer that the lanes use.

mod rest;

use std::time::Duration;

use bytes::Bytes;
use influxdb2::api::buckets::ListBucketsRequest;
use influxdb2::api::organization::ListOrganizationRequest;
use influxdb2::api::write::TimestampPrecision;
use influxdb2::models::retention_rule::Type;
use influxdb2::models::{PostBucketRequest, RetentionRule};
use influxdb2::{Client, ClientBuilder, RequestError};
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, HeaderMap, HeaderValue};
use secrecy::ExposeSecret as _;

use super::answer::Answer;
use crate::config::Influx;
pub(crate) use rest::Rest;

/// What a client is made of.
#[derive(Debug)]
pub(crate) struct Connection<'c> {
    /// Base URL: scheme, host and port. The crate replaces any path.
    pub(crate) url: &'c str,
    /// Organisation's name.
    pub(crate) org: &'c str,
    /// Token; empty before the first set-up.
    pub(crate) token: &'c str,
    /// How long one request may take.
    pub(crate) timeout: Duration,
    /// Whether every body is gzipped: such a client can only write lines.
    pub(crate) gzip: bool,
}

/// Makes a client.
pub(crate) fn client(connection: &Connection<'_>) -> Result<Client, String> {
    let Connection { url, org, token, .. } = connection;
    ClientBuilder::with_builder(http(connection)?, *url, *org, *token)
        .build()
        .map_err(|e| format!("influxdb.url {url:?}: {e}"))
}

/// What every client of an InfluxDB stands on. The crate panics on a bad URL and fails late on a bad token: both are looked at here first.
pub(crate) fn http(connection: &Connection<'_>) -> Result<reqwest::ClientBuilder, String> {
    let Connection { url, org: _, token, timeout, gzip } = connection;
    let parsed = reqwest::Url::parse(url)
        .map_err(|e| format!("influxdb.url {url:?}: {e}; it should look like http://influxdb:8086"))?;
    if !matches!(parsed.scheme(), "http" | "https") || parsed.host_str().is_none() {
        return Err(format!("influxdb.url {url:?}: it should begin with http:// or https:// and name a host"));
    }
    if parsed.path() != "/" || parsed.query().is_some() || !parsed.username().is_empty() || parsed.password().is_some()
    {
        return Err("influxdb.url: only scheme, host and port; no path, query or credentials (the API's own path follows, and the token stands apart)".to_owned());
    }
    if HeaderValue::from_str(&format!("Token {token}")).is_err() {
        return Err(format!("influxdb.token cannot stand in an {AUTHORIZATION} header: is there a line break in it?"));
    }
    let mut headers = HeaderMap::new();
    if *gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(reqwest::ClientBuilder::new()
        .default_headers(headers)
        .user_agent(concat!("tagline/", env!("CARGO_PKG_VERSION")))
        .timeout(*timeout)
        // A host that is away drops packets, and its return is only seen by a new attempt.
        .connect_timeout((*timeout).min(Duration::from_secs(3)))
        .pool_idle_timeout(Duration::from_secs(60))
        // reqwest 0.11 still carries h2 0.3, which takes empty frames without a bound (RUSTSEC-2026-0258): no HTTP/2, whatever a server offers.
        .http1_only()
        // A redirect would carry the token and a tenant's data to another place.
        .redirect(reqwest::redirect::Policy::none()))
}

/// Writes bodies to one InfluxDB.
#[derive(Debug)]
pub(crate) struct InfluxWriter {
    lines: Client,
    /// For everything but lines: its bodies are not compressed.
    api: Client,
    pub(crate) gzip: bool,
    pub(crate) create_bucket: bool,
    made_of: Influx,
}

impl InfluxWriter {
    pub(crate) fn new(settings: &Influx) -> Result<Self, String> {
        let token = settings.token.expose_secret();
        let connection =
            |gzip| Connection { url: &settings.url, org: &settings.org, token, timeout: settings.timeout, gzip };
        Ok(Self {
            lines: client(&connection(settings.gzip))?,
            api: client(&connection(false))?,
            made_of: settings.clone(),
            gzip: settings.gzip,
            create_bucket: settings.create_bucket,
        })
    }

    /// Whether these settings would make the same writer.
    pub(crate) fn is_of(&self, settings: &Influx) -> bool {
        let Influx { url, org, bucket: _, token, create_bucket, gzip, timeout, retention, in_flight: _ } = settings;
        let now = &self.made_of;
        (url, org, create_bucket, gzip) == (&now.url, &now.org, &now.create_bucket, &now.gzip)
            && (timeout, retention) == (&now.timeout, &now.retention)
            && token.expose_secret() == now.token.expose_secret()
    }

    pub(crate) fn org(&self) -> &str {
        &self.made_of.org
    }

    /// One write, one try.
    pub(crate) async fn write(&self, bucket: &str, body: Bytes) -> Answer {
        let written = self
            .lines
            .write_line_protocol_with_precision(&self.made_of.org, bucket, body, TimestampPrecision::Nanoseconds)
            .await;
        Answer::of(written)
    }

    /// Makes a bucket that is missing; it may exist by now.
    pub(crate) async fn create(&self, bucket: &str) -> Result<(), String> {
        let org = organization(&self.api, self.org()).await.map_err(brief)?;
        let Some(org_id) = org else {
            return Err(format!("no organisation {:?} can be seen with this token", self.org()));
        };
        create_bucket(&self.api, org_id, bucket, self.made_of.retention).await.map_err(brief)
    }
}

/// The id of an organisation, if there is one of that name.
pub(crate) async fn organization(api: &Client, name: &str) -> Result<Option<String>, RequestError> {
    let request = ListOrganizationRequest { org: Some(name.to_owned()), ..ListOrganizationRequest::default() };
    match api.list_organizations(request).await {
        Ok(found) => Ok(found.orgs.into_iter().find(|org| org.name == name).and_then(|org| org.id)),
        Err(RequestError::Http { status, .. }) if status == reqwest::StatusCode::NOT_FOUND => Ok(None),
        Err(error) => Err(error),
    }
}

/// A bucket's id and retention (zero: for ever), if there is one of that name.
pub(crate) async fn bucket(api: &Client, org_id: &str, name: &str) -> Result<Option<(String, Duration)>, RequestError> {
    let request = ListBucketsRequest {
        name: Some(name.to_owned()),
        org_id: Some(org_id.to_owned()),
        ..ListBucketsRequest::default()
    };
    let found = match api.list_buckets(Some(request)).await {
        Err(RequestError::Http { status, .. }) if status == reqwest::StatusCode::NOT_FOUND => {
            return Ok(None);
        }
        found => found?,
    };
    Ok(found.buckets.into_iter().find(|bucket| bucket.name == name).and_then(|bucket| {
        let seconds = bucket.retention_rules.first().map_or(0, |rule| rule.every_seconds);
        bucket.id.map(|id| (id, Duration::from_secs(u64::try_from(seconds).unwrap_or(0))))
    }))
}

/// Makes a bucket with a retention (zero: for ever). That it exists already is no error.
pub(crate) async fn create_bucket(
    api: &Client,
    org_id: String,
    name: &str,
    retention: Duration,
) -> Result<(), RequestError> {
    let mut request = PostBucketRequest::new(org_id, name.to_owned());
    if !retention.is_zero() {
        let seconds = i32::try_from(retention.as_secs()).unwrap_or(i32::MAX);
        request.retention_rules = vec![RetentionRule::new(Type::Expire, seconds)];
    }
    match api.create_bucket(Some(request)).await {
        Err(RequestError::Http { status, .. }) if status == reqwest::StatusCode::UNPROCESSABLE_ENTITY => Ok(()),
        created => created,
    }
}

/// An API call's error in words.
pub(crate) fn brief(error: RequestError) -> String {
    match error {
        RequestError::Http { status, text } => {
            let message = serde_json::from_str::<serde_json::Value>(&text)
                .ok()
                .and_then(|value| value.get("message").and_then(serde_json::Value::as_str).map(str::to_owned));
            format!("InfluxDB answered {}: {}", status.as_u16(), message.as_deref().unwrap_or("no reason given"))
        }
        RequestError::ReqwestProcessing { source } => super::answer::failure(source),
        RequestError::Deserializing { text } => text,
        other => other.to_string(),
    }
}
