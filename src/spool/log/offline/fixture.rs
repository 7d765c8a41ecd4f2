//! A log's folder as a gateway leaves it, written by hand.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::spool::log::{cursor::Cursor, segment_name};

/// When record 0 was accepted; each later one a second after.
pub(crate) const ACCEPTED: i64 = 1_700_000_000_000_000_000;

/// A record as it lies in a segment.
pub(crate) fn record(sequence: u64, tenant: &str, destination: &str, lines: &[&str]) -> Vec<u8> {
    let text: String = lines.iter().flat_map(|line| [*line, "\n"]).collect();
    let head = Head {
        sequence,
        accepted: ACCEPTED + sequence.cast_signed() * 1_000_000_000,
        points: u32::try_from(lines.len()).unwrap(),
        lines: u32::try_from(text.len()).unwrap(),
        tenant,
        destination,
    };
    let mut bytes = Vec::new();
    head.write(text.as_bytes(), &mut bytes);
    bytes
}

/// Writes a segment.
pub(crate) fn segment(dir: &Path, base: u64, records: &[Vec<u8>]) -> PathBuf {
    fs::create_dir_all(dir).unwrap();
    let path = dir.join(segment_name(base));
    let bytes: Vec<u8> = format::file_header(base).into_iter().chain(records.concat()).collect();
    fs::write(&path, bytes).unwrap();
    path
}

/// Writes a cursor.
pub(crate) fn cursor(dir: &Path, next: u64, low: u64, runs: &[u64], accounts: &[(&str, Ended)]) {
    let accounts = accounts.iter().map(|(name, ended)| ((*name).to_owned(), ended.clone())).collect();
    let cursor = Cursor { generation: 1, next, low, runs: runs.to_vec(), accounts };
    cursor.write(&Folder::make(dir).unwrap()).unwrap();
}

/// Every file of a folder and of those in it, with all that it holds.
pub(crate) fn everything(dir: &Path) -> BTreeMap<PathBuf, (Vec<u8>, std::time::SystemTime)> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(everything(&path));
        } else {
            let changed = fs::metadata(&path).unwrap().modified().unwrap();
            files.insert(path.clone(), (fs::read(&path).unwrap(), changed));
        }
    }
    files
}
