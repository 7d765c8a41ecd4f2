//! The text of `/metrics`: the registry, and the ledger's rows of the busiest tenants.

use std::fmt::Write as _;
use std::sync::Arc;

use prometheus::{Encoder, TextEncoder};

use super::{Metrics, SpoolGauges};
use crate::outcome::{Account, Ledger, Totals};

/// How many tenants have a label of their own; the others are summed up as `_other`. The exact rows are on `/admin/ledger`.
pub const TENANT_LABELS: usize = 20;

impl Metrics {
    /// The Prometheus text format, version 0.0.4.
    pub fn exposition(&self, ledger: &Ledger, spool: &SpoolGauges) -> String {
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
        tenants(&mut text, &ledger.accounts());
        text
    }
}

/// What stands under one tenant label.
struct Row<'a> {
    tenant: &'a str,
    accepted: u64,
    pending: u64,
    outcomes: Vec<(String, u64)>,
}

impl<'a> Row<'a> {
    fn of(tenant: &'a str, totals: &Totals) -> Self {
        Self { tenant, accepted: totals.accepted, pending: totals.pending, outcomes: totals.outcomes().collect() }
    }

    fn add(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.pending += other.pending;
        for (sum, (_, points)) in self.outcomes.iter_mut().zip(&other.outcomes) {
            sum.1 += points;
        }
    }
}

/// The busiest tenants, and the sum of the others as `_other`. Counters stay monotonic for the sum over all rows; a tenant that
/// leaves the busiest moves into `_other`.
fn busiest(accounts: &[Arc<Account>]) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> = accounts.iter().map(|a| Row::of(a.name(), &a.totals())).collect();
    rows.sort_by(|a, b| b.accepted.cmp(&a.accepted).then(a.tenant.cmp(b.tenant)));
    let others = rows.split_off(rows.len().min(TENANT_LABELS));
    if !others.is_empty() {
        let mut sum = Row::of("_other", &Totals::default());
        others.iter().for_each(|row| sum.add(row));
        rows.push(sum);
    }
    rows
}

fn tenants(text: &mut String, accounts: &[Arc<Account>]) {
    let rows = busiest(accounts);
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
