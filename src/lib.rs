//! # Tagline: the life of an event
//!
//! Tagline takes telemetry from the frontends and backends of a multi-tenant product, **proves** which tenant each event
//! belongs to, adds the tenant's tags on the server, and writes batched line protocol to InfluxDB v2.
//!
//! An event passes through these rooms, in this order; each is a door, `src/NAME.rs`, and a folder beside it:
//!
//! 1. [`http`] takes the request: routes, the capped body, CORS, `problem+json`. The only room that knows actix.
//! 2. [`auth`] turns what the request presents (JWT, upload token, cookie, write key, a trusted proxy's header) into a
//!    [`auth::Tenant`]. A `Tenant` cannot be made anywhere else, and no handler runs without one. The keys that issuers publish
//!    are fetched beside it, so that verifying waits for nobody.
//! 3. [`admit`] asks whether the tenant may send now: rate, bytes, requests in flight. It asks before the body is read, and
//!    again before it is inflated; once the events are counted, it charges the whole batch. It also bounds what comes before a
//!    tenant is proven (connections, failed proofs of one address), and holds each tenant's budget of series.
//! 4. [`decode`] reads the bytes as one of the known formats: [`decode::Event`]s, or a reason for each that is none.
//! 5. [`enrich`] makes a [`enrich::Point`] of an event: tags, session, path template, clock, catalog, and what must not be stored
//!    taken out of its strings. The tenant's id enters here, and from the `Tenant` alone.
//! 6. [`encode`] writes the point as a line of line protocol. It knows no tenant, no request and no I/O.
//! 7. [`spool`] keeps the lines until they are delivered. An answer of 202 is given after the spool has taken them.
//! 8. [`deliver`] cuts batches, writes them, retries, bisects what the server refuses, and tells the spool what became of each.
//!
//! At every step an item can end; [`outcome`] is the closed list of the ends, counted per tenant, and the ledger's equation
//! (accepted = delivered + pending + dead-lettered + spilled + lost) holds at every moment. Steps 4 to 6 are plain functions over
//! typed values, strung together in [`ingest`], where a tenant beyond its budget of series gets points of fewer series; on this way
//! only `spool` and `deliver` own tasks.
//!
//! Beside that way stands [`answers`]: what the stored data is asked, which is Flux that the InfluxDB runs.
//!
//! Around that way stand [`config`] (typed settings, every mistake at once), [`app`] (build, run, reload whole, drain in order),
//! [`cli`] (the commands), [`metrics`] (our own telemetry) and [`clock`] (the one source of time). `fuzz` holds the fuzz targets,
//! in tests and under the fuzzer only.

pub mod admit;
pub mod answers;
pub mod app;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod config;
pub mod decode;
pub mod deliver;
pub mod encode;
pub mod enrich;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod http;
pub mod ingest;
pub mod metrics;
pub mod outcome;
#[cfg(test)]
mod property;
pub mod spool;
