//! The plan in words, on standard error.

use serde_json::{Value, json};

use super::Target;
use crate::answers::install::{Mark, Plan, Step};

/// Says each step.
pub(super) fn plan(plan: &Plan, target: &Target) {
    eprintln!("{}, organisation {:?}:", target.url, target.org);
    for step in &plan.steps {
        eprintln!("  {} {}", step.mark, step.what);
        for line in &step.details {
            eprintln!("      {line}");
        }
    }
}

/// The last line of a dry run.
pub(super) fn not_done(plan: &Plan) {
    match changes(plan) {
        None => eprintln!("Nothing would change."),
        Some(changes) => eprintln!("{changes}: none was made (--dry-run)."),
    }
}

/// The last line of a run.
pub(super) fn done(plan: &Plan) {
    match changes(plan) {
        None => eprintln!("Nothing had to change."),
        Some(changes) => eprintln!("{changes} made."),
    }
    let begun = |step: &Step| step.mark == Mark::Create && step.what.starts_with("task \"tagline rollup 1m");
    if plan.steps.iter().any(begun) {
        eprintln!("Rollups are made from now on; `tagline rollup --since 7d` makes those of the past.");
    }
}

fn changes(plan: &Plan) -> Option<String> {
    match plan.changes() {
        0 => None,
        1 => Some("1 change".to_owned()),
        more => Some(format!("{more} changes")),
    }
}

/// The plan for a script.
pub(super) fn json(plan: &Plan) -> Value {
    let steps = plan.steps.iter().map(|step| {
        let mark = match step.mark {
            Mark::Create => "create",
            Mark::Change => "change",
            Mark::Keep => "keep",
            Mark::Remove => "remove",
            Mark::Leave => "leave",
        };
        json!({ "do": mark, "what": step.what, "details": step.details })
    });
    json!({ "changes": plan.changes(), "steps": steps.collect::<Vec<_>>() })
}
