//! What the quotas of one gateway share: how many replicas divide a rate, and how often each limit was exceeded.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use tokio::sync::Semaphore;

/// A limit, by the name of its setting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Limit {
    /// `limits.points_per_second`, and its burst.
    PointsPerSecond,
    /// `limits.bytes_per_second`.
    BytesPerSecond,
    /// `limits.in_flight`.
    InFlight,
    /// A tenant's share of the places for large bodies.
    LargeBodies,
    /// `server.address`: failed proofs of one address.
    Address,
}

impl Limit {
    /// Every limit.
    pub const ALL: [Self; 5] =
        [Self::PointsPerSecond, Self::BytesPerSecond, Self::InFlight, Self::LargeBodies, Self::Address];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PointsPerSecond => "points_per_second",
            Self::BytesPerSecond => "bytes_per_second",
            Self::InFlight => "in_flight",
            Self::LargeBodies => "large_bodies",
            Self::Address => "address",
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How often each limit was exceeded: requests that were refused, and those that a dry run let through.
#[derive(Debug, Default)]
pub struct Exceedances {
    refused: [AtomicU64; Limit::ALL.len()],
    let_through: [AtomicU64; Limit::ALL.len()],
}

impl Exceedances {
    /// One more request exceeded `limit`; `enforced`: and was refused for it.
    pub(super) fn count(&self, limit: Limit, enforced: bool) {
        self.row(enforced)[limit as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Requests that exceeded `limit` and were refused (`enforced`), or were let through by a dry run.
    pub fn of(&self, limit: Limit, enforced: bool) -> u64 {
        self.row(enforced)[limit as usize].load(Ordering::Relaxed)
    }

    fn row(&self, enforced: bool) -> &[AtomicU64; Limit::ALL.len()] {
        if enforced { &self.refused } else { &self.let_through }
    }
}

/// What the quotas of one gateway share; all clones are the same.
#[derive(Clone, Debug)]
pub struct Admission(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    replicas: AtomicU32,
    exceedances: Exceedances,
    large_bodies: Arc<Semaphore>,
    /// The places of `large_bodies` that one tenant may hold.
    large_share: usize,
}

impl Admission {
    /// For a gateway that is one of so many replicas, with two places a core for large bodies.
    pub fn new(replicas: u32) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::with_places(replicas, (2 * cores).max(4))
    }

    /// Likewise, with so many places for large bodies, of which one tenant may hold half.
    pub(super) fn with_places(replicas: u32, places: usize) -> Self {
        Self(Arc::new(Shared {
            replicas: AtomicU32::new(replicas.max(1)),
            exceedances: Exceedances::default(),
            large_bodies: Arc::new(Semaphore::new(places)),
            large_share: (places / 2).max(1),
        }))
    }

    /// How many replicas share a tenant's rate; at least 1.
    pub fn replicas(&self) -> u32 {
        self.0.replicas.load(Ordering::Relaxed)
    }

    /// From now on so many do. Each quota follows when it is next asked, its debt carried over.
    pub fn set_replicas(&self, replicas: u32) {
        self.0.replicas.store(replicas.max(1), Ordering::Relaxed);
    }

    /// The places for large bodies, over all tenants.
    pub(super) fn large_bodies(&self) -> &Arc<Semaphore> {
        &self.0.large_bodies
    }

    /// How many of them one tenant may hold.
    pub fn large_share(&self) -> usize {
        self.0.large_share
    }

    /// Over all tenants, those too that are gone.
    pub fn exceedances(&self) -> &Exceedances {
        &self.0.exceedances
    }
}

impl From<u32> for Admission {
    /// On its own, for quotas that share nothing with others.
    fn from(replicas: u32) -> Self {
        Self::new(replicas)
    }
}
