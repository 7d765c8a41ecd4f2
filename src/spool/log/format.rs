//! The format of the log on disk, version 1: pure functions over bytes.
//!
//! A segment is a file header and records, one behind the other. Integers are little-endian; a checksum is CRC-32C (Castagnoli).
//!
//! | file header | bytes | |     | record | bytes | |
//! |---|---|---|---|---|---|---|
//! | magic | 12 | `tagline-log\n` | | magic | 4 | `FF 'T' 'L' FE`; neither byte stands in any UTF-8 text |
//! | version | 4 | 1 | | length of the lines | 4 | at most [`MAX_LINES`] |
//! | base | 8 | the least sequence that may stand here | | sequence | 8 | the submission's number, from 1 |
//! | checksum | 4 | of all before it | | accepted | 8 | when, Unix ns, signed |
//! | | | | | points | 4 | |
//! | | | | | length of the tenant | 2 | at most [`MAX_NAME`] |
//! | | | | | length of the destination | 2 | at most [`MAX_NAME`] |
//! | | | | | checksum of the head | 4 | of all before it, tenant and destination |
//! | | | | | checksum of the record | 4 | the head's, continued over the lines |
//! | | | | | tenant, destination, lines | | UTF-8 |
//!
//! So a head is trusted by a checksum of its own before anything is allocated for the lengths that it names, and a reader that met damage finds the
//! next record by the magic: the lines, being UTF-8, cannot hold it.

use thiserror::Error;

use crate::clock::UnixNanos;
use crate::ingest;

/// The version that is written.
pub(crate) const VERSION: u32 = 1;
/// Bytes of a file's header.
pub(crate) const FILE_HEADER: usize = 28;
/// Bytes of a record's head before its names.
pub(crate) const FIXED: usize = 40;
/// Longest name of a tenant or a destination.
pub(crate) const MAX_NAME: usize = 1024;
/// Most bytes of lines in one record: what one request may make, and its last newline.
pub(crate) const MAX_LINES: usize = ingest::Limits::MAX_LINES + 1024;
/// How a record begins.
pub(crate) const MAGIC: [u8; 4] = [0xFF, b'T', b'L', 0xFE];

const FILE_MAGIC: [u8; 12] = *b"tagline-log\n";

/// Why a file is no segment that this version reads.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub(crate) enum NotOurs {
    /// Too short for a header, or it does not begin as one.
    #[error("it does not begin as a segment of the log")]
    Foreign,
    /// The header's checksum does not match.
    #[error("its header is damaged")]
    Damaged,
    /// Written by a later version.
    #[error(
        "it is of version {0}, and this version reads up to {VERSION}: start the tagline that wrote it, or a later one"
    )]
    Newer(u32),
}

/// The header of a segment whose least sequence is `base`.
pub(crate) fn file_header(base: u64) -> [u8; FILE_HEADER] {
    let mut header = [0; FILE_HEADER];
    header[..12].copy_from_slice(&FILE_MAGIC);
    header[12..16].copy_from_slice(&VERSION.to_le_bytes());
    header[16..24].copy_from_slice(&base.to_le_bytes());
    let checksum = crc32c::crc32c(&header[..24]);
    header[24..].copy_from_slice(&checksum.to_le_bytes());
    header
}

/// The least sequence of a segment, by its header.
pub(crate) fn read_file_header(bytes: &[u8]) -> Result<u64, NotOurs> {
    let header: &[u8; FILE_HEADER] = bytes.first_chunk().ok_or(NotOurs::Foreign)?;
    if header[..12] != FILE_MAGIC {
        return Err(NotOurs::Foreign);
    }
    if crc32c::crc32c(&header[..24]) != u32_at(header, 24) {
        return Err(NotOurs::Damaged);
    }
    match u32_at(header, 12) {
        VERSION => Ok(u64_at(header, 16)),
        newer @ VERSION.. => Err(NotOurs::Newer(newer)),
        _ => Err(NotOurs::Damaged),
    }
}

/// What a record says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Head<'b> {
    pub(crate) sequence: u64,
    pub(crate) accepted: UnixNanos,
    pub(crate) points: u32,
    /// Bytes of line protocol.
    pub(crate) lines: u32,
    pub(crate) tenant: &'b str,
    pub(crate) destination: &'b str,
}

impl Head<'_> {
    /// Bytes of the head with its names.
    pub(crate) fn len(&self) -> usize {
        FIXED + self.tenant.len() + self.destination.len()
    }

    /// Bytes of the whole record.
    pub(crate) fn record_len(&self) -> u64 {
        (self.len() + self.lines as usize) as u64
    }

    /// Appends the record to `out`; `lines` has the length that the head names. The caller keeps to [`MAX_NAME`] and [`MAX_LINES`].
    pub(crate) fn write(&self, lines: &[u8], out: &mut Vec<u8>) {
        debug_assert!(lines.len() == self.lines as usize && lines.len() <= MAX_LINES, "{} bytes", lines.len());
        let start = out.len();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&self.lines.to_le_bytes());
        out.extend_from_slice(&self.sequence.to_le_bytes());
        out.extend_from_slice(&self.accepted.to_le_bytes());
        out.extend_from_slice(&self.points.to_le_bytes());
        out.extend_from_slice(&length(self.tenant).to_le_bytes());
        out.extend_from_slice(&length(self.destination).to_le_bytes());
        let mut checksum = crc32c::crc32c(&out[start..]);
        for name in [self.tenant, self.destination] {
            checksum = crc32c::crc32c_append(checksum, name.as_bytes());
        }
        out.extend_from_slice(&checksum.to_le_bytes());
        out.extend_from_slice(&crc32c::crc32c_append(checksum, lines).to_le_bytes());
        out.extend_from_slice(self.tenant.as_bytes());
        out.extend_from_slice(self.destination.as_bytes());
        out.extend_from_slice(lines);
    }
}

fn length(name: &str) -> u16 {
    debug_assert!(name.len() <= MAX_NAME, "a name of {} bytes", name.len());
    u16::try_from(name.len()).unwrap_or(u16::MAX)
}

/// What stands at a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Read<'b> {
    /// A head whose checksum holds.
    Head(Head<'b>),
    /// It may be one: at least so many bytes are needed to know.
    More(usize),
    /// None.
    No,
}

/// Reads the head at the start of `bytes`.
pub(crate) fn read_head(bytes: &[u8]) -> Read<'_> {
    let begins = bytes.len().min(MAGIC.len());
    if bytes[..begins] != MAGIC[..begins] {
        return Read::No;
    }
    let Some(fixed) = bytes.first_chunk::<FIXED>() else {
        return Read::More(FIXED);
    };
    let lines = u32_at(fixed, 4);
    let names = [u16_at(fixed, 28), u16_at(fixed, 30)].map(usize::from);
    // Bounded before anything is read or allocated for it.
    if lines as usize > MAX_LINES || names.iter().any(|name| *name > MAX_NAME) {
        return Read::No;
    }
    let len = FIXED + names[0] + names[1];
    let Some(named) = bytes.get(FIXED..len) else {
        return Read::More(len);
    };
    if crc32c::crc32c_append(crc32c::crc32c(&fixed[..32]), named) != u32_at(fixed, 32) {
        return Read::No;
    }
    let (tenant, destination) = named.split_at(names[0]);
    match (std::str::from_utf8(tenant), std::str::from_utf8(destination)) {
        (Ok(tenant), Ok(destination)) => Read::Head(Head {
            sequence: u64_at(fixed, 8),
            accepted: u64_at(fixed, 16).cast_signed(),
            points: u32_at(fixed, 24),
            lines,
            tenant,
            destination,
        }),
        _ => Read::No,
    }
}

/// Whether the lines of the record at the start of `record` (head, names and lines) are those that were written.
pub(crate) fn is_whole(record: &[u8], head_len: usize) -> bool {
    match (record.first_chunk::<FIXED>(), record.get(head_len..)) {
        (Some(fixed), Some(lines)) => crc32c::crc32c_append(u32_at(fixed, 32), lines) == u32_at(fixed, 36),
        _ => false,
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests;
