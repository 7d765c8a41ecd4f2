//! The promises of admission, with governor's own clock standing still until a test moves it.

mod addresses;
mod changes;
mod weights;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use governor::clock::FakeRelativeClock;
use proptest::prelude::*;

use super::{Exceeded, Limit, Quota};
use crate::config::Limits;

fn limits(points_per_second: u32, burst: u32, bytes_per_second: Option<u32>) -> Limits {
    Limits { points_per_second, burst, bytes_per_second, ..Limits::generous() }
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
    assert_eq!(refused, Exceeded { limit: Limit::PointsPerSecond, retry_after: Duration::from_millis(100) });
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
    assert_eq!(quota.enter().unwrap_err().retry_after, Duration::from_secs(1));
}

#[test]
fn what_is_larger_than_the_largest_request_costs_that_and_passes() {
    let (quota, clock) = quota(limits(1, 5, Some(10)), 1, 5, 10);
    for _ in 0..2 {
        assert_eq!(send(&quota, 11, 6), Ok(()));
        let refused = send(&quota, 11, 6).unwrap_err();
        assert_eq!(refused, Exceeded { limit: Limit::PointsPerSecond, retry_after: Duration::from_secs(1) });
        clock.advance(Duration::from_secs(5));
    }
}

#[test]
fn a_batch_is_admitted_whole_and_what_the_budget_did_not_hold_is_debt() {
    let (quota, clock) = quota(limits(10, 100, None), 1, 100, 1024);
    assert_eq!(send(&quota, 0, 60), Ok(()));
    // 40 are left: 20 are owed, and one more must be there.
    assert_eq!(send(&quota, 0, 60), Ok(()));
    let refused = quota.enter().unwrap_err();
    assert_eq!(refused, Exceeded { limit: Limit::PointsPerSecond, retry_after: Duration::from_millis(2_100) });
    clock.advance(refused.retry_after - Duration::from_nanos(1));
    assert!(quota.enter().is_err(), "a nanosecond early");
    clock.advance(Duration::from_nanos(1));
    assert_eq!(drain(&quota), 1);
}

#[test]
fn the_door_and_a_batch_of_nothing_cost_nothing() {
    let (quota, _) = quota(limits(1, 10, Some(10)), 1, 10, 10);
    for _ in 0..100 {
        drop(quota.enter().unwrap());
        assert_eq!(send(&quota, 0, 0), Ok(()));
    }
    assert_eq!(drain(&quota), 10);
}

#[test]
fn a_debt_long_paid_leaves_the_whole_burst() {
    let (quota, clock) = quota(limits(10, 50, None), 1, 50, 1024);
    assert_eq!(send(&quota, 0, 49), Ok(()));
    assert_eq!(send(&quota, 0, 50), Ok(()));
    assert!(quota.enter().is_err());
    clock.advance(Duration::from_secs(3_600));
    assert_eq!(drain(&quota), 50);
}

#[test]
fn of_many_requests_past_the_door_only_one_goes_into_debt_and_the_refused_cost_nothing() {
    let (quota, clock) = quota(limits(10, 10, Some(1_000)), 1, 10, 1_000);
    let permits: Vec<_> = (0..8).map(|_| quota.enter().unwrap()).collect();
    for permit in &permits {
        permit.charge_bytes(100).unwrap();
    }
    let answers: Vec<_> = permits.iter().map(|permit| permit.charge_points(9)).collect();
    // 1 left after the first, 8 owed after the second.
    let refused = Exceeded { limit: Limit::PointsPerSecond, retry_after: Duration::from_millis(900) };
    assert_eq!(answers[..2], [Ok(()), Ok(())]);
    assert_eq!(answers[2..], [Err(refused); 6]);
    assert!(quota.enter().is_err());
    drop(permits);
    clock.advance(refused.retry_after);
    assert_eq!(send(&quota, 1_000, 1), Ok(()), "the same wait");
    clock.advance(Duration::from_millis(100));
    // 800 bytes were left of the two admitted, 200 come back and 1000 went: had the refused paid, a debt of 600 stood here.
    assert_eq!(send(&quota, 1_000, 1), Ok(()));
}

#[test]
fn who_went_into_debt_while_the_body_arrived_is_refused_before_inflating() {
    let (quota, _) = quota(limits(1, 10, None), 1, 10, 1_000);
    let slow = quota.enter().unwrap();
    assert_eq!(send(&quota, 0, 10), Ok(()));
    assert_eq!(slow.charge_bytes(5).unwrap_err().retry_after, Duration::from_secs(1));
}

#[test]
fn a_body_larger_than_the_byte_rate_can_still_pass() {
    let (quota, clock) = quota(limits(1_000, 1_000, Some(100)), 1, 10, 4_096);
    assert_eq!(send(&quota, 4_096, 1), Ok(()));
    let refused = send(&quota, 4_096, 1).unwrap_err();
    assert_eq!(refused, Exceeded { limit: Limit::BytesPerSecond, retry_after: Duration::from_millis(10) });
    clock.advance(refused.retry_after);
    assert_eq!(send(&quota, 4_096, 1), Ok(()));
    assert_eq!(quota.enter().unwrap_err().retry_after, Duration::from_millis(40_960));
}

#[test]
fn the_wait_is_the_longer_of_points_and_bytes() {
    for (bytes, limit, wait) in [(1_000, Limit::BytesPerSecond, 90_000), (101, Limit::PointsPerSecond, 500)] {
        let (quota, _) = quota(limits(100, 100, Some(10)), 1, 100, 1_000);
        assert_eq!(send(&quota, 899, 51), Ok(()));
        assert_eq!(send(&quota, bytes, 98), Ok(()));
        let wait = Duration::from_millis(wait);
        assert_eq!(quota.enter().unwrap_err(), Exceeded { limit, retry_after: wait });
    }
}

#[test]
fn one_tenants_debt_is_not_anothers() {
    let clock = FakeRelativeClock::default();
    let make = || Quota::with_clock(limits(1, 5, Some(100)), 1, 5, 100, &clock);
    let (flooding, quiet) = (make(), make());
    while send(&flooding, 100, 5).is_ok() {}
    assert_eq!(send(&quiet, 99, 4), Ok(()));
    assert_eq!(drain(&quiet), 1);
}

#[test]
fn places_in_flight_are_bounded_and_given_back() {
    let (quota, _) = quota(Limits { in_flight: 2, ..limits(100, 100, None) }, 1, 100, 1024);
    let first = quota.enter().unwrap();
    let second = quota.enter().unwrap();
    let refused = quota.enter().unwrap_err();
    assert_eq!(refused, Exceeded { limit: Limit::InFlight, retry_after: Duration::from_secs(1) });
    drop(first);
    assert_eq!(quota.in_flight(), 1);
    let _third = quota.enter().unwrap();
    drop(second);
}

#[test]
fn who_finds_no_place_in_flight_and_is_in_debt_is_told_how_long_the_debt_lasts() {
    let (quota, clock) = quota(Limits { in_flight: 1, ..limits(1, 10, None) }, 1, 10, 1024);
    let only = quota.enter().unwrap();
    only.charge_points(9).unwrap();
    only.charge_points(10).unwrap();
    let refused = quota.enter().unwrap_err();
    assert_eq!(refused, Exceeded { limit: Limit::PointsPerSecond, retry_after: Duration::from_secs(10) });
    clock.advance(refused.retry_after);
    assert_eq!(quota.enter().unwrap_err().limit, Limit::InFlight, "a place is still missing");
    drop(only);
    assert_eq!(send(&quota, 0, 10), Ok(()));
}

#[test]
fn a_place_is_given_back_by_a_panic_and_by_a_refusal() {
    let (quota, _) = quota(limits(1, 1, None), 1, 1, 1024);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let permit = quota.enter().unwrap();
        permit.charge_points(1).unwrap();
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

#[test]
fn threads_that_race_overshoot_by_less_than_one_batch() {
    const BATCH: usize = 7;
    for _ in 0..200 {
        let (quota, _) = quota(limits(1, 50, Some(1_000)), 1, BATCH, 1_000);
        let barrier = Barrier::new(4);
        let admitted: usize = thread::scope(|scope| {
            let sender = || {
                barrier.wait();
                (0..20).filter(|_| send(&quota, 1, BATCH).is_ok()).count() * BATCH
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(sender)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(admitted, 56, "the first multiple of 7 from 50 on: all of the burst, and less than one batch more");
        assert_eq!(quota.in_flight(), 0);
    }
}

/// What may happen to one of several requests of a tenant.
#[derive(Clone, Copy, Debug)]
enum Step {
    Enter,
    Bytes(usize),
    Points(usize),
    Leave,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Enter),
        3 => (0..3_000usize).prop_map(Step::Bytes),
        4 => (0..40usize).prop_map(Step::Points),
        1 => Just(Step::Leave),
        2 => (0..2_000_000_000u64).prop_map(Step::Wait),
    ]
}

/// At most the rate by the time, the burst, and less than one request more, in every window of what was admitted.
fn assert_windows(admitted: &[(u128, u128)], interval: u128, burst: u128, largest: u128) {
    for (first, (start, _)) in admitted.iter().enumerate() {
        let mut sum = 0;
        for (at, cells) in &admitted[first..] {
            sum += cells;
            assert!(
                sum * interval <= (at - start) + (burst + largest - 1) * interval,
                "{sum} cells in {} ns: {admitted:?}",
                at - start
            );
        }
    }
}

proptest! {
    #![proptest_config(crate::property::config(2_000))]

    /// Whatever was sent before, finished or not: after `retry_after` the refused request passes, whatever it holds, and a moment
    /// before it the door is still shut.
    #[test]
    fn retry_after_is_true(
        points_per_second in 1..5_000u32,
        burst in 1..600u32,
        bytes_per_second in proptest::option::of(1..100_000u32),
        replicas in 1..4u32,
        max_events in 1..500usize,
        before in proptest::collection::vec((0..20_000usize, 0..500usize, 0..500u64, any::<bool>()), 0..40),
        (bytes, points) in (0..20_000usize, 0..500usize),
    ) {
        let limits = limits(points_per_second, burst, bytes_per_second);
        let (quota, clock) = quota(limits, replicas, max_events, 20_000);
        let mut overlapping = Vec::new();
        for (bytes, points, pause, overlaps) in before {
            if overlaps {
                overlapping.extend(quota.enter());
            }
            let _ = send(&quota, bytes, points.min(max_events));
            clock.advance(Duration::from_millis(pause));
        }
        for permit in overlapping {
            let _ = permit.charge_bytes(bytes).and_then(|()| permit.charge_points(points.min(max_events)));
        }
        let points = points.min(max_events);
        let refused = (0..200_000).find_map(|_| send(&quota, bytes.max(1), points.max(1)).err()).expect("a limit");
        clock.advance(refused.retry_after - Duration::from_nanos(1));
        prop_assert_eq!(quota.enter().unwrap_err().retry_after, Duration::from_nanos(1));
        clock.advance(Duration::from_nanos(1));
        prop_assert_eq!(send(&quota, bytes, points), Ok(()));
    }

    /// However requests overlap, what is admitted in any window is bounded, in points and in bytes.
    #[test]
    fn no_window_admits_more_than_rate_burst_and_one_batch(
        points_per_second in 1..200u32,
        burst in 1..100u32,
        bytes_per_second in 1..10_000u32,
        steps in proptest::collection::vec((0..4usize, step()), 1..200),
    ) {
        let (max_events, max_body) = (40, 3_000);
        let limits = limits(points_per_second, burst, Some(bytes_per_second));
        let (quota, clock) = quota(limits, 1, max_events, max_body);
        let mut requests = [const { None }; 4];
        let (mut points_admitted, mut bytes_admitted) = (Vec::new(), Vec::new());
        let mut now = 0;
        for (which, step) in steps {
            let request = &mut requests[which];
            match (step, &request) {
                (Step::Wait(nanos), _) => {
                    clock.advance(Duration::from_nanos(nanos));
                    now += u128::from(nanos);
                }
                (Step::Enter, _) => *request = quota.enter().ok().map(|permit| (permit, 0)),
                (Step::Bytes(bytes), Some((permit, _))) => {
                    let passed = permit.charge_bytes(bytes).is_ok();
                    *request = request.take().filter(|_| passed).map(|(permit, _)| (permit, bytes));
                }
                (Step::Points(points), Some((permit, bytes))) => {
                    if permit.charge_points(points).is_ok() {
                        points_admitted.push((now, points as u128));
                        bytes_admitted.push((now, *bytes as u128));
                    }
                    *request = None;
                }
                (Step::Leave, _) => *request = None,
                _ => {}
            }
        }
        let second = 1_000_000_000u128;
        let burst = u128::from(burst).max(max_events as u128);
        assert_windows(&points_admitted, second / u128::from(points_per_second), burst, max_events as u128);
        let burst = u128::from(bytes_per_second).max(max_body as u128);
        assert_windows(&bytes_admitted, second / u128::from(bytes_per_second), burst, max_body as u128);
    }
}
