//! What makes one tenant slower than another?

use std::io::Write;
use std::time::Duration;

use clap::Args;
use futures_util::future::try_join3;
use serde_json::json;

use super::super::Failure;
use super::super::table::{Column, Table};
use super::compare::against;
use super::desk::{Answer, Desk, text, unwritten};
use super::p99::few;
use super::range::Range;
use super::shown::{Asked, lines, rows};
use super::words::{count, ms, percent};
use super::{Common, bars, most, tenants};
use crate::answers::{Literal, Row, Value};
use crate::config::TenantId;

const HOUR: Duration = Duration::from_secs(3600);
/// How long the bar of the whole difference is.
const WIDTH: u8 = 8;

#[derive(Args, Clone, Debug)]
pub(super) struct ExplainArgs {
    /// Which two, with a comma between: why is the first slower than the second?
    #[arg(long, value_name = "A,B", value_parser = tenants)]
    tenants: [TenantId; 2],
    /// One to four tags to look for the cause in, with commas between [default: view_name,action_name,browser,region]
    #[arg(long, value_name = "TAGS", value_delimiter = ',', value_parser = tag)]
    by: Vec<String>,
    /// At most so many rows [default: 3]
    #[arg(long, value_parser = most)]
    most: Option<u32>,
    #[command(flatten)]
    pub(super) common: Common,
}

/// A tag's name, as the gateway takes them.
fn tag(text: &str) -> Result<String, String> {
    let mut bytes = text.bytes();
    let begins = bytes.next().is_some_and(|first| first.is_ascii_alphabetic());
    let goes_on = bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte));
    if begins && goes_on && text.len() <= 64 { Ok(text.to_owned()) } else { Err("no tag has that name".to_owned()) }
}

pub(super) async fn run(args: &ExplainArgs, desk: &Desk<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    let [a, b] = &args.tenants;
    let range = desk.range(HOUR)?;
    let bucket = desk.bucket_of(a);
    if bucket != desk.bucket_of(b) {
        return Err(Failure::Misuse(format!(
            "{a} and {b} lie in two buckets, and explain reads the points of one: `tagline query compare` puts their rollups side by side"
        )));
    }
    let mut values = vec![("tenant_a", text(a)), ("tenant_b", text(b))];
    values.extend(args.most.map(|most| ("most", Literal::int(i64::from(most)))));
    if args.by.len() > 4 {
        return Err(Failure::Misuse(format!("--by: one to four tags, not {}", args.by.len())));
    }
    if !args.by.is_empty() {
        values.push(("dimensions", Literal::texts(args.by.iter().map(String::as_str))));
    }
    let query = desk.query("explain", &bucket, &range, values)?;
    if desk.only_flux(&query, out)? {
        return Ok(());
    }
    let reader = desk.reader()?;
    let summary = |tenant: &TenantId| desk.query("summary", &bucket, &range, vec![("tenant", text(tenant))]);
    let (of_a, of_b) = (summary(a)?, summary(b)?);
    let (mut answer, of_a, of_b) =
        try_join3(desk.ask(&reader, query), desk.ask(&reader, of_a), desk.ask(&reader, of_b)).await?;
    let asked = Asked {
        question: "explain",
        range: &range,
        with: vec![
            ("tenants", json!([a.as_str(), b.as_str()])),
            ("summary", json!([rows(&of_a.rows, None)[0], rows(&of_b.rows, None)[0]])),
        ],
    };
    let programs = desk.for_programs(&asked, &answer, out)?;
    for (tenant, of) in [(a, &of_a), (b, &of_b)] {
        if of.rows.is_empty() {
            return Err(desk.nothing_of(&reader, tenant, &range, "event with a duration").await);
        }
    }
    if programs {
        return Ok(());
    }
    print(args, desk, &range, &mut answer, [&of_a, &of_b], out)
}

pub(super) fn print(
    args: &ExplainArgs,
    desk: &Desk<'_>,
    range: &Range,
    answer: &mut Answer,
    whole: [&Answer; 2],
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let [a, b] = &args.tenants;
    let of = |column: &str| whole.map(|answer| answer.rows.first().and_then(|row| row.number(column)));
    let p99 = of("p99");
    let difference = against([a, b], p99, "");
    let best = answer.rows.first().and_then(|row| Some((row.text("segment")?.to_owned(), row.number("explains")?)));
    let sentence = match &best {
        Some((segment, share)) if *share > 0.0 => format!(
            "{} makes {} of {a}'s surplus of slow events.",
            super::super::terminal::clean(segment),
            percent(Some(*share))
        ),
        _ => format!("No part of {a}'s events is slower than {b}'s would be."),
    };
    writeln!(out, "{}", desk.terminal.bold(&sentence)).map_err(unwritten)?;
    writeln!(out, "{difference}, in {}.", range.said()).map_err(unwritten)?;
    let mut table = Table::new([
        Column::left("segment").least(24),
        Column::left("explains"),
        Column::right("events"),
        Column::right("slow"),
        Column::right("of them"),
        Column::right("usual"),
    ]);
    for row in answer.rows.rows() {
        let explains = row.number("explains").unwrap_or(0.0);
        table.row([
            named(row).into(),
            format!("{:>4} {}", percent(Some(explains)), bars::share(explains, WIDTH)).into(),
            count(row.number("events")).into(),
            count(row.number("slow")).into(),
            percent(row.number("slow_share")).into(),
            percent(row.number("expected_share")).into(),
        ]);
    }
    if !answer.rows.is_empty() {
        writeln!(out).map_err(unwritten)?;
        lines(&table.lines(desk.terminal), out)?;
    }
    let threshold = ms(p99[1]);
    answer.notes.push(format!("Slow: longer than {b}'s P99 ({threshold}). Usual: the share that is as slow at {b}."));
    answer.notes.extend(few(&[(a, of("events")[0]), (b, of("events")[1])]));
    let view = answer.rows.first().map(within).unwrap_or_default();
    let next = format!("\nNext: tagline query slowest --tenant {a}{view} {}", range.arguments());
    if best.is_some() {
        writeln!(out, "{next}").map_err(unwritten)?;
    }
    desk.foot(range, answer, out)
}

/// The segment without the names of its tags, which the first line says: `CheckoutView · pay · Chrome 131`.
fn named(row: Row<'_>) -> String {
    let tags = row.cells().filter_map(|(name, value)| match value {
        Some(Value::Text(text)) if name != "segment" => Some(text.as_str()),
        _ => None,
    });
    let tags = tags.collect::<Vec<_>>().join(" · ");
    if tags.is_empty() { row.text("segment").unwrap_or("all").to_owned() } else { tags }
}

/// The segment as arguments, as far as there are such.
fn within(row: Row<'_>) -> String {
    let given = [("view", "view_name"), ("action", "action_name")].into_iter().filter_map(|(name, column)| {
        let value = row.text(column)?;
        Some(format!(" --{name} {}", super::sessions::quoted(value)))
    });
    given.collect()
}
