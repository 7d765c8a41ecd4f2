//! A gateway: built from settings, run until stopped, drained in order.
//!
//! *Comes in*: [`Settings`] and a stop signal. *Goes out*: a running [`Gateway`] with its bound addresses; at the end, what became of everything
//! that was accepted. *Never*: a half-started gateway: whatever can fail at start fails before the first request is taken.

mod field_types;
mod generation;
mod outcomes;
mod readiness;
mod reload;
mod spooling;
mod state_file;
mod stop;
#[cfg(test)]
mod tests;

pub use reload::Origin;
pub use stop::{Signals, Stopped};

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use secrecy::SecretString;
use thiserror::Error;

use crate::admit::{AddressLimit, Connections, ReplicaWatch};
use crate::auth::{Keeper, KeySets};
use crate::clock::Clock;
use crate::config::{self, Settings};
use crate::deliver::Delivery;
use crate::http::{self, Lifecycle, Listeners, Playground, Stage, State};
use crate::metrics::Metrics;
use crate::outcome::Ledger;

/// How long a start waits for the keys that issuers publish. Without them it goes on: their tokens get 503 until they are there.
const ISSUER_KEYS: Duration = Duration::from_secs(2);

/// Why a gateway does not start: what, where, and what to do.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct StartError(String);

/// A gateway that takes requests.
pub struct Gateway {
    settings: Settings,
    state: Arc<State>,
    status: Arc<reload::Status>,
    listeners: Listeners,
    delivery: Delivery,
    outcomes: outcomes::Reporter,
    issuer_keys: KeySets,
    /// Fetches them until it is dropped.
    _keeper: Keeper,
    public: SocketAddr,
    admin: SocketAddr,
}

impl Gateway {
    /// Builds everything and begins to serve. Must be called on a multi-thread tokio runtime: delivery runs on it.
    ///
    /// # Errors
    /// An address that cannot be bound, a folder that cannot be written, a key that cannot be read.
    pub async fn start(settings: Settings, clock: Clock) -> Result<Self, StartError> {
        let (public, public_addr) = bind(settings.server.listen, "server.listen")?;
        let (admin, admin_addr) = bind(settings.server.admin_listen, "server.admin_listen")?;
        field_types::hold(&settings.spool.dir, &settings.catalog).map_err(StartError)?;

        let metrics = Arc::new(Metrics::new().map_err(|e| StartError(format!("metrics: {e}")))?);
        let ledger = Arc::new(Ledger::default());
        let unserved = |e: std::io::Error| StartError(format!("the listeners cannot be served: {e}"));
        let starting = http::serve_starting(&public, &admin).map_err(unserved)?;
        let spool = spooling::open(&settings.spool, &ledger, &clock, &metrics).await;
        starting.stop().await;
        let spool = spool?;
        let issuer_keys = KeySets::new(clock.clone(), Arc::clone(&metrics)).map_err(StartError)?;
        let generation = generation::first(&settings, &ledger, &issuer_keys).map_err(StartError)?;
        let keeper = issuer_keys.keep();
        let admission = generation.directory.admission().clone();
        let replicas = ReplicaWatch::new(&admission);
        replicas.follow(&settings.server.replicas);
        let delivery = Delivery::start(&settings, spool.clone(), clock.clone(), Arc::clone(&metrics));
        let delivery = delivery.map_err(StartError)?;
        // Before a request is taken: what it finds counted was counted before this start.
        let outcomes = outcomes::Reporter::start(outcomes::Sources {
            ledger: Arc::clone(&ledger),
            spool: spool.clone(),
            clock: clock.clone(),
            destination: settings.default_bucket(),
            replica: settings.enrich.replica.clone(),
            dir: spool.is_durable().then(|| settings.spool.dir.clone()),
        });
        let lifecycle = Lifecycle::default();
        let log = readiness::Log::of(&settings.spool);
        let status = Arc::new(reload::Status::new(clock.now()));
        metrics.settings_in_force(generation.number, clock.now());
        let state = Arc::new(State {
            generation: ArcSwap::from_pointee(generation),
            spool: spool.clone(),
            delivery: delivery.view(),
            ledger: Arc::clone(&ledger),
            metrics,
            clock: clock.clone(),
            addresses: AddressLimit::new(&settings.server.address, &admission),
            connections: Connections::new(
                &settings.server.connections,
                settings.server.address.dry_run,
                !settings.server.trusted_proxies.is_empty(),
            ),
            admission,
            replicas,
            readiness: readiness::readiness(
                lifecycle.clone(),
                Arc::clone(&status),
                spool.clone(),
                log,
                delivery.view(),
                issuer_keys.clone(),
            ),
            playground: playground(&settings, admin_addr),
        });
        issuer_keys.tried(ISSUER_KEYS).await;
        let listeners = http::serve(&state, public, admin, &settings.server).map_err(unserved)?;
        lifecycle.enter(Stage::Serving);
        tracing::info!(listener = "public", address = %public_addr, "listening");
        tracing::info!(listener = "admin", address = %admin_addr, "listening");
        Ok(Self {
            settings,
            state,
            status,
            listeners,
            delivery,
            outcomes,
            issuer_keys,
            _keeper: keeper,
            public: public_addr,
            admin: admin_addr,
        })
    }

    /// Where events are taken.
    pub fn public_addr(&self) -> SocketAddr {
        self.public
    }

    /// Where health, metrics and the ledger are.
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin
    }

    /// The settings that it was started with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
}

fn bind(address: SocketAddr, setting: &str) -> Result<(TcpListener, SocketAddr), StartError> {
    let bound = TcpListener::bind(address).and_then(|listener| {
        let address = listener.local_addr()?;
        Ok((listener, address))
    });
    bound.map_err(|e| {
        let variable = format!("TAGLINE__{}", setting.to_uppercase().replace('.', "__"));
        StartError(format!(
            "cannot listen on {address} ({setting}): {e}; stop what listens there, or choose another address with {variable}"
        ))
    })
}

/// The demo tenant's write key, in the dev profile.
pub fn demo_key(settings: &Settings) -> Option<(&config::TenantId, &SecretString)> {
    if settings.profile != config::Profile::Dev {
        return None;
    }
    let (id, tenant) = settings.tenants.iter().next()?;
    tenant.keys.values().next().map(|key| (id, &key.key))
}

/// Where points go, in words.
pub fn destination_in_words(settings: &Settings) -> String {
    match &settings.influxdb {
        Some(influx) => format!("bucket {} of InfluxDB at {}", influx.bucket, influx.url),
        None => format!("line protocol files in {}", settings.spool.dir.join("lines").display()),
    }
}

fn playground(settings: &Settings, admin: SocketAddr) -> Option<Playground> {
    let (tenant, key) = demo_key(settings)?;
    Some(Playground {
        tenant: tenant.to_string(),
        key: key.clone(),
        destination: destination_in_words(settings),
        admin: format!("http://{admin}"),
        last: Mutex::default(),
    })
}
