//! The cursor: which records have ended, and the ledger's totals at that moment.
//!
//! Two files, `cursor.a` and `cursor.b`, written in turn, so that a write that tears leaves the other. One line of text
//! (`tagline-cursor 1 CHECKSUM LENGTH`, CRC-32C of what follows) and a JSON object. The valid one of the higher generation counts; without any,
//! every record of the log is pending, which only means that what was delivered is delivered again.
//!
//! A cursor is durable before a segment whose records it ended is deleted: what is in no segment and not ended in the cursor was lost to damage, and
//! how many points of whom is the difference of the two.

use std::collections::BTreeMap;
use std::io;

use serde::{Deserialize, Serialize};

use super::storage::{Storage, read_full, write_full};

/// The two files.
pub(crate) const FILES: [&str; 2] = ["cursor.a", "cursor.b"];

const MAGIC: &str = "tagline-cursor 1 ";
/// Longest first line.
const HEAD: usize = 64;

/// What was counted of one account's records that ended wholly; a record of which a part still waits is pending as a whole.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Ended {
    /// Points of all its records below [`Cursor::next`].
    pub(crate) accepted: u64,
    pub(crate) delivered: u64,
    pub(crate) dead_lettered: u64,
    pub(crate) spilled: u64,
    /// By the loss's stable name.
    pub(crate) lost: BTreeMap<String, u64>,
}

impl Ended {
    /// Points that were accepted and had not ended.
    pub(crate) fn pending(&self) -> u64 {
        let lost: u64 = self.lost.values().sum();
        self.accepted.saturating_sub(self.delivered + self.dead_lettered + self.spilled + lost)
    }
}

/// A cursor's file that is there and not valid.
#[derive(Debug)]
pub(crate) struct Bad {
    pub(crate) name: String,
    /// Why it cannot be read; a write that tore leaves one that can.
    pub(crate) unreadable: Option<io::Error>,
}

/// One state of the log.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Cursor {
    /// Counts up with every write.
    pub(crate) generation: u64,
    /// Records from this sequence on were accepted later, and are not in the totals.
    pub(crate) next: u64,
    /// The low-water mark: every record below has ended.
    pub(crate) low: u64,
    /// Those above that have ended: alternately how many have not and how many have, from `low` on.
    pub(crate) runs: Vec<u64>,
    /// By tenant.
    pub(crate) accounts: BTreeMap<String, Ended>,
}

impl Cursor {
    /// The ranges of sequences from the low-water mark on that have ended, in order.
    pub(crate) fn ended(&self) -> impl Iterator<Item = std::ops::Range<u64>> + '_ {
        let mut at = self.low;
        self.runs.chunks(2).map(move |pair| {
            let from = at.saturating_add(pair[0]);
            at = from.saturating_add(pair.get(1).copied().unwrap_or(0));
            from..at
        })
    }

    /// Reads the newer of the valid ones. `None`: there is none. The second value names files that are there and not valid.
    pub(crate) fn read(storage: &dyn Storage) -> io::Result<(Option<Self>, Vec<Bad>)> {
        let names = storage.list()?;
        let (mut newest, mut bad) = (None::<Self>, Vec::new());
        for name in FILES.iter().filter(|file| names.iter().any(|name| name == **file)) {
            match read(storage, name) {
                Ok(Content::Whole(cursor)) => {
                    if newest.as_ref().is_none_or(|newest| newest.generation < cursor.generation) {
                        newest = Some(cursor);
                    }
                }
                Ok(Content::Blank) => {}
                Ok(Content::Bad) => bad.push(Bad { name: (*name).to_owned(), unreadable: None }),
                Err(error) => bad.push(Bad { name: (*name).to_owned(), unreadable: Some(error) }),
            }
        }
        Ok((newest, bad))
    }

    /// Writes it over the older file and makes it durable. After an error that file may hold anything, so the next try is of the same generation:
    /// one more would go over the good one. How long it is, bytes.
    pub(crate) fn write(&self, storage: &dyn Storage) -> io::Result<u64> {
        let name = FILES[usize::from(self.generation % 2 == 1)];
        let body = serde_json::to_vec(self)?;
        let mut text = first_line(&body).into_bytes();
        text.extend_from_slice(&body);
        let file = match storage.open(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => storage.create(name)?,
            opened => opened?,
        };
        // Never cut: blocks that the file has are blocks that a full disk cannot refuse.
        write_full(&*file, &text, 0)?;
        file.sync()?;
        // Not only after a creation: that may have been an earlier try, which failed before it came here.
        storage.sync()?;
        Ok(text.len() as u64)
    }
}

/// Sees to it that both files have so many bytes, with zeros behind what they hold: a cursor that fits into them can be written on a full disk, and
/// without one nothing could be deleted from it.
pub(crate) fn reserve(storage: &dyn Storage, bytes: u64) -> io::Result<()> {
    let zeros = [0; 4 << 10];
    for name in FILES {
        let file = match storage.open(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => storage.create(name)?,
            opened => opened?,
        };
        let mut at = file.len()?;
        while at < bytes {
            let some = zeros.len().min(usize::try_from(bytes - at).unwrap_or(usize::MAX));
            write_full(&*file, &zeros[..some], at)?;
            at += some as u64;
        }
        file.sync()?;
    }
    storage.sync()
}

/// What a cursor's file holds.
enum Content {
    /// Nothing, or only zeros, where a cursor would begin: it was never written.
    Blank,
    /// Something that is no whole cursor.
    Bad,
    Whole(Cursor),
}

fn first_line(body: &[u8]) -> String {
    format!("{MAGIC}{:08x} {}\n", crc32c::crc32c(body), body.len())
}

fn read(storage: &dyn Storage, name: &str) -> io::Result<Content> {
    let file = storage.open(name)?;
    let mut head = [0; HEAD];
    let seen = read_full(&*file, &mut head, 0)?;
    if head[..seen].iter().all(|byte| *byte == 0) {
        return Ok(Content::Blank);
    }
    let Some((start, length)) = announced(&head[..seen]) else { return Ok(Content::Bad) };
    let len = file.len()?;
    // Bounded by what is there before anything is allocated for it.
    if (start as u64).checked_add(length).is_none_or(|end| end > len) {
        return Ok(Content::Bad);
    }
    let mut body = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    let read = read_full(&*file, &mut body, start as u64)?;
    // The line that belongs to these bytes, and no other way to spell it.
    let valid = read == body.len() && head[..start] == *first_line(&body).as_bytes();
    let cursor = valid.then(|| serde_json::from_slice(&body).ok()).flatten();
    Ok(cursor.map_or(Content::Bad, Content::Whole))
}

/// Where the text begins, and how long it is, by the first line.
fn announced(head: &[u8]) -> Option<(usize, u64)> {
    let end = head.iter().position(|byte| *byte == b'\n')?;
    let (_, length) = std::str::from_utf8(&head[..end]).ok()?.strip_prefix(MAGIC)?.split_once(' ')?;
    Some((end + 1, length.parse().ok()?))
}

#[cfg(test)]
mod tests;
