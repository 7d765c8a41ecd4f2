//! The text of `/metrics`: the registry, and the rows of the busiest tenants in the ledger.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use prometheus::{Encoder, TextEncoder};

use super::{Metrics, SeriesGauges, SpoolGauges};
use crate::outcome::{Account, Ledger, Totals};

/// How many tenants have a label of their own; the others are summed up as `_other`. The exact rows are on `/admin/ledger`.
pub const TENANT_LABELS: usize = 20;

impl Metrics {
    /// The Prometheus text format, version 0.0.4. `series` are each tenant's.
    pub fn exposition(&self, ledger: &Ledger, spool: &SpoolGauges, series: &HashMap<&str, SeriesGauges>) -> String {
        self.spool_bytes.set(as_gauge(spool.bytes));
        self.spool_disk_bytes.set(as_gauge(spool.disk));
        self.spool_limit_bytes.set(as_gauge(spool.limit));
        self.spool_points.set(as_gauge(spool.points));
        self.spool_oldest_seconds.set(spool.oldest.as_secs_f64());

        let mut text = Vec::new();
        // Writing to memory cannot fail; a family without samples is left out by the registry itself.
        let encoded = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        debug_assert!(encoded.is_ok(), "{encoded:?}");
        let mut text = String::from_utf8(text).unwrap_or_default();
        tenants(&mut text, &ledger.accounts(), series);
        text
    }
}

/// What stands under one tenant label.
struct Row<'a> {
    tenant: &'a str,
    accepted: u64,
    pending: u64,
    outcomes: Vec<(String, u64)>,
    /// Of this hour and this day.
    series: [u64; 2],
    /// The part of the budgets that these are; of several tenants the largest one, so that none hides behind the others.
    used: [f64; 2],
}

impl<'a> Row<'a> {
    fn of(tenant: &'a str, totals: &Totals, gauges: SeriesGauges) -> Self {
        let SeriesGauges { series, budgets } = gauges;
        let outcomes = totals.outcomes().collect();
        // A tenant without a budget, such as the gateway itself, uses nothing of it.
        let used = [0, 1].map(|window| series[window] as f64 / f64::from(budgets[window].max(1)));
        Self { tenant, accepted: totals.accepted, pending: totals.pending, outcomes, series, used }
    }

    fn add(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.pending += other.pending;
        for (sum, (_, points)) in self.outcomes.iter_mut().zip(&other.outcomes) {
            sum.1 += points;
        }
        for (sum, series) in self.series.iter_mut().zip(&other.series) {
            *sum += series;
        }
        for (largest, used) in self.used.iter_mut().zip(&other.used) {
            *largest = largest.max(*used);
        }
    }
}

/// The busiest tenants, and the sum of the others as `_other`. Counters stay monotonic for the sum over all rows; a tenant that
/// leaves the busiest moves into `_other`.
fn busiest<'a>(accounts: &'a [Arc<Account>], series: &HashMap<&str, SeriesGauges>) -> Vec<Row<'a>> {
    let series = |tenant| series.get(tenant).copied().unwrap_or_default();
    let mut rows: Vec<Row<'_>> = accounts.iter().map(|a| Row::of(a.name(), &a.totals(), series(a.name()))).collect();
    rows.sort_by(|a, b| b.accepted.cmp(&a.accepted).then(a.tenant.cmp(b.tenant)));
    let others = rows.split_off(rows.len().min(TENANT_LABELS));
    if !others.is_empty() {
        let mut sum = Row::of("_other", &Totals::default(), SeriesGauges::default());
        others.iter().for_each(|row| sum.add(row));
        rows.push(sum);
    }
    rows
}

fn tenants(text: &mut String, accounts: &[Arc<Account>], series: &HashMap<&str, SeriesGauges>) {
    let rows = busiest(accounts, series);
    family(text, "tagline_points_accepted_total", "counter", "Points that the spool took");
    for Row { tenant, accepted, .. } in &rows {
        line(text, format_args!("tagline_points_accepted_total{{tenant=\"{tenant}\"}} {accepted}"));
    }
    family(text, "tagline_points_pending", "gauge", "Points accepted and not ended yet");
    for Row { tenant, pending, .. } in &rows {
        line(text, format_args!("tagline_points_pending{{tenant=\"{tenant}\"}} {pending}"));
    }
    family(text, "tagline_points_total", "counter", "Items by how they ended");
    for Row { tenant, outcomes, .. } in &rows {
        for (outcome, points) in outcomes.iter().filter(|(_, points)| *points > 0) {
            line(text, format_args!("tagline_points_total{{tenant=\"{tenant}\",outcome=\"{outcome}\"}} {points}"));
        }
    }
    family(
        text,
        "tagline_series",
        "gauge",
        "Series of this hour and of this day (UTC), as far as the tenant's budget let them be",
    );
    for Row { tenant, series: [hour, day], .. } in &rows {
        for (window, series) in [("hour", hour), ("day", day)] {
            line(text, format_args!("tagline_series{{tenant=\"{tenant}\",window=\"{window}\"}} {series}"));
        }
    }
    family(
        text,
        "tagline_series_used_ratio",
        "gauge",
        "The part of the tenant's budget that its series are; of _other, that of the tenant who has used most of its own",
    );
    for Row { tenant, used: [hour, day], .. } in &rows {
        for (window, used) in [("hour", hour), ("day", day)] {
            line(text, format_args!("tagline_series_used_ratio{{tenant=\"{tenant}\",window=\"{window}\"}} {used}"));
        }
    }
}

fn family(text: &mut String, name: &str, kind: &str, help: &str) {
    line(text, format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{line}");
}

fn as_gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
