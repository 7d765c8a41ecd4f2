//! A tenant for the tests of other rooms, without a credential.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::admit::Quota;
use crate::config::{Limits, Require, SessionMode, TenantId, TenantSettings};
use crate::outcome::Account;

use super::{Profile, Proof, Rights, Tenant};

impl Tenant {
    /// A proven tenant with generous limits.
    pub(crate) fn for_test(id: &str, session: SessionMode, host: Option<&str>) -> Self {
        let id = TenantId::parse(id).expect("a tenant id");
        let limits = Limits {
            points_per_second: 1_000_000,
            burst: 1_000_000,
            bytes_per_second: None,
            in_flight: 1_000,
            spool_share: 1.0,
        };
        let profile = Profile {
            destination: "app_observability".into(),
            quota: Quota::new(limits, 1, 5_000, 1 << 20),
            account: Account::detached(id.as_str()),
            settings: TenantSettings {
                bucket: None,
                disabled: false,
                require: Require::Any,
                session,
                keys: BTreeMap::new(),
                limits,
            },
            id,
        };
        Self { profile: Arc::new(profile), proof: Proof::Proxy, host: host.map(str::to_owned), rights: Rights::All }
    }
}
