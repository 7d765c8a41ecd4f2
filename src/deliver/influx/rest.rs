//! What the crate has no call for: `PATCH`, and secrets.

use influxdb2::RequestError;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Method, Url};
use serde_json::Value;

use super::{Connection, http};

/// InfluxDB's HTTP API, by the same kind of client that the crate is given.
pub(crate) struct Rest {
    http: reqwest::Client,
    base: Url,
    authorization: HeaderValue,
}

impl std::fmt::Debug for Rest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rest").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

impl Rest {
    /// Of the same connection as [`super::client`].
    pub(crate) fn new(connection: &Connection<'_>) -> Result<Self, String> {
        let builder = http(connection)?;
        let bad = |why: &dyn std::fmt::Display| format!("influxdb.url {:?}: {why}", connection.url);
        let base = Url::parse(connection.url).map_err(|error| bad(&error))?;
        let mut authorization =
            HeaderValue::from_str(&format!("Token {}", connection.token)).map_err(|error| bad(&error))?;
        authorization.set_sensitive(true);
        let http = builder.build().map_err(|error| bad(&error))?;
        Ok(Self { http, base, authorization })
    }

    /// One call, with a JSON body or none; its answer's body. The ids in `path` are InfluxDB's own.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<String, RequestError> {
        let mut url = self.base.clone();
        url.set_path(path);
        let mut request = self.http.request(method, url).header(AUTHORIZATION, self.authorization.clone());
        if let Some(body) = body {
            request = request.header(reqwest::header::CONTENT_TYPE, "application/json").body(body.to_string());
        }
        let answer = request.send().await.map_err(|source| RequestError::ReqwestProcessing { source })?;
        let status = answer.status();
        let text = answer.text().await.map_err(|source| RequestError::ReqwestProcessing { source })?;
        if status.is_success() { Ok(text) } else { Err(RequestError::Http { status, text }) }
    }
}
