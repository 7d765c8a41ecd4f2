//! The accounts that lately sent what the server refused: they get batches of their own, so that their poison costs the others no request.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::outcome::Account;

/// How long after its last bad line an account is suspected.
const ASIDE: Duration = Duration::from_secs(60);

/// By the account's address; the account is kept, so that no other one gets that address.
#[derive(Debug, Default)]
pub(crate) struct Suspects(Mutex<HashMap<usize, (Arc<Account>, Instant)>>);

impl Suspects {
    /// It sent a bad line: the time begins anew.
    pub(crate) fn add(&self, account: &Arc<Account>, now: Instant) {
        self.lock().insert(Arc::as_ptr(account) as usize, (Arc::clone(account), now + ASIDE));
    }

    pub(crate) fn has(&self, account: &Arc<Account>, now: Instant) -> bool {
        let mut suspects = self.lock();
        if suspects.is_empty() {
            return false;
        }
        suspects.retain(|_, (_, until)| *until > now);
        suspects.contains_key(&(Arc::as_ptr(account) as usize))
    }

    /// All of them.
    pub(crate) fn accounts(&self, now: Instant) -> Vec<Arc<Account>> {
        let suspects = self.lock();
        suspects.values().filter(|(_, until)| *until > now).map(|(account, _)| Arc::clone(account)).collect()
    }

    /// The addresses of all.
    pub(crate) fn all(&self, now: Instant) -> HashSet<usize> {
        self.lock().iter().filter(|(_, (_, until))| *until > now).map(|(address, _)| *address).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<usize, (Arc<Account>, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
