//! The files of `flux/`, compiled in.

use super::script::Script;

macro_rules! scripts {
    ($folder:literal: $($name:literal),+ $(,)?) => {
        &[$(Script { name: concat!($folder, "/", $name), text: include_str!(concat!("../../flux/", $folder, "/", $name, ".flux")) }),+]
    };
}

/// What can be asked: `flux/queries`.
#[rustfmt::skip]
pub const QUERIES: &[Script] = scripts!("queries":
    "summary",
    "summary-rollup",
    "percentiles",
    "percentiles-rollup",
    "compare",
    "compare-rollup",
    "explain",
    "session",
    "slowest-sessions",
    "apdex",
    "web-vitals",
    "errors",
    "backend-frontend-edge",
    "edge-and-frontend",
    "ingest-health",
    "series",
    "last-event",
    "gateway-counter",
    "gateway-gauge",
    "gateway-quantile",
);

/// What InfluxDB does by itself: `flux/tasks`.
#[rustfmt::skip]
pub const TASKS: &[Script] = scripts!("tasks":
    "rollup-1m",
    "rollup-1h",
    "baseline",
    "deadman",
    "series-growth",
    "task-failures",
);

/// The query of this name, without its folder.
pub fn query(name: &str) -> Option<&'static Script> {
    QUERIES.iter().find(|script| script.name.strip_prefix("queries/") == Some(name))
}

/// The task of this name, without its folder.
pub fn task(name: &str) -> Option<&'static Script> {
    TASKS.iter().find(|script| script.name.strip_prefix("tasks/") == Some(name))
}
