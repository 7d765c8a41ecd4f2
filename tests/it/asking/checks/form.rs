//! That each task says what it is, and that what all checks have in common is the same in each.

use std::path::Path;
use tagline::answers::library;

fn files() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("flux/tasks");
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn each_file_is_a_task_that_a_test_runs_by_its_name() {
    let mut known: Vec<String> =
        library::TASKS.iter().map(|script| format!("{}.flux", script.name.trim_start_matches("tasks/"))).collect();
    known.sort();
    assert_eq!(files(), known);
    let scheduled = include_str!("scheduled.rs");
    for script in library::TASKS {
        let name = script.name.trim_start_matches("tasks/");
        assert!(scheduled.contains(&format!("(\"{name}\", ")), "scheduled.rs does not run {name}");
    }
}

#[test]
fn each_task_says_what_it_does_what_it_costs_and_what_is_wrong_to_conclude() {
    for script in library::TASKS {
        let name = script.name;
        assert!(script.title().ends_with('?') || script.title().contains("? "), "{name}: {}", script.title());
        let head: Vec<&str> = script.text.lines().take_while(|line| line.starts_with("//")).collect();
        for part in ["// Answers ", "// Cost: ", "// Wrong to conclude: "] {
            assert!(head.iter().any(|line| line.starts_with(part)), "{name} has no {part:?}");
        }
        let option = script.text.lines().filter(|line| line.starts_with("option task = {name: \"tagline "));
        let option: Vec<&str> = option.collect();
        assert!(
            matches!(&option[..], [one] if one.contains("every: ") && one.contains("offset: ")),
            "{name}: {option:?}"
        );
        let writes = script.name.contains("rollup");
        let raises = script.text.lines().any(|line| line.starts_with("//") && line.contains("docs/alerts.md"));
        assert!(writes != raises, "{name} writes rollups, or says where its alerts are told of");
    }
}

#[test]
fn what_checks_have_in_common_is_the_same_text() {
    let common = |text: &'static str| {
        let start = text.find("// What was told before")?;
        let end = text[start..].find("\n}\n\n")?;
        // `tell` is the last of it, and the only thing in it with a line that is just `}` and another below.
        let tell = text[start..].find("\ntell = ")?;
        let end = if end < tell { tell + text[start + tell..].find("\n}\n\n")? } else { end };
        Some(&text[start..start + end])
    };
    let mut checks = library::TASKS.iter().filter(|script| !script.name.contains("rollup"));
    let first = checks.next().expect("there are checks");
    let expected = common(first.text).expect("the part that is the same");
    assert!(expected.lines().count() > 80, "{expected}");
    for check in checks {
        assert_eq!(common(check.text), Some(expected), "{} and {}", check.name, first.name);
    }
}
