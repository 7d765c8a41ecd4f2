//! What of the settings says how an InfluxDB is set up.

use std::sync::Arc;
use std::time::Duration;

use super::super::TenantId;
use super::{Answers, Profile, Settings};

/// What `tagline setup` makes an InfluxDB ready for. It can be read where the gateway itself could not start: before there is a token,
/// and on a machine without the gateway's secrets.
#[derive(Clone, Debug)]
pub struct Installation {
    /// Whether somebody configured tenants or issuers.
    pub profile: Profile,
    /// Base URL, if one is set.
    pub url: Option<String>,
    /// Organisation's name, if one is set.
    pub org: Option<String>,
    /// Bucket of the tenants that have none of their own.
    pub bucket: String,
    /// How long the buckets that the gateway writes to keep points; zero: for ever.
    pub retention: Duration,
    /// Who writes where, and who would be missed.
    pub tenants: Vec<InstalledTenant>,
    /// `[answers]`
    pub answers: Answers,
}

/// What of a tenant's settings concerns InfluxDB.
#[derive(Clone, Debug)]
pub struct InstalledTenant {
    /// Who it is.
    pub id: TenantId,
    /// Its own bucket, if it has one.
    pub bucket: Option<Arc<str>>,
    /// An alert tells when nothing of it came for so long. Never of a tenant that is switched off.
    pub expect_within: Option<Duration>,
}

impl Installation {
    /// Of settings that were built, whatever was wrong with the rest of them; and of what `[influxdb]` says with or without a token.
    pub(in crate::config) fn of(settings: Settings, named: NamedInflux) -> Self {
        let tenants = settings.tenants.into_iter().map(|(id, tenant)| InstalledTenant {
            id,
            bucket: tenant.bucket,
            expect_within: tenant.expect_within.filter(|_| !tenant.disabled),
        });
        Self {
            profile: settings.profile,
            url: named.url,
            org: named.org,
            bucket: named.bucket,
            retention: named.retention,
            tenants: tenants.collect(),
            answers: settings.answers,
        }
    }
}

/// What `[influxdb]` says of a server, with or without a token.
#[derive(Debug)]
pub(in crate::config) struct NamedInflux {
    pub(in crate::config) url: Option<String>,
    pub(in crate::config) org: Option<String>,
    pub(in crate::config) bucket: String,
    pub(in crate::config) retention: Duration,
}
