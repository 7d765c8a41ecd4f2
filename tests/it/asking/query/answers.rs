//! What is answered, held against what was sent.

use serde_json::Value;

use super::{ask, ask_with, json, last_hours};
use crate::support::week::{CAUSE, Event, week};
use crate::support::{influx, now_ms};

/// Within 2% of what was computed outside of InfluxDB.
#[track_caller]
fn close(told: &Value, exact: f64, what: &str) {
    let told = told.as_f64().unwrap_or_else(|| panic!("{what}: {told} is no number"));
    assert!((told - exact).abs() <= exact * 0.02, "{what}: {told}, and it is {exact}");
}

#[tokio::test]
async fn p99_is_the_exact_p99_and_its_windows_hold_each_event_once() {
    let week = week();
    let (range, from) = last_hours(week, 5);
    let arguments = ["p99", "--tenant", "acme", "--every", "10m", &range[0], &range[1]];
    let answer = json(&week.bucket, &arguments).await;
    let of = |event: &Event| event.tenant == "acme" && event.time_ms >= from && event.time_ms < week.end_ms;
    let summary = &answer["summary"][0];
    for (name, q) in [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)] {
        close(&summary[name], week.linear_quantile(q, of), name);
    }
    let events = week.events().filter(|event| of(event)).count();
    assert_eq!(summary["events"], events, "{summary}");

    let rows = answer["rows"].as_array().expect("rows");
    // The first window is a whole one, and so begins before the range.
    let first = from.div_euclid(600_000) * 600_000;
    let windowed = |event: &&Event| event.tenant == "acme" && event.time_ms >= first && event.time_ms < week.end_ms;
    let sum: i64 = rows.iter().filter_map(|row| row["events"].as_i64()).sum();
    assert_eq!(sum.unsigned_abs() as usize, week.events().filter(windowed).count());
    for row in rows {
        let begins = humantime::parse_rfc3339(row["_time"].as_str().expect("a time")).expect("RFC 3339");
        let begins = begins.duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_millis() as i64;
        let of_window = |event: &Event| {
            event.tenant == "acme" && (begins..begins + 600_000).contains(&event.time_ms) && event.time_ms < week.end_ms
        };
        // Of so few events the two nearest differ by more than 2%: between them lies what any way of counting gives.
        let durations = week.durations(of_window);
        let p99 = row["p99"].as_f64().expect("a number");
        let rank = (0.99 * (durations.len() - 1) as f64) as usize;
        let (low, high) = (f64::from(durations[rank.saturating_sub(1)]), f64::from(durations[durations.len() - 1]));
        assert!(low <= p99 && p99 <= high, "{row}: {durations:?}");
    }

    let one = ["p99", "--tenant=acme", "--view", CAUSE.view, "--action", CAUSE.action, &range[0], &range[1]];
    let paying = |event: &Event| of(event) && event.view == CAUSE.view && event.action == CAUSE.action;
    close(
        &json(&week.bucket, &one).await["summary"][0]["p99"],
        week.linear_quantile(0.99, paying),
        "p99 of the action",
    );
}

#[tokio::test]
async fn p99_on_a_terminal_says_the_answer_first_and_its_source_last() {
    let week = week();
    let (range, _) = last_hours(week, 3);
    for columns in ["80", "120"] {
        let arguments = ["p99", "--tenant", "acme", &range[0], &range[1]];
        let ran = ask_with(&week.bucket, &arguments, &[("COLUMNS", columns)]).await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let lines: Vec<&str> = ran.stdout.lines().collect();
        assert!(lines[0].starts_with("acme: P99 ") && lines[0].contains(" ms, P95 "), "{}", ran.stdout);
        let last = lines.last().expect("lines");
        assert!(last.contains(&format!("points of {}", week.bucket.name())) && last.ends_with(" s"), "{last}");
        assert!(lines.iter().any(|line| line.starts_with("P99 ") && line.contains('█')), "{}", ran.stdout);
        let width: usize = columns.parse().unwrap();
        // The sentence wraps; what stands in columns does not.
        assert!(lines[1..6].iter().all(|line| line.chars().count() <= width), "{}", ran.stdout);
        assert!(!ran.stdout.contains('\u{1b}'), "plain text where it is no terminal");
    }
}

#[tokio::test]
async fn compare_is_the_exact_difference_of_two_tenants() {
    let week = week();
    let (range, from) = last_hours(week, 6);
    let answer = json(&week.bucket, &["compare", "--tenants", "acme,globex", &range[0], &range[1]]).await;
    for (n, tenant) in ["acme", "globex"].into_iter().enumerate() {
        let of = |event: &Event| event.tenant == tenant && event.time_ms >= from && event.time_ms < week.end_ms;
        for (name, q) in [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)] {
            close(&answer["summary"][n][name], week.linear_quantile(q, of), &format!("{name} of {tenant}"));
        }
    }
    assert_eq!(answer["tenants"], serde_json::json!(["acme", "globex"]));
    let rows = answer["rows"].as_array().expect("rows");
    assert!((30..=38).contains(&rows.len()), "windows of 10 minutes: {}", rows.len());
    for row in rows {
        let [a, b, between] = ["p99_a", "p99_b", "p99_difference"].map(|name| row[name].as_f64());
        assert_eq!(a.zip(b).map(|(a, b)| a - b), between, "{row}");
    }
    let ran = ask(&week.bucket, &["compare", "--tenants", "acme,globex", &range[0], &range[1]]).await;
    assert!(ran.stdout.starts_with("acme's P99 is ") && ran.stdout.contains(" above globex's: "), "{}", ran.stdout);
}

#[tokio::test]
async fn explain_names_the_cause_in_its_first_line() {
    let week = week();
    let (range, _) = last_hours(week, 24);
    for other in ["globex", "initech"] {
        let tenants = format!("acme,{other}");
        let ran = ask(&week.bucket, &["explain", "--tenants", &tenants, &range[0], &range[1]]).await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let first = ran.stdout.lines().next().expect("a line");
        assert!(first.contains(CAUSE.action) && first.contains(CAUSE.browser), "{}", ran.stdout);
        assert!(first.ends_with("of acme's surplus of slow events."), "{first}");
        // And where to look next.
        let next =
            ran.stdout.lines().find_map(|line| line.strip_prefix("Next: tagline query ")).expect("the next question");
        let words: Vec<&str> = next.split_whitespace().collect();
        let slowest = ask(&week.bucket, &words).await;
        assert!(slowest.stdout.contains(CAUSE.action), "{next}: {slowest:?}");
    }
}

#[tokio::test]
async fn from_the_slowest_session_one_comes_to_its_timeline_and_traces() {
    const TRACES: (&str, &str) = ("TAGLINE__ANSWERS__TRACE_URL", "https://tempo.example/trace/{trace_id}");
    let week = week();
    let (range, from) = last_hours(week, 3);
    let arguments = ["slowest", "--tenant", "acme", "--most", "5", &range[0], &range[1]];
    let answer = json(&week.bucket, &arguments).await;
    let exact = week.events().filter(|event| event.tenant == "acme" && event.time_ms >= from);
    let exact = exact.max_by_key(|event| event.duration_ms).expect("an event");
    let first = &answer["rows"][0];
    assert_eq!(first["slowest_ms"], f64::from(exact.duration_ms), "{answer}");
    let told = ask_with(&week.bucket, &arguments, &[TRACES]).await;
    let next =
        told.stdout.lines().find_map(|line| line.strip_prefix("Next: tagline query ")).expect("the next question");
    let session = first["session"].as_str().expect("a session");
    assert!(next.starts_with(&format!("session {session} --tenant acme")), "{next}");
    let url = format!("https://tempo.example/trace/{}", first["trace_id"].as_str().expect("a trace"));
    assert!(told.stdout.contains(&url), "{}", told.stdout);

    let words: Vec<&str> = next.split_whitespace().collect();
    let timeline = json(&week.bucket, &words).await;
    let rows = timeline["rows"].as_array().expect("rows");
    let mine: Vec<&Event> = week.events().filter(|event| event.session() == session && event.time_ms >= from).collect();
    assert!(!mine.is_empty());
    let durations: Vec<f64> = rows.iter().filter_map(|row| row["duration_ms"].as_f64()).collect();
    assert_eq!(durations, mine.iter().map(|event| f64::from(event.duration_ms)).collect::<Vec<_>>(), "{timeline}");
    let ran = ask_with(&week.bucket, &words, &[TRACES, ("COLUMNS", "80")]).await;
    assert!(ran.stdout.starts_with(&format!("{session} of acme: ")), "{}", ran.stdout);
    assert!(ran.stdout.contains(&format!("Trace of the slowest: {url}")), "{}", ran.stdout);
}

#[tokio::test]
async fn tenants_are_told_by_their_p99_and_the_silent_ones_by_name() {
    let week = week();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("tagline.toml");
    let key = "origins = [\"*\"]\n";
    let tenants = ["acme", "globex", "initech", "hooli"];
    let keys = tenants.map(|id| format!("[tenants.{id}.keys.web]\nkey = \"{id}-0123456789abcdefghij\"\n{key}"));
    std::fs::write(&config, keys.concat()).unwrap();
    let config = config.display().to_string();
    let (range, _) = last_hours(week, 24);
    let ran = ask(&week.bucket, &["tenants", "--config", &config, &range[0], &range[1], "--raw"]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert!(
        lines[0].starts_with("3 tenants sent events") && lines[0].contains("the slowest is acme: P99 "),
        "{}",
        lines[0]
    );
    let order: Vec<&str> = lines[3..6].iter().map(|line| line.split(' ').next().unwrap_or_default()).collect();
    assert_eq!(order, ["acme", "globex", "initech"]);
    assert!(lines.contains(&"Silent: hooli."), "{}", ran.stdout);
}

#[tokio::test]
async fn every_question_has_rows_as_json_and_csv_and_its_flux_runs_as_it_is_printed() {
    let week = week();
    let (range, _) = last_hours(week, 2);
    let session = week.events().filter(|event| event.tenant == "acme").last().expect("an event").session();
    for question in [
        &["p99", "--tenant", "acme"][..],
        &["compare", "--tenants", "acme,globex"],
        &["explain", "--tenants", "acme,globex"],
        &["session", &session, "--tenant", "acme"],
        &["slowest", "--tenant", "acme"],
        &["tenants"],
        &["run", "summary", "--set", "tenant=globex"],
        &["run", "percentiles", "--set", "every=30m"],
    ] {
        let question = [question, &[range[0].as_str(), range[1].as_str()][..]].concat();
        let rows = json(&week.bucket, &question).await["rows"].as_array().expect("rows").clone();
        assert!(!rows.is_empty(), "{question:?}");

        let csv = ask(&week.bucket, &[&question[..], &["--csv"]].concat()).await;
        let mut reader = csv::Reader::from_reader(csv.stdout.as_bytes());
        let names: Vec<String> = reader.headers().expect("names").iter().map(str::to_owned).collect();
        let records: Vec<_> = reader.records().map(|record| record.expect("a record")).collect();
        assert_eq!(records.len(), rows.len(), "{question:?}");
        for (record, row) in records.iter().zip(&rows) {
            for (name, cell) in names.iter().zip(record) {
                let same = match &row[name] {
                    Value::Null => cell.is_empty(),
                    Value::String(text) => text == cell,
                    Value::Number(number) => cell.parse::<f64>().ok() == number.as_f64(),
                    other => *other == *cell,
                };
                assert!(same, "{question:?} {name}: {cell} and {}", row[name]);
            }
        }

        // Without an InfluxDB.
        let flux = crate::support::tagline(
            std::path::Path::new("/"),
            &[&["query"], &question[..], &["--flux", "--bucket", week.bucket.name()]].concat(),
            &[],
        )
        .await;
        assert_eq!((flux.code, flux.stderr.as_str()), (Some(0), ""), "{question:?}");
        let by_hand = week.bucket.query(&flux.stdout).await;
        assert_eq!(by_hand.len(), rows.len(), "{question:?}");
        for (by_hand, row) in by_hand.iter().zip(&rows) {
            for (name, value) in row.as_object().expect("an object").iter().filter(|(_, value)| value.is_number()) {
                assert_eq!(by_hand.float(name), value.as_f64().unwrap(), "{question:?} {name}");
            }
        }
    }
}

#[tokio::test]
async fn where_the_rollups_have_nothing_the_points_answer_and_it_is_said() {
    let week = week();
    let empty = influx().bucket("no-rollups");
    for (rollups, word) in [(empty.name(), "holds no rollups"), ("no-such-bucket", "there is no bucket no-such-bucket")]
    {
        let environment = [("TAGLINE__ANSWERS__ROLLUP_BUCKET", rollups)];
        let ran = ask_with(&week.bucket, &["p99", "--tenant", "acme", "--since", "12h"], &environment).await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.stdout.contains(word) && ran.stdout.contains("points of"), "{}", ran.stdout);
    }
}

#[tokio::test]
async fn a_tenant_that_sent_nothing_is_an_answer_with_its_last_event_and_exit_code_1() {
    let bucket = influx().bucket("silent");
    let hours_ago = |hours: i64| (now_ms() - hours * 3_600_000) * 1_000_000;
    let line = |tenant: &str, at: i64| {
        format!("frontend_performance,tenant_id={tenant},view_name=V,action_name=a duration_ms=5i {at}\n")
    };
    let stored = bucket
        .write([line("acme", hours_ago(3)), line("acme", hours_ago(5)), line("acme-2", hours_ago(0))].concat())
        .await;
    assert_eq!(stored.status, 204, "{}", stored.text());
    for (arguments, word) in [
        (&["p99", "--tenant", "acme"][..], "acme has no event with a duration in the last 1h. Its last event came 3h"),
        (
            &["compare", "--tenants", "acme-2,acme"],
            "acme has no event with a duration in the last 1h. Its last event came 3h",
        ),
        (&["explain", "--tenants", "acme-2,acme"], "Its last event came 3h"),
        (&["slowest", "--tenant", "acme"], "Its last event came 3h"),
        (&["p99", "--tenant", "acm"], "is acm the right id?"),
        (
            &["p99", "--tenant", "acme-2", "--view", "W"],
            "acme-2 has no event with a duration in W in the last 1h. Its last event came",
        ),
        (&["session", "s-1", "--tenant", "acme"], "no event of the session \"s-1\" in the last 24h"),
        (&["run", "explain", "--set", "tenant_a=acme"], "explain has no rows"),
        (&["tenants", "--from", "2020-01-01", "--until", "2020-01-01T01:00Z"], "no tenant has an event"),
    ] {
        let ran = ask(&bucket, arguments).await;
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{arguments:?}: {ran:?}");
        assert!(ran.stderr.contains(word), "{arguments:?}: {}", ran.stderr);
    }
    // A program gets its object all the same, and the exit code.
    let ran = ask(&bucket, &["p99", "--tenant", "acme", "--json"]).await;
    let answer: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!((ran.code, answer["rows"].as_array().map(Vec::len)), (Some(1), Some(0)), "{ran:?}");
}
