//! What a ServiceAccount has asked the API server for, by the server's own audit log.

use super::Cluster;
use serde_json::Value;
use std::collections::BTreeSet;

pub const LOG: &str = "audit.log";

/// One kind of request: `list pods`, say, and whether it was allowed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request {
    /// `get`, `list`, `watch`, …
    pub verb: String,
    /// `pods`, …; the path where it was none.
    pub resource: String,
    /// The namespace, empty for all.
    pub namespace: String,
    /// Whether RBAC allowed it.
    pub allowed: bool,
}

impl Cluster {
    /// The kinds of requests that the ServiceAccount `tagline/NAME` has made since the start, each once. (A watch is written down when it
    /// begins, and again when it ends.)
    pub fn requests_of(&self, account: &str) -> BTreeSet<Request> {
        let user = format!("system:serviceaccount:tagline:{account}");
        let log = std::fs::read_to_string(self.folder.path().join(LOG)).unwrap_or_default();
        // A line without its end is still being written.
        let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let entries =
            whole.lines().map(|line| serde_json::from_str::<Value>(line).expect("the audit log is lines of JSON"));
        entries
            .filter(|entry| entry["user"]["username"] == user.as_str())
            .map(|entry| {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let object = &entry["objectRef"];
                Request {
                    verb: text(&entry["verb"]),
                    resource: text(if object["resource"].is_string() {
                        &object["resource"]
                    } else {
                        &entry["requestURI"]
                    }),
                    namespace: text(&object["namespace"]),
                    allowed: entry["annotations"]["authorization.k8s.io/decision"] == "allow",
                }
            })
            .collect()
    }
}
