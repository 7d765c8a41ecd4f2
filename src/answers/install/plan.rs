//! What there is, held against what there should be. No I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use influxdb2::models::permission::Action as Right;

use super::wanted::{Bucket, Task, Token};
use super::{ALERT_URL, Tasks, Wanted, diff, task};

/// What InfluxDB has, as far as it is asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// By name: of those that are wanted.
    pub(super) buckets: BTreeMap<String, FoundBucket>,
    /// The organisation's tokens.
    pub(super) tokens: Vec<FoundToken>,
    /// The organisation's tasks.
    pub(super) tasks: Vec<FoundTask>,
    /// The secret that holds the alert URL.
    pub(super) alert_url: FoundSecret,
}

#[derive(Clone, Debug)]
pub(super) struct FoundBucket {
    pub(super) id: String,
    pub(super) retention: Duration,
}

#[derive(Clone, Debug)]
pub(super) struct FoundToken {
    pub(super) id: String,
    pub(super) description: String,
    /// What it may do to what; `None`: it may do something else besides.
    pub(super) rights: Option<BTreeSet<(Right, To)>>,
}

/// What a token has a right to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum To {
    /// A bucket's id.
    Bucket(String),
    Organisation,
}

#[derive(Clone, Debug)]
pub(super) struct FoundTask {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) flux: String,
    pub(super) description: String,
    pub(super) active: bool,
}

/// A secret of InfluxDB: it shows which there are, and not what is in them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum FoundSecret {
    #[default]
    Absent,
    /// It is what is wanted.
    Same,
    /// It is something else.
    Other,
    /// It is there; this InfluxDB cannot tell whether it is the same.
    Untold,
}

/// What a step is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mark {
    /// It is not there and is made.
    Create,
    /// It differs and is changed.
    Change,
    /// It is as it should be.
    Keep,
    /// It is ours, wanted no more, and removed.
    Remove,
    /// It differs, and stays so.
    Leave,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "+",
            Self::Change => "~",
            Self::Keep => "=",
            Self::Remove => "-",
            Self::Leave => "!",
        })
    }
}

/// One thing, and what is done about it.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) mark: Mark,
    /// `task "tagline rollup 1h"`, and a few words.
    pub(crate) what: String,
    /// How it differs, line by line.
    pub(crate) details: Vec<String>,
    pub(crate) action: Option<Action>,
}

/// What is to be done; ids are InfluxDB's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Action {
    CreateBucket { name: String, retention: Duration },
    SetRetention { id: String, retention: Duration },
    CreateToken { description: String, right: Right, buckets: Vec<String>, organisation: bool },
    WriteAlertUrl,
    CreateTask { flux: String },
    UpdateTask { id: String, flux: String },
    DeleteTask { id: String },
}

/// The steps, in the order in which they are done.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
}

impl Plan {
    /// How many steps change something.
    pub(crate) fn changes(&self) -> usize {
        self.steps.iter().filter(|step| !matches!(step.mark, Mark::Keep | Mark::Leave)).count()
    }

    fn say(&mut self, mark: Mark, what: String, action: Option<Action>) {
        self.steps.push(Step { mark, what, details: Vec::new(), action });
    }
}

/// What is to be done so that `found` becomes `wanted`.
pub(crate) fn plan(found: &Found, wanted: &Wanted) -> Plan {
    let mut plan = Plan::default();
    for bucket in &wanted.buckets {
        one_bucket(&mut plan, found, bucket, wanted.scope.update_retention);
    }
    for token in &wanted.tokens {
        one_token(&mut plan, found, token);
    }
    match wanted.scope.tasks {
        Tasks::Leave => {}
        Tasks::Install => {
            secret(&mut plan, found.alert_url, wanted);
            tasks(&mut plan, found, wanted);
        }
        Tasks::Remove => tasks(&mut plan, found, wanted),
    }
    plan
}

fn one_bucket(plan: &mut Plan, found: &Found, bucket: &Bucket, update_retention: bool) {
    let Bucket { name, retention } = bucket;
    let Some(FoundBucket { id, retention: kept }) = found.buckets.get(name) else {
        let action = Action::CreateBucket { name: name.clone(), retention: *retention };
        plan.say(Mark::Create, format!("bucket {name:?}: keeps points for {}", period(*retention)), Some(action));
        return;
    };
    let (id, kept) = (id.clone(), *kept);
    if kept == *retention {
        plan.say(Mark::Keep, format!("bucket {name:?}: keeps points for {}", period(kept)), None);
    } else if update_retention {
        let less = kept.is_zero() || (!retention.is_zero() && *retention < kept);
        let loss = if less { ", and deletes what is older" } else { "" };
        let what = format!("bucket {name:?}: keeps points for {}, not for {}{loss}", period(*retention), period(kept));
        plan.say(Mark::Change, what, Some(Action::SetRetention { id, retention: *retention }));
    } else {
        let what = format!(
            "bucket {name:?}: keeps points for {}, not for {}; left, since a shorter time deletes points (--update-retention changes it)",
            period(kept),
            period(*retention)
        );
        plan.say(Mark::Leave, what, None);
    }
}

fn one_token(plan: &mut Plan, found: &Found, token: &Token) {
    let Token { description, action, buckets, organisation } = token;
    let verb = if *action == Right::Write { "writes to" } else { "reads" };
    let named: Vec<String> = buckets.iter().map(|name| format!("{name:?}")).collect();
    let own = if *organisation { " and InfluxDB's own (_monitoring)" } else { "" };
    let what = format!("token {description:?}: {verb} {}{own}, and nothing else", named.join(", "));
    let same_name: Vec<&FoundToken> = found.tokens.iter().filter(|known| known.description == *description).collect();
    match right_token(found, token) {
        Some(_) => plan.say(Mark::Keep, what, None),
        None => {
            let (description, buckets) = (description.clone(), buckets.clone());
            let (right, organisation) = (*action, *organisation);
            plan.say(Mark::Create, what, Some(Action::CreateToken { description, right, buckets, organisation }));
        }
    }
    let right = right_token(found, token).map(|known| known.id.as_str());
    for other in same_name.into_iter().filter(|known| Some(known.id.as_str()) != right) {
        let what = format!(
            "token {description:?} with other rights: left, since something may use it; when nothing does: influx auth delete --id {}",
            other.id
        );
        plan.say(Mark::Leave, what, None);
    }
}

/// The token of this name that may do just what is wanted.
pub(super) fn right_token<'f>(found: &'f Found, token: &Token) -> Option<&'f FoundToken> {
    let bucket = |name: &String| Some((token.action, To::Bucket(found.buckets.get(name)?.id.clone())));
    let mut rights: BTreeSet<(Right, To)> = token.buckets.iter().map(bucket).collect::<Option<_>>()?;
    rights.extend(token.organisation.then_some((token.action, To::Organisation)));
    found.tokens.iter().find(|known| known.description == token.description && known.rights.as_ref() == Some(&rights))
}

fn secret(plan: &mut Plan, found: FoundSecret, wanted: &Wanted) {
    let write = Some(Action::WriteAlertUrl);
    let what = |rest: &str| format!("secret {ALERT_URL}{rest}");
    match (wanted.alert_url.is_some(), found) {
        (true, FoundSecret::Absent) => plan.say(Mark::Create, what(": where the tasks send alerts"), write),
        (true, FoundSecret::Same) => plan.say(Mark::Keep, what(""), None),
        (true, FoundSecret::Other) => plan.say(Mark::Change, what(": holds another URL"), write),
        (true, FoundSecret::Untold) => {
            plan.say(Mark::Change, what(": this InfluxDB cannot tell whether it is the same"), write);
        }
        (false, FoundSecret::Absent) => {}
        (false, _) if wanted.configured => {
            let rest = ": no setting names an alert URL; left, and not used (influx secret delete --key removes it)";
            plan.say(Mark::Leave, what(rest), None);
        }
        (false, _) => {}
    }
}

fn tasks(plan: &mut Plan, found: &Found, wanted: &Wanted) {
    let mut left: Vec<&FoundTask> = found.tasks.iter().collect();
    left.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    for wanted_task in &wanted.tasks {
        let ours = |known: &&FoundTask| known.name == wanted_task.name && is_ours(known, wanted);
        match left.iter().position(ours) {
            Some(at) => one_task(plan, left.remove(at), wanted_task, wanted.configured),
            None => {
                let action = Action::CreateTask { flux: wanted_task.flux.clone() };
                plan.say(Mark::Create, format!("task {:?}", wanted_task.name), Some(action));
            }
        }
    }
    for known in left {
        let wanted_too = wanted.tasks.iter().any(|task| task.name == known.name);
        let name = &known.name;
        if is_marked(known, wanted) {
            let action = Some(Action::DeleteTask { id: known.id.clone() });
            if wanted_too {
                plan.say(Mark::Remove, format!("task {name:?}: a second one ({})", known.id), action);
            } else if wanted.configured || wanted.scope.tasks == Tasks::Remove {
                plan.say(Mark::Remove, format!("task {name:?}"), action);
            } else {
                plan.say(
                    Mark::Leave,
                    format!("task {name:?}: not of these defaults; left, since no settings are given"),
                    None,
                );
            }
        } else if task::mark_of(&known.flux).is_some() {
            let what = format!("task {name:?} ({}): another installation's, or a copy of one of ours; left", known.id);
            plan.say(Mark::Leave, what, None);
        } else if wanted_too {
            plan.say(Mark::Leave, format!("task {name:?} ({}): not made by setup; left", known.id), None);
        }
    }
}

fn one_task(plan: &mut Plan, known: &FoundTask, wanted: &Task, configured: bool) {
    let Task { name, flux } = wanted;
    let off = if known.active {
        String::new()
    } else {
        format!("; it is switched off, and stays so (influx task update --id {} --status active)", known.id)
    };
    if known.flux == *flux {
        plan.say(if known.active { Mark::Keep } else { Mark::Leave }, format!("task {name:?}{off}"), None);
        return;
    }
    let (mark, action, rest) = if configured {
        (Mark::Change, Some(Action::UpdateTask { id: known.id.clone(), flux: flux.clone() }), "")
    } else {
        (Mark::Leave, None, ": differs from the defaults; left, since no settings are given (--config FILE)")
    };
    let what = format!("task {name:?}{rest}{off}");
    plan.steps.push(Step { mark, what, details: diff::lines(&known.flux, flux), action });
}

/// Whether setup made it for this installation under the name that it bears.
fn is_marked(known: &FoundTask, wanted: &Wanted) -> bool {
    known.name.starts_with(task::PREFIX)
        && task::mark_of(&known.flux) == Some(task::mark(&known.name, &wanted.rollup_bucket).as_str())
}

/// The same, also where somebody took the mark out of the text: what is put back then is a task, and nothing is removed.
fn is_ours(known: &FoundTask, wanted: &Wanted) -> bool {
    is_marked(known, wanted) || (known.description == task::DESCRIPTION && task::mark_of(&known.flux).is_none())
}

/// In words.
fn period(retention: Duration) -> String {
    if retention.is_zero() { "ever".to_owned() } else { setting(retention) }
}

/// As `influxdb.retention` takes it; zero is for ever.
pub(crate) fn setting(retention: Duration) -> String {
    const DAY: u64 = 86_400;
    match retention.as_secs() {
        seconds if seconds > 0 && seconds % DAY == 0 => format!("{}d", seconds / DAY),
        _ => humantime::format_duration(retention).to_string(),
    }
}
