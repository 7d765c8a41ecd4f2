//! What InfluxDB should have, by the settings.

use std::time::Duration;

use influxdb2::models::permission::Action;
use secrecy::ExposeSecret as _;

use super::super::literal::Literal;
use super::super::script::{BindError, Input, Script};
use super::task;
use crate::config::{Baseline, Installation, InstalledTenant, Profile, Secret};

/// The rollup bucket of the defaults: tasks of which there is one bear no bucket in their name then.
const DEFAULT_ROLLUP_BUCKET: &str = "app_observability_rollup";

/// What of it all is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope {
    /// Whether buckets are made.
    pub(crate) buckets: bool,
    /// Whether tokens are made.
    pub(crate) tokens: bool,
    /// What becomes of tasks.
    pub(crate) tasks: Tasks,
    /// Whether the retention of a bucket that exists is changed.
    pub(crate) update_retention: bool,
}

/// What becomes of tasks, and of the secret that they read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Tasks {
    Install,
    Leave,
    Remove,
}

/// What there should be.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(super) scope: Scope,
    /// In the order in which they are said: the default bucket first.
    pub(super) buckets: Vec<Bucket>,
    pub(super) tokens: Vec<Token>,
    pub(super) tasks: Vec<Task>,
    pub(super) alert_url: Option<Secret>,
    /// What tells this installation's tasks from another's.
    pub(super) rollup_bucket: String,
    /// Whether there are settings to hold what exists against.
    pub(super) configured: bool,
}

/// A bucket, and how long it keeps points (zero: for ever).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Bucket {
    pub(super) name: String,
    pub(super) retention: Duration,
}

/// A token that may do one thing to some buckets and nothing else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Token {
    pub(super) description: String,
    pub(super) action: Action,
    pub(super) buckets: Vec<String>,
    /// Whether it may do that to the organisation: who reads that reads the buckets that are InfluxDB's own (`_monitoring`, `_tasks`), and a right to
    /// one of these alone is none.
    pub(super) organisation: bool,
}

/// A task by its name, with its whole text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Task {
    pub(super) name: String,
    pub(super) flux: String,
}

/// How many tasks are made of a script.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Each {
    Installation,
    Bucket,
    /// Only where somebody is expected: nobody else could be missed.
    BucketWithExpected,
}

/// The scripts of `flux/tasks`, and what the tasks that are made of them are called.
const SCRIPTS: [(&str, &str, Each); 6] = [
    ("tasks/rollup-1m", "rollup 1m", Each::Bucket),
    ("tasks/rollup-1h", "rollup 1h", Each::Installation),
    ("tasks/baseline", "baseline", Each::Installation),
    ("tasks/deadman", "deadman", Each::BucketWithExpected),
    ("tasks/series-growth", "series growth", Each::Bucket),
    ("tasks/task-failures", "task failures", Each::Installation),
];

impl Wanted {
    /// What these settings want, of these scripts.
    ///
    /// # Errors
    /// A script that cannot be bound, by name: a mistake of this program.
    pub(crate) fn of(installation: &Installation, scripts: &[Script], scope: Scope) -> Result<Self, String> {
        let rollup_bucket = &installation.answers.rollup_bucket;
        let raw = raw_buckets(installation);
        let mut buckets: Vec<Bucket> =
            raw.iter().map(|name| Bucket { name: name.clone(), retention: installation.retention }).collect();
        if !raw.contains(rollup_bucket) {
            let retention = installation.answers.rollup_retention;
            buckets.push(Bucket { name: rollup_bucket.clone(), retention });
        }
        let read = buckets.iter().map(|bucket| bucket.name.clone()).collect();
        let token = |verb: &str, action, buckets| {
            let description = format!("tagline {verb} {}", installation.bucket);
            Token { description, action, buckets, organisation: action == Action::Read }
        };
        let tokens = vec![token("write", Action::Write, raw), token("read", Action::Read, read)];
        Ok(Self {
            buckets: if scope.buckets { buckets } else { Vec::new() },
            tokens: if scope.tokens { tokens } else { Vec::new() },
            tasks: if scope.tasks == Tasks::Install { tasks(installation, scripts)? } else { Vec::new() },
            alert_url: installation.answers.alert_url.clone().filter(|_| scope.tasks == Tasks::Install),
            rollup_bucket: rollup_bucket.clone(),
            configured: installation.profile == Profile::Configured,
            scope,
        })
    }

    /// The alert URL, for the one who has to write it.
    pub(super) fn alert_url(&self) -> Option<&str> {
        self.alert_url.as_ref().map(|url| url.expose_secret())
    }

    /// The descriptions of the tokens that write and read.
    pub(crate) fn token_descriptions(&self) -> Option<(&str, &str)> {
        match self.tokens.as_slice() {
            [write, read] => Some((&write.description, &read.description)),
            _ => None,
        }
    }
}

/// The buckets that the gateway writes to, the default one first, then those of tenants in alphabetical order.
pub(crate) fn raw_buckets(installation: &Installation) -> Vec<String> {
    let mut own: Vec<&str> = installation.tenants.iter().filter_map(|tenant| tenant.bucket.as_deref()).collect();
    own.sort_unstable();
    own.dedup();
    let own = own.into_iter().filter(|name| *name != installation.bucket).map(str::to_owned);
    [installation.bucket.clone()].into_iter().chain(own).collect()
}

fn tasks(installation: &Installation, scripts: &[Script]) -> Result<Vec<Task>, String> {
    let rollup_bucket = &installation.answers.rollup_bucket;
    let mut tasks = Vec::new();
    for script in scripts {
        let wrong = |why: String| format!("flux/{}.flux: {why}", script.name);
        let (_, title, each) = SCRIPTS
            .iter()
            .find(|(name, ..)| *name == script.name)
            .ok_or_else(|| wrong("no task is made of it".to_owned()))?;
        let one = match each {
            Each::Installation => vec![installation.bucket.clone()],
            _ => raw_buckets(installation),
        };
        for bucket in one {
            let expected = expected(installation, &bucket);
            if *each == Each::BucketWithExpected && expected.is_empty() {
                continue;
            }
            let name = match each {
                Each::Installation if rollup_bucket == DEFAULT_ROLLUP_BUCKET => format!("{}{title}", task::PREFIX),
                Each::Installation => format!("{}{title} {rollup_bucket}", task::PREFIX),
                _ => format!("{}{title} {bucket}", task::PREFIX),
            };
            let bound = bound(script, installation, &bucket, &expected, None).map_err(|error| error.to_string())?;
            let flux = task::installed(&bound, &name, rollup_bucket).map_err(wrong)?;
            tasks.push(Task { name, flux });
        }
    }
    Ok(tasks)
}

/// Who would be missed in this bucket.
fn expected<'i>(installation: &'i Installation, bucket: &str) -> Vec<&'i InstalledTenant> {
    let writes_here = |tenant: &&InstalledTenant| tenant.bucket.as_deref().unwrap_or(&installation.bucket) == bucket;
    installation.tenants.iter().filter(writes_here).filter(|tenant| tenant.expect_within.is_some()).collect()
}

/// A rollup's script for a time of the past, in nanoseconds since 1970.
pub(crate) fn filling(
    script: &Script,
    installation: &Installation,
    bucket: &str,
    start: i64,
    stop: i64,
) -> Result<String, BindError> {
    bound(script, installation, bucket, &[], Some((start, stop)))
}

/// The script with the settings in the place of its defaults, as far as it has such inputs; the others are the script's own.
fn bound(
    script: &Script,
    installation: &Installation,
    bucket: &str,
    expected: &[&InstalledTenant],
    range: Option<(i64, i64)>,
) -> Result<String, BindError> {
    let answers = &installation.answers;
    let baseline = script.name == "tasks/baseline";
    let value = |input: &Input| -> Option<Literal> {
        let Baseline { weeks, min_events, floor, factor } = answers.baseline;
        Some(match input.name {
            "bucket" => Literal::text(bucket),
            "rollup_bucket" => Literal::text(&answers.rollup_bucket),
            "start" => Literal::moment(range?.0),
            "stop" => Literal::moment(range?.1),
            "notify" => Literal::text(if answers.alert_url.is_some() { "on" } else { "off" }),
            "expected" => Literal::list(expected.iter().map(|tenant| {
                let within = Literal::duration(tenant.expect_within.unwrap_or_default());
                Literal::record([("tenant_id", Literal::text(tenant.id.as_str())), ("within", within)])
            })),
            // Other checks have thresholds of the same names, which no setting names.
            "weeks" if baseline => Literal::int(weeks.into()),
            "min_events" if baseline => Literal::int(min_events.into()),
            "floor" if baseline => Literal::duration(floor),
            "factor" if baseline => Literal::float(factor),
            _ => return None,
        })
    };
    let inputs = script.inputs();
    let values: Vec<_> = inputs.iter().filter_map(|input| value(input).map(|value| (input.name, value))).collect();
    script.bind(&values)
}
