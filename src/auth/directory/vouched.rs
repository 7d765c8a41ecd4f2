//! The tenants that no settings list, but that a listed issuer vouched for: so many, and no more.
//!
//! A place is free again when its tenant was not seen for a day (by then each of its budgets, of which the longest is one of
//! a day, would be whole again). Places are taken back only when all are taken, and looked through at most once a minute, so that tenants which
//! find no place cost a comparison each.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::Profile;
use crate::auth::{AuthError, Code};
use crate::clock::UnixNanos;
use crate::config::{TenantId, TenantSettings};

const SECOND: u64 = 1_000_000_000;

/// Who was not seen for so long gives the place up to another.
const IDLE: u64 = 24 * 60 * 60 * SECOND;

/// Places are looked through, and "all are taken" is told, no more often than this.
const PAUSE: u64 = 60 * SECOND;

/// A place's time of last use is written only when it is older, so that requests of one tenant do not fight for one word.
const SEEN_STEP: u64 = SECOND;

/// The places, and who has them.
#[derive(Debug)]
pub(super) struct Vouched {
    most: usize,
    /// What holds for each.
    settings: TenantSettings,
    places: RwLock<Places>,
}

#[derive(Debug)]
struct Places {
    taken: HashMap<TenantId, Place>,
    /// When they were last looked through.
    looked: Option<UnixNanos>,
}

#[derive(Debug)]
struct Place {
    profile: Arc<Profile>,
    seen: AtomicI64,
}

impl Vouched {
    /// `most` places under these settings; `kept` have one already, each with the time when it was last seen.
    pub(super) fn new(
        most: usize,
        settings: TenantSettings,
        kept: impl Iterator<Item = (Arc<Profile>, UnixNanos)>,
    ) -> Self {
        let place =
            |(profile, seen): (Arc<Profile>, UnixNanos)| (profile.id.clone(), Place { profile, seen: seen.into() });
        let places = Places { taken: kept.map(place).collect(), looked: None };
        Self { most, settings, places: RwLock::new(places) }
    }

    /// The tenant, if it has a place.
    pub(super) fn get(&self, id: &TenantId) -> Option<Arc<Profile>> {
        self.read().taken.get(id).map(|place| Arc::clone(&place.profile))
    }

    /// The tenant, which takes a place if it has none; `make` its profile.
    pub(super) fn enter(
        &self,
        id: &TenantId,
        now: UnixNanos,
        make: impl FnOnce(&TenantSettings) -> Profile,
    ) -> Result<Arc<Profile>, AuthError> {
        {
            let places = self.read();
            if let Some(place) = places.taken.get(id) {
                return Ok(place.used(now));
            }
            if self.is_full(&places) && !places.may_look(now) {
                return Err(full());
            }
        }
        let mut places = self.write();
        if let Some(place) = places.taken.get(id) {
            return Ok(place.used(now));
        }
        if self.is_full(&places) && places.may_look(now) {
            places.looked = Some(now);
            places.taken.retain(|_, place| place.seen.load(Ordering::Relaxed).abs_diff(now) < IDLE);
            if self.is_full(&places) {
                tracing::warn!(
                    tenant = %id, max_unknown = self.most,
                    "a tenant that an issuer vouches for is refused: all places of tenants that are not listed are taken; raise \
                     tenant_defaults.max_unknown, or list the tenants"
                );
            }
        }
        if self.is_full(&places) {
            return Err(full());
        }
        let profile = Arc::new(make(&self.settings));
        let place = Place { profile: Arc::clone(&profile), seen: now.into() };
        places.taken.insert(id.clone(), place);
        Ok(profile)
    }

    /// Up to `most` of those that `wanted` names, those seen last first, with the time when they were.
    pub(super) fn latest(&self, most: usize, wanted: impl Fn(&TenantId) -> bool) -> Vec<(TenantId, UnixNanos)> {
        let places = self.read();
        let wanted = places.taken.iter().filter(|(id, _)| wanted(id));
        let mut all: Vec<_> = wanted.map(|(id, place)| (id.clone(), place.seen.load(Ordering::Relaxed))).collect();
        all.sort_unstable_by_key(|(_, seen)| Reverse(*seen));
        all.truncate(most);
        all
    }

    /// Everybody who has a place.
    pub(super) fn all(&self) -> Vec<Arc<Profile>> {
        self.read().taken.values().map(|place| Arc::clone(&place.profile)).collect()
    }

    fn is_full(&self, places: &Places) -> bool {
        places.taken.len() >= self.most
    }

    fn read(&self) -> RwLockReadGuard<'_, Places> {
        // A place is there whole or not at all, whatever panicked.
        self.places.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Places> {
        self.places.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Places {
    fn may_look(&self, now: UnixNanos) -> bool {
        self.looked.is_none_or(|looked| looked.abs_diff(now) >= PAUSE)
    }
}

impl Place {
    fn used(&self, now: UnixNanos) -> Arc<Profile> {
        if self.seen.load(Ordering::Relaxed).abs_diff(now) >= SEEN_STEP {
            self.seen.store(now, Ordering::Relaxed);
        }
        Arc::clone(&self.profile)
    }
}

fn full() -> AuthError {
    Code::TenantsFull.because(
        "the credential holds, but its tenant is not listed here, and no more tenants that are not listed are taken: list it",
    )
}
