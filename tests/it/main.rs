//! The integration tests: the gateway's own binary against real servers, one file a behaviour, all in one process.
//!
//! `make test` gets the servers (`tests/servers/prepare`) and runs everything; after that, plain `cargo test` does too. A server
//! that is missing fails the tests that need it, by its name. What the tests stand on is in [`support`].

// The bans of clippy.toml keep the gateway's clock, memory and shutdown in hand; the tests stand outside of the gateway, and
// fail by panicking.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used, reason = "tests are not the gateway")]

mod support;

mod admin;
mod answers;
mod asking;
mod attacks;
mod browser_clients;
mod clients;
mod commands;
mod container;
mod crash;
mod delivery;
mod docs;
mod edge;
mod enrichment;
mod first_run;
mod formats;
mod full_disk;
mod idempotence;
mod identity;
mod jwks;
mod limits;
mod line_protocol;
mod observability;
mod outage;
mod poison;
mod reload;
mod reload_under_load;
mod replay;
mod restart;
mod secrets;
mod series;
mod servers;
mod slow;
mod stop;
mod tenants;
mod volume;
