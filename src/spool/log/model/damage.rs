//! Every byte of a small log is flipped, and the log is cut everywhere, before a start and while it runs.

use std::collections::BTreeSet;

use super::*;

/// A log that was ended in order: several segments, in which some records have ended, and two cursors of which the older one misses an end.
struct Log {
    files: Vec<(String, Vec<u8>)>,
    records: Vec<Written>,
    accepted: u64,
    options: Options,
    metrics: Arc<Metrics>,
}

struct Written {
    file: String,
    range: Range<usize>,
    lines: Vec<u8>,
    waits: bool,
    /// By the older cursor too.
    waited: bool,
}

impl Log {
    fn new() -> Self {
        let options = Options { dir: PathBuf::new(), max_bytes: LIMIT, max_memory: 0, on_full: OnFull::Reject };
        let mut world = World::new(options.clone());
        for round in 0..4 {
            world.step(&Op::Admit(vec![(0, 0, 2, 3), (1, 2, 1, 20), (0, 0, 3, 1)]));
            world.step(&Op::Commit);
            if round % 2 == 1 {
                // Sealed: the rest comes into another one.
                let up = world.up();
                up.writer.lock().unwrap().seal(&up.core);
            }
        }
        world.step(&Op::Drain(0, 3, Outcome::Delivered));
        world.step(&Op::Pass(1));
        world.step(&Op::Drain(2, 1, Outcome::DeadLettered));
        let waited = waiting(&world.up().core);
        world.end_in_order();
        // Nothing is deleted between the two cursors.
        world.step_start();
        world.step(&Op::Pass(1));
        world.step(&Op::Drain(0, 1, Outcome::Delivered));
        world.step(&Op::Pass(1));
        let waits = waiting(&world.up().core);
        let names = world.disk.lengths().into_iter().map(|(name, _)| name).filter(|name| name != HEADROOM);
        let files: Vec<_> = names.map(|name| (name.clone(), world.disk.contents(&name).unwrap())).collect();
        let mut records = Vec::new();
        for (file, bytes) in files.iter().filter(|(name, _)| name.ends_with(".seg")) {
            let storage = world.disk.open(file).unwrap();
            let mut scan = Scan::new(&*storage, FILE_HEADER as u64, bytes.len() as u64);
            while let Some(found) = scan.next(|_| true).unwrap() {
                let Found::Record { at, head, lines } = found else { panic!("{found:?}") };
                let range = at as usize..(at + head.record_len()) as usize;
                let (waits, waited) = (waits.contains(&head.sequence), waited.contains(&head.sequence));
                records.push(Written { file: file.clone(), range, lines: lines.to_vec(), waits, waited });
            }
        }
        let accepted = records.iter().map(|record| points(&record.lines)).sum();
        let log = Self { files, records, accepted, options, metrics: Arc::clone(&world.metrics) };
        assert!(log.files.len() == 4 && log.records.len() == 12, "{:?}", world.disk.lengths());
        assert!(log.records.iter().filter(|record| record.waits).count() == 7);
        log
    }

    fn disk(&self, damaged: Option<(&str, &[u8])>) -> Faulty {
        let disk = Faulty::new();
        for (name, bytes) in &self.files {
            disk.put(name, damaged.filter(|(other, _)| name == other).map_or(bytes, |(_, bytes)| bytes));
        }
        disk
    }

    fn start(&self, disk: &Faulty) -> (Parts, Ledger) {
        let ledger = Ledger::default();
        let disk = Arc::new(disk.clone());
        let clock = Clock::manual(5);
        let parts = assemble(disk, &self.options, sizes(), &ledger, clock, Arc::clone(&self.metrics), None);
        (parts.expect("damage stops no start"), ledger)
    }

    /// Starts on damaged files (or damages them after the start), delivers what waits, and starts again.
    fn check(&self, name: &str, bytes: &[u8], touched: impl Fn(&Written) -> bool, running: bool) {
        let is_cursor = !name.ends_with(".seg");
        let disk = self.disk((!running).then_some((name, bytes)));
        if !running {
            // One that crashed at once changes nothing.
            drop(self.start(&disk));
        }
        let (mut parts, ledger) = self.start(&disk);
        if running {
            disk.put(name, bytes);
        }
        let expected: BTreeSet<&[u8]> = self
            .records
            .iter()
            .filter(|record| record.waits && !(touched(record) && record.file == name))
            .map(|record| &record.lines[..])
            .collect();
        let mut delivered = BTreeSet::new();
        for bucket in BUCKETS {
            while let Some(waiting) = parts.core.try_next(&bucket.into()) {
                parts.core.settle(&waiting, Outcome::Delivered);
                assert!(delivered.insert(waiting.lines.to_vec()), "delivered twice");
            }
        }
        for lines in &expected {
            assert!(delivered.remove(*lines), "{:?} is untouched", std::str::from_utf8(lines));
        }
        // By the older cursor one more waits.
        let again = |lines: &Vec<u8>| self.records.iter().any(|record| record.waited && record.lines == *lines);
        assert!(delivered.iter().all(|lines| is_cursor && again(lines)), "{delivered:?}");
        let lost: u64 = self
            .records
            .iter()
            .filter(|record| record.waits && touched(record) && record.file == name)
            .map(|record| points(&record.lines))
            .sum();
        let sums = |ledger: &Ledger| {
            let mut sums = (0, 0, 0);
            for account in ledger.accounts() {
                let totals = account.totals();
                assert!(totals.balances(), "{totals:?}");
                sums.0 += totals.accepted;
                sums.1 += totals.pending;
                sums.2 += totals.lost[Loss::Damaged as usize];
            }
            sums
        };
        assert_eq!(sums(&ledger), (self.accepted, 0, lost), "{:?}", disk.lengths());
        parts.keeper.pass(&parts.core);
        let (_parts, ledger) = self.start(&disk);
        assert_eq!(sums(&ledger), (self.accepted, 0, lost), "at the second start");
    }
}

fn waiting(core: &Core) -> BTreeSet<u64> {
    let state = core.lock();
    let of =
        |segment: &segment::Segment| (segment.base..segment.next).filter(|s| segment.waits(*s)).collect::<Vec<_>>();
    state.segments.iter().flat_map(of).collect()
}

fn points(lines: &[u8]) -> u64 {
    lines.iter().filter(|byte| **byte == b'\n').count() as u64
}

#[test]
fn a_flipped_byte_anywhere_costs_the_record_that_it_stands_in_and_is_counted_once() {
    let log = Log::new();
    for (name, bytes) in &log.files {
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= [0x01, 0x80, 0xFF][at % 3];
            for running in [false, true] {
                if !running || name.ends_with(".seg") {
                    log.check(name, &damaged, |record| record.range.contains(&at), running);
                }
            }
        }
    }
}

#[test]
fn a_log_cut_anywhere_keeps_all_before_the_cut_and_every_other_file() {
    let log = Log::new();
    for (name, bytes) in &log.files {
        for len in 0..bytes.len() {
            for running in [false, true] {
                if !running || name.ends_with(".seg") {
                    log.check(name, &bytes[..len], |record| record.range.end > len, running);
                }
            }
        }
    }
}

#[test]
fn damage_deletes_nothing() {
    let log = Log::new();
    for (name, bytes) in log.files.iter().filter(|(name, _)| name.ends_with(".seg")) {
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] = !damaged[at];
            let disk = log.disk(Some((name, &damaged)));
            let _started = log.start(&disk);
            let (whole, aside) = (disk.contents(name), disk.contents(&format!("{name}{SET_ASIDE}")));
            assert_eq!(whole.or(aside).as_deref(), Some(&damaged[..]), "{name} at {at}");
        }
    }
}
