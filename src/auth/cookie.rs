//! The value of one cookie, out of a request's `Cookie` headers (RFC 6265 section 4.2).
//!
//! Two of the same name are refused: which of them a browser sends first depends on paths and ages that a neighbour on the same
//! domain can choose.

use super::{AuthError, Code};

/// The cookie of this name, if it is there and holds something. Names are compared as they are, values are taken as they are.
pub(super) fn value<'c>(headers: &[&'c [u8]], name: &str) -> Result<Option<&'c [u8]>, AuthError> {
    let pairs = headers.iter().flat_map(|header| header.split(|b| *b == b';')).map(<[u8]>::trim_ascii);
    let mut values = pairs.filter_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="));
    let value = values.next();
    if values.next().is_some() {
        return Err(Code::HeaderDuplicated.because(format!(
            "the cookie {name} came more than once: set it for one host and path only, best under a name that begins with __Host-"
        )));
    }
    // Signed out: many sites empty a cookie instead of removing it.
    Ok(value.filter(|value| !value.is_empty()))
}
