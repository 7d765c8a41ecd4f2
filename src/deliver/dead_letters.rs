//! Dead letters: lines that the destination refused for good, kept for their tenant with the reason.
//!
//! `{spool.dir}/dead-letters/<tenant>.jsonl` is the open file of a tenant, `<tenant>.<n>.jsonl` are older ones; mode 0600; one JSON object a line:
//! `{"time", "tenant", "bucket", "reason", "line"}`. Each tenant's files stay within its share of the bound, and all together within the bound: a flood of
//! bad lines pushes out its own oldest letters. Where the shares add up to more than the whole, the oldest file of the tenant that holds the most goes. As
//! with the spool, a tenant that holds nothing may hand over one request's letters whatever its share: else a small share could keep none at all.
//! The folder may be read, moved or replayed at any time.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};

use super::files::{file_name, private_dir, private_file, rfc3339};
use crate::clock::{Clock, UnixNanos, monotonic};
use crate::config::{Settings, TenantId, TenantSettings};
use crate::metrics::Metrics;

/// How many letters of a tenant are remembered for the admin listener.
const REMEMBERED: usize = 20;
/// An open file is set aside at this size, or at an eighth of what its tenant may hold if that is less: what goes when space is needed is one file.
const MAX_FILE: u64 = 4 << 20;
/// Others (replay) write and take away files: how long a count of the folder is trusted.
const COUNT_HOLDS: Duration = Duration::from_secs(1);

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
    /// Bytes in the folder by tenant, as it stands in file names.
    held: HashMap<String, u64>,
    counted: Option<Instant>,
    recent: HashMap<String, VecDeque<DeadLetter>>,
}

impl State {
    fn held(&self, name: &str) -> u64 {
        self.held.get(name).copied().unwrap_or(0)
    }

    fn fresh(&self) -> bool {
        self.counted.is_some_and(|at| monotonic().saturating_duration_since(at) < COUNT_HOLDS)
    }

    fn fits(&self, name: &str, needed: u64, share: u64, all: u64) -> bool {
        let own = self.held(name);
        (own == 0 || own + needed <= share) && self.held.values().sum::<u64>() + needed <= all
    }

    fn count(&mut self, files: &[LetterFile]) {
        self.held.clear();
        files.iter().for_each(|file| *self.held.entry(file.tenant.clone()).or_default() += file.bytes);
        self.counted = Some(monotonic());
    }

    fn less(&mut self, gone: &LetterFile) {
        if let Some(held) = self.held.get_mut(&gone.tenant) {
            *held = held.saturating_sub(gone.bytes);
        }
    }
}

/// How much may be kept: over all, and of it by each tenant.
#[derive(Clone, Debug)]
pub(crate) struct Bound {
    pub(super) bytes: u64,
    /// The share of whoever is not listed, the gateway itself too.
    pub(super) default_share: f64,
    /// By the tenant as it stands in file names.
    pub(super) shares: HashMap<String, f64>,
}

impl Bound {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a bound fits where the bound does"
    )]
    fn of(&self, name: &str) -> u64 {
        let share = self.shares.get(name).copied().unwrap_or(self.default_share);
        (self.bytes as f64 * share.clamp(0.0, 1.0)) as u64
    }
}

impl From<&Settings> for Bound {
    fn from(settings: &Settings) -> Self {
        let share = |(id, tenant): (&TenantId, &TenantSettings)| (file_name(id.as_str()), tenant.limits.spool_share);
        Self {
            bytes: settings.spool.max_dead_letters,
            default_share: settings.spool.default_share,
            shares: settings.tenants.iter().map(share).collect(),
        }
    }
}

/// A bound over all, and no shares.
impl From<u64> for Bound {
    fn from(bytes: u64) -> Self {
        Self { bytes, default_share: 1.0, shares: HashMap::new() }
    }
}

/// The store. Its methods block: call them on a blocking thread.
#[derive(Debug)]
pub(crate) struct DeadLetters {
    dir: PathBuf,
    /// A reload may change it.
    bound: ArcSwap<Bound>,
    clock: Clock,
    metrics: Arc<Metrics>,
    state: Mutex<State>,
}

impl DeadLetters {
    pub(crate) fn new(spool_dir: &Path, bound: Bound, clock: Clock, metrics: Arc<Metrics>) -> Self {
        let bound = ArcSwap::from_pointee(bound);
        Self { dir: spool_dir.join("dead-letters"), bound, clock, metrics, state: Mutex::default() }
    }

    /// How much may be kept from now on. What is beyond it goes with the next letter that needs room.
    pub(crate) fn rebound(&self, bound: Bound) {
        self.bound.store(Arc::new(bound));
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
        let name = file_name(tenant);
        self.make_room(&mut state, &name, text.len() as u64)?;
        self.append(&name, &text)?;
        *state.held.entry(name).or_default() += text.len() as u64;
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

    fn append(&self, name: &str, text: &[u8]) -> io::Result<()> {
        let open = self.dir.join(format!("{name}.jsonl"));
        let length = fs::metadata(&open).map_or(0, |m| m.len());
        if length > 0 && length + text.len() as u64 > MAX_FILE.min(self.bound.load().of(name) / 8) {
            let last = self
                .files()?
                .iter()
                .filter(|f| !f.sent && f.tenant == name && f.n < u64::MAX)
                .map(|f| f.n)
                .max()
                .unwrap_or(0);
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

    /// Deletes until `needed` more bytes of this tenant fit; files that replay has sent go first, and then the tenant's own oldest.
    fn make_room(&self, state: &mut State, name: &str, needed: u64) -> io::Result<()> {
        let bound = self.bound.load_full();
        if needed > bound.bytes {
            return Err(io::Error::other("larger than spool.max_dead_letters"));
        }
        let share = bound.of(name);
        if state.fresh() && state.fits(name, needed, share, bound.bytes) {
            return Ok(());
        }
        let mut files = self.files()?;
        state.count(&files);
        while !state.fits(name, needed, share, bound.bytes) {
            let Some(at) = next_to_go(state, &files, name, needed, share) else {
                break;
            };
            let gone = files.remove(at);
            let letters = gone_is_none(fs::read(&gone.path))?.iter().filter(|b| **b == b'\n').count() as u64;
            gone_is_none(fs::remove_file(&gone.path))?;
            state.less(&gone);
            if gone.sent {
                tracing::info!(
                    "{} was sent by replay and is deleted: dead letters need its space",
                    gone.path.display()
                );
                continue;
            }
            self.metrics.dead_letters_evicted(letters);
            tracing::warn!(
                tenant = gone.tenant,
                letters,
                "dead letters are at their bound: this tenant's oldest were deleted. It may hold {} of {} bytes \
                 (spool_share of spool.max_dead_letters)",
                bound.of(&gone.tenant),
                bound.bytes
            );
        }
        Ok(())
    }

    /// The files by tenant, each tenant's oldest first. What replay works on (`….replaying`) is not ours to delete, and not counted.
    fn files(&self) -> io::Result<Vec<LetterFile>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some((stem, rest)) = name.split_once(".jsonl") else {
                continue;
            };
            let sent = rest.ends_with(".done");
            if !rest.is_empty() && !sent {
                continue;
            }
            let (tenant, n) = match stem.split_once('.') {
                None => (stem, u64::MAX),
                Some((tenant, n)) => (tenant, n.parse().unwrap_or(0)),
            };
            // Taken away since it was listed: not ours any more.
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            files.push(LetterFile { tenant: tenant.to_owned(), n, sent, bytes: metadata.len(), path: entry.path() });
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
    /// Whether replay has sent all of it.
    sent: bool,
    bytes: u64,
    path: PathBuf,
}

/// Which of the files goes next: while the tenant is beyond its share, one of its own; then one of whoever holds the most.
fn next_to_go(state: &State, files: &[LetterFile], name: &str, needed: u64, share: u64) -> Option<usize> {
    let own = state.held(name);
    let of = |tenant: &str| {
        let sent = files.iter().position(|file| file.sent && file.tenant == tenant);
        sent.or_else(|| files.iter().position(|file| file.tenant == tenant))
    };
    if own > 0 && own + needed > share {
        return of(name);
    }
    let most = || state.held.iter().max_by_key(|(_, bytes)| **bytes).and_then(|(tenant, _)| of(tenant));
    files.iter().position(|file| file.sent).or_else(most)
}

/// Others may take files away at any time (`replay` does): one that is gone is as good as read, moved or removed.
fn gone_is_none<T: Default>(result: io::Result<T>) -> io::Result<T> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(T::default()),
        result => result,
    }
}
