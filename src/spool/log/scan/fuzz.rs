//! The fuzz target of the log's reader: see [`crate::fuzz`].

use std::io;
use std::ops::Range;

use super::{Found, Scan, WINDOW};
use crate::spool::log::format::{self, FILE_HEADER, Head};
use crate::spool::log::storage::LogFile;

/// Reads a segment: what is found covers it without a gap, in the promised order; a whole record is given as it was written, whatever stands before
/// it; and how much is read at once changes nothing.
///
/// The input is commands: below 0x80, how many bytes of the input follow as they are; from there, a whole record with three times as many bytes of lines
/// as its low six bits say; from 0xC0, damage: the byte so far behind the end is turned over.
pub fn log(input: &[u8]) -> bool {
    let mut segment = format::file_header(1).to_vec();
    let mut rest = input;
    let mut sequence = 0;
    while let Some((&command, more)) = rest.split_first() {
        rest = more;
        let low = usize::from(command & 0x3F);
        match command {
            0..0x80 => {
                let (raw, behind) = more.split_at(usize::from(command).min(more.len()));
                segment.extend_from_slice(raw);
                rest = behind;
            }
            0x80..0xC0 => {
                sequence += 1;
                let lines = vec![b'x'; 3 * low];
                let tenant = ["acme", "größe", ""][low % 3];
                Head { sequence, accepted: -1, points: 1, lines: 3 * low as u32, tenant, destination: "b" }
                    .write(&lines, &mut segment);
            }
            0xC0.. => {
                let at = segment.len().saturating_sub(1 + low);
                if at >= FILE_HEADER {
                    segment[at] = !segment[at];
                }
            }
        }
    }
    let found = scan(&segment, WINDOW);
    covers(&found, segment.len() as u64);
    for chunk in [1, 41, 300] {
        assert_eq!(scan(&segment, chunk), found, "read by {chunk}");
    }
    found.iter().any(|found| matches!(found, Seen::Record(_)))
}

#[derive(PartialEq, Eq, Debug)]
enum Seen {
    Record(Range<u64>),
    Damage(Range<u64>),
    Tail(Range<u64>),
}

fn scan(segment: &[u8], chunk: usize) -> Vec<Seen> {
    let file = Bytes(segment.to_vec());
    let mut scan = Scan::by(chunk, &file, FILE_HEADER as u64, segment.len() as u64);
    let mut seen = Vec::new();
    while let Some(found) = scan.next(|_| true).expect("memory is read") {
        seen.push(match found {
            Found::Record { at, head, lines } => {
                let range = at..at + head.record_len();
                // Written again it is what was read: nothing of it was guessed.
                let mut again = Vec::new();
                head.write(lines, &mut again);
                assert_eq!(again, segment[range.start as usize..range.end as usize]);
                Seen::Record(range)
            }
            Found::Damage(range) => Seen::Damage(range),
            Found::Tail(range) => Seen::Tail(range),
        });
    }
    seen
}

fn covers(seen: &[Seen], end: u64) {
    let mut at = FILE_HEADER as u64;
    for (n, found) in seen.iter().enumerate() {
        let (Seen::Record(range) | Seen::Damage(range) | Seen::Tail(range)) = found;
        assert!(range.start == at && range.start < range.end, "{found:?} behind {at}");
        match found {
            Seen::Damage(_) => assert!(matches!(seen.get(n + 1), Some(Seen::Record(_))), "{seen:?}"),
            Seen::Tail(_) => assert_eq!(n + 1, seen.len(), "{seen:?}"),
            Seen::Record(_) => {}
        }
        at = range.end;
    }
    assert_eq!(at, end);
}

/// A segment in memory.
#[derive(Debug)]
struct Bytes(Vec<u8>);

impl LogFile for Bytes {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        let rest = self.0.get(at as usize..).unwrap_or_default();
        let read = rest.len().min(into.len());
        into[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
