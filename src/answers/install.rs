//! What an InfluxDB is given by `tagline setup`: buckets, tokens, the tasks of `flux/tasks`, and the secret that holds the alert URL.
//!
//! In: the settings' [`crate::config::Installation`]. [`Wanted`] is made of it, [`Found`] is read from InfluxDB, and [`plan`] holds the one against the
//! other: a plain function, whose [`Plan`] says each step before any is done. Only [`Server`] speaks to InfluxDB.
//!
//! *Never*: a change to a task that does not bear this installation's mark (see [`task`]), or a secret in what is said.

mod diff;
mod plan;
mod server;
pub(crate) mod task;
#[cfg(test)]
mod tests;
mod wanted;

pub(crate) use plan::{Found, Mark, Plan, Step, plan, setting};
pub(crate) use server::{Server, SetUp};
pub(crate) use wanted::{Scope, Tasks, Wanted, filling, raw_buckets};

/// The InfluxDB secret that holds the alert URL; the tasks read it by this name.
pub(crate) const ALERT_URL: &str = "TAGLINE_ALERT_URL";
