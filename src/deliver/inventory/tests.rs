use bytes::Bytes;

use super::*;
use crate::clock::Clock;
use crate::outcome::Account;
use crate::spool::{Spool, Submission};

/// A spill file of records with so many points each.
async fn a_spill(dir: &Path, records: &[(&str, u32)], line: &str) -> PathBuf {
    let spool = Spool::in_memory(1 << 30, crate::config::OnFull::Reject, Clock::system());
    for (tenant, points) in records {
        let lines = Bytes::from(format!("{line}\n").repeat(*points as usize));
        let account = Account::detached(tenant);
        let submission = Submission { account, share: 1.0, destination: "b".into(), points: *points, lines };
        spool.append(submission).await.unwrap();
    }
    let destination = "b".into();
    let records: Vec<_> = std::iter::from_fn(|| spool.try_next(&destination)).collect();
    spill::write(dir, 0, &records).unwrap()
}

#[tokio::test]
async fn spill_files_are_counted_by_tenant_and_damage_is_told() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(spill_files(dir.path()).unwrap(), []);
    let path = a_spill(dir.path(), &[("acme", 3), ("globex", 4), ("acme", 5)], "m v=1 1").await;
    let [file] = &spill_files(dir.path()).unwrap()[..] else { panic!("one file") };
    assert_eq!(file.tenants, [("acme".to_owned(), 8), ("globex".to_owned(), 4)].into_iter().collect());
    assert_eq!((file.damaged.clone(), file.bytes), (None, fs::metadata(&path).unwrap().len()));

    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 4]).unwrap();
    let [file] = &spill_files(dir.path()).unwrap()[..] else { panic!("one file") };
    assert_eq!((file.tenants.values().sum::<u64>(), file.damaged.as_deref()), (12, Some("its end is missing")));
    fs::write(&path, "tagline-spill 7\n").unwrap();
    let [file] = &spill_files(dir.path()).unwrap()[..] else { panic!("one file") };
    assert!(file.damaged.as_ref().is_some_and(|why| why.contains("version")), "{file:?}");
    fs::rename(&path, path.with_extension("spill.done")).unwrap();
    assert_eq!(spill_files(dir.path()).unwrap(), [], "what was sent does not wait");
}

#[tokio::test]
async fn a_spill_file_of_any_size_is_read_one_record_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    a_spill(dir.path(), &[("acme", 1_000); 80], &"x".repeat(500)).await;
    let used = allocation_counter::measure(|| {
        let [file] = &spill_files(dir.path()).unwrap()[..] else { panic!("one file") };
        assert!(file.bytes > 40_000_000 && file.tenants["acme"] == 80_000, "{file:?}");
    });
    assert!(used.bytes_max < 4 << 20, "{} bytes at once", used.bytes_max);
}

#[tokio::test]
async fn a_mark_that_is_gone_costs_no_more_memory_than_a_record_may() {
    let dir = tempfile::tempdir().unwrap();
    let path = a_spill(dir.path(), &[("acme", 1)], "m v=1 1").await;
    let mut bytes = fs::read(&path).unwrap();
    // Behind the first record: more than any record without a mark, then a whole one again.
    let second = bytes.iter().rposition(|byte| *byte == 0xFF).unwrap();
    let record: Vec<u8> = bytes[bytes.iter().position(|byte| *byte == 0xFF).unwrap()..second].to_vec();
    bytes.truncate(second);
    bytes.push(0xFF);
    bytes.resize(bytes.len() + (70 << 20), b'x');
    bytes.extend(record);
    fs::write(&path, bytes).unwrap();
    let mut pieces = Vec::new();
    spill::read(&path, &mut |piece| {
        pieces.push(piece);
        ControlFlow::Continue(())
    })
    .unwrap();
    let [Piece::Record(_), Piece::Damaged(numbers), Piece::Record(_), Piece::Torn] = &pieces[..] else {
        panic!("{pieces:?}")
    };
    assert_eq!(*numbers, 2..=2);
}

#[test]
fn dead_letters_are_counted_by_tenant_over_all_files_of_it() {
    let dir = tempfile::tempdir().unwrap();
    assert!(dead_letters(dir.path()).unwrap().is_empty());
    let letters = dir.path().join("dead-letters");
    fs::create_dir(&letters).unwrap();
    for (name, text) in [
        ("acme.jsonl", "1\n2\n"),
        ("acme.00000001.jsonl", "1\n2\n3\n"),
        ("acme.jsonl.replaying", "1\n"),
        ("acme.jsonl.1.jsonl.replaying", "1\n"),
        ("%28gateway%29.jsonl", "1\n"),
        ("globex.jsonl.replaying.done", "sent\n"),
        ("notes.txt", "1\n"),
    ] {
        fs::write(letters.join(name), text).unwrap();
    }
    let of = |files, letters, bytes| Letters { files, letters, bytes };
    let expected = [("(gateway)".to_owned(), of(1, 1, 2)), ("acme".to_owned(), of(4, 7, 14))];
    assert_eq!(dead_letters(dir.path()).unwrap(), expected.into_iter().collect());
}

#[test]
fn a_tenant_is_called_what_it_was_called_before_it_became_a_files_name() {
    for name in ["acme", "(gateway)", "a.b/c%41", "ÄÖ", ""] {
        assert_eq!(plain(&super::super::files::file_name(name)), name);
    }
    assert_eq!(plain("50%"), "50%");
    assert_eq!(plain("%zz%4"), "%zz%4");
}
