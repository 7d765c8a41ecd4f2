//! Reading a segment from any place on, through a bounded window: records, and where they are damaged.

use std::ops::Range;

use super::format::{self, FIXED, Head, MAX_NAME, Read};
use super::storage::{LogFile, read_full};
use std::io;

/// How much is read at once.
const WINDOW: usize = 256 << 10;
/// The longest head.
const HEAD: usize = FIXED + 2 * MAX_NAME;

/// What a [`Scan`] came to.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Found<'s> {
    /// A record whose checksums hold, and where it begins.
    Record { at: u64, head: Head<'s>, lines: &'s [u8] },
    /// Bytes that are no record, with a whole one behind them.
    Damage(Range<u64>),
    /// From here to the end stands no whole record: a torn write, or damage that nothing follows.
    Tail(Range<u64>),
}

/// Goes through the records of a segment.
#[derive(Debug)]
pub(crate) struct Scan<'f> {
    file: &'f dyn LogFile,
    /// Where the next record should begin.
    at: u64,
    /// Where to stop: the file's length when it was opened.
    end: u64,
    window: Vec<u8>,
    /// Where the window begins.
    window_at: u64,
    /// How much is read at once.
    chunk: usize,
}

impl<'f> Scan<'f> {
    /// From `at` to `end`.
    pub(crate) fn new(file: &'f dyn LogFile, at: u64, end: u64) -> Self {
        Self::by(WINDOW, file, at, end)
    }

    fn by(chunk: usize, file: &'f dyn LogFile, at: u64, end: u64) -> Self {
        Self { file, at, end, window: Vec::new(), window_at: at, chunk }
    }

    /// Where the next record should begin.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// The next record that `wanted` wants by its head; of others the lines are neither read nor checked. `None` behind a [`Found::Tail`].
    pub(crate) fn next(&mut self, mut wanted: impl FnMut(&Head<'_>) -> bool) -> io::Result<Option<Found<'_>>> {
        loop {
            if self.at >= self.end {
                return Ok(None);
            }
            let at = self.at;
            let Some(head_len) = self.head(at)? else {
                return self.resync(at);
            };
            let Read::Head(head) = format::read_head(self.seen(at)) else {
                return self.resync(at);
            };
            let len = head.record_len();
            if at + len > self.end {
                return self.resync(at);
            }
            if !wanted(&head) {
                self.at += len;
                continue;
            }
            if !self.whole(at, head_len, len)? {
                return self.resync(at);
            }
            self.at += len;
            return Ok(Some(self.record(at, head_len, len)));
        }
    }

    /// The length of the head at `at`, if one stands there.
    fn head(&mut self, at: u64) -> io::Result<Option<usize>> {
        let mut need = FIXED;
        loop {
            self.load(at, need)?;
            match format::read_head(self.seen(at)) {
                Read::Head(head) => return Ok(Some(head.len())),
                Read::No => return Ok(None),
                Read::More(more) if more > need && at + more as u64 <= self.end => need = more,
                Read::More(_) => return Ok(None),
            }
        }
    }

    fn whole(&mut self, at: u64, head_len: usize, len: u64) -> io::Result<bool> {
        let len = to_usize(len);
        self.load(at, len)?;
        Ok(self.seen(at).get(..len).is_some_and(|record| format::is_whole(record, head_len)))
    }

    fn record(&self, at: u64, head_len: usize, len: u64) -> Found<'_> {
        let record = &self.seen(at)[..to_usize(len)];
        match format::read_head(record) {
            Read::Head(head) => Found::Record { at, head, lines: &record[head_len..] },
            // It was one a moment ago, in the same window.
            _ => Found::Tail(at..self.end),
        }
    }

    /// The next whole record behind `from`, as the end of the damage.
    fn resync(&mut self, from: u64) -> io::Result<Option<Found<'_>>> {
        if from >= self.end {
            return Ok(None);
        }
        let mut at = from + 1;
        while at < self.end {
            self.load(at, HEAD)?;
            match self.seen(at).iter().position(|byte| *byte == format::MAGIC[0]) {
                None => at += self.seen(at).len().max(1) as u64,
                Some(skip) => {
                    at += skip as u64;
                    if let Some(head_len) = self.head(at)?
                        && let Read::Head(head) = format::read_head(self.seen(at))
                        && let len = head.record_len()
                        && at + len <= self.end
                        && self.whole(at, head_len, len)?
                    {
                        self.at = at;
                        return Ok(Some(Found::Damage(from..at)));
                    }
                    at += 1;
                }
            }
        }
        self.at = self.end;
        Ok(Some(Found::Tail(from..self.end)))
    }

    /// What the window holds from `at` on.
    fn seen(&self, at: u64) -> &[u8] {
        self.window.get(to_usize(at.saturating_sub(self.window_at))..).unwrap_or_default()
    }

    /// Sees to it that the window holds `need` bytes from `at` on, or all up to the end.
    fn load(&mut self, at: u64, need: usize) -> io::Result<()> {
        let left = to_usize(self.end.saturating_sub(at));
        let inside = at >= self.window_at && at - self.window_at <= self.window.len() as u64;
        if inside && self.seen(at).len() >= need.min(left) {
            return Ok(());
        }
        let behind = if inside { to_usize(at - self.window_at) } else { self.window.len() };
        self.window.drain(..behind);
        self.window_at = at;
        let kept = self.window.len();
        // What one large record needed is not held for the small ones behind it.
        self.window.shrink_to(need.max(self.chunk));
        self.window.resize(need.max(self.chunk).min(left), 0);
        let read = read_full(self.file, &mut self.window[kept..], at + kept as u64);
        // Behind a read that failed stands nothing: whoever asks again gets it read again, and never zeros for what is there.
        self.window.truncate(kept + read.as_ref().unwrap_or(&0));
        read?;
        if self.window.len() < left.min(need) {
            // Shorter than it was: what is not there cannot be read.
            self.end = at + self.window.len() as u64;
        }
        Ok(())
    }
}

fn to_usize(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
#[cfg(test)]
mod tests;
