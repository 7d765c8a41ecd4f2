//! What `replay` reads: spill files (`.spill`), dead letters (`.jsonl`, or `.jsonl.replaying` when an earlier replay did not finish), the log of a
//! spool's folder, and single files of such a log. Each is a stream, of which one record is in memory at a time.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::ops::ControlFlow::{self, Break, Continue};
use std::path::{Path, PathBuf};

use super::Failure;
use super::told::Told;
use crate::deliver::{Letter, Piece, Spilled, read_spill};
use crate::spool::Ended;
pub(super) use crate::spool::offline::Afterwards;
use crate::spool::offline::{self, Holder, Lock, Offline, Seen};

const REPLAYING: &str = ".replaying";
/// Longest dead letter: far more than the longest line of one event.
const MAX_LETTER: u64 = 16 << 20;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Spill,
    Letters,
    /// The folder of a log.
    Log,
    /// One file of a log.
    Segment,
}

/// Something that can be replayed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Source {
    kind: Kind,
    pub(super) path: PathBuf,
}

/// The file itself, or what lies in a folder: files of either kind by name, the log, and beside a log the spill files of its `spool.dir`.
pub(super) fn sources(path: &Path) -> io::Result<Vec<Source>> {
    if !path.is_dir() {
        return match fs::metadata(path) {
            Ok(_) => Ok(vec![Source { kind: kind(path)?, path: path.to_owned() }]),
            Err(error)
                if error.kind() == io::ErrorKind::NotFound && path.file_name().is_some_and(|name| name == "spill") =>
            {
                Ok(Vec::new())
            }
            Err(error) => Err(error),
        };
    }
    let mut sources = Vec::new();
    let log = offline::find(path)?;
    if let Some(log) = &log
        && !Offline::open(log)?.is_empty()
    {
        sources.push(Source { kind: Kind::Log, path: log.clone() });
    }
    sources.extend(files(path)?);
    let spill = path.join("spill");
    if log.is_some_and(|log| log != path) && spill.is_dir() {
        sources.extend(files(&spill)?);
    }
    Ok(sources)
}

fn files(dir: &Path) -> io::Result<Vec<Source>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if is_letters(&path) {
            files.push(Source { kind: Kind::Letters, path });
        } else if path.extension().is_some_and(|extension| extension == "spill") {
            files.push(Source { kind: Kind::Spill, path });
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// A name can be changed; how a segment begins cannot.
fn kind(path: &Path) -> io::Result<Kind> {
    if is_letters(path) {
        return Ok(Kind::Letters);
    }
    let mut start = Vec::new();
    File::open(path)?.take(12).read_to_end(&mut start)?;
    let of_a_log = start == *b"tagline-log\n" || path.to_string_lossy().contains(".seg");
    Ok(if of_a_log { Kind::Segment } else { Kind::Spill })
}

fn is_letters(path: &Path) -> bool {
    let name = path.to_string_lossy();
    name.strip_suffix(REPLAYING).unwrap_or(&name).ends_with(".jsonl")
}

impl Source {
    /// Opens it to be read, and nothing more.
    pub(super) fn look(&self) -> Result<Opened, Failure> {
        self.open(false).map_err(|error| self.failed(&error))?
    }

    /// Opens it to be sent: a running gateway does not touch it meanwhile.
    pub(super) fn claim(&self) -> Result<Opened, Failure> {
        self.open(true).map_err(|error| self.failed(&error))?
    }

    fn failed(&self, error: &io::Error) -> Failure {
        Failure::Failed(format!("{}: {error}", self.path.display()))
    }

    fn open(&self, claim: bool) -> io::Result<Result<Opened, Failure>> {
        let (kind, mut path) = (self.kind, self.path.clone());
        let (mut log, mut lock) = (None, None);
        match kind {
            Kind::Spill => {}
            // A running gateway appends to its dead letters: what is being replayed gets a name of its own first.
            Kind::Letters if claim => path = claimed(&path)?,
            Kind::Letters => {}
            Kind::Log if claim => {
                match Lock::take(&path)? {
                    Ok(taken) => lock = Some(taken),
                    Err(holder) => return Ok(Err(in_use(&path, holder))),
                }
                log = Some(Offline::open(&path)?);
            }
            Kind::Log => {
                if let Some(holder) = offline::holder(&path)? {
                    return Ok(Err(in_use(&path, holder)));
                }
                log = Some(Offline::open(&path)?);
            }
            Kind::Segment => {
                if let Some(folder) = self.log_around()
                    && let Some(holder) = offline::holder(folder)?
                {
                    return Ok(Err(in_use(folder, holder)));
                }
                log = Some(Offline::single(&path)?);
            }
        }
        Ok(Ok(Opened { source: Self { kind, path }, log, lock }))
    }

    /// The folder that a segment is a part of by its name: its records may wait for the gateway of that folder.
    fn log_around(&self) -> Option<&Path> {
        let segment = self.kind == Kind::Segment && self.path.extension().is_some_and(|extension| extension == "seg");
        self.path.parent().filter(|_| segment).map(|dir| if dir.as_os_str().is_empty() { Path::new(".") } else { dir })
    }
}

fn in_use(folder: &Path, holder: Holder) -> Failure {
    Failure::Failed(format!(
        "{} is in use by {holder}: the gateway that runs on it delivers what waits there by itself (`tagline spool` says how much). To send it from here, stop that gateway first, or replay a copy of the folder",
        folder.display()
    ))
}

/// A source that is open.
#[derive(Debug)]
pub(super) struct Opened {
    source: Source,
    log: Option<Offline>,
    /// Held as long as the source is open.
    lock: Option<Lock>,
}

impl Opened {
    /// What it is called now.
    pub(super) fn path(&self) -> &Path {
        &self.source.path
    }

    /// Reads all of it once: how much there is, and what is wrong with it.
    pub(super) fn count(&self) -> io::Result<Told> {
        let mut told = Told::default();
        if let Some(log) = &self.log {
            let survey = log.survey(self.lock.as_ref())?;
            if self.source.kind == Kind::Segment && survey.damage.iter().any(|file| file.places + file.torn > 0) {
                // A file that is known to be damaged: what is whole in it is what can be had.
                told.note("what is no record in it is left out".to_owned());
                if survey.total().records == 0 {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "no whole record of a log stands in it"));
                }
            }
            told.survey(survey, self.source.kind == Kind::Log);
            return Ok(told);
        }
        self.pieces(&mut |piece| {
            told.piece(&piece);
            Continue(())
        })?;
        Ok(told)
    }

    /// Reads all records, until `take` breaks off.
    pub(super) fn each(&self, take: &mut dyn FnMut(Spilled) -> ControlFlow<()>) -> io::Result<()> {
        let Some(log) = &self.log else {
            return self.pieces(&mut |piece| match piece {
                Piece::Record(record) => take(record),
                Piece::Damaged(_) | Piece::Torn => Continue(()),
            });
        };
        let mut failed = None;
        log.walk(&mut |seen| match seen {
            Seen::Record(head, lines) => take(Spilled {
                bucket: head.destination.to_owned(),
                tenant: head.tenant.to_owned(),
                points: head.points,
                lines: lines.to_vec(),
            }),
            // It was counted as readable or it was not: then fewer points come than were counted.
            Seen::Damage { .. } | Seen::Tail { .. } => Continue(()),
            Seen::Unread { file, why } if self.source.kind == Kind::Segment => {
                failed = Some(io::Error::other(format!("{file}: {why}")));
                Break(())
            }
            Seen::Unread { .. } => Continue(()),
        })?;
        failed.map_or(Ok(()), Err)
    }

    fn pieces(&self, found: &mut dyn FnMut(Piece) -> ControlFlow<()>) -> io::Result<()> {
        match self.source.kind {
            Kind::Letters => letters(&self.source.path, found),
            _ => read_spill(&self.source.path, found),
        }
    }

    /// It was wholly sent: the files that it was, by the names that they have now or had; none for a part of a log, which stays as it is.
    pub(super) fn done(
        &self,
        next: u64,
        ended: &BTreeMap<String, Ended>,
        afterwards: Afterwards,
    ) -> io::Result<Vec<PathBuf>> {
        if let (Some(log), Some(lock)) = (&self.log, &self.lock) {
            return log.finish(lock, next, ended, afterwards);
        }
        if self.belongs_to_a_log() {
            return Ok(Vec::new());
        }
        let path = self.path();
        if afterwards == Afterwards::Deleted {
            fs::remove_file(path)?;
            return Ok(vec![path.to_owned()]);
        }
        let mut done = with_suffix(path, ".done");
        let mut n = 1;
        while done.exists() {
            done = with_suffix(path, &format!(".{n}.done"));
            n += 1;
        }
        fs::rename(path, &done)?;
        Ok(vec![done])
    }

    /// Without it, a cursor that counts its records as waiting would be told of a loss.
    fn belongs_to_a_log(&self) -> bool {
        self.source
            .log_around()
            .is_some_and(|folder| ["cursor.a", "cursor.b"].iter().any(|name| folder.join(name).exists()))
    }
}

/// Takes a file of dead letters away from a running gateway, which then starts a new one.
pub(super) fn claimed(path: &Path) -> io::Result<PathBuf> {
    if path.to_string_lossy().ends_with(REPLAYING) {
        return Ok(path.to_owned());
    }
    let mut n = 0;
    let claimed = loop {
        let claimed = with_suffix(path, &if n == 0 { REPLAYING.to_owned() } else { format!(".{n}.jsonl{REPLAYING}") });
        if !claimed.exists() {
            break claimed;
        }
        n += 1;
    };
    fs::rename(path, &claimed)?;
    Ok(claimed)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn letters(path: &Path, found: &mut dyn FnMut(Piece) -> ControlFlow<()>) -> io::Result<()> {
    let mut input = BufReader::new(File::open(path)?);
    let mut text = Vec::new();
    for number in 1.. {
        text.clear();
        let read = (&mut input).take(MAX_LETTER).read_until(b'\n', &mut text)?;
        if read == 0 {
            break;
        }
        let ends = text.last() == Some(&b'\n');
        let piece = match serde_json::from_slice::<Letter>(&text) {
            Ok(letter) => {
                let mut lines = letter.line.into_bytes();
                lines.push(b'\n');
                Piece::Record(Spilled { bucket: letter.bucket, tenant: letter.tenant, points: 1, lines })
            }
            Err(_) if !ends && read as u64 == MAX_LETTER => {
                input.skip_until(b'\n')?;
                Piece::Damaged(number..=number)
            }
            Err(_) if !ends => Piece::Torn,
            Err(_) => Piece::Damaged(number..=number),
        };
        if found(piece).is_break() {
            break;
        }
    }
    Ok(())
}
