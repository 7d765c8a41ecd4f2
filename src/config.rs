//! Settings: what the operator said, typed and checked.
//!
//! *Comes in*: the compiled-in default, `--config FILE`, the tenants file, `TAGLINE__…` and `INFLUXDB_…` variables. *Goes out*:
//! [`Settings`], or every mistake at once as [`Finding`]s with file and line; either way the [`Files`] that were read. *Never*: a half-checked setting: what
//! stands in `Settings` has its final type (a `TenantId`, a duration, a socket address), and a secret is redacted.

mod build;
mod catalog;
mod check;
mod environment;
mod files;
mod finding;
pub mod reference;
mod schema;
mod section;
mod settings;
mod sources;
mod tenant_id;
mod tree;
mod values;
mod warnings;

#[cfg(test)]
mod tests;

pub use catalog::{Bounds, Catalog, FieldRule, FieldType, Measurement};
pub use files::Files;
pub use finding::{Finding, Findings, Place};
pub use settings::{
    AddressLimits, Algorithm, Answers, Baseline, ClientAddress, Connections, DryRun, Durability, Enrich, Influx,
    Installation, InstalledTenant, Issuer, IssuerKey, Limits, Log, LogFormat, MAX_UPLOAD_SECRETS, OnFull, OriginRule,
    PathRule, Profile, Replicas, Require, Scrub, Secret, Server, SessionMode, Settings, Source, SpoolSettings,
    TenantDefaults, TenantSettings, UPLOAD_ISSUER, Unknown, WriteKey,
};
pub use sources::{Loaded, Sources, load, load_installation, load_without_destination, read};
pub use tenant_id::TenantId;
pub(crate) use values::{instant, show_size};
