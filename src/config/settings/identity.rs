//! Whose word is taken: issuers, write keys, origins.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use super::{Secret, TenantId};

/// How the `iss` of the tokens that a tenant's own backend mints begins; the tenant's id follows. No issuer may be called so.
pub const UPLOAD_ISSUER: &str = "tenant:";

/// Most upload secrets of one tenant: each costs an HMAC when a token is tried against them.
pub const MAX_UPLOAD_SECRETS: usize = 4;

/// Signature algorithms a JWT issuer may be pinned to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
#[expect(missing_docs, reason = "RFC 7518 names")]
pub enum Algorithm {
    HS256,
    HS384,
    HS512,
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

/// The key that an issuer's tokens are verified with.
#[derive(Clone, Debug)]
pub enum IssuerKey {
    /// Shared secret, for HS algorithms.
    Hmac(Secret),
    /// Public key in PEM, for the others; read at start from `public_key_file`.
    PublicPem {
        /// The PEM text.
        pem: String,
        /// Where it was read.
        path: PathBuf,
    },
    /// The keys that the issuer publishes, in PEM's stead (RFC 7517): `https`, or `http` on loopback.
    Jwks {
        /// Where they are fetched.
        url: String,
    },
}

/// `[issuers.NAME]`
#[derive(Clone, Debug)]
pub struct Issuer {
    /// The `iss` claim that its tokens carry.
    pub issuer: String,
    /// Audiences of which a token must name one; empty is a mistake that the loader reports.
    pub audience: Vec<String>,
    /// The only algorithms that are taken; never read from the token's header.
    pub algorithms: Vec<Algorithm>,
    /// The claim that names the tenant: a name, or a JSON pointer when it begins with `/`.
    pub tenant_claim: String,
    /// The key.
    pub key: IssuerKey,
    /// Clock leeway for `exp` and `nbf`.
    pub leeway: Duration,
    /// The tenant that each value of the claim stands for. Empty: the value is the tenant's id itself; else a value that is not
    /// listed is refused, so that an issuer speaks for these tenants alone.
    pub tenants: BTreeMap<String, TenantId>,
    /// Tokens that are refused by their `jti`, whatever else they say.
    pub denied_jti: BTreeSet<String>,
    /// Tokens that are refused by their `sub`.
    pub denied_sub: BTreeSet<String>,
}

/// Which credentials a tenant takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Require {
    /// Any proof.
    Any,
    /// A JWT only: a publishable write key is not enough.
    Jwt,
}

/// Which origins may use a write key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OriginRule {
    /// `*`: any origin, and none at all (servers, `curl`).
    Any,
    /// One origin: scheme, host and port as a browser writes them (lower case, no default port).
    Exact(String),
    /// `https://*.example.com`: any subdomain, at any depth, not the domain itself.
    Subdomains {
        /// `https://`
        scheme: String,
        /// `.example.com`, with the port if there is one.
        suffix: String,
    },
}

/// `[tenants.ID.keys.NAME]`
#[derive(Clone, Debug)]
pub struct WriteKey {
    /// The key; publishable, yet redacted in logs.
    pub key: Secret,
    /// Who may use it.
    pub origins: Vec<OriginRule>,
    /// Until when (nanoseconds since 1970), if it ends.
    pub expires: Option<i64>,
    /// Measurements it may write; empty: all.
    pub measurements: Vec<String>,
}
