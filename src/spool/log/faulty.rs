//! A disk in memory that fails as it is told to, and that can lose its power: what the tests of the log stand on.
//!
//! Its rules are those that a log may rely on under Linux, and no kinder:
//!
//! - What was written is read back at once, and stands on the disk after a sync of the file. Before, any of its 512-byte pages may have come there, in any
//!   order, in any of the states that the page went through, and cut in two; so may any of the file's lengths.
//! - A sync that fails leaves its pages clean: reads still see them, the next sync says that all is well, and they never come to the disk unless a
//!   page is written again.
//! - Creations, renames and removals are durable, in their order, after a sync of the folder; before, any first part of them.
//! - A full disk takes what fits, then nothing; what stands in blocks that a file has can always be written over. A removed file gives its space back
//!   when nobody has it open any more.
//!
//! [`Faulty::crash`] decides all that is left open by a list of bytes: it is cycled through, `[]` and zeros keep nothing that was not synced, 255 keeps
//! all. So a failing case shrinks to a short list of small numbers.

mod body;
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use super::storage::{LogFile, Storage};
use body::Body;

/// The unit in which a disk writes.
pub(crate) const PAGE: usize = 512;

/// What is asked of the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Call {
    Read,
    Write,
    SetLen,
    /// Of a file.
    Sync,
    List,
    Open,
    Create,
    Rename,
    Remove,
    SyncFolder,
    /// Any of them.
    Any,
}

/// How a call fails. A failing call does nothing, except as said here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// EIO. Of a sync: what was not synced before is lost.
    Io,
    /// EIO of a sync, and what this list picks (as at a crash) did come to the disk.
    Partly(Vec<u8>),
    /// ENOSPC. Of a sync (delayed allocation): as [`Fault::Io`].
    Full,
    /// A read or write of so many bytes, at most and at least one: no error. Other calls do not notice.
    Short(usize),
    /// The power fails: from here on every call does, whatever it is.
    Power,
}

#[derive(Debug)]
struct Plan {
    call: Call,
    /// How many such calls go well before.
    after: u64,
    /// How many fail.
    times: u64,
    fault: Fault,
}

/// Picks where anything is allowed, see the module's documentation.
pub(crate) struct Luck<'l> {
    bytes: &'l [u8],
    at: usize,
}

impl<'l> Luck<'l> {
    fn of(bytes: &'l [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn byte(&mut self) -> u8 {
        let byte = if self.bytes.is_empty() { 0 } else { self.bytes[self.at % self.bytes.len()] };
        self.at += 1;
        byte
    }

    /// One of `0..n`.
    fn pick(&mut self, n: usize) -> usize {
        if n > 256 {
            let high = usize::from(self.byte());
            return (high * 256 + usize::from(self.byte())) * n / 65536;
        }
        usize::from(self.byte()) * n / 256
    }
}

#[derive(Clone, Debug)]
enum Change {
    Create(String, usize),
    Rename(String, String),
    Remove(String),
}

fn apply(entries: &mut BTreeMap<String, usize>, change: &Change) {
    match change {
        Change::Create(name, file) => {
            entries.insert(name.clone(), *file);
        }
        Change::Rename(from, to) => {
            if let Some(file) = entries.remove(from) {
                entries.insert(to.clone(), file);
            }
        }
        Change::Remove(name) => {
            entries.remove(name);
        }
    }
}

#[derive(Debug)]
struct Disk {
    /// Never shorter: a removed file may come back by a crash.
    files: Vec<Body>,
    entries: BTreeMap<String, usize>,
    durable: BTreeMap<String, usize>,
    /// What is in `entries` and not in `durable` yet.
    changes: Vec<Change>,
    /// Blocks.
    capacity: usize,
    plans: Vec<Plan>,
    calls: u64,
    off: bool,
    /// Writes to a segment whose sync had failed.
    trespasses: u64,
}

impl Disk {
    /// Counts the call, and says how it fails.
    fn called(&mut self, call: Call) -> Option<Fault> {
        self.calls += 1;
        assert!(self.calls < 60_000, "somebody asks the disk without end");
        let mut fault = self.off.then_some(Fault::Power);
        for plan in self.plans.iter_mut().filter(|plan| plan.call == call || plan.call == Call::Any) {
            if plan.after > 0 {
                plan.after -= 1;
            } else if plan.times > 0 {
                plan.times -= 1;
                fault.get_or_insert(plan.fault.clone());
            }
        }
        self.off |= fault == Some(Fault::Power);
        fault
    }

    /// As [`Disk::called`], for calls that a short one of is none.
    fn check(&mut self, call: Call) -> io::Result<()> {
        match self.called(call) {
            None | Some(Fault::Short(_)) => Ok(()),
            Some(fault) => Err(error(&fault)),
        }
    }

    fn free(&self) -> usize {
        let linked = |file: &usize| self.entries.values().any(|entry| entry == file);
        let used = |(file, body): (usize, &Body)| if body.is_open() || linked(&file) { body.blocks() } else { 0 };
        self.capacity.saturating_sub(self.files.iter().enumerate().map(used).sum())
    }

    fn find(&self, name: &str) -> io::Result<usize> {
        self.entries.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn change(&mut self, change: Change) {
        apply(&mut self.entries, &change);
        self.changes.push(change);
    }
}

fn error(fault: &Fault) -> io::Error {
    match fault {
        Fault::Full => io::ErrorKind::StorageFull.into(),
        Fault::Power => io::Error::other("the power is off"),
        _ => io::Error::other("the disk failed"),
    }
}

/// What happens in the middle of a call, before the disk does it.
type Meanwhile = Box<dyn FnOnce(Call) + Send>;

/// A disk with one folder. Clones are the same disk.
#[derive(Clone)]
pub(crate) struct Faulty(Arc<Mutex<Disk>>, Arc<Mutex<Option<(u64, Meanwhile)>>>);

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.disk())
    }
}

impl Faulty {
    /// An empty one, without bound.
    pub(crate) fn new() -> Self {
        Self::with(Vec::new(), BTreeMap::new(), usize::MAX)
    }

    fn with(files: Vec<Body>, entries: BTreeMap<String, usize>, capacity: usize) -> Self {
        let durable = entries.clone();
        let (changes, plans) = (Vec::new(), Vec::new());
        let disk = Disk { files, entries, durable, changes, capacity, plans, calls: 0, off: false, trespasses: 0 };
        Self(Arc::new(Mutex::new(disk)), Arc::default())
    }

    /// This happens once, in the middle of the `after`-th call from now on: what another thread may do just then.
    pub(crate) fn meanwhile(&self, after: u64, what: Meanwhile) {
        *self.1.lock().unwrap() = Some((after, what));
    }

    /// It does not happen any more.
    pub(crate) fn forget(&self) {
        drop(self.1.lock().unwrap().take());
    }

    /// The disk, for a call of this kind.
    fn asked(&self, call: Call) -> MutexGuard<'_, Disk> {
        let due = {
            let mut meanwhile = self.1.lock().unwrap();
            match &mut *meanwhile {
                Some((0, _)) => meanwhile.take(),
                Some((after, _)) => {
                    *after -= 1;
                    None
                }
                None => None,
            }
        };
        if let Some((_, what)) = due {
            what(call);
        }
        self.disk()
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap()
    }

    /// Bounds what all files may hold together, in whole blocks of [`PAGE`] bytes.
    pub(crate) fn set_capacity(&self, bytes: u64) {
        self.disk().capacity = usize::try_from(bytes).unwrap() / PAGE;
    }

    /// The `after`-th call of this kind from now on (0: the next) and the `times - 1` behind it fail so.
    pub(crate) fn plan(&self, call: Call, after: u64, times: u64, fault: Fault) {
        self.disk().plans.push(Plan { call, after, times, fault });
    }

    /// Forgets what was planned; a power that failed stays away.
    pub(crate) fn heal(&self) {
        self.disk().plans.clear();
    }

    /// Forgets what was planned for calls that read (or for any).
    pub(crate) fn let_read(&self) {
        self.disk().plans.retain(|plan| ![Call::Read, Call::Open, Call::Any].contains(&plan.call));
    }

    /// How many calls there have been, so that a test can fail each of them in turn.
    pub(crate) fn calls(&self) -> u64 {
        self.disk().calls
    }

    pub(crate) fn is_off(&self) -> bool {
        self.disk().off
    }

    /// How often a segment was written to after a sync of it had failed.
    pub(crate) fn trespasses(&self) -> u64 {
        self.disk().trespasses
    }

    /// The names of all files, and how long they are; no call is counted.
    pub(crate) fn lengths(&self) -> Vec<(String, u64)> {
        let disk = self.disk();
        disk.entries.iter().map(|(name, file)| (name.clone(), disk.files[*file].seen().len() as u64)).collect()
    }

    /// The disk as it is found after a crash now: what was synced, and of the rest what `luck` picks. This one stays as it is.
    pub(crate) fn crash(&self, luck: &[u8]) -> Self {
        let disk = self.disk();
        let mut luck = Luck::of(luck);
        let mut entries = disk.durable.clone();
        let kept = luck.pick(disk.changes.len() + 1);
        for change in &disk.changes[..kept] {
            apply(&mut entries, change);
        }
        let files = disk.files.iter().map(|body| body.crashed(&mut luck)).collect();
        Self::with(files, entries, disk.capacity)
    }

    /// What a file holds for those who read it; no call is counted.
    pub(crate) fn contents(&self, name: &str) -> Option<Vec<u8>> {
        let disk = self.disk();
        disk.entries.get(name).map(|file| disk.files[*file].seen().to_vec())
    }

    /// Puts a durable file there, or other bytes into one: the disk's own decay, or what somebody copied.
    pub(crate) fn put(&self, name: &str, bytes: &[u8]) {
        let mut disk = self.disk();
        let file = disk.files.len();
        disk.files.push(Body::of(bytes));
        disk.entries.insert(name.to_owned(), file);
        disk.durable.insert(name.to_owned(), file);
    }

    fn handle(&self, disk: &Disk, file: usize) -> Arc<dyn LogFile> {
        Arc::new(Handle { disk: self.clone(), file, _open: disk.files[file].open() })
    }
}

impl Storage for Faulty {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut disk = self.asked(Call::List);
        disk.check(Call::List)?;
        // Not in the order of names: nobody may rely on it.
        Ok(disk.entries.keys().rev().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn LogFile>> {
        let mut disk = self.asked(Call::Create);
        disk.check(Call::Create)?;
        if disk.entries.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file = disk.files.len();
        disk.files.push(Body::of(&[]));
        disk.change(Change::Create(name.to_owned(), file));
        Ok(self.handle(&disk, file))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn LogFile>> {
        let mut disk = self.asked(Call::Open);
        disk.check(Call::Open)?;
        let file = disk.find(name)?;
        Ok(self.handle(&disk, file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut disk = self.asked(Call::Rename);
        disk.check(Call::Rename)?;
        disk.find(from)?;
        disk.change(Change::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut disk = self.asked(Call::Remove);
        disk.check(Call::Remove)?;
        disk.find(name)?;
        disk.change(Change::Remove(name.to_owned()));
        Ok(())
    }

    /// One that fails makes nothing durable, and the next one does.
    fn sync(&self) -> io::Result<()> {
        let mut disk = self.asked(Call::SyncFolder);
        disk.check(Call::SyncFolder)?;
        disk.durable = disk.entries.clone();
        disk.changes.clear();
        Ok(())
    }

    fn path(&self) -> &Path {
        Path::new("/the/disk/of/a/test")
    }
}

#[derive(Debug)]
struct Handle {
    disk: Faulty,
    file: usize,
    /// Holds the file's space.
    _open: Arc<()>,
}

impl LogFile for Handle {
    fn len(&self) -> io::Result<u64> {
        // Of the inode, in memory: it fails with the power alone.
        let disk = self.disk.disk();
        if disk.off { Err(error(&Fault::Power)) } else { Ok(disk.files[self.file].seen().len() as u64) }
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        let mut disk = self.disk.asked(Call::Read);
        let most = match disk.called(Call::Read) {
            None => into.len(),
            Some(Fault::Short(most)) => into.len().min(most.max(1)),
            Some(fault) => return Err(error(&fault)),
        };
        let rest = disk.files[self.file].seen().get(usize::try_from(at).unwrap()..).unwrap_or_default();
        let read = rest.len().min(most);
        into[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }

    fn write_at(&self, from: &[u8], at: u64) -> io::Result<usize> {
        let mut disk = self.disk.asked(Call::Write);
        let most = match disk.called(Call::Write) {
            None => from.len(),
            Some(Fault::Short(most)) => from.len().min(most.max(1)),
            Some(fault) => return Err(error(&fault)),
        };
        let free = disk.free();
        let is_segment = |(name, file): (&String, &usize)| *file == self.file && name.ends_with(".seg");
        if disk.files[self.file].lost() && disk.entries.iter().any(is_segment) {
            disk.trespasses += 1;
        }
        let written = disk.files[self.file].write(&from[..most], usize::try_from(at).unwrap(), free);
        if written == 0 && most > 0 { Err(error(&Fault::Full)) } else { Ok(written) }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut disk = self.disk.asked(Call::SetLen);
        disk.check(Call::SetLen)?;
        disk.files[self.file].set_len(usize::try_from(len).unwrap());
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.disk.asked(Call::Sync);
        let fault = disk.called(Call::Sync);
        let body = &mut disk.files[self.file];
        match fault {
            None | Some(Fault::Short(_)) => {
                body.sync();
                return Ok(());
            }
            Some(Fault::Power) => {}
            Some(Fault::Partly(ref luck)) => body.lose(&mut Luck::of(luck)),
            Some(_) => body.lose(&mut Luck::of(&[])),
        }
        Err(fault.as_ref().map_or_else(|| io::ErrorKind::Other.into(), error))
    }
}
