//! A tenant for the tests of other rooms, without a credential.

use std::sync::Arc;

use crate::admit::{Quota, SeriesBudget};
use crate::config::{Limits, SessionMode, TenantId, TenantSettings};
use crate::outcome::Account;

use super::{Profile, Proof, Rights, Tenant};

impl Tenant {
    /// A proven tenant with generous limits.
    pub(crate) fn for_test(id: &str, session: SessionMode, host: Option<&str>) -> Self {
        Self::limited(id, session, host, Limits::generous())
    }

    /// A proven tenant with these limits.
    pub(crate) fn limited(id: &str, session: SessionMode, host: Option<&str>, limits: Limits) -> Self {
        let id = TenantId::parse(id).expect("a tenant id");
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

    /// The same tenant, on a page of this host.
    pub(crate) fn on_host(&self, host: &str) -> Self {
        Self { host: Some(host.to_owned()), ..self.clone() }
    }
}
