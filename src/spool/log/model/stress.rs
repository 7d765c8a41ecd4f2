//! The real threads on a real folder, under what many tasks do at once.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::super::super::Spool;
use super::*;
use crate::config::TenantId;

const TASKS: usize = 4;
const EACH: usize = 250;

fn options(dir: &Path) -> Options {
    Options { dir: dir.to_owned(), max_bytes: 2 << 20, max_memory: 20_000, on_full: OnFull::Reject }
}

fn open(dir: &Path) -> (Ledger, Spool) {
    let ledger = Ledger::default();
    let spool = Spool::open(&options(dir), &ledger, Clock::system(), Arc::new(Metrics::new().unwrap())).unwrap();
    (ledger, spool)
}

/// Sends its submissions, again and again where the spool is full, and every seventh time without waiting for the answer.
async fn send(spool: Spool, ledger: Arc<Ledger>, task: usize, sent: Arc<AtomicU64>) {
    for n in 0..EACH {
        let account = ledger.account(&TenantId::parse(TENANTS[(task + n) % 3]).unwrap());
        let bucket = BUCKETS[n % 3];
        let lines = Bytes::from(format!("t{task}n{n} v=\"{}\" 1\nt{task}n{n} v=2 2\n", "x".repeat(n * 37 % 6_000)));
        let submission = Submission { account, share: 1.0, destination: bucket.into(), points: 2, lines };
        loop {
            let taken = spool.append(submission.clone());
            if n % 7 == 3 {
                // The future is dropped: what was taken stays, and nobody knows. It is sent as nobody's.
                let _ = tokio::time::timeout(Duration::ZERO, taken).await;
                break;
            }
            match taken.await {
                Ok(()) => {
                    sent.fetch_add(1, Ordering::Relaxed);
                    break;
                }
                Err(Refused::Full { .. }) => tokio::time::sleep(Duration::from_millis(2)).await,
                Err(refused) => panic!("{refused:?}"),
            }
        }
    }
}

/// Takes, gives back, divides and settles, until the spool is closed or all is done.
async fn drain(spool: Spool, bucket: &'static str, seen: Arc<Mutex<BTreeSet<Bytes>>>, paused: Arc<AtomicBool>) {
    let bucket = bucket.into();
    let mut n = 0;
    while let Some(record) = spool.next(&bucket).await {
        n += 1;
        if n % 5 == 0 || (paused.load(Ordering::Relaxed) && n % 3 != 0) {
            drop(record);
            tokio::time::sleep(Duration::from_micros(300)).await;
            continue;
        }
        let lines = record.lines().clone();
        if record.points() == 2 && n % 4 == 0 {
            let half = lines.iter().position(|byte| *byte == b'\n').unwrap() + 1;
            let (head, tail) = record.split_at(half, 1).unwrap();
            for part in [head, tail] {
                assert!(seen.lock().unwrap().insert(part.lines().clone()), "twice");
                part.settle(Outcome::Delivered);
            }
            continue;
        }
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            assert!(seen.lock().unwrap().insert(Bytes::copy_from_slice(line)), "twice");
        }
        record.settle(if n % 3 == 0 { Outcome::DeadLettered } else { Outcome::Delivered });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_tasks_at_once_lose_nothing_and_get_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, spool) = open(dir.path());
    let (ledger, sent, seen) = (Arc::new(ledger), Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(BTreeSet::new())));
    let paused = Arc::new(AtomicBool::new(true));
    let drains: Vec<_> = BUCKETS
        .into_iter()
        .map(|bucket| {
            let paused = if bucket == "paused" { Arc::clone(&paused) } else { Arc::default() };
            tokio::spawn(drain(spool.clone(), bucket, Arc::clone(&seen), paused))
        })
        .collect();
    let wakes = {
        let spool = spool.clone();
        tokio::spawn(async move {
            loop {
                spool.0.log.as_ref().unwrap().wake_keeper();
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
    };
    let senders: Vec<_> = (0..TASKS)
        .map(|task| tokio::spawn(send(spool.clone(), Arc::clone(&ledger), task, Arc::clone(&sent))))
        .collect();
    for sender in senders {
        tokio::time::timeout(Duration::from_secs(60), sender).await.expect("nobody stands still").unwrap();
    }
    paused.store(false, Ordering::Relaxed);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while spool.pending().points > 0 || spool.pending().bytes > 0 {
        assert!(tokio::time::Instant::now() < deadline, "it never comes to an end: {:?}", spool.pending());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    wakes.abort();
    spool.close();
    for task in drains {
        tokio::time::timeout(Duration::from_secs(10), task).await.expect("every reader ends").unwrap();
    }
    {
        let state = spool.0.lock();
        assert_eq!((state.reserved, state.books.sums(), state.resident, state.live.len()), (0, (0, 0), 0, 0));
    }
    let totals: Vec<_> = ledger.accounts().iter().map(|account| account.totals()).collect();
    let accepted: u64 = totals.iter().map(|totals| totals.accepted).sum();
    assert!(
        totals.iter().all(|totals| totals.balances() && totals.pending == 0 && totals.lost == [0; Loss::ALL.len()])
    );
    assert_eq!(accepted, seen.lock().unwrap().len() as u64);
    let known = 2 * sent.load(Ordering::Relaxed);
    assert!((known..=2 * (TASKS * EACH) as u64).contains(&accepted), "{accepted} of {known}");
    spool.shut_down().await;
    drop(spool);
    let (again, spool) = open(dir.path());
    let after: u64 = again.accounts().iter().map(|account| account.totals().accepted).sum();
    assert_eq!((after, spool.pending().points), (accepted, 0));
}
