//! How slow is a tenant, and since when?

use std::io::Write;
use std::time::Duration;

use clap::Args;
use futures_util::future::try_join;
use serde_json::json;

use super::super::Failure;
use super::super::table::{Cell, Column, Table};
use super::desk::{Answer, Desk, Query, Values, text};
use super::range::Range;
use super::shown::{Asked, head, lines, rows};
use super::windows::{Seen, Windows};
use super::words::{Words, count, events, length, ms};
use super::{Common, Detail, tenant};
use crate::answers::{Literal, Reader};
use crate::config::TenantId;

const HOUR: Duration = Duration::from_secs(3600);

/// Of fewer events the P99 is about the slowest.
pub(super) const FEW: f64 = 100.0;

#[derive(Args, Clone, Debug)]
pub(super) struct P99Args {
    /// Which tenant
    #[arg(long, value_parser = tenant)]
    tenant: TenantId,
    #[command(flatten)]
    detail: Detail,
    #[command(flatten)]
    pub(super) common: Common,
}

pub(super) async fn run(args: &P99Args, desk: &Desk<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    let range = desk.range(HOUR)?;
    let every = args.detail.every(&range)?;
    let bucket = desk.bucket_of(&args.tenant);
    let long = range.is_long() && !args.detail.raw;
    let query = |name: &str, rollups: bool| {
        let mut values = args.detail.values();
        values.push(("tenant", text(&args.tenant)));
        if name == "percentiles" {
            values.push(("every", Literal::duration(every)));
        }
        let suffix = if rollups { "-rollup" } else { "" };
        desk.query(&format!("{name}{suffix}"), &bucket, &range, values)
    };
    if desk.only_flux(&query("percentiles", long)?, out)? {
        return Ok(());
    }
    let reader = desk.reader()?;
    let windows = desk.best(&reader, long, |rollups| query("percentiles", rollups));
    let whole = desk.best(&reader, long, |rollups| query("summary", rollups));
    let (mut answer, whole) = try_join(windows, whole).await?;
    let asked = Asked {
        question: "p99",
        range: &range,
        with: vec![
            ("tenant", json!(args.tenant.as_str())),
            ("view", json!(args.detail.view)),
            ("action", json!(args.detail.action)),
            ("every", json!(length(every))),
            ("summary", rows(&whole.rows, None)),
        ],
    };
    let empty = answer.rows.is_empty();
    let programs = desk.for_programs(&asked, &answer, out)?;
    if empty {
        let what = args.detail.what();
        return Err(desk.nothing_of(&reader, &args.tenant, &range, &what).await);
    }
    if programs {
        return Ok(());
    }
    print(args, desk, &range, every, &mut answer, &whole, out)
}

pub(super) fn print(
    args: &P99Args,
    desk: &Desk<'_>,
    range: &Range,
    every: Duration,
    answer: &mut Answer,
    whole: &Answer,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let windows = Windows::new(range, every);
    let of_range = |column: &str| whole.rows.first().and_then(|row| row.number(column));
    let sentence = format!(
        "{}{}: P99 {}, P95 {}, P50 {}, of {} in {}.",
        args.tenant,
        args.detail.within(),
        ms(of_range("p99")),
        ms(of_range("p95")),
        ms(of_range("p50")),
        events(of_range("events")),
        range.said()
    );
    head(desk.terminal, &sentence, out)?;

    let shown: [(&str, &str, Words); 4] =
        [("P99", "p99", ms), ("P95", "p95", ms), ("P50", "p50", ms), ("events", "events", count)];
    let columns = |last| {
        let latest = windows.latest_title(&answer.rows);
        [
            Column::left(""),
            Column::right("range"),
            Column::right(latest),
            Column::right("peak"),
            Column::left("at"),
            last,
        ]
    };
    let cells = |name: &str, column: &str, word: Words| {
        let Seen { latest, peak } = windows.seen(&answer.rows, column);
        let at = peak.map(|(_, at)| windows.at(at)).unwrap_or_default();
        let peak = word(peak.map(|(value, _)| value));
        [name.into(), word(of_range(column)).into(), word(latest).into(), peak.into(), at.into()].map(|cell: Cell| cell)
    };
    let mut measured = Table::new(columns(Column::left("")));
    for (name, column, word) in shown {
        measured.row(cells(name, column, word));
    }
    let bars = shown.map(|(_, column, _)| windows.bars(&answer.rows, column));
    let count = bars.first().map_or(0, Vec::len);
    let room = Windows::room(count, measured.before_last(), desk.terminal);
    let mut table = Table::new(columns(windows.title(count, room)));
    for ((name, column, word), bars) in shown.into_iter().zip(&bars) {
        let line = Windows::line(bars, Windows::scale(std::slice::from_ref(bars)), room);
        table.row(cells(name, column, word).into_iter().chain([line.into()]));
    }
    lines(&table.lines(desk.terminal), out)?;
    answer.notes.insert(0, windows.legend(&bars, room));
    answer.notes.extend(windows.sparse(&answer.rows, "events"));
    answer.notes.extend(few(&[(&args.tenant, of_range("events"))]));
    desk.foot(range, answer, out)
}

/// A word of warning where a percentile is made of next to nothing.
pub(super) fn few(tenants: &[(&TenantId, Option<f64>)]) -> Vec<String> {
    let few = tenants.iter().filter_map(|(tenant, number)| Some((tenant, number.filter(|number| *number < FEW)?)));
    few.map(|(tenant, number)| {
        format!("Of only {} the P99 of {tenant} is little more than the slowest of them.", events(Some(number)))
    })
    .collect()
}

impl Detail {
    /// The length of a window: as asked for, or so that there are not too many.
    pub(super) fn every(&self, range: &Range) -> Result<Duration, Failure> {
        const MOST: u128 = 10_000;
        let every = self.every.unwrap_or_else(|| range.every());
        let windows = range.length().as_nanos() / every.as_nanos().max(1);
        if windows > MOST {
            let range = length(range.length());
            return Err(Failure::Misuse(format!(
                "--every {}: {windows} windows in {range}, and {MOST} are the most: make it longer",
                length(every)
            )));
        }
        Ok(every)
    }

    /// As inputs of a script.
    pub(super) fn values(&self) -> Values<'static> {
        let given = [("view", &self.view), ("action", &self.action)];
        given.into_iter().filter_map(|(name, value)| Some((name, Literal::text(value.as_deref()?)))).collect()
    }

    /// ` in CheckoutView, action pay`
    pub(super) fn within(&self) -> String {
        match (&self.view, &self.action) {
            (None, None) => String::new(),
            (Some(view), None) => format!(" in {view}"),
            (None, Some(action)) => format!(" in the action {action}"),
            (Some(view), Some(action)) => format!(" in {view}/{action}"),
        }
    }

    /// What there is none of.
    pub(super) fn what(&self) -> String {
        format!("event with a duration{}", self.within())
    }
}

impl Desk<'_> {
    /// The rollups' answer where they are the better source, the points' where not or where there are no rollups.
    pub(super) async fn best(
        &self,
        reader: &Reader,
        rollups: bool,
        query: impl Fn(bool) -> Result<Query, Failure>,
    ) -> Result<Answer, Failure> {
        if rollups {
            self.ask_first(reader, query(true)?, query(false)?).await
        } else {
            self.ask(reader, query(false)?).await
        }
    }
}
