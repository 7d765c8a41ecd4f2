//! The library as a whole: what holds for each of its files.

use super::{Literal, Range, Row, ask, inputs, scripts, text, week_with_rollups, write};
use crate::support::influx;
use crate::support::week::{HOUR_MS, TENANTS, Week};
use std::collections::BTreeSet;
use std::path::Path;
use tagline::answers::{Kind, Script};

fn name(script: &Script) -> &'static str {
    script.name.trim_start_matches("queries/")
}

fn takes(script: &Script, input: &str) -> bool {
    script.inputs().iter().any(|known| known.name == input)
}

/// Runs a query on the week, with what it needs to have an answer.
async fn on_the_week(week: &Week, script: &Script, range: Range, others: &[(&'static str, Literal)]) -> Vec<Row> {
    let session = week.events().find(|event| event.tenant == "acme" && range.has(event)).map(|event| event.session());
    // The week's gateway keeps its spool in memory, which has no fsync.
    let own = [text("session", &session.unwrap_or_default()), text("histogram", "write_seconds")];
    let values = inputs(range, &[&own[..], others].concat());
    let values: Vec<_> = values.into_iter().filter(|(input, _)| takes(script, input)).collect();
    let bucket = if takes(script, "rollup_bucket") { &week.rollup_bucket } else { &week.bucket };
    ask(bucket, name(script), &values).await
}

/// All of the week's last day, and after it: what the gateway and Telegraf wrote of themselves as it ended.
fn last_day(week: &Week) -> Range {
    Range { from_ms: week.end_ms - 3 * HOUR_MS, to_ms: week.end_ms + HOUR_MS }
}

#[test]
fn each_file_is_in_the_library_in_the_handbook_and_says_what_it_must() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let handbook = std::fs::read_to_string(root.join("docs/answers.md")).expect("docs/answers.md");
    let files: BTreeSet<String> = std::fs::read_dir(root.join("flux/queries"))
        .expect("flux/queries")
        .map(|entry| entry.expect("an entry").path())
        .map(|path| path.file_name().and_then(|name| name.to_str()).expect("a name in UTF-8").to_owned())
        .collect();
    let listed: BTreeSet<String> = scripts::QUERIES.iter().map(|script| format!("{}.flux", name(script))).collect();
    assert_eq!(files, listed, "src/answers/library.rs lists what lies in flux/queries");
    for script in scripts::QUERIES {
        let head: Vec<&str> = script.text.lines().take_while(|line| line.starts_with("//")).collect();
        assert!(script.title().contains('?'), "{}: its first line asks, and not {:?}", script.name, script.title());
        for part in ["// Answers", "// Cost: ", "// Wrong to conclude: "] {
            assert!(head.iter().any(|line| line.starts_with(part)), "{} has no {part:?} in its head", script.name);
        }
        let link = format!("../flux/queries/{}.flux", name(script));
        assert!(handbook.contains(&link), "docs/answers.md does not name {link}");
        for input in script.inputs() {
            let moment = ["start", "stop"].contains(&input.name);
            assert_eq!(moment, input.kind == Kind::Moment, "{}: {}", script.name, input.name);
        }
    }
}

#[tokio::test]
async fn each_query_answers_something_of_the_week() {
    let week = week_with_rollups();
    for script in scripts::QUERIES {
        let rows = on_the_week(week, script, last_day(week), &[]).await;
        assert!(!rows.is_empty(), "{}", script.name);
    }
}

#[tokio::test]
async fn an_empty_range_is_no_row_and_no_error() {
    let week = week_with_rollups();
    let past = Range { from_ms: week.end_ms - 1000 * 24 * HOUR_MS, to_ms: week.end_ms - 999 * 24 * HOUR_MS };
    for script in scripts::QUERIES {
        let rows = on_the_week(week, script, past, &[]).await;
        assert!(rows.is_empty(), "{} gives {} rows: {:?}", script.name, rows.len(), rows.first());
    }
}

#[tokio::test]
async fn what_is_asked_of_one_tenant_holds_nothing_of_another() {
    let week = week_with_rollups();
    for script in scripts::QUERIES.iter().filter(|script| takes(script, "tenant")) {
        let rows = on_the_week(week, script, last_day(week), &[text("tenant", "acme")]).await;
        assert!(!rows.is_empty(), "{}", script.name);
        for row in &rows {
            let cells: Vec<_> = row.columns().filter_map(|column| row.get(column)).collect();
            let others = TENANTS.iter().filter(|tenant| tenant.name != "acme");
            for other in others {
                assert!(!cells.iter().any(|cell| cell.contains(other.name)), "{}: {row:?}", script.name);
            }
        }
        // Half a name is nobody's.
        for nobody in ["acm", "acme-2", "ACME"] {
            let rows = on_the_week(week, script, last_day(week), &[text("tenant", nobody)]).await;
            assert!(rows.is_empty(), "{} of {nobody}: {rows:?}", script.name);
        }
    }
}

#[tokio::test]
async fn a_tenant_whose_name_begins_like_anothers_is_another() {
    let bucket = influx().bucket("prefix");
    let mut lines = Vec::new();
    for (tenant, events) in [("acme", 2), ("acme-2", 3), ("my-acme", 4)] {
        for _ in 0..events {
            let page = format!("tenant_id={tenant},view_name=V,action_name=go");
            lines.push((60, format!("frontend_performance,{page} duration_ms=10i,session=\"s-1\",trace_id=\"t\"")));
            lines.push((60, format!("web_vitals_lcp,tenant_id={tenant},path=/ value=1")));
            let route = format!("tenant_id={tenant},endpoint=/a,http_method=GET,status_code=500");
            lines.push((60, format!("backend_api_latency,{route} latency_ms=5i,trace_id=\"{tenant}\"")));
            lines.push((60, format!("gateway_outcomes,tenant_id={tenant},outcome=delivered,replica=a points=1i")));
            // What summary-rollup and percentiles-rollup read.
            lines.push((600, format!("frontend_performance_1m,{page} b0067=1")));
        }
    }
    write(&bucket, &lines).await;
    let tenant = text("tenant", "acme");
    for (query, column) in [
        ("summary", "events"),
        ("summary-rollup", "events"),
        ("percentiles", "events"),
        ("percentiles-rollup", "events"),
        ("slowest-sessions", "events"),
        ("apdex", "events"),
        ("web-vitals", "events"),
        ("errors", "requests"),
        ("ingest-health", "points"),
    ] {
        let rows = ask(&bucket, query, std::slice::from_ref(&tenant)).await;
        let counted: i64 = rows.iter().map(|row| row.int(column)).sum();
        assert_eq!(counted, 2, "{query}: {rows:?}");
    }
    let rows = ask(&bucket, "session", &[tenant, text("session", "s-1")]).await;
    assert_eq!(rows.len(), 2, "{rows:?}");
    let pair = [text("tenant_a", "acme"), text("tenant_b", "my-acme")];
    for query in ["compare", "compare-rollup"] {
        let rows = ask(&bucket, query, &pair).await;
        let counted = ["events_a", "events_b"].map(|column| rows.iter().map(|row| row.int(column)).sum::<i64>());
        assert_eq!(counted, [2, 4], "{query}: {rows:?}");
    }
}
