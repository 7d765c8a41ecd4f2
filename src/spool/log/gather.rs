//! Gathering: what still waits in segments of which most has ended is copied together, so that one bucket that is paused does not hold the space of
//! everything that was accepted beside it.
//!
//! The copies keep their sequences and take the place of the first segment under its name, by a rename; then the others go. A crash between the two
//! leaves both, and the records of the first end where the next begins: nothing is double. What ended before is in a cursor that is durable first.

use std::io;
use std::ops::Range;
use std::sync::PoisonError;

use super::super::state::{Core, State};
use super::format::{self, FILE_HEADER};
use super::keeper::Keeper;
use super::scan::{Found, Scan};
use super::segment::{Segment, Tally};
use super::storage::write_full;
use super::{GATHERED, segment_name};

/// For so many passes nothing of a segment has ended: its destination is away, and it is worth the copy.
const QUIET: u64 = 10;
/// So many small segments in a row are put together.
const MANY: usize = 8;

/// Most sequences from the first to the last of a gathered segment: what is known of each is a bit in memory.
const SPAN: u64 = 1 << 22;

/// Segments that follow each other.
struct Run {
    segments: Vec<Segment>,
}

impl Run {
    fn sequences(&self) -> Range<u64> {
        let end = self.segments.last().map_or(0, |last| last.next);
        self.segments.first().map_or(0, |first| first.base)..end
    }
}

/// Why a run was not gathered.
enum Stopped {
    Io(io::Error),
    /// Not all that waits in the segment of this base is there.
    Damaged(u64),
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Keeper {
    /// Gathers one run of segments, if one is worth it.
    pub(super) fn gather(&mut self, core: &Core) {
        if let Err(error) = self.remove_gathered() {
            return core.keeping_failed(&error);
        }
        let chosen = {
            let state = core.lock();
            let pressed = state.books.limit / 5 * 4 <= state.segments.disk();
            let run = if state.segments.pass < self.rest {
                None
            } else {
                state.worth_gathering(pressed, core.segment_bytes())
            };
            // One moment for both: what has ended by now is not copied, and is in this cursor.
            run.map(|run| (run, state.segments.cursor()))
        };
        let Some((run, cursor)) = chosen else { return };
        let gathered = self
            .write(core, &cursor)
            .map_err(Stopped::Io)
            .and_then(|()| self.copy(&run))
            .and_then(|copy| Ok(self.replace(core, &run, copy)?));
        let Err(stopped) = gathered else { return };
        let _ = self.storage.remove(GATHERED);
        // What failed once would fail at every pass.
        self.rest = core.lock().segments.pass + QUIET;
        match stopped {
            Stopped::Io(error) => {
                tracing::warn!("segments of the spool's log could not be gathered: {error}; they stay as they are");
            }
            Stopped::Damaged(base) => core.reconcile(base),
        }
    }

    /// Copies what waits into a file of its own, durable.
    fn copy(&self, run: &Run) -> Result<Segment, Stopped> {
        let _ = self.storage.remove(GATHERED);
        let out = self.storage.create(GATHERED)?;
        let base = run.sequences().start;
        let mut gathered = Segment::new(base);
        let mut at = FILE_HEADER as u64;
        let mut buffer = format::file_header(base).to_vec();
        let mut from = 0;
        for segment in &run.segments {
            let file = self.storage.open(&segment_name(segment.base))?;
            let mut scan = Scan::new(&*file, FILE_HEADER as u64, segment.len);
            let mut copied = 0;
            while let Some(found) = scan.next(|head| segment.waits(head.sequence))? {
                // Where it is damaged something is missing, or it was known before.
                let Found::Record { head, lines, .. } = found else { continue };
                let Some(owner) = segment.owner(head.tenant, head.destination) else { continue };
                gathered.add(head.sequence, at, head.accepted, owner, Tally::one(head.points, head.record_len()));
                copied += 1;
                at += head.record_len();
                head.write(lines, &mut buffer);
                if buffer.len() > 1 << 20 {
                    write_full(&*out, &buffer, from)?;
                    from += buffer.len() as u64;
                    buffer.clear();
                }
            }
            if copied != segment.waiting().records {
                return Err(Stopped::Damaged(segment.base));
            }
        }
        write_full(&*out, &buffer, from)?;
        out.sync()?;
        gathered.pass_to(run.sequences().end);
        gathered.sealed = true;
        Ok(gathered)
    }

    fn replace(&mut self, core: &Core, run: &Run, mut gathered: Segment) -> io::Result<()> {
        let Some(log) = &core.log else { return Ok(()) };
        {
            // Nobody reads a place of the old file in the new one.
            let _files = log.files.write().unwrap_or_else(PoisonError::into_inner);
            self.storage.rename(GATHERED, &segment_name(gathered.base))?;
            let mut state = core.lock();
            gathered.touched = state.segments.pass;
            let parts: Vec<Segment> =
                run.segments.iter().filter_map(|segment| state.segments.remove(segment.base)).collect();
            // What has ended since it was copied has ended there too.
            gathered.follow(&parts);
            state.segments.insert(gathered);
        }
        self.gathered = run.segments.iter().skip(1).map(|segment| segment.base).collect();
        self.remove_gathered()
    }

    /// The files of which a copy has taken the place go. While one of them stays nothing else is gathered: a start would end the copy where it begins.
    fn remove_gathered(&mut self) -> io::Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        self.storage.sync()?;
        for base in &self.gathered {
            match self.storage.remove(&segment_name(*base)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        self.storage.sync()?;
        self.gathered.clear();
        Ok(())
    }
}

impl State {
    fn worth_gathering(&self, pressed: bool, segment_bytes: u64) -> Option<Run> {
        let mut run: Vec<&Segment> = Vec::new();
        let mut bytes = 0;
        for segment in self.segments.iter() {
            let waiting = segment.waiting().bytes;
            let quiet = pressed || segment.touched + QUIET <= self.segments.pass;
            let mostly_ended = waiting * 2 <= segment.len;
            let small = segment.len * 4 <= segment_bytes;
            let fits = segment.sealed && !segment.unreadable && waiting > 0 && quiet && (mostly_ended || small);
            let broken = run.last().is_some_and(|last| self.segments.is_broken(last.base, segment.base));
            let wide = run.first().is_some_and(|first| segment.next - first.base > SPAN);
            if !fits || broken || wide || bytes + waiting > segment_bytes {
                if is_worth(&run, segment_bytes) {
                    break;
                }
                run.clear();
                bytes = 0;
            }
            if fits {
                run.push(segment);
                bytes += waiting;
            }
        }
        is_worth(&run, segment_bytes).then(|| Run { segments: run.into_iter().cloned().collect() })
    }
}

fn is_worth(run: &[&Segment], segment_bytes: u64) -> bool {
    // A page less is no gain.
    let least = (64 << 10).min(segment_bytes / 4);
    let gain: u64 = run.iter().map(|segment| segment.len.saturating_sub(segment.waiting().bytes)).sum();
    let len: u64 = run.iter().map(|segment| segment.len).sum();
    run.len() >= MANY || (gain * 2 >= len && gain >= least)
}
