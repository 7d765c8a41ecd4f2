//! Line protocol files: the destination of a gateway that was told of no InfluxDB.
//!
//! `{spool.dir}/lines/<bucket>-<UTC time>-<n>.lp`, mode 0600, InfluxDB's own import format (`influx write -f`). A new file after 64 MiB or at midnight
//! UTC. Nothing is ever deleted: these files are where the points live, so each rotation says how much has gathered instead.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::answer::Answer;
use crate::clock::{Clock, UnixNanos};

/// Largest file.
const MAX_FILE: u64 = 64 << 20;
const DAY: i64 = 86_400 * 1_000_000_000;

#[derive(Debug)]
struct Open {
    file: File,
    path: PathBuf,
    /// Whole batches only: where the next one begins.
    length: u64,
    day: i64,
}

/// The files, one open for each bucket.
#[derive(Clone, Debug)]
pub(crate) struct LineFiles {
    dir: PathBuf,
    clock: Clock,
    max_file: u64,
    open: Arc<Mutex<HashMap<String, Open>>>,
}

impl LineFiles {
    pub(crate) fn new(spool_dir: &Path, clock: Clock) -> Self {
        Self { dir: spool_dir.join("lines"), clock, max_file: MAX_FILE, open: Arc::default() }
    }

    #[cfg(test)]
    pub(crate) fn rotating_at(mut self, bytes: u64) -> Self {
        self.max_file = bytes;
        self
    }

    /// Appends a body, whole or not at all.
    pub(crate) async fn write(&self, bucket: &str, body: Bytes) -> Answer {
        let (files, bucket) = (self.clone(), bucket.to_owned());
        let written = tokio::task::spawn_blocking(move || files.append(&bucket, &body)).await;
        let failed = match written {
            Ok(Ok(())) => return Answer::Done,
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        let why = format!("cannot write to {}: {failed}; free space or mend the folder's rights", self.dir.display());
        tracing::error!("{why}");
        Answer::Later { why, suspicious: false }
    }

    fn append(&self, bucket: &str, body: &[u8]) -> io::Result<()> {
        let now = self.clock.now();
        let mut all = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let stale = all.get(bucket).is_some_and(|open| {
            let grown = open.length > 0 && open.length + body.len() as u64 > self.max_file;
            // Somebody may tidy up while we run: what is written to a file without a name is gone.
            let unlinked = open.file.metadata().map_or(true, |file| file.nlink() == 0);
            grown || unlinked || open.day != now.div_euclid(DAY)
        });
        if stale {
            all.remove(bucket);
        }
        if !all.contains_key(bucket) {
            let open = self.create(bucket, now)?;
            all.insert(bucket.to_owned(), open);
        }
        let Some(open) = all.get_mut(bucket) else {
            return Ok(());
        };
        if let Err(error) = open.file.write_all(body) {
            // A torn batch would be written again behind its own half: back to the last whole one. If even that fails, a new file.
            if open.file.set_len(open.length).is_err() {
                tracing::warn!("{} ends in a torn batch", open.path.display());
                all.remove(bucket);
            }
            return Err(error);
        }
        open.length += body.len() as u64;
        Ok(())
    }

    fn create(&self, bucket: &str, now: UnixNanos) -> io::Result<Open> {
        private_dir(&self.dir)?;
        let stem = format!("{}-{}", file_name(bucket), utc(now));
        for n in 1.. {
            let path = self.dir.join(format!("{stem}-{n}.lp"));
            match private_file().append(true).create_new(true).open(&path) {
                Ok(file) => {
                    let (count, bytes) = total(&self.dir)?;
                    tracing::info!(
                        "lines go to {}; {count} files with {} MiB lie there, and none is ever deleted",
                        path.display(),
                        bytes >> 20
                    );
                    return Ok(Open { file, path, length: 0, day: now.div_euclid(DAY) });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("no free file name"))
    }
}

fn total(dir: &Path) -> io::Result<(u64, u64)> {
    let mut sum = (0, 0);
    for entry in fs::read_dir(dir)? {
        sum = (sum.0 + 1, sum.1 + entry?.metadata()?.len());
    }
    Ok(sum)
}

/// A folder for our user alone.
pub(crate) fn private_dir(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(dir)
}

/// A file for our user alone.
pub(crate) fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// A name as a part of a file name: letters, digits, `_` and `-` stay, any other byte becomes `%XX`.
pub(crate) fn file_name(name: &str) -> String {
    let mut safe = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => safe.push(char::from(byte)),
            other => safe.push_str(&format!("%{other:02X}")),
        }
    }
    safe
}

/// `20260131T235959Z`
pub(crate) fn utc(at: UnixNanos) -> String {
    rfc3339(at).chars().filter(|c| !matches!(c, '-' | ':')).collect()
}

/// `2026-01-31T23:59:59Z`
pub(crate) fn rfc3339(at: UnixNanos) -> String {
    let since = std::time::Duration::from_nanos(u64::try_from(at).unwrap_or(0));
    humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + since).to_string()
}
