//! Settings: what the operator said, typed and checked.
//!
//! *Comes in*: the compiled-in default, `--config FILE`, the tenants file, `TAGLINE__…` and `INFLUXDB_…` variables. *Goes out*:
//! [`Settings`], or every mistake at once as [`Finding`]s with file and line. *Never*: a half-checked setting: what
//! stands in `Settings` has its final type (a `TenantId`, a duration, a socket address), and a secret is redacted.

mod catalog;
mod settings;
mod tenant_id;

pub use catalog::{Bounds, Catalog, FieldRule, FieldType, Measurement};
pub use settings::{
    Algorithm, Durability, Enrich, Influx, Issuer, IssuerKey, Limits, Log, LogFormat, OriginRule, PathRule, Profile, Require,
    Secret, Server, SessionMode, Settings, SpoolSettings, TenantSettings, WriteKey,
};
pub use tenant_id::TenantId;
