use super::fixture::{ACCEPTED, cursor, everything, record, segment};
use super::survey::Damaged;
use super::*;
use crate::spool::log::format::VERSION;

/// The sequences that wait, by a walk.
fn waiting(dir: &Path) -> Vec<u64> {
    let mut sequences = Vec::new();
    let log = Offline::open(dir).unwrap();
    log.walk(&mut |seen| {
        if let Seen::Record(head, _) = seen {
            sequences.push(head.sequence);
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    sequences
}

fn records(sequences: impl IntoIterator<Item = u64>) -> Vec<Vec<u8>> {
    sequences.into_iter().map(|n| record(n, "acme", "main", &[&format!("m v={n}i {n}")])).collect()
}

fn ended(accepted: u64, delivered: u64) -> Ended {
    Ended { accepted, delivered, ..Ended::default() }
}

#[test]
fn what_has_ended_is_passed_over_and_without_a_cursor_everything_waits() {
    let dir = tempfile::tempdir().unwrap();
    segment(dir.path(), 1, &records(1..=10));
    segment(dir.path(), 11, &records(11..=20));
    assert_eq!(waiting(dir.path()), (1..=20).collect::<Vec<_>>());
    // From 4 on: 2 wait, 3 have ended, 5 wait, 4 have ended.
    cursor(dir.path(), 18, 4, &[2, 3, 5, 4], &[]);
    assert_eq!(waiting(dir.path()), [4, 5, 9, 10, 11, 12, 13, 18, 19, 20]);
}

#[test]
fn a_sequence_that_is_not_the_segments_or_does_not_rise_is_stale() {
    let dir = tempfile::tempdir().unwrap();
    // 11 and 12 were written again, into the next segment, after an fsync of the first one failed.
    segment(dir.path(), 5, &records([4, 5, 6, 7, 11, 12]));
    segment(dir.path(), 11, &records([11, 12, 12, 11, 13]));
    assert_eq!(waiting(dir.path()), [5, 6, 7, 11, 12, 13]);
}

#[test]
fn a_survey_is_exact_by_tenant_and_balances() {
    let dir = tempfile::tempdir().unwrap();
    let acme = record(3, "acme", "main", &["m v=1 1", "m v=2 2"]);
    let bytes = acme.len() as u64;
    segment(dir.path(), 1, &[record(1, "acme", "main", &["m v=1 1"]), record(2, "globex", "own", &["m v=1 1"]), acme]);
    segment(dir.path(), 4, &[record(4, "globex", "own", &["m v=1 1", "m v=1 2", "m v=1 3"])]);
    let lost = [("damaged".to_owned(), 4)].into_iter().collect();
    let globex = Ended { accepted: 20, delivered: 10, dead_lettered: 3, spilled: 2, lost };
    cursor(dir.path(), 4, 1, &[0, 1], &[("acme", ended(9, 7)), ("globex", globex), ("idle", ended(5, 5))]);
    let survey = Offline::open(dir.path()).unwrap().survey(None).unwrap();
    let row = |tenant: &str| survey.tenants[tenant].clone();
    assert_eq!((row("acme").points, row("acme").records, row("acme").bytes), (2, 1, bytes));
    assert_eq!(row("acme").oldest, Some(ACCEPTED + 3_000_000_000));
    assert_eq!((row("globex").points, row("globex").later, row("globex").totals.accepted), (4, 3, 23));
    assert_eq!((row("idle").points, row("idle").oldest), (0, None));
    assert_eq!((survey.segments, survey.next, survey.holder, survey.generation), (2, 5, None, Some(1)));
    let total = survey.total();
    assert_eq!((total.points, total.missing, total.lost()), (6, 0, 4));
    assert_eq!(total.oldest, Some(ACCEPTED + 2_000_000_000));
    for row in survey.tenants.values().chain([&total]) {
        let totals = &row.totals;
        let sum = row.points + row.missing + totals.delivered + totals.dead_lettered + totals.spilled + row.lost();
        assert_eq!(totals.accepted, sum, "{row:?}");
    }
}

#[test]
fn damage_is_told_the_records_behind_it_are_read_and_what_is_gone_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let all = records(1..=5);
    let path = segment(dir.path(), 1, &all);
    cursor(dir.path(), 6, 1, &[], &[("acme", ended(5, 0))]);
    let mut bytes = fs::read(&path).unwrap();
    let second = FILE_HEADER + all[0].len();
    bytes[second + 50] ^= 1;
    bytes.extend_from_slice(&[7; 11]);
    fs::write(&path, bytes).unwrap();
    assert_eq!(waiting(dir.path()), [1, 3, 4, 5]);
    let survey = Offline::open(dir.path()).unwrap().survey(None).unwrap();
    let damaged = Damaged { file: segment_file(1), places: 1, bytes: all[1].len() as u64, torn: 11 };
    assert_eq!(survey.damage, [damaged]);
    assert_eq!((survey.tenants["acme"].points, survey.tenants["acme"].missing), (4, 1));
}

fn segment_file(base: u64) -> String {
    crate::spool::log::segment_name(base)
}

#[test]
fn a_log_cut_off_at_any_byte_gives_every_whole_record_before_and_none_that_was_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let all = records(1..=4);
    let path = segment(dir.path(), 1, &all);
    let whole = fs::read(&path).unwrap();
    let ends: Vec<usize> = (0..=4).map(|n| FILE_HEADER + all[..n].concat().len()).collect();
    for cut in 0..whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        let survey = Offline::open(dir.path()).unwrap().survey(None).unwrap();
        let before = ends.iter().filter(|end| **end <= cut).count().saturating_sub(1) as u64;
        let torn = survey.damage.iter().map(|file| file.torn).sum::<u64>();
        assert_eq!(survey.total().points, before, "cut at {cut}");
        assert_eq!(torn > 0, cut > 0 && !ends.contains(&cut), "cut at {cut}");
        assert!(survey.aside.is_empty(), "cut at {cut}");
    }
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(&path, &bytes).unwrap();
        let survey = Offline::open(dir.path()).unwrap().survey(None).unwrap();
        let (points, named) = (survey.total().points, survey.aside.len() + survey.damage.len());
        let expected = if at < FILE_HEADER { 0 } else { 3 };
        assert_eq!((points, named), (expected, 1), "byte {at}");
    }
}

#[test]
fn what_is_no_segment_of_ours_is_named_and_the_others_are_read() {
    let dir = tempfile::tempdir().unwrap();
    segment(dir.path(), 1, &records(1..=3));
    let moved = segment(dir.path(), 90, &records(90..=92));
    fs::rename(moved, dir.path().join(segment_file(10))).unwrap();
    let later = segment(dir.path(), 20, &records(20..=22));
    let mut bytes = fs::read(&later).unwrap();
    bytes[12..16].copy_from_slice(&(VERSION + 1).to_le_bytes());
    let checksum = crc32c::crc32c(&bytes[..24]);
    bytes[24..28].copy_from_slice(&checksum.to_le_bytes());
    fs::write(&later, bytes).unwrap();
    fs::write(dir.path().join(segment_file(30)), [0; 100]).unwrap();
    segment(dir.path(), 40, &records([40]));
    for other in ["notes.seg", "00000000000000000001.seg.set-aside", "00000000000000000001.seg.damaged-77", "headroom"]
    {
        fs::write(dir.path().join(other), "of somebody").unwrap();
    }
    assert_eq!(waiting(dir.path()), [1, 2, 3, 40]);
    let survey = Offline::open(dir.path()).unwrap().survey(None).unwrap();
    let mut aside: Vec<_> = survey.aside.iter().map(|file| (file.name.as_str(), file.why.as_deref())).collect();
    aside.sort_unstable();
    let [set_aside, damaged, moved, newer, foreign, notes] = &aside[..] else { panic!("{aside:?}") };
    assert!(damaged.0.ends_with(".set-aside") && damaged.1.is_none(), "{damaged:?}");
    assert!(set_aside.0.ends_with(".damaged-77") && set_aside.1.is_none(), "{set_aside:?}");
    assert!(moved.1.is_some_and(|why| why.contains(&segment_file(90))), "{moved:?}");
    assert!(newer.1.is_some_and(|why| why.contains("version 2")), "{newer:?}");
    assert!(foreign.1.is_some_and(|why| why.contains("does not begin")), "{foreign:?}");
    assert!(notes.0 == "notes.seg" && notes.1.is_some(), "{notes:?}");
}

#[test]
fn a_cursor_that_is_not_whole_leaves_the_other_and_is_named() {
    let dir = tempfile::tempdir().unwrap();
    segment(dir.path(), 1, &records(1..=5));
    cursor(dir.path(), 6, 4, &[], &[]);
    let [older, newer] = cursor::FILES.map(|name| dir.path().join(name));
    let bad = if older.exists() { newer } else { older };
    fs::write(&bad, "tagline-cursor 1 00000000 2\n{}").unwrap();
    assert_eq!(waiting(dir.path()), [4, 5]);
    let survey = Offline::open(dir.path()).unwrap().survey(None).unwrap();
    assert_eq!(survey.bad_cursors, [bad.file_name().unwrap().to_str().unwrap()]);
}

#[test]
fn the_log_is_found_in_its_spool_dir_and_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(find(dir.path()).unwrap(), None);
    let log = dir.path().join("log");
    segment(&log, 1, &records([1]));
    assert_eq!(find(dir.path()).unwrap(), Some(log.clone()));
    assert_eq!(find(&log).unwrap(), Some(log.clone()));
    assert!(find(&dir.path().join("nowhere")).is_err());
    assert!(find(&log.join(segment_file(1))).is_err());
}

#[test]
fn who_holds_the_folder_is_seen_and_keeps_it() {
    let dir = tempfile::tempdir().unwrap();
    segment(dir.path(), 1, &records([1]));
    assert_eq!(holder(dir.path()).unwrap(), None);
    assert!(!dir.path().join("lock").exists(), "a look makes no lock");
    let lock = Lock::take(dir.path()).unwrap().unwrap();
    let us = Holder { pid: Some(std::process::id()) };
    assert_eq!(holder(dir.path()).unwrap(), Some(us));
    assert_eq!(Lock::take(dir.path()).unwrap().unwrap_err(), us);
    let survey = Offline::open(dir.path()).unwrap().survey(None).unwrap();
    assert_eq!(survey.holder, Some(us));
    drop(lock);
    // The file stays, as after a crash; nobody holds it.
    assert_eq!(holder(dir.path()).unwrap(), None);
    assert!(Lock::take(dir.path()).unwrap().is_ok());
}

#[test]
fn beside_a_running_gateway_the_last_write_is_no_damage_and_nothing_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let mut torn = records(1..=3);
    torn[2].truncate(30);
    segment(dir.path(), 1, &torn);
    cursor(dir.path(), 9, 1, &[], &[("acme", ended(8, 0))]);
    let lock = Lock::take(dir.path()).unwrap().unwrap();
    let survey = Offline::open(dir.path()).unwrap().survey(None).unwrap();
    assert_eq!((survey.damage.len(), survey.total().missing, survey.total().points), (0, 0, 2));
    drop(lock);
    let survey = Offline::open(dir.path()).unwrap().survey(None).unwrap();
    assert_eq!((survey.damage.len(), survey.total().missing), (1, 6));
}

#[test]
fn a_survey_changes_nothing_not_even_in_a_folder_that_is_read_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = segment(dir.path(), 1, &records(1..=3));
    fs::write(&path, &fs::read(&path).unwrap()[..60]).unwrap();
    cursor(dir.path(), 4, 2, &[], &[]);
    let before = everything(dir.path());
    Offline::open(dir.path()).unwrap().survey(None).unwrap();
    assert_eq!(everything(dir.path()), before);
}

#[test]
fn one_file_gives_all_its_whole_records_whatever_its_header_and_the_cursor_say() {
    let dir = tempfile::tempdir().unwrap();
    let all = records([7, 3, 3, 12]);
    let path = segment(dir.path(), 5, &all);
    cursor(dir.path(), 99, 99, &[], &[]);
    let points = |path: &Path| Offline::single(path).unwrap().survey(None).map(|survey| survey.total().points);
    assert_eq!(points(&path).unwrap(), 4);
    // Its header is gone.
    let mut bytes = fs::read(&path).unwrap();
    bytes[..FILE_HEADER].fill(0);
    let aside = dir.path().join("00000000000000000005.seg.set-aside");
    fs::write(&aside, &bytes).unwrap();
    assert_eq!(points(&aside).unwrap(), 4);
    // A copy of damaged bytes: it may begin anywhere.
    let copy = dir.path().join("00000000000000000005.seg.damaged-40");
    fs::write(&copy, &bytes[FILE_HEADER + 10..]).unwrap();
    assert_eq!(points(&copy).unwrap(), 3);
    assert!(points(&dir.path().join("nothing.seg")).is_err());
}

#[test]
fn a_finished_folder_holds_nothing_that_waits_and_its_ledger_balances() {
    let dir = tempfile::tempdir().unwrap();
    segment(dir.path(), 1, &records(1..=5));
    segment(dir.path(), 6, &records(6..=8));
    cursor(dir.path(), 6, 3, &[], &[("acme", ended(5, 2))]);
    let lock = Lock::take(dir.path()).unwrap().unwrap();
    let log = Offline::open(dir.path()).unwrap();
    let survey = log.survey(Some(&lock)).unwrap();
    assert_eq!(survey.holder, None, "it is we");
    let row = &survey.tenants["acme"];
    assert_eq!((row.points, row.later, survey.next), (6, 3, 9));
    let sent = Ended { accepted: row.later, delivered: 5, dead_lettered: 1, ..Ended::default() };
    let done = log
        .finish(&lock, survey.next, &[("acme".to_owned(), sent)].into_iter().collect(), Afterwards::Renamed)
        .unwrap();
    assert_eq!(done, [1, 6].map(|base| dir.path().join(format!("{}.done", segment_file(base)))));
    assert!(done.iter().all(|path| path.exists()));
    let log = Offline::open(dir.path()).unwrap();
    assert!(log.is_empty());
    let row = log.survey(None).unwrap().total();
    let totals = Ended { accepted: 8, delivered: 7, dead_lettered: 1, ..Ended::default() };
    assert_eq!((row.points, row.missing, row.totals), (0, 0, totals));
    // An older `….done` is not overwritten.
    segment(dir.path(), 1, &records([1]));
    let finish = |how| Offline::open(dir.path()).unwrap().finish(&lock, 0, &BTreeMap::new(), how).unwrap();
    assert_eq!(finish(Afterwards::Renamed), [dir.path().join(format!("{}.1.done", segment_file(1)))]);
    // Deleted, it leaves nothing, and the older ones are left alone.
    let others = everything(dir.path());
    segment(dir.path(), 1, &records([1]));
    assert_eq!(finish(Afterwards::Deleted), [dir.path().join(segment_file(1))]);
    let left = everything(dir.path());
    assert!(left.keys().eq(others.keys()), "{left:?}");
}

#[test]
fn a_log_of_any_size_is_read_through_one_window() {
    let dir = tempfile::tempdir().unwrap();
    let line = format!("m v=\"{}\" 1", "x".repeat(100 << 10));
    for base in 0..4 {
        let all: Vec<_> = (1..=40).map(|n| record(base * 40 + n, "acme", "main", &[&line])).collect();
        segment(dir.path(), base * 40 + 1, &all);
    }
    let used = allocation_counter::measure(|| {
        let survey = Offline::open(dir.path()).unwrap().survey(None).unwrap();
        assert_eq!((survey.total().points, survey.bytes > 16_000_000), (160, true));
    });
    assert!(used.bytes_max < 2 << 20, "{} bytes at once", used.bytes_max);
}
