//! The committing thread: everything that arrived during the last fsync goes into the next one, and is answered after it.
//!
//! There is no timer: under a light load a commit takes one request, under a heavy one as many as arrive while the disk works. A file whose fsync
//! failed is never written again: the kernel may have dropped what it could not write and call the next fsync a success. The same submissions
//! are then written to a new segment, under the same sequences; what the old one may hold of them lies behind its end (the new one's base).

use std::io;
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::oneshot;

use super::super::state::Core;
use super::super::{Refused, Submission};
use super::format::{self, FILE_HEADER, Head};
use super::segment::Tally;
use super::segments::Placed;
use super::storage::{LogFile, Storage, write_full};
use super::{is_full, segment_name};
use crate::clock::{UnixNanos, monotonic};
use crate::metrics::Metrics;

/// Most bytes of one commit: what a group may cost in memory a second time.
const MAX_COMMIT: u64 = 16 << 20;
/// How long a client should wait after a failure of the disk.
const DISK_RETRY: Duration = Duration::from_secs(5);

/// One submission that waits for its commit.
#[derive(Debug)]
pub(in crate::spool) struct Append {
    pub(in crate::spool) submission: Submission,
    /// Bytes of its record, as they were admitted.
    pub(in crate::spool) cost: u64,
    pub(in crate::spool) reply: oneshot::Sender<Result<(), Refused>>,
}

/// What the committing thread is asked for.
#[derive(Debug)]
pub(in crate::spool) enum Job {
    Append(Append),
    /// The disk failed before: try whether it takes something now.
    Probe,
    /// Answer when all before has been answered, and end.
    Stop(SyncSender<()>),
}

enum Trouble {
    /// The disk is full; the file is as it was.
    NoSpace,
    /// Something else: the file is not to be trusted.
    Failed(io::Error),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        if is_full(&error) { Self::NoSpace } else { Self::Failed(error) }
    }
}

#[derive(Debug)]
struct Active {
    base: u64,
    file: Arc<dyn LogFile>,
    /// Where the next record goes.
    at: u64,
}

/// See the module.
#[derive(Debug)]
pub(in crate::spool) struct Writer {
    storage: Arc<dyn Storage>,
    metrics: Arc<Metrics>,
    /// A segment is sealed at this size.
    segment_bytes: u64,
    active: Option<Active>,
    /// The next sequence.
    next: u64,
    buffer: Vec<u8>,
}

impl Writer {
    pub(in crate::spool) fn new(
        storage: Arc<dyn Storage>,
        metrics: Arc<Metrics>,
        segment_bytes: u64,
        next: u64,
    ) -> Self {
        Self { storage, metrics, segment_bytes, active: None, next, buffer: Vec::new() }
    }

    /// Until it is stopped, or nobody can ask any more.
    pub(in crate::spool) fn run(mut self, core: &Weak<Core>, jobs: &Receiver<Job>) {
        let mut waiting = None;
        while let Some(job) = waiting.take().or_else(|| jobs.recv().ok()) {
            let Some(core) = core.upgrade() else { return };
            match job {
                Job::Append(first) => {
                    let mut bytes = first.cost;
                    let mut batch = vec![first];
                    let mut yielded = false;
                    while bytes < MAX_COMMIT {
                        match jobs.try_recv() {
                            Ok(Job::Append(append)) => {
                                bytes += append.cost;
                                batch.push(append);
                            }
                            Ok(other) => {
                                waiting = Some(other);
                                break;
                            }
                            // No timer: on a machine with a core to spare this returns at once. On a busy one those come first who are about to
                            // hand something over, and one fdatasync serves them too.
                            Err(_) if !yielded => {
                                yielded = true;
                                std::thread::yield_now();
                            }
                            Err(_) => break,
                        }
                    }
                    self.commit(&core, batch);
                }
                Job::Stop(done) => {
                    self.seal(&core);
                    // Nobody answers what came in behind it, nor holds its bytes.
                    for job in jobs.try_iter() {
                        if let Job::Append(Append { submission, cost, reply }) = job {
                            core.release(&submission, cost);
                            let _ = reply.send(Err(Refused::Closed));
                        }
                    }
                    let _ = done.send(());
                    return;
                }
                other => self.work(&core, other),
            }
        }
    }

    /// What is asked beside submissions.
    pub(super) fn work(&mut self, core: &Core, job: Job) {
        match job {
            Job::Append(append) => self.commit(core, vec![append]),
            Job::Probe => self.probe(core),
            Job::Stop(_) => self.seal(core),
        }
    }

    /// Makes a batch durable and answers everybody in it.
    pub(in crate::spool) fn commit(&mut self, core: &Core, batch: Vec<Append>) {
        let accepted = core.clock.now();
        let mut written = self.write(core, &batch, accepted);
        if let Err(Trouble::Failed(error)) = &written {
            tracing::error!(
                "the spool's log could not be written in {}: {error}; a new segment is begun",
                self.storage.path().display()
            );
            self.abandon(core);
            written = self.write(core, &batch, accepted);
        }
        let refused = match written {
            Ok((base, placed)) => {
                core.disk_works();
                let (submissions, replies): (Vec<_>, Vec<_>) =
                    batch.into_iter().map(|append| (append.submission, append.reply)).unzip();
                core.commit(base, submissions.into_iter().zip(placed).collect());
                for reply in replies {
                    // Whoever asked may have gone; the points stay accepted.
                    let _ = reply.send(Ok(()));
                }
                return;
            }
            Err(Trouble::NoSpace) => {
                core.disk_is_full();
                let needed = batch.iter().map(|append| append.cost).sum();
                Refused::Full { retry_after: core.lock().books.time_for(needed) }
            }
            Err(Trouble::Failed(error)) => {
                self.abandon(core);
                core.disk_failed(&error);
                Refused::Disk { retry_after: DISK_RETRY }
            }
        };
        for Append { submission, cost, reply } in batch {
            core.release(&submission, cost);
            let _ = reply.send(Err(refused));
        }
    }

    fn write(&mut self, core: &Core, batch: &[Append], accepted: UnixNanos) -> Result<(u64, Vec<Placed>), Trouble> {
        let mut active = self.segment(core)?;
        let mut placed = Vec::with_capacity(batch.len());
        self.buffer.clear();
        let mut sequence = self.next;
        for Append { submission, .. } in batch {
            let at = active.at + self.buffer.len() as u64;
            let head = head(submission, sequence, accepted);
            head.write(&submission.lines, &mut self.buffer);
            let tally = Tally::one(submission.points, head.record_len());
            placed.push(Placed { sequence, at, accepted, tally });
            sequence += 1;
        }
        if let Err(error) = write_full(&*active.file, &self.buffer, active.at) {
            // What was written of it goes, so that the next record follows the last whole one.
            let cut = active.file.set_len(active.at);
            let trouble = Trouble::from(error);
            if cut.is_err() && matches!(trouble, Trouble::NoSpace) {
                self.active = Some(active);
                self.seal(core);
            } else {
                self.active = Some(active);
            }
            return Err(trouble);
        }
        let started = monotonic();
        let synced = active.file.sync();
        self.metrics.fsync(started.elapsed());
        if let Err(error) = synced {
            self.active = Some(active);
            return Err(Trouble::Failed(error));
        }
        active.at += self.buffer.len() as u64;
        self.next = sequence;
        // A burst of large requests should not be held for ever.
        self.buffer.shrink_to(1 << 20);
        let base = active.base;
        self.active = Some(active);
        Ok((base, placed))
    }

    /// The open segment, a new one if that is full.
    fn segment(&mut self, core: &Core) -> Result<Active, Trouble> {
        if self.active.as_ref().is_some_and(|active| active.at >= self.segment_bytes) {
            self.seal(core);
        }
        if let Some(active) = self.active.take() {
            return Ok(active);
        }
        let base = self.next;
        let name = segment_name(base);
        let file = match self.storage.create(&name) {
            // Left by a try that failed: it holds nothing that was acknowledged.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.storage.remove(&name)?;
                self.storage.create(&name)
            }
            created => created,
        }?;
        let begun = write_full(&*file, &format::file_header(base), 0).and_then(|()| self.storage.sync());
        if let Err(error) = begun {
            let _ = self.storage.remove(&name);
            return Err(error.into());
        }
        Ok(Active { base, file, at: FILE_HEADER as u64 })
    }

    /// Nothing is written to the open segment any more.
    pub(super) fn seal(&mut self, core: &Core) {
        if let Some(active) = self.active.take() {
            core.seal(active.base);
        }
    }

    /// The open segment is not to be trusted: it ends behind the last acknowledged record.
    fn abandon(&mut self, core: &Core) {
        let Some(active) = self.active.take() else { return };
        if active.at == FILE_HEADER as u64 {
            // It holds no such record. If it cannot go, its name is in the way until it can.
            let _ = self.storage.remove(&segment_name(active.base));
        } else {
            let _ = active.file.set_len(active.at);
            core.seal(active.base);
        }
    }

    pub(super) fn probe(&mut self, core: &Core) {
        // A segment that takes its header and an fsync would take records.
        let tried = self.segment(core).and_then(|active| {
            let synced = active.file.sync();
            self.active = Some(active);
            // Whatever it says, a file whose fsync failed is not written again.
            synced.map_err(Trouble::Failed)
        });
        match tried {
            Ok(()) => core.disk_works(),
            Err(Trouble::NoSpace) => core.disk_is_full(),
            Err(Trouble::Failed(error)) => {
                self.abandon(core);
                core.disk_failed(&error);
            }
        }
    }
}

/// What a submission's record says of itself.
pub(in crate::spool) fn head(submission: &Submission, sequence: u64, accepted: UnixNanos) -> Head<'_> {
    Head {
        sequence,
        accepted,
        points: submission.points,
        // Admission keeps to `format::MAX_LINES`.
        lines: u32::try_from(submission.lines.len()).unwrap_or(u32::MAX),
        tenant: submission.account.name(),
        destination: &submission.destination,
    }
}
