//! What a request costs whose body is large, or holds nothing.

use std::time::Duration;

use super::{drain, limits, quota};
use crate::admit::{Admission, Exceeded, Limit, NoPlace, Quota};

const MAX_EVENTS: usize = 100;
const MAX_BODY: usize = 1_000;

#[test]
fn a_body_that_is_no_telemetry_pays_for_its_bytes_and_its_weight() {
    let (quota, clock) = quota(limits(5, 5, Some(100)), 1, 5, 100);
    let permit = quota.enter().unwrap();
    permit.charge_bytes(100).unwrap();
    permit.weigh(2 * 2_048 + 1).unwrap();
    drop(permit);
    let refused = quota.enter().unwrap_err();
    assert_eq!(refused, Exceeded { limit: Limit::BytesPerSecond, retry_after: Duration::from_millis(10) });
    clock.advance(refused.retry_after);
    assert_eq!(drain(&quota), 2, "three of the points are taken");
}

#[test]
fn a_batch_costs_its_points_or_its_weight_whichever_is_more() {
    for (inflated, points, left) in [(1, 3, 7), (2_048, 1, 9), (2_049, 1, 8), (20_480, 3, 0), (usize::MAX, 3, 0)] {
        let (quota, _) = quota(limits(1, 10, None), 1, 10, 1_024);
        let permit = quota.enter().unwrap();
        permit.weigh(inflated).unwrap();
        permit.charge_points(points).unwrap();
        drop(permit);
        assert_eq!(drain(&quota), left, "{points} points of {inflated} bytes");
    }
}

#[test]
fn who_went_into_debt_while_the_body_was_inflated_is_refused_before_parsing_and_pays_nothing() {
    let (quota, _) = quota(limits(1, 10, Some(100)), 1, 10, 100);
    let (late, other) = (quota.enter().unwrap(), quota.enter().unwrap());
    late.charge_bytes(100).unwrap();
    other.charge_points(10).unwrap();
    let refused = late.weigh(20_480).unwrap_err();
    drop(late);
    assert_eq!(refused, Exceeded { limit: Limit::PointsPerSecond, retry_after: Duration::from_secs(1) });
    assert_eq!(quota.waits(), Some(refused));
}

#[tokio::test]
async fn a_body_that_found_no_place_among_the_large_ones_costs_nothing() {
    let admission = Admission::with_places(1, 2);
    let make = |bytes| Quota::new(limits(1_000, 1_000, Some(bytes)), admission.clone(), MAX_EVENTS, MAX_BODY);
    // At a byte a second a charge would be seen for longer than the second that the client is told to wait.
    let [one, other, third] = [(); 3].map(|()| make(1));
    let (of_one, of_other) = (one.enter().unwrap(), other.enter().unwrap());
    let _held = (of_one.large_body().await.unwrap(), of_other.large_body().await.unwrap());
    for (tenant, is_its_share) in [(&one, true), (&third, false)] {
        let permit = tenant.enter().unwrap();
        permit.charge_bytes(MAX_BODY).unwrap();
        let refused = permit.large_body().await.unwrap_err();
        assert_eq!(matches!(refused, NoPlace::Share(_)), is_its_share, "{refused:?}");
        drop(permit);
        assert_eq!(tenant.waits(), None);
    }
}

#[tokio::test]
async fn a_large_body_that_comes_to_nothing_costs_as_much_as_the_largest_batch() {
    let quota = Quota::new(limits(1, MAX_EVENTS as u32, None), 1, MAX_EVENTS, MAX_BODY);
    let permit = quota.enter().unwrap();
    quota.enter().unwrap().charge_points(MAX_EVENTS / 2).unwrap();
    drop(permit.large_body().await.unwrap());
    drop(permit);
    assert!(quota.waits().is_some_and(|exceeded| exceeded.retry_after > Duration::from_secs(10)));
}
