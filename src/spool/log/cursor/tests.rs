use super::*;
use crate::spool::log::faulty::{Call, Fault, Faulty};

/// The newer cursor file of version 1, beside the segment of that version.
const GOLDEN: &[u8] = include_bytes!("../../../../tests/fixtures/log-v1/cursor.a");

fn golden() -> Cursor {
    let acme = Ended {
        accepted: 12,
        delivered: 5,
        dead_lettered: 1,
        spilled: 2,
        lost: BTreeMap::from([("damaged".to_owned(), 3), ("größe".to_owned(), 1)]),
    };
    let accounts = BTreeMap::from([("acme".to_owned(), acme), ("Zoë-01".to_owned(), Ended::default())]);
    Cursor { generation: 4, next: u64::MAX, low: 1, runs: vec![1, 2, 3, 4], accounts }
}

/// A cursor of so many accounts.
fn sample(generation: u64, accounts: u64) -> Cursor {
    let account = |n| (format!("tenant-{n}"), Ended { accepted: 10 + n, delivered: n, ..Ended::default() });
    Cursor {
        generation,
        next: 90,
        low: 40 + generation,
        runs: vec![2, 5],
        accounts: (0..accounts).map(account).collect(),
    }
}

fn write(cursor: &Cursor) -> Faulty {
    let disk = Faulty::new();
    cursor.write(&disk).unwrap();
    disk
}

/// What is read, and which files are named as bad.
fn read_both(disk: &Faulty) -> (Option<Cursor>, Vec<String>) {
    let (cursor, bad) = Cursor::read(disk).unwrap();
    let name = |bad: Bad| match bad.unreadable {
        Some(error) => format!("{} ({error})", bad.name),
        None => bad.name,
    };
    (cursor, bad.into_iter().map(name).collect())
}

#[test]
fn a_cursor_of_version_1_is_read_and_written_to_the_byte() {
    let disk = Faulty::new();
    disk.put("cursor.a", GOLDEN);
    assert_eq!(read_both(&disk), (Some(golden()), vec![]));
    assert_eq!(write(&golden()).contents("cursor.a").unwrap(), GOLDEN);
}

#[test]
fn cursors_are_written_in_turn_and_the_newer_one_counts() {
    let disk = Faulty::new();
    assert_eq!(read_both(&disk), (None, vec![]));
    for generation in 1..6 {
        let older = disk.contents(FILES[(generation as usize + 1) % 2]);
        let cursor = sample(generation, generation);
        cursor.write(&disk).unwrap();
        assert_eq!(read_both(&disk), (Some(cursor.clone()), vec![]));
        assert_eq!(read_both(&disk.crash(&[])), (Some(cursor), vec![]), "it is durable");
        assert_eq!(disk.contents(FILES[(generation as usize + 1) % 2]), older, "the other is not touched");
    }
}

#[test]
fn what_a_longer_text_left_behind_a_shorter_one_is_ignored() {
    let disk = write(&sample(2, 50));
    let long = disk.contents("cursor.a").unwrap();
    sample(4, 1).write(&disk).unwrap();
    assert_eq!(disk.contents("cursor.a").unwrap().len(), long.len(), "never cut");
    assert_eq!(read_both(&disk), (Some(sample(4, 1)), vec![]));
}

#[test]
fn damage_anywhere_in_the_newer_file_falls_back_to_the_older() {
    let disk = write(&sample(3, 1));
    sample(4, 2).write(&disk).unwrap();
    let good = disk.contents("cursor.a").unwrap();
    let fallen = (Some(sample(3, 1)), vec!["cursor.a".to_owned()]);
    for at in 0..good.len() {
        for mask in [0x01, 0x20, 0x80, 0xFF] {
            let mut bad = good.clone();
            bad[at] ^= mask;
            disk.put("cursor.a", &bad);
            assert_eq!(read_both(&disk), fallen, "byte {at} ^ {mask:02x}");
        }
        disk.put("cursor.a", &good[..at]);
        // Cut to nothing it is as if it had never been written.
        let cut = if at == 0 { (Some(sample(3, 1)), vec![]) } else { fallen.clone() };
        assert_eq!(read_both(&disk), cut, "cut at {at}");
        // Torn: its first bytes are new, the rest is of the text before, which was longer.
        let old = write(&sample(2, 9)).contents("cursor.a").unwrap();
        disk.put("cursor.a", &[&good[..at], &old[at..]].concat());
        let (read, bad) = read_both(&disk);
        let torn = read != Some(sample(4, 2)) || !bad.is_empty();
        assert!(torn && read.is_some_and(|cursor| cursor.generation == 3), "torn at {at}");
    }
}

#[test]
fn without_a_valid_one_all_is_pending_and_both_are_named() {
    let disk = write(&sample(1, 1));
    sample(2, 1).write(&disk).unwrap();
    for bytes in
        [&b"\n"[..], b"t", b"tagline-cursor 1 00000000 0\n", b"tagline-cursor 1 00000000 18446744073709551615\n{}"]
    {
        for file in FILES {
            disk.put(file, bytes);
        }
        assert_eq!(read_both(&disk), (None, FILES.map(str::to_owned).to_vec()), "{bytes:?}");
    }
    // What is spelt in another way was not written by us, whatever its checksum says.
    let body = b"{}";
    let checksum = crc32c::crc32c(body);
    for head in [
        format!("{checksum:08X} 2"),
        format!("+{checksum:07x} 2"),
        format!("{checksum:08x} +2"),
        format!("{checksum:08x} 02"),
    ] {
        let text = format!("tagline-cursor 1 {head}\n{{}}");
        let ours = text.as_bytes() == [first_line(body).as_bytes(), body].concat();
        assert!(!ours, "{text}");
        disk.put("cursor.a", text.as_bytes());
        assert_eq!(read_both(&disk).0, None, "{text}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_the_reason_and_the_other_counts() {
    let disk = write(&sample(3, 1));
    sample(4, 2).write(&disk).unwrap();
    disk.plan(Call::Read, 0, 1, Fault::Io);
    let (read, bad) = read_both(&disk);
    assert_eq!(read, Some(sample(3, 1)));
    assert!(bad.len() == 1 && bad[0].starts_with("cursor.a (") && bad[0].contains("the disk failed"), "{bad:?}");
    disk.plan(Call::List, 0, 1, Fault::Io);
    Cursor::read(&disk).unwrap_err();
}

/// Any call fails, the same generation is tried again or not, the power goes: the last cursor that was confirmed or a later one is read.
#[test]
fn a_write_that_fails_anywhere_costs_no_confirmed_cursor() {
    let faults =
        [Fault::Io, Fault::Full, Fault::Short(7), Fault::Partly(vec![255]), Fault::Partly(vec![200, 3]), Fault::Power];
    let mut failed = 0;
    for (fault, step) in faults.iter().flat_map(|fault| (0..16).map(move |step| (fault, step))) {
        let disk = Faulty::new();
        disk.plan(Call::Any, step, 1, fault.clone());
        let mut confirmed = 0;
        for generation in [1, 2, 2, 3] {
            match sample(generation, 20 - generation).write(&disk) {
                Ok(_) => confirmed = confirmed.max(generation),
                Err(_) => failed += 1,
            }
            if confirmed + 1 < generation {
                break;
            }
        }
        for luck in [vec![], vec![255], vec![0, 255], vec![255, 0, 0], vec![220, 130, 7], vec![9, 240, 77, 128, 250]] {
            let (read, _) = read_both(&disk.crash(&luck));
            let found = read.as_ref().map_or(0, |cursor| cursor.generation);
            assert!(confirmed <= found && found <= 3, "{fault:?} at {step}, {luck:?}: {found}, confirmed {confirmed}");
            assert!(read.is_none_or(|cursor| cursor == sample(found, 20 - found)));
        }
    }
    assert!(failed > 30, "{failed}: the faults must be met");
}

#[test]
fn a_full_disk_still_takes_a_cursor_of_the_size_that_it_has() {
    let disk = write(&sample(1, 5));
    sample(2, 5).write(&disk).unwrap();
    disk.set_capacity(0);
    for generation in 3..9 {
        sample(generation, 5).write(&disk).unwrap();
        assert_eq!(read_both(&disk.crash(&[])).0, Some(sample(generation, 5)));
    }
    sample(9, 500).write(&disk).unwrap_err();
    assert_eq!(read_both(&disk).0, Some(sample(8, 5)));
}

#[test]
fn with_space_reserved_even_the_first_cursors_can_be_written_on_a_full_disk() {
    let disk = Faulty::new();
    reserve(&disk, 16 << 10).unwrap();
    assert_eq!(read_both(&disk), (None, vec![]), "what was never written is not damaged");
    disk.set_capacity(0);
    for generation in 1..9 {
        sample(generation, 20 + generation).write(&disk).unwrap();
        assert_eq!(read_both(&disk.crash(&[])), (Some(sample(generation, 20 + generation)), vec![]));
    }
    reserve(&disk, 1 << 20).unwrap_err();
    assert_eq!(read_both(&disk.crash(&[])).0, Some(sample(8, 28)));
}

#[test]
fn the_ended_ranges_lie_behind_the_low_water_mark() {
    let ended = |low, runs: &[u64]| -> Vec<_> {
        Cursor { low, runs: runs.to_vec(), ..Cursor::default() }.ended().map(|range| (range.start, range.end)).collect()
    };
    assert_eq!(ended(5, &[]), []);
    assert_eq!(ended(5, &[1, 2, 3, 4]), [(6, 8), (11, 15)]);
    assert_eq!(ended(5, &[0, 2]), [(5, 7)]);
    assert_eq!(ended(5, &[1, 2, 3]), [(6, 8), (11, 11)], "an end that is missing ends nothing");
    assert_eq!(ended(5, &[u64::MAX, u64::MAX]), [(u64::MAX, u64::MAX)]);
}

#[test]
fn what_has_not_ended_is_pending() {
    assert_eq!(golden().accounts["acme"].pending(), 0);
    assert_eq!(sample(1, 3).accounts["tenant-2"].pending(), 10);
    let more = Ended { accepted: 1, delivered: 2, ..Ended::default() };
    assert_eq!(more.pending(), 0);
}

#[test]
fn a_field_that_a_later_version_adds_or_an_earlier_one_lacked_is_no_damage() {
    let disk = Faulty::new();
    let body = br#"{"generation":7,"later":[1],"accounts":{"a":{"delivered":3}}}"#;
    disk.put("cursor.b", &[first_line(body).as_bytes(), body].concat());
    let (cursor, bad) = read_both(&disk);
    let cursor = cursor.unwrap();
    assert_eq!((cursor.generation, cursor.accounts["a"].delivered, bad.len()), (7, 3, 0));
}

mod property {
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    use super::*;

    fn cursor() -> impl Strategy<Value = Cursor> {
        let lost = btree_map(any::<String>(), 0..u64::MAX >> 8, 0..4);
        let account = (any::<[u64; 4]>(), lost).prop_map(|([accepted, delivered, dead_lettered, spilled], lost)| {
            Ended { accepted, delivered, dead_lettered, spilled, lost }
        });
        (any::<[u64; 3]>(), vec(any::<u64>(), 0..20), btree_map(any::<String>(), account, 0..8))
            .prop_map(|([generation, next, low], runs, accounts)| Cursor { generation, next, low, runs, accounts })
    }

    proptest! {
        #![proptest_config(crate::property::config(128))]

        #[test]
        fn what_was_written_is_read(cursor in cursor()) {
            prop_assert_eq!(read_both(&write(&cursor)), (Some(cursor), vec![]));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..200), length in any::<u64>(), json in any::<String>()) {
            let disk = Faulty::new();
            disk.put("cursor.a", &bytes);
            disk.put("cursor.b", &[format!("{MAGIC}00000000 {length}\n").as_bytes(), &bytes].concat());
            prop_assert_eq!(read_both(&disk).0, None);
            disk.put("cursor.b", &[first_line(json.as_bytes()).as_bytes(), json.as_bytes()].concat());
            prop_assert_eq!(read_both(&disk).0, None);
        }
    }
}
