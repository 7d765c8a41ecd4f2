//! The tenants that exist, each with what the later rooms need of it: those that the settings list, and those that an issuer
//! vouched for (`unknown = "accept"`), bounded in number.

#[cfg(test)]
mod tests;
mod vouched;

use std::collections::HashMap;
use std::sync::Arc;

use crate::admit::{Admission, Quota, SeriesBudget};
use crate::clock::UnixNanos;
use crate::config::{Settings, TenantId, TenantSettings, Unknown};
use crate::outcome::{Account, Ledger};

use super::{AuthError, Code};
use vouched::Vouched;

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
#[derive(Debug)]
pub struct Directory {
    listed: HashMap<TenantId, Arc<Profile>>,
    /// `None`: a tenant that is not listed is refused.
    vouched: Option<Vouched>,
    common: Common,
}

/// What all tenants of one generation of settings have in common.
#[derive(Debug)]
struct Common {
    admission: Admission,
    max_events: usize,
    max_body: usize,
    bucket: Arc<str>,
    ledger: Arc<Ledger>,
}

impl Directory {
    /// The tenants of these settings, each with a fresh budget and its row of the ledger.
    pub fn of(settings: &Settings, ledger: &Arc<Ledger>) -> Self {
        Self::build(settings, ledger, None)
    }

    /// The tenants of newer settings. A tenant that was here before, listed or vouched for, keeps its budgets: who is in debt stays
    /// in debt, and a series that was counted is not counted again.
    ///
    /// A tenant that is first vouched for between this call and the moment when its result comes into force starts there anew.
    pub fn reloaded(&self, settings: &Settings, ledger: &Arc<Ledger>) -> Self {
        Self::build(settings, ledger, Some(self))
    }

    fn build(settings: &Settings, ledger: &Arc<Ledger>, before: Option<&Self>) -> Self {
        let admission = before.map_or_else(
            || Admission::new(settings.server.replicas.at_start()),
            |before| before.common.admission.clone(),
        );
        let common = Common::of(settings, ledger, admission);
        let profile = |id: &TenantId, tenant: &TenantSettings| {
            let before = before.and_then(|all| all.get(id));
            Arc::new(common.profile(id, tenant, before.as_deref()))
        };
        let listed: HashMap<_, _> =
            settings.tenants.iter().map(|(id, tenant)| (id.clone(), profile(id, tenant))).collect();
        let defaults = &settings.tenant_defaults;
        let vouched = match defaults.unknown {
            Unknown::Reject => None,
            Unknown::Accept { most } => {
                let kept = before
                    .and_then(|all| all.vouched.as_ref())
                    .map_or_else(Vec::new, |vouched| vouched.latest(most, |id| !listed.contains_key(id)));
                let kept = kept.into_iter().map(|(id, seen)| (profile(&id, &defaults.tenant), seen));
                Some(Vouched::new(most, defaults.tenant.clone(), kept))
            }
        };
        Self { listed, vouched, common }
    }

    /// What the tenants' quotas share, through all reloads.
    pub fn admission(&self) -> &Admission {
        &self.common.admission
    }

    /// The tenant of this id, listed or vouched for before.
    pub fn get(&self, id: &TenantId) -> Option<Arc<Profile>> {
        self.listed.get(id).cloned().or_else(|| self.vouched.as_ref()?.get(id))
    }

    /// The tenant of this id, if the settings list it.
    pub(super) fn listed(&self, id: &TenantId) -> Option<&Arc<Profile>> {
        self.listed.get(id)
    }

    /// The tenant of this id, for which a listed issuer vouches just now: one that is not known yet takes a free place.
    pub(super) fn vouched(&self, id: &TenantId, now: UnixNanos) -> Result<Arc<Profile>, AuthError> {
        let Some(vouched) = &self.vouched else {
            return Err(unknown());
        };
        vouched.enter(id, now, |settings| self.common.profile(id, settings, None))
    }

    /// All tenants, listed or vouched for, in no order.
    pub fn all(&self) -> Vec<Arc<Profile>> {
        let vouched = self.vouched.as_ref().map_or_else(Vec::new, Vouched::all);
        self.listed.values().cloned().chain(vouched).collect()
    }
}

pub(super) fn unknown() -> AuthError {
    Code::TenantUnknown.because("the credential holds, but its tenant is not configured here: add it to the tenants")
}

impl Common {
    fn of(settings: &Settings, ledger: &Arc<Ledger>, admission: Admission) -> Self {
        let server = &settings.server;
        Self {
            admission,
            max_events: server.max_events,
            max_body: server.max_body,
            bucket: settings.default_bucket(),
            ledger: Arc::clone(ledger),
        }
    }

    /// A tenant's profile, with the budgets that it had `before`.
    fn profile(&self, id: &TenantId, settings: &TenantSettings, before: Option<&Profile>) -> Profile {
        let limits = &settings.limits;
        let (quota, series) = match before {
            Some(before) => {
                let series = match before.settings.limits == *limits {
                    true => Arc::clone(&before.series),
                    false => Arc::new(before.series.reloaded(limits)),
                };
                (before.quota.reloaded(*limits, self.max_events, self.max_body), series)
            }
            None => {
                let quota = Quota::new(*limits, self.admission.clone(), self.max_events, self.max_body);
                (Arc::new(quota), Arc::new(SeriesBudget::new(limits)))
            }
        };
        Profile {
            id: id.clone(),
            settings: settings.clone(),
            destination: settings.bucket.clone().unwrap_or_else(|| Arc::clone(&self.bucket)),
            quota,
            series,
            account: self.ledger.account(id),
        }
    }
}
