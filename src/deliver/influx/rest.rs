//! What the crate has no call for: `PATCH`, secrets, and queries whose answer may break off.

use influxdb2::RequestError;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Method, Url};
use serde_json::{Value, json};

use super::{Connection, http_client};

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
        let (builder, base) = http_client(connection)?;
        let bad = |why: &dyn std::fmt::Display| format!("influxdb.url {:?}: {why}", connection.url);
        let mut authorization =
            HeaderValue::from_str(&format!("Token {}", connection.token)).map_err(|error| bad(&error))?;
        authorization.set_sensitive(true);
        let http = builder.build().map_err(|error| bad(&error))?;
        Ok(Self { http, base, authorization })
    }

    /// One call, with a JSON body or none; its answer's body. The ids in `path` are InfluxDB's own.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<String, RequestError> {
        self.send(method, path, &[], body).await
    }

    /// What a query gives: CSV with a header line for each table, and no annotations.
    pub(crate) async fn query(&self, org: &str, flux: &str) -> Result<String, RequestError> {
        let body = json!({ "query": flux, "type": "flux", "dialect": { "header": true, "annotations": [] } });
        let answer = self.send(Method::POST, "/api/v2/query", &[("org", org)], Some(&body)).await?;
        match failure(&answer) {
            Some(why) => Err(RequestError::Deserializing { text: format!("the query failed: {why}") }),
            None => Ok(answer),
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<String, RequestError> {
        let mut url = self.base.clone();
        url.set_path(path);
        let mut request = self.http.request(method, url).query(query).header(AUTHORIZATION, self.authorization.clone());
        if let Some(body) = body {
            request = request.header(reqwest::header::CONTENT_TYPE, "application/json").body(body.to_string());
        }
        let answer = request.send().await.map_err(|source| RequestError::ReqwestProcessing { source })?;
        let status = answer.status();
        let text = answer.text().await.map_err(|source| RequestError::ReqwestProcessing { source })?;
        if status.is_success() { Ok(text) } else { Err(RequestError::Http { status, text }) }
    }
}

/// A query that fails after it began to answer says so in a table of its own, under 200.
fn failure(csv: &str) -> Option<&str> {
    let mut lines = csv.lines().skip_while(|line| !line.trim_start_matches(',').starts_with("error,reference"));
    lines.next()?;
    Some(lines.next().map_or("no reason given", |line| line.trim_start_matches(',').trim_end_matches(',')))
}

#[cfg(test)]
mod tests {
    use super::failure;

    #[test]
    fn a_query_that_fails_midway_is_a_failure() {
        assert_eq!(failure(",result,table,_value\r\n,_result,0,3\r\n"), None);
        let midway = ",result,table,_value\r\n,_result,0,3\r\n\r\n,error,reference\r\n,out of memory,\r\n";
        assert_eq!(failure(midway), Some("out of memory"));
    }
}
