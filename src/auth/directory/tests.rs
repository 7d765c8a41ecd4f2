//! Who has a place, who keeps which budget over a reload, and how many come in unlisted.

use std::sync::Arc;
use std::thread;

use super::{Directory, Profile};
use crate::admit::{Detail, Limit};
use crate::auth::Code;
use crate::auth::tests::{NANOS, NOW, settings};
use crate::config::{Limits, Settings, TenantId, TenantSettings, Unknown};
use crate::outcome::Ledger;

const DAY: i64 = 24 * 60 * 60 * NANOS;
const NOW_NANOS: i64 = NOW * NANOS;

fn id(text: &str) -> TenantId {
    TenantId::parse(text).unwrap()
}

fn accepting(most: usize) -> Settings {
    let mut settings = settings();
    settings.tenant_defaults.unknown = Unknown::Accept { most };
    settings
}

fn directory(most: usize) -> Directory {
    Directory::of(&accepting(most), &Arc::default())
}

fn code(directory: &Directory, tenant: &str, now: i64) -> Result<(), &'static str> {
    directory.vouched(&id(tenant), now).map(drop).map_err(|refused| refused.code)
}

fn same(a: &Profile, b: &Profile) -> (bool, bool, bool) {
    (Arc::ptr_eq(&a.quota, &b.quota), Arc::ptr_eq(&a.series, &b.series), Arc::ptr_eq(&a.account, &b.account))
}

#[test]
fn nobody_is_vouched_for_unless_the_settings_say_so() {
    let directory = Directory::of(&settings(), &Arc::default());
    assert_eq!(code(&directory, "newcomer", NOW_NANOS), Err(Code::TenantUnknown.as_str()));
    assert_eq!(directory.all().len(), settings().tenants.len());
}

#[test]
fn a_vouched_tenant_has_one_profile_under_the_default_limits() {
    let mut settings = accepting(2);
    settings.tenant_defaults.tenant.limits.points_per_second = 7;
    let ledger = Arc::new(Ledger::default());
    let directory = Directory::of(&settings, &ledger);
    let first = directory.vouched(&id("newcomer"), NOW_NANOS).unwrap();
    let second = directory.vouched(&id("newcomer"), NOW_NANOS + 1).unwrap();
    assert!(Arc::ptr_eq(&first, &second));
    assert_eq!(first.settings.limits.points_per_second, 7);
    assert!(Arc::ptr_eq(&first.account, &ledger.account(&id("newcomer"))));
    assert!(directory.get(&id("newcomer")).is_some() && directory.listed(&id("newcomer")).is_none());
}

#[test]
fn no_more_come_in_than_there_are_places() {
    let directory = directory(3);
    for tenant in ["a", "b", "c"] {
        assert_eq!(code(&directory, tenant, NOW_NANOS), Ok(()));
    }
    for at in [NOW_NANOS, NOW_NANOS + 61 * NANOS, NOW_NANOS + DAY - 1] {
        assert_eq!(code(&directory, "d", at), Err(Code::TenantsFull.as_str()));
        assert_eq!(directory.get(&id("a")).map(|profile| profile.id.clone()), Some(id("a")));
    }
    assert_eq!(code(&directory, "a", NOW_NANOS), Ok(()), "who has a place keeps it");
}

#[test]
fn threads_that_race_for_places_take_no_more_than_there_are() {
    let directory = directory(10);
    let taken: usize = thread::scope(|scope| {
        let come = |who: usize| {
            let directory = &directory;
            move || (0..50).filter(|n| code(directory, &format!("t{who}-{n}"), NOW_NANOS).is_ok()).count()
        };
        let threads: Vec<_> = (0..4).map(|who| scope.spawn(come(who))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(taken, 10);
    assert_eq!(directory.all().len(), settings().tenants.len() + 10);
}

#[test]
fn a_place_is_free_again_when_its_tenant_was_not_seen_for_a_day() {
    let directory = directory(2);
    code(&directory, "gone", NOW_NANOS).unwrap();
    code(&directory, "here", NOW_NANOS).unwrap();
    code(&directory, "here", NOW_NANOS + DAY - 1).unwrap();
    assert_eq!(code(&directory, "new", NOW_NANOS + DAY - 1), Err("tenants_full"));
    // They are looked through once a minute.
    assert_eq!(code(&directory, "new", NOW_NANOS + DAY + 1), Err("tenants_full"));
    assert_eq!(code(&directory, "new", NOW_NANOS + DAY + 60 * NANOS), Ok(()));
    assert!(directory.get(&id("gone")).is_none() && directory.get(&id("here")).is_some());
}

#[test]
fn a_reload_that_changes_no_limits_keeps_the_budgets() {
    let ledger = Arc::new(Ledger::default());
    let before = Directory::of(&accepting(5), &ledger);
    let (acme, new) = (before.get(&id("acme")).unwrap(), before.vouched(&id("new"), NOW_NANOS).unwrap());
    let mut settings = accepting(5);
    settings.tenants.get_mut(&id("acme")).unwrap().keys.clear();
    let after = before.reloaded(&settings, &ledger);
    assert_eq!(same(&acme, &after.get(&id("acme")).unwrap()), (true, true, true));
    assert_eq!(same(&new, &after.get(&id("new")).unwrap()), (true, true, true));
    assert!(after.get(&id("acme")).unwrap().settings.keys.is_empty(), "the settings are the new ones");
}

#[test]
fn a_tenant_that_becomes_listed_keeps_its_budget_and_frees_its_place() {
    let ledger = Arc::new(Ledger::default());
    let before = Directory::of(&accepting(1), &ledger);
    let new = before.vouched(&id("new"), NOW_NANOS).unwrap();
    let mut settings = accepting(1);
    settings.tenants.insert(id("new"), TenantSettings::plain(new.settings.limits));
    let after = before.reloaded(&settings, &ledger);
    assert_eq!(same(&new, after.listed(&id("new")).unwrap()), (true, true, true));
    assert_eq!(code(&after, "another", NOW_NANOS), Ok(()), "the place is free");
}

#[test]
fn a_smaller_number_of_places_keeps_those_seen_last_and_none_empties_them() {
    let ledger = Arc::new(Ledger::default());
    let before = Directory::of(&accepting(5), &ledger);
    for (n, tenant) in ["a", "b", "c"].into_iter().enumerate() {
        code(&before, tenant, NOW_NANOS + n as i64).unwrap();
    }
    code(&before, "a", NOW_NANOS + 5 * NANOS).unwrap();
    let after = before.reloaded(&accepting(2), &ledger);
    let here = ["a", "b", "c"].map(|tenant| after.get(&id(tenant)).is_some());
    assert_eq!(here, [true, false, true]);
    let none = after.reloaded(&settings(), &ledger);
    assert!(none.get(&id("a")).is_none());
    assert_eq!(code(&none, "a", NOW_NANOS), Err("tenant_unknown"));
}

#[test]
fn changed_limits_forgive_no_debt_and_forget_no_series() {
    let ledger = Arc::new(Ledger::default());
    let mut settings = accepting(5);
    let slow = Limits { points_per_second: 1, burst: 5_000, ..Limits::generous() };
    settings.tenants.get_mut(&id("acme")).unwrap().limits = slow;
    settings.tenant_defaults.tenant.limits = slow;
    let before = Directory::of(&settings, &ledger);
    for profile in [before.get(&id("acme")).unwrap(), before.vouched(&id("new"), NOW_NANOS).unwrap()] {
        for _ in 0..2 {
            profile.quota.enter().unwrap().charge_points(4_000).unwrap();
        }
        assert!(profile.series.judge("acme", NOW_NANOS).admits(Detail::Full, b"a", &[]));
    }
    let changed = Limits { points_per_second: 2, series_per_hour: 7, ..slow };
    settings.tenants.get_mut(&id("acme")).unwrap().limits = changed;
    settings.tenant_defaults.tenant.limits = changed;
    let after = before.reloaded(&settings, &ledger);
    for profile in ["acme", "new"].map(|tenant| after.get(&id(tenant)).unwrap()) {
        assert!(profile.quota.enter().is_err(), "{}: 3,000 points are owed", profile.id);
        let [hour, _] = profile.series.usage(NOW_NANOS);
        assert_eq!((hour.series, hour.budget), (1, 7), "{}", profile.id);
    }
}

#[test]
fn changed_limits_are_in_force_after_a_reload() {
    let ledger = Arc::new(Ledger::default());
    let before = Directory::of(&settings(), &ledger);
    let mut settings = settings();
    settings.tenants.get_mut(&id("acme")).unwrap().limits = Limits { in_flight: 1, ..Limits::generous() };
    let acme = before.get(&id("acme")).unwrap();
    assert!(acme.series.judge("acme", NOW_NANOS).admits(Detail::Full, b"a series", &[]));
    let after = before.reloaded(&settings, &ledger).get(&id("acme")).unwrap();
    assert_eq!(after.series.series(NOW_NANOS), [1, 1], "what was counted stays counted");
    let _place = after.quota.enter().unwrap();
    assert_eq!(after.quota.enter().unwrap_err().limit, Limit::InFlight);
    settings.server.max_events = 1;
    let again = before.reloaded(&settings, &ledger).get(&id("globex")).unwrap();
    assert!(!Arc::ptr_eq(&again.quota, &before.get(&id("globex")).unwrap().quota), "max_events is in the quota");
}
