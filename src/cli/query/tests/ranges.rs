use std::time::Duration;

use super::super::range::{Range, RangeArgs, ago, moment, nanos, round, show};
use super::super::words::length;

/// 2026-11-22T03:24:30Z
const NOW: i64 = 1_795_317_870_000_000_000;
const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_moment_is_read_with_any_offset_and_short_forms() {
    for (text, expected) in [
        ("2026-11-22T03:24:30Z", NOW),
        ("2026-11-22T04:24:30+01:00", NOW),
        ("2026-11-21T21:54:30-05:30", NOW),
        ("2026-11-22 03:24:30", NOW),
        ("2026-11-22t03:24:30.5z", NOW + 500_000_000),
        ("2026-11-22T03:24Z", NOW - 30_000_000_000),
        ("2026-11-22T04:24+01:00", NOW - 30_000_000_000),
        ("2026-11-22", NOW - (3 * 3600 + 24 * 60 + 30) * 1_000_000_000),
    ] {
        assert_eq!(moment(text), Ok(expected), "{text}");
    }
    for wrong in [
        "",
        "now",
        "yesterday",
        "2026-13-01",
        "2026-11-22T25:00Z",
        "2026-11-22T03:24:30+1:00",
        "2026-11-22T03:24:30+24:00",
        "2026-11-22T03:24:30Zx",
        "1950-01-01",
        "9999-01-01",
        "2026-11-22T03:24:30+01:0ä",
        "\u{feff}2026-11-22",
        "2026-11-22T-01:00",
        "1970-01-01T00:00+01:00",
        "2026-11-22T03:24:30Z\") |> drop()",
    ] {
        assert!(moment(wrong).is_err(), "{wrong:?}: {:?}", moment(wrong));
    }
}

#[test]
fn there_are_up_to_sixty_windows_on_round_steps() {
    for (range, every) in [
        ("1s", "1s"),
        ("59s", "1s"),
        ("5m", "5s"),
        ("15m", "30s"),
        ("1h", "1m"),
        ("6h", "10m"),
        ("12h", "15m"),
        ("24h", "30m"),
        ("7d", "3h"),
        ("30d", "12h"),
        ("60d", "24h"),
        ("365d", "7d"),
        ("10years", "61d"),
    ] {
        let range = Range::last(humantime::parse_duration(range).unwrap(), NOW);
        assert_eq!(length(range.every()), every, "{range:?}");
        assert!(range.length().as_secs().div_ceil(range.every().as_secs()) <= 60);
    }
    assert_eq!(round(Duration::from_secs(250)), Duration::from_secs(300));
}

#[test]
fn a_range_is_said_as_it_was_given_and_can_be_given_again() {
    let last = Range::last(Duration::from_secs(86_400), NOW);
    assert_eq!((last.said().as_str(), last.arguments().as_str()), ("the last 24h", "--since 24h"));
    assert_eq!(last.shown(), "2026-11-21 03:24:30 to 2026-11-22 03:24:30 UTC");
    assert_eq!(Range::last(HOUR, NOW).shown(), "2026-11-22 02:24:30 to 03:24:30 UTC");

    let args = RangeArgs { from: Some(NOW - nanos(HOUR)), until: Some(NOW), ..RangeArgs::default() };
    let range = Range::of(&args, HOUR, NOW + 5).expect("a range");
    assert_eq!(range.said(), "2026-11-22 02:24:30 to 03:24:30 UTC");
    assert_eq!(range.arguments(), "--from 2026-11-22T02:24:30Z --until 2026-11-22T03:24:30Z");
    assert!(!range.is_long());

    for (from, until) in [(NOW, Some(NOW)), (NOW + 1, Some(NOW)), (NOW + 1, None)] {
        let args = RangeArgs { from: Some(from), until, ..RangeArgs::default() };
        assert!(Range::of(&args, HOUR, NOW).is_err());
    }
}

#[test]
fn moments_are_as_short_as_the_range_allows() {
    for (range, every, expected) in [
        ("1h", 60, "03:24"),
        ("5m", 5, "03:24:30"),
        ("6h", 600, "03:24"),
        ("7d", 10_800, "11-22 03:24"),
        ("60d", 86_400, "11-22"),
    ] {
        let range = Range::last(humantime::parse_duration(range).unwrap(), NOW);
        assert_eq!(range.short(NOW, Duration::from_secs(every)), expected);
    }
    assert_eq!(show(NOW), "2026-11-22 03:24:30");
    assert_eq!(ago(NOW - 11_520_999_999_999, NOW), "3h 12m");
    assert_eq!(ago(NOW + 1, NOW), "0s", "another machine's clock");
}

#[test]
fn a_length_is_said_as_the_arguments_take_it() {
    for text in ["1s", "90s", "1m", "90m", "1h", "24h", "36h", "2d", "7d", "1s500ms"] {
        assert_eq!(length(humantime::parse_duration(text).unwrap()), text);
    }
}
