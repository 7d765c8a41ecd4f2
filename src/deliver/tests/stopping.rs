//! Stopping: one try for everything, and a spill file for the rest.

use super::server::{Reply, ok, status};
use super::*;
use crate::config::TenantId;
use crate::outcome::Ledger;
use crate::spool::Options;

/// All that a spill file holds.
#[derive(Default)]
struct Contents {
    records: Vec<Spilled>,
    damaged: Vec<u64>,
    torn: bool,
}

fn read_all(path: &std::path::Path) -> Contents {
    let mut contents = Contents::default();
    read_spill(path, &mut |piece| {
        match piece {
            Piece::Record(record) => contents.records.push(record),
            Piece::Damaged(numbers) => contents.damaged.extend(numbers),
            Piece::Torn => contents.torn = true,
        }
        std::ops::ControlFlow::Continue(())
    })
    .unwrap();
    contents
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_flushes_what_waits_without_lingering() {
    let server = Server::start(|_| ok()).await;
    let rig = rig(&server);
    let acme = Account::detached("acme");
    rig.send(&acme, "main", &lines("acme", 0..100)).await;
    rig.send(&acme, "another", &lines("acme", 0..100)).await;
    let stopped = rig.delivery.stop(Duration::from_secs(10)).await;
    assert_eq!(stopped, Stopped { flushed: stopped.flushed, ..Stopped::default() });
    let totals = acme.totals();
    assert_eq!((totals.delivered, totals.pending), (200, 0));
    assert_eq!(server.stored("main").len(), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_does_not_take_is_spilled_whole_and_settled() {
    for unwilling in [401, 404, 429, 503] {
        let server =
            Server::start(move |request| if request.bucket == "fine" { ok() } else { status(unwilling) }).await;
        let rig = rig(&server);
        let (acme, other) = (Account::detached("acme"), Account::detached("other"));
        rig.send(&acme, "main", &lines("acme", 0..30)).await;
        rig.send(&other, "main", &["m,tenant_id=other s=\"two\nlines\" 1".to_owned()]).await;
        until_state(&rig.delivery, "main", |state| *state != LaneState::Flowing).await;
        rig.send(&acme, "fine", &lines("acme", 0..7)).await;
        let started = Instant::now();
        let stopped = rig.delivery.stop(Duration::from_secs(10)).await;
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
        let (path, points) = stopped.spilled.unwrap();
        assert_eq!((points, stopped.lost, acme.totals().delivered), (31, 0, 7), "{unwilling}");
        assert_eq!((acme.totals().spilled, other.totals().spilled), (30, 1));
        assert!(acme.totals().balances() && acme.totals().pending == 0 && rig.spool.pending().bytes == 0);

        let contents = read_all(&path);
        assert_eq!((contents.damaged.len(), contents.torn), (0, false));
        let text: Vec<u8> = contents.records.iter().flat_map(|record| record.lines.clone()).collect();
        let wanted: String = lines("acme", 0..30).join("\n") + "\nm,tenant_id=other s=\"two\nlines\" 1\n";
        assert_eq!(String::from_utf8(text).unwrap(), wanted);
        assert_eq!(contents.records[1].tenant, "other");
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_costs_a_stop_no_more_than_its_budget() {
    let server = Server::start(|_| Reply::Slow(Duration::from_secs(30))).await;
    let settings = Influx { timeout: Duration::from_secs(30), ..influx(&server.url()) };
    let rig = rig_with(Some(&settings), 1 << 20);
    let acme = Account::detached("acme");
    for n in 0..5 {
        rig.send(&acme, "main", &lines("acme", n..n + 1)).await;
        tokio::time::sleep(PACE.linger * 2).await;
    }
    let started = Instant::now();
    let stopped = rig.delivery.stop(Duration::from_millis(200)).await;
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    assert_eq!(stopped.spilled.unwrap().1, 5);
    assert_eq!((acme.totals().spilled, acme.totals().pending), (5, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn points_that_cannot_even_be_spilled_are_counted_as_lost() {
    let server = Server::start(|_| status(503)).await;
    let rig = rig(&server);
    std::fs::write(rig.dir.path().join("spill"), "a file where the folder should be").unwrap();
    let acme = Account::detached("acme");
    rig.send(&acme, "main", &lines("acme", 0..30)).await;
    let stopped = rig.delivery.stop(Duration::from_secs(5)).await;
    assert_eq!((stopped.spilled, stopped.lost), (None, 30));
    let totals = acme.totals();
    assert_eq!((totals.lost[Loss::Shutdown as usize], totals.pending), (30, 0));
    assert!(totals.balances());
}

/// Delivery from a log in a folder that a test keeps, and the account of acme.
fn durable(dir: &std::path::Path, server: &Server) -> (Spool, Delivery, Arc<Account>) {
    let (clock, metrics) = (Clock::system(), Arc::new(Metrics::new().unwrap()));
    let options = Options { dir: dir.join("log"), max_bytes: 16 << 20, max_memory: 1 << 20, on_full: OnFull::Reject };
    let ledger = Ledger::default();
    let spool = Spool::open(&options, &ledger, clock.clone(), Arc::clone(&metrics)).unwrap();
    let influx = influx(&server.url());
    let (dir, pool) = (dir.to_owned(), spool.clone());
    let delivery = Delivery::launch(Some(&influx), dir, 1 << 20, PACE, pool, clock, metrics).unwrap();
    (spool, delivery, ledger.account(&TenantId::parse("acme").unwrap()))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_does_not_take_of_a_durable_spool_waits_for_the_next_start_and_is_not_spilled() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(|request| if request.bucket == "fine" { ok() } else { status(503) }).await;
    let (spool, delivery, acme) = durable(dir.path(), &server);
    for (bucket, range) in [("main", 0..30), ("fine", 30..37), ("other", 37..40)] {
        let lines = Bytes::from(lines("acme", range.clone()).join("\n") + "\n");
        let (account, destination) = (Arc::clone(&acme), bucket.into());
        let points = u32::try_from(range.len()).unwrap();
        spool.append(Submission { account, share: 1.0, destination, points, lines }).await.unwrap();
    }
    let stopped = delivery.stop(Duration::from_secs(10)).await;
    assert_eq!(stopped, Stopped { flushed: stopped.flushed, waiting: 33, ..Stopped::default() });
    let totals = acme.totals();
    assert_eq!((totals.delivered, totals.pending, totals.spilled, totals.balances()), (7, 33, 0, true));
    assert!(!dir.path().join("spill").exists());
    spool.shut_down().await;

    let server = Server::start(|_| ok()).await;
    let (_spool, _delivery, acme) = durable(dir.path(), &server);
    assert_eq!(settled(&acme).await.delivered, 40);
    assert_eq!((server.stored("main").len(), server.stored("fine").len(), server.stored("other").len()), (30, 0, 3));
}

async fn a_spill(dir: &std::path::Path) -> PathBuf {
    let spool = Spool::in_memory(1 << 20, OnFull::Reject, Clock::system());
    for n in 0..5 {
        let account = Account::detached(&format!("t{n}"));
        let lines = Bytes::from(lines("acme", n * 10..n * 10 + 10).join("\n") + "\n");
        let submission = Submission { account, share: 1.0, destination: "b".into(), points: 10, lines };
        spool.append(submission).await.unwrap();
    }
    let records = drain(&spool);
    spill::write(dir, 0, &records).unwrap()
}

#[tokio::test]
async fn a_damaged_record_is_told_by_number_and_the_others_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = a_spill(dir.path()).await;
    let whole = std::fs::read(&path).unwrap();
    let contents = read_all(&path);
    assert_eq!((contents.records.len(), contents.damaged.len(), contents.torn), (5, 0, false));

    let marks: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] == 0xFF).collect();
    // Any one byte of the third record, from its header to its last line.
    for at in (marks[2] + 1..marks[3]).step_by(7) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x01;
        std::fs::write(&path, &damaged).unwrap();
        let contents = read_all(&path);
        assert_eq!(contents.damaged, [3], "byte {at}");
        assert_eq!((contents.records.len(), contents.torn), (4, false), "byte {at}");
    }
    // Torn anywhere: what is whole before the tear is read, and the tear is told.
    for at in [marks[1] + 5, marks[3] - 1, marks[5], whole.len() - 3] {
        std::fs::write(&path, &whole[..at]).unwrap();
        let contents = read_all(&path);
        assert!(contents.torn, "torn at {at}");
        assert_eq!(contents.damaged.len(), 0);
        assert_eq!(
            contents.records.len(),
            marks.iter().filter(|mark| **mark < at).count() - usize::from(at != marks[5]),
            "torn at {at}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_writes_many_small_records_by_few_requests() {
    let away = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let is_away = Arc::clone(&away);
    let server = Server::start(move |_| if is_away.load(Ordering::Relaxed) { status(503) } else { ok() }).await;
    let rig = rig(&server);
    let acme = Account::detached("acme");
    for n in 0..2_000 {
        rig.send(&acme, "main", &lines("acme", n..n + 1)).await;
        if n < 10 {
            // A batch each: they fill the lane, and the others wait in the spool.
            tokio::time::sleep(PACE.linger * 3).await;
        }
    }
    until_state(&rig.delivery, "main", |state| *state != LaneState::Flowing).await;
    away.store(false, Ordering::Relaxed);
    let before = server.writes();
    let stopped = rig.delivery.stop(Duration::from_secs(10)).await;
    assert_eq!((stopped.spilled, stopped.lost, acme.totals().delivered), (None, 0, 2_000));
    assert!(server.writes() - before < 100, "{} requests", server.writes() - before);
}
