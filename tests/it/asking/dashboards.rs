//! The dashboards of `grafana/` and `influxdb/`: every query of every panel and variable is asked of the week, as the program would ask it.

mod command;
mod grafana;
mod influxdb;
mod schema;

use crate::support::Row;
use crate::support::Week;
use crate::support::week::{CAUSE, Event};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Grafana's dashboards: file and content.
fn dashboards() -> Vec<(PathBuf, Value)> {
    let folder = root().join("grafana/dashboards");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert_eq!(files.len(), 5, "{files:?}");
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let dashboard = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path, dashboard)
    };
    files.into_iter().map(read).collect()
}

/// An event of the cause: its session is among the slowest of its tenant, and has a backend call and a trace.
fn slow_event(week: &Week) -> &Event {
    let slow = week.events().filter(|event| {
        event.tenant == CAUSE.tenant
            && event.view == CAUSE.view
            && event.action == CAUSE.action
            && event.browser == CAUSE.browser
            && event.time_ms > week.end_ms - CAUSE.since_ms
    });
    slow.max_by_key(|event| event.duration_ms).expect("the week has its cause")
}

/// What a panel shows, and where its rows must have it.
fn assert_shown(panel: &str, rows: &[Row], columns: &[String], lines: bool) {
    assert!(!rows.is_empty(), "{panel}: no rows");
    let found: BTreeSet<&str> = if lines {
        rows.iter().map(|row| row.text("_field")).collect()
    } else {
        rows.iter().flat_map(Row::columns).collect()
    };
    for column in columns {
        assert!(found.contains(column.as_str()), "{panel}: nothing in {column}: {found:?}");
    }
    for row in rows {
        if lines {
            assert!(row.get("_time").is_some() && row.get("_value").is_some(), "{panel}: {row:?}");
        } else {
            // Grafana takes rows with `_value` and a time for a line, and drops their other columns.
            assert!(row.get("_value").is_none(), "{panel}: {row:?}");
        }
    }
}
