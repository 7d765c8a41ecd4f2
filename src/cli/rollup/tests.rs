use super::*;

/// 2026-01-31T00:00:00Z
const MIDNIGHT: UnixNanos = 1_769_817_600 * SECOND;

fn told(windows: &[Window]) -> Vec<String> {
    let clock = |at: UnixNanos| rfc3339(at).replace("2026-0", "").replace(":00Z", "");
    let one = |window: &Window| {
        format!("{} {} {}..{}", window.script, window.bucket, clock(window.start), clock(window.stop))
    };
    windows.iter().map(one).collect()
}

#[test]
fn a_day_is_its_minutes_by_hour_and_bucket_and_then_its_hours() {
    let buckets = ["a".to_owned(), "b".to_owned()];
    let since = MIDNIGHT - HOUR - 20 * MINUTE;
    let windows = windows(&buckets, since, MIDNIGHT + 90 * MINUTE);
    let expected = [
        "rollup-1m a 1-30T22:00..1-30T23:00",
        "rollup-1m b 1-30T22:00..1-30T23:00",
        "rollup-1m a 1-30T23:00..1-31T00:00",
        "rollup-1m b 1-30T23:00..1-31T00:00",
        "rollup-1h a 1-30T22:00..1-31T00:00",
        "rollup-1m a 1-31T00:00..1-31T01:00",
        "rollup-1m b 1-31T00:00..1-31T01:00",
        "rollup-1m a 1-31T01:00..1-31T01:30",
        "rollup-1m b 1-31T01:00..1-31T01:30",
        "rollup-1h a 1-31T00:00..1-31T01:00",
    ];
    assert_eq!(told(&windows), expected);
}

#[test]
fn windows_leave_no_gap_and_overlap_nowhere() {
    let buckets = ["a".to_owned()];
    for (since, until) in [(0, DAY), (5 * MINUTE, 50 * HOUR + MINUTE), (23 * HOUR, 25 * HOUR), (DAY - 1, DAY + MINUTE)]
    {
        for script in ["rollup-1m", "rollup-1h"] {
            let windows = windows(&buckets, MIDNIGHT + since, MIDNIGHT + until);
            let ours: Vec<&Window> = windows.iter().filter(|window| window.script == script).collect();
            assert_eq!(ours[0].start, MIDNIGHT + since - since.rem_euclid(HOUR));
            let whole = if script == "rollup-1m" { MINUTE } else { HOUR };
            assert_eq!(ours.last().unwrap().stop, MIDNIGHT + until - until.rem_euclid(whole));
            // InfluxDB refuses a range that is empty, and the scripts cut theirs to whole minutes and hours.
            assert!(
                ours.iter().all(|one| one.start % whole == 0 && one.start < one.stop - one.stop % whole),
                "{ours:?}"
            );
            assert!(ours.windows(2).all(|two| two[0].stop == two[1].start && two[0].stop % HOUR == 0), "{ours:?}");
        }
    }
}

#[test]
fn an_hour_that_is_not_over_is_left_to_its_minutes() {
    let (buckets, since) = (["a".to_owned()], MIDNIGHT + 10 * MINUTE);
    assert_eq!(told(&windows(&buckets, since, since + 5 * MINUTE)), ["rollup-1m a 1-31T00:00..1-31T00:15"]);
}

#[test]
fn a_time_is_so_long_ago_or_a_moment() {
    let now = MIDNIGHT;
    assert_eq!(When::parse("7d").unwrap().at(now), MIDNIGHT - 7 * DAY);
    assert_eq!(When::parse("2026-01-31").unwrap().at(now), MIDNIGHT);
    assert_eq!(When::parse("2026-01-31T01:00:00+01:00").unwrap().at(now), MIDNIGHT);
    assert!(When::parse("yesterday").unwrap_err().contains("7d"));
}
