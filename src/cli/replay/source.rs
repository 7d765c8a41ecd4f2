//! What `replay` reads: spill files (`.spill`), and dead letters (`.jsonl`, or `.jsonl.replaying` when an earlier replay did not finish).

use std::fs;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use super::say;
use crate::deliver::{Letter, Spilled, read_spill};

const REPLAYING: &str = ".replaying";

/// One file's records.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) records: Vec<Spilled>,
    damaged: Vec<u64>,
    torn: bool,
}

impl Source {
    pub(super) fn points(&self) -> u64 {
        self.records.iter().map(|record| u64::from(record.points)).sum()
    }

    pub(super) fn largest(&self) -> u64 {
        self.records.iter().map(|record| record.lines.len() as u64 + 4096).max().unwrap_or(0)
    }

    /// Says what is wrong with the file; whether nothing is.
    pub(super) fn tell(&self, file: &Path) -> bool {
        let name = file.display();
        for number in &self.damaged {
            say(format_args!("{name}: record {number} is damaged and left out"));
        }
        if self.torn {
            say(format_args!(
                "{name}: the end is missing (the gateway was ended while it wrote); what stands before it is sent"
            ));
        }
        self.damaged.is_empty() && !self.torn
    }
}

/// The file itself, or the files of a folder that can be replayed, by name.
pub(super) fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return match fs::metadata(path) {
            Ok(_) => Ok(vec![path.to_owned()]),
            Err(error)
                if error.kind() == io::ErrorKind::NotFound && path.file_name().is_some_and(|name| name == "spill") =>
            {
                Ok(Vec::new())
            }
            Err(error) => Err(error),
        };
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        if is_spill(&path) || is_letters(&path) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn is_spill(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "spill")
}

fn is_letters(path: &Path) -> bool {
    let name = path.to_string_lossy();
    name.strip_suffix(REPLAYING).unwrap_or(&name).ends_with(".jsonl")
}

/// Takes a file of dead letters away from a running gateway, which then starts a new one.
pub(super) fn claim(path: &Path) -> io::Result<PathBuf> {
    if !is_letters(path) || path.to_string_lossy().ends_with(REPLAYING) {
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

/// Marks a file as wholly sent; an older one of that name is not overwritten.
pub(super) fn done(path: &Path) -> io::Result<PathBuf> {
    let mut done = with_suffix(path, ".done");
    let mut n = 1;
    while done.exists() {
        done = with_suffix(path, &format!(".{n}.done"));
        n += 1;
    }
    fs::rename(path, &done)?;
    Ok(done)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Reads a file of either kind.
pub(super) fn read(path: &Path) -> io::Result<Source> {
    if is_letters(path) {
        return letters(path);
    }
    let contents = read_spill(path)?;
    Ok(Source { records: contents.records, damaged: contents.damaged, torn: contents.torn })
}

fn letters(path: &Path) -> io::Result<Source> {
    let mut source = Source { records: Vec::new(), damaged: Vec::new(), torn: false };
    let mut input = BufReader::new(fs::File::open(path)?);
    let mut text = Vec::new();
    for number in 1.. {
        text.clear();
        if input.read_until(b'\n', &mut text)? == 0 {
            break;
        }
        match serde_json::from_slice::<Letter>(&text) {
            Ok(letter) => {
                let mut lines = letter.line.into_bytes();
                lines.push(b'\n');
                source.records.push(Spilled { bucket: letter.bucket, tenant: letter.tenant, points: 1, lines });
            }
            Err(_) if text.last() != Some(&b'\n') => source.torn = true,
            Err(_) => source.damaged.push(number),
        }
    }
    Ok(source)
}
