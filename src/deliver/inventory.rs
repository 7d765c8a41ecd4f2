//! What lies in files beside the spool's log: dead letters by tenant, and spill files. Counted by reading, in small pieces; nothing is changed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::spill::{self, Piece};

/// One tenant's dead letters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Letters {
    pub(crate) files: u64,
    pub(crate) letters: u64,
    pub(crate) bytes: u64,
}

/// One spill file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct SpillFile {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    /// Points by tenant.
    pub(crate) tenants: BTreeMap<String, u64>,
    /// Why not all of it could be read.
    pub(crate) damaged: Option<String>,
}

/// The dead letters in `spool_dir`, by tenant; what a replay has begun on counts, what one has sent does not.
pub(crate) fn dead_letters(spool_dir: &Path) -> io::Result<BTreeMap<String, Letters>> {
    let mut tenants = BTreeMap::new();
    for (name, path) in files(&spool_dir.join("dead-letters"))? {
        let letters = name.strip_suffix(".replaying").unwrap_or(&name).ends_with(".jsonl");
        let Some(tenant) = name.split('.').next().filter(|_| letters) else {
            continue;
        };
        // Taken away since it was listed: it waits elsewhere.
        let Some((letters, bytes)) = gone_is_none(lines(&path))? else {
            continue;
        };
        let of: &mut Letters = tenants.entry(plain(tenant)).or_default();
        of.files += 1;
        of.letters += letters;
        of.bytes += bytes;
    }
    Ok(tenants)
}

/// The spill files in `spool_dir`, by name.
pub(crate) fn spill_files(spool_dir: &Path) -> io::Result<Vec<SpillFile>> {
    let mut spilled = Vec::new();
    for (name, path) in files(&spool_dir.join("spill"))? {
        if name.ends_with(".spill")
            && let Some(bytes) = gone_is_none(fs::metadata(&path).map(|file| file.len()))?
        {
            spilled.push(spill_file(name, &path, bytes));
        }
    }
    Ok(spilled)
}

fn spill_file(name: String, path: &Path, bytes: u64) -> SpillFile {
    let mut file = SpillFile { name, bytes, tenants: BTreeMap::new(), damaged: None };
    let read = spill::read(path, &mut |piece| {
        match piece {
            Piece::Record(record) => *file.tenants.entry(record.tenant).or_default() += u64::from(record.points),
            Piece::Damaged(numbers) => {
                file.damaged.get_or_insert_with(|| format!("record {} is damaged", numbers.start()));
            }
            Piece::Torn => file.damaged = Some("its end is missing".to_owned()),
        }
        ControlFlow::Continue(())
    });
    if let Err(error) = read {
        file.damaged = Some(error.to_string());
    }
    file
}

/// The files of a folder, by name; none if it is not there.
fn files(dir: &Path) -> io::Result<BTreeMap<String, PathBuf>> {
    let mut files = BTreeMap::new();
    for entry in gone_is_none(fs::read_dir(dir))?.into_iter().flatten() {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            files.insert(entry.file_name().to_string_lossy().into_owned(), entry.path());
        }
    }
    Ok(files)
}

/// How many lines a file has, and how many bytes.
fn lines(path: &Path) -> io::Result<(u64, u64)> {
    let mut file = File::open(path)?;
    let mut window = vec![0; 64 << 10];
    let (mut lines, mut bytes) = (0, 0);
    loop {
        match file.read(&mut window) {
            Ok(0) => return Ok((lines, bytes)),
            Ok(read) => {
                lines += window[..read].iter().filter(|byte| **byte == b'\n').count() as u64;
                bytes += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The name that [`super::files::file_name`] made a file's name of.
fn plain(name: &str) -> String {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let [first, behind @ ..] = rest {
        let code = (*first == b'%').then(|| behind.get(..2)).flatten().and_then(|hex| std::str::from_utf8(hex).ok());
        match code.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn gone_is_none<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
