use super::*;

#[test]
fn receipts_are_unique_and_grow() {
    let ticks = Ticks::default();
    let times: Vec<_> = [100, 100, 99, 200, 150].map(|now| ticks.receipt(now)).to_vec();
    assert_eq!(times, [100, 101, 102, 200, 201]);
}

#[test]
fn a_clock_set_back_far_is_believed() {
    let ticks = Ticks::default();
    ticks.receipt(3_600_000_000_000);
    assert_eq!(ticks.receipt(1_000), 1_000);
}

#[test]
fn receipts_of_many_threads_are_unique() {
    let ticks = Ticks::default();
    let mut times: Vec<i64> = std::thread::scope(|scope| {
        let each = || (0..10_000).map(|_| ticks.receipt(5)).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(each)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    times.sort_unstable();
    times.dedup();
    assert_eq!(times.len(), 40_000);
}

#[test]
fn the_low_digits_without_seq_are_the_lane_and_a_counter() {
    let ticks = Ticks::default();
    let digits: Vec<_> = (0..1_001).map(|_| ticks.low_digits(42)).collect();
    assert_eq!(digits[..3], [42_000, 42_001, 42_002]);
    assert_eq!(digits[1_000], 42_000, "the lane's thousand comes round");
    assert_eq!(ticks.low_digits(999), 999_001);
}

mod property {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(crate::property::config(64))]

        /// What `docs/data-model.md` says of the counter: two events of one millisecond meet when a multiple of 1,000 lies between them, and
        /// never otherwise; two lanes never do.
        #[test]
        fn only_events_a_multiple_of_a_thousand_apart_have_the_same_low_digits(
            before in 0_usize..5_000, apart in 1_usize..5_000, lane in 0_u16..1_000, other in 0_u16..1_000,
        ) {
            let ticks = Ticks::default();
            let digits: Vec<i64> = (0..=before + apart).map(|_| ticks.low_digits(lane)).collect();
            prop_assert_eq!(digits[before] == digits[before + apart], apart % 1_000 == 0);
            prop_assert!(digits.iter().all(|digits| (0..1_000_000).contains(digits)));
            let there = Ticks::default();
            let shared = digits.iter().any(|digits| there.low_digits(other) == *digits);
            prop_assert_eq!(shared, lane == other);
        }
    }
}

#[test]
fn milliseconds_are_floored_and_whole_ones_stay_exact() {
    for (sent, wanted) in [
        (Number::Int(1_790_000_000_000), 1_790_000_000_000),
        (Number::Float(1_790_000_000_000.999), 1_790_000_000_000),
        (Number::Float(-0.5), -1),
        (Number::Int(i64::MAX), i64::MAX),
    ] {
        assert_eq!(millis(sent), Ok(wanted));
    }
    for bad in [f64::NAN, f64::INFINITY, 1e300, -1e300] {
        assert_eq!(millis(Number::Float(bad)).unwrap_err().reason, Reason::BadTimestamp);
    }
}

#[test]
fn only_what_influxdb_can_store_is_a_time() {
    assert_eq!(nanos(0, 7), Ok(7));
    assert_eq!(nanos(-1, 7), Ok(-999_993));
    assert_eq!(nanos(9_223_372_036_854, 775_806), Ok(i64::MAX - 1));
    assert_eq!(nanos(-9_223_372_036_854, 0), Ok(-9_223_372_036_854_000_000));
    for (millis, low) in
        [(9_223_372_036_854, 775_807), (9_223_372_036_855, 0), (-9_223_372_036_856, 0), (i64::MAX, 0), (i64::MIN, 0)]
    {
        assert_eq!(nanos(millis, low).unwrap_err().reason, Reason::BadTimestamp, "{millis}");
    }
}

#[test]
fn a_small_skew_is_left_alone() {
    let received = 1_790_000_000_000_000_000;
    for (sent_at, wanted) in [
        (None, 0),
        (Some(1_790_000_000_000.0), 0),
        (Some(1_789_999_940_000.0), 0),
        (Some(1_789_999_939_999.0), 60_001),
        (Some(1_790_000_060_000.9), 0),
        (Some(1_790_000_060_001.9), -60_001),
        (Some(0.0), 1_790_000_000_000),
        (Some(f64::NAN), 0),
        (Some(1e300), 0),
    ] {
        assert_eq!(offset(sent_at, received, 60_000), wanted, "{sent_at:?}");
    }
}
