use super::*;
use crate::config::TenantId;

#[test]
fn the_names_of_reasons_and_losses_are_distinct_and_in_counter_order() {
    for (at, reason) in Reason::ALL.iter().enumerate() {
        assert_eq!(*reason as usize, at, "{}", reason.as_str());
    }
    for (at, loss) in Loss::ALL.iter().enumerate() {
        assert_eq!(*loss as usize, at, "{}", loss.as_str());
    }
    let names: std::collections::BTreeSet<_> = Totals::default().outcomes().map(|(name, _)| name).collect();
    assert_eq!(names.len(), 3 + Reason::ALL.len() + Loss::ALL.len());
}

#[test]
fn every_step_of_an_account_keeps_the_equation() {
    let ledger = Ledger::default();
    let account = ledger.account(&TenantId::parse("acme").unwrap());
    account.accepted(10);
    assert!(account.totals().balances());
    account.ended(Outcome::Delivered, 4);
    account.ended(Outcome::DeadLettered, 3);
    account.ended(Outcome::Lost(Loss::Shutdown), 1);
    let totals = account.totals();
    assert!(totals.balances(), "{totals:?}");
    assert_eq!(totals.pending, 2);
}

#[test]
fn an_account_remembers_the_last_rejections_only() {
    let account = Account::detached("acme");
    account.rejected((0..50).map(|index| Rejection { at: 0, index, reason: Reason::TooOld, detail: String::new() }));
    assert_eq!(account.totals().rejected[Reason::TooOld as usize], 50);
    let remembered: Vec<_> = account.rejections().iter().map(|r| r.index).collect();
    assert_eq!(remembered, (30..50).collect::<Vec<_>>());
}
