//! The keys that issuers publish by URL (JWKS): fetched by a task, read by [`super::Authenticator`].
//!
//! *Comes in*: the URLs of the issuers in force; what their servers answer. *Goes out*: the key that a token means, at once, or a
//! refusal that says when to ask again. *Never*: I/O while a token is verified; a key or an address from a token; keys given up because
//! their server is away; more than one fetch a minute for keys that nobody has.
//!
//! A set lives as long as an authenticator that follows it: over a reload it stays, and one that nobody names any more is gone.

mod fetch;
mod keys;
mod published;
#[cfg(test)]
pub(crate) mod tests;

#[cfg(any(test, fuzzing))]
pub(crate) use keys::fuzz;
pub(crate) use keys::{KeySet, MAX_KID, PublishedKey, shown};
pub(crate) use published::{Health, Published};

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use jsonwebtoken::Algorithm;
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::MissedTickBehavior;

use crate::clock::Clock;
use crate::metrics::Metrics;
use fetch::Fetcher;

/// How long one fetch may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often the task looks what is due.
const LOOK: Duration = Duration::from_secs(1);

/// The published keys of all issuers, one set a URL; all clones are the same.
#[derive(Clone)]
pub struct KeySets(Arc<Shared>);

struct Shared {
    followers: Mutex<Vec<Weak<Follower>>>,
    fetcher: Fetcher,
    clock: Clock,
    metrics: Arc<Metrics>,
    wake: Arc<Notify>,
}

/// An issuer that takes its keys from a set.
#[derive(Debug)]
pub(crate) struct Follower {
    issuer: String,
    algorithms: Vec<Algorithm>,
    set: Arc<Published>,
}

impl Follower {
    pub(crate) fn set(&self) -> &Arc<Published> {
        &self.set
    }
}

/// Fetches what is due until it is dropped.
#[derive(Debug)]
pub struct Keeper(JoinHandle<()>);

impl Drop for Keeper {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl fmt::Debug for KeySets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySets").field("followed", &self.living().len()).finish_non_exhaustive()
    }
}

impl KeySets {
    /// An empty store.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(clock: Clock, metrics: Arc<Metrics>) -> Result<Self, String> {
        Self::with_patience(clock, metrics, PATIENCE)
    }

    fn with_patience(clock: Clock, metrics: Arc<Metrics>, patience: Duration) -> Result<Self, String> {
        Ok(Self(Arc::new(Shared {
            followers: Mutex::default(),
            fetcher: Fetcher::new(patience)?,
            clock,
            metrics,
            wake: Arc::new(Notify::new()),
        })))
    }

    /// The set behind a URL, for an issuer pinned to these algorithms; it is fetched for as long as the follower lives.
    pub(crate) fn follow(&self, issuer: &str, url: &str, algorithms: &[Algorithm]) -> Arc<Follower> {
        let mut followers = self.followers();
        let known = followers.iter().filter_map(Weak::upgrade).find(|follower| follower.set.url() == url);
        let set = known.map_or_else(|| Arc::new(Published::new(url, Arc::clone(&self.0.wake))), |f| Arc::clone(&f.set));
        let follower = Arc::new(Follower { issuer: issuer.to_owned(), algorithms: algorithms.to_vec(), set });
        followers.retain(|follower| follower.strong_count() > 0);
        followers.push(Arc::downgrade(&follower));
        self.0.wake.notify_one();
        follower
    }

    fn followers(&self) -> MutexGuard<'_, Vec<Weak<Follower>>> {
        self.0.followers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn living(&self) -> Vec<Arc<Follower>> {
        self.followers().iter().filter_map(Weak::upgrade).collect()
    }

    /// How every issuer's set stands, by the issuer's name.
    pub(crate) fn health(&self) -> BTreeMap<String, Health> {
        let now = self.0.clock.now();
        // While two generations live, the newer one's word counts: it stands behind the older one's.
        self.living().iter().map(|follower| (follower.issuer.clone(), follower.set.health(now))).collect()
    }

    /// Fetches every set at once, whatever was planned: somebody asks for it who may.
    pub fn refetch(&self) {
        self.living().iter().for_each(|follower| follower.set.refetch());
        self.0.wake.notify_one();
    }

    /// The keys of an issuer that are here.
    pub(crate) fn keys_of(&self, issuer: &str) -> Option<Arc<KeySet>> {
        self.living().iter().find(|follower| follower.issuer == issuer)?.set.keys()
    }

    /// The `kid`s of an issuer's keys that are here.
    pub(crate) fn kids(&self, issuer: &str) -> Vec<String> {
        let living = self.living();
        let sets =
            living.iter().filter(|follower| follower.issuer == issuer).filter_map(|follower| follower.set.keys());
        sets.flat_map(|keys| keys.kids().map(str::to_owned).collect::<Vec<_>>()).collect()
    }

    /// The sets to be fetched now. Each is then being fetched, until [`KeySets::fetch`] is done with it.
    fn due(&self) -> Vec<Begun> {
        let now = self.0.clock.now();
        let due = self.living().into_iter().filter(|follower| follower.set.begin(now));
        due.map(|follower| Begun(Arc::clone(&follower.set))).collect()
    }

    async fn fetch(self, begun: Begun) {
        let set = &begun.0;
        let answer = self.0.fetcher.get(set.url(), set.etag()).await;
        let mut pinned = Vec::new();
        for follower in self.living().iter().filter(|follower| Arc::ptr_eq(&follower.set, set)) {
            pinned.extend_from_slice(&follower.algorithms);
        }
        let result = set.take(answer, &pinned, self.0.clock.now());
        self.0.metrics.issuer_keys_fetched(result);
    }

    /// Fetches what is due now, and waits for it.
    pub(crate) async fn run_due(&self) {
        let mut fetches: JoinSet<()> = self.due().into_iter().map(|begun| self.clone().fetch(begun)).collect();
        while fetches.join_next().await.is_some() {}
    }

    /// Fetches what is due from now on. A server that does not answer holds up no other's keys.
    pub fn keep(&self) -> Keeper {
        let sets = self.clone();
        Keeper(tokio::spawn(async move {
            let mut fetches = JoinSet::new();
            let mut look = tokio::time::interval(LOOK);
            look.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    _ = look.tick() => {}
                    () = sets.0.wake.notified() => {}
                    Some(_) = fetches.join_next() => {}
                }
                for begun in sets.due() {
                    fetches.spawn(sets.clone().fetch(begun));
                }
            }
        }))
    }

    /// Waits until every set is here or its first fetch has failed, but no longer than this: so that a start, or a reload with a new
    /// issuer, does not begin with 503s that a moment would have spared.
    pub async fn tried(&self, at_most: Duration) {
        let all = async {
            while !self.living().iter().all(|follower| follower.set.was_tried()) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        // Not in time: its tokens get 503 until it is.
        let _ = tokio::time::timeout(at_most, all).await;
    }
}

/// A set whose fetch has begun. Dropped, it is over: also where the task ended in the middle of it.
struct Begun(Arc<Published>);

impl Drop for Begun {
    fn drop(&mut self) {
        self.0.end();
    }
}
