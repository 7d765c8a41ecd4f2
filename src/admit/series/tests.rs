use std::hash::DefaultHasher;
use std::sync::Barrier;
use std::thread;

use super::sketch::Sketch;
use super::*;
use crate::config::DryRun;

/// 2026-09-21T14:13:20Z
const NOW: UnixNanos = 1_790_000_000_000_000_000;
// Estimates are of hashes under a key of chance: six standard errors and more are allowed here, so that no run fails by chance. The error
// itself is held to by `the_sketch_is_within_its_stated_error`.
const DETAILS: [Detail; 3] = [Detail::Full, Detail::NoSession, Detail::NoFreeTags];

fn limits(per_hour: u32, per_day: u32) -> Limits {
    Limits { series_per_hour: per_hour, series_per_day: per_day, ..Limits::generous() }
}

fn dry(hour: bool, day: bool, limits: Limits) -> Limits {
    Limits { dry_run: DryRun { series_per_hour: hour, series_per_day: day, ..DryRun::default() }, ..limits }
}

/// Asks in a request of its own.
fn asked(budget: &SeriesBudget, at: UnixNanos, detail: Detail, series: &str) -> bool {
    budget.judge("acme", at).admits(detail, series.as_bytes(), &[("tag", series)])
}

/// How many of the whole series `prefix0`, `prefix1`, … pass.
fn passed(budget: &SeriesBudget, at: UnixNanos, prefix: &str, count: u32) -> u32 {
    let mut judge = budget.judge("acme", at);
    let admits = |n: &u32| {
        let series = format!("{prefix}{n}");
        judge.admits(Detail::Full, series.as_bytes(), &[("tag", &series), ("constant", "same")])
    };
    (0..count).filter(admits).count() as u32
}

#[test]
fn the_budget_is_exact_and_what_was_seen_passes_on() {
    let budget = SeriesBudget::new(&limits(1_000, 5_000));
    assert_eq!(passed(&budget, NOW, "s", 3_000), 1_000);
    assert_eq!(passed(&budget, NOW + 1, "s", 1_000), 1_000, "the first thousand were seen");
    assert!(!asked(&budget, NOW, Detail::Full, "s1000"));
    assert_eq!(budget.series(NOW), [1_000, 1_000]);
}

#[test]
fn the_reserves_are_bounded_and_bare_always_passes() {
    for (setting, reserve) in [(1, 50), (1_000, 50), (2_000, 100)] {
        let budget = SeriesBudget::new(&limits(setting, 1_000_000));
        let passed: Vec<usize> = DETAILS
            .map(|detail| (0..5_000).filter(|n| asked(&budget, NOW, detail, &format!("{detail:?}{n}"))).count())
            .to_vec();
        assert_eq!(passed, [setting as usize, reserve, reserve]);
        assert!((0..5_000).all(|n| asked(&budget, NOW, Detail::Bare, &format!("bare{n}"))));
        assert_eq!(budget.series(NOW)[0], u64::from(setting) + 2 * reserve as u64);
    }
}

#[test]
fn less_detail_takes_from_the_budget_while_that_has_room() {
    let budget = SeriesBudget::new(&limits(100, 1_000));
    assert!((0..100).all(|n| asked(&budget, NOW, Detail::NoSession, &format!("n{n}"))));
    assert!(!asked(&budget, NOW, Detail::Full, "new"));
    assert!(asked(&budget, NOW, Detail::Full, "n7"), "seen is seen, whatever it was asked as");
}

#[test]
fn each_hour_is_a_new_one_and_the_day_goes_on() {
    let budget = SeriesBudget::new(&limits(100, 250));
    let hours: Vec<_> = (0..4).map(|hour| passed(&budget, NOW + hour * HOUR, &format!("{hour}-"), 200)).collect();
    assert_eq!(hours, [100, 100, 50, 0]);
    assert_eq!(passed(&budget, NOW + 4 * HOUR, "0-", 100), 100, "known today");
    assert_eq!(passed(&budget, NOW + DAY, "new-", 200), 100);
    assert_eq!(budget.series(NOW + DAY), [100, 100]);
    assert_eq!(budget.series(NOW + 2 * DAY), [0, 0], "nobody sent anything: the look alone begins the day");
}

#[test]
fn requests_in_no_order_at_the_edge_of_an_hour_bring_no_second_budget() {
    let edge = (NOW / HOUR + 1) * HOUR;
    let budget = SeriesBudget::new(&limits(100, 10_000));
    assert_eq!(passed(&budget, edge - 1, "before", 200), 100);
    let mut all = 0;
    for round in 0..50 {
        all += passed(&budget, edge + round, &format!("after{round}-"), 10);
        all += passed(&budget, edge - 1 - 3 * HOUR, &format!("late{round}-"), 10);
    }
    assert_eq!(all, 100);
}

#[test]
fn a_clock_that_was_a_year_ahead_does_not_stop_the_windows_for_a_year() {
    let budget = SeriesBudget::new(&limits(100, 100));
    assert_eq!(passed(&budget, NOW + 365 * DAY, "future", 200), 100);
    assert_eq!(passed(&budget, NOW, "now", 200), 100);
    assert_eq!(budget.usage(NOW)[0].start, NOW / HOUR * HOUR);
    assert_eq!(budget.usage(NOW)[1].start, NOW / DAY * DAY);
}

#[test]
fn a_dry_run_counts_and_changes_nothing() {
    let budget = SeriesBudget::new(&dry(true, true, limits(1_000, 2_000)));
    assert_eq!(passed(&budget, NOW, "s", 20_000), 20_000);
    let [hour, day] = budget.usage(NOW);
    assert_eq!((hour.series, day.series), (1_000, 2_000), "no more is remembered than would be without dry_run");
    assert!(
        hour.beyond.abs_diff(19_000) < 1_900 && day.beyond.abs_diff(18_000) < 1_800,
        "{} {}",
        hour.beyond,
        day.beyond
    );
    assert!(hour.dry_run && day.dry_run);
}

#[test]
fn a_dry_run_of_one_window_leaves_the_other_in_force() {
    let hour_only = SeriesBudget::new(&dry(false, true, limits(100, 10)));
    assert_eq!(passed(&hour_only, NOW, "s", 1_000), 100);
    assert_eq!(
        passed(&hour_only, NOW, "s", 100),
        100,
        "what passed in this hour passes in it, the day's dry run or not"
    );
    let day_only = SeriesBudget::new(&dry(true, false, limits(10, 100)));
    assert_eq!(passed(&day_only, NOW, "s", 1_000), 100);
    assert_eq!(passed(&day_only, NOW + HOUR, "t", 1_000), 0);
}

#[test]
fn new_limits_keep_what_was_seen() {
    let before = SeriesBudget::new(&limits(100, 1_000));
    assert_eq!(passed(&before, NOW, "s", 500), 100);
    let after = before.reloaded(&limits(150, 1_000));
    assert_eq!(passed(&after, NOW, "s", 500), 150, "100 that were seen, and room for 50");
    assert_eq!(passed(&before, NOW, "t", 500), 0, "a request of the generation before counts with them");
    let lower = after.reloaded(&limits(20, 1_000));
    assert_eq!(passed(&lower, NOW, "s", 500), 150, "series that exist cost no more");
    assert!(!asked(&lower, NOW, Detail::Full, "new"));
}

#[test]
fn threads_that_race_get_the_budget_exactly() {
    let budget = SeriesBudget::new(&limits(5_000, 1_000_000));
    let barrier = Barrier::new(4);
    let passed: u32 = thread::scope(|scope| {
        let sender = |thread: u32| {
            let (budget, barrier) = (&budget, &barrier);
            move || {
                barrier.wait();
                (0..30).map(|request| passed(budget, NOW, &format!("{thread}-{request}-"), 100)).sum::<u32>()
            }
        };
        let threads: Vec<_> = (0..4).map(|thread| scope.spawn(sender(thread))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(passed, 5_000);
}

#[test]
fn a_metric_name_is_no_series_and_counts_like_one() {
    let budget = SeriesBudget::new(&limits(2, 1_000));
    let mut judge = budget.judge("acme", NOW);
    assert!(judge.admits(Detail::Full, b"mx", &[]) && judge.admits_metric("m", "x"));
    assert!(!judge.admits_metric("m", "y") && judge.admits_metric("m", "x"));
    assert_eq!(budget.series(NOW)[0], 2);
    let hour = &budget.usage(NOW)[0];
    assert_eq!(hour.metric_names.as_ref().unwrap().samples, ["y"], "x came before there was a reason to look");
}

#[test]
fn the_tag_that_makes_the_series_is_named_from_four_fifths_on() {
    let budget = SeriesBudget::new(&limits(1_000, 100_000));
    assert_eq!(passed(&budget, NOW, "value-", 800), 800);
    assert_eq!(budget.usage(NOW)[0].tags, []);
    assert_eq!(passed(&budget, NOW, "value-", 3_000), 1_000);
    let [hour, day] = budget.usage(NOW);
    let [(tag, distinct), (other, constant)] = &hour.tags[..] else { panic!("{:?}", hour.tags) };
    assert_eq!((tag.as_str(), other.as_str()), ("tag", "constant"));
    assert!(distinct.values.abs_diff(2_200) < 440, "{distinct:?}");
    assert_eq!(distinct.samples, ["value-800", "value-801", "value-802", "value-803", "value-804"]);
    assert_eq!(*constant, Distinct { values: 1, samples: vec!["same".to_owned()] });
    assert_eq!(day.tags, [], "the day is far from its budget");
    assert!(hour.beyond.abs_diff(2_000) < 200, "{}", hour.beyond);
}

#[test]
fn samples_are_cut_and_few_whatever_is_sent() {
    let budget = SeriesBudget::new(&limits(1, 1));
    let mut judge = budget.judge("acme", NOW);
    for n in 0..100 {
        let (key, value) = (format!("tag{n}"), format!("{}{n}", "é".repeat(128)));
        judge.admits(Detail::Full, value.as_bytes(), &[(&key, &value)]);
    }
    let [hour, _] = budget.usage(NOW);
    assert_eq!(hour.tags.len(), 64);
    assert!(hour.tags.iter().all(|(_, distinct)| distinct.samples == ["é".repeat(32)]), "{:?}", hour.tags[0]);
}

#[test]
fn a_series_that_was_seen_allocates_nothing() {
    let budget = SeriesBudget::new(&limits(10_000, 10_000));
    let series: Vec<_> = (0..1_000).map(|n| format!("frontend_performance,session_id=s-{n}")).collect();
    let all = || {
        let mut judge = budget.judge("acme", NOW);
        assert!(series.iter().all(|series| judge.admits(Detail::Full, series.as_bytes(), &[])));
        judge.finish();
    };
    all();
    assert_eq!(allocation_counter::measure(all).count_total, 0);
}

#[test]
fn a_flood_beyond_the_budget_stays_within_a_bound_of_memory_and_the_windows_end_frees_it() {
    let mut budget = None;
    let flood = allocation_counter::measure(|| {
        let series = SeriesBudget::new(&limits(50_000, 200_000));
        for request in 0..300 {
            passed(&series, NOW + request, &format!("{request}-"), 1_000);
        }
        assert_eq!(series.series(NOW), [50_000, 50_000]);
        budget = Some(series);
    });
    let budget = budget.expect("made above");
    // Two sets of 65,536 places of 9 bytes; while one grows, its half beside it. The sketches are some kilobytes.
    assert!(flood.bytes_current < 1_400_000 && flood.bytes_max < 2_000_000, "{flood:?}");
    let after = allocation_counter::measure(|| assert_eq!(budget.series(NOW + DAY), [0, 0]));
    assert!(after.bytes_current < -1_100_000, "{after:?}");
}

#[test]
fn the_sketch_is_within_its_stated_error() {
    // Deterministic: the hasher's keys are 0. docs/limits.md states three standard errors: 5% and 10%.
    let hash = |n: u64| {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(n);
        hasher.finish()
    };
    for (bits, most) in [(12, 0.05), (10, 0.1)] {
        for count in [0, 1, 2, 10, 100, 1_000, 5_000, 10_000, 20_000, 100_000, 1_000_000_u64] {
            for start in (0..3).map(|try_| try_ * 10_000_000).take(if count > 20_000 { 1 } else { 3 }) {
                let mut sketch = Sketch::new(bits);
                (start..start + count).chain(start..start + count / 2).for_each(|n| sketch.insert(hash(n)));
                let error = sketch.estimate().abs_diff(count) as f64 / count.max(1) as f64;
                let exact = count <= 10;
                assert!(error <= if exact { 0.0 } else { most }, "{bits} bits, {count}: {}", sketch.estimate());
            }
        }
    }
}
