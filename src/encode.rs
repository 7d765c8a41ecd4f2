//! Encoding: a point becomes one line of line protocol.
//!
//! *Comes in*: a [`Point`]. *Goes out*: its line, appended to a buffer that the caller reuses. *Never*: I/O, an allocation (but the
//! buffer's own growth), a line that InfluxDB refuses, a second line, or a line whose tenant is not the point's.

use crate::enrich::Point;

/// Appends the point's line, with its newline. Nanosecond precision.
pub fn encode(_point: &Point<'_>, _line: &mut Vec<u8>) {
    unimplemented!("encode room")
}

/// The lines of a body, each without its newline. Knows that a newline inside a quoted string field ends no line.
pub fn lines(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = body;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = line_end(rest);
        let line = &rest[..end];
        rest = rest.get(end + 1..).unwrap_or_default();
        Some(line)
    })
}

/// Where the first line of `body` ends. A quote opens a string only in the fields (after the first bare space) and only in a value (after `=`);
/// a backslash takes the byte after it out of the grammar.
fn line_end(body: &[u8]) -> usize {
    let (mut fields, mut value, mut quoted, mut at) = (false, false, false, 0);
    while at < body.len() {
        match body[at] {
            b'\\' if body.get(at + 1).is_some_and(|next| *next != b'\n') => at += 1,
            b'"' if quoted => quoted = false,
            b'"' if fields && value => quoted = true,
            _ if quoted => {}
            b' ' => fields = true,
            b'=' if fields => value = true,
            b',' if fields => value = false,
            b'\n' => return at,
            _ => {}
        }
        at += 1;
    }
    at.min(body.len())
}
