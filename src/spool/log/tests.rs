//! The spool on a real disk, through its own doors.

use bytes::Bytes;

use super::super::{Refused, Spool, Submission};
use super::*;
use crate::config::TenantId;
use crate::outcome::{Account, Loss, Outcome, Totals};

pub(super) struct Rig {
    pub(super) dir: tempfile::TempDir,
    pub(super) ledger: Ledger,
    pub(super) spool: Spool,
}

pub(super) fn options(dir: &Path) -> Options {
    Options { dir: dir.to_owned(), max_bytes: 16 << 20, max_memory: 1 << 20, on_full: OnFull::Reject }
}

pub(super) fn open(options: &Options) -> (Ledger, Spool) {
    let ledger = Ledger::default();
    let spool = Spool::open(options, &ledger, Clock::system(), Arc::new(Metrics::new().unwrap())).unwrap();
    (ledger, spool)
}

impl Rig {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (ledger, spool) = open(&options(dir.path()));
        Self { dir, ledger, spool }
    }

    fn with(change: impl FnOnce(&mut Options)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut options = options(dir.path());
        change(&mut options);
        let (ledger, spool) = open(&options);
        Self { dir, ledger, spool }
    }

    fn account(&self, tenant: &str) -> Arc<Account> {
        self.ledger.account(&TenantId::parse(tenant).unwrap())
    }

    fn totals(&self, tenant: &str) -> Totals {
        let totals = self.account(tenant).totals();
        assert!(totals.balances(), "{totals:?}");
        totals
    }

    async fn send(&self, tenant: &str, bucket: &str, lines: impl Into<Bytes>) -> Result<(), Refused> {
        let account = self.account(tenant);
        let lines = lines.into();
        let points = u32::try_from(lines.iter().filter(|b| **b == b'\n').count()).unwrap();
        self.spool.append(Submission { account, share: 1.0, destination: bucket.into(), points, lines }).await
    }

    /// Ends it in order, and opens it again.
    async fn restart(self) -> Self {
        self.spool.close();
        self.spool.shut_down().await;
        let (ledger, spool) = open(&options(self.dir.path()));
        Self { dir: self.dir, ledger, spool }
    }

    /// Everything that waits for a bucket, delivered.
    fn deliver(&self, bucket: &str) -> Vec<String> {
        let mut all = Vec::new();
        while let Some(record) = self.spool.try_next(&bucket.into()) {
            all.push(String::from_utf8(record.lines().to_vec()).unwrap());
            record.settle(Outcome::Delivered);
        }
        all.sort();
        all
    }

    fn segments(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.dir.path()).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|e| e == "seg")).collect();
        files.sort();
        files
    }
}

/// `count` lines of one record, about `bytes` long each.
fn lines(name: &str, count: usize, bytes: usize) -> String {
    (0..count).map(|n| format!("{name},n={n} v=\"{}\"\n", "x".repeat(bytes))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_is_there_after_a_restart_with_the_ledger() {
    let rig = Rig::new();
    rig.send("acme", "b", "a 1\na 2\n").await.unwrap();
    rig.send("globex", "other", "g 1\n").await.unwrap();
    rig.send("acme", "b", "a 3\n").await.unwrap();
    rig.spool.try_next(&"b".into()).unwrap().settle(Outcome::Delivered);
    let rig = rig.restart().await;
    let acme = rig.totals("acme");
    assert_eq!((acme.accepted, acme.delivered, acme.pending), (3, 2, 1));
    assert_eq!(rig.spool.pending().points, 2);
    assert_eq!(rig.spool.destinations().borrow().len(), 2);
    assert_eq!(rig.deliver("b"), ["a 3\n"]);
    assert_eq!(rig.deliver("other"), ["g 1\n"]);
    let rig = rig.restart().await;
    assert_eq!((rig.totals("acme").delivered, rig.totals("globex").delivered), (3, 1));
    assert_eq!(rig.spool.pending().points, 0);
    rig.spool.close();
    rig.spool.shut_down().await;
    assert_eq!(rig.segments(), [] as [PathBuf; 0], "what is done is deleted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_ended_is_pending_again_after_a_restart_with_its_record() {
    let rig = Rig::new();
    rig.send("acme", "b", "a 1\na 2\n").await.unwrap();
    let (head, tail) = rig.spool.try_next(&"b".into()).unwrap().split_at(4, 1).unwrap();
    head.settle(Outcome::Delivered);
    drop(tail);
    assert_eq!((rig.totals("acme").delivered, rig.totals("acme").pending), (1, 1));
    let rig = rig.restart().await;
    assert_eq!((rig.totals("acme").delivered, rig.totals("acme").pending), (0, 2));
    assert_eq!(rig.deliver("b"), ["a 1\na 2\n"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_beyond_memory_is_read_from_the_disk() {
    let rig = Rig::with(|options| options.max_memory = 10_000);
    for n in 0..200 {
        rig.send("acme", if n % 3 == 0 { "paused" } else { "b" }, lines(&format!("r{n:03}"), 10, 100)).await.unwrap();
    }
    assert!(rig.spool.pending().bytes > 200_000);
    assert_eq!(rig.deliver("b").len(), 133);
    assert_eq!(rig.totals("acme").pending, 670);
    assert_eq!(rig.deliver("paused").len(), 67);
    assert_eq!((rig.totals("acme").delivered, rig.spool.pending().points), (2_000, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_reader_gets_the_backlog_and_what_is_given_back() {
    let rig = Rig::with(|options| options.max_memory = 0);
    rig.send("acme", "b", "a 1\n").await.unwrap();
    let bucket = "b".into();
    let record = rig.spool.next(&bucket).await.unwrap();
    drop(record);
    assert_eq!(rig.spool.next(&bucket).await.unwrap().lines().as_ref(), b"a 1\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_log_refuses_and_takes_again_when_segments_have_gone() {
    let rig = Rig::with(|options| (options.max_bytes, options.max_memory) = (1 << 20, 1 << 20));
    let mut taken = 0;
    let refused = loop {
        match rig.send("acme", "b", lines("r", 10, 2_000)).await {
            Ok(()) => taken += 1,
            Err(refused) => break refused,
        }
    };
    assert!(matches!(refused, Refused::Full { .. }) && taken >= 40, "{refused:?} after {taken}");
    assert_eq!(rig.deliver("b").len(), taken);
    // The keeping thread deletes what is done.
    while rig.send("acme", "b", lines("r", 10, 2_000)).await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(rig.totals("acme").lost, [0; Loss::ALL.len()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn drop_oldest_takes_the_new_and_counts_the_old_as_lost() {
    let rig = Rig::with(|options| {
        (options.max_bytes, options.max_memory, options.on_full) = (2 << 20, 64 << 10, OnFull::DropOldest);
    });
    let on_its_way = {
        rig.send("acme", "b", lines("first", 10, 2_000)).await.unwrap();
        rig.spool.try_next(&"b".into()).unwrap()
    };
    for n in 0..300 {
        rig.send("acme", "b", lines(&format!("r{n:03}"), 10, 2_000)).await.unwrap();
    }
    let totals = rig.totals("acme");
    assert!(totals.lost[Loss::DroppedOldest as usize] > 1_000, "{totals:?}");
    on_its_way.settle(Outcome::Delivered);
    let left = rig.deliver("b");
    assert!(left.last().unwrap().starts_with("r299"), "the newest stays");
    let totals = rig.totals("acme");
    assert_eq!((totals.accepted, totals.pending), (3_010, 0));
    assert_eq!(totals.delivered, 10 + left.len() as u64 * 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_at_a_time() {
    let rig = Rig::new();
    let again =
        Spool::open(&options(rig.dir.path()), &Ledger::default(), Clock::system(), Arc::new(Metrics::new().unwrap()));
    let refused = again.unwrap_err().to_string();
    assert!(refused.contains("in use by another tagline (process ") && refused.contains("spool.dir"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_record_is_counted_and_copied_aside_and_its_neighbours_arrive() {
    let rig = Rig::new();
    for n in 0..5 {
        rig.send("acme", "b", format!("record{n} 1\nrecord{n} 2\n")).await.unwrap();
    }
    rig.spool.close();
    rig.spool.shut_down().await;
    let file = rig.segments().remove(0);
    let mut bytes = fs::read(&file).unwrap();
    let at = bytes.windows(7).position(|w| w == b"record2").unwrap();
    bytes[at + 3] ^= 0x20;
    fs::write(&file, &bytes).unwrap();
    let (ledger, spool) = open(&options(rig.dir.path()));
    let rig = Rig { ledger, spool, ..rig };
    let totals = rig.totals("acme");
    assert_eq!((totals.accepted, totals.pending, totals.lost[Loss::Damaged as usize]), (10, 8, 2));
    assert_eq!(rig.spool.health().set_aside.len(), 1);
    assert_eq!(rig.deliver("b").len(), 4);
    let rig = rig.restart().await;
    let totals = rig.totals("acme");
    assert_eq!((totals.delivered, totals.lost[Loss::Damaged as usize]), (8, 2), "counted once");
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_that_shows_while_it_runs_is_counted_too() {
    let rig = Rig::with(|options| options.max_memory = 0);
    for n in 0..5 {
        rig.send("acme", "b", format!("record{n} 1\nrecord{n} 2\n")).await.unwrap();
    }
    let file = rig.segments().remove(0);
    let mut bytes = fs::read(&file).unwrap();
    let at = bytes.windows(7).position(|w| w == b"record2").unwrap();
    // Its head: nobody can tell what it was.
    bytes[at - 20] ^= 0x20;
    fs::write(&file, &bytes).unwrap();
    assert_eq!(rig.deliver("b").len(), 4);
    let totals = rig.totals("acme");
    assert_eq!((totals.delivered, totals.pending, totals.lost[Loss::Damaged as usize]), (8, 0, 2));
    assert_eq!((rig.spool.health().set_aside.len(), rig.spool.pending().points), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_buckets_records_are_gathered_and_the_rest_goes() {
    let rig = Rig::with(|options| (options.max_bytes, options.max_memory) = (8 << 20, 0));
    for n in 0..200 {
        let bucket = if n % 50 == 0 { "paused" } else { "b" };
        rig.send("acme", bucket, lines(&format!("r{n:03}"), 10, 2_000)).await.unwrap();
    }
    assert_eq!(rig.deliver("b").len(), 196);
    let before = rig.spool.pending();
    assert!(before.disk > 4 * before.bytes, "{before:?}");
    // Without pressure it takes its time; the keeper's clock is its count of passes.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while rig.spool.pending().disk > 2 * before.bytes + (300 << 10) {
        assert!(tokio::time::Instant::now() < deadline, "{:?}", rig.spool.pending());
        rig.spool.0.log.as_ref().unwrap().wake_keeper();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let rig = rig.restart().await;
    assert_eq!(rig.totals("acme").pending, 40);
    assert_eq!(rig.deliver("paused").len(), 4);
    assert_eq!(rig.totals("acme").delivered, 2_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_only_bears_a_segments_name_costs_no_other_its_records() {
    for foreign in [&b"what is this?"[..], b"", &[0x5A; 3_000], b"a copy"] {
        let rig = Rig::new();
        for n in 0..10 {
            rig.send("acme", "b", format!("a {n}\n")).await.unwrap();
        }
        rig.spool.close();
        rig.spool.shut_down().await;
        let bytes = if foreign == b"a copy" { fs::read(rig.segments().remove(0)).unwrap() } else { foreign.to_vec() };
        for base in [4, 9, u64::MAX] {
            fs::write(rig.dir.path().join(segment_name(base)), &bytes).unwrap();
        }
        let waiting = offline::Offline::open(rig.dir.path()).unwrap().survey(None).unwrap();
        assert_eq!(waiting.total().points, 10, "{:?}", waiting.total());
        // And not at the next start, when it lies aside.
        for _ in 0..2 {
            let (ledger, spool) = open(&options(rig.dir.path()));
            let acme = ledger.account(&TenantId::parse("acme").unwrap()).totals();
            assert_eq!((acme.accepted, acme.pending), (10, 10), "{acme:?}");
            let blank = foreign.is_empty();
            assert_eq!(spool.health().set_aside.len(), if blank { 0 } else { 3 }, "{:?}", spool.health());
            spool.close();
            spool.shut_down().await;
        }
        let (ledger, spool) = open(&options(rig.dir.path()));
        let rig = Rig { ledger, spool, ..rig };
        rig.send("acme", "b", "a 10\n").await.unwrap();
        assert_eq!(rig.deliver("b").len(), 11);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_segment_is_kept_and_named() {
    let rig = Rig::new();
    rig.send("acme", "b", "a 1\n").await.unwrap();
    rig.spool.close();
    rig.spool.shut_down().await;
    fs::write(rig.dir.path().join(segment_name(77)), "what is this?").unwrap();
    let (ledger, spool) = open(&options(rig.dir.path()));
    let rig = Rig { ledger, spool, ..rig };
    let aside = format!("{}.set-aside", segment_name(77));
    assert_eq!(rig.spool.health().set_aside, std::slice::from_ref(&aside));
    assert_eq!(fs::read_to_string(rig.dir.path().join(aside)).unwrap(), "what is this?");
    assert_eq!(rig.deliver("b"), ["a 1\n"]);
}
