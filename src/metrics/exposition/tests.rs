use std::collections::HashMap;

use crate::config::TenantId;
use crate::metrics::{Metrics, SeriesGauges, SpoolGauges, TENANT_LABELS};
use crate::outcome::Ledger;

fn scrape(ledger: &Ledger, series: &HashMap<&str, SeriesGauges>) -> String {
    Metrics::new().unwrap().exposition(ledger, &SpoolGauges::default(), series)
}

#[test]
fn what_is_counted_by_a_closed_list_stands_at_zero_before_it_first_happens() {
    let text = scrape(&Ledger::default(), &HashMap::new());
    for row in [
        "tagline_http_requests_total{status=\"503\"} 0",
        "tagline_http_requests_total{status=\"429\"} 0",
        "tagline_http_requests_total{status=\"other\"} 0",
        "tagline_writes_total{result=\"retried\"} 0",
        "tagline_spool_records_total{found=\"set_aside\"} 0",
        "tagline_series_demoted_total{step=\"session\"} 0",
    ] {
        assert!(text.lines().any(|line| line == row), "no {row} in {text}");
    }
}

#[test]
fn a_tenant_near_its_budget_is_seen_also_among_the_others() {
    let ledger = Ledger::default();
    let names: Vec<String> = (0..TENANT_LABELS + 3).map(|n| format!("tenant-{n:02}")).collect();
    // None has sent more than another: those of the last names are the others.
    names.iter().for_each(|name| drop(ledger.account(&TenantId::parse(name).unwrap())));
    let gauges = |n: usize| SeriesGauges { series: [n as u64, 1], budgets: [100, 4] };
    let mut series: HashMap<&str, SeriesGauges> =
        names.iter().enumerate().map(|(n, name)| (name.as_str(), gauges(n))).collect();
    series.insert("tenant-21", SeriesGauges { series: [90, 1], budgets: [100, 4] });
    let text = scrape(&ledger, &series);
    for row in [
        "tagline_series_used_ratio{tenant=\"tenant-19\",window=\"hour\"} 0.19",
        "tagline_series_used_ratio{tenant=\"tenant-19\",window=\"day\"} 0.25",
        "tagline_series_used_ratio{tenant=\"_other\",window=\"hour\"} 0.9",
        "tagline_series{tenant=\"_other\",window=\"hour\"} 132",
    ] {
        assert!(text.lines().any(|line| line == row), "no {row} in {text}");
    }
}
