//! What holds for one tenant.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{OriginRule, Require, Secret, SessionMode, WriteKey};

/// `[tenants.ID.limits]`
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Limits {
    /// Points a second over all replicas.
    pub points_per_second: u32,
    /// Points at once; at least `server.max_events`.
    pub burst: u32,
    /// Body bytes a second as received, over all replicas; `None`: no limit.
    pub bytes_per_second: Option<u32>,
    /// Requests at once on one replica.
    pub in_flight: u32,
    /// The share of the spool (0..=1) that the tenant may fill.
    pub spool_share: f64,
    /// Most series an hour (UTC); never divided by the replicas.
    pub series_per_hour: u32,
    /// Most series a day (UTC).
    pub series_per_day: u32,
    /// The limits that are counted and not enforced.
    pub dry_run: DryRun,
}

/// The limits of a tenant that are counted and not enforced, each by the name of its setting.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[expect(missing_docs, reason = "the names are those of the limits")]
pub struct DryRun {
    pub points_per_second: bool,
    pub bytes_per_second: bool,
    pub in_flight: bool,
    pub series_per_hour: bool,
    pub series_per_day: bool,
}

/// `[tenants.ID]`
#[derive(Clone, Debug)]
pub struct TenantSettings {
    /// Its own bucket, if it has one.
    pub bucket: Option<Arc<str>>,
    /// Whether it is switched off (403).
    pub disabled: bool,
    /// Which credentials it takes.
    pub require: Require,
    /// How its sessions are stored.
    pub session: SessionMode,
    /// Its origins, beside those of its write keys: for the `host` tag, and for cookies.
    pub origins: Vec<OriginRule>,
    /// Its write keys, by name.
    pub keys: BTreeMap<String, WriteKey>,
    /// The secrets that its backend signs upload tokens with, by name; several during a rotation.
    pub upload_secrets: BTreeMap<String, Secret>,
    /// An alert tells when nothing of it came for so long; `None`: nobody misses it.
    pub expect_within: Option<Duration>,
    /// Its budget.
    pub limits: Limits,
}

/// What becomes of a tenant that is not listed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unknown {
    /// 403.
    Reject,
    /// Taken under the default settings when a listed issuer vouches for it.
    Accept {
        /// So many of them at the most.
        most: usize,
    },
}

/// `[tenant_defaults]`
#[derive(Clone, Debug)]
pub struct TenantDefaults {
    /// What becomes of a tenant that is not listed.
    pub unknown: Unknown,
    /// What holds for such a tenant: no keys, the default limits.
    pub tenant: TenantSettings,
}

#[cfg(test)]
impl Limits {
    /// Limits that no test reaches by accident.
    pub(crate) fn generous() -> Self {
        Self {
            points_per_second: 1_000_000,
            burst: 1_000_000,
            bytes_per_second: None,
            in_flight: 1_000,
            spool_share: 1.0,
            series_per_hour: 1_000_000,
            series_per_day: 1_000_000,
            dry_run: DryRun::default(),
        }
    }
}

#[cfg(test)]
impl TenantSettings {
    /// A tenant without keys that takes any proof and stores sessions as a tag.
    pub(crate) fn plain(limits: Limits) -> Self {
        Self {
            bucket: None,
            disabled: false,
            require: Require::Any,
            session: SessionMode::Tag,
            origins: Vec::new(),
            keys: BTreeMap::new(),
            upload_secrets: BTreeMap::new(),
            expect_within: None,
            limits,
        }
    }
}
