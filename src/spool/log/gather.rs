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

/// Segments that follow each other.
struct Run {
    segments: Vec<Segment>,
}

impl Run {
    fn sequences(&self) -> Range<u64> {
        let end = self.segments.last().map_or(0, |last| last.next);
        self.segments.first().map_or(0, |first| first.base)..end
    }

    fn waits(&self, sequence: u64) -> bool {
        let at = self.segments.partition_point(|segment| segment.base <= sequence);
        at.checked_sub(1).is_some_and(|at| self.segments[at].waits(sequence))
    }
}

impl Keeper {
    /// Gathers one run of segments, if one is worth it.
    pub(super) fn gather(&mut self, core: &Core) {
        let chosen = {
            let state = core.lock();
            let pressed = state.books.limit / 5 * 4 <= state.segments.disk();
            let run = state.worth_gathering(pressed, core.segment_bytes());
            // One moment for both: what has ended by now is not copied, and is in this cursor.
            run.map(|run| (run, state.segments.cursor()))
        };
        let Some((run, cursor)) = chosen else { return };
        let gathered =
            self.write(core, &cursor).and_then(|()| self.copy(&run)).and_then(|copy| self.replace(core, &run, copy));
        if let Err(error) = gathered {
            let _ = self.storage.remove(GATHERED);
            tracing::warn!("segments of the spool's log could not be gathered: {error}; they stay as they are");
        }
    }

    /// Copies what waits into a file of its own, durable.
    fn copy(&self, run: &Run) -> io::Result<Segment> {
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
            while let Some(found) = scan.next(|head| run.waits(head.sequence) && segment.waits(head.sequence))? {
                let Found::Record { head, lines, .. } = found else {
                    // The reader deals with it when it comes there; until then nothing is moved.
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "a damaged place"));
                };
                let owner = segment.owner(head.tenant, head.destination).ok_or(io::ErrorKind::InvalidData)?;
                gathered.add(head.sequence, at, head.accepted, owner, Tally::one(head.points, head.record_len()));
                at += head.record_len();
                head.write(lines, &mut buffer);
                if buffer.len() > 1 << 20 {
                    write_full(&*out, &buffer, from)?;
                    from += buffer.len() as u64;
                    buffer.clear();
                }
            }
        }
        write_full(&*out, &buffer, from)?;
        out.sync()?;
        gathered.pass_to(run.sequences().end);
        gathered.sealed = true;
        Ok(gathered)
    }

    fn replace(&self, core: &Core, run: &Run, mut gathered: Segment) -> io::Result<()> {
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
        self.storage.sync()?;
        for segment in run.segments.iter().skip(1) {
            self.storage.remove(&segment_name(segment.base))?;
        }
        self.storage.sync()
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
            if !fits || broken || bytes + waiting > segment_bytes {
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
