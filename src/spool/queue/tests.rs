use bytes::Bytes;

use super::super::log::segment::{Owner, Tally};
use super::super::state::Origin;
use super::*;
use crate::outcome::Account;

const SECOND: UnixNanos = 1_000_000_000;

fn record(sequence: u64, accepted: UnixNanos, bytes: usize) -> Waiting {
    let owner = Owner { account: Account::detached("acme"), destination: "b".into() };
    let origin = Origin { sequence, accepted, owner, tally: Tally::one(1, bytes as u64) };
    Waiting { origin: Arc::new(origin), lines: Bytes::from(vec![b'x'; bytes]), points: 1 }
}

/// The sequences in the order in which they go.
fn order(queue: &mut Queue) -> Vec<u64> {
    std::iter::from_fn(|| match queue.turn() {
        Turn::Has(waiting) => Some(waiting.origin.sequence),
        Turn::Read | Turn::Wait => None,
    })
    .collect()
}

#[test]
fn what_is_not_behind_goes_in_the_order_of_acceptance() {
    let mut queue = Queue::default();
    (1..=5).for_each(|n| queue.push(record(n, n as i64 * SECOND, 10)));
    assert_eq!(order(&mut queue), [1, 2, 3, 4, 5]);
}

#[test]
fn small_fresh_records_do_not_drown_between_large_old_ones() {
    let mut queue = Queue::default();
    (1..=20).for_each(|n| queue.push(record(n, 0, 1 << 20)));
    (21..=120).for_each(|n| queue.push(record(n, 10 * SECOND, 1 << 10)));
    // A mebibyte of the old makes room for a mebibyte of the new: all of them, newest first.
    let order = order(&mut queue);
    assert_eq!(order[0], 1);
    assert!(order[1..=100].iter().copied().eq((21..=120).rev()), "{order:?}");
    assert_eq!(order.len(), 120);
}

#[test]
fn the_old_have_their_half_however_much_is_new() {
    let mut queue = Queue::default();
    (1..=10).for_each(|n| queue.push(record(n, 0, 100)));
    (11..=100).for_each(|n| queue.push(record(n, 10 * SECOND, 100)));
    let order = order(&mut queue);
    let old = order.iter().take(20).filter(|sequence| **sequence <= 10).count();
    assert_eq!(old, 10, "{order:?}");
}
