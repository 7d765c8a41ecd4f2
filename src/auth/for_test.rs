//! A tenant for the tests of other rooms, without a credential.

use std::sync::Arc;

use crate::admit::{Quota, SeriesBudget};
use crate::config::{Limits, SessionMode, TenantId, TenantSettings};
use crate::outcome::Account;

use super::{Profile, Proof, Rights, Tenant};

impl Tenant {
    /// A proven tenant with generous limits.
    pub(crate) fn for_test(id: &str, session: SessionMode, host: Option<&str>) -> Self {
        let id = TenantId::parse(id).expect("a tenant id");
        let limits = Limits::generous();
        let profile = Profile {
            destination: "app_observability".into(),
            quota: Arc::new(Quota::new(limits, 1, 5_000, 1 << 20)),
            series: Arc::new(SeriesBudget::new(&limits)),
            account: Account::detached(id.as_str()),
            settings: TenantSettings { session, ..TenantSettings::plain(limits) },
            id,
        };
        Self { profile: Arc::new(profile), proof: Proof::Proxy, host: host.map(str::to_owned), rights: Rights::All }
    }
}
