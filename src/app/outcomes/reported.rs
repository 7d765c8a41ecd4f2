//! What was reported, by (tenant, outcome): kept over restarts where the ledger's totals are.
//!
//! Only the outcomes of accepted points are kept, as in the ledger: rejections are counted from zero at each start.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::super::state_file;
use crate::outcome::{Account, Totals};

const FILE: &str = "outcomes-reported.json";

/// A tenant and the name of an outcome.
pub(super) type Key = (String, String);

/// Points already reported.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Reported(HashMap<Key, u64>);

#[derive(Serialize, Deserialize)]
struct Kept {
    version: u32,
    reported: BTreeMap<String, BTreeMap<String, u64>>,
}

impl Reported {
    /// What of these totals was reported before this start.
    pub(super) fn before(dir: &Path, accounts: &[std::sync::Arc<Account>]) -> Self {
        let path = dir.join(FILE);
        let kept = match fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str::<Kept>(&text).map_err(|e| e.to_string()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(String::new()),
            Err(error) => Err(error.to_string()),
        };
        match kept {
            Ok(kept) if kept.version == 1 => return Self::continued(&kept, accounts),
            Ok(kept) => {
                tracing::warn!("{} is of version {}, not 1: gateway_outcomes begins anew", path.display(), kept.version)
            }
            Err(why) if why.is_empty() => {}
            Err(why) => tracing::warn!("{} cannot be read: {why}; gateway_outcomes begins anew", path.display()),
        }
        // What ended since the last report of the process before is not known: rather some missing than all of it twice.
        Self::all_of(accounts)
    }

    fn all_of(accounts: &[std::sync::Arc<Account>]) -> Self {
        let rows = accounts.iter().flat_map(|account| rows(account.name(), &account.totals()));
        Self(rows.collect())
    }

    fn continued(kept: &Kept, accounts: &[std::sync::Arc<Account>]) -> Self {
        let mut reported = HashMap::new();
        for account in accounts {
            let totals = account.totals();
            let Some(before) = kept.reported.get(account.name()) else {
                continue;
            };
            // After a crash the ledger may be a little behind the report (what ended is delivered again, and counted again): the report stands, so
            // that nothing is reported twice. But more than was ever accepted is another ledger's: its log was taken away.
            if before.values().sum::<u64>() > totals.accepted {
                reported.extend(rows(account.name(), &totals));
            } else {
                reported.extend(
                    before.iter().map(|(outcome, points)| ((account.name().to_owned(), outcome.clone()), *points)),
                );
            }
        }
        Self(reported)
    }

    /// What of a total is new.
    pub(super) fn news(&self, key: &Key, total: u64) -> u64 {
        total.saturating_sub(self.0.get(key).copied().unwrap_or(0))
    }

    pub(super) fn add(&mut self, by_key: Vec<(Key, u64)>) {
        for (key, points) in by_key {
            *self.0.entry(key).or_default() += points;
        }
    }

    pub(super) fn keep(&self, dir: &Path) -> io::Result<()> {
        let mut kept = Kept { version: 1, reported: BTreeMap::new() };
        for ((tenant, outcome), points) in self.0.iter().filter(|((_, outcome), _)| is_kept(outcome)) {
            kept.reported.entry(tenant.clone()).or_default().insert(outcome.clone(), *points);
        }
        state_file::replace(dir, FILE, &kept)
    }
}

/// Whether the ledger counts on from it at the next start.
fn is_kept(outcome: &str) -> bool {
    !outcome.starts_with("rejected_")
}

fn rows(tenant: &str, totals: &Totals) -> Vec<(Key, u64)> {
    let rows = totals.outcomes().filter(|(outcome, points)| is_kept(outcome) && *points > 0);
    rows.map(|(outcome, points)| ((tenant.to_owned(), outcome), points)).collect()
}
