//! A delta is reported once, over restarts too.

use std::path::Path;

use super::*;
use crate::config::TenantId;
use crate::outcome::{Loss, Outcome, Reason, Totals};

/// A gateway that runs: its ledger and its reporter, without the ticking.
struct Run {
    ledger: Arc<Ledger>,
    acme: Arc<Account>,
    shared: Shared,
}

fn run(dir: Option<&Path>, restored: &Totals) -> Run {
    let ledger = Arc::new(Ledger::default());
    let acme = ledger.account(&TenantId::parse("acme").unwrap());
    acme.restore(restored);
    let clock = Clock::manual(1_000_000_000);
    let shared = Shared::new(Sources {
        ledger: Arc::clone(&ledger),
        spool: Spool::in_memory(1 << 20, crate::config::OnFull::Reject, clock.clone()),
        clock,
        destination: "main".into(),
        replica: "r-0".to_owned(),
        dir: dir.map(Path::to_owned),
    });
    Run { ledger, acme, shared }
}

impl Run {
    /// Reports, and says what was reported: outcome and points.
    async fn reports(&self) -> Vec<(String, u64)> {
        self.shared.report().await;
        let mut reported = Vec::new();
        while let Some(record) = self.shared.sources.spool.try_next(&"main".into()) {
            for line in std::str::from_utf8(record.lines()).unwrap().lines() {
                assert!(line.contains("tenant_id=acme") && line.contains("replica=r-0"), "{line}");
                let part = |mark: &str, end| line.split_once(mark).unwrap().1.split_once(end).unwrap().0;
                reported.push((part("outcome=", ',').to_owned(), part("points=", 'i').parse().unwrap()));
            }
            record.settle(Outcome::Delivered);
        }
        assert_eq!(self.ledger.own().totals().pending, 0);
        reported
    }

    fn deliver(&self, points: u64) {
        self.acme.accepted(points);
        self.acme.ended(Outcome::Delivered, points);
    }
}

fn delivered(points: u64) -> Vec<(String, u64)> {
    vec![("delivered".to_owned(), points)]
}

#[tokio::test]
async fn each_delta_is_reported_once_and_a_refused_report_is_in_the_next() {
    let run = run(None, &Totals::default());
    run.deliver(3);
    assert_eq!(run.reports().await, delivered(3));
    assert_eq!(run.reports().await, []);
    run.deliver(2);
    assert_eq!(run.reports().await, delivered(2));
    run.deliver(4);
    run.shared.sources.spool.close();
    run.shared.report().await;
    assert_eq!(run.shared.delta().by_key.len(), 1, "a report that the spool refused is forgotten");
}

#[tokio::test]
async fn a_restart_reports_only_what_was_not_reported_before() {
    let dir = tempfile::tempdir().unwrap();
    let first = run(Some(dir.path()), &Totals::default());
    first.deliver(10);
    first.acme.rejected_whole(0, Reason::TooOld, 5, "");
    let reported = first.reports().await;
    assert_eq!(reported, [("delivered".to_owned(), 10), ("rejected_too_old".to_owned(), 5)]);
    // Ends after the last report, and is in the totals that are restored.
    first.deliver(7);

    let second = run(Some(dir.path()), &first.acme.totals());
    assert_eq!(second.reports().await, delivered(7));
    // Rejections are counted from zero, and reported from the first.
    second.acme.rejected_whole(0, Reason::TooOld, 2, "");
    assert_eq!(second.reports().await, [("rejected_too_old".to_owned(), 2)]);
}

#[tokio::test]
async fn what_a_crash_makes_the_ledger_count_again_is_not_reported_again() {
    let dir = tempfile::tempdir().unwrap();
    let first = run(Some(dir.path()), &Totals::default());
    first.deliver(100);
    assert_eq!(first.reports().await, delivered(100));
    // Delivered, and not written down as ended: ten points wait again.
    let behind = Totals { accepted: 100, delivered: 90, pending: 10, ..Totals::default() };
    let second = run(Some(dir.path()), &behind);
    assert_eq!(second.reports().await, []);
    second.acme.ended(Outcome::Delivered, 10);
    assert_eq!(second.reports().await, []);
    second.deliver(1);
    assert_eq!(second.reports().await, delivered(1));
}

#[tokio::test]
async fn without_a_file_that_can_be_read_the_restored_totals_are_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let mut restored = Totals { accepted: 50, delivered: 40, pending: 5, ..Totals::default() };
    restored.lost[Loss::Damaged as usize] = 5;
    for damage in [None, Some("{"), Some("{\"version\": 9, \"reported\": {}}")] {
        if let Some(text) = damage {
            std::fs::write(dir.path().join("outcomes-reported.json"), text).unwrap();
        }
        let run = run(Some(dir.path()), &restored);
        assert_eq!(run.reports().await, [], "{damage:?}");
        run.deliver(2);
        assert_eq!(run.reports().await, delivered(2), "{damage:?}");
    }
}

#[tokio::test]
async fn the_file_of_another_ledger_makes_no_negative_delta_and_holds_nothing_back() {
    let dir = tempfile::tempdir().unwrap();
    let first = run(Some(dir.path()), &Totals::default());
    first.deliver(1_000);
    first.reports().await;
    // Its log was taken away.
    let second = run(Some(dir.path()), &Totals::default());
    second.deliver(3);
    assert_eq!(second.reports().await, delivered(3));
    // A spool in memory counts from zero, and leaves the file alone.
    let text = || std::fs::read_to_string(dir.path().join("outcomes-reported.json")).unwrap();
    let before = text();
    let memory = run(None, &Totals::default());
    memory.deliver(4);
    assert_eq!(memory.reports().await, delivered(4));
    assert_eq!(text(), before);
}
