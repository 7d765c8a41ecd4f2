use std::time::Duration;

use bytes::Bytes;

use crate::clock::Clock;
use crate::config::{OnFull, TenantId};
use crate::metrics::Metrics;
use crate::outcome::{Account, Ledger, Outcome};
use crate::spool::{Options, Record, Spool, Submission};
use std::sync::Arc;

struct Rig {
    _dir: tempfile::TempDir,
    spool: Spool,
    acme: Arc<Account>,
    good: Arc<Account>,
    bucket: Arc<str>,
}

/// A spool whose lines lie on the disk alone, or one in memory.
fn rig(on_disk: bool) -> Rig {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { dir: dir.path().to_owned(), max_bytes: 16 << 20, max_memory: 0, on_full: OnFull::Reject };
    let ledger = Ledger::default();
    let spool = if on_disk {
        Spool::open(&options, &ledger, Clock::system(), Arc::new(Metrics::new().unwrap())).unwrap()
    } else {
        Spool::in_memory(16 << 20, OnFull::Reject, Clock::system())
    };
    let account = |name: &str| ledger.account(&TenantId::parse(name).unwrap());
    Rig { _dir: dir, spool, acme: account("acme"), good: account("good"), bucket: "b".into() }
}

impl Rig {
    async fn send(&self, account: &Arc<Account>, range: std::ops::Range<usize>) {
        for n in range {
            let lines = Bytes::from(format!("{} {n}\n", account.name()));
            let (account, destination) = (Arc::clone(account), Arc::clone(&self.bucket));
            self.spool.append(Submission { account, share: 1.0, destination, points: 1, lines }).await.unwrap();
        }
    }

    /// Takes all that comes without waiting for more, and ends it.
    async fn all(&self, aside: bool) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            let next = async {
                if aside { self.spool.next_aside(&self.bucket).await } else { self.spool.next(&self.bucket).await }
            };
            let Ok(Some(record)) = tokio::time::timeout(Duration::from_millis(200), next).await else {
                all.sort();
                return all;
            };
            all.push(line(&record));
            record.settle(Outcome::Delivered);
        }
    }
}

fn line(record: &Record) -> String {
    String::from_utf8(record.lines().to_vec()).unwrap()
}

async fn apart_and_back(rig: Rig) {
    rig.send(&rig.acme, 0..5).await;
    rig.send(&rig.good, 0..5).await;
    let first = rig.spool.next(&rig.bucket).await.unwrap();
    assert_eq!(line(&first), "acme 0\n");
    rig.spool.set_aside(&rig.bucket, &rig.acme);
    // What was on its way goes back to where its owner waits now.
    drop(first);
    rig.send(&rig.acme, 5..8).await;
    rig.send(&rig.good, 5..8).await;
    let of = |name: &str| (0..8).map(|n| format!("{name} {n}\n")).collect::<Vec<_>>();
    assert_eq!(rig.all(false).await, of("good"));
    assert!(!rig.spool.take_back(&rig.bucket, &rig.acme), "something waits apart");
    assert_eq!(rig.all(true).await, of("acme"));
    assert!(rig.spool.take_back(&rig.bucket, &rig.acme));
    rig.send(&rig.acme, 0..3).await;
    assert_eq!(rig.all(false).await.len(), 3);
    assert_eq!(rig.spool.pending().points, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_set_aside_comes_apart_and_the_others_without_it() {
    apart_and_back(rig(false)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_on_the_disk_is_read_apart_too() {
    apart_and_back(rig(true)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_apart_comes_with_the_others_when_all_are_taken_back() {
    for rig in [rig(true), rig(false)] {
        rig.send(&rig.acme, 0..5).await;
        rig.spool.set_aside(&rig.bucket, &rig.acme);
        let taken = rig.spool.next_aside(&rig.bucket).await.unwrap();
        rig.send(&rig.acme, 5..9).await;
        rig.send(&rig.good, 0..2).await;
        rig.spool.take_all_back(&rig.bucket);
        drop(taken);
        assert_eq!(rig.all(true).await, [""; 0]);
        assert_eq!(rig.all(false).await.len(), 11);
        assert_eq!(rig.spool.pending().points, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_are_set_aside_take_turns() {
    let rig = rig(false);
    rig.send(&rig.acme, 0..10).await;
    rig.send(&rig.good, 0..10).await;
    for account in [&rig.acme, &rig.good] {
        rig.spool.set_aside(&rig.bucket, account);
    }
    let mut seen = Vec::new();
    for _ in 0..6 {
        let record = rig.spool.next_aside(&rig.bucket).await.unwrap();
        seen.push(record.account().name().to_owned());
        record.settle(Outcome::Delivered);
    }
    assert_eq!(seen, ["acme", "good", "acme", "good", "acme", "good"]);
}
