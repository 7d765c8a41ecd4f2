//! What an answer looks like, of rows that are fixed.

use std::time::Duration;

use clap::Parser as _;

use super::super::super::terminal::Terminal;
use super::super::super::{Arguments, Command};
use super::super::bars::{Bar, fold, share, spark};
use super::super::desk::{Answer, Desk, Source};
use super::super::range::Range;
use super::super::shown::{rows, trace};
use super::super::{Question, compare, explain, p99, sessions, words};
use crate::answers::{Table, Value};
use crate::clock::Clock;
use crate::config::{Settings, Sources, load_without_destination};

/// 2026-11-22T03:24:30Z
const NOW: i64 = 1_795_317_870_000_000_000;
const MINUTE: i64 = 60_000_000_000;

fn settings(trace_url: &str) -> Settings {
    let env = vec![("TAGLINE__ANSWERS__TRACE_URL".to_owned(), trace_url.to_owned())];
    load_without_destination(&Sources { file: None, env }).unwrap_or_else(|findings| panic!("{findings}"))
}

fn question(line: &str) -> Question {
    let parsed = Arguments::try_parse_from(format!("tagline query {line}").split_whitespace()).expect("arguments");
    match parsed.command {
        Some(Command::Query(args)) => args.question,
        other => panic!("{other:?}"),
    }
}

/// Rows of texts (`text`), numbers (`1.5`), counts (`7i`) and minutes before now (`-3m`).
fn table(names: &[&str], lines: &[&[&str]]) -> Table {
    let kind = |cell: &str| match cell {
        _ if cell.ends_with('i') && cell.trim_end_matches('i').parse::<i64>().is_ok() => "long",
        _ if cell.starts_with('-') && cell.ends_with('m') => "dateTime:RFC3339",
        _ if cell.parse::<f64>().is_ok() => "double",
        _ => "string",
    };
    let kinds: Vec<&str> = (0..names.len())
        .map(|n| kind(lines.iter().map(|line| line[n]).find(|cell| !cell.is_empty()).unwrap_or_default()))
        .collect();
    let mut csv = format!(
        "#datatype,string,long,{}\n#default,_result,,{}\n,result,table,{}\n",
        kinds.join(","),
        ",".repeat(names.len() - 1),
        names.join(",")
    );
    for line in lines {
        let cells = line.iter().zip(&kinds).map(|(cell, kind)| match *kind {
            "long" => cell.trim_end_matches('i').to_owned(),
            "dateTime:RFC3339" => {
                let minutes: i64 = cell.trim_matches(['-', 'm']).parse().expect("minutes");
                crate::answers::table::rfc3339((NOW / MINUTE - minutes) * MINUTE)
            }
            "string" => format!("\"{}\"", cell.replace('"', "\"\"")),
            _ => (*cell).to_owned(),
        });
        csv.push_str(&format!(",,0,{}\n", cells.collect::<Vec<_>>().join(",")));
    }
    Table::parse(csv.as_bytes()).expect("annotated CSV")
}

fn answer(rows: Table) -> Answer {
    Answer { script: "queries/x", rows, source: Source::Points, bucket: "app_observability".into(), notes: Vec::new() }
}

/// What is printed, without how long it took.
fn shown(out: &[u8]) -> String {
    let text = std::str::from_utf8(out).expect("UTF-8");
    let (text, time) = text.trim_end().rsplit_once(" · ").expect("the time that it took");
    assert!(time.ends_with(" s"), "{time}");
    text.to_owned()
}

const fn plain(width: usize) -> Terminal {
    Terminal { width: Some(width), styled: false }
}

#[test]
fn p99_says_the_answer_first_and_draws_no_window_that_is_not_over() {
    let Question::P99(args) = question("p99 --tenant acme --since 10m --view CheckoutView") else { panic!() };
    let settings = settings("https://t/{trace_id}");
    let range = Range::last(Duration::from_secs(600), NOW);
    let windows = table(
        &["_time", "tenant_id", "events", "p50", "p95", "p99"],
        &[
            &["-10m", "acme", "120i", "50.0", "100.0", "200.0"],
            &["-9m", "acme", "110i", "51.0", "101.0", "1240.4"],
            // Nothing in between.
            &["-2m", "acme", "100i", "49.0", "99.0", "400.0"],
            &["-1m", "acme", "90i", "50.0", "98.0", "310.0"],
            &["-0m", "acme", "3i", "5.0", "8.25", "9.0"],
        ],
    );
    let whole = table(&["tenant_id", "events", "p50", "p95", "p99"], &[&["acme", "1423i", "50.2", "100.0", "1240.4"]]);
    let mut out = Vec::new();
    let desk = Desk::new(&args.common, &settings, &Clock::manual(NOW), plain(80));
    p99::print(&args, &desk, &range, Duration::from_secs(60), &mut answer(windows), &answer(whole), &mut out).unwrap();
    let expected = "\
acme in CheckoutView: P99 1,240 ms, P95 100 ms, P50 50 ms, of 1,423 events in the last 10m.

           range  at 03:23      peak  at     03:14 03:24
P99     1,240 ms    310 ms  1,240 ms  03:15  ▂█      ▃▂…
P95       100 ms     98 ms    101 ms  03:15  ██      ██…
P50        50 ms     50 ms     51 ms  03:15  ██      ██…
events     1,423        90       120  03:14  ██      ▇▆…

One bar: 1m; …: not over yet, and not drawn.
2026-11-22 03:14:30 to 03:24:30 UTC · points of app_observability";
    assert_eq!(shown(&out), expected);
}

#[test]
fn compare_draws_both_tenants_on_one_scale() {
    let Question::Compare(args) = question("compare --tenants acme,globex --since 3m") else { panic!() };
    let settings = settings("https://t/{trace_id}");
    let range = Range::last(Duration::from_secs(180), NOW);
    let windows = table(
        &["_time", "events_a", "events_b", "p99_a", "p99_b", "p99_difference"],
        &[
            &["-3m", "120i", "100i", "800.0", "100.0", "700.0"],
            &["-2m", "120i", "0i", "400.0", "", ""],
            &["-1m", "120i", "100i", "100.0", "200.0", "-100.0"],
        ],
    );
    let of = |tenant, p99| {
        answer(table(&["tenant_id", "events", "p50", "p95", "p99"], &[&[tenant, "50i", "8.25", "100.0", p99]]))
    };
    let mut out = Vec::new();
    let desk = Desk::new(&args.common, &settings, &Clock::manual(NOW), plain(80));
    let whole = [&of("acme", "712.2"), &of("globex", "200.4")];
    compare::print(&args, &desk, &range, Duration::from_secs(60), &mut answer(windows), whole, &mut out).unwrap();
    let expected = "\
acme's P99 is 512 ms above globex's: 712 ms against 200 ms, in the last 3m.

          acme  globex  difference
P99     712 ms  200 ms     +512 ms
P95     100 ms  100 ms        0 ms
P50     8.2 ms  8.2 ms        0 ms
events      50      50

P99         at 03:23     peak  at     03:21
acme          100 ms   800 ms  03:21  █▄▁
globex        200 ms   200 ms  03:23  ▁ ▂
difference   -100 ms  +700 ms  03:21  ▇ ▁

One bar: 1m.
Of only 50 events the P99 of acme is little more than the slowest of them.
Of only 50 events the P99 of globex is little more than the slowest of them.
2026-11-22 03:21:30 to 03:24:30 UTC · points of app_observability";
    assert_eq!(shown(&out), expected);
}

fn explained(best: &[&[&str]], p99: [&str; 2]) -> String {
    let Question::Explain(args) = question("explain --tenants acme,globex") else { panic!() };
    let settings = settings("https://t/{trace_id}");
    let range = Range::last(Duration::from_secs(3600), NOW);
    let names = [
        "segment",
        "view_name",
        "action_name",
        "browser",
        "events",
        "slow",
        "slow_share",
        "expected_share",
        "explains",
    ];
    let rows = if best.is_empty() { Table::default() } else { table(&names, best) };
    let of =
        |p99| answer(table(&["tenant_id", "events", "p50", "p95", "p99"], &[&["x", "5000i", "50.0", "100.0", p99]]));
    let mut out = Vec::new();
    let desk = Desk::new(&args.common, &settings, &Clock::manual(NOW), plain(80));
    let whole = p99.map(of);
    explain::print(&args, &desk, &range, &mut answer(rows), [&whole[0], &whole[1]], &mut out).unwrap();
    shown(&out)
}

#[test]
fn explain_names_the_cause_in_its_first_words_and_says_what_to_ask_next() {
    let rows: [&[&str]; 2] = [
        &["action_name=pay, browser=Chrome 131", "", "pay", "Chrome 131", "204i", "201i", "0.985", "0.0101", "0.93"],
        &[
            "view_name=ReportView, action_name=render the whole report again",
            "ReportView",
            "render the whole report again",
            "",
            "10i",
            "2i",
            "0.2",
            "0.05",
            "0.012",
        ],
    ];
    let expected = "\
action_name=pay, browser=Chrome 131 makes 93% of acme's surplus of slow events.
acme's P99 is 512 ms above globex's: 712 ms against 200 ms, in the last 1h.

segment                              explains       events  slow  of them  usual
pay · Chrome 131                      93% ███████▌     204   201      98%   1.0%
ReportView · render the whole repo…  1.2% ▏             10     2      20%   5.0%

Next: tagline query slowest --tenant acme --action pay --since 1h

Slow: longer than globex's P99 (200 ms). Usual: the share that is as slow at globex.
2026-11-22 02:24:30 to 03:24:30 UTC · points of app_observability";
    let text = explained(&rows, ["712.2", "200.4"]);
    assert_eq!(text, expected);
}

#[test]
fn explain_does_not_cry_where_nothing_is_slower() {
    let text = explained(&[], ["180.0", "200.4"]);
    let first: Vec<_> = text.lines().take(2).collect();
    let expected = [
        "No part of acme's events is slower than globex's would be.",
        "acme's P99 is 20 ms below globex's: 180 ms against 200 ms, in the last 1h.",
    ];
    assert_eq!(first, expected);
    assert!(!text.contains("Next:") && !text.contains("segment"), "{text}");
}

#[test]
fn the_slowest_sessions_lead_to_their_traces_and_to_the_next_question() {
    let Question::Slowest(args) = question("slowest --tenant acme --since 1h") else { panic!() };
    let range = Range::last(Duration::from_secs(3600), NOW);
    let rows = table(
        &["session", "events", "slowest_ms", "view_name", "action_name", "trace_id", "_time"],
        &[
            &["it's \u{1b}[2J", "12i", "2140.0", "CheckoutView", "pay", "4bf92f3577b34da6a3ce929d0e0e4736", "-3m"],
            &["8f14e45f", "7i", "640.0", "UserListView", "search", "", "-9m"],
        ],
    );
    let settings = settings("https://tempo.example/trace/{trace_id}");
    let mut out = Vec::new();
    let desk = Desk::new(&args.common, &settings, &Clock::manual(NOW), plain(80));
    let answer = answer(rows);
    sessions::table_of(&args, &desk, &range, &answer, answer.rows.first().unwrap(), &mut out).unwrap();
    let expected = "\
The slowest session of acme in the last 1h is it's \\u{1b}[2J: 2,140 ms in CheckoutView/pay.

session          slowest  in                   at        events
it's \\u{1b}[2J  2,140 ms  CheckoutView/pay     03:21:00      12
  https://tempo.example/trace/4bf92f3577b34da6a3ce929d0e0e4736
8f14e45f          640 ms  UserListView/search  03:15:00       7

Next: tagline query session 'it'\\''s \\u{1b}[2J' --tenant acme --since 1h

2026-11-22 02:24:30 to 03:24:30 UTC · points of app_observability";
    assert_eq!(shown(&out), expected);
}

#[test]
fn a_session_is_a_timeline_of_all_that_it_did() {
    let Question::Session(args) = question("session 8f14e45f --tenant acme --since 1h") else { panic!() };
    let range = Range::last(Duration::from_secs(3600), NOW);
    let rows = table(
        &[
            "_time",
            "measurement",
            "view_name",
            "action_name",
            "endpoint",
            "path",
            "duration_ms",
            "latency_ms",
            "value",
            "trace_id",
        ],
        &[
            &["-9m", "frontend_performance", "CheckoutView", "addItem", "", "", "80.0", "", "", ""],
            &["-8m", "backend_api_latency", "", "", "/pay", "", "", "40i", "", "abc"],
            &["-3m", "frontend_performance", "CheckoutView", "pay", "", "", "640.0", "", "", "abc"],
            &["-3m", "web_vitals_cls", "", "", "", "/checkout", "", "", "0.125", ""],
        ],
    );
    let settings = settings("https://t/{trace_id}");
    let mut out = Vec::new();
    let desk = Desk::new(&args.common, &settings, &Clock::manual(NOW), plain(100));
    sessions::timeline(&args, &desk, &range, &answer(rows), &mut out).unwrap();
    let expected = "\
8f14e45f of acme: 4 events in 6m, the slowest CheckoutView/pay with 640 ms at 03:21:00.000.

2026-11-22      after  what                        took            trace
03:15:00.000    +0.0s  CheckoutView/addItem       80 ms  █
03:16:00.000  +1m 00s  backend /pay               40 ms  ▌         abc
03:21:00.000  +6m 00s  CheckoutView/pay          640 ms  ████████  abc
03:21:00.000  +6m 00s  web_vitals_cls /checkout   0.125

Trace of the slowest: https://t/abc

2026-11-22 02:24:30 to 03:24:30 UTC · points of app_observability";
    assert_eq!(shown(&out), expected);
}

#[test]
fn bars_are_as_high_as_their_values_and_lose_no_peak_when_they_are_folded() {
    let of = |values: &[f64]| values.iter().copied().map(Bar::Of).collect::<Vec<_>>();
    assert_eq!(spark(&of(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]), 8.0), "▁▁▂▃▄▅▆▇█");
    assert_eq!(spark(&of(&[-5.0, f64::NAN, 0.0]), 0.0), "▁▁▁");
    assert_eq!(spark(&[Bar::Of(1.0), Bar::Gap, Bar::Partial, Bar::Gap], 1.0), "█ …");
    let folded = fold(&[Bar::Of(1.0), Bar::Of(9.0), Bar::Gap, Bar::Gap, Bar::Gap, Bar::Partial, Bar::Of(2.0)], 4);
    assert_eq!(folded, [Bar::Of(9.0), Bar::Gap, Bar::Partial, Bar::Of(2.0)]);
    assert_eq!(fold(&of(&[1.0, 2.0]), 60), of(&[1.0, 2.0]));
    assert_eq!(
        [0.0, 0.05, 0.5, 0.93, 1.0, 7.0, -1.0].map(|of| share(of, 4)),
        ["", "▎", "██", "███▊", "████", "████", ""]
    );
}

#[test]
fn numbers_have_units_and_no_digit_that_says_nothing() {
    assert_eq!(
        [1240.4, 9.96, 8.25, 0.0, 3.0].map(|n| words::ms(Some(n))),
        ["1,240 ms", "10 ms", "8.2 ms", "0 ms", "3 ms"]
    );
    assert_eq!([512.0, -20.2, 0.0].map(|n| words::difference(Some(n))), ["+512 ms", "-20 ms", "0 ms"]);
    assert_eq!([0.93, 0.0101, 0.0, 1.0].map(|n| words::percent(Some(n))), ["93%", "1.0%", "0%", "100%"]);
    assert_eq!((words::ms(None), words::count(None), words::percent(None)), ("-".into(), "-".into(), "-".into()));
    for (column, value, expected) in [
        ("p99_a", Value::Float(1240.4), "1,240 ms"),
        ("slowest_ms", Value::Int(12), "12 ms"),
        ("good_share", Value::Float(0.755), "76%"),
        ("apdex", Value::Float(0.9349), "0.93"),
        ("events", Value::Int(18_204), "18,204"),
        ("points", Value::UInt(3), "3"),
        ("path", Value::Text("/a".into()), "/a"),
        ("p", Value::Float(0.0012), "0.0012"),
        ("_time", Value::Time(NOW + 123_456_789), "2026-11-22T03:24:30.123Z"),
        ("_time", Value::Time(NOW), "2026-11-22T03:24:30Z"),
    ] {
        assert_eq!(words::cell(column, Some(&value)), expected, "{column}");
    }
}

#[test]
fn a_trace_that_is_none_leads_nowhere() {
    let url = "https://t/{trace_id}?x={trace_id}";
    assert_eq!(trace(url, "4bf92f35").as_deref(), Some("https://t/4bf92f35?x=4bf92f35"));
    for id in ["", "a b", "../../x", "a\u{1b}", "é", "a&b"] {
        assert_eq!(trace(url, id), None, "{id:?}");
    }
    let rows = rows(&table(&["trace_id", "n"], &[&["abc", "1i"], &["../x", ""]]), Some(url));
    assert_eq!(rows[0]["trace_url"], "https://t/abc?x=abc");
    assert_eq!((rows[1].get("trace_url"), &rows[1]["n"]), (None, &serde_json::Value::Null));
}
