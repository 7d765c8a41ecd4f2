//! The keys behind one URL: which are in force, when they are fetched again, and what a token gets whose key is not among them.
//!
//! Decisions only, by a clock that a test can move; the fetching itself is [`super::fetch`].

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use jsonwebtoken::Algorithm;
use reqwest::header::HeaderValue;
use tokio::sync::Notify;

use super::super::{AuthError, Code};
use super::fetch::{FetchError, Fetched, Freshness, failed};
use super::keys::{Found, KeySet, PublishedKey};
use crate::clock::UnixNanos;
use crate::metrics::KeyFetch;

/// How long a set holds whose server does not say.
const UNSAID: Duration = Duration::from_secs(300);
/// The bounds of what a server may say.
const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(3_600);

/// A key that is not known makes a fetch no more often than this, however many tokens name one.
pub(super) const UNKNOWN_EVERY: Duration = Duration::from_secs(60);

/// So many keys that are not known are remembered, until a fetch has looked for them.
const SOUGHT: usize = 64;

/// The first wait after a failure; each further one doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait after a failure, with keys in force.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// The same without: every token gets 503 until then.
const LONGEST_WAIT_EMPTY: Duration = Duration::from_secs(10);

/// When to ask again while an answer is on its way.
const SOON: Duration = Duration::from_secs(1);

/// One set of keys, shared by the issuers and generations of settings that name its URL.
#[derive(Debug)]
pub(crate) struct Published {
    url: String,
    /// The same for logs and pages: a query may hold a key of the provider's.
    told: String,
    /// `None` until the first fetch that brought a usable key; from then on there always are some.
    keys: ArcSwapOption<KeySet>,
    version: AtomicU64,
    state: Mutex<State>,
    wake: Arc<Notify>,
}

#[derive(Debug)]
struct State {
    /// When the last attempt began.
    began: Option<UnixNanos>,
    /// How long after it the next one is due.
    wait: Duration,
    running: bool,
    /// A token named a key that is not here, and the fetch that this allows has not begun.
    asked: bool,
    last_asked: Option<UnixNanos>,
    /// Keys that tokens named and that are not here, the latest last; those before `looked_for` were named before the last fetch began.
    sought: VecDeque<Sought>,
    looked_for: usize,
    etag: Option<HeaderValue>,
    /// How long the set holds by its server's last word.
    lifetime: Duration,
    failing: Option<Failing>,
    skipped: Vec<String>,
}

/// What a token said of its key.
type Sought = (Option<String>, Algorithm);

/// Attempts that failed since the last one that did not.
#[derive(Debug)]
struct Failing {
    since: UnixNanos,
    attempts: u32,
    kind: KeyFetch,
    why: String,
}

/// What an operator should know of a set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Health {
    /// Without its query.
    pub(crate) url: String,
    /// Whether there are keys at all.
    pub(crate) loaded: bool,
    /// Since how long attempts fail, and why the last one did.
    pub(crate) failing: Option<(Duration, String)>,
}

impl Published {
    pub(super) fn new(url: &str, wake: Arc<Notify>) -> Self {
        let state = State {
            began: None,
            wait: Duration::ZERO,
            running: false,
            asked: false,
            last_asked: None,
            sought: VecDeque::new(),
            looked_for: 0,
            etag: None,
            lifetime: UNSAID,
            failing: None,
            skipped: Vec::new(),
        };
        Self {
            url: url.to_owned(),
            told: url.split_once('?').map_or_else(|| url.to_owned(), |(place, _)| format!("{place}?…")),
            keys: ArcSwapOption::empty(),
            version: AtomicU64::new(0),
            state: Mutex::new(state),
            wake,
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The keys in force.
    pub(crate) fn keys(&self) -> Option<Arc<KeySet>> {
        self.keys.load_full()
    }

    /// Grows with every change of the keys. The keys change first, then the version: who reads the version before the keys can never
    /// hold a new version with old keys.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The key that verifies a token with this `kid`, or none. Never waits: a key that is not here is fetched meanwhile.
    pub(crate) fn choose(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
        now: UnixNanos,
    ) -> Result<Arc<PublishedKey>, AuthError> {
        let find = || self.keys.load().as_ref().map(|keys| keys.find(kid, algorithm));
        match find() {
            Some(Found::Key(key)) => return Ok(key),
            Some(Found::Several) => return Err(several()),
            None | Some(Found::Nothing) => {}
        }
        let missing = self.missing(kid, algorithm, now);
        // It may have come between the look-up and the look at the state.
        match find() {
            Some(Found::Key(key)) => Ok(key),
            _ => Err(missing),
        }
    }

    /// The answer to a token whose key is not here; one in a while makes a fetch. 401 only for a key that a fetch has looked for: made-up keys can use up
    /// the fetches, and a new key of the issuer's must not be taken for one of them meanwhile.
    fn missing(&self, kid: Option<&str>, algorithm: Algorithm, now: UnixNanos) -> AuthError {
        let mut state = self.state();
        let looked_for = state.seek(kid, algorithm);
        if self.keys.load().is_none() {
            let next = if state.running { SOON } else { state.until_next(now) };
            return loading("the issuer's keys are not here yet", next);
        }
        if state.running || state.asked {
            return loading("the token's key is not known; the issuer's keys are just fetched", SOON);
        }
        if state.failing.is_some() {
            // Whether the issuer has such a key, nobody can say.
            return loading(
                "the token's key is not known, and the issuer's keys cannot be fetched",
                state.until_next(now),
            );
        }
        if state.ask(now) {
            self.wake.notify_one();
            return loading("the token's key is not known; the issuer's keys are fetched for it", SOON);
        }
        if looked_for {
            return Code::TokenKeyUnknown.because(
                "the token's kid, with its alg, is none of the keys that its issuer publishes; they were fetched for such a token within the last minute",
            );
        }
        loading(
            "the token's key is not known, and the issuer's keys were fetched for another within the last minute",
            state.until_asked(now),
        )
    }

    /// A signature did not hold. Where the token named no key, the issuer may have replaced its only one.
    pub(crate) fn doubt(&self, now: UnixNanos) {
        let mut state = self.state();
        if !state.running && !state.asked && state.failing.is_none() && state.ask(now) {
            self.wake.notify_one();
        }
    }

    /// The next fetch is due now.
    pub(super) fn refetch(&self) {
        self.state().asked = true;
    }

    /// Whether it is to be fetched now; if so, that has begun.
    pub(super) fn begin(&self, now: UnixNanos) -> bool {
        let mut state = self.state();
        if state.running || !(state.asked || state.until_next(now).is_zero()) {
            return false;
        }
        (state.running, state.asked, state.began) = (true, false, Some(now));
        state.looked_for = state.sought.len();
        true
    }

    /// A fetch that has begun is over, however it ended.
    pub(super) fn end(&self) {
        self.state().running = false;
    }

    /// Whether it was ever asked for, and is not being asked for the first time just now.
    pub(super) fn was_tried(&self) -> bool {
        let state = self.state();
        state.began.is_some() && (self.keys.load().is_some() || state.failing.is_some())
    }

    pub(super) fn etag(&self) -> Option<HeaderValue> {
        self.state().etag.clone()
    }

    /// Takes what a fetch brought. `pinned`: the algorithms of the issuers that use this set. What does not help them changes nothing.
    pub(super) fn take(&self, answer: Result<Fetched, FetchError>, pinned: &[Algorithm], now: UnixNanos) -> KeyFetch {
        match answer.and_then(|fetched| self.read(fetched, pinned)) {
            Ok((result, Freshness(fresh))) => {
                let mut state = self.state();
                if let Some(fresh) = fresh {
                    state.lifetime = fresh.clamp(SHORTEST, LONGEST);
                }
                state.wait = state.lifetime;
                if let Some(failing) = state.failing.take() {
                    let seconds = since(failing.since, now).as_secs();
                    tracing::info!(url = self.told, seconds, "the issuer's keys could be fetched again");
                }
                result
            }
            Err(error) => self.fail(error, now),
        }
    }

    fn read(&self, fetched: Fetched, pinned: &[Algorithm]) -> Result<(KeyFetch, Freshness), FetchError> {
        let (body, etag, fresh) = match fetched {
            Fetched::NotModified(fresh) => return Ok((KeyFetch::NotModified, fresh)),
            Fetched::Document { body, etag, fresh } => (body, etag, fresh),
        };
        let (keys, skipped) = KeySet::read(&body)
            .ok_or_else(|| failed(KeyFetch::Malformed, "the answer is no JSON Web Key Set ({\"keys\": [...]})"))?;
        if keys.usable(pinned) == 0 {
            let why = skipped.first().map_or_else(String::new, |first| format!(" (key {first})"));
            return Err(failed(
                KeyFetch::NoKey,
                format!("the answer holds no key for the algorithms of the issuer{why}"),
            ));
        }
        let mut state = self.state();
        state.etag = etag;
        let same = self.keys.load().as_deref() == Some(&keys);
        if !same || state.skipped != skipped {
            let names = keys.names().join(", ");
            if skipped.is_empty() {
                tracing::info!(url = self.told, keys = names, "the issuer's keys");
            } else {
                tracing::warn!(
                    url = self.told,
                    keys = names,
                    left_out = skipped.join("; "),
                    "the issuer's keys; some were left out"
                );
            }
        }
        state.skipped = skipped;
        if same {
            return Ok((KeyFetch::Unchanged, fresh));
        }
        self.keys.store(Some(Arc::new(keys)));
        self.version.fetch_add(1, Ordering::AcqRel);
        Ok((KeyFetch::Changed, fresh))
    }

    fn fail(&self, error: FetchError, now: UnixNanos) -> KeyFetch {
        let loaded = self.keys.load().is_some();
        let mut state = self.state();
        let before = state.failing.take();
        let (first, known) = before.as_ref().map_or((true, None), |failing| (false, Some(failing.kind)));
        let (begun, attempts) = before.map_or((now, 0), |failing| (failing.since, failing.attempts));
        // Told once, and again where the cause is another.
        if first || known != Some(error.kind) {
            let then = if loaded { "those that are here stay in force" } else { "its tokens get 503 until then" };
            tracing::warn!(url = self.told, why = error.why, "the issuer's keys could not be fetched; {then}");
        }
        let longest = if loaded { LONGEST_WAIT } else { LONGEST_WAIT_EMPTY };
        let whole = FIRST_WAIT.saturating_mul(1 << attempts.min(16)).min(longest);
        // Replicas that began to wait together shall not come together.
        state.wait = whole.mul_f64(0.5 + fastrand::f64() / 2.0);
        let FetchError { kind, why } = error;
        state.failing = Some(Failing { since: begun, attempts: attempts.saturating_add(1), kind, why });
        kind
    }

    pub(super) fn health(&self, now: UnixNanos) -> Health {
        let state = self.state();
        let failing = state.failing.as_ref().map(|failing| (since(failing.since, now), failing.why.clone()));
        Health { url: self.told.clone(), loaded: self.keys.load().is_some(), failing }
    }
}

impl State {
    /// How long until the next attempt by plan. A wall clock that was set back makes it due.
    fn until_next(&self, now: UnixNanos) -> Duration {
        let Some(began) = self.began.filter(|began| *began <= now) else { return Duration::ZERO };
        self.wait.saturating_sub(since(began, now))
    }

    /// Remembers a key that is not here. Whether the last fetch was to find it.
    fn seek(&mut self, kid: Option<&str>, algorithm: Algorithm) -> bool {
        let is_it = |sought: &Sought| sought.0.as_deref() == kid && sought.1 == algorithm;
        if let Some(place) = self.sought.iter().position(is_it) {
            return place < self.looked_for;
        }
        if self.sought.len() == SOUGHT {
            self.sought.pop_front();
            self.looked_for = self.looked_for.saturating_sub(1);
        }
        self.sought.push_back((kid.map(str::to_owned), algorithm));
        false
    }

    /// How long until a key that is not known may cause a fetch.
    fn until_asked(&self, now: UnixNanos) -> Duration {
        self.last_asked.map_or(Duration::ZERO, |last| UNKNOWN_EVERY.saturating_sub(since(last, now)))
    }

    /// Takes the one fetch that unknown keys may cause in [`UNKNOWN_EVERY`], if it is still there.
    fn ask(&mut self, now: UnixNanos) -> bool {
        let spent = self.last_asked.is_some_and(|last| last <= now && since(last, now) < UNKNOWN_EVERY);
        if !spent {
            (self.asked, self.last_asked) = (true, Some(now));
        }
        !spent
    }
}

fn since(then: UnixNanos, now: UnixNanos) -> Duration {
    Duration::from_nanos(u64::try_from(now.saturating_sub(then)).unwrap_or(0))
}

fn loading(what: &str, wait: Duration) -> AuthError {
    let mut error = Code::IssuerKeysLoading.because(format!("{what}: send the request again"));
    error.retry_after = Some(wait.max(SOON));
    error
}

fn several() -> AuthError {
    Code::TokenKeyUnknown
        .because("the token does not say which of its issuer's keys signed it: with several keys the issuer must set a kid that only one has")
}
