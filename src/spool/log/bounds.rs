//! Which files are segments: the records of one end where the next one begins, so a file that only bears such a name must not end another's.

use std::io;

use super::format::{self, FILE_HEADER, NotOurs};
use super::scan::{Found, Scan};
use super::storage::{Storage, read_full};

/// Whether the file of this name is, or was before it was damaged, the segment of `base`. One that cannot be read counts as one.
pub(super) fn is_segment(storage: &dyn Storage, name: &str, base: u64) -> bool {
    looks_like(storage, name, base).unwrap_or(true)
}

fn looks_like(storage: &dyn Storage, name: &str, base: u64) -> io::Result<bool> {
    let file = storage.open(name)?;
    let mut header = [0; FILE_HEADER];
    let read = read_full(&*file, &mut header, 0)?;
    match format::read_file_header(&header[..read]) {
        Ok(stands) => return Ok(stands == base),
        Err(NotOurs::Newer(_)) => return Ok(true),
        Err(NotOurs::Foreign | NotOurs::Damaged) => {}
    }
    // Without a header it is one if its records say so.
    let mut scan = Scan::new(&*file, 0, file.len()?);
    while let Some(found) = scan.next(|_| true)? {
        if let Found::Record { head, .. } = found {
            return Ok(head.sequence >= base);
        }
    }
    Ok(false)
}
