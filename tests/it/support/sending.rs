//! What nearly every test does with a gateway: send a body, and wait until InfluxDB has what was accepted.

use super::eventually;
use super::gateway::Gateway;
use super::http::{self, Answer};
use serde_json::Value;
use std::time::Duration;

/// How long a delivery may take on a busy machine; the gateway waits up to a second for a batch to fill.
const DELIVERY: Duration = Duration::from_secs(30);

impl Gateway {
    /// POSTs a body with this write key in the path, on a connection of its own.
    pub fn post(&self, key: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Answer {
        let target = format!("/v1/telemetry/{key}");
        http::request(self.address(), "POST", &target, headers, body.as_ref())
    }

    /// Like [`Gateway::post`] with JSON, all of whose events must be accepted; says how many that were.
    #[track_caller]
    pub fn accept(&self, key: &str, headers: &[(&str, &str)], body: &Value) -> u64 {
        let answer = self.post(key, headers, body.to_string());
        assert_eq!(answer.status, 202, "{}", answer.text());
        let answer = answer.json();
        assert_eq!(answer["rejectedCount"], 0, "{answer}");
        answer["accepted"].as_u64().expect("`accepted` is a number")
    }

    /// Waits until InfluxDB has confirmed exactly so many points of a tenant, and gives its row of the ledger.
    #[track_caller]
    pub fn delivered(&self, tenant: &str, points: u64) -> impl Future<Output = Value> {
        eventually(DELIVERY, move || async move {
            let row = self.admin_json("/admin/ledger")["tenants"][tenant].take();
            if row["outcomes"]["delivered"] == points && row["pending"] == 0 {
                Ok(row)
            } else {
                Err(format!("{tenant}: {points} points are to be delivered: {row}"))
            }
        })
    }

    /// A sample of `/metrics`, by its name with its labels.
    pub fn metric(&self, sample: &str) -> Option<f64> {
        let text = http::request(self.admin_address(), "GET", "/metrics", &[], b"").text();
        let line = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '))?;
        Some(line.parse().unwrap_or_else(|error| panic!("{sample}: {error}: {line}")))
    }
}
