//! Events in bulk, and what the ledger says of them.

use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

use super::gateway::{GLOBEX_KEY, Gateway};
use super::http::{self, Answer};

/// Milliseconds since 1970, now.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.expect("the clock is past 1970").as_millis()).expect("it fits for a while")
}

/// An event of `frontend_performance` whose only field is `element_count`; time, session and `seq` make it one point of its own.
pub fn event(at_ms: i64, seq: u64) -> Value {
    json!({
        "sessionId": format!("s-{}", seq % 5), "viewName": "v", "actionName": "a",
        "timestamp": at_ms, "seq": seq, "metrics": {"element_count": 1},
    })
}

/// `count` events from `seq` on.
pub fn events(at_ms: i64, seq: u64, count: u64) -> Value {
    (seq..seq + count).map(|seq| event(at_ms, seq)).collect()
}

/// Sends a body with a write key, from a page that may use it.
pub fn post(gateway: &Gateway, key: &str, body: &Value) -> Answer {
    let origin = if key == GLOBEX_KEY { "https://globex.example" } else { "https://app.example" };
    let target = format!("/v1/telemetry/{key}");
    http::request(gateway.address(), "POST", &target, &[("Origin", origin)], body.to_string().as_bytes())
}

/// One tenant's row of `/admin/ledger`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    pub accepted: u64,
    pub pending: u64,
    pub delivered: u64,
    pub dead_lettered: u64,
    pub spilled: u64,
    pub lost: u64,
    pub rejected: u64,
}

impl Totals {
    /// Reads a tenant's row; fails the test if it is not there.
    pub fn of(gateway: &Gateway, tenant: &str) -> Self {
        Self::read(&gateway.admin_json("/admin/ledger")["tenants"][tenant])
    }

    /// Reads a row.
    pub fn read(row: &Value) -> Self {
        let number = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("no number in {row}"));
        let outcomes = row["outcomes"].as_object().unwrap_or_else(|| panic!("no outcomes in {row}"));
        let sum = |prefix: &str| {
            outcomes.iter().filter(|(name, _)| name.starts_with(prefix)).map(|(_, points)| number(points)).sum()
        };
        Self {
            accepted: number(&row["accepted"]),
            pending: number(&row["pending"]),
            delivered: sum("delivered"),
            dead_lettered: sum("dead_lettered"),
            spilled: sum("spilled"),
            lost: sum("lost_"),
            rejected: sum("rejected_"),
        }
    }

    /// The ledger's equation, reckoned here and not by the gateway.
    pub fn balances(&self) -> bool {
        self.accepted == self.pending + self.delivered + self.dead_lettered + self.spilled + self.lost
    }
}
