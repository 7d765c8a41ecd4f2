use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::config::OnFull;
use crate::spool::Ended;
use crate::spool::offline::Lock;
use crate::spool::offline::fixture::{ACCEPTED, cursor, everything, record, segment};

fn said(path: &Path, json: bool) -> String {
    let args = SpoolArgs { path: Some(path.to_owned()), json, expect_empty: false };
    let clock = Clock::manual(ACCEPTED);
    clock.advance(Duration::from_secs(125));
    let mut out = Vec::new();
    run(&args, None, &clock, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// The row of a table, cell by cell.
fn cells<'s>(said: &'s str, first: &str) -> Vec<&'s str> {
    let row = said.lines().find(|line| line.starts_with(&format!("{first} ")));
    row.unwrap_or_else(|| panic!("no row {first}: {said}"))
        .split("  ")
        .map(str::trim)
        .filter(|c| !c.is_empty())
        .collect()
}

/// Record 1 has ended, 2 and 3 wait, 4 was accepted after the cursor.
fn a_spool(dir: &Path) -> PathBuf {
    let log = dir.join("log");
    let two = ["m v=1i 1", "m v=2i 2"];
    segment(&log, 1, &[record(1, "acme", "b", &two), record(2, "globex", "b", &two), record(3, "acme", "b", &two)]);
    segment(&log, 4, &[record(4, "acme", "b", &two)]);
    let lost = [("damaged".to_owned(), 3), ("dropped_oldest".to_owned(), 1)].into_iter().collect();
    let acme = Ended { accepted: 12_340, delivered: 12_333, dead_lettered: 1, lost, ..Ended::default() };
    cursor(&log, 4, 2, &[], &[("acme", acme), ("globex", Ended { accepted: 2, ..Ended::default() })]);
    log
}

#[test]
fn the_table_has_a_row_for_each_tenant_and_a_total() {
    let dir = tempfile::tempdir().unwrap();
    a_spool(dir.path());
    let said = said(dir.path(), false);
    let head = ["tenant", "pending", "bytes", "oldest", "accepted", "delivered", "dead-lettered", "spilled", "lost"];
    assert_eq!(cells(&said, "tenant"), head);
    assert_eq!(cells(&said, "acme"), ["acme", "4", "126 B", "2m 2s", "12,342", "12,333", "1", "0", "4"]);
    assert_eq!(cells(&said, "globex"), ["globex", "2", "65 B", "2m 3s", "2", "0", "0", "0", "0"]);
    assert_eq!(cells(&said, "total"), ["total", "6", "191 B", "2m 3s", "12,344", "12,333", "1", "0", "4"]);
    assert!(said.contains("acme: damaged 3, dropped_oldest 1"), "{said}");
    for silent in ["missing", "damage:", "gateway runs", "set aside", "dead letters in", "spill files in"] {
        assert!(!said.contains(silent), "{silent}: {said}");
    }
}

#[test]
fn the_json_holds_the_same_and_nothing_else_is_printed() {
    let dir = tempfile::tempdir().unwrap();
    let log = a_spool(dir.path());
    let all: Value = serde_json::from_str(&said(dir.path(), true)).unwrap();
    let acme = json!({
        "pending": { "points": 4, "records": 2, "bytes": 126, "oldest_ns": ACCEPTED + 3_000_000_000, "oldest_seconds": 122 },
        "accepted": 12_342, "delivered": 12_333, "dead_lettered": 1, "spilled": 0,
        "lost": { "damaged": 3, "dropped_oldest": 1 }, "missing": 0,
    });
    assert_eq!(all["log"]["tenants"]["acme"], acme);
    assert_eq!(all["log"]["total"]["pending"]["points"], 6);
    let known = (&all["log"]["folder"], &all["log"]["gateway"], &all["log"]["segments"], &all["log"]["cursor"]);
    assert_eq!(known, (&json!(log.display().to_string()), &Value::Null, &json!(2), &json!(1)));
    assert_eq!((&all["dead_letters"], &all["spill"]), (&json!({}), &json!([])));
}

#[test]
fn with_a_gateway_running_it_says_so_and_whose_figures_these_are() {
    let dir = tempfile::tempdir().unwrap();
    let log = a_spool(dir.path());
    let _lock = Lock::take(&log).unwrap().unwrap();
    let pid = std::process::id();
    let table = said(dir.path(), false);
    assert!(table.contains(&format!("(process {pid})")) && table.contains("last cursor"), "{table}");
    let all: Value = serde_json::from_str(&said(&log, true)).unwrap();
    assert_eq!(all["log"]["gateway"], json!({ "pid": pid }));
}

#[test]
fn damage_missing_points_and_files_set_aside_are_named_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let log = a_spool(dir.path());
    let first = log.join("00000000000000000001.seg");
    let mut bytes = std::fs::read(&first).unwrap();
    // A letter in the lines of record 2.
    let at = bytes.windows(6).position(|text| text == b"globex").unwrap() + 10;
    bytes[at] ^= 1;
    bytes.extend_from_slice(&[0xFF; 9]);
    std::fs::write(&first, bytes).unwrap();
    std::fs::write(log.join("00000000000000000009.seg.set-aside"), "x").unwrap();
    std::fs::write(log.join("00000000000000000008.seg"), [1; 64]).unwrap();
    let said = said(dir.path(), false);
    for part in [
        "1 place with whole records behind",
        "9 bytes at the end",
        "globex: 2 points",
        "counts them as lost",
        "00000000000000000009.seg.set-aside (1 B)",
        &format!("tagline replay {}", log.display()),
        "00000000000000000008.seg (64 B): it does not begin as a segment",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn dead_letters_and_spill_files_are_told_too() {
    let dir = tempfile::tempdir().unwrap();
    a_spool(dir.path());
    let letters = dir.path().join("dead-letters");
    std::fs::create_dir(&letters).unwrap();
    std::fs::write(letters.join("acme.jsonl"), "{}\n{}\n").unwrap();
    std::fs::write(letters.join("acme.00000001.jsonl"), "{}\n").unwrap();
    let spill = dir.path().join("spill");
    std::fs::create_dir(&spill).unwrap();
    std::fs::write(spill.join("t.spill"), "tagline-spill 1\n\u{fffd}").unwrap();
    let table = said(dir.path(), false);
    assert!(table.contains("acme          3      2"), "{table}");
    assert!(table.contains("t.spill: ") && table.contains(&format!("tagline replay {}", spill.display())), "{table}");
    let all: Value = serde_json::from_str(&said(dir.path(), true)).unwrap();
    assert_eq!(all["dead_letters"], json!({ "acme": { "files": 2, "letters": 3, "bytes": 9 } }));
    assert_eq!(all["spill"][0]["file"], "t.spill");
}

#[test]
fn it_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    a_spool(dir.path());
    let before = everything(dir.path());
    said(dir.path(), false);
    said(dir.path(), true);
    assert_eq!(everything(dir.path()), before);
}

fn at_home(dir: &Path, durability: Durability) -> Result<String, Failure> {
    let settings = SpoolSettings {
        dir: dir.to_owned(),
        durability,
        max_bytes: 1,
        max_memory: 1,
        on_full: OnFull::Reject,
        max_dead_letters: 1,
        default_share: 1.0,
    };
    let mut out = Vec::new();
    run(
        &SpoolArgs { path: None, json: false, expect_empty: false },
        Some(&settings),
        &Clock::manual(ACCEPTED),
        &mut out,
    )?;
    Ok(String::from_utf8(out).unwrap())
}

#[test]
fn a_gateway_in_memory_has_no_log_and_that_is_said_plainly() {
    let dir = tempfile::tempdir().unwrap();
    for dir in [dir.path(), &dir.path().join("not-made-yet")] {
        let said = at_home(dir, Durability::Memory).unwrap();
        assert!(said.contains("no log") && said.contains("\"memory\"") && said.contains("/admin/ledger"), "{said}");
    }
    // What an earlier gateway left there is told, and who sends it.
    a_spool(dir.path());
    let said = at_home(dir.path(), Durability::Memory).unwrap();
    assert!(said.contains("no gateway delivers this log") && said.contains("acme"), "{said}");
}

#[test]
fn a_folder_that_cannot_be_read_or_is_none_is_a_failure() {
    let dir = tempfile::tempdir().unwrap();
    let nowhere = dir.path().join("nowhere");
    for (dir, word) in [(dir.path(), "holds no spool"), (&nowhere, "cannot be read")] {
        let failure = at_home(dir, Durability::Fsync).unwrap_err();
        assert!(failure.code() == 1 && failure.to_string().contains(word), "{failure}");
        assert!(failure.to_string().contains(&dir.display().to_string()), "{failure}");
    }
}

/// The end of `--expect-empty`, which says all that it says otherwise, too.
fn expecting_nothing(dir: &Path) -> Result<(), String> {
    let args = SpoolArgs { path: Some(dir.to_owned()), json: true, expect_empty: true };
    let mut out = Vec::new();
    let ended = run(&args, None, &Clock::manual(ACCEPTED), &mut out);
    assert!(serde_json::from_slice::<Value>(&out).unwrap()["log"].is_object());
    ended.map_err(|failure| {
        assert_eq!(failure.code(), 1);
        failure.to_string()
    })
}

#[test]
fn a_folder_in_which_anything_is_left_is_not_to_be_deleted_and_it_says_what() {
    let dir = tempfile::tempdir().unwrap();
    let log = a_spool(dir.path());
    assert!(expecting_nothing(dir.path()).unwrap_err().contains("6 points wait"));

    // All of it has ended, and what was replayed lies there still.
    std::fs::rename(log.join("00000000000000000001.seg"), log.join("00000000000000000001.seg.done")).unwrap();
    std::fs::rename(log.join("00000000000000000004.seg"), log.join("00000000000000000004.seg.done")).unwrap();
    let ended = |points| Ended { accepted: points, delivered: points, ..Ended::default() };
    cursor(&log, 5, 5, &[], &[("acme", ended(12_342)), ("globex", ended(2))]);
    assert_eq!(expecting_nothing(dir.path()), Ok(()));

    let (letters, spill) = (dir.path().join("dead-letters"), dir.path().join("spill"));
    std::fs::create_dir(&letters).unwrap();
    std::fs::create_dir(&spill).unwrap();
    for (file, text, told) in [
        (log.join("00000000000000000009.seg.set-aside"), "x", "00000000000000000009.seg.set-aside lies apart"),
        (log.join("00000000000000000009.seg.damaged-28"), "x", "00000000000000000009.seg.damaged-28 lies apart"),
        (letters.join("acme.jsonl"), "{}\n{}\n", "2 dead letters"),
        (spill.join("t.spill"), "tagline-spill 1\n\u{fffd}", "spill files"),
    ] {
        std::fs::write(&file, text).unwrap();
        let failure = expecting_nothing(dir.path()).unwrap_err();
        assert!(failure.contains(told) && failure.contains(&dir.path().display().to_string()), "{told}: {failure}");
        std::fs::remove_file(&file).unwrap();
        assert_eq!(expecting_nothing(dir.path()), Ok(()), "{told}");
    }

    let lock = Lock::take(&log).unwrap().unwrap();
    assert!(expecting_nothing(dir.path()).unwrap_err().contains("stop it first"));
    drop(lock);
    // Points that the cursor knows, and that are nowhere.
    cursor(&log, 7, 5, &[], &[("acme", Ended { accepted: 9, delivered: 7, ..Ended::default() })]);
    assert!(expecting_nothing(dir.path()).unwrap_err().contains("2 points wait that cannot be found"));
}
