use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use influxdb2::models::permission::Action as Right;

use super::plan::{Action, Found, FoundBucket, FoundSecret, FoundTask, FoundToken, Mark, Plan, To, plan};
use super::wanted::{Scope, Tasks, Wanted};
use super::{diff, task};
use crate::answers::{Script, library};
use crate::config::{Answers, Baseline, Installation, InstalledTenant, Profile, Secret, TenantId};

const DAY: Duration = Duration::from_secs(86_400);

const ROLLUP: Script = Script {
    name: "tasks/rollup-1m",
    text: "// What was it like?\n\noption task = {name: \"rollup\", every: 1m, offset: 10s}\n\nbucket = \"b\" // where\nrollup_bucket = \"r\"\nstart = -10m\n\nfrom(bucket: bucket)\n",
};
const HOURS: Script = Script {
    name: "tasks/rollup-1h",
    text: "// And an hour?\noption task = {every: 10m, name: \"x\"}\n\nrollup_bucket = \"r\"\nnotify = \"off\"\nfactor = 9.0\n\nfrom(bucket: rollup_bucket)\n",
};
const DEADMAN: Script = Script {
    name: "tasks/deadman",
    text: "// Who is silent?\noption task = {name: \"x\", every: 1m}\n\nbucket = \"b\"\nexpected = [{tenant_id: \"a\", within: 1m}]\n\nfrom(bucket: bucket)\n",
};
const SCRIPTS: &[Script] = &[ROLLUP, HOURS, DEADMAN];

const ALL: Scope = Scope { buckets: true, tokens: true, tasks: Tasks::Install, update_retention: false };

fn tenant(id: &str, bucket: Option<&str>, minutes: Option<u64>) -> InstalledTenant {
    InstalledTenant {
        id: TenantId::parse(id).unwrap(),
        bucket: bucket.map(Arc::from),
        expect_within: minutes.map(|minutes| Duration::from_secs(60 * minutes)),
    }
}

fn installation(tenants: Vec<InstalledTenant>) -> Installation {
    Installation {
        profile: Profile::Configured,
        url: None,
        org: None,
        bucket: "events".to_owned(),
        retention: 30 * DAY,
        tenants,
        answers: Answers {
            source: None,
            rollup_bucket: "app_observability_rollup".to_owned(),
            rollup_retention: 400 * DAY,
            trace_url: None,
            alert_url: None,
            baseline: Baseline { weeks: 4, min_events: 200, floor: Duration::from_millis(100), factor: 1.5 },
        },
    }
}

fn wanted(installation: &Installation, scope: Scope) -> Wanted {
    Wanted::of(installation, SCRIPTS, scope).unwrap()
}

/// What InfluxDB has when a plan was done on nothing.
fn done(wanted: &Wanted) -> Found {
    let mut found = Found::default();
    for (i, bucket) in wanted.buckets.iter().enumerate() {
        found.buckets.insert(bucket.name.clone(), FoundBucket { id: format!("b{i}"), retention: bucket.retention });
    }
    for (i, token) in wanted.tokens.iter().enumerate() {
        let bucket = |name: &String| (token.action, To::Bucket(found.buckets[name].id.clone()));
        let mut rights: BTreeSet<_> = token.buckets.iter().map(bucket).collect();
        rights.extend(token.organisation.then_some((token.action, To::Organisation)));
        let rights = Some(rights);
        found.tokens.push(FoundToken { id: format!("a{i}"), description: token.description.clone(), rights });
    }
    for (i, task) in wanted.tasks.iter().enumerate() {
        found.tasks.push(FoundTask {
            id: format!("t{i}"),
            name: task.name.clone(),
            flux: task.flux.clone(),
            description: task::DESCRIPTION.to_owned(),
            active: true,
        });
    }
    found.alert_url = if wanted.alert_url.is_some() { FoundSecret::Same } else { FoundSecret::Absent };
    found
}

/// The steps that are more than `=`, each as `mark what`.
fn told(plan: &Plan) -> Vec<String> {
    let other = plan.steps.iter().filter(|step| step.mark != Mark::Keep);
    other.map(|step| format!("{} {}", step.mark, step.what)).collect()
}

#[track_caller]
fn says(plan: &Plan, expected: &[&str]) {
    let told = told(plan);
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for (told, expected) in told.iter().zip(expected) {
        assert!(told.contains(expected), "{told:?} has no {expected:?}");
    }
}

#[test]
fn on_nothing_everything_is_made_and_on_what_was_made_nothing_is_done() {
    let installation = installation(vec![tenant("acme", None, Some(15)), tenant("big", Some("big-events"), None)]);
    let wanted = wanted(&installation, ALL);
    let first = plan(&Found::default(), &wanted);
    says(
        &first,
        &[
            "+ bucket \"events\": keeps points for 30d",
            "+ bucket \"big-events\": keeps points for 30d",
            "+ bucket \"app_observability_rollup\": keeps points for 400d",
            "+ token \"tagline write events\": writes to \"events\", \"big-events\", and nothing else",
            "+ token \"tagline read events\": reads \"events\", \"big-events\", \"app_observability_rollup\" and InfluxDB's own (_monitoring), and nothing else",
            "+ task \"tagline rollup 1m events\"",
            "+ task \"tagline rollup 1m big-events\"",
            "+ task \"tagline rollup 1h\"",
            "+ task \"tagline deadman events\"",
        ],
    );
    assert_eq!(first.changes(), 9);
    let again = plan(&done(&wanted), &wanted);
    says(&again, &[]);
    assert_eq!((again.changes(), again.steps.len()), (0, 9));
}

#[test]
fn a_task_is_its_script_with_the_settings_in_the_place_of_the_defaults() {
    let mut installation = installation(vec![tenant("acme", None, Some(15)), tenant("globex", None, Some(90))]);
    installation.answers.alert_url = Some(Secret::from("https://am/x"));
    let wanted = wanted(&installation, ALL);
    let mark = "// Installed by tagline setup as \"tagline rollup 1m events\" for \"app_observability_rollup\"; its next run shows what was changed by hand, and puts it back.\n";
    let rollup = ROLLUP
        .text
        .replace("name: \"rollup\"", "name: \"tagline rollup 1m events\"")
        .replace("\"b\"", "\"events\"")
        .replace("\"r\"", "\"app_observability_rollup\"");
    assert_eq!(wanted.tasks[0].flux, format!("{mark}{rollup}"));
    let (hours, deadman) = (&wanted.tasks[1].flux, &wanted.tasks[2].flux);
    assert!(hours.contains("\noption task = {every: 10m, name: \"tagline rollup 1h\"}\n"), "{hours}");
    assert!(hours.contains("\nnotify = \"on\"\nfactor = 9.0\n"), "another check's factor is its own: {hours}");
    let expected = "expected = [{tenant_id: \"acme\", within: 15m}, {tenant_id: \"globex\", within: 90m}]";
    assert!(deadman.contains(expected), "{deadman}");
    assert!(!wanted.tasks.iter().any(|task| task.flux.contains("https://am/x")));
}

#[test]
fn each_task_that_is_shipped_is_installed_with_every_setting_that_it_takes() {
    // What a script says for itself, since no setting names it.
    const OWN: [(&str, &[&str]); 6] = [
        ("tasks/rollup-1m", &["start", "stop"]),
        ("tasks/rollup-1h", &["start", "stop"]),
        ("tasks/baseline", &["again"]),
        ("tasks/deadman", &["again"]),
        ("tasks/series-growth", &["factor", "least", "again"]),
        ("tasks/task-failures", &["named", "again"]),
    ];
    let mut installation = installation(vec![tenant("acme", None, Some(77))]);
    installation.answers = Answers {
        rollup_bucket: "our rollups".to_owned(),
        alert_url: Some(Secret::from("https://am/x")),
        baseline: Baseline { weeks: 7, min_events: 123, floor: Duration::from_millis(77), factor: 2.25 },
        ..installation.answers
    };
    let wanted = Wanted::of(&installation, library::TASKS, ALL).unwrap();
    assert_eq!(wanted.tasks.len(), library::TASKS.len(), "with one bucket each script is one task");
    for (task, script) in wanted.tasks.iter().zip(library::TASKS) {
        assert!(task.name.starts_with(task::PREFIX), "{}", task.name);
        for input in script.inputs() {
            let default = format!("{} = {}", input.name, input.default);
            let stays = task.flux.lines().any(|line| line.split(" // ").next() == Some(&default));
            let (_, own) = OWN.iter().find(|(name, _)| *name == script.name).unwrap();
            assert_eq!(stays, own.contains(&input.name), "{}: {default}", script.name);
        }
    }
}

#[test]
fn odd_names_stay_inside_of_their_literals() {
    let odd = "x\"}\noption task = {name: \"evil\", every: 1s} // ${1 + 1} \\";
    let mut installation = installation(Vec::new());
    installation.bucket = odd.to_owned();
    let wanted = wanted(&installation, ALL);
    let flux = &wanted.tasks[0].flux;
    assert_eq!(flux.lines().count(), ROLLUP.text.lines().count() + 1, "{flux}");
    assert_eq!(flux.lines().filter(|line| line.starts_with("option task = ")).count(), 1, "{flux}");
    let escaped = r#"x\"}\x0aoption task = {name: \"evil\", every: 1s} // \x24{1 + 1} \\""#;
    assert!(flux.contains(&format!("option task = {{name: \"tagline rollup 1m {escaped}, every: 1m")), "{flux}");
    assert!(flux.contains(&format!("\nbucket = \"{escaped} // where\n")), "{flux}");
    let again = plan(&done(&wanted), &wanted);
    assert_eq!(again.changes(), 0, "{:#?}", told(&again));
}

#[test]
fn a_retention_that_differs_is_said_and_changed_only_when_that_is_asked() {
    let installation = installation(Vec::new());
    let mut found = done(&wanted(&installation, ALL));
    let set = |found: &mut Found, days: u32| found.buckets.get_mut("events").unwrap().retention = days * DAY;
    set(&mut found, 90);
    let left = plan(&found, &wanted(&installation, ALL));
    says(&left, &["! bucket \"events\": keeps points for 90d, not for 30d"]);
    assert_eq!(left.changes(), 0);
    let update = wanted(&installation, Scope { update_retention: true, ..ALL });
    let shorter = plan(&found, &update);
    says(&shorter, &["keeps points for 30d, not for 90d, and deletes what is older"]);
    assert_eq!(shorter.steps[0].action, Some(Action::SetRetention { id: "b0".to_owned(), retention: 30 * DAY }));
    set(&mut found, 0);
    says(&plan(&found, &update), &["not for ever, and deletes what is older"]);
    set(&mut found, 7);
    assert!(told(&plan(&found, &update))[0].ends_with("not for 7d"), "a longer time deletes nothing");
}

#[test]
fn a_token_with_other_rights_is_not_taken_for_ours_and_not_deleted() {
    let installation = installation(Vec::new());
    let wanted = wanted(&installation, ALL);
    for rights in [
        None,
        Some(BTreeSet::from([(Right::Read, To::Bucket("b0".to_owned()))])),
        Some(BTreeSet::from([
            (Right::Write, To::Bucket("b0".to_owned())),
            (Right::Write, To::Bucket("b1".to_owned())),
        ])),
    ] {
        let mut found = done(&wanted);
        found.tokens[0].rights = rights;
        says(
            &plan(&found, &wanted),
            &["+ token \"tagline write events\"", "! token \"tagline write events\" with other rights"],
        );
    }
}

#[test]
fn a_task_that_was_edited_is_put_back_and_the_lines_that_differ_are_said() {
    let installation = installation(Vec::new());
    let wanted = wanted(&installation, ALL);
    let mut found = done(&wanted);
    let flux = &mut found.tasks[1].flux;
    *flux = flux.replace("every: 10m", "every: 1h").replace("factor = 9.0\n", "");
    let changed = plan(&found, &wanted);
    says(&changed, &["~ task \"tagline rollup 1h\""]);
    let step = changed.steps.iter().find(|step| step.mark == Mark::Change).unwrap();
    let option = |every| format!("option task = {{every: {every}, name: \"tagline rollup 1h\"}}");
    assert_eq!(
        step.details,
        [format!("- {}", option("1h")), format!("+ {}", option("10m")), "+ factor = 9.0".to_owned()]
    );
    let action = Action::UpdateTask { id: "t1".to_owned(), flux: wanted.tasks[1].flux.clone() };
    assert_eq!(step.action, Some(action));

    // Also when the mark went: InfluxDB's description still says whose it is.
    let mut found = done(&wanted);
    found.tasks[1].flux = HOURS.text.to_owned();
    says(&plan(&found, &wanted), &["~ task \"tagline rollup 1h\""]);
}

#[test]
fn a_task_that_was_switched_off_stays_off() {
    let installation = installation(Vec::new());
    let wanted = wanted(&installation, ALL);
    let mut found = done(&wanted);
    found.tasks[1].active = false;
    let left = plan(&found, &wanted);
    says(&left, &["! task \"tagline rollup 1h\"; it is switched off, and stays so"]);
    assert_eq!(left.changes(), 0);
    found.tasks[1].flux.push_str("// more\n");
    says(&plan(&found, &wanted), &["~ task \"tagline rollup 1h\"; it is switched off, and stays so"]);
}

#[test]
fn only_what_is_wanted_no_more_and_bears_the_mark_is_removed() {
    let before = installation(vec![tenant("acme", None, Some(15)), tenant("big", Some("big-events"), None)]);
    let mut found = done(&wanted(&before, ALL));
    let now = wanted(&installation(Vec::new()), ALL);
    let copy =
        |at: usize, name: &str| FoundTask { id: format!("x{name}"), name: name.to_owned(), ..found.tasks[at].clone() };
    let mut other_installation = before.clone();
    other_installation.answers.rollup_bucket = "staging_rollup".to_owned();
    let others = wanted(&other_installation, ALL).tasks;
    let foreign = [
        // A copy, as InfluxDB's UI makes it.
        copy(2, "tagline rollup 1h (clone 1)"),
        // Renamed.
        copy(2, "my hours"),
        // A name like ours, and nothing of ours in it; once with our description, once with the name of one that is wanted.
        FoundTask { flux: HOURS.text.to_owned(), ..copy(2, "tagline of the railway") },
        FoundTask { flux: HOURS.text.to_owned(), description: String::new(), ..copy(2, "tagline rollup 1h") },
        FoundTask { flux: others[1].flux.clone(), ..copy(1, "tagline rollup 1m big-events") },
    ];
    found.tasks.extend(foreign);
    let plan = plan(&found, &now);
    let deleted: Vec<&Action> =
        plan.steps.iter().filter(|step| step.mark == Mark::Remove).filter_map(|step| step.action.as_ref()).collect();
    let ids = ["t3", "t1"].map(|id| Action::DeleteTask { id: id.to_owned() });
    assert_eq!(deleted, ids.iter().collect::<Vec<_>>(), "{:#?}", told(&plan));
    // The tokens have fewer rights now, too.
    let tasks: Vec<String> = told(&plan).into_iter().filter(|line| line.contains("task")).collect();
    assert_eq!(
        tasks.iter().filter(|line| line.starts_with('!')).count(),
        4,
        "a task without any mark of ours, of another name, is nobody's business: {tasks:#?}"
    );
}

#[test]
fn of_two_tasks_of_ours_with_one_name_one_stays() {
    let installation = installation(Vec::new());
    let wanted = wanted(&installation, ALL);
    let mut found = done(&wanted);
    found.tasks.push(FoundTask { id: "t9".to_owned(), ..found.tasks[1].clone() });
    let plan = plan(&found, &wanted);
    says(&plan, &["- task \"tagline rollup 1h\": a second one (t9)"]);
}

#[test]
fn without_settings_what_is_missing_is_made_and_no_task_is_changed_or_removed() {
    let configured = installation(vec![tenant("acme", None, Some(15))]);
    let mut found = done(&wanted(&configured, ALL));
    found.alert_url = FoundSecret::Other;
    found.tasks[1].flux.push_str("// more\n");
    found.tasks.remove(0);
    let nothing = Installation { profile: Profile::Dev, ..installation(Vec::new()) };
    let plan = plan(&found, &wanted(&nothing, ALL));
    says(
        &plan,
        &["+ task \"tagline rollup 1m events\"", "! task \"tagline rollup 1h\"", "! task \"tagline deadman events\""],
    );
    assert_eq!(plan.changes(), 1);
}

#[test]
fn tasks_are_removed_on_demand_and_nothing_else_is_touched() {
    let installation = installation(vec![tenant("acme", None, Some(15))]);
    let mut found = done(&wanted(&installation, ALL));
    found.tasks.push(FoundTask {
        id: "x".to_owned(),
        name: "tagline of the railway".to_owned(),
        flux: String::new(),
        ..found.tasks[0].clone()
    });
    let remove = Scope { buckets: false, tokens: false, tasks: Tasks::Remove, update_retention: false };
    let plan = plan(&found, &wanted(&installation, remove));
    assert_eq!(plan.changes(), 3);
    assert!(plan.steps.iter().all(|step| matches!(step.action, Some(Action::DeleteTask { .. }))), "{:#?}", told(&plan));
    let leave = Scope { tasks: Tasks::Leave, ..ALL };
    assert!(
        !told(&super::plan(&Found::default(), &wanted(&installation, leave))).iter().any(|line| line.contains("task "))
    );
}

#[test]
fn the_alert_url_is_written_when_it_is_another_and_never_said() {
    let mut installation = installation(Vec::new());
    installation.answers.alert_url = Some(Secret::from("https://user:pass@am/x"));
    let wanted = wanted(&installation, ALL);
    for (has, mark, changes) in [
        (FoundSecret::Absent, Mark::Create, 1),
        (FoundSecret::Same, Mark::Keep, 0),
        (FoundSecret::Other, Mark::Change, 1),
        (FoundSecret::Untold, Mark::Change, 1),
    ] {
        let found = Found { alert_url: has, ..done(&wanted) };
        let plan = plan(&found, &wanted);
        let step = plan.steps.iter().find(|step| step.what.starts_with("secret")).unwrap();
        assert_eq!((step.mark, plan.changes()), (mark, changes), "{has:?}");
        assert!(!format!("{plan:?}{wanted:?}").contains("pass"), "{plan:?}");
    }
}

#[test]
fn two_installations_of_one_organisation_do_not_share_a_task() {
    let ours = installation(Vec::new());
    let mut others = ours.clone();
    others.bucket = "staging".to_owned();
    others.answers.rollup_bucket = "staging_rollup".to_owned();
    let names = |installation| wanted(installation, ALL).tasks.into_iter().map(|task| task.name).collect::<Vec<_>>();
    assert_eq!(names(&others), ["tagline rollup 1m staging", "tagline rollup 1h staging_rollup"]);
    let mut found = done(&wanted(&ours, ALL));
    found.tasks.extend(done(&wanted(&others, ALL)).tasks);
    assert_eq!(plan(&found, &wanted(&ours, ALL)).changes(), 0);
}

#[test]
fn a_difference_is_said_by_its_lines_and_does_nothing_to_a_terminal() {
    assert_eq!(diff::lines("a\nb\nc\nd", "a\nx\nc\nd\ne"), ["- b", "+ x", "+ e"]);
    assert_eq!(diff::lines("a\n", "a\r\n"), ["only the ends of lines differ"]);
    assert_eq!(diff::lines("\u{1b}[2Jx", ""), ["- \u{fffd}[2Jx"]);
    let (many, none) = (vec!["line"; 100].join("\n"), String::new());
    let lines = diff::lines(&many, &none);
    assert_eq!((lines.len(), lines[60].as_str()), (61, "… and 40 more lines"));
    let huge = (0..3000).map(|n| n.to_string()).collect::<Vec<_>>();
    let turned: Vec<String> = huge.iter().rev().cloned().collect();
    assert_eq!(diff::lines(&huge.join("\n"), &turned.join("\n")), ["3000 lines by 3000 others"]);
}
