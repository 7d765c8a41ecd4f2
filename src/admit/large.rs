//! Places for large bodies: those that inflate to more than a worker takes on by itself.
//!
//! A few hundred bytes can inflate to the cap, and as many at once as there are requests in flight would be the machine's memory: so there
//! are few places, and one tenant may hold half of them at the most. A flood of one tenant's bombs leaves the other half to the others.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::{Admission, Exceeded, Limit};

/// How long a large body waits for a place; and when to come again, since a place is held for milliseconds.
const PATIENCE: Duration = Duration::from_secs(1);

/// A place for one large body; given back on drop.
#[derive(Debug)]
pub struct LargeBody {
    _of_tenant: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

/// Why there is no place for a large body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoPlace {
    /// The tenant holds its share.
    Share(Exceeded),
    /// All tenants together hold all of them.
    Busy {
        /// When to come again.
        retry_after: Duration,
    },
}

/// A place of the tenant's share first, so that those who wait for theirs stand in nobody's way; then one of all.
pub(super) async fn take(share: &Arc<Semaphore>, admission: &Admission) -> Result<LargeBody, NoPlace> {
    // The semaphores are never closed: what fails is the patience.
    let Ok(Ok(of_tenant)) = timeout(PATIENCE, Arc::clone(share).acquire_owned()).await else {
        return Err(NoPlace::Share(Exceeded { limit: Limit::LargeBodies, retry_after: PATIENCE }));
    };
    let Ok(Ok(of_all)) = timeout(PATIENCE, Arc::clone(admission.large_bodies()).acquire_owned()).await else {
        return Err(NoPlace::Busy { retry_after: PATIENCE });
    };
    Ok(LargeBody { _of_tenant: of_tenant, _of_all: of_all })
}
