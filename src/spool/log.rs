//! The segment log: the spool's records on disk.
//!
//! *Comes in*: batches of records that were admitted; which of them have ended. *Goes out*: "they are durable", and the records of a destination
//! that are not in memory. *Never*: acknowledges what an fsync has not confirmed; writes on in a file whose fsync failed; deletes a segment before the
//! cursor that ends its records is durable; loads the backlog; deletes what it cannot read.
//!
//! One folder, `{spool.dir}/log`, of one process at a time (`lock`):
//!
//! | file | what it is |
//! |---|---|
//! | `BASE.seg` | a segment: records of all destinations in the order of acceptance, see [`format`]. Its records end where the next segment's base begins |
//! | `cursor.a`, `cursor.b` | what has ended, see [`cursor`] |
//! | `headroom` | space that is given back when the disk is full, so that the cursor can be written and segments can go |
//! | `….damaged-AT` | a copy of bytes that are no record |
//! | `….set-aside` | a file that could not be read at a start |
//! | `lock` | held by the process that owns the folder, whose id it names |

mod bounds;
pub(crate) mod cursor;
#[cfg(test)]
pub(crate) mod faulty;
pub(crate) mod format;
mod gather;
mod health;
mod keeper;
#[cfg(test)]
mod model;
pub(crate) mod offline;
mod reader;
mod recover;
pub(crate) mod scan;
pub(in crate::spool) mod segment;
pub(in crate::spool) mod segments;
mod shed;
pub(crate) mod storage;
#[cfg(test)]
mod tests;
mod writer;

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use thiserror::Error;

use super::state::{Bounds, Core};
use crate::clock::Clock;
use crate::config::OnFull;
use crate::metrics::Metrics;
use crate::outcome::Ledger;
use keeper::{Keeper, Wake};
use storage::{Folder, LogFile, Storage, read_full, write_full};
pub(in crate::spool) use writer::{Append, Job, Writer, head};

/// The file that says whose the folder is.
pub(crate) const LOCK: &str = "lock";
const HEADROOM: &str = "headroom";
const HEADROOM_NEW: &str = "headroom.new";
const GATHERED: &str = "gathered.new";
/// How often, over about a second, the lock is asked for.
const LOCK_TRIES: u32 = 10;
/// What the name of a file ends with that could not be used.
pub(crate) const SET_ASIDE: &str = ".set-aside";

/// A log is cut into about so many segments, so that space comes back in small parts.
const SEGMENTS: u64 = 32;
/// The bounds of a segment's size.
const SEGMENT_BYTES: Range<u64> = 256 << 10..64 << 20;

/// Where the log lies, and how much it may hold.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder; made if it is missing.
    pub dir: PathBuf,
    /// Most bytes on the disk.
    pub max_bytes: u64,
    /// Most bytes of lines that are held in memory as well.
    pub max_memory: u64,
    /// What happens when it is full.
    pub on_full: OnFull,
}

/// How a log is cut.
#[derive(Clone, Copy, Debug)]
pub(in crate::spool) struct Sizes {
    /// From this size on a segment is sealed, bytes.
    segment: u64,
    /// Space that is kept for the cursor.
    headroom: usize,
    /// What each of the cursor's files has at least, so that a full disk takes a cursor.
    cursor: u64,
    /// How much of a destination's backlog is read ahead of its lane.
    ahead: usize,
}

impl Sizes {
    fn of(options: &Options) -> Self {
        Self {
            segment: (options.max_bytes / SEGMENTS).clamp(SEGMENT_BYTES.start, SEGMENT_BYTES.end),
            headroom: usize::try_from((options.max_bytes / 64).clamp(64 << 10, 4 << 20)).unwrap_or(4 << 20),
            // Enough for hundreds of tenants; it grows when it is half full.
            cursor: 64 << 10,
            ahead: 512 << 10,
        }
    }
}

/// Why a log cannot be opened: what, where, and what to do.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("the spool in {dir} is in use by another tagline{owner}: stop that one, or give this one a spool.dir of its own", dir = dir.display())]
    InUse {
        /// The folder.
        dir: PathBuf,
        /// Its process id in brackets, if it is known.
        owner: String,
    },
    /// The folder or a file in it.
    #[error("the spool in {dir} cannot be opened: {error}; make it readable and writable for this user, or choose another spool.dir", dir = dir.display())]
    Io {
        /// The folder.
        dir: PathBuf,
        /// What happened.
        error: io::Error,
    },
}

/// The log's part of a running spool.
pub(in crate::spool) struct Log {
    storage: Arc<dyn Storage>,
    jobs: Sender<Job>,
    keeper: SyncSender<Wake>,
    trouble: Mutex<health::Trouble>,
    /// Held for writing while a segment's file is exchanged.
    files: RwLock<()>,
    metrics: Arc<Metrics>,
    sizes: Sizes,
    /// Until it is dropped the folder is ours.
    lock: Mutex<Option<File>>,
}

/// A spool whose threads do not run yet.
pub(in crate::spool) struct Parts {
    pub(in crate::spool) core: Arc<Core>,
    pub(in crate::spool) writer: Writer,
    pub(in crate::spool) keeper: Keeper,
    jobs: Receiver<Job>,
    wakes: Receiver<Wake>,
}

/// Opens the log in a folder and starts its threads.
pub(in crate::spool) fn open(
    options: &Options,
    ledger: &Ledger,
    clock: Clock,
    metrics: Arc<Metrics>,
) -> Result<Arc<Core>, OpenError> {
    let dir = &options.dir;
    let failed = |error| OpenError::Io { dir: dir.clone(), error };
    let folder = Folder::make(dir).map_err(failed)?;
    let lock = lock(dir)?;
    let sizes = Sizes::of(options);
    let parts = assemble(Arc::new(folder), options, sizes, ledger, clock, metrics, Some(lock)).map_err(failed)?;
    parts.start().map_err(failed)
}

/// Takes up what lies in the storage.
pub(in crate::spool) fn assemble(
    storage: Arc<dyn Storage>,
    options: &Options,
    sizes: Sizes,
    ledger: &Ledger,
    clock: Clock,
    metrics: Arc<Metrics>,
    lock: Option<File>,
) -> io::Result<Parts> {
    let recovered = recover::recover(&*storage, ledger, &metrics)?;
    #[expect(clippy::disallowed_methods, reason = "bounded by admission: what waits for a commit is reserved bytes")]
    let (jobs, job_queue) = std::sync::mpsc::channel();
    // A wake that finds one waiting is that one.
    let (keeper, wakes) = sync_channel(1);
    let has_headroom = storage.list()?.iter().any(|name| name == HEADROOM);
    let log = Log {
        storage: Arc::clone(&storage),
        jobs,
        keeper,
        trouble: Mutex::default(),
        files: RwLock::default(),
        metrics: Arc::clone(&metrics),
        sizes,
        lock: Mutex::new(lock),
    };
    let bounds = Bounds { bytes: options.max_bytes, memory: options.max_memory, on_full: options.on_full };
    let writer = Writer::new(Arc::clone(&storage), metrics, sizes.segment, recovered.next);
    let mut keeper = Keeper::new(storage, sizes.headroom, has_headroom);
    keeper.reserve(sizes.cursor);
    let core = Arc::new(Core::new(bounds, clock, Some(log), recovered.segments));
    for name in recovered.set_aside {
        core.set_aside(name);
    }
    Ok(Parts { core, writer, keeper, jobs: job_queue, wakes })
}

impl Parts {
    /// Starts the two threads. They end when the last holder of the spool lets go of it.
    fn start(self) -> io::Result<Arc<Core>> {
        let Self { core, writer, keeper, jobs, wakes } = self;
        let weak = Arc::downgrade(&core);
        let of_keeper = weak.clone();
        std::thread::Builder::new().name("spool-commit".to_owned()).spawn(move || writer.run(&weak, &jobs))?;
        std::thread::Builder::new().name("spool-keep".to_owned()).spawn(move || keeper.run(&of_keeper, &wakes))?;
        core.wake();
        Ok(core)
    }
}

impl Log {
    pub(in crate::spool) fn segment_bytes(&self) -> u64 {
        self.sizes.segment
    }

    pub(in crate::spool) fn wake_keeper(&self) {
        // One that waits already is as good, and a keeper that has ended needs to do nothing more.
        let _ = self.keeper.try_send(Wake::Now);
    }

    /// Hands a submission to the committing thread; it comes back when that has ended.
    pub(in crate::spool) fn submit(&self, append: Append) -> Result<(), Append> {
        self.jobs.send(Job::Append(append)).map_err(|error| match error.0 {
            Job::Append(append) => append,
            Job::Probe | Job::Stop(_) => unreachable!("what was sent comes back"),
        })
    }

    /// Ends both threads, and gives the folder up. Blocks.
    pub(in crate::spool) fn shut_down(&self) {
        let (done, answered) = sync_channel(1);
        if self.jobs.send(Job::Stop(done)).is_ok() {
            let _ = answered.recv();
        }
        let (done, answered) = sync_channel(1);
        if self.keeper.send(Wake::Stop(done)).is_ok() {
            let _ = answered.recv();
        }
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// Takes the folder for this process.
fn lock(dir: &Path) -> Result<File, OpenError> {
    let failed = |error| OpenError::Io { dir: dir.to_owned(), error };
    let path = dir.join(LOCK);
    let mut file =
        fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
    let mut tried = 0;
    let taken = loop {
        match file.try_lock() {
            // Who only looks whether somebody holds it (`tagline spool`) holds it for that moment.
            Err(fs::TryLockError::WouldBlock) if tried < LOCK_TRIES => {
                tried += 1;
                std::thread::park_timeout(Duration::from_millis(100));
            }
            taken => break taken,
        }
    };
    match taken {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => {
            let mut owner = String::new();
            let _ = file.read_to_string(&mut owner);
            let owner = if owner.trim().is_empty() { String::new() } else { format!(" (process {})", owner.trim()) };
            return Err(OpenError::InUse { dir: dir.to_owned(), owner });
        }
        Err(fs::TryLockError::Error(error)) => return Err(failed(error)),
    }
    // For people: it is the lock that counts, and a full disk may have no room for a name.
    let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(file)
}

/// Copies a damaged place aside, for people; the copy's name. One that is there already stays, if it is whole.
fn quarantine(storage: &dyn Storage, file: &dyn LogFile, name: &str, range: &Range<u64>) -> io::Result<String> {
    let copy = format!("{name}.damaged-{}", range.start);
    let out = match storage.create(&copy) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let there = storage.open(&copy)?;
            if there.len()? >= range.end - range.start {
                return Ok(copy);
            }
            there
        }
        created => created?,
    };
    let mut window = vec![0; 64 << 10];
    let mut at = range.start;
    while at < range.end {
        let wanted = usize::try_from(range.end - at).unwrap_or(usize::MAX).min(window.len());
        let read = read_full(file, &mut window[..wanted], at)?;
        if read == 0 {
            break;
        }
        write_full(&*out, &window[..read], at - range.start)?;
        at += read as u64;
    }
    out.sync()?;
    storage.sync()?;
    Ok(copy)
}

/// Whether an error says that there is no space.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// A segment's file name.
pub(crate) fn segment_name(base: u64) -> String {
    format!("{base:020}.seg")
}

/// The base in a segment's file name.
pub(crate) fn segment_base(name: &str) -> Option<u64> {
    let base = name.strip_suffix(".seg")?.parse().ok()?;
    // What only parses like one (`+…`, too few digits) is another file.
    (segment_name(base) == name).then_some(base)
}
