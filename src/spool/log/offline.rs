//! A log's folder as others see it, for `tagline spool` and `tagline replay`: a running gateway's, a stopped one's, a copy.
//!
//! Everything here reads, one window at a time, and changes no file; only [`Offline::finish`] does, under the folder's [`Lock`].

#[cfg(test)]
pub(crate) mod fixture;
mod lock;
mod survey;
#[cfg(test)]
mod tests;

pub(crate) use lock::{Holder, Lock, holder};
pub(crate) use survey::{Row, Survey};

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};

use super::bounds::is_segment;
use super::cursor::{self, Cursor, Ended};
use super::format::{self, FILE_HEADER, Head, NotOurs};
use super::scan::{Found, Scan};
use super::segment_base;
use super::storage::{Folder, LogFile, Storage as _, read_full};

/// The folder of the log in a `spool.dir`.
const FOLDER: &str = "log";

/// What a walk came to.
pub(crate) enum Seen<'s> {
    /// A record that waits.
    Record(Head<'s>, &'s [u8]),
    /// Bytes that are no record, with a whole one behind them.
    Damage { file: &'s str, range: Range<u64> },
    /// The end of a file, in which no whole record stands.
    Tail { file: &'s str, range: Range<u64> },
    /// A file, or the rest of one, that cannot be read.
    Unread { file: &'s str, why: String },
}

/// A file that is no part of what was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Aside {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    /// Why it could not be read now; `None`: a start of the gateway set it aside.
    pub(crate) why: Option<String>,
}

/// What becomes of a file of which all was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Afterwards {
    /// It is called `….done`.
    Renamed,
    /// It goes.
    Deleted,
}

/// A log's folder, or one file of it, to be read.
#[derive(Debug)]
pub(crate) struct Offline {
    folder: Folder,
    cursor: Option<Cursor>,
    /// Sequences that have ended, in order.
    ended: Vec<Range<u64>>,
    /// File names, and the sequences that may stand in each.
    segments: Vec<(String, Range<u64>)>,
    aside: Vec<Aside>,
    /// Files of the cursor that are not whole.
    bad_cursors: Vec<String>,
    /// One file out of its folder: every whole record in it counts.
    single: bool,
}

/// The log's folder: `path` itself, or the `log` in it. `None`: neither is one.
pub(crate) fn find(path: &Path) -> io::Result<Option<PathBuf>> {
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name();
        if name
            .to_str()
            .is_some_and(|name| name.ends_with(".seg") || cursor::FILES.contains(&name) || name == lock::FILE)
        {
            return Ok(Some(path.to_owned()));
        }
    }
    let inner = path.join(FOLDER);
    match fs::metadata(&inner) {
        Ok(metadata) => Ok(metadata.is_dir().then_some(inner)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

impl Offline {
    /// Reads which segments there are and what has ended. The cursor is read first: what a running gateway ends or deletes meanwhile is then at most
    /// said to wait still.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        let folder = Folder::existing(dir)?;
        let (cursor, bad_cursors) = Cursor::read(&folder)?;
        let size = |name: &str| fs::metadata(dir.join(name)).map_or(0, |file| file.len());
        let mut aside: Vec<Aside> = Vec::new();
        let mut segments = BTreeMap::new();
        for name in folder.list()? {
            if let Some(base) = segment_base(&name) {
                segments.insert(base, name);
            } else if name.ends_with(".seg") {
                let why = Some("a segment is named by a number of 20 digits".to_owned());
                aside.push(Aside { bytes: size(&name), name, why });
            } else if name.ends_with(".set-aside") || name.contains(".damaged-") {
                aside.push(Aside { bytes: size(&name), name, why: None });
            }
        }
        aside.sort_by(|a, b| a.name.cmp(&b.name));
        let genuine = segments.iter().filter(|(base, name)| is_segment(&folder, name, **base));
        let bases: Vec<u64> = genuine.map(|(base, _)| *base).collect();
        let end = |base| bases.iter().copied().find(|other| *other > base).unwrap_or(u64::MAX);
        let segments = segments.into_iter().map(|(base, name)| (name, base..end(base))).collect();
        let ended = cursor.iter().flat_map(|cursor| std::iter::once(0..cursor.low).chain(cursor.ended())).collect();
        let bad_cursors = bad_cursors.into_iter().map(|bad| match bad.unreadable {
            Some(error) => format!("{} ({error})", bad.name),
            None => bad.name,
        });
        Ok(Self { folder, cursor, ended, segments, aside, bad_cursors: bad_cursors.collect(), single: false })
    }

    /// One file, whatever stands around it.
    pub(crate) fn single(path: &Path) -> io::Result<Self> {
        let name = path.file_name().and_then(|name| name.to_str()).ok_or(io::ErrorKind::InvalidInput)?;
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let segments = vec![(name.to_owned(), 0..u64::MAX)];
        let folder = Folder::existing(dir)?;
        Ok(Self {
            folder,
            cursor: None,
            ended: Vec::new(),
            segments,
            aside: Vec::new(),
            bad_cursors: Vec::new(),
            single: true,
        })
    }

    /// Whether there is a segment.
    pub(crate) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Goes through all that waits, in the order of acceptance, until `seen` breaks off. An error is of the folder; a file's is [`Seen::Unread`].
    pub(crate) fn walk(&self, seen: &mut dyn FnMut(Seen<'_>) -> ControlFlow<()>) -> io::Result<()> {
        for (name, range) in &self.segments {
            let flow = match self.segment(name, range, seen) {
                Ok(flow) => flow,
                // A running gateway deletes what has ended.
                Err(error) if error.kind() == io::ErrorKind::NotFound && !self.single => ControlFlow::Continue(()),
                Err(error) if self.single => return Err(error),
                Err(error) => seen(Seen::Unread { file: name, why: error.to_string() }),
            };
            if flow.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn segment(
        &self,
        name: &str,
        range: &Range<u64>,
        seen: &mut dyn FnMut(Seen<'_>) -> ControlFlow<()>,
    ) -> io::Result<ControlFlow<()>> {
        let file = self.folder.open(name)?;
        let len = file.len()?;
        let mut header = [0; FILE_HEADER];
        let read = read_full(&*file, &mut header, 0)?;
        let start = match format::read_file_header(&header[..read]) {
            // Later records may mean something else: nothing is guessed.
            Err(newer @ NotOurs::Newer(_)) if self.single => return Err(io::Error::other(newer)),
            Err(_) if self.single => 0,
            Ok(_) if self.single => FILE_HEADER as u64,
            Ok(base) if base == range.start => FILE_HEADER as u64,
            Ok(base) => {
                let why = format!("its header says that it is {}", super::segment_name(base));
                return Ok(seen(Seen::Unread { file: name, why }));
            }
            // Its header was not whole yet when the machine went down: nothing of it was ever acknowledged.
            Err(_) if read < FILE_HEADER => return Ok(seen(Seen::Tail { file: name, range: 0..len })),
            Err(not_ours) => return Ok(seen(Seen::Unread { file: name, why: not_ours.to_string() })),
        };
        self.records(&*file, name, range, start..len, seen)
    }

    fn records(
        &self,
        file: &dyn LogFile,
        name: &str,
        range: &Range<u64>,
        bytes: Range<u64>,
        seen: &mut dyn FnMut(Seen<'_>) -> ControlFlow<()>,
    ) -> io::Result<ControlFlow<()>> {
        let mut least = range.start;
        let mut wanted = |head: &Head<'_>| {
            if self.single {
                return true;
            }
            // Another sequence is of what this file held before.
            let ours = head.sequence >= least && head.sequence < range.end;
            if ours {
                least = head.sequence + 1;
            }
            ours && !self.has_ended(head.sequence)
        };
        let mut scan = Scan::new(file, bytes.start, bytes.end);
        while let Some(found) = scan.next(&mut wanted)? {
            let flow = match found {
                Found::Record { head, lines, .. } => seen(Seen::Record(head, lines)),
                Found::Damage(range) => seen(Seen::Damage { file: name, range }),
                Found::Tail(range) => seen(Seen::Tail { file: name, range }),
            };
            if flow.is_break() {
                return Ok(flow);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn has_ended(&self, sequence: u64) -> bool {
        let behind = self.ended.partition_point(|range| range.end <= sequence);
        self.ended.get(behind).is_some_and(|range| range.contains(&sequence))
    }

    /// What waits, whose it is, and what is wrong with the files; `lock` is ours, if the folder is.
    pub(crate) fn survey(&self, lock: Option<&Lock>) -> io::Result<Survey> {
        let holder = if lock.is_some() { None } else { holder(self.folder.path())? };
        survey::survey(self, holder)
    }

    /// All that waited up to `next` ended so, by tenant: a cursor says it, and the segments are renamed to `….done` or deleted, in this order. A gateway
    /// that starts on the folder then goes on with a ledger that balances. The files, by the names that they have now or had.
    pub(crate) fn finish(
        &self,
        _lock: &Lock,
        next: u64,
        ended: &BTreeMap<String, Ended>,
        afterwards: Afterwards,
    ) -> io::Result<Vec<PathBuf>> {
        let mut cursor = self.cursor.clone().unwrap_or_default();
        cursor.generation += 1;
        cursor.next = cursor.next.max(next);
        cursor.low = cursor.next;
        cursor.runs.clear();
        for (tenant, ended) in ended {
            let totals = cursor.accounts.entry(tenant.clone()).or_default();
            totals.accepted += ended.accepted;
            totals.delivered += ended.delivered;
            totals.dead_lettered += ended.dead_lettered;
        }
        cursor.write(&self.folder)?;
        let mut done = Vec::new();
        for (name, _) in &self.segments {
            let now = match afterwards {
                Afterwards::Renamed => {
                    let to = free_name(self.folder.path(), name);
                    self.folder.rename(name, &to)?;
                    to
                }
                Afterwards::Deleted => {
                    self.folder.remove(name)?;
                    name.clone()
                }
            };
            done.push(self.folder.path().join(now));
        }
        self.folder.sync()?;
        Ok(done)
    }
}

/// `NAME.done`, or the next that is free: an older one is not overwritten.
fn free_name(dir: &Path, name: &str) -> String {
    let mut free = format!("{name}.done");
    let mut n = 1;
    while dir.join(&free).exists() {
        free = format!("{name}.{n}.done");
        n += 1;
    }
    free
}
