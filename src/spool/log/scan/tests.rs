use std::sync::Mutex;

use super::*;
use crate::spool::log::format::{FILE_HEADER, MAGIC};

/// A file in memory that remembers what was read of it.
#[derive(Debug)]
struct Bytes {
    bytes: Vec<u8>,
    /// Most bytes of one read.
    most: usize,
    /// The reads to come that fail.
    failing: Mutex<u32>,
    reads: Mutex<Vec<Range<u64>>>,
}

impl Bytes {
    fn of(bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec(), most: usize::MAX, failing: Mutex::new(0), reads: Mutex::default() }
    }
}

impl LogFile for Bytes {
    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes.len() as u64)
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        let mut failing = self.failing.lock().unwrap();
        if *failing > 0 {
            *failing -= 1;
            return Err(io::Error::other("the disk failed"));
        }
        let rest = self.bytes.get(at as usize..).unwrap_or_default();
        let read = rest.len().min(into.len()).min(self.most);
        into[..read].copy_from_slice(&rest[..read]);
        self.reads.lock().unwrap().push(at..at + read as u64);
        Ok(read)
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<usize> {
        unreachable!("a scan does not write")
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        unreachable!("a scan does not write")
    }

    fn sync(&self) -> io::Result<()> {
        unreachable!("a scan does not write")
    }
}

/// A log, and where its records stand.
struct Log {
    bytes: Vec<u8>,
    records: Vec<Range<u64>>,
}

impl Log {
    /// Of records with so many bytes of lines.
    fn of(lines: &[usize]) -> Self {
        let mut log = Self { bytes: format::file_header(1).to_vec(), records: Vec::new() };
        for (n, lines) in lines.iter().enumerate() {
            let text: String = "m,tenant_id=größe v=1i 1700000000000000000\n".chars().cycle().take(lines / 2).collect();
            let text = format!("{text}{}", "x".repeat(lines.saturating_sub(text.len())));
            // Names of many lengths, none among them.
            log.push(1 + n as u64, 5, &"tenant-1"[..(n * 3) % 9], &"b/größe"[..[0, 2, 9][n % 3].min(3)], &text);
        }
        log
    }

    fn push(&mut self, sequence: u64, points: u32, tenant: &str, destination: &str, lines: &str) {
        let from = self.bytes.len() as u64;
        let accepted = sequence.wrapping_mul(1_000_003).cast_signed();
        Head { sequence, accepted, points, lines: lines.len() as u32, tenant, destination }
            .write(lines.as_bytes(), &mut self.bytes);
        self.records.push(from..self.bytes.len() as u64);
    }

    /// What a scan of `bytes` must give if only the records named by `good` are still whole, and nothing but `bytes` is there.
    fn expected(&self, bytes: &[u8], good: impl Fn(&Range<u64>) -> bool) -> Vec<Seen> {
        let end = bytes.len() as u64;
        let (mut seen, mut at) = (Vec::new(), FILE_HEADER as u64);
        for record in self.records.iter().filter(|record| record.end <= end && good(record)) {
            if at < record.start {
                seen.push(Seen::Damage(at..record.start));
            }
            seen.push(Seen::Record(record.clone()));
            at = record.end;
        }
        if at < end {
            seen.push(Seen::Tail(at..end));
        }
        seen
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Seen {
    /// Checked to hold what was written there.
    Record(Range<u64>),
    Damage(Range<u64>),
    Tail(Range<u64>),
}

/// All that a scan finds; every record is compared with the bytes that were written, not with those that were read.
fn scan(written: &[u8], file: &Bytes, chunk: usize) -> Vec<Seen> {
    let mut scan = Scan::by(chunk, file, FILE_HEADER as u64, file.bytes.len() as u64);
    let mut seen = Vec::new();
    while let Some(found) = scan.next(|_| true).unwrap() {
        seen.push(match found {
            Found::Damage(range) => Seen::Damage(range),
            Found::Tail(range) => Seen::Tail(range),
            Found::Record { at, head, lines } => {
                let range = at..at + head.record_len();
                let mut again = Vec::new();
                head.write(lines, &mut again);
                assert!(
                    written.get(at as usize..range.end as usize) == Some(&again),
                    "a record that was not written at {at}"
                );
                Seen::Record(range)
            }
        });
    }
    assert!(scan.next(|_| true).unwrap().is_none(), "the end is the end");
    seen
}

/// The window of most tests: smaller than their largest record.
const SMALL: usize = 1 << 10;

fn small() -> Log {
    Log::of(&[17, 0, 200, 1, 1500, 64, 0, 40])
}

#[test]
fn every_record_is_found_whatever_the_window_and_however_short_the_reads() {
    let log = small();
    let all = log.expected(&log.bytes, |_| true);
    assert_eq!(all.len(), 8);
    for chunk in [1, 7, FIXED, SMALL, WINDOW] {
        for most in [1, 3, usize::MAX] {
            let file = Bytes { most, ..Bytes::of(&log.bytes) };
            assert_eq!(scan(&log.bytes, &file, chunk), all, "window {chunk}, reads {most}");
        }
    }
    let none = Bytes::of(&format::file_header(1));
    assert_eq!(scan(&none.bytes, &none, WINDOW), []);
}

#[test]
fn a_flipped_byte_at_any_offset_costs_the_record_that_it_stands_in_and_no_other() {
    let log = small();
    for at in FILE_HEADER..log.bytes.len() {
        for mask in [0x01, 0x80, 0xFF] {
            let mut file = Bytes::of(&log.bytes);
            file.bytes[at] ^= mask;
            let expected = log.expected(&file.bytes, |record| !record.contains(&(at as u64)));
            assert_eq!(scan(&log.bytes, &file, SMALL), expected, "byte {at} ^ {mask:02x}");
        }
    }
}

#[test]
fn a_log_cut_at_any_offset_keeps_the_records_before_the_cut() {
    let log = small();
    for len in FILE_HEADER..log.bytes.len() {
        let cut = Bytes::of(&log.bytes[..len]);
        assert_eq!(scan(&log.bytes, &cut, SMALL), log.expected(&cut.bytes, |_| true), "cut at {len}");
        // Cut, and the rest of the blocks that it had is zeros.
        let mut zeros = cut;
        zeros.bytes.resize(log.bytes.len(), 0);
        if log.bytes[len..].iter().any(|byte| *byte != 0) {
            let expected = log.expected(&zeros.bytes, |record| record.end <= len as u64);
            let whole = log.records.iter().find(|record| record.contains(&(len as u64)));
            // A record whose last bytes are zeros anyway may have survived.
            if whole.is_some_and(|record| log.bytes[len..record.end as usize].iter().any(|byte| *byte != 0)) {
                assert_eq!(scan(&log.bytes, &zeros, SMALL), expected, "zeros from {len}");
            }
        }
    }
}

#[test]
fn a_record_larger_than_the_window_is_read_and_its_damage_passed() {
    let log = Log::of(&[50, WINDOW + 40_000, 0, 70, 2 * WINDOW, 9]);
    let all = log.expected(&log.bytes, |_| true);
    assert_eq!(scan(&log.bytes, &Bytes::of(&log.bytes), WINDOW), all);
    // Every offset of the heads, and one in a few thousand of the lines.
    let near = |at: &usize| log.records.iter().any(|record| (record.start..record.start + 60).contains(&(*at as u64)));
    let stride = 40_009;
    for at in (FILE_HEADER..log.bytes.len()).filter(|at| near(at) || at % stride == 0) {
        let mut file = Bytes::of(&log.bytes);
        file.bytes[at] ^= 0x55;
        let expected = log.expected(&file.bytes, |record| !record.contains(&(at as u64)));
        assert_eq!(scan(&log.bytes, &file, WINDOW), expected, "byte {at}");
    }
    for len in (FILE_HEADER..log.bytes.len()).filter(|at| (near(at) && at % 7 == 0) || at % stride == 0) {
        let cut = Bytes::of(&log.bytes[..len]);
        assert_eq!(scan(&log.bytes, &cut, WINDOW), log.expected(&cut.bytes, |_| true), "cut at {len}");
    }
}

#[test]
fn the_magic_inside_of_a_records_numbers_begins_no_record() {
    let magic = u32::from_le_bytes(MAGIC);
    let mut log = Log { bytes: format::file_header(1).to_vec(), records: Vec::new() };
    for shift in [0, 8, 16, 24, 32] {
        log.push(u64::from(magic) << shift, magic, "t", "b", "m v=1 1\n");
        log.push(1, magic.rotate_left(shift), "t", "b", "m v=1 1\n");
    }
    assert_eq!(scan(&log.bytes, &Bytes::of(&log.bytes), SMALL), log.expected(&log.bytes, |_| true));
    for at in FILE_HEADER..log.bytes.len() {
        let mut file = Bytes::of(&log.bytes);
        file.bytes[at] ^= 0x10;
        let expected = log.expected(&file.bytes, |record| !record.contains(&(at as u64)));
        assert_eq!(scan(&log.bytes, &file, SMALL), expected, "byte {at}");
    }
}

#[test]
fn a_lost_page_costs_the_records_in_it() {
    let log = Log::of(&[300; 20]);
    for page in 0..log.bytes.len() / 512 {
        let lost = (page * 512).max(FILE_HEADER)..(page + 1) * 512;
        let mut file = Bytes::of(&log.bytes);
        file.bytes[lost.clone()].fill(0);
        let expected =
            log.expected(&file.bytes, |record| record.end <= lost.start as u64 || lost.end as u64 <= record.start);
        assert_eq!(scan(&log.bytes, &file, SMALL), expected, "page {page}");
    }
}

#[test]
fn the_lines_of_a_record_that_nobody_wants_are_not_read() {
    let log = Log::of(&[100, 50_000, 100, 80_000, 100]);
    let file = Bytes::of(&log.bytes);
    let mut scan = Scan::by(SMALL, &file, FILE_HEADER as u64, log.bytes.len() as u64);
    let mut found = Vec::new();
    while let Some(next) = scan.next(|head| head.sequence % 2 == 1).unwrap() {
        match next {
            Found::Record { head, .. } => found.push(head.sequence),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(found, [1, 3, 5]);
    let read: u64 = file.reads.lock().unwrap().iter().map(|read| read.end - read.start).sum();
    assert!(read <= 6 * SMALL as u64, "{read} bytes of {}", log.bytes.len());
    // So damage in them is not seen, and damage in a head is.
    let mut bad = Bytes::of(&log.bytes);
    bad.bytes[log.records[1].start as usize + 10_000] ^= 1;
    bad.bytes[log.records[3].start as usize + 9] ^= 1;
    let mut scan = Scan::by(SMALL, &bad, FILE_HEADER as u64, log.bytes.len() as u64);
    assert_eq!(scan.next(|head| head.sequence == 5).unwrap(), Some(Found::Damage(log.records[3].clone())));
    assert!(matches!(scan.next(|_| true).unwrap(), Some(Found::Record { head, .. }) if head.sequence == 5));
}

#[test]
fn a_read_that_failed_is_tried_again_and_never_taken_for_damage() {
    let log = small();
    let all = log.expected(&log.bytes, |_| true);
    for good in 0..all.len() {
        let file = Bytes::of(&log.bytes);
        let mut scan = Scan::by(FIXED, &file, FILE_HEADER as u64, log.bytes.len() as u64);
        for _ in 0..good {
            scan.next(|_| true).unwrap();
        }
        *file.failing.lock().unwrap() = 1;
        let at = scan.at();
        scan.next(|_| true).unwrap_err();
        assert_eq!(scan.at(), at);
        let Some(Found::Record { at: found, .. }) = scan.next(|_| true).unwrap() else {
            panic!("record {good} is gone")
        };
        assert_eq!(found, at);
    }
}

#[test]
fn a_file_that_is_shorter_than_it_was_ends_where_it_ends() {
    let log = small();
    for len in FILE_HEADER..log.bytes.len() {
        let cut = Bytes::of(&log.bytes[..len]);
        let mut found = Scan::by(SMALL, &cut, FILE_HEADER as u64, log.bytes.len() as u64);
        let mut at = FILE_HEADER as u64;
        while let Some(next) = found.next(|_| true).unwrap() {
            let range = match next {
                Found::Record { at, head, .. } => at..at + head.record_len(),
                Found::Tail(range) => range,
                Found::Damage(range) => panic!("{range:?} of {len}"),
            };
            assert!(range.start == at && range.start < range.end, "{range:?} behind {at}");
            at = range.end;
        }
        assert_eq!(at, len as u64);
        // Nor does one that skips all come to anything but the end.
        let mut skips = Scan::by(SMALL, &cut, FILE_HEADER as u64, log.bytes.len() as u64);
        match skips.next(|_| false).unwrap() {
            None => {}
            Some(Found::Tail(range)) => assert!(range.start < range.end && range.end == len as u64, "{range:?}"),
            other => panic!("{other:?}"),
        }
    }
}

mod property;
