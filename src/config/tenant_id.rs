//! A tenant's id: valid by construction.

use std::fmt;
use std::sync::Arc;

/// The id of a tenant: 1 to 64 characters of `[A-Za-z0-9_-]`, so that it needs no escaping in line protocol, Flux, a file name
/// or a URL. Cheap to clone.
///
/// ```
/// use tagline::config::TenantId;
///
/// assert_eq!(TenantId::parse("acme-eu_1").unwrap().as_str(), "acme-eu_1");
/// assert!(TenantId::parse("acme,tenant_id=globex").is_none());
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantId(Arc<str>);

impl TenantId {
    /// The longest id, in bytes.
    pub const MAX_LEN: usize = 64;

    /// Takes `text` if it is an id.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=Self::MAX_LEN).contains(&text.len());
        let clean = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        (fits && clean).then(|| Self(text.into()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TenantId({})", self.0)
    }
}
