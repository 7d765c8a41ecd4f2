//! The files of a log: the few things that it asks of a folder, so that a test can be a disk that fails.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One folder of files, without folders in it. Names are file names.
pub(crate) trait Storage: fmt::Debug + Send + Sync {
    /// The names of all files, in no order.
    fn list(&self) -> io::Result<Vec<String>>;
    /// A new, empty file, readable and writable by our user alone; [`io::ErrorKind::AlreadyExists`] if there is one. It may be gone after a crash
    /// until [`Storage::sync`] has returned.
    fn create(&self, name: &str) -> io::Result<Arc<dyn LogFile>>;
    /// A file that is there, for reading and writing.
    fn open(&self, name: &str) -> io::Result<Arc<dyn LogFile>>;
    /// Renames, over a file of that name if there is one. Atomic, and durable after [`Storage::sync`].
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file; durable after [`Storage::sync`].
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes creations, renames and removals durable: an fsync of the folder.
    fn sync(&self) -> io::Result<()>;
    /// Where it is, for messages.
    fn path(&self) -> &Path;
}

/// One open file. Reads and writes name their place; there is no shared position.
pub(crate) trait LogFile: fmt::Debug + Send + Sync {
    /// Its length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Reads up to `into.len()` bytes; 0 only at the end of the file.
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize>;
    /// Writes bytes from the start of `from`; how many may be fewer than all (a short write).
    fn write_at(&self, from: &[u8], at: u64) -> io::Result<usize>;
    /// Cuts the file.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Makes what was written durable: fdatasync.
    fn sync(&self) -> io::Result<()>;
}

/// Reads until `into` is full or the file ends; how many bytes were read.
pub(crate) fn read_full(file: &dyn LogFile, into: &mut [u8], at: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < into.len() {
        match file.read_at(&mut into[done..], at + done as u64) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// Writes all of `bytes`, through as many short writes as it takes.
pub(crate) fn write_full(file: &dyn LogFile, bytes: &[u8], at: u64) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        match file.write_at(&bytes[done..], at + done as u64) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => done += written,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A folder of the machine's own file system.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// The folder, made (for our user alone) if it is missing.
    pub(crate) fn make(path: &Path) -> io::Result<Self> {
        let missing: Vec<&Path> = path.ancestors().take_while(|folder| is_named(folder) && !folder.exists()).collect();
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        // Each is an entry of the one above it, and as durable as that one is: else a crash takes the folder, and what was synced inside it.
        for folder in missing.iter().rev() {
            let above = folder.parent().filter(|above| is_named(above)).unwrap_or(Path::new("."));
            File::open(above)?.sync_all()?;
        }
        Ok(Self(path.to_owned()))
    }

    /// A folder that is there, to be read only.
    pub(crate) fn existing(path: &Path) -> io::Result<Self> {
        fs::read_dir(path)?;
        Ok(Self(path.to_owned()))
    }
}

/// The parent of a relative path's first part is the empty path.
fn is_named(folder: &Path) -> bool {
    !folder.as_os_str().is_empty()
}

impl Storage for Folder {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn LogFile>> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(self.0.join(name))?;
        Ok(Arc::new(OsFile(file)))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn LogFile>> {
        let path = self.0.join(name);
        let file = OpenOptions::new().read(true).write(true).open(&path);
        // A copy of a folder may be for reading only; whoever writes to it finds out then.
        let read_only = |kind| matches!(kind, io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem);
        let file = match file {
            Err(error) if read_only(error.kind()) => File::open(&path),
            opened => opened,
        };
        Ok(Arc::new(OsFile(file?)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.0.join(from), self.0.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.0.join(name))
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

#[derive(Debug)]
struct OsFile(File);

impl LogFile for OsFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        self.0.read_at(into, at)
    }

    fn write_at(&self, from: &[u8], at: u64) -> io::Result<usize> {
        self.0.write_at(from, at)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}
