//! Spill files: what the destination would not take before the gateway had to stop, for `tagline replay`.
//!
//! Version 1. A file begins with the line `tagline-spill 1`. Each record is a byte `0xFF`, a header line of JSON, and the lines of line protocol; the file
//! ends with `0xFF` and `{"end":{"records":N,"points":N}}`. `0xFF` stands in no UTF-8 text: no payload can pass for a record, and a reader that met
//! damage finds the next record by it. A header carries the lengths and an XXH3-64 over all that the record says.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Read as _, Write};
use std::ops::ControlFlow::{self, Continue};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::files::{private_dir, private_file, utc};
use crate::clock::UnixNanos;
use crate::ingest;
use crate::spool::Record;

const MAGIC: &str = "tagline-spill 1\n";
const MARK: u8 = 0xFF;
/// Longest header.
const MAX_HEADER: usize = 4 << 10;
/// Longest record with its header and the mark behind it: one request's lines. No reader allocates for more.
const LONGEST: usize = ingest::Limits::MAX_LINES + MAX_HEADER;

#[derive(Serialize, Deserialize)]
struct Header {
    bucket: String,
    tenant: String,
    points: u32,
    bytes: usize,
    accepted: UnixNanos,
    xxh3: String,
}

#[derive(Serialize, Deserialize)]
struct End {
    records: u64,
    points: u64,
}

#[derive(Serialize, Deserialize)]
struct Trailer {
    end: End,
}

/// One record as it was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Spilled {
    pub(crate) bucket: String,
    pub(crate) tenant: String,
    pub(crate) points: u32,
    pub(crate) lines: Vec<u8>,
}

/// What stands next in a spill file.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Piece {
    /// A record.
    Record(Spilled),
    /// The numbers (from 1) of records that are damaged or missing.
    Damaged(RangeInclusive<u64>),
    /// The file's end is missing: the gateway was ended while it wrote.
    Torn,
}

/// Writes records to `{spool_dir}/spill/<UTC time>-<random>.spill`, flushed to the disk with its folder. On an error nothing is left.
pub(crate) fn write(spool_dir: &Path, now: UnixNanos, records: &[Record]) -> io::Result<PathBuf> {
    let dir = spool_dir.join("spill");
    private_dir(&dir)?;
    let path = dir.join(format!("{}-{:08x}.spill", utc(now), fastrand::u32(..)));
    let file = private_file().write(true).create_new(true).open(&path)?;
    let written = write_to(file, records).and_then(|()| File::open(&dir)?.sync_all());
    if let Err(error) = written {
        // A half file beside points that are counted as lost would be replayed as if it were whole.
        let _ = fs::remove_file(&path);
        return Err(error);
    }
    Ok(path)
}

fn write_to(file: File, records: &[Record]) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 18, file);
    out.write_all(MAGIC.as_bytes())?;
    let mut points = 0;
    for record in records {
        let mut header = Header {
            bucket: record.destination().to_string(),
            tenant: record.account().name().to_owned(),
            points: record.points(),
            bytes: record.lines().len(),
            accepted: record.accepted(),
            xxh3: String::new(),
        };
        header.xxh3 = checksum(&header, record.lines());
        points += u64::from(record.points());
        entry(&mut out, &header)?;
        out.write_all(record.lines())?;
    }
    entry(&mut out, &Trailer { end: End { records: records.len() as u64, points } })?;
    out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

fn entry(out: &mut impl Write, header: &impl Serialize) -> io::Result<()> {
    out.write_all(&[MARK])?;
    serde_json::to_writer(&mut *out, header)?;
    out.write_all(b"\n")
}

fn checksum(header: &Header, lines: &[u8]) -> String {
    let mut hash = Xxh3::new();
    for part in [header.bucket.as_bytes(), header.tenant.as_bytes()] {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.update(&header.points.to_le_bytes());
    hash.update(&header.accepted.to_le_bytes());
    hash.update(lines);
    format!("{:016x}", hash.digest())
}

/// Reads a spill file from its start to its end, or until `found` breaks off; one record is in memory at a time.
pub(crate) fn read(path: &Path, found: &mut dyn FnMut(Piece) -> ControlFlow<()>) -> io::Result<()> {
    let mut input = BufReader::with_capacity(1 << 18, File::open(path)?);
    let mut magic = Vec::new();
    (&mut input).take(MAX_HEADER as u64).read_until(b'\n', &mut magic)?;
    if magic != MAGIC.as_bytes() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "not a spill file of a version this tagline reads (it begins with `tagline-spill 1`)",
        ));
    }
    let mut number = 0;
    let mut ended = false;
    let mut chunk = Vec::new();
    skip_mark(&mut input)?;
    loop {
        chunk.clear();
        // Everything up to the next mark is one record. A length that was damaged is never allocated for.
        let read = (&mut input).take(LONGEST as u64).read_until(MARK, &mut chunk)?;
        if read == 0 {
            if !ended {
                let _ = found(Piece::Torn);
            }
            return Ok(());
        }
        let whole = chunk.pop_if(|last| *last == MARK).is_some();
        number += 1;
        let flow = match parse(&chunk) {
            Some(Entry::Record(record)) => found(Piece::Record(record)),
            Some(Entry::End(end)) if !whole => {
                ended = true;
                // It has a number too: so many less one were found before it.
                if end.records < number { Continue(()) } else { found(Piece::Damaged(number..=end.records)) }
            }
            None if !whole && read == LONGEST => {
                // No record is so long: the mark behind it is gone.
                input.skip_until(MARK)?;
                found(Piece::Damaged(number..=number))
            }
            // Cut off in its midst: the torn tail, no damage of its own.
            None if !whole => {
                let _ = found(Piece::Torn);
                return Ok(());
            }
            _ => found(Piece::Damaged(number..=number)),
        };
        if flow.is_break() {
            return Ok(());
        }
    }
}

fn skip_mark(input: &mut impl BufRead) -> io::Result<()> {
    if input.fill_buf()?.first() == Some(&MARK) {
        input.consume(1);
    }
    Ok(())
}

enum Entry {
    Record(Spilled),
    End(End),
}

fn parse(chunk: &[u8]) -> Option<Entry> {
    let newline = chunk.iter().take(MAX_HEADER).position(|b| *b == b'\n')?;
    let (head, lines) = (&chunk[..newline], &chunk[newline + 1..]);
    if let Ok(trailer) = serde_json::from_slice::<Trailer>(head) {
        return lines.is_empty().then_some(Entry::End(trailer.end));
    }
    let header: Header = serde_json::from_slice(head).ok()?;
    if header.bytes != lines.len() || header.xxh3 != checksum(&header, lines) {
        return None;
    }
    Some(Entry::Record(Spilled {
        bucket: header.bucket,
        tenant: header.tenant,
        points: header.points,
        lines: lines.to_vec(),
    }))
}
