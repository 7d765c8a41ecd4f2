//! Whose sessions were slow, and what happened in one?

use std::io::Write;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::super::Failure;
use super::super::table::{Cell, Column, Table};
use super::super::terminal::clean;
use super::bars::share;
use super::desk::{Answer, Desk, text, unwritten};
use super::range::{Range, show};
use super::shown::{Asked, head, lines, trace};
use super::words::{count, events, ms};
use super::{Common, most, name, session, tenant};
use crate::answers::{Literal, Row};
use crate::config::TenantId;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
/// How long the bar of the slowest event is.
const WIDTH: u8 = 8;

#[derive(Args, Clone, Debug)]
pub(super) struct SessionArgs {
    /// The session's id
    #[arg(value_name = "ID", value_parser = session)]
    session: String,
    /// Whose session
    #[arg(long, value_parser = tenant)]
    tenant: TenantId,
    #[command(flatten)]
    pub(super) common: Common,
}

#[derive(Args, Clone, Debug)]
pub(super) struct SlowestArgs {
    /// Whose sessions
    #[arg(long, value_parser = tenant)]
    tenant: TenantId,
    /// Only this view
    #[arg(long, value_parser = name)]
    view: Option<String>,
    /// Only this action
    #[arg(long, value_parser = name)]
    action: Option<String>,
    /// At most so many rows [default: 10]
    #[arg(long, value_parser = most)]
    most: Option<u32>,
    #[command(flatten)]
    pub(super) common: Common,
}

/// `tagline query session`
pub(super) async fn one(args: &SessionArgs, desk: &Desk<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    let range = desk.range(DAY)?;
    let values = vec![("tenant", text(&args.tenant)), ("session", Literal::text(&args.session))];
    let query = desk.query("session", &desk.bucket_of(&args.tenant), &range, values)?;
    if desk.only_flux(&query, out)? {
        return Ok(());
    }
    let answer = desk.ask(&desk.reader()?, query).await?;
    let asked = Asked {
        question: "session",
        range: &range,
        with: vec![("tenant", json!(args.tenant.as_str())), ("session", json!(args.session))],
    };
    let programs = desk.for_programs(&asked, &answer, out)?;
    if answer.rows.is_empty() {
        return Err(Failure::Failed(format!(
            "{} has no event of the session {:?} in {}. Look further back (--since 7d), or is it another tenant's?",
            args.tenant,
            args.session,
            range.said()
        )));
    }
    if programs { Ok(()) } else { timeline(args, desk, &range, &answer, out) }
}

pub(super) fn timeline(
    args: &SessionArgs,
    desk: &Desk<'_>,
    range: &Range,
    answer: &Answer,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let times = || answer.rows.rows().filter_map(|row| row.time("_time"));
    let (first, last) = (times().min().unwrap_or(range.from), times().max().unwrap_or(range.until));
    let longest = answer.rows.rows().filter_map(|row| Some((took(row)?, row)));
    let longest = longest.reduce(|longest, next| if next.0 > longest.0 { next } else { longest });
    let top = longest.map_or(0.0, |(took, _)| took);
    let slowest = longest.map_or_else(String::new, |(took, row)| {
        let at = row.time("_time").map(|at| format!(" at {}", milliseconds(at))).unwrap_or_default();
        format!(", the slowest {} with {}{at}", clean(&what(row)), ms(Some(took)))
    });
    #[expect(clippy::cast_precision_loss, reason = "rows that fit in memory")]
    let number = events(Some(answer.rows.len() as f64));
    let length = super::range::ago(first, last);
    let sentence = format!("{} of {}: {number} in {length}{slowest}.", clean(&args.session), args.tenant);
    head(desk.terminal, &sentence, out)?;
    let mut table = Table::new([
        Column::left(show(first).get(..10).unwrap_or("time").to_owned()),
        Column::right("after"),
        Column::left("what").least(16),
        Column::right("took"),
        Column::left(""),
        Column::left("trace"),
    ]);
    for row in answer.rows.rows() {
        let at = row.time("_time");
        let length = took(row);
        let bar = length.filter(|_| top > 0.0).map(|length| share(length / top, WIDTH));
        table.row([
            at.map(milliseconds).unwrap_or_default().into(),
            at.map(|at| after(at - first)).unwrap_or_default().into(),
            what(row).into(),
            length.map(|length| ms(Some(length))).or_else(|| other(row)).unwrap_or_default().into(),
            bar.unwrap_or_default().into(),
            desk.short_trace(row),
        ]);
    }
    lines(&table.lines(desk.terminal), out)?;
    if let Some((_, row)) = longest.filter(|(_, row)| desk.terminal.width.is_some() && row.text("trace_id").is_some()) {
        let id = row.text("trace_id").unwrap_or_default();
        let url = desk.trace_url(id).unwrap_or_else(|| id.to_owned());
        writeln!(out, "\nTrace of the slowest: {}", clean(&url)).map_err(unwritten)?;
    }
    desk.foot(range, answer, out)
}

/// `tagline query slowest`
pub(super) async fn slowest(args: &SlowestArgs, desk: &Desk<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    let range = desk.range(HOUR)?;
    let mut values = vec![("tenant", text(&args.tenant))];
    values.extend(args.most.map(|most| ("most", Literal::int(i64::from(most)))));
    for (name, value) in [("view", &args.view), ("action", &args.action)] {
        values.extend(value.as_deref().map(|value| (name, Literal::text(value))));
    }
    let query = desk.query("slowest-sessions", &desk.bucket_of(&args.tenant), &range, values)?;
    if desk.only_flux(&query, out)? {
        return Ok(());
    }
    let reader = desk.reader()?;
    let answer = desk.ask(&reader, query).await?;
    let asked = Asked {
        question: "slowest",
        range: &range,
        with: vec![("tenant", json!(args.tenant.as_str())), ("view", json!(args.view)), ("action", json!(args.action))],
    };
    let programs = desk.for_programs(&asked, &answer, out)?;
    let Some(first) = answer.rows.first() else {
        return Err(desk.nothing_of(&reader, &args.tenant, &range, "event with a session and a duration").await);
    };
    if programs {
        return Ok(());
    }
    table_of(args, desk, &range, &answer, first, out)
}

pub(super) fn table_of(
    args: &SlowestArgs,
    desk: &Desk<'_>,
    range: &Range,
    answer: &Answer,
    first: Row<'_>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let id = first.text("session").unwrap_or_default();
    let sentence = format!(
        "The slowest session of {} in {} is {}: {} in {}.",
        args.tenant,
        range.said(),
        clean(id),
        ms(first.number("slowest_ms")),
        clean(&what(first))
    );
    head(desk.terminal, &sentence, out)?;
    let mut table = Table::new([
        Column::left("session"),
        Column::right("slowest"),
        Column::left("in").least(12),
        Column::left("at"),
        Column::right("events"),
        Column::left("trace").below(),
    ]);
    for row in answer.rows.rows() {
        let at = row.time("_time").map(|at| range.short(at, Duration::from_secs(1)));
        table.row([
            row.text("session").unwrap_or("-").into(),
            ms(row.number("slowest_ms")).into(),
            what(row).into(),
            at.unwrap_or_default().into(),
            count(row.number("events")).into(),
            desk.trace(row),
        ]);
    }
    lines(&table.lines(desk.terminal), out)?;
    writeln!(out, "\nNext: tagline query session {} --tenant {} {}", quoted(id), args.tenant, range.arguments())
        .map_err(unwritten)?;
    desk.foot(range, answer, out)
}

impl Desk<'_> {
    /// A row's trace: where it is looked at, if the settings say so.
    fn trace(&self, row: Row<'_>) -> Cell {
        let id = row.text("trace_id").unwrap_or_default();
        self.trace_url(id).map_or_else(|| id.into(), |url| Cell::link(id, url, self.terminal))
    }

    /// The same in a line that has much else to say: its first characters, where the width is bounded.
    fn short_trace(&self, row: Row<'_>) -> Cell {
        if self.terminal.width.is_none() {
            return self.trace(row);
        }
        let id = row.text("trace_id").unwrap_or_default();
        let short: String = id.chars().take(8).collect();
        match self.trace_url(id).filter(|_| self.terminal.styled) {
            Some(url) => Cell::link(&short, url, self.terminal),
            None => short.into(),
        }
    }

    fn trace_url(&self, id: &str) -> Option<String> {
        self.settings.answers.trace_url.as_deref().and_then(|url| trace(url, id))
    }
}

/// A session's id for a POSIX shell: it is a stranger's text.
pub(super) fn quoted(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:/@%+-".contains(&byte);
    if text.bytes().all(plain) && !text.starts_with('-') {
        return text.to_owned();
    }
    clean(&format!("'{}'", text.replace('\'', r"'\''")))
}

/// Where a row comes from: a view and its action, an endpoint, or a measurement of its own.
fn what(row: Row<'_>) -> String {
    let text = |column| row.text(column).filter(|text| !text.is_empty());
    match (text("view_name"), text("action_name"), text("endpoint")) {
        (Some(view), Some(action), _) => format!("{view}/{action}"),
        (Some(view), None, _) => view.to_owned(),
        (None, Some(action), _) => action.to_owned(),
        (None, None, Some(endpoint)) => format!("backend {endpoint}"),
        (None, None, None) => {
            let measurement = text("measurement").or(text("_measurement")).unwrap_or("-");
            text("path").map_or_else(|| measurement.to_owned(), |path| format!("{measurement} {path}"))
        }
    }
}

/// How long it took, where that is what was measured.
fn took(row: Row<'_>) -> Option<f64> {
    row.number("duration_ms").or_else(|| row.number("latency_ms"))
}

/// A value that is no length of time.
fn other(row: Row<'_>) -> Option<String> {
    let value = row.number("value")?;
    Some(if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.3}") })
}

/// `03:12:09.120`
fn milliseconds(at: i64) -> String {
    let text = show(at);
    format!("{}.{:03}", text.get(11..).unwrap_or_default(), at.div_euclid(1_000_000).rem_euclid(1000))
}

/// `+4.2s`, `+3m 10s`
fn after(nanos: i64) -> String {
    let milliseconds = nanos.max(0) / 1_000_000;
    let seconds = milliseconds / 1000;
    match (seconds / 3600, seconds % 3600 / 60, seconds % 60) {
        (0, 0, seconds) => format!("+{seconds}.{}s", milliseconds % 1000 / 100),
        (0, minutes, seconds) => format!("+{minutes}m {seconds:02}s"),
        (hours, minutes, _) => format!("+{hours}h {minutes:02}m"),
    }
}
