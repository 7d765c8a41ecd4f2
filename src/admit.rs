//! Admission: may this tenant send now?
//!
//! *Comes in*: "a request", later "its body has so many bytes" and "it holds so many points". *Goes out*: a [`Permit`], or
//! [`Exceeded`] with the wait after which, if that tenant sends nothing else meanwhile, the same request passes. *Never*: one
//! tenant's budget charged for another's request; a batch admitted in part; a cost for what it refused itself.
//!
//! How much a request holds is known only after it was parsed, but whether it may come in is asked before its body is read. So a
//! tenant of which anything is left comes in, its batch is charged whole, and what the budget did not hold is debt:
//! until that is paid the door is shut, and how long that takes does not depend on what the next request holds. Many requests
//! may pass the door before one of them is charged; so each charge looks again, and whatever the concurrency, a tenant's points
//! in any time are at most its rate by that time, its burst, and one batch.
//!
//! The budgets are governor's direct limiters (GCRA: one word each), held by the tenant's profile itself: nothing is looked up,
//! and nothing grows. What comes before a tenant is proven is bounded by address: failed proofs ([`AddressLimit`]) and connections
//! ([`Connections`]), both in maps that have a most and shrink again.

mod address;
mod admission;
mod connections;
mod large;
mod quota;
mod rate;
mod replicas;
mod series;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use address::AddressLimit;
pub use admission::{Admission, Exceedances, Limit};
pub use connections::{Connection, Connections, Denied};
pub use large::{LargeBody, NoPlace};
pub use quota::{Permit, Quota};
pub use replicas::ReplicaWatch;
pub use series::{Demoted, Detail, Distinct, Judge, SeriesBudget, Usage};

/// A budget does not allow it now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exceeded {
    /// Which limit.
    pub limit: Limit,
    /// After this, with no other traffic of that tenant (or address), it passes. In whole seconds it must be rounded up.
    pub retry_after: Duration,
}

fn saturating(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
