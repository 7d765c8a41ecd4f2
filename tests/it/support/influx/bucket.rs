//! One bucket: what a test writes to it past the gateway, and what Flux says is in it.

use super::rows::{self, Row};
use crate::support::http::{self, Answer};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// All of InfluxDB's time: a point in the future is found as well.
const RANGE: &str = "range(start: 1678-01-01T00:00:00Z, stop: 2262-01-01T00:00:00Z)";

/// One bucket of a running InfluxDB.
#[derive(Clone, Debug)]
pub struct Bucket {
    pub(super) address: SocketAddr,
    pub(super) name: String,
    pub(super) organization_id: String,
    pub(super) token: String,
    pub(super) token_file: PathBuf,
}

impl Bucket {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `http://127.0.0.1:PORT` of its InfluxDB.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A file with a token that may write to it (and everything else).
    pub fn token_file(&self) -> &Path {
        &self.token_file
    }

    /// The same, as text.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// InfluxDB's id of the organisation that it is in.
    pub fn organization_id(&self) -> &str {
        &self.organization_id
    }

    /// The bucket of this name in the same organisation, be it there or not.
    pub fn beside(&self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self.clone() }
    }

    /// Creates it; only for one that is absent.
    pub fn create(&self, retention: Duration) {
        let rules = if retention.is_zero() {
            json!([])
        } else {
            json!([{ "type": "expire", "everySeconds": retention.as_secs() }])
        };
        let body = json!({ "orgID": self.organization_id, "name": self.name, "retentionRules": rules });
        let answer = self.call("POST", "/api/v2/buckets", "application/json", body.to_string().as_bytes());
        assert_eq!(answer.status, 201, "create bucket {}: {}", self.name, answer.text());
    }

    /// Writes line protocol (ns) to it, past the gateway, and returns InfluxDB's answer.
    pub async fn write(&self, lines: impl Into<Vec<u8>>) -> Answer {
        let target = format!("/api/v2/write?orgID={}&bucket={}&precision=ns", self.organization_id, self.name);
        let (bucket, lines) = (self.clone(), lines.into());
        blocking(move || bucket.call("POST", &target, "text/plain; charset=utf-8", &lines)).await
    }

    /// The rows that a Flux query gives, all its tables one after another. Fails the test with InfluxDB's words if it is refused.
    pub async fn query(&self, flux: &str) -> Vec<Row> {
        self.query_with(flux, None).await
    }

    /// Like [`Bucket::query`], with a syntax tree that goes before it, as InfluxDB's own pages send their variables.
    pub async fn query_with(&self, flux: &str, before: Option<&Value>) -> Vec<Row> {
        let mut body = json!({
            "query": flux,
            "type": "flux",
            "dialect": { "header": true, "annotations": ["datatype", "group", "default"] },
        });
        if let Some(before) = before {
            body["extern"] = before.clone();
        }
        let answer = self.answer(body.to_string()).await;
        assert_eq!(answer.status, 200, "{}\n{flux}", answer.text());
        rows::parse(&answer.body).unwrap_or_else(|error| panic!("{error}\n{flux}"))
    }

    /// Like [`Bucket::query`], and what InfluxDB says of a query that fails.
    pub async fn try_query(&self, flux: &str) -> Result<Vec<Row>, String> {
        let dialect = json!({ "header": true, "annotations": ["datatype", "group", "default"] });
        let answer = self.answer(json!({ "query": flux, "type": "flux", "dialect": dialect }).to_string()).await;
        if answer.status == 200 { rows::parse(&answer.body) } else { Err(answer.text()) }
    }

    async fn answer(&self, query: String) -> Answer {
        let target = format!("/api/v2/query?orgID={}", self.organization_id);
        let bucket = self.clone();
        blocking(move || bucket.call("POST", &target, "application/json", query.as_bytes())).await
    }

    /// Like [`Bucket::query`], beginning with `from(bucket: …) |> range(…)` over all time; `pipe` is what follows.
    pub async fn select(&self, pipe: &str) -> Vec<Row> {
        self.query(&format!("from(bucket: {}) |> {RANGE} {pipe}", flux_string(&self.name))).await
    }

    /// The points of a measurement, ordered by time: one row a point, a column for each tag and each field.
    pub async fn rows(&self, measurement: &str) -> Vec<Row> {
        self.select(&format!(
            "|> filter(fn: (r) => r._measurement == {})
             |> pivot(rowKey: [\"_time\"], columnKey: [\"_field\"], valueColumn: \"_value\")
             |> group() |> sort(columns: [\"_time\"])",
            flux_string(measurement)
        ))
        .await
    }

    /// The points of a measurement, one JSON object a point that Flux itself encodes: every character of every text comes back,
    /// an empty one too, and a tag or field that a point does not have is not in it. (Whether a number is an integer is lost:
    /// [`Bucket::rows`] tells.)
    pub async fn exact_rows(&self, measurement: &str) -> Vec<serde_json::Map<String, Value>> {
        let flux = format!(
            "import \"json\"
             from(bucket: {}) |> {RANGE} |> filter(fn: (r) => r._measurement == {})
             |> pivot(rowKey: [\"_time\"], columnKey: [\"_field\"], valueColumn: \"_value\")
             |> map(fn: (r) => ({{ _time: r._time, point: string(v: json.encode(v: r)) }}))
             |> group() |> sort(columns: [\"_time\"])",
            flux_string(&self.name),
            flux_string(measurement)
        );
        let rows = self.query(&flux).await;
        let points = rows.iter().map(|row| serde_json::from_str::<serde_json::Map<String, Value>>(row.text("point")));
        let points = points.collect::<Result<Vec<_>, _>>().unwrap_or_else(|error| panic!("{error}: {rows:?}"));
        let present =
            |point: serde_json::Map<String, Value>| point.into_iter().filter(|(_, value)| !value.is_null()).collect();
        points.into_iter().map(present).collect()
    }

    /// How many points of a measurement have this field, counted by InfluxDB.
    pub async fn count(&self, measurement: &str, field: &str) -> u64 {
        let rows = self
            .select(&format!(
                "|> filter(fn: (r) => r._measurement == {} and r._field == {}) |> group() |> count()",
                flux_string(measurement),
                flux_string(field)
            ))
            .await;
        rows.first().map_or(0, |row| row.int("_value").unsigned_abs())
    }

    /// How many points of a tenant's frontend are stored, by a field that each of them has, counted by InfluxDB.
    pub async fn stored(&self, tenant: &str) -> u64 {
        let rows = self
            .select(&format!(
                "|> filter(fn: (r) => r.tenant_id == {} and r._field == \"element_count\") |> group() |> count()",
                flux_string(tenant)
            ))
            .await;
        rows.first().map_or(0, |row| row.int("_value").unsigned_abs())
    }

    /// The names of all measurements in it.
    pub async fn measurements(&self) -> Vec<String> {
        let rows =
            self.select("|> keep(columns: [\"_measurement\"]) |> group() |> distinct(column: \"_measurement\")").await;
        let mut names: Vec<String> = rows.iter().map(|row| row.text("_value").to_owned()).collect();
        names.sort();
        names
    }

    /// A request of InfluxDB's API, with the operator's token.
    pub fn call(&self, method: &str, target: &str, content_type: &str, body: &[u8]) -> Answer {
        let authorization = format!("Token {}", self.token);
        let headers = [("Authorization", authorization.as_str()), ("Content-Type", content_type)];
        http::request(self.address, method, target, &headers, body)
    }
}

/// A string literal of Flux.
pub fn flux_string(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace("${", "\\${");
    format!("\"{escaped}\"")
}

/// Runs a blocking call beside the test, so that the test's other tasks go on.
async fn blocking<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(call).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
