//! Encoding: a point becomes one line of line protocol.
//!
//! *Comes in*: a [`Point`]. *Goes out*: its line, appended to a buffer that the caller reuses. *Never*: I/O, an allocation (but the
//! buffer's own growth), a line that InfluxDB refuses, a second line, or a line whose tenant is not the point's.
//!
//! What a measurement, a tag or a field's name cannot hold (control characters, and `\`, which is no escape for itself there: a value that ends in
//! one cannot be written at all) becomes [`REPLACEMENT`]. String fields hold everything.

mod split;
#[cfg(test)]
mod tests;

pub use split::lines;

use crate::enrich::{FieldValue, Point};

/// Stands for each character that a measurement, tag or field name cannot hold. Not U+FFFD: an InfluxDB with `storage-validate-keys`
/// refuses that one.
pub const REPLACEMENT: char = '_';

/// What must be escaped in a measurement.
const MEASUREMENT: &[u8] = b", ";
/// What must be escaped in tag names, tag values and field names.
const KEY: &[u8] = b",= ";

/// Appends the point's line, with its newline. Nanosecond precision. The answer is where in the buffer its series (measurement and tags) ends.
pub fn encode(point: &Point<'_>, line: &mut Vec<u8>) -> usize {
    let start = line.len();
    write_name(point.measurement, MEASUREMENT, line);
    if line.get(start) == Some(&b'#') {
        // A line that begins so is a comment, and would be dropped in silence.
        line[start] = REPLACEMENT as u8;
    }
    for (key, value) in point.tags {
        if value.is_empty() {
            // No caller makes one; InfluxDB would refuse the whole batch for it.
            continue;
        }
        line.push(b',');
        write_name(key, KEY, line);
        line.push(b'=');
        write_name(value, KEY, line);
    }
    let series_end = line.len();
    let mut before = b' ';
    for (name, value) in point.fields {
        line.push(before);
        before = b',';
        write_name(name, KEY, line);
        line.push(b'=');
        match *value {
            FieldValue::Int(number) => {
                line.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
                line.push(b'i');
            }
            FieldValue::Float(number) => {
                debug_assert!(number.is_finite(), "the field `{name}` is not finite");
                line.extend_from_slice(ryu::Buffer::new().format_finite(number).as_bytes());
            }
            FieldValue::Str(text) => write_string(text, line),
        }
    }
    line.push(b' ');
    line.extend_from_slice(itoa::Buffer::new().format(point.time).as_bytes());
    line.push(b'\n');
    series_end
}

/// Whether this byte is written as it is wherever it stands: most are, and are copied in runs.
const fn is_plain(byte: u8) -> bool {
    !matches!(byte, 0..=b' ' | b',' | b'=' | b'\\' | 0x7F) && byte != 0xC2
}

const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        plain[byte] = is_plain(byte as u8);
        byte += 1;
    }
    plain
};

fn write_name(text: &str, escaped: &[u8], line: &mut Vec<u8>) {
    // 0xC2 begins the control characters U+0080 to U+009F in UTF-8.
    if text.bytes().all(|byte| PLAIN[usize::from(byte)]) {
        line.extend_from_slice(text.as_bytes());
        return;
    }
    let mut utf8 = [0; 4];
    for character in text.chars() {
        if character.is_control() || character == '\\' {
            line.push(REPLACEMENT as u8);
            continue;
        }
        if u8::try_from(character).is_ok_and(|byte| byte.is_ascii() && escaped.contains(&byte)) {
            line.push(b'\\');
        }
        line.extend_from_slice(character.encode_utf8(&mut utf8).as_bytes());
    }
}

fn write_string(text: &str, line: &mut Vec<u8>) {
    line.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\')) {
        line.extend_from_slice(&rest[..at]);
        line.extend_from_slice(&[b'\\', rest[at]]);
        rest = &rest[at + 1..];
    }
    line.extend_from_slice(rest);
    line.push(b'"');
}
