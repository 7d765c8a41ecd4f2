//! Is a tenant slower than another, by how much, and since when?

use std::io::Write;
use std::time::Duration;

use clap::Args;
use futures_util::future::try_join3;
use serde_json::json;

use super::super::Failure;
use super::super::table::{Column, Table};
use super::desk::{Answer, Desk, text};
use super::p99::few;
use super::range::Range;
use super::shown::{Asked, head, lines, rows};
use super::windows::Windows;
use super::words::{Words, count, difference, length, ms};
use super::{Common, Detail, tenants};
use crate::answers::Literal;
use crate::config::TenantId;

const HOUR: Duration = Duration::from_secs(3600);

#[derive(Args, Clone, Debug)]
pub(super) struct CompareArgs {
    /// Which two, with a comma between: the first is compared with the second
    #[arg(long, value_name = "A,B", value_parser = tenants)]
    tenants: [TenantId; 2],
    #[command(flatten)]
    detail: Detail,
    #[command(flatten)]
    pub(super) common: Common,
}

pub(super) async fn run(args: &CompareArgs, desk: &Desk<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    let [a, b] = &args.tenants;
    let range = desk.range(HOUR)?;
    let every = args.detail.every(&range)?;
    let apart = desk.bucket_of(a) != desk.bucket_of(b);
    if apart && args.detail.raw {
        return Err(Failure::Misuse(format!(
            "{a} and {b} lie in two buckets, whose points cannot be put side by side: leave out --raw, and the rollups of both are compared"
        )));
    }
    let long = (range.is_long() || apart) && !args.detail.raw;
    let query = |rollups: bool| {
        let mut values = args.detail.values();
        values.extend([("tenant_a", text(a)), ("tenant_b", text(b)), ("every", Literal::duration(every))]);
        let name = if rollups { "compare-rollup" } else { "compare" };
        desk.query(name, &desk.bucket_of(a), &range, values)
    };
    let summary = |tenant: &TenantId, rollups: bool| {
        let mut values = args.detail.values();
        values.push(("tenant", text(tenant)));
        let name = if rollups { "summary-rollup" } else { "summary" };
        desk.query(name, &desk.bucket_of(tenant), &range, values)
    };
    if desk.only_flux(&query(long)?, out)? {
        return Ok(());
    }
    let reader = desk.reader()?;
    let windows = async {
        if apart {
            // Of the points of one bucket half an answer would be made.
            return desk.ask(&reader, query(true)?).await;
        }
        desk.best(&reader, long, query).await
    };
    let (mut answer, of_a, of_b) = try_join3(
        windows,
        desk.best(&reader, long, |rollups| summary(a, rollups)),
        desk.best(&reader, long, |rollups| summary(b, rollups)),
    )
    .await?;
    let asked = Asked {
        question: "compare",
        range: &range,
        with: vec![
            ("tenants", json!([a.as_str(), b.as_str()])),
            ("view", json!(args.detail.view)),
            ("action", json!(args.detail.action)),
            ("every", json!(length(every))),
            ("summary", json!([rows(&of_a.rows, None)[0], rows(&of_b.rows, None)[0]])),
        ],
    };
    let programs = desk.for_programs(&asked, &answer, out)?;
    for (tenant, of) in [(a, &of_a), (b, &of_b)] {
        if of.rows.is_empty() {
            return Err(desk.nothing_of(&reader, tenant, &range, &args.detail.what()).await);
        }
    }
    if programs {
        return Ok(());
    }
    print(args, desk, &range, every, &mut answer, [&of_a, &of_b], out)
}

pub(super) fn print(
    args: &CompareArgs,
    desk: &Desk<'_>,
    range: &Range,
    every: Duration,
    answer: &mut Answer,
    whole: [&Answer; 2],
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let [a, b] = &args.tenants;
    let [of_a, of_b] = whole.map(|answer| answer.rows.first());
    let pair = |column: &str| [of_a, of_b].map(|row| row.and_then(|row| row.number(column)));
    let within = args.detail.within();
    head(desk.terminal, &format!("{}, in {}.", against([a, b], pair("p99"), &within), range.said()), out)?;

    let mut table = Table::new([
        Column::left(""),
        Column::right(a.as_str()),
        Column::right(b.as_str()),
        Column::right("difference"),
    ]);
    for (name, column) in [("P99", "p99"), ("P95", "p95"), ("P50", "p50")] {
        let [of_a, of_b] = pair(column);
        let between = of_a.zip(of_b).map(|(a, b)| a - b);
        table.row([name.into(), ms(of_a).into(), ms(of_b).into(), difference(between).into()]);
    }
    let [of_a, of_b] = pair("events");
    table.row(["events".into(), count(of_a).into(), count(of_b).into()]);
    lines(&table.lines(desk.terminal), out)?;

    let windows = Windows::new(range, every);
    let shown: [(&str, &str, Words); 3] =
        [(a.as_str(), "p99_a", ms), (b.as_str(), "p99_b", ms), ("difference", "p99_difference", difference)];
    let columns = |last| {
        let latest = windows.latest_title(&answer.rows);
        [Column::left("P99").least(10), Column::right(latest), Column::right("peak"), Column::left("at"), last]
    };
    let cells = |name: &str, column: &str, word: Words| {
        let seen = windows.seen(&answer.rows, column);
        let at = seen.peak.map(|(_, at)| windows.at(at)).unwrap_or_default();
        [name.into(), word(seen.latest).into(), word(seen.peak.map(|(value, _)| value)).into(), at.into()]
    };
    let mut measured = Table::new(columns(Column::left("")));
    for (name, column, word) in shown {
        measured.row(cells(name, column, word));
    }
    let bars: Vec<_> = shown.iter().map(|(_, column, _)| windows.bars(&answer.rows, column)).collect();
    // One scale for all three, or a small difference would look like a large one.
    let scale = Windows::scale(&bars);
    let count = bars.first().map_or(0, Vec::len);
    let room = Windows::room(count, measured.before_last(), desk.terminal);
    let mut over_time = Table::new(columns(windows.title(count, room)));
    for ((name, column, word), bars) in shown.into_iter().zip(&bars) {
        over_time.row(cells(name, column, word).into_iter().chain([Windows::line(bars, scale, room).into()]));
    }
    writeln!(out).map_err(super::desk::unwritten)?;
    lines(&over_time.lines(desk.terminal), out)?;
    answer.notes.insert(0, windows.legend(&bars, room));
    answer.notes.extend(windows.sparse(&answer.rows, "events_a"));
    answer.notes.extend(few(&[(a, of_a), (b, of_b)]));
    desk.foot(range, answer, out)
}

/// `acme's P99 is 512 ms above globex's: 1,240 ms against 728 ms`
pub(super) fn against(tenants: [&TenantId; 2], p99: [Option<f64>; 2], within: &str) -> String {
    let [a, b] = tenants;
    let [of_a, of_b] = p99;
    let between = of_a.zip(of_b).map(|(a, b)| a - b);
    let numbers = format!("{} against {}", ms(of_a), ms(of_b));
    match between {
        Some(between) if between >= 0.5 => format!("{a}'s P99{within} is {} above {b}'s: {numbers}", ms(Some(between))),
        Some(between) if between <= -0.5 => {
            format!("{a}'s P99{within} is {} below {b}'s: {numbers}", ms(Some(-between)))
        }
        _ => format!("{a}'s P99{within} is that of {b}: {numbers}"),
    }
}
