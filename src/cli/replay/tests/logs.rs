//! Folders of a log, and single files of one.

use super::*;
use crate::deliver::tests::server::{Server, ok};
use crate::spool::offline::fixture::{cursor, everything, record, segment};
use crate::spool::offline::{Lock, Offline};

fn line(n: u64) -> String {
    format!("m v={n}i {n}")
}

fn lines(numbers: impl IntoIterator<Item = u64>) -> Vec<String> {
    let mut lines: Vec<_> = numbers.into_iter().map(line).collect();
    lines.sort();
    lines
}

fn records(numbers: impl IntoIterator<Item = u64>) -> Vec<Vec<u8>> {
    numbers.into_iter().map(|n| record(n, if n % 2 == 0 { "acme" } else { "globex" }, "main", &[&line(n)])).collect()
}

/// A `spool.dir` whose log holds 1 to 40, of which 30 wait.
fn a_spool(dir: &Path) -> PathBuf {
    let log = dir.join("log");
    segment(&log, 1, &records(1..=20));
    segment(&log, 21, &records(21..=40));
    let ended = |accepted, delivered| Ended { accepted, delivered, ..Ended::default() };
    cursor(&log, 36, 6, &[10, 5], &[("acme", ended(17, 5)), ("globex", ended(18, 5))]);
    log
}

fn what_waits() -> Vec<String> {
    lines((6..16).chain(21..=40))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_sent_by_its_cursor_once_and_its_ledger_balances_then() {
    for named in ["", "log"] {
        let dir = tempfile::tempdir().unwrap();
        let log = a_spool(dir.path());
        let server = Server::start(|_| ok()).await;
        let influx = influx_at(server.url());
        assert_eq!(run(&dir.path().join(named), false, Some(&influx)).await, Ok(()));
        assert_eq!(server.stored("main"), what_waits());
        for base in ["00000000000000000001", "00000000000000000021"] {
            assert!(log.join(format!("{base}.seg.done")).exists() && !log.join(format!("{base}.seg")).exists());
        }
        let survey = Offline::open(&log).unwrap().survey(None).unwrap();
        for (tenant, row) in &survey.tenants {
            let done = (row.points, row.missing, row.totals.accepted, row.totals.delivered);
            assert_eq!(done, (0, 0, 20, 20), "{tenant}");
        }
        // Nothing is left to do.
        assert_eq!(run(&dir.path().join(named), false, Some(&influx)).await, Ok(()));
        assert_eq!(server.stored("main"), what_waits());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_is_deleted_where_that_is_asked_for_and_what_was_not_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let log = a_spool(dir.path());
    let spill = dir.path().join("spill");
    std::fs::create_dir(&spill).unwrap();
    let letters = spill.join("acme.jsonl");
    std::fs::write(&letters, format!("{LETTER}\n")).unwrap();
    let names = || everything(dir.path()).into_keys().collect::<Vec<_>>();
    let before = names();
    let deleting = async |influx: &Influx, patience| {
        let way = |influx| Way { patience, afterwards: Afterwards::Deleted, ..way(influx, dir.path()) };
        replay(dir.path(), false, Some(influx), way).await
    };
    let failure = deleting(&unreachable_influx(), Duration::from_millis(300)).await.unwrap_err();
    assert!(failure.code() == 1 && before.iter().all(|path| names().contains(path)), "{failure}");

    let server = Server::start(|_| ok()).await;
    assert_eq!(deleting(&influx_at(server.url()), PATIENCE).await, Ok(()));
    assert_eq!((server.stored("main"), server.stored("b")), (what_waits(), vec!["m v=1 1".to_owned()]));
    let survey = Offline::open(&log).unwrap().survey(None).unwrap();
    let total = survey.total();
    assert_eq!((survey.segments, total.points, total.missing, total.totals.delivered), (0, 0, 0, 40));
    assert!(names().iter().all(|path| path.starts_with(&log) && path.extension().is_none_or(|end| end != "seg")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_of_a_folder_changes_no_file_and_makes_none() {
    let dir = tempfile::tempdir().unwrap();
    let log = a_spool(dir.path());
    let before = everything(dir.path());
    for path in [dir.path(), &log, &log.join("00000000000000000021.seg")] {
        assert_eq!(run(path, true, None).await, Ok(()));
    }
    assert_eq!(told(&log).points, 30);
    assert_eq!(told(&log.join("00000000000000000021.seg")).points, 20);
    assert_eq!(everything(dir.path()), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_a_running_gateway_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let log = a_spool(dir.path());
    let server = Server::start(|_| ok()).await;
    let lock = Lock::take(&log).unwrap().unwrap();
    let before = everything(dir.path());
    for path in [dir.path(), &log, &log.join("00000000000000000021.seg")] {
        for dry_run in [true, false] {
            let failure = run(path, dry_run, Some(&influx_at(server.url()))).await.unwrap_err();
            let text = failure.to_string();
            assert!(failure.code() == 1 && text.contains(&std::process::id().to_string()), "{text}");
            assert!(text.contains("stop that gateway") && text.contains("copy of the folder"), "{text}");
        }
    }
    assert_eq!(everything(dir.path()), before);
    assert_eq!(server.writes(), 0);
    drop(lock);
    assert_eq!(run(&log, false, Some(&influx_at(server.url()))).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_damaged_folder_everything_whole_is_sent_and_it_stays() {
    let dir = tempfile::tempdir().unwrap();
    let log = a_spool(dir.path());
    let path = log.join("00000000000000000021.seg");
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(8).position(|text| text == b"m v=30i ").unwrap();
    bytes[at] = b'n';
    std::fs::write(&path, bytes).unwrap();
    let server = Server::start(|_| ok()).await;
    let failure = run(&log, false, Some(&influx_at(server.url()))).await.unwrap_err();
    assert_eq!(failure.code(), 1, "{failure}");
    assert_eq!(server.stored("main"), lines((6..16).chain(21..30).chain(31..=40)));
    assert!(path.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_a_crash_cut_off_is_no_failure() {
    let dir = tempfile::tempdir().unwrap();
    let log = a_spool(dir.path());
    let path = log.join("00000000000000000021.seg");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend_from_slice(&record(41, "acme", "main", &["m v=41i 41"])[..50]);
    std::fs::write(&path, bytes).unwrap();
    let server = Server::start(|_| ok()).await;
    assert_eq!(run(&log, false, Some(&influx_at(server.url()))).await, Ok(()));
    assert_eq!(server.stored("main"), what_waits());
    assert!(!path.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn points_that_the_cursor_knows_and_no_segment_holds_are_a_failure() {
    let dir = tempfile::tempdir().unwrap();
    let log = a_spool(dir.path());
    std::fs::remove_file(log.join("00000000000000000001.seg")).unwrap();
    let server = Server::start(|_| ok()).await;
    let failure = run(&log, false, Some(&influx_at(server.url()))).await.unwrap_err();
    assert_eq!((failure.code(), server.stored("main")), (1, lines(21..=40)));
    assert!(log.join("00000000000000000021.seg").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_file_is_sent_whole_and_a_part_of_a_log_keeps_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let log = a_spool(dir.path());
    let server = Server::start(|_| ok()).await;
    let influx = influx_at(server.url());
    let part = log.join("00000000000000000001.seg");
    assert_eq!(run(&part, false, Some(&influx)).await, Ok(()));
    assert_eq!(server.stored("main"), lines(1..=20));
    assert!(part.exists(), "its cursor counts its records as waiting");

    let mut bytes = std::fs::read(&part).unwrap();
    bytes[5] = 0;
    for name in ["00000000000000000077.seg.set-aside", "00000000000000000077.seg.damaged-28", "alone.seg"] {
        let elsewhere = dir.path().join("elsewhere");
        std::fs::create_dir_all(&elsewhere).unwrap();
        let file = elsewhere.join(name);
        std::fs::write(&file, &bytes).unwrap();
        let server = Server::start(|_| ok()).await;
        assert_eq!(run(&file, false, Some(&influx_at(server.url()))).await, Ok(()), "{name}");
        assert_eq!(server.stored("main"), lines(1..=20), "{name}");
        assert!(!file.exists() && elsewhere.join(format!("{name}.done")).exists(), "{name}");
    }

    let empty = log.join("00000000000000000001.seg.damaged-9");
    std::fs::write(&empty, "nothing of a record").unwrap();
    let failure = run(&empty, false, Some(&influx)).await.unwrap_err();
    assert!(failure.to_string().contains("no whole record"), "{failure}");
    assert!(empty.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_is_kept_to() {
    let dir = tempfile::tempdir().unwrap();
    let log = a_spool(dir.path());
    let server = Server::start(|_| ok()).await;
    let started = tokio::time::Instant::now();
    assert_eq!(run_at(&log, Some(&influx_at(server.url())), Some(50), PATIENCE).await, Ok(()));
    assert_eq!(server.stored("main"), what_waits());
    // 30 points at 50 a second.
    assert!(started.elapsed() >= Duration::from_millis(590), "{:?}", started.elapsed());
}
