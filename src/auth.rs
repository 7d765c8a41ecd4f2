//! Identity: what a request presents becomes a proven [`Tenant`], or a refusal.
//!
//! *Comes in*: [`Presented`], the raw credentials of one request as the HTTP room found them. *Goes out*: a [`Tenant`] or an
//! [`AuthError`] with its status class and stable code. *Never*: I/O while verifying; a tenant taken from anything but a
//! verified credential; an algorithm taken from a token's header; a secret in a message.
//!
//! A `Tenant` has no public constructor: whoever holds one holds the proof.

mod authenticator;
mod cache;
mod claims;
mod code;
mod cookie;
mod directory;
mod explain;
mod fingerprint;
#[cfg(test)]
mod for_test;
mod jwks;
mod jwt;
mod keys;
mod origin;
mod proxy;
#[cfg(test)]
pub(crate) mod tests;
mod token;
pub(crate) mod upload;
mod write_key;

pub use authenticator::Authenticator;
pub use code::Code;
pub use directory::{Directory, Profile};
pub(crate) use explain::{Found, explain};
pub(crate) use fingerprint::fingerprint;
pub(crate) use jwks::Health as KeyHealth;
#[cfg(any(test, fuzzing))]
pub(crate) use jwks::fuzz;
#[cfg(test)]
pub(crate) use jwks::tests::provider as jwks_provider;
pub use jwks::{Keeper, KeySets};
pub(crate) use jwt::{TokenCheck, library_algorithm};
pub(crate) use origin::rule_from_text;

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::config::TenantId;

/// The credentials and their surroundings as one request presents them; nothing of it is verified.
///
/// Every field keeps *all* the values that were sent, so that two that disagree can be seen.
#[derive(Default)]
pub struct Presented<'r> {
    /// `Authorization` headers, whole.
    pub authorization: Vec<&'r [u8]>,
    /// `?access_token=`, percent-decoded.
    pub access_token: Vec<String>,
    /// `?k=`, percent-decoded; the path's key segment; `X-Api-Key`.
    pub write_keys: Vec<String>,
    /// `X-Tenant-ID` headers.
    pub tenant_header: Vec<&'r [u8]>,
    /// `X-Proxy-Secret` headers.
    pub proxy_secret: Vec<&'r [u8]>,
    /// `Origin` headers.
    pub origin: Vec<&'r [u8]>,
    /// `Cookie` headers, whole.
    pub cookies: Vec<&'r [u8]>,
    /// `X-Forwarded-For` headers, in the order sent.
    pub forwarded_for: Vec<&'r [u8]>,
    /// The address of the TCP peer (never of a forwarding header).
    pub peer: Option<IpAddr>,
}

impl fmt::Debug for Presented<'_> {
    /// How many of each, and no value: nearly every field is a credential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented")
            .field("authorization", &self.authorization.len())
            .field("access_token", &self.access_token.len())
            .field("write_keys", &self.write_keys.len())
            .field("tenant_header", &self.tenant_header.len())
            .field("proxy_secret", &self.proxy_secret.len())
            .field("origin", &self.origin.len())
            .field("cookies", &self.cookies.len())
            .field("forwarded_for", &self.forwarded_for.len())
            .field("peer", &self.peer)
            .finish()
    }
}

/// How a tenant was proven. Where a request carries several proofs, the strongest: JWT, upload token, proxy, write key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Proof {
    /// A JWT of this issuer (its name in the settings).
    Jwt(String),
    /// A token that the tenant's own backend minted for one of its pages (the name of the secret in the settings).
    UploadToken(String),
    /// A write key (its name in the settings).
    WriteKey(String),
    /// A trusted proxy's header.
    Proxy,
}

/// A proven tenant. The only way to have one is [`Authenticator::verify`].
#[derive(Clone, Debug)]
pub struct Tenant {
    profile: Arc<Profile>,
    proof: Proof,
    /// The request's origin host (`app.example`, with a port that is not the default), if it is one of the tenant's origins.
    host: Option<String>,
    rights: Rights,
}

/// What a proof may write.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Rights {
    /// Every measurement of the catalog.
    All,
    /// These measurements.
    Only(Arc<BTreeSet<String>>),
}

impl Rights {
    /// What either of two proofs of one tenant may write.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Only(ours), Self::Only(theirs)) => Self::Only(Arc::new(ours.union(&theirs).cloned().collect())),
            _ => Self::All,
        }
    }
}

impl Tenant {
    /// Its id.
    pub fn id(&self) -> &TenantId {
        &self.profile.id
    }

    /// Its settings, budget and account.
    pub fn profile(&self) -> &Arc<Profile> {
        &self.profile
    }

    /// How it was proven.
    pub fn proof(&self) -> &Proof {
        &self.proof
    }

    /// The host tag of its points: the origin's host, only when that origin is listed (a `*` lists none).
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// Whether the credential may write this measurement (a write key can be bound to some).
    pub fn may_write(&self, measurement: &str) -> bool {
        match &self.rights {
            Rights::All => true,
            Rights::Only(measurements) => measurements.contains(measurement),
        }
    }
}

/// Why no tenant was proven.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{detail}")]
pub struct AuthError {
    /// The class of the refusal.
    pub kind: Refusal,
    /// The stable code of the answer, such as `token_expired`: one of [`Code::ALL`].
    pub code: &'static str,
    /// What is wrong and what to do, for a developer; no part of any credential.
    pub detail: String,
    /// When to ask again: with [`Refusal::Unavailable`] and [`Refusal::Limited`] always.
    pub retry_after: Option<Duration>,
}

impl AuthError {
    /// The address that the request comes from failed too often: credentials that cost something wait.
    pub fn address_limited(retry_after: Duration) -> Self {
        let detail = "too many credentials from this address failed, so that new ones from there wait as Retry-After says; \
                      tokens that were verified before, and write keys, are taken";
        Self { retry_after: Some(retry_after), ..Code::AddressLimited.because(detail) }
    }
}

/// The class of a refusal: the HTTP room makes a status of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// 401: no credential, or a bad one.
    Unauthenticated,
    /// 403: a good credential that may not do this.
    Forbidden,
    /// 503: nobody can say yet, for the keys are not there.
    Unavailable,
    /// 429: the address failed too often.
    Limited,
}
