//! The keeping thread: writes the cursor, deletes segments that are done, gathers what is left of old ones, and looks whether a failed disk works again.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::super::state::Core;
use super::cursor::{self, Cursor};
use super::storage::{Storage, write_full};
use super::writer::Job;
use super::{HEADROOM, HEADROOM_NEW, is_full, segment_name};

/// How long what has ended may stay unwritten: so much is delivered again after a crash.
const EVERY: Duration = Duration::from_secs(1);

/// What the keeping thread is told.
#[derive(Debug)]
pub(in crate::spool) enum Wake {
    /// Look now.
    Now,
    /// Look a last time, answer, and end.
    Stop(SyncSender<()>),
}

/// See the module.
#[derive(Debug)]
pub(in crate::spool) struct Keeper {
    pub(super) storage: Arc<dyn Storage>,
    /// Bytes of the headroom file, and whether it is there.
    headroom: usize,
    has_headroom: bool,
    /// Bytes that both cursor files have at least.
    reserved: u64,
    /// Segments of which the file has still to go: what waited in them stands in another one.
    pub(super) gathered: Vec<u64>,
    /// Before this pass nothing is gathered.
    pub(super) rest: u64,
}

impl Keeper {
    pub(in crate::spool) fn new(storage: Arc<dyn Storage>, headroom: usize, has_headroom: bool) -> Self {
        Self { storage, headroom, has_headroom, reserved: 0, gathered: Vec::new(), rest: 0 }
    }

    /// Takes the space that the cursor needs, while there is some.
    pub(in crate::spool) fn reserve(&mut self, bytes: u64) {
        match cursor::reserve(&*self.storage, bytes) {
            Ok(()) => self.reserved = bytes,
            Err(error) => tracing::warn!("no space could be reserved for the cursor of the spool's log: {error}"),
        }
    }

    /// Until it is stopped, or the spool is gone.
    pub(in crate::spool) fn run(mut self, core: &Weak<Core>, wakes: &Receiver<Wake>) {
        // What the start found is written down at once.
        if let Some(core) = core.upgrade() {
            self.pass(&core);
        }
        loop {
            let mut wake = match wakes.recv_timeout(EVERY) {
                Ok(wake) => wake,
                Err(RecvTimeoutError::Timeout) => Wake::Now,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            // One look is enough for all who asked.
            while let (Wake::Now, Ok(next)) = (&wake, wakes.try_recv()) {
                wake = next;
            }
            let Some(core) = core.upgrade() else { return };
            self.pass(&core);
            if let Wake::Stop(done) = wake {
                let _ = done.send(());
                return;
            }
            // Not for a cursor that failed: each try would be a new segment, whose end would wake this thread again.
            if core.writing_failed() {
                core.ask_writer(Job::Probe);
            }
        }
    }

    /// One look at everything.
    pub(in crate::spool) fn pass(&mut self, core: &Core) {
        core.read_again();
        let (cursor, done) = {
            let mut state = core.lock();
            state.segments.pass += 1;
            let done = state.segments.done();
            let dirty = std::mem::take(&mut state.segments.dirty);
            (if dirty { Some(state.segments.cursor()) } else { None }, done)
        };
        if let Some(cursor) = cursor
            && let Err(error) = self.write(core, &cursor)
        {
            core.lock().segments.dirty = true;
            core.keeping_failed(&error);
            // Without a cursor that says so, a deleted segment would be a loss.
            return;
        }
        if let Err(error) = self.delete(core, &done) {
            core.keeping_failed(&error);
            return;
        }
        core.keeping_works();
        self.gather(core);
        self.keep_headroom(core);
    }

    /// Makes a cursor durable, if need be in the space that was kept for it.
    pub(super) fn write(&mut self, core: &Core, cursor: &Cursor) -> io::Result<()> {
        let written = match cursor.write(&*self.storage) {
            Err(error) if is_full(&error) && std::mem::take(&mut self.has_headroom) => {
                self.storage.remove(HEADROOM)?;
                cursor.write(&*self.storage)
            }
            written => written,
        }?;
        // Twice what it needs now; where there is no space for that, the headroom has to do.
        if written * 2 > self.reserved && cursor::reserve(&*self.storage, written * 4).is_ok() {
            self.reserved = written * 4;
        }
        core.lock().segments.written(cursor);
        Ok(())
    }

    fn delete(&self, core: &Core, done: &[u64]) -> io::Result<()> {
        for base in done {
            match self.storage.remove(&segment_name(*base)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => drop(core.lock().segments.remove(*base)),
            }
        }
        if done.is_empty() { Ok(()) } else { self.storage.sync() }
    }

    /// Makes the headroom (again) when there is space; a success says that there is.
    fn keep_headroom(&mut self, core: &Core) {
        let short = core.health_of_log().is_some_and(|health| health.no_space);
        if self.has_headroom && !short {
            return;
        }
        match self.make_headroom() {
            Ok(()) if short => core.disk_works(),
            Ok(()) => {}
            // Its space may be just what others need.
            Err(_) => drop(self.storage.remove(HEADROOM_NEW)),
        }
    }

    fn make_headroom(&mut self) -> io::Result<()> {
        let file = match self.storage.create(HEADROOM_NEW) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.storage.open(HEADROOM_NEW),
            created => created,
        }?;
        write_full(&*file, &vec![0; self.headroom], 0)?;
        file.sync()?;
        self.storage.rename(HEADROOM_NEW, HEADROOM)?;
        self.has_headroom = true;
        Ok(())
    }
}
