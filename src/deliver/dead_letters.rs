//! Dead letters: lines that the destination refused for good, kept for their tenant with the reason.
//!
//! `{spool.dir}/dead-letters/<tenant>.jsonl` is the open file of a tenant, `<tenant>.<n>.jsonl` are older ones; mode 0600; one JSON object a line:
//! `{"time", "tenant", "bucket", "reason", "line"}`. All files together stay within the bound: when it is reached, the oldest file of the tenant that
//! holds the most goes, so that a flood of bad lines pushes out its own letters first. The folder may be read, moved or replayed at any time.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::files::{file_name, private_dir, private_file, rfc3339};
use crate::clock::{Clock, UnixNanos};
use crate::metrics::Metrics;

/// How many letters of a tenant are remembered for the admin listener.
const REMEMBERED: usize = 20;
/// An open file is set aside at this size, or at an eighth of the bound if that is less: what goes when space is needed is one file.
const MAX_FILE: u64 = 4 << 20;

/// One dead letter, as it lies in the file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Letter {
    /// When it was refused, RFC 3339.
    pub(crate) time: String,
    pub(crate) tenant: String,
    pub(crate) bucket: String,
    /// InfluxDB's own words.
    pub(crate) reason: String,
    /// The line, without its newline.
    pub(crate) line: String,
}

/// One remembered dead letter; holds no payload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeadLetter {
    /// When it was refused.
    pub at: UnixNanos,
    /// The destination's status and reason, without the line.
    pub reason: String,
    /// The measurement of the line.
    pub measurement: String,
}

/// A refused line on its way into the file.
#[derive(Debug)]
pub(crate) struct Refusal<'l> {
    pub(crate) line: &'l [u8],
    pub(crate) reason: &'l str,
    /// The reason without the line.
    pub(crate) brief: String,
}

#[derive(Debug, Default)]
struct State {
    /// Bytes in the folder; counted when the bound seems near, since others may take files away.
    bytes: u64,
    counted: bool,
    recent: HashMap<String, VecDeque<DeadLetter>>,
}

/// The store. Its methods block: call them on a blocking thread.
#[derive(Debug)]
pub(crate) struct DeadLetters {
    dir: PathBuf,
    limit: u64,
    clock: Clock,
    metrics: Arc<Metrics>,
    state: Mutex<State>,
}

impl DeadLetters {
    pub(crate) fn new(spool_dir: &Path, limit: u64, clock: Clock, metrics: Arc<Metrics>) -> Self {
        Self { dir: spool_dir.join("dead-letters"), limit, clock, metrics, state: Mutex::default() }
    }

    /// Writes letters of one tenant, all or none, and flushes them to the disk.
    pub(crate) fn write(&self, tenant: &str, bucket: &str, refusals: &[Refusal<'_>]) -> io::Result<()> {
        let at = self.clock.now();
        let mut text = Vec::new();
        for refusal in refusals {
            let letter = Letter {
                time: rfc3339(at),
                tenant: tenant.to_owned(),
                bucket: bucket.to_owned(),
                reason: refusal.reason.chars().take(1_000).collect(),
                line: String::from_utf8_lossy(refusal.line).into_owned(),
            };
            serde_json::to_writer(&mut text, &letter)?;
            text.push(b'\n');
        }
        let mut state = self.lock();
        private_dir(&self.dir)?;
        self.make_room(&mut state, text.len() as u64)?;
        self.append(tenant, &text)?;
        state.bytes += text.len() as u64;
        let recent = state.recent.entry(tenant.to_owned()).or_default();
        for refusal in refusals {
            let measurement = refusal.line.split(|b| matches!(b, b',' | b' ')).next().unwrap_or_default();
            let measurement = String::from_utf8_lossy(measurement).chars().take(64).collect();
            recent.push_back(DeadLetter { at, reason: refusal.brief.clone(), measurement });
        }
        let excess = recent.len().saturating_sub(REMEMBERED);
        recent.drain(..excess);
        Ok(())
    }

    /// The last letters of a tenant, oldest first.
    pub(crate) fn recent(&self, tenant: &str) -> Vec<DeadLetter> {
        self.lock().recent.get(tenant).map(|recent| recent.iter().cloned().collect()).unwrap_or_default()
    }

    fn append(&self, tenant: &str, text: &[u8]) -> io::Result<()> {
        let name = file_name(tenant);
        let open = self.dir.join(format!("{name}.jsonl"));
        let length = fs::metadata(&open).map_or(0, |m| m.len());
        if length > 0 && length + text.len() as u64 > MAX_FILE.min(self.limit / 8) {
            let last =
                self.files()?.iter().filter(|f| f.tenant == name && f.n < u64::MAX).map(|f| f.n).max().unwrap_or(0);
            gone_is_none(fs::rename(&open, self.dir.join(format!("{name}.{:08}.jsonl", last + 1))))?;
        }
        // Opened for each write: who replays the file may rename it under us, and the next letter starts a new one.
        let mut file = private_file().append(true).create(true).open(&open)?;
        let length = file.metadata()?.len();
        if let Err(error) = file.write_all(text).and_then(|()| file.sync_data()) {
            // A torn letter would spoil the next one's line.
            let _ = file.set_len(length);
            return Err(error);
        }
        Ok(())
    }

    fn make_room(&self, state: &mut State, needed: u64) -> io::Result<()> {
        if needed > self.limit {
            return Err(io::Error::other("larger than spool.max_dead_letters"));
        }
        if state.counted && state.bytes + needed <= self.limit {
            return Ok(());
        }
        let mut files = self.files()?;
        state.bytes = files.iter().map(|file| file.bytes).sum();
        state.counted = true;
        while state.bytes + needed > self.limit {
            let mut held: BTreeMap<&str, u64> = BTreeMap::new();
            files.iter().for_each(|file| *held.entry(&file.tenant).or_default() += file.bytes);
            let Some(most) = held.into_iter().max_by_key(|(_, bytes)| *bytes).map(|(tenant, _)| tenant.to_owned())
            else {
                break;
            };
            let Some(at) = files.iter().position(|file| file.tenant == most) else {
                break;
            };
            let oldest = files.remove(at);
            let letters = gone_is_none(fs::read(&oldest.path))?.iter().filter(|b| **b == b'\n').count() as u64;
            gone_is_none(fs::remove_file(&oldest.path))?;
            state.bytes = state.bytes.saturating_sub(oldest.bytes);
            self.metrics.dead_letters_evicted(letters);
            tracing::warn!(
                tenant = most,
                letters,
                "dead letters are at their bound (spool.max_dead_letters = {} bytes): the oldest of the tenant that holds the most were deleted",
                self.limit
            );
        }
        Ok(())
    }

    /// The files by tenant, each tenant's oldest first.
    fn files(&self) -> io::Result<Vec<LetterFile>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(stem) = name.strip_suffix(".jsonl") else {
                continue;
            };
            let (tenant, n) = match stem.split_once('.') {
                None => (stem, u64::MAX),
                Some((tenant, n)) => (tenant, n.parse().unwrap_or(0)),
            };
            // Taken away since it was listed: not ours any more.
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            files.push(LetterFile { tenant: tenant.to_owned(), n, bytes: metadata.len(), path: entry.path() });
        }
        files.sort_by(|a, b| (&a.tenant, a.n).cmp(&(&b.tenant, b.n)));
        Ok(files)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct LetterFile {
    /// As it stands in the file's name.
    tenant: String,
    /// Its number; the open file comes last.
    n: u64,
    bytes: u64,
    path: PathBuf,
}

/// Others may take files away at any time (`replay` does): one that is gone is as good as read, moved or removed.
fn gone_is_none<T: Default>(result: io::Result<T>) -> io::Result<T> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(T::default()),
        result => result,
    }
}
