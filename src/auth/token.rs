//! Tokens: a JWT taken apart, what its signer says in it, and when that holds.
//!
//! What is true of the bytes of a token (whose signature, which tenant) is found once and remembered for a while; what depends
//! on the request (the time, its `Origin`) is looked at on every one, by the same lines whether it was remembered or not.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::clock::UnixNanos;
use crate::config::{Settings, TenantId};

use super::authenticator::Proven;
use super::cache::VerifiedTokens;
use super::claims::Claims;
use super::fingerprint::fingerprint;
use super::jwks::KeySets;
use super::jwt::{Header, Issuers, KeysSeen};
use super::origin::{Origin, Tuple};
use super::upload::UploadSecrets;
use super::{AuthError, Code, Proof, Rights};

/// The longest token looked at, in bytes: nothing longer is hashed or decoded.
const MAX_LEN: usize = 8 * 1024;

/// All that tokens are verified with, and what was verified lately.
pub(super) struct Tokens {
    issuers: Issuers,
    uploads: UploadSecrets,
    verified: VerifiedTokens,
}

/// A token taken apart. Nothing of it is proven.
pub(super) struct Parts<'t> {
    pub(super) header: Header,
    pub(super) claims: Claims,
    /// What the signature covers: the bytes from which `header` and `claims` were read.
    pub(super) message: &'t str,
    pub(super) signature: &'t str,
}

/// What a signature check found; true of the token's bytes, whoever presents them.
pub(super) struct Verdict {
    /// When it holds: to be asked before `says`.
    pub(super) window: Window,
    /// What the signer says, or why that is not believed.
    pub(super) says: Result<Statement, AuthError>,
    /// The keys by which it was found; where they have changed, it is no longer true.
    pub(super) keys: Option<KeysSeen>,
}

/// What a good token says.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) tenant: TenantId,
    pub(super) proof: Proof,
    pub(super) rights: Rights,
    /// The one origin that may present it.
    pub(super) origin: Option<Tuple>,
}

/// When a token holds, in nanoseconds since 1970, with the leeway in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Window {
    pub(super) from: Option<i128>,
    pub(super) until: i128,
    /// Earlier than this its end is further ahead than a token of its kind may hold.
    pub(super) in_reach: Option<i128>,
}

impl Tokens {
    /// Reads the keys of all issuers, and the tenants' upload secrets.
    pub(super) fn new(settings: &Settings, sets: &KeySets) -> Result<Self, String> {
        Ok(Self {
            issuers: Issuers::new(&settings.issuers, sets)?,
            uploads: UploadSecrets::new(&settings.tenants)?,
            verified: VerifiedTokens::default(),
        })
    }

    /// Proves the tenant that a token names. `may_cost` is asked only where a signature must be checked.
    pub(super) fn verify(
        &self,
        token: &str,
        origin: &Origin,
        now: UnixNanos,
        may_cost: &dyn Fn() -> Result<(), AuthError>,
    ) -> Result<Proven, AuthError> {
        check_length(token)?;
        let digest = fingerprint(token);
        if let Some(verdict) = self.verified.get(&digest, now) {
            return verdict.on(origin, now);
        }
        let parts = Parts::read(token)?;
        let verdict = if UploadSecrets::issued(&parts.claims) {
            self.uploads.check(&parts, now, may_cost)?
        } else {
            self.issuers.check(&parts, now, may_cost)?
        };
        let verdict = Arc::new(verdict);
        self.verified.remember(digest, Arc::clone(&verdict), now);
        verdict.on(origin, now)
    }
}

impl<'t> Parts<'t> {
    /// Takes a token apart. All claims are read from the very bytes that the signature covers.
    pub(super) fn read(token: &'t str) -> Result<Self, AuthError> {
        let malformed = || {
            Code::TokenMalformed
                .because("the token is no JWT: three parts of unpadded base64url, JSON in the first two")
        };
        check_length(token)?;
        let (message, signature) = token.rsplit_once('.').ok_or_else(malformed)?;
        let (header, payload) = message.split_once('.').ok_or_else(malformed)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| malformed());
        let header = Header::parse(&decode(header)?).map_err(|_| malformed())?;
        if header.crit {
            return Err(Code::TokenMalformed.because("the token's header has crit: no such extension is supported"));
        }
        Ok(Self { header, claims: Claims::parse(&decode(payload)?)?, message, signature })
    }
}

/// Before anything that takes longer for a longer token.
fn check_length(token: &str) -> Result<(), AuthError> {
    if token.len() > MAX_LEN {
        return Err(Code::TokenTooLarge.because(format!("the token is longer than {MAX_LEN} bytes")));
    }
    Ok(())
}

impl Verdict {
    /// What it means for a request of this origin at this time.
    pub(super) fn on(&self, origin: &Origin, now: UnixNanos) -> Result<Proven, AuthError> {
        self.window.check(now)?;
        let says = self.says.as_ref().map_err(Clone::clone)?;
        says.check_origin(origin)?;
        Ok(Proven { tenant: says.tenant.clone(), proof: says.proof.clone(), rights: says.rights.clone() })
    }
}

impl Statement {
    fn check_origin(&self, origin: &Origin) -> Result<(), AuthError> {
        match (&self.origin, origin) {
            (None, _) => Ok(()),
            (Some(bound), Origin::Tuple(tuple)) if bound == tuple => Ok(()),
            (Some(_), Origin::Absent) => Err(Code::OriginMissing
                .because("this upload token is for a page, which sends Origin; for a server use a JWT of an issuer")),
            (Some(_), Origin::Malformed) => Err(Origin::malformed()),
            (Some(_), Origin::Opaque | Origin::Tuple(_)) => Err(Code::OriginNotAllowed.because(
                "this page's origin is not the one that the upload token was minted for: mint one with this page's origin",
            )),
        }
    }
}

impl Window {
    /// Whether `now` lies in it.
    pub(super) fn check(&self, now: UnixNanos) -> Result<(), AuthError> {
        let now = i128::from(now);
        if now >= self.until {
            return Err(Code::TokenExpired.because("the token has expired: get a new one from the issuer"));
        }
        if self.from.is_some_and(|from| now < from) {
            return Err(Code::TokenNotYetValid
                .because("the token's nbf lies ahead: compare the clocks of the issuer and of this server"));
        }
        if self.in_reach.is_some_and(|reach| now < reach) {
            return Err(Code::TokenLifetime.because(
                "the upload token's exp lies more than an hour ahead: mint them for minutes, each time the page asks",
            ));
        }
        Ok(())
    }

    /// The same window, not yet open while its end is further ahead than `longest`.
    pub(super) fn within(self, longest: Duration) -> Self {
        let longest = i128::try_from(longest.as_nanos()).unwrap_or(i128::MAX / 4);
        Self { in_reach: Some(self.until.saturating_sub(longest)), ..self }
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("verified", &self.verified).finish_non_exhaustive()
    }
}
