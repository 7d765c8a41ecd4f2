//! What one client address may fail before it proved anything.
//!
//! A token that nobody knows costs a signature check, and who sends made-up ones proves nothing but that he can. So each failed proof of that
//! kind is charged to the address that it came from, and while its budget is used up, unknown tokens from there wait. What is cheap to
//! judge goes on: tokens verified before, write keys, trusted proxies; a customer behind the same gateway hardly feels it.
//!
//! The addresses lie in a map with a most, in small parts, each under a lock of its own that is never held for longer than a walk over that
//! part. An address whose budget is whole again is as good as unknown, and goes when room is wanted or a sweep comes by; when there is no
//! such, the one that owes the least goes.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use governor::clock::{Clock, DefaultClock};

use crate::config::AddressLimits;

use super::rate::Rate;
use super::{Admission, Exceeded, Limit};

/// How many addresses lie under one lock, about.
const PART: usize = 512;

/// Failed proofs by client address.
pub struct AddressLimit<C: Clock + Clone = DefaultClock> {
    limits: ArcSwap<AddressLimits>,
    parts: Box<[Mutex<Part<C>>]>,
    /// Seeded, so that nobody can choose addresses that fall into one part.
    hasher: RandomState,
    admission: Admission,
    clock: C,
}

type Part<C> = HashMap<IpAddr, Rate<C>>;

impl AddressLimit {
    /// No address has failed yet. What it refuses is counted in `admission`.
    pub fn new(limits: &AddressLimits, admission: &Admission) -> Self {
        Self::with_clock(limits, admission, &DefaultClock::default())
    }
}

impl<C: Clock + Clone> AddressLimit<C> {
    pub(super) fn with_clock(limits: &AddressLimits, admission: &Admission, clock: &C) -> Self {
        let parts = (limits.tracked / PART).max(1).next_power_of_two();
        Self {
            limits: ArcSwap::from_pointee(limits.clone()),
            parts: std::iter::repeat_with(Mutex::default).take(parts).collect(),
            hasher: RandomState::new(),
            admission: admission.clone(),
            clock: clock.clone(),
        }
    }

    /// Other limits from now on. An address that waits waits no longer than it was told.
    pub fn change(&self, limits: &AddressLimits) {
        let before = self.limits.load_full();
        if *before == *limits {
            return;
        }
        self.limits.store(Arc::new(limits.clone()));
        for part in &self.parts {
            for rate in lock(part).values_mut() {
                rate.hasten(before.failures_per_second, limits.failures_per_second);
                rate.change(limits.failures_per_second, limits.burst, 1);
            }
        }
    }

    /// Before a signature check: whether this address may cost one. In a dry run it may always, and is counted.
    pub fn may_cost(&self, address: IpAddr) -> Result<(), Exceeded> {
        let network = network(address);
        let waits = lock(self.part(network)).get_mut(&network).and_then(|rate| rate.solvent().err());
        let Some(exceeded) = waits else {
            return Ok(());
        };
        let dry_run = self.limits.load().dry_run;
        self.admission.exceedances().count(exceeded.limit, !dry_run);
        if dry_run { Ok(()) } else { Err(exceeded) }
    }

    /// A proof from this address failed after it had cost a signature check.
    pub fn failed(&self, address: IpAddr) {
        let limits = self.limits.load();
        let network = network(address);
        let mut part = lock(self.part(network));
        if let Some(rate) = part.get_mut(&network) {
            // Used up, nothing is charged: there is no debt beyond the one failure that may come again.
            rate.charge(1);
            return;
        }
        if part.len() >= (limits.tracked / self.parts.len()).max(1) {
            make_room(&mut part);
        }
        let mut rate = Rate::new(Limit::Address, limits.failures_per_second, limits.burst, 1, self.clock.clone());
        rate.charge(1);
        part.insert(network, rate);
    }

    /// Forgets the addresses whose budget is whole again, and gives their memory back. For a task, every few seconds.
    pub fn sweep(&self) {
        for part in &self.parts {
            let mut part = lock(part);
            forget_whole(&mut part);
            if part.capacity() > 4 * part.len() {
                part.shrink_to_fit();
            }
        }
    }

    /// How many addresses are remembered.
    pub fn remembered(&self) -> usize {
        self.parts.iter().map(|part| lock(part).len()).sum()
    }

    fn part(&self, network: IpAddr) -> &Mutex<Part<C>> {
        // There is at least one, and a remainder is below the number.
        &self.parts[(self.hasher.hash_one(network) % self.parts.len() as u64) as usize]
    }
}

/// What counts as one address: in IPv6 a /64, since anybody's connection has all of one.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

fn make_room<C: Clock + Clone>(part: &mut Part<C>) {
    let before = part.len();
    forget_whole(part);
    if part.len() == before
        && let Some(least) = part.iter_mut().map(|(network, rate)| (rate.until_full(), *network)).min()
    {
        part.remove(&least.1);
    }
}

fn forget_whole<C: Clock + Clone>(part: &mut Part<C>) {
    part.retain(|_, rate| !rate.until_full().is_zero());
}

fn lock<C: Clock>(part: &Mutex<Part<C>>) -> MutexGuard<'_, Part<C>> {
    // Nothing in it spans two steps: what a panic left is whole.
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<C: Clock + Clone> fmt::Debug for AddressLimit<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AddressLimit")
            .field("limits", &self.limits)
            .field("parts", &self.parts.len())
            .finish_non_exhaustive()
    }
}
