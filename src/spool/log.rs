//! The segment log: the spool's records on disk.
//!
//! *Comes in*: batches of records that were admitted; which of them have ended. *Goes out*: "they are durable", and the records of a destination
//! that are not in memory. *Never*: acknowledges what an fsync has not confirmed; writes on in a file whose fsync failed; deletes a segment before the
//! cursor that ends its records is durable; loads the backlog; deletes what it cannot read.
//!
//! One folder, `{spool.dir}/log`, of one process at a time (`lock`):
//!
//! | file | what it is |
//! |---|---|
//! | `BASE.seg` | a segment: records of all destinations in the order of acceptance, see [`format`]. Its records end where the next segment's base begins |
//! | `cursor.a`, `cursor.b` | what has ended, see [`cursor`] |
//! | `headroom` | space that is given back when the disk is full, so that the cursor can be written and segments can go |
//! | `….damaged-AT` | a copy of bytes that are no record |
//! | `….set-aside` | a file that could not be read at a start |

pub(crate) mod cursor;
pub(crate) mod format;
pub(crate) mod offline;
pub(crate) mod scan;
pub(crate) mod storage;

/// A segment's file name.
pub(crate) fn segment_name(base: u64) -> String {
    format!("{base:020}.seg")
}

/// The base in a segment's file name.
pub(crate) fn segment_base(name: &str) -> Option<u64> {
    name.strip_suffix(".seg").filter(|base| base.len() == 20)?.parse().ok()
}
