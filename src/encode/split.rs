//! Cutting a body into its lines where the server cuts it.

/// The lines of a body, each without its newline; empty ones are left out. A newline inside a quoted string field ends no line.
///
/// InfluxDB's own rule (`scanLine`): a backslash takes the next byte with it; quotes count only in a field's value, which is where more
/// `=` than `,` have been seen since the first space; only an unquoted newline ends the line.
pub fn lines(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = body;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let end = end_of_line(rest);
            let line = &rest[..end];
            rest = rest.get(end + 1..).unwrap_or_default();
            if !line.is_empty() {
                return Some(line);
            }
        }
        None
    })
}

/// Where the first line ends: the place of its newline, or the length of all.
fn end_of_line(bytes: &[u8]) -> usize {
    let (mut quoted, mut in_fields) = (false, false);
    let (mut equals, mut commas) = (0_usize, 0_usize);
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if at + 2 < bytes.len() => at += 1,
            b'"' if in_fields && equals > commas => quoted = !quoted,
            _ if quoted => {}
            b'\n' => return at,
            b' ' => in_fields = true,
            b'=' if in_fields => equals += 1,
            b',' if in_fields => commas += 1,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}
