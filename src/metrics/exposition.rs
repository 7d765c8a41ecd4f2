//! The text of `/metrics`: the registry, and the ledger's rows of the busiest tenants.

use std::fmt::Write as _;

use prometheus::{Encoder, TextEncoder};

use super::Metrics;
use crate::clock::UnixNanos;
use crate::outcome::{Account, Ledger, Totals};
use crate::spool::Pending;

/// How many tenants have a label of their own; the others are summed up as `_other`. The exact rows are on `/admin/ledger`.
pub const TENANT_LABELS: usize = 20;

impl Metrics {
    /// The Prometheus text format, version 0.0.4.
    pub fn exposition(&self, ledger: &Ledger, pending: Pending, now: UnixNanos) -> String {
        self.spool_bytes.set(as_gauge(pending.bytes));
        self.spool_limit_bytes.set(as_gauge(pending.limit));
        self.spool_points.set(as_gauge(pending.points));
        let oldest = pending.oldest.map_or(0, |oldest| now.saturating_sub(oldest).max(0));
        self.spool_oldest_seconds.set(oldest as f64 / 1e9);

        let mut text = Vec::new();
        // Writing to memory cannot fail; a family without samples is left out by the registry itself.
        let encoded = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        debug_assert!(encoded.is_ok(), "{encoded:?}");
        let mut text = String::from_utf8(text).unwrap_or_default();
        tenants(&mut text, &ledger.accounts());
        text
    }
}

fn tenants(text: &mut String, accounts: &[std::sync::Arc<Account>]) {
    let mut rows: Vec<(&str, Totals)> = accounts.iter().map(|a| (a.name(), a.totals())).collect();
    rows.sort_by(|(a_name, a), (b_name, b)| b.accepted.cmp(&a.accepted).then(a_name.cmp(b_name)));
    let others = rows.split_off(rows.len().min(TENANT_LABELS));
    let mut rows: Vec<(&str, u64, u64, Vec<(String, u64)>)> =
        rows.iter().map(|(name, t)| (*name, t.accepted, t.pending, t.outcomes().collect())).collect();
    if let Some((_, first)) = others.first() {
        let mut outcomes: Vec<(String, u64)> = first.outcomes().map(|(name, _)| (name, 0)).collect();
        for (_, totals) in &others {
            for (sum, (_, points)) in outcomes.iter_mut().zip(totals.outcomes()) {
                sum.1 += points;
            }
        }
        let accepted = others.iter().map(|(_, t)| t.accepted).sum();
        let pending = others.iter().map(|(_, t)| t.pending).sum();
        rows.push(("_other", accepted, pending, outcomes));
    }
    text.push_str("# HELP tagline_points_accepted_total Points that the spool took\n# TYPE tagline_points_accepted_total counter\n");
    for (tenant, accepted, _, _) in &rows {
        line(text, format_args!("tagline_points_accepted_total{{tenant=\"{tenant}\"}} {accepted}"));
    }
    text.push_str(
        "# HELP tagline_points_pending Points accepted and not ended yet\n# TYPE tagline_points_pending gauge\n",
    );
    for (tenant, _, pending, _) in &rows {
        line(text, format_args!("tagline_points_pending{{tenant=\"{tenant}\"}} {pending}"));
    }
    text.push_str("# HELP tagline_points_total Items by how they ended\n# TYPE tagline_points_total counter\n");
    for (tenant, _, _, outcomes) in &rows {
        for (outcome, points) in outcomes.iter().filter(|(_, points)| *points > 0) {
            line(text, format_args!("tagline_points_total{{tenant=\"{tenant}\",outcome=\"{outcome}\"}} {points}"));
        }
    }
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{line}");
}

fn as_gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
