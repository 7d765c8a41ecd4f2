//! Which tenants are there, and which of them are slow or silent?

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::super::Failure;
use super::super::table::{Column, Table};
use super::Common;
use super::bars::share;
use super::desk::{Answer, Desk};
use super::range::{Range, ago};
use super::shown::{Asked, head, lines};
use super::words::{count, ms};
use crate::answers::{Literal, Row};
use crate::config::Profile;

const HOUR: Duration = Duration::from_secs(3600);
/// How long the bar of the slowest tenant is.
const WIDTH: u8 = 12;

#[derive(Args, Clone, Debug)]
pub(super) struct TenantsArgs {
    /// Ask the points themselves, also for more than 6 hours
    #[arg(long)]
    raw: bool,
    #[command(flatten)]
    pub(super) common: Common,
}

pub(super) async fn run(args: &TenantsArgs, desk: &Desk<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    let range = desk.range(HOUR)?;
    let long = range.is_long() && !args.raw;
    let default = desk.default_bucket();
    let query = |bucket: &Arc<str>, rollups: bool| {
        let name = if rollups { "summary-rollup" } else { "summary" };
        desk.query(name, bucket, &range, vec![("tenant", Literal::text(""))])
    };
    if desk.only_flux(&query(&default, long)?, out)? {
        return Ok(());
    }
    let reader = desk.reader()?;
    let mut answer = desk.best(&reader, long, |rollups| query(&default, rollups)).await?;
    // The rollups of all buckets lie in one.
    if answer.source == super::desk::Source::Points && desk.common.bucket.is_none() {
        let own = desk.settings.tenants.values().filter_map(|tenant| tenant.bucket.clone());
        let others: BTreeSet<Arc<str>> = own.filter(|bucket| *bucket != default).collect();
        for bucket in others {
            let more = desk.ask(&reader, query(&bucket, false)?).await?;
            answer.rows.append(&more.rows);
        }
    }
    let asked = Asked { question: "tenants", range: &range, with: vec![("silent", json!(silent(desk, &answer)))] };
    let programs = desk.for_programs(&asked, &answer, out)?;
    if answer.rows.is_empty() {
        return Err(Failure::Failed(format!(
            "no tenant has an event with a duration in {}, in the bucket {default:?}. Does the gateway deliver? Its /readyz and /admin/ledger tell",
            range.said()
        )));
    }
    if programs { Ok(()) } else { print(desk, &range, &mut answer, out) }
}

fn print(desk: &Desk<'_>, range: &Range, answer: &mut Answer, out: &mut dyn Write) -> Result<(), Failure> {
    let mut rows: Vec<Row<'_>> = answer.rows.rows().collect();
    let p99 = |row: &Row<'_>| row.number("p99").unwrap_or(0.0);
    rows.sort_by(|a, b| p99(b).total_cmp(&p99(a)));
    let top = rows.first().map_or(0.0, p99);
    let name = |row: &Row<'_>| row.text("tenant_id").unwrap_or("-").to_owned();
    let slowest = rows.first().map(|row| format!("{}: P99 {}", name(row), ms(row.number("p99")))).unwrap_or_default();
    let sentence = match rows.len() {
        1 => format!("One tenant sent events in {}; {slowest}.", range.said()),
        tenants => format!("{tenants} tenants sent events in {}; the slowest is {slowest}.", range.said()),
    };
    head(desk.terminal, &sentence, out)?;
    let mut table = Table::new([
        Column::left("tenant"),
        Column::right("events"),
        Column::right("P50"),
        Column::right("P95"),
        Column::right("P99"),
        Column::left(""),
        Column::left("last event"),
    ]);
    for row in rows {
        let last = row.time("last").map(|last| format!("{} ago", ago(last, desk.now)));
        let bar = if top > 0.0 { share(p99(&row) / top, WIDTH) } else { String::new() };
        table.row([
            name(&row).into(),
            count(row.number("events")).into(),
            ms(row.number("p50")).into(),
            ms(row.number("p95")).into(),
            ms(row.number("p99")).into(),
            bar.into(),
            last.unwrap_or_default().into(),
        ]);
    }
    lines(&table.lines(desk.terminal), out)?;
    let silent = silent(desk, answer);
    if !silent.is_empty() {
        writeln!(out, "\nSilent: {}.", silent.join(", ")).map_err(super::desk::unwritten)?;
    }
    desk.foot(range, answer, out)
}

/// The tenants of the settings that sent nothing.
fn silent(desk: &Desk<'_>, answer: &Answer) -> Vec<String> {
    // The demo tenant of a gateway that nobody configured is nobody's customer.
    if desk.settings.profile == Profile::Dev {
        return Vec::new();
    }
    let seen: BTreeSet<&str> = answer.rows.rows().filter_map(|row| row.text("tenant_id")).collect();
    let known = desk.settings.tenants.iter().filter(|(_, tenant)| !tenant.disabled);
    known.map(|(id, _)| id.to_string()).filter(|id| !seen.contains(id.as_str())).collect()
}
