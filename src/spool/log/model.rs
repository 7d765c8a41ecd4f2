//! A model of the spool over a disk that fails: what it must hold is written down beside it, and compared after every step.
//!
//! There are no threads: the committing and the keeping thread's work is called by the test, so that a case is the same each time. What can only go
//! wrong between threads is met by [`stress`], and by steps that run in the middle of another's calls to the disk ([`Op::Meanwhile`]).

mod damage;
mod ops;
mod property;
mod run;
mod scripted;
mod stress;

use std::collections::BTreeMap;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use super::super::record::Record;
use super::super::state::Core;
use super::super::{Refused, Submission};
use super::faulty::Faulty;
use super::format::FILE_HEADER;
use super::scan::{Found, Scan};
use super::storage::Storage as _;
use super::*;
use crate::config::TenantId;
use crate::outcome::{Loss, Outcome};
use ops::Op;

const TENANTS: [&str; 3] = ["acme", "globex", "initech"];
const BUCKETS: [&str; 3] = ["main", "own", "paused"];
const LIMIT: u64 = 24 << 10;

fn sizes() -> Sizes {
    Sizes { segment: 2 << 10, headroom: 1 << 10, cursor: 2 << 10, ahead: 1_500 }
}

/// What became of one line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    /// Not in the spool: refused, or not answered.
    Out,
    Waits,
    Held,
    Ended(Outcome),
}

/// One submission, as it was made.
#[derive(Debug)]
struct Made {
    tenant: usize,
    bucket: usize,
    lines: Bytes,
    /// Where each line begins, and the end.
    starts: Vec<usize>,
    fates: Vec<Fate>,
    cost: u64,
    /// Its record's number, once that is known.
    sequence: u64,
    /// A cursor that says that it has ended is durable.
    settled_for_good: bool,
    /// Refused, since the disk failed, and yet found by a start: where neither cutting it off nor a next segment was to be had, its bytes are still in the
    /// kernel's memory, and no sync says any more whether they are on the disk (the one that failed has left them clean). Nobody was told that it is
    /// kept; the power may take it.
    unconfirmed: bool,
}

impl Made {
    fn is_accepted(&self) -> bool {
        self.fates[0] != Fate::Out
    }

    fn has_ended(&self) -> bool {
        self.fates.iter().all(|fate| matches!(fate, Fate::Ended(_)))
    }

    fn waits(&self) -> bool {
        self.is_accepted() && !self.has_ended()
    }

    fn points(&self, what: impl Fn(Fate) -> bool) -> u64 {
        self.fates.iter().filter(|fate| what(**fate)).count() as u64
    }
}

/// One process.
struct Up {
    core: Arc<Core>,
    writer: Mutex<Writer>,
    keeper: Mutex<Keeper>,
    jobs: Mutex<Receiver<Job>>,
    wakes: Mutex<Receiver<Wake>>,
    ledger: Ledger,
}

struct World {
    disk: Faulty,
    options: Options,
    metrics: Arc<Metrics>,
    clock: Clock,
    up: Option<Arc<Up>>,
    book: Arc<Mutex<Book>>,
}

type Answer = tokio::sync::oneshot::Receiver<Result<(), Refused>>;

/// What the spool must know.
#[derive(Default)]
struct Book {
    made: Vec<Made>,
    held: Vec<Record>,
    /// Admitted, and not committed.
    admitted: Vec<(usize, Append, Answer)>,
    /// Something was made to fail since the start of this process.
    faults: bool,
}

impl World {
    fn new(options: Options) -> Self {
        let mut world = Self {
            disk: Faulty::new(),
            options,
            metrics: Arc::new(Metrics::new().unwrap()),
            clock: Clock::manual(1_700_000_000_000_000_000),
            up: None,
            book: Arc::default(),
        };
        assert!(world.start());
        world
    }

    fn book(&self) -> std::sync::MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn up(&self) -> Arc<Up> {
        Arc::clone(self.up.as_ref().expect("it was started"))
    }

    /// Starts a process on the disk as it is; `false` if it fails, which only a fault may make it do.
    fn start(&mut self) -> bool {
        let ledger = Ledger::default();
        let storage: Arc<Faulty> = Arc::new(self.disk.clone());
        let parts = match assemble(
            storage,
            &self.options,
            sizes(),
            &ledger,
            self.clock.clone(),
            Arc::clone(&self.metrics),
            None,
        ) {
            Ok(parts) => parts,
            Err(error) => {
                assert!(self.book().faults, "a start failed: {error}");
                return false;
            }
        };
        let Parts { core, writer, keeper, jobs, wakes } = parts;
        let (writer, keeper) = (Mutex::new(writer), Mutex::new(keeper));
        self.up = Some(Arc::new(Up { core, writer, keeper, jobs: Mutex::new(jobs), wakes: Mutex::new(wakes), ledger }));
        self.take_stock();
        self.check();
        true
    }

    /// Compares what a start found with what it may find.
    fn take_stock(&self) {
        let up = self.up();
        // A torn commit, of which a later record came to the disk, looks like damage. A whole file never does.
        let aside = up.core.health_of_log().unwrap().set_aside;
        assert!(!aside.iter().any(|name| name.contains(SET_ASIDE)), "{aside:?}");
        let found = self.found(&up.core);
        let mut book = self.book();
        let faults = book.faults;
        for (id, made) in book.made.iter_mut().enumerate() {
            let Some(sequence) = found.get(&id) else {
                if made.unconfirmed && made.waits() {
                    made.fates.fill(Fate::Out);
                    continue;
                }
                assert!(!made.waits(), "record {} (submission {id}) is lost: {:?}", made.sequence, made.fates);
                continue;
            };
            assert!(!made.settled_for_good, "record {sequence} (submission {id}) has ended, and came again");
            made.unconfirmed |= faults && !made.is_accepted();
            made.fates.fill(Fate::Waits);
            made.sequence = *sequence;
        }
    }

    /// What waits by the state and the bytes on the disk: each submission's sequence.
    fn found(&self, core: &Core) -> BTreeMap<usize, u64> {
        let mut found = BTreeMap::new();
        let segments: Vec<segment::Segment> = core.lock().segments.iter().cloned().collect();
        for segment in segments {
            let name = segment_name(segment.base);
            let Some(bytes) = self.disk.contents(&name) else {
                assert_eq!(segment.waiting().records, 0, "{name} is gone");
                continue;
            };
            assert!(bytes.len() as u64 >= segment.len, "{name} has {} of {} bytes", bytes.len(), segment.len);
            let disk = Faulty::new();
            disk.put("f", &bytes);
            let file = disk.open("f").unwrap();
            let mut scan = Scan::new(&*file, FILE_HEADER as u64, segment.len);
            let (mut records, mut points) = (0, 0);
            let book = self.book();
            while let Some(next) = scan.next(|head| segment.waits(head.sequence)).unwrap() {
                let Found::Record { head, lines, .. } = next else { continue };
                let (id, _) = name_of(lines);
                let made = &book.made[id];
                assert_eq!((TENANTS[made.tenant], BUCKETS[made.bucket]), (head.tenant, head.destination));
                assert_eq!((lines, head.points as usize), (&made.lines[..], made.fates.len()), "submission {id}");
                assert_eq!(found.insert(id, head.sequence), None, "submission {id} stands in the log twice");
                records += 1;
                points += u64::from(head.points);
            }
            let waiting = segment.waiting();
            assert_eq!((records, points), (waiting.records, waiting.points), "{name}: what is found, and what waits");
        }
        found
    }

    /// Whether all that can be seen of the running process is as the book says.
    fn check(&self) {
        let up = self.up();
        let book = self.book();
        let mut waiting = 0;
        for (tenant, name) in TENANTS.iter().enumerate() {
            let totals = up.ledger.account(&TenantId::parse(name).unwrap()).totals();
            let sum = |what: fn(Fate) -> bool| -> u64 {
                book.made.iter().filter(|made| made.tenant == tenant).map(|made| made.points(what)).sum()
            };
            assert!(totals.balances(), "{totals:?}");
            let pending = sum(|fate| matches!(fate, Fate::Waits | Fate::Held));
            waiting += pending;
            let is = (totals.accepted, totals.pending, totals.delivered, totals.dead_lettered, totals.lost);
            let mut lost = [0; Loss::ALL.len()];
            lost[Loss::DroppedOldest as usize] = sum(|fate| fate == Fate::Ended(Outcome::Lost(Loss::DroppedOldest)));
            let delivered = sum(|fate| fate == Fate::Ended(Outcome::Delivered));
            let dead = sum(|fate| fate == Fate::Ended(Outcome::DeadLettered));
            assert_eq!(is, (sum(|fate| fate != Fate::Out), pending, delivered, dead, lost), "{name}: {totals:?}");
        }
        let pending = up.core.pending();
        assert_eq!(pending.points, waiting);
        let held: u64 = book.made.iter().filter(|made| made.waits()).map(|made| made.cost).sum();
        let reserved: u64 = book.admitted.iter().map(|(_, append, _)| append.cost).sum();
        let mut state = up.core.lock();
        assert_eq!((state.books.bytes, state.books.sums()), (held + reserved, (held + reserved, held + reserved)));
        assert_eq!(state.reserved, reserved);
        assert!(state.points > 0 || state.live.is_empty());
        let (whole, parts, ahead) = state.all_queues().fold((0, 0, 0), |sum, queue| {
            let weights = queue.weights();
            (sum.0 + weights.0, sum.1 + weights.1, sum.2 + weights.2)
        });
        assert_eq!(state.resident, whole + parts + ahead);
        let lens: u64 =
            state.segments.iter().filter(|segment| segment.waiting().records > 0).map(|segment| segment.len).sum();
        assert_eq!(state.segments.disk(), lens);
        assert_eq!(self.disk.trespasses(), 0, "a segment was written to after a sync of it had failed");
        // Beside the bound: headers, the headroom and its successor, one copy of a segment, two cursors.
        let files: u64 = self.disk.lengths().iter().map(|(_, len)| len).sum();
        let extra = 64 * FILE_HEADER as u64 + 2 * sizes().headroom as u64 + 2 * sizes().segment + (8 << 10);
        assert!(book.faults || files <= LIMIT + LIMIT / 4 + extra, "{files} bytes: {:?}", self.disk.lengths());
    }
}

/// Of which submission lines are, and which is the first of them.
fn name_of(lines: &[u8]) -> (usize, usize) {
    let text = std::str::from_utf8(lines).unwrap();
    let (name, rest) = text.strip_prefix('s').unwrap().split_once(",l=").unwrap();
    (name.parse().unwrap(), rest.split_once(' ').unwrap().0.parse().unwrap())
}
