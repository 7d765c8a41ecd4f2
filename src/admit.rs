//! Admission: may this tenant send now?
//!
//! *Comes in*: "a request of so many bytes", later "it holds so many points". *Goes out*: a [`Permit`], or [`Exceeded`] with
//! the wait after which, if that tenant sends nothing else meanwhile, the same request passes. *Never*: one tenant's
//! budget charged for another's request; a batch admitted in part.

use std::time::Duration;

use crate::config::Limits;

/// One tenant's budget on this replica: points and bytes a second, requests in flight.
#[derive(Debug)]
pub struct Quota {
    #[expect(dead_code, reason = "admit room")]
    limits: Limits,
}

/// The tenant's budget does not allow it now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exceeded {
    /// Which limit: the name of its setting, such as `points_per_second`.
    pub limit: &'static str,
    /// After this, with no other traffic of that tenant, it passes.
    pub retry_after: Duration,
}

/// A place among the tenant's requests in flight; given back on drop.
#[derive(Debug)]
pub struct Permit<'q> {
    #[expect(dead_code, reason = "admit room")]
    quota: &'q Quota,
}

impl Quota {
    /// A budget of these limits, with the rates divided by `replicas`; `max_events` is the floor of the burst.
    pub fn new(limits: Limits, _replicas: u32, _max_events: usize) -> Self {
        Self { limits }
    }

    /// Before the body is read: takes a place in flight and looks whether the tenant is in debt. A request costs one point here.
    pub fn enter(&self) -> Result<Permit<'_>, Exceeded> {
        unimplemented!("admit room")
    }
}

impl Permit<'_> {
    /// The body as received: `bytes`, charged before inflating.
    pub fn charge_bytes(&self, _bytes: usize) -> Result<(), Exceeded> {
        unimplemented!("admit room")
    }

    /// After parsing: the whole batch, or nothing.
    pub fn charge_points(&self, _points: usize) -> Result<(), Exceeded> {
        unimplemented!("admit room")
    }
}
