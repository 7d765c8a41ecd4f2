//! The promises of admission, with governor's own clock standing still until a test moves it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use governor::clock::FakeRelativeClock;
use proptest::prelude::*;

use super::{Exceeded, Quota};
use crate::config::Limits;

fn limits(points_per_second: u32, burst: u32, bytes_per_second: Option<u32>) -> Limits {
    Limits { points_per_second, burst, bytes_per_second, in_flight: 1_000, spool_share: 1.0 }
}

fn quota(
    limits: Limits,
    replicas: u32,
    max_events: usize,
    max_body: usize,
) -> (Quota<FakeRelativeClock>, FakeRelativeClock) {
    let clock = FakeRelativeClock::default();
    (Quota::with_clock(limits, replicas, max_events, max_body, &clock), clock)
}

/// One whole request.
fn send(quota: &Quota<FakeRelativeClock>, bytes: usize, points: usize) -> Result<(), Exceeded> {
    let permit = quota.enter()?;
    permit.charge_bytes(bytes)?;
    permit.charge_points(points)
}

/// How many requests of one point pass at once.
fn drain(quota: &Quota<FakeRelativeClock>) -> usize {
    (0..100_000).take_while(|_| send(quota, 0, 1).is_ok()).count()
}

#[test]
fn a_burst_passes_and_then_the_rate_holds() {
    let (quota, clock) = quota(limits(10, 50, None), 1, 20, 1024);
    assert_eq!(drain(&quota), 50);
    let refused = send(&quota, 0, 1).unwrap_err();
    assert_eq!(refused, Exceeded { limit: "points_per_second", retry_after: Duration::from_millis(100) });
    clock.advance(Duration::from_secs(1));
    assert_eq!(drain(&quota), 10);
}

#[test]
fn the_rate_is_divided_by_the_replicas_but_the_burst_is_not() {
    let (quota, clock) = quota(limits(100, 50, None), 4, 20, 1024);
    assert_eq!(drain(&quota), 50);
    clock.advance(Duration::from_secs(1));
    assert_eq!(drain(&quota), 25);
}

#[test]
fn a_rate_smaller_than_the_replicas_is_still_one_a_second() {
    let (quota, clock) = quota(limits(2, 1, None), 10, 1, 1024);
    assert_eq!(drain(&quota), 1);
    clock.advance(Duration::from_secs(1));
    assert_eq!(drain(&quota), 1);
}

#[test]
fn the_largest_batch_passes_whatever_the_burst_says() {
    let (quota, _) = quota(limits(1, 1, None), 1, 5_000, 1024);
    assert_eq!(send(&quota, 0, 5_000), Ok(()));
    assert_eq!(drain(&quota), 0);
}

#[test]
fn what_is_larger_than_the_burst_costs_the_burst_and_passes() {
    let (quota, clock) = quota(limits(1, 5, Some(10)), 1, 5, 10);
    for _ in 0..2 {
        assert_eq!(send(&quota, 11, 6), Ok(()));
        assert!(send(&quota, 11, 6).is_err());
        clock.advance(Duration::from_secs(5));
    }
}

#[test]
fn a_batch_is_charged_whole_or_not_at_all() {
    let (quota, _) = quota(limits(1, 100, None), 1, 100, 1024);
    assert_eq!(send(&quota, 0, 60), Ok(()));
    assert!(send(&quota, 0, 60).is_err());
    // 100 - 60, less the one point that the refused request left at the door.
    assert_eq!(drain(&quota), 39);
}

#[test]
fn a_batch_of_nothing_costs_what_the_door_costs() {
    let (quota, _) = quota(limits(1, 10, None), 1, 10, 1024);
    assert_eq!(send(&quota, 0, 0), Ok(()));
    assert_eq!(drain(&quota), 9);
}

#[test]
fn a_body_larger_than_the_byte_rate_can_still_pass() {
    let (quota, clock) = quota(limits(1_000, 1_000, Some(100)), 1, 10, 4_096);
    assert_eq!(send(&quota, 4_096, 1), Ok(()));
    let refused = send(&quota, 4_096, 1).unwrap_err();
    assert_eq!(refused, Exceeded { limit: "bytes_per_second", retry_after: Duration::from_millis(40_960) });
    clock.advance(refused.retry_after);
    assert_eq!(send(&quota, 4_096, 1), Ok(()));
}

#[test]
fn a_refused_batch_is_told_the_wait_of_its_bytes_too() {
    let (quota, clock) = quota(limits(100, 100, Some(10)), 1, 100, 1_000);
    assert_eq!(send(&quota, 1, 90), Ok(()));
    // Its points come back within a second, the bytes of the same body need a hundred.
    let refused = send(&quota, 999, 50).unwrap_err();
    assert_eq!(refused.limit, "points_per_second");
    assert_eq!(refused.retry_after, Duration::from_secs(99) + Duration::from_millis(900));
    clock.advance(refused.retry_after);
    assert_eq!(send(&quota, 999, 50), Ok(()));
}

#[test]
fn a_refused_body_is_told_the_wait_at_the_door_too() {
    let (quota, clock) = quota(limits(1, 2, Some(1_000)), 1, 2, 1_000);
    assert_eq!(send(&quota, 1_000, 1), Ok(()));
    // Its bytes come back within 100 ms; the point that this attempt paid at the door needs a second.
    let refused = send(&quota, 100, 1).unwrap_err();
    assert_eq!(refused, Exceeded { limit: "bytes_per_second", retry_after: Duration::from_secs(1) });
    clock.advance(refused.retry_after);
    assert_eq!(send(&quota, 100, 1), Ok(()));
}

#[test]
fn places_in_flight_are_bounded_and_given_back() {
    let (quota, _) = quota(Limits { in_flight: 2, ..limits(100, 100, None) }, 1, 100, 1024);
    let first = quota.enter().unwrap();
    let second = quota.enter().unwrap();
    let refused = quota.enter().unwrap_err();
    assert_eq!(refused, Exceeded { limit: "in_flight", retry_after: Duration::from_secs(1) });
    drop(first);
    assert_eq!(quota.in_flight(), 1);
    let _third = quota.enter().unwrap();
    drop(second);
}

#[test]
fn a_place_is_given_back_by_a_panic_and_by_a_refusal() {
    let (quota, _) = quota(limits(1, 1, None), 1, 1, 1024);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _permit = quota.enter().unwrap();
        panic!("a handler's bug");
    }));
    assert!(panicked.is_err());
    assert_eq!(quota.in_flight(), 0);
    assert!(quota.enter().is_err(), "the budget of one point is used up");
    assert_eq!(quota.in_flight(), 0);
}

#[test]
fn a_refusal_at_the_door_leaves_the_debt_as_it_was() {
    let (quota, clock) = quota(limits(1, 1, None), 1, 1, 1024);
    assert_eq!(drain(&quota), 1);
    for _ in 0..1_000 {
        assert!(quota.enter().is_err());
    }
    clock.advance(Duration::from_secs(1));
    assert!(quota.enter().is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    /// Whatever was sent before: after `retry_after`, and not long before it, the refused request passes.
    #[test]
    fn retry_after_is_true(
        points_per_second in 1..5_000u32,
        bytes_per_second in proptest::option::of(1..100_000u32),
        max_events in 1..500usize,
        before in proptest::collection::vec((0..20_000usize, 0..500usize, 0..500u64), 0..12),
        (bytes, points) in (0..20_000usize, 0..500usize),
    ) {
        let limits = limits(points_per_second, 1, bytes_per_second);
        let make = || {
            let (quota, clock) = quota(limits, 1, max_events, 20_000);
            for (bytes, points, pause) in &before {
                let _ = send(&quota, *bytes, (*points).min(max_events));
                clock.advance(Duration::from_millis(*pause));
            }
            (quota, clock)
        };
        let points = points.min(max_events);
        let (quota, clock) = make();
        if let Err(refused) = attempt_until_refused(&quota, bytes, points) {
            clock.advance(refused.retry_after);
            // The door knows of no bytes, and before parsing nobody knows of points: such a wait is true for none, and for one.
            let again = match refused.limit {
                AT_DOOR => send(&quota, 0, 1),
                "bytes_per_second" => send(&quota, bytes, 1),
                _ => send(&quota, bytes, points),
            };
            prop_assert_eq!(again, Ok(()));
            let (quota, clock) = make();
            prop_assert_eq!(attempt_until_refused(&quota, bytes, points), Err(refused));
            let slack = Duration::from_secs(1) / points_per_second
                + bytes_per_second.map_or(Duration::ZERO, |b| Duration::from_secs(1) / b);
            if refused.retry_after > slack * 4 {
                clock.advance(refused.retry_after / 2);
                prop_assert!(send(&quota, bytes, points).is_err());
            }
        }
    }
}

const AT_DOOR: &str = "at the door";

/// Sends the same request until it is refused (the budgets above are spent within a few). A refusal at the door, which cannot
/// know how many points the body holds, is marked.
fn attempt_until_refused(quota: &Quota<FakeRelativeClock>, bytes: usize, points: usize) -> Result<(), Exceeded> {
    for _ in 0..1_000 {
        let permit = quota.enter().map_err(|e| Exceeded { limit: AT_DOOR, ..e })?;
        permit.charge_bytes(bytes)?;
        permit.charge_points(points)?;
    }
    Ok(())
}
