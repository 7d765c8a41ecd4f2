//! The folder's lock: who holds it may change the folder. The file stays; what counts is the lock on it, which ends with its process.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// The lock's file; it holds the process id of who has it, as text.
pub(super) const FILE: &str = "lock";

/// Another process, which holds a folder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Holder {
    pub(crate) pid: Option<u32>,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "process {pid}"),
            None => f.write_str("another process"),
        }
    }
}

/// Who holds the folder now. Nothing is written; the look itself locks the file, shared and for a moment.
pub(crate) fn holder(dir: &Path) -> io::Result<Option<Holder>> {
    let file = match File::open(dir.join(FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => Ok(Some(who(&file))),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn who(file: &File) -> Holder {
    let mut text = String::new();
    // A holder that has not written its number yet is a holder all the same.
    let _ = file.take(20).read_to_string(&mut text);
    Holder { pid: text.trim().parse().ok() }
}

/// The folder is ours until this is dropped.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "held, not read")] File);

impl Lock {
    /// Takes the folder, or says who has it.
    pub(crate) fn take(dir: &Path) -> io::Result<Result<Self, Holder>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(dir.join(FILE))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Err(who(&file))),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        file.set_len(0)?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Ok(Self(file)))
    }
}
