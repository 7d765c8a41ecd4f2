//! Dry runs, and limits and replicas that change under a tenant.

use std::sync::Arc;
use std::time::Duration;

use governor::clock::FakeRelativeClock;
use proptest::prelude::*;

use super::{drain, limits, quota, send};
use crate::admit::{Admission, Exceeded, Limit, Quota};
use crate::config::{DryRun, Limits};

const MAX_EVENTS: usize = 100;
const MAX_BODY: usize = 1_000;

fn shared(limits: Limits, replicas: u32) -> (Arc<Quota<FakeRelativeClock>>, Admission, FakeRelativeClock) {
    let clock = FakeRelativeClock::default();
    let admission = Admission::new(replicas);
    (Arc::new(Quota::with_clock(limits, admission.clone(), MAX_EVENTS, MAX_BODY, &clock)), admission, clock)
}

fn dry(limits: Limits) -> Limits {
    let dry_run = DryRun { points_per_second: true, bytes_per_second: true, in_flight: true, ..DryRun::default() };
    Limits { dry_run, ..limits }
}

fn counts(quota: &Quota<FakeRelativeClock>, enforced: bool) -> [u64; 3] {
    [Limit::PointsPerSecond, Limit::BytesPerSecond, Limit::InFlight]
        .map(|limit| quota.exceedances().of(limit, enforced))
}

#[test]
fn a_dry_run_refuses_nothing_and_counts_what_would_have_been_refused() {
    let (quota, _, clock) = shared(dry(limits(10, 100, None)), 1);
    for _ in 0..5 {
        assert_eq!(send(&quota, 0, 100), Ok(()));
    }
    assert_eq!((counts(&quota, false), counts(&quota, true)), ([4, 0, 0], [0; 3]));
    // The four paid nothing, so nobody owes anything.
    assert_eq!(quota.waits().map(|e| e.retry_after), Some(Duration::from_millis(100)));
    clock.advance(Duration::from_millis(100));
    assert_eq!(send(&quota, 0, 1), Ok(()));
    assert_eq!(counts(&quota, false), [4, 0, 0]);
}

#[test]
fn a_dry_run_of_places_lets_in_without_one() {
    let (quota, _, _) = shared(dry(Limits { in_flight: 2, ..limits(1_000, 1_000, None) }), 1);
    let permits: Vec<_> = (0..5).map(|_| quota.enter().unwrap()).collect();
    assert_eq!((quota.in_flight(), counts(&quota, false)), (2, [0, 0, 3]));
    drop(permits);
    assert_eq!(quota.in_flight(), 0, "those without a place gave none back");
}

#[test]
fn a_limit_in_force_refuses_beside_one_in_dry_run_and_is_charged_for_what_that_let_through() {
    let dry_run = DryRun { points_per_second: true, ..DryRun::default() };
    let (quota, _, clock) = shared(Limits { dry_run, ..limits(1, 100, Some(1_000)) }, 1);
    assert_eq!(send(&quota, 500, 100), Ok(()));
    assert_eq!(send(&quota, 500, 100), Ok(()), "no points are left, but that is a dry run");
    let refused = send(&quota, 1, 1).unwrap_err();
    assert_eq!(refused, Exceeded { limit: Limit::BytesPerSecond, retry_after: Duration::from_millis(1) });
    assert_eq!((counts(&quota, false), counts(&quota, true)), ([1, 0, 0], [0, 1, 0]));
    clock.advance(refused.retry_after);
    assert_eq!(send(&quota, 1, 1), Ok(()));
}

#[test]
fn what_is_refused_is_counted_by_limit_for_the_tenant_and_for_all() {
    let (quota, admission, _) = shared(limits(1, 100, None), 1);
    assert_eq!(send(&quota, 0, 100), Ok(()));
    for _ in 0..3 {
        assert!(send(&quota, 0, 1).is_err());
    }
    assert_eq!(counts(&quota, true), [3, 0, 0]);
    assert_eq!(admission.exceedances().of(Limit::PointsPerSecond, true), 3);
}

#[test]
fn a_reload_keeps_the_debt_and_the_places() {
    let (before, _, clock) = shared(limits(10, 100, None), 1);
    let held = before.enter().unwrap();
    assert_eq!(send(&before, 0, 90), Ok(()));
    assert_eq!(send(&before, 0, 100), Ok(()));
    let told = before.enter().unwrap_err();
    assert_eq!(told.retry_after, Duration::from_millis(9_100));

    let after = before.reloaded(Limits { in_flight: 1, ..limits(1, 5_000, Some(10)) }, MAX_EVENTS, MAX_BODY);
    assert_eq!(after.enter().unwrap_err(), told, "owed as long as before, at a smaller rate too");
    clock.advance(told.retry_after);
    assert_eq!(after.enter().unwrap_err().limit, Limit::InFlight, "the place that is held is counted on");
    drop(held);
    assert_eq!(drain(&after), 1);
}

#[test]
fn at_a_larger_rate_what_is_owed_is_paid_faster() {
    let (before, admission, clock) = shared(limits(10, 100, Some(1_000)), 1);
    assert_eq!(send(&before, 0, 90), Ok(()));
    assert_eq!(send(&before, 0, 100), Ok(()));
    assert_eq!(before.enter().unwrap_err().retry_after, Duration::from_millis(9_100));
    let after = before.reloaded(limits(100, 100, Some(1_000)), MAX_EVENTS, MAX_BODY);
    assert_eq!(after.enter().unwrap_err().retry_after, Duration::from_millis(910));
    // Replicas that go do not hasten it, though this one's part is larger then: as many come back.
    admission.set_replicas(4);
    assert_eq!(after.enter().unwrap_err().retry_after, Duration::from_millis(910));
    admission.set_replicas(1);
    assert_eq!(after.enter().unwrap_err().retry_after, Duration::from_millis(910));
    clock.advance(Duration::from_millis(910));
    assert_eq!(drain(&after), 1);
}

#[test]
fn what_was_taken_of_the_burst_is_taken_of_the_next_ones() {
    let (quota, _, _) = shared(limits(1, 100, None), 1);
    assert_eq!(send(&quota, 0, 70), Ok(()));
    let larger = quota.reloaded(limits(1, 150, None), MAX_EVENTS, MAX_BODY);
    assert_eq!(drain(&larger), 80);
    let smaller = larger.reloaded(limits(1, 100, None), MAX_EVENTS, MAX_BODY);
    assert!(send(&smaller, 0, 1).is_err());
}

#[test]
fn a_reload_puts_nobody_into_debt() {
    let (quota, _, _) = shared(limits(1, 1_000, None), 1);
    assert_eq!(send(&quota, 0, 100), Ok(()));
    assert_eq!(send(&quota, 0, 100), Ok(()));
    let smaller = quota.reloaded(limits(1, 100, None), MAX_EVENTS, MAX_BODY);
    assert_eq!(drain(&smaller), 1, "200 were taken of a burst that is 100 now");
}

#[test]
fn a_reload_that_is_never_used_changes_nothing_and_requests_of_before_are_charged_on() {
    let (before, _, clock) = shared(limits(10, 100, None), 1);
    let _refused_settings = before.reloaded(limits(1, 100, None), MAX_EVENTS, MAX_BODY);
    assert_eq!(drain(&before), 100);
    clock.advance(Duration::from_secs(1));
    let old = before.enter().unwrap();
    let after = before.reloaded(limits(1, 100, None), MAX_EVENTS, MAX_BODY);
    assert_eq!(send(&after, 0, 1), Ok(()));
    old.charge_points(9).unwrap();
    assert_eq!(
        after.enter().unwrap_err().retry_after,
        Duration::from_secs(1),
        "charged to one budget, at the later rate"
    );
}

#[test]
fn replicas_that_come_and_go_divide_the_rate_from_then_on() {
    let (quota, admission, clock) = shared(limits(100, 100, None), 1);
    assert_eq!(drain(&quota), 100);
    admission.set_replicas(4);
    assert!(quota.enter().is_err());
    clock.advance(Duration::from_secs(1));
    // The wait for the first was told at the old rate.
    assert_eq!(drain(&quota), 25);
    admission.set_replicas(1);
    assert!(quota.enter().is_err());
    clock.advance(Duration::from_secs(1));
    assert_eq!(drain(&quota), 97, "the first after 40 ms, then one each 10 ms");
}

#[test]
fn the_largest_batch_passes_whatever_the_replicas() {
    let (quota, admission, _) = shared(limits(100, 100, None), 1);
    admission.set_replicas(10_000);
    assert_eq!(send(&quota, 0, MAX_EVENTS), Ok(()));
}

#[tokio::test]
async fn one_tenant_leaves_half_of_the_places_for_large_bodies_to_the_others() {
    let admission = Admission::with_places(1, 4);
    let make = || Quota::new(limits(1_000, 1_000, None), admission.clone(), MAX_EVENTS, MAX_BODY);
    let (flooding, quiet) = (make(), make());
    let (bombs, one) = (flooding.enter().unwrap(), quiet.enter().unwrap());
    let held = [bombs.large_body().await.unwrap(), bombs.large_body().await.unwrap()];
    let refused = bombs.large_body();
    let (refused, taken) = tokio::join!(refused, one.large_body());
    let exceeded = Exceeded { limit: Limit::LargeBodies, retry_after: Duration::from_secs(1) };
    assert_eq!(refused.unwrap_err(), super::super::NoPlace::Share(exceeded));
    assert_eq!(flooding.exceedances().of(Limit::LargeBodies, true), 1);
    drop(taken.unwrap());
    drop(held);
    assert!(bombs.large_body().await.is_ok(), "given back");
}

/// What may happen to a tenant's limits.
#[derive(Clone, Debug)]
enum Change {
    Replicas(u32),
    Reload { points_per_second: u32, burst: u32, bytes_per_second: Option<u32> },
    Send { bytes: usize, points: usize },
    Wait(u64),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (1..9u32).prop_map(Change::Replicas),
        (1..5_000u32, 1..600u32, proptest::option::of(1..100_000u32)).prop_map(
            |(points_per_second, burst, bytes_per_second)| Change::Reload {
                points_per_second,
                burst,
                bytes_per_second
            }
        ),
        (0..MAX_BODY, 0..MAX_EVENTS).prop_map(|(bytes, points)| Change::Send { bytes, points }),
        (0..500u64).prop_map(Change::Wait),
    ]
}

proptest! {
    #![proptest_config(crate::property::config(1_000))]

    /// A wait that somebody was told is true whatever the operator or the scaler does meanwhile.
    #[test]
    fn retry_after_stays_true_through_reloads_and_replicas(
        points_per_second in 1..5_000u32,
        burst in 1..600u32,
        bytes_per_second in proptest::option::of(1..100_000u32),
        before in proptest::collection::vec(change(), 0..20),
        meanwhile in proptest::collection::vec((change(), 0..100u32), 0..6),
        (bytes, points) in (1..MAX_BODY, 1..MAX_EVENTS),
    ) {
        let (mut quota, admission, clock) = shared(limits(points_per_second, burst, bytes_per_second), 1);
        for change in before {
            match change {
                Change::Replicas(replicas) => admission.set_replicas(replicas),
                Change::Reload { points_per_second, burst, bytes_per_second } => {
                    quota = quota.reloaded(limits(points_per_second, burst, bytes_per_second), MAX_EVENTS, MAX_BODY);
                }
                Change::Send { bytes, points } => drop(send(&quota, bytes, points)),
                Change::Wait(millis) => clock.advance(Duration::from_millis(millis)),
            }
        }
        let told = (0..200_000).find_map(|_| send(&quota, bytes, points).err()).expect("a limit");
        let mut left = told.retry_after;
        for (change, part) in meanwhile {
            let passed = left * part / 100;
            clock.advance(passed);
            left -= passed;
            match change {
                Change::Replicas(replicas) => admission.set_replicas(replicas),
                Change::Reload { points_per_second, burst, bytes_per_second } => {
                    quota = quota.reloaded(limits(points_per_second, burst, bytes_per_second), MAX_EVENTS, MAX_BODY);
                }
                // Nothing else of the tenant meanwhile.
                Change::Send { .. } | Change::Wait(_) => {}
            }
            // A request that is refused, as by an impatient client, changes nothing.
            let _ = quota.enter();
        }
        clock.advance(left);
        prop_assert_eq!(send(&quota, bytes, points), Ok(()));
    }

    /// Replicas that come and go hand out no second burst.
    #[test]
    fn a_change_hands_nothing_out(
        burst in 100..600u32,
        changes in proptest::collection::vec((1..9u32, 100..600u32), 1..40),
    ) {
        let (mut quota, admission, _) = shared(limits(50, burst, None), 1);
        let mut admitted = drain(&quota);
        let mut largest = burst as usize;
        for (replicas, burst) in changes {
            admission.set_replicas(replicas);
            quota = quota.reloaded(limits(50, burst, None), MAX_EVENTS, MAX_BODY);
            largest = largest.max(burst as usize);
            // Time stands still.
            admitted += drain(&quota);
        }
        prop_assert!(admitted <= largest, "{} of bursts up to {}", admitted, largest);
    }

    /// A dry run counts exactly those that would be refused in earnest.
    #[test]
    fn a_dry_run_counts_what_would_be_refused(
        points_per_second in 1..500u32,
        burst in 1..300u32,
        bytes_per_second in proptest::option::of(1..10_000u32),
        requests in proptest::collection::vec((0..MAX_BODY, 0..MAX_EVENTS, 0..300u64), 1..80),
    ) {
        let terms = limits(points_per_second, burst, bytes_per_second);
        let (earnest, clock) = quota(terms, 1, MAX_EVENTS, MAX_BODY);
        let tried = Quota::with_clock(dry(terms), 1, MAX_EVENTS, MAX_BODY, &clock);
        for (bytes, points, pause) in requests {
            let _ = send(&earnest, bytes, points);
            prop_assert_eq!(send(&tried, bytes, points), Ok(()));
            prop_assert_eq!(counts(&earnest, true), counts(&tried, false));
            clock.advance(Duration::from_millis(pause));
        }
    }
}
