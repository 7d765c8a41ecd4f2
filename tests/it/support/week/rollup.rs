//! The rollups of the week, reckoned here and not by InfluxDB: the same rows as `flux/tasks/rollup-1m.flux` and `rollup-1h.flux` write, which a test
//! holds against each other. Over a whole week of few events the tasks would take minutes; they are made to run every minute.

use super::events::Event;
use super::shape::HOUR_MS;
use std::collections::BTreeMap;
use std::fmt::Write as _;

const MINUTE_MS: i64 = 60_000;

/// A minute, and whose and which action it is of.
type Key = (i64, &'static str, &'static str, &'static str);

/// All durations, by minute.
#[derive(Debug, Default)]
pub struct Durations(BTreeMap<Key, Vec<u32>>);

/// How wide the windows of a rollup are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    Minute,
    Hour,
}

impl Durations {
    /// Takes an event.
    pub fn see(&mut self, event: &Event) {
        let key = (event.time_ms / MINUTE_MS, event.tenant, event.view, event.action);
        self.0.entry(key).or_default().push(event.duration_ms);
    }

    /// Takes what another took.
    pub fn join(&mut self, other: Self) {
        other.0.into_iter().for_each(|(key, durations)| self.0.entry(key).or_default().extend(durations));
    }

    /// The rows of all windows that begin at `from_ms` or later and are over at `end_ms`, as line protocol.
    pub fn lines(&self, step: Step, from_ms: i64, end_ms: i64) -> Vec<String> {
        let (measurement, length_ms) = match step {
            Step::Minute => ("frontend_performance_1m", MINUTE_MS),
            Step::Hour => ("frontend_performance_1h", HOUR_MS),
        };
        let mut windows: BTreeMap<Key, Vec<u32>> = BTreeMap::new();
        for ((minute, tenant, view, action), durations) in &self.0 {
            let begin = minute * MINUTE_MS / length_ms * length_ms;
            if begin >= from_ms && begin + length_ms <= end_ms {
                windows.entry((begin, tenant, view, action)).or_default().extend(durations);
            }
        }
        let line = |((begin, tenant, view, action), durations): (Key, Vec<u32>)| {
            let fields = fields(step, durations);
            format!("{measurement},action_name={action},tenant_id={tenant},view_name={view} {fields} {begin}000000")
        };
        windows.into_iter().map(line).collect()
    }
}

fn fields(step: Step, mut durations: Vec<u32>) -> String {
    durations.sort_unstable();
    let mut buckets: BTreeMap<u32, usize> = BTreeMap::new();
    durations.iter().for_each(|duration| *buckets.entry(bucket(*duration)).or_default() += 1);
    let percentile = |q: f64| {
        let rank = q * durations.len() as f64;
        if step == Step::Minute {
            return f64::from(durations[rank.ceil() as usize - 1]);
        }
        // The bucket of the event of this rank.
        let mut until = 0;
        let reached = buckets.iter().find(|(_, count)| {
            until += **count;
            until as f64 >= rank
        });
        let (bucket, _) = reached.expect("all events are in buckets");
        ((f64::from(*bucket) - 0.5) / 20.0).exp2()
    };
    let mut text = format!(
        "count={},sum={},min={},max={},p50={},p95={},p99={}",
        durations.len(),
        durations.iter().map(|duration| u64::from(*duration)).sum::<u64>(),
        durations[0],
        durations[durations.len() - 1],
        percentile(0.5),
        percentile(0.95),
        percentile(0.99),
    );
    for (bucket, count) in buckets {
        let _ = write!(text, ",b{bucket:04}={count}");
    }
    text
}

/// The bucket of a duration: 20 for each power of two.
fn bucket(duration_ms: u32) -> u32 {
    if duration_ms <= 1 { 0 } else { (20.0 * f64::from(duration_ms).log2()).ceil() as u32 }
}
