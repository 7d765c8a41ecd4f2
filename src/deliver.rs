//! Delivery: the spool's records become batches at their destination.
//!
//! *Comes in*: records, a lane for each destination. *Goes out*: an outcome for every point, told to the spool. *Never*: encodes a line; forgets a
//! point while the process lives; lets one destination, or one tenant's bad line, hold another's.

/// The state of one lane, by name, for readiness and the admin listener.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LaneState {
    /// Delivering.
    Flowing,
    /// Backing off: the server is away or overloaded.
    BackingOff,
    /// Paused until somebody mends it: what is wrong, and what to do.
    Paused(String),
}
