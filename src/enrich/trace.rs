//! Trace ids: 32 hexadecimal digits, or inside a W3C `traceparent` (<https://www.w3.org/TR/trace-context/>).

use bumpalo::Bump;

use crate::outcome::Reason;

use super::Rejected;

/// The trace id of an event's own member, in lower case.
pub(super) fn id<'p>(text: &'p str, arena: &'p Bump) -> Result<&'p str, Rejected> {
    let found = if text.len() == 32 { Some(text).filter(|text| is_id(text, 32)) } else { id_of_header(text) };
    let Some(id) = found else {
        let detail =
            "`traceId` or `traceparent` is neither 32 hexadecimal digits, not all 0, nor a W3C traceparent".to_owned();
        return Rejected::because(Reason::Malformed, detail);
    };
    if !id.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Ok(id);
    }
    let lower = arena.alloc_str(id);
    lower.make_ascii_lowercase();
    Ok(lower)
}

/// The trace id of a `traceparent`: `version-traceid-parentid-flags`. Version `ff` is forbidden; later versions may go on after the flags.
pub(super) fn id_of_header(text: &str) -> Option<&str> {
    let mut parts = text.trim().splitn(5, '-');
    let (version, id, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let more = parts.next().is_some();
    let sound = is_hex(version, 2) && version != "ff" && is_id(id, 32) && is_id(parent, 16) && is_hex(flags, 2);
    (sound && !(more && version == "00")).then_some(id)
}

fn is_hex(text: &str, len: usize) -> bool {
    text.len() == len && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_id(text: &str, len: usize) -> bool {
    is_hex(text, len) && text.bytes().any(|byte| byte != b'0')
}
