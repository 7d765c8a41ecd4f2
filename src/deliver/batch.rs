//! Batches: records of one destination that are written by one request.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::time::Instant;

use crate::clock::UnixNanos;
use crate::encode;
use crate::spool::Record;

/// Most lines of a batch: InfluxDB's documented optimum.
pub(crate) const MAX_POINTS: u64 = 5_000;
/// Most bytes of a batch, before compression.
pub(crate) const MAX_BYTES: usize = 1 << 20;

/// Records that go together.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    records: Vec<Record>,
    points: u64,
    bytes: usize,
    /// The body once it was built, kept for the next try.
    body: Option<Bytes>,
    /// How often it failed while others passed.
    pub(crate) alone: u32,
    /// How many batches its server had taken when it last failed.
    pub(crate) seen: Option<u64>,
    /// Whether its bucket was created for it.
    pub(crate) created: bool,
}

impl Batch {
    pub(crate) fn push(&mut self, record: Record) {
        self.points += u64::from(record.points());
        self.bytes += record.lines().len();
        self.records.push(record);
    }

    pub(crate) fn points(&self) -> u64 {
        self.points
    }

    /// Of line protocol, before compression.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn records(&self) -> &[Record] {
        &self.records
    }

    pub(crate) fn into_records(mut self) -> Vec<Record> {
        std::mem::take(&mut self.records)
    }

    /// When its oldest point was accepted.
    pub(crate) fn oldest(&self) -> Option<UnixNanos> {
        self.records.iter().map(Record::accepted).min()
    }

    /// The request's body. Compression runs on a blocking thread, never on an HTTP worker.
    pub(crate) async fn body(&mut self, gzip: bool) -> Result<Bytes, String> {
        if let Some(body) = &self.body {
            return Ok(body.clone());
        }
        let lines: Vec<Bytes> = self.records.iter().map(|record| record.lines().clone()).collect();
        let size = self.bytes + lines.len();
        let built =
            tokio::task::spawn_blocking(move || if gzip { compressed(&lines, size) } else { plain(&lines, size) });
        let body = built.await.map_err(|e| e.to_string())?.map_err(|e| e.to_string())?;
        self.body = Some(body.clone());
        Ok(body)
    }

    /// One batch for each account, in no particular order.
    pub(crate) fn by_account(self) -> Vec<Self> {
        let mut parts: BTreeMap<usize, Self> = BTreeMap::new();
        for record in self.into_records() {
            parts.entry(Arc::as_ptr(record.account()) as usize).or_default().push(record);
        }
        parts.into_values().collect()
    }

    /// The records of these accounts (by address), a batch for each, apart from the others'.
    pub(crate) fn apart(self, accounts: &HashSet<usize>) -> (Vec<Self>, Self) {
        let is_of = |record: &Record| accounts.contains(&(Arc::as_ptr(record.account()) as usize));
        if !self.records.iter().any(is_of) {
            return (Vec::new(), self);
        }
        let (mut theirs, mut others) = (Self::default(), Self::default());
        for record in self.into_records() {
            if is_of(&record) { theirs.push(record) } else { others.push(record) }
        }
        (theirs.by_account(), others)
    }

    pub(crate) fn accounts(&self) -> usize {
        let mut accounts: Vec<_> = self.records.iter().map(|record| Arc::as_ptr(record.account())).collect();
        accounts.sort_unstable();
        accounts.dedup();
        accounts.len()
    }

    /// Two batches of about half the points each; the batch itself if it cannot be divided.
    pub(crate) fn halves(self) -> Result<(Self, Self), Self> {
        let half = self.points / 2;
        let (mut left, mut right) = (Self::default(), Self::default());
        for record in self.into_records() {
            let wanted = half.saturating_sub(left.points);
            if wanted == 0 || right.points > 0 {
                right.push(record);
            } else if u64::from(record.points()) <= wanted {
                left.push(record);
            } else {
                let points = u32::try_from(wanted).unwrap_or(u32::MAX);
                match split_after(record, points) {
                    Ok((head, tail)) => {
                        left.push(head);
                        right.push(tail);
                    }
                    Err(whole) => right.push(whole),
                }
            }
        }
        match (left.records.is_empty(), right.records.is_empty()) {
            (true, _) => Err(right),
            (_, true) => Err(left),
            _ => Ok((left, right)),
        }
    }

    /// The lines that `picked` marks (one mark a line, in order), apart from the others.
    pub(crate) fn partition(self, picked: &[bool]) -> (Self, Self) {
        let (mut yes, mut no) = (Self::default(), Self::default());
        let mut marks = picked.iter().copied();
        for record in self.into_records() {
            let marks: Vec<bool> = encode::lines(record.lines()).map(|_| marks.next().unwrap_or(false)).collect();
            let mut rest = record;
            let mut from = 0;
            while from < marks.len() {
                let run = marks[from..].iter().take_while(|mark| **mark == marks[from]).count();
                let side = if marks[from] { &mut yes } else { &mut no };
                from += run;
                match split_after(rest, u32::try_from(run).unwrap_or(u32::MAX)) {
                    Ok((head, tail)) => {
                        side.push(head);
                        rest = tail;
                    }
                    Err(whole) => {
                        side.push(whole);
                        break;
                    }
                }
            }
        }
        (yes, no)
    }
}

/// Divides a record after its first `points` lines.
pub(crate) fn split_after(record: Record, points: u32) -> Result<(Record, Record), Record> {
    let bytes = end_of(record.lines(), points as usize);
    record.split_at(bytes, points)
}

/// Where the first `lines` lines of `body` end, newline included.
fn end_of(body: &[u8], lines: usize) -> usize {
    let Some(last) = encode::lines(body).take(lines).last() else {
        return 0;
    };
    // Both slices are of one allocation: the difference of their addresses is the line's place.
    let start = last.as_ptr() as usize - body.as_ptr() as usize;
    (start + last.len() + 1).min(body.len())
}

/// How many lines from the start of `body` one batch takes; at least one.
fn lines_that_fit(body: &[u8]) -> u32 {
    let mut bytes = 0;
    let fit = encode::lines(body).take(MAX_POINTS as usize).take_while(|line| {
        bytes += line.len() + 1;
        bytes <= MAX_BYTES
    });
    u32::try_from(fit.count()).unwrap_or(u32::MAX).max(1)
}

fn plain(lines: &[Bytes], size: usize) -> io::Result<Bytes> {
    let mut body = Vec::with_capacity(size);
    lines.iter().try_for_each(|lines| write_lines(&mut body, lines))?;
    Ok(body.into())
}

fn compressed(lines: &[Bytes], size: usize) -> io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(size / 6), Compression::fast());
    lines.iter().try_for_each(|lines| write_lines(&mut encoder, lines))?;
    Ok(encoder.finish()?.into())
}

fn write_lines(out: &mut impl io::Write, lines: &[u8]) -> io::Result<()> {
    out.write_all(lines)?;
    if lines.last() == Some(&b'\n') { Ok(()) } else { out.write_all(b"\n") }
}

/// Cuts batches out of a stream of records. One open batch for everybody, and one for each account that lately sent bad lines.
#[derive(Debug)]
pub(crate) struct Cutter {
    linger: Duration,
    open: BTreeMap<Option<usize>, (Instant, Batch)>,
    /// Cut, each with whether it goes aside.
    cut: VecDeque<(bool, Batch)>,
}

impl Cutter {
    pub(crate) fn new(linger: Duration) -> Self {
        Self { linger, open: BTreeMap::new(), cut: VecDeque::new() }
    }

    /// Adds a record; `aside` when its account gets batches of its own.
    pub(crate) fn push(&mut self, record: Record, aside: bool) {
        let key = aside.then(|| Arc::as_ptr(record.account()) as usize);
        let mut rest = Some(record);
        while let Some(record) = rest.take() {
            let (_, batch) = self.open.entry(key).or_insert_with(|| (Instant::now(), Batch::default()));
            let fits = batch.points + u64::from(record.points()) <= MAX_POINTS
                && batch.bytes + record.lines().len() <= MAX_BYTES;
            if fits {
                batch.push(record);
            } else if batch.records.is_empty() {
                // Larger than any batch: as many of its lines as one takes. A single line that is larger goes alone.
                let lines = lines_that_fit(record.lines());
                match split_after(record, lines) {
                    Ok((head, tail)) => {
                        batch.push(head);
                        rest = Some(tail);
                    }
                    Err(whole) => batch.push(whole),
                }
            } else {
                rest = Some(record);
            }
            let full = rest.is_some() || batch.points >= MAX_POINTS || batch.bytes >= MAX_BYTES;
            if full {
                self.cut_one(key)
            }
        }
    }

    fn cut_one(&mut self, key: Option<usize>) {
        if let Some((_, batch)) = self.open.remove(&key).filter(|(_, batch)| batch.points > 0) {
            self.cut.push_back((key.is_some(), batch));
        }
    }

    /// When the next open batch is due.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.open.values().map(|(since, _)| *since + self.linger).min()
    }

    /// Cuts the batches that are due; all of them when the lane ends.
    pub(crate) fn cut_due(&mut self, all: bool) {
        let now = Instant::now();
        let due: Vec<_> = self
            .open
            .iter()
            .filter(|(_, (since, _))| all || *since + self.linger <= now)
            .map(|(key, _)| *key)
            .collect();
        due.into_iter().for_each(|key| self.cut_one(key));
    }

    /// The next batch that was cut, and whether it goes aside.
    pub(crate) fn take(&mut self) -> Option<(bool, Batch)> {
        self.cut.pop_front()
    }

    /// Bytes of what is open or cut.
    pub(crate) fn bytes(&self) -> usize {
        let open = self.open.values().map(|(_, batch)| batch);
        open.chain(self.cut.iter().map(|(_, batch)| batch)).map(Batch::bytes).sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty() && self.cut.is_empty()
    }
}
