//! What signature checks found lately, so that a token is checked once and not once a request.
//!
//! *Comes in*: the SHA-256 of a whole token, and its verdict. *Goes out*: the verdict, while it can still be relied on. *Never*: a
//! token itself, or a verdict that an age, a clock set back, or a change of its issuer's keys has made doubtful.
//!
//! Good and bad verdicts lie apart: whoever sends bad tokens, however many, pushes out bad ones only. And so do those of upload tokens, of which one tenant's
//! backend can mint as many as it likes: it pushes out no issuer's. A new generation of settings
//! begins with empty caches, so that a tenant, a key, or a deny list is never looked at through an old verdict.

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::Cache;

use crate::clock::UnixNanos;

use super::Proof;
use super::token::Verdict;

/// Good verdicts that are kept: about 300 bytes each, taken as they come.
const MOST_GOOD: usize = 65_536;

/// Those of upload tokens. Each is for one page, and checked by an HMAC, which costs little more than finding it here.
const MOST_UPLOADS: usize = 16_384;

/// Bad ones. More would only help who sends the same many bad tokens over and over.
const MOST_BAD: usize = 4_096;

/// How long a good verdict is relied on; never longer than its token holds.
const KEEP_GOOD: Duration = Duration::from_secs(60);

/// How long a bad one is: enough that a client which tries again at once does not cost a signature check each time.
const KEEP_BAD: Duration = Duration::from_secs(5);

/// Verdicts by the SHA-256 of the whole token.
pub(super) struct VerifiedTokens {
    good: Cache<[u8; 32], Remembered>,
    uploads: Cache<[u8; 32], Remembered>,
    bad: Cache<[u8; 32], Remembered>,
}

#[derive(Clone)]
struct Remembered {
    verdict: Arc<Verdict>,
    since: UnixNanos,
}

impl Default for VerifiedTokens {
    fn default() -> Self {
        Self::new(MOST_GOOD, MOST_UPLOADS, MOST_BAD)
    }
}

impl VerifiedTokens {
    fn new(most_good: usize, most_uploads: usize, most_bad: usize) -> Self {
        Self { good: Cache::new(most_good), uploads: Cache::new(most_uploads), bad: Cache::new(most_bad) }
    }

    /// What was found of this token, unless it has to be checked anew.
    pub(super) fn get(&self, digest: &[u8; 32], now: UnixNanos) -> Option<Arc<Verdict>> {
        let good = |cache: &Cache<_, Remembered>| cache.get(digest).filter(|good| good.holds(now, KEEP_GOOD));
        let found = good(&self.good)
            .or_else(|| good(&self.uploads))
            .or_else(|| self.bad.get(digest).filter(|bad| bad.holds(now, KEEP_BAD)));
        found.map(|found| found.verdict)
    }

    /// Keeps what a signature check found.
    pub(super) fn remember(&self, digest: [u8; 32], verdict: Arc<Verdict>, now: UnixNanos) {
        let cache = match verdict.says.as_ref().map(|says| &says.proof) {
            Ok(Proof::UploadToken(_)) => &self.uploads,
            Ok(_) => &self.good,
            Err(_) => &self.bad,
        };
        cache.insert(digest, Remembered { verdict, since: now });
    }
}

impl Remembered {
    fn holds(&self, now: UnixNanos, keep: Duration) -> bool {
        // A clock that was set back would make it last; so it is checked anew.
        let age = u64::try_from(now.saturating_sub(self.since)).ok().map(Duration::from_nanos);
        age.is_some_and(|age| age < keep) && self.verdict.keys.as_ref().is_none_or(|keys| keys.unchanged())
    }
}

impl fmt::Debug for VerifiedTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (good, uploads, bad) = (self.good.len(), self.uploads.len(), self.bad.len());
        f.debug_struct("VerifiedTokens").field("good", &good).field("uploads", &uploads).field("bad", &bad).finish()
    }
}
