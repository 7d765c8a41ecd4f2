//! The tenants that exist, each with what the later rooms need of it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::admit::{Admission, Quota, SeriesBudget};
use crate::config::{Settings, TenantId, TenantSettings};
use crate::outcome::{Account, Ledger};

/// Everything that belongs to one tenant, shared by its requests.
#[derive(Debug)]
pub struct Profile {
    /// Its id.
    pub id: TenantId,
    /// Its settings.
    pub settings: TenantSettings,
    /// Where its points go: its own bucket or the default one. The name in file mode too.
    pub destination: Arc<str>,
    /// Its budget.
    pub quota: Arc<Quota>,
    /// Its budget of series.
    pub series: Arc<SeriesBudget>,
    /// Its row of the ledger.
    pub account: Arc<Account>,
}

/// All tenants, by id.
#[derive(Debug, Default)]
pub struct Directory {
    profiles: HashMap<TenantId, Arc<Profile>>,
}

impl Directory {
    /// The tenants of these settings, each with a fresh budget and its row of the ledger.
    pub fn of(settings: &Settings, ledger: &Ledger, admission: &Admission) -> Self {
        let server = &settings.server;
        let default = settings.default_bucket();
        Self::new(settings.tenants.iter().map(|(id, tenant)| Profile {
            id: id.clone(),
            settings: tenant.clone(),
            destination: tenant.bucket.clone().unwrap_or_else(|| Arc::clone(&default)),
            quota: Arc::new(Quota::new(tenant.limits, admission.clone(), server.max_events, server.max_body)),
            series: Arc::new(SeriesBudget::new(&tenant.limits)),
            account: ledger.account(id),
        }))
    }

    /// Collects the profiles.
    pub fn new(profiles: impl IntoIterator<Item = Profile>) -> Self {
        let profiles = profiles.into_iter().map(|p| (p.id.clone(), Arc::new(p))).collect();
        Self { profiles }
    }

    /// The tenant of this id.
    pub fn get(&self, id: &TenantId) -> Option<&Arc<Profile>> {
        self.profiles.get(id)
    }

    /// All tenants, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Profile>> {
        self.profiles.values()
    }
}
