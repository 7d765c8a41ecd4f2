//! The files that settings were read from, each with what it held: how a change of one is noticed.
//!
//! What a file holds is compared, not its time or its inode: that sees through a symlink that was swapped, a network's file system, a clock that went
//! back and two writes within one tick, and a file that was only touched is none that changed. Settings are small enough for that.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_128;

/// What a file held when it was looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Content {
    /// Bytes with this hash. Nobody gains by a collision: who writes these files decides on the settings anyway.
    Bytes(u128),
    /// It could not be read.
    Unreadable(io::ErrorKind),
    /// A pipe or a terminal (`--config <(…)`): what it gave once it gives never again, so that it cannot change.
    Stream,
    /// It was read twice, and was not the same.
    Torn,
}

/// Files by name, each with what it held. Its `Debug` shows no content.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Files(BTreeMap<PathBuf, Content>);

impl Files {
    /// What the same files hold now. Blocks.
    #[must_use]
    pub fn look_again(&self) -> Self {
        let look = |path: &PathBuf| (path.clone(), read(path).0);
        Self(self.0.keys().map(look).collect())
    }

    /// These files, and those of `others` that are not among them.
    #[must_use]
    pub fn and(mut self, others: &Self) -> Self {
        for (path, content) in &others.0 {
            self.0.entry(path.clone()).or_insert(*content);
        }
        self
    }

    /// Whether each of these files stands in `others` with the same content.
    pub fn are_in(&self, others: &Self) -> bool {
        self.0.iter().all(|(path, content)| others.0.get(path) == Some(content))
    }

    /// Their names.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.keys().map(PathBuf::as_path)
    }
}

fn read(path: &Path) -> (Content, io::Result<Vec<u8>>) {
    // A pipe is not opened for a look: that could wait for ever.
    let stream = std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir());
    if stream {
        return (Content::Stream, Ok(Vec::new()));
    }
    let bytes = std::fs::read(path);
    let content = match &bytes {
        Ok(bytes) => Content::Bytes(xxh3_128(bytes)),
        Err(error) => Content::Unreadable(error.kind()),
    };
    (content, bytes)
}

/// The one way in which the loader reads files; it remembers which.
#[derive(Debug, Default)]
pub(crate) struct Reading(RefCell<Files>);

impl Reading {
    pub(crate) fn text(&self, path: &Path) -> io::Result<String> {
        let (content, bytes) = read(path);
        let bytes = if content == Content::Stream { std::fs::read(path) } else { bytes };
        let files = &mut self.0.borrow_mut().0;
        let known = files.entry(path.to_owned()).or_insert(content);
        if *known != content {
            *known = Content::Torn;
        }
        String::from_utf8(bytes?).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))
    }

    /// What was read.
    pub(crate) fn files(self) -> Files {
        self.0.into_inner()
    }
}
