//! Exact totals per tenant, and each tenant's last rejections.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::clock::UnixNanos;
use crate::config::TenantId;

use super::{Loss, Outcome, Reason};

/// How many rejections an account remembers: enough to see a pattern, small enough for thousands of tenants.
const REMEMBERED: usize = 20;

/// One remembered rejection. Holds no payload: the detail is of our own making (a name, a bound).
#[derive(Clone, Debug, PartialEq)]
pub struct Rejection {
    /// When it was refused.
    pub at: UnixNanos,
    /// Where in its request the item stood, from 0.
    pub index: usize,
    /// Why.
    pub reason: Reason,
    /// What exactly, in words for a developer.
    pub detail: String,
}

/// The numbers of one account at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Points that the spool took.
    pub accepted: u64,
    /// Accepted and not ended yet.
    pub pending: u64,
    /// Ended: confirmed by the destination.
    pub delivered: u64,
    /// Ended: refused for good by the destination.
    pub dead_lettered: u64,
    /// Ended here: set down in a spill file at shutdown, for `tagline replay`.
    pub spilled: u64,
    /// Ended: lost, by [`Loss::ALL`].
    pub lost: [u64; Loss::ALL.len()],
    /// Refused before acceptance, by [`Reason::ALL`].
    pub rejected: [u64; Reason::ALL.len()],
    /// Free tags that were left out because the catalog does not list them (the point was kept).
    pub tags_dropped: u64,
}

impl Totals {
    /// Whether the ledger's equation holds: accepted = delivered + pending + dead-lettered + spilled + lost.
    pub fn balances(&self) -> bool {
        let lost: u64 = self.lost.iter().sum();
        self.accepted == self.delivered + self.pending + self.dead_lettered + self.spilled + lost
    }

    /// Each outcome's name with its points, zeros too, in a stable order. Pending is no outcome and not among them.
    pub fn outcomes(&self) -> impl Iterator<Item = (String, u64)> + '_ {
        let ended = [
            ("delivered".to_owned(), self.delivered),
            ("dead_lettered".to_owned(), self.dead_lettered),
            ("spilled".to_owned(), self.spilled),
        ];
        let lost = Loss::ALL.iter().map(|l| (format!("lost_{}", l.as_str()), self.lost[*l as usize]));
        let rejected = Reason::ALL.iter().map(|r| (format!("rejected_{}", r.as_str()), self.rejected[*r as usize]));
        ended.into_iter().chain(lost).chain(rejected)
    }
}

#[derive(Debug, Default)]
struct State {
    totals: Totals,
    rejections: VecDeque<Rejection>,
}

impl State {
    fn remember(&mut self, rejection: Rejection) {
        if self.rejections.len() == REMEMBERED {
            self.rejections.pop_front();
        }
        self.rejections.push_back(rejection);
    }
}

/// One tenant's row of the ledger.
///
/// ```
/// use tagline::outcome::{Account, Outcome};
///
/// let account = Account::detached("acme");
/// account.accepted(3);
/// account.ended(Outcome::Delivered, 2);
/// let totals = account.totals();
/// assert_eq!((totals.pending, totals.balances()), (1, true));
/// ```
///
/// Held by everybody who counts for that tenant; one lock, taken a few times a request.
#[derive(Debug)]
pub struct Account {
    name: String,
    state: Mutex<State>,
}

impl Account {
    /// A row of its own, outside any ledger: for the gateway's own points, and for tests.
    pub fn detached(name: &str) -> Arc<Self> {
        Arc::new(Self { name: name.to_owned(), state: Mutex::default() })
    }

    /// The tenant's id.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What was counted before a restart is counted on from.
    pub fn restore(&self, before: &Totals) {
        let totals = &mut self.lock().totals;
        totals.accepted += before.accepted;
        totals.pending += before.pending;
        totals.delivered += before.delivered;
        totals.dead_lettered += before.dead_lettered;
        totals.spilled += before.spilled;
        for (now, before) in totals.lost.iter_mut().zip(before.lost) {
            *now += before;
        }
    }

    /// `points` were taken by the spool: from now on they are pending.
    pub fn accepted(&self, points: u64) {
        let mut state = self.lock();
        state.totals.accepted += points;
        state.totals.pending += points;
    }

    /// `points` that were pending ended so.
    pub fn ended(&self, outcome: Outcome, points: u64) {
        let totals = &mut self.lock().totals;
        debug_assert!(totals.pending >= points, "{points} points of {} ended twice", self.name);
        totals.pending = totals.pending.saturating_sub(points);
        match outcome {
            Outcome::Delivered => totals.delivered += points,
            Outcome::DeadLettered => totals.dead_lettered += points,
            Outcome::Spilled => totals.spilled += points,
            Outcome::Lost(loss) => totals.lost[loss as usize] += points,
        }
    }

    /// Items were refused, each for its own reason; the last ones are remembered.
    pub fn rejected(&self, rejections: impl IntoIterator<Item = Rejection>) {
        let mut state = self.lock();
        for rejection in rejections {
            state.totals.rejected[rejection.reason as usize] += 1;
            state.remember(rejection);
        }
    }

    /// `items` were refused for one reason that lies with the whole request; remembered once.
    pub fn rejected_whole(&self, at: UnixNanos, reason: Reason, items: u64, detail: &str) {
        let mut state = self.lock();
        state.totals.rejected[reason as usize] += items;
        state.remember(Rejection { at, index: 0, reason, detail: detail.to_owned() });
    }

    /// `count` free tags were left out.
    pub fn tags_dropped(&self, count: u64) {
        self.lock().totals.tags_dropped += count;
    }

    /// The numbers now: a consistent snapshot.
    pub fn totals(&self) -> Totals {
        self.lock().totals.clone()
    }

    /// The last rejections, oldest first.
    pub fn rejections(&self) -> Vec<Rejection> {
        self.lock().rejections.iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Counters are plain additions: a panic elsewhere cannot leave them half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The row of the gateway's own points. The name is no possible tenant id.
const OWN_ROW: &str = "(gateway)";

/// All accounts. Accounts are never removed: a tenant that goes keeps its history.
#[derive(Debug)]
pub struct Ledger {
    accounts: RwLock<BTreeMap<TenantId, Arc<Account>>>,
    own: Arc<Account>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self { accounts: RwLock::default(), own: Account::detached(OWN_ROW) }
    }
}

impl Ledger {
    /// The gateway's own row: its points are delivered like others, but are no tenant's, and not among [`Ledger::accounts`].
    pub fn own(&self) -> Arc<Account> {
        Arc::clone(&self.own)
    }

    /// The account of a name that a record carries: a tenant's, the gateway's own, or, of a name that is no tenant id, one of its own.
    pub fn named(&self, name: &str) -> Arc<Account> {
        match TenantId::parse(name) {
            Some(tenant) => self.account(&tenant),
            None if name == OWN_ROW => self.own(),
            None => Account::detached(name),
        }
    }

    /// The account of a tenant, made on first use.
    pub fn account(&self, tenant: &TenantId) -> Arc<Account> {
        if let Some(account) = self.accounts.read().unwrap_or_else(PoisonError::into_inner).get(tenant) {
            return Arc::clone(account);
        }
        let mut accounts = self.accounts.write().unwrap_or_else(PoisonError::into_inner);
        let account = accounts.entry(tenant.clone()).or_insert_with(|| Account::detached(tenant.as_str()));
        Arc::clone(account)
    }

    /// Every account, by tenant id.
    pub fn accounts(&self) -> Vec<Arc<Account>> {
        self.accounts.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}
