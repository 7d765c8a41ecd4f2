//! What every handler shares.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::admin::Gate;
use super::health::Readiness;
use super::playground::Playground;
use crate::admit::{AddressLimit, Admission, Connections, ReplicaWatch};
use crate::auth::{Authenticator, Directory};
use crate::clock::Clock;
use crate::deliver::View;
use crate::enrich::Enricher;
use crate::ingest::Limits;
use crate::metrics::Metrics;
use crate::outcome::Ledger;
use crate::spool::Spool;

/// What a reload replaces as a whole: a request is judged by one generation from its first byte to its last.
#[derive(Debug)]
pub struct Generation {
    /// 1 at the start, one more with each reload.
    pub number: u64,
    /// The tenants.
    pub directory: Arc<Directory>,
    /// Proves them.
    pub authenticator: Authenticator,
    /// Who may ask the admin listener.
    pub gate: Gate,
    /// Makes points.
    pub enricher: Enricher,
    /// Largest body as received, bytes.
    pub max_body: usize,
    /// Largest body after inflating, bytes.
    pub max_inflated: usize,
    /// How long a body may take.
    pub body_timeout: Duration,
    /// The bounds of one body's events and lines.
    pub limits: Limits,
}

/// What every handler shares.
#[derive(Debug)]
pub struct State {
    /// The settings in force.
    pub generation: ArcSwap<Generation>,
    /// Where accepted lines go.
    pub spool: Spool,
    /// What delivery shows of itself.
    pub delivery: View,
    /// Counts every item's end.
    pub ledger: Arc<Ledger>,
    /// Our own telemetry.
    pub metrics: Arc<Metrics>,
    /// The time.
    pub clock: Clock,
    /// What the tenants' quotas share.
    pub admission: Admission,
    /// Keeps its number of replicas true.
    pub replicas: ReplicaWatch,
    /// Failed proofs by client address.
    pub addresses: AddressLimit,
    /// Connections of the public listener.
    pub connections: Arc<Connections>,
    /// What `/readyz` answers.
    pub readiness: Readiness,
    /// The page at `/`, in the dev profile only.
    pub playground: Option<Playground>,
}
