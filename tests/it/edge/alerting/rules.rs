//! The rules by `promtool`, which also notices when one of them is changed.

use super::{RULE_FILES, alerts, folder, for_the_operator, name, read, rule_files, rules};
use crate::support::server_binary;
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use tempfile::TempDir;

/// The tests of the rules.
const TESTS: [&str; 4] = ["days.yml", "losses.yml", "recordings.yml", "thresholds.yml"];

#[test]
fn the_rules_of_the_operator_are_those_of_the_files() {
    let place = "k8s/components/prometheus-operator/rules.yaml";
    let made = for_the_operator(&rule_files());
    if std::env::var_os("UPDATE_RULES").is_some() {
        fs::write(folder().join("..").join(place), &made).expect("the file can be written");
    }
    assert_eq!(read(place), made, "write it anew: UPDATE_RULES=1 cargo test --test it edge::alerting::rules");

    let mut there: Vec<_> = files("rules");
    there.sort_by_key(|file| RULE_FILES.iter().position(|known| known == file));
    assert_eq!(there, RULE_FILES, "each file of rules is part of it");
}

#[test]
fn every_alert_fires_when_it_should_and_not_before() {
    assert_eq!(files("tests"), TESTS);
    let place = Place::new(|rules| rules);
    let (passed, said) = place.promtool(&["check", "rules", "rules/tagline.yml", "rules/caddy.yml"]);
    assert!(passed, "{said}");
    let (passed, said) = place.test(&TESTS);
    assert!(passed, "{said}");

    // Each expectation is the whole set of alerts that fire: one that is never named has not been seen to fire.
    let expected: String = TESTS.iter().map(|file| read(&format!("prometheus/tests/{file}"))).collect();
    for rule in alerts() {
        let name = name(&rule);
        assert!(expected.contains(&format!("alertname=\"{name}\"")), "{name} is never seen to fire");
        let annotations = &rule["annotations"];
        for what in ["summary", "description", "first_command"] {
            assert!(annotations[what].as_str().is_some_and(|text| !text.trim().is_empty()), "{name} has no {what}");
        }
        let runbook = format!("docs/runbook.md#{}", name.to_lowercase());
        assert_eq!(annotations["runbook_url"], runbook, "{name}");
        let severity = rule["labels"]["severity"].as_str().expect("each alert has a severity");
        assert!(["critical", "warning"].contains(&severity), "{name}");
    }
}

#[test]
fn the_example_of_prometheus_reads_these_rules() {
    let place = Place::new(|rules| rules);
    let path = place.folder.path();
    fs::write(path.join("admin-token"), "a-token").expect("a file in a new folder");
    let config = read("prometheus/prometheus.yml");
    assert!(config.contains("/etc/prometheus/tagline-admin-token"));
    let config = config.replace("/etc/prometheus/tagline-admin-token", "admin-token");
    fs::write(path.join("prometheus.yml"), config).expect("a file in a new folder");
    let (passed, said) = place.promtool(&["check", "config", "prometheus.yml"]);
    assert!(passed && said.contains("SUCCESS: 2 rule files found"), "{said}");
    for rule in rules() {
        let expression = rule["expr"].as_str().expect("each rule has an expression");
        let jobs = expression.split("job=\"").skip(1).filter_map(|rest| rest.split('"').next());
        for job in jobs {
            assert!(read("prometheus/prometheus.yml").contains(&format!("job_name: {job}\n")), "{job}");
        }
    }
}

#[test]
fn an_alert_whose_threshold_is_a_little_off_is_noticed() {
    let with_threshold = names_of(|_, _, expression| threshold(expression).is_some());
    assert!(with_threshold.len() > 7, "{with_threshold:?}");
    for factor in [1.1, 0.9] {
        let changed = |rules: String| {
            let lines = rules.lines().map(|line| match threshold(line) {
                Some((before, number)) => format!("{before}{}", number * factor),
                None => line.to_owned(),
            });
            lines.collect::<Vec<_>>().join("\n") + "\n"
        };
        let noticed = Place::new(changed).noticed("thresholds.yml");
        let missed: Vec<_> = with_threshold.difference(&noticed).collect();
        assert!(missed.is_empty(), "times {factor}: {missed:?} stand where they stood: {noticed:?}");
    }
}

#[test]
fn an_alert_that_waits_a_minute_more_or_less_is_noticed() {
    let waiting = names_of(|_, wait, _| wait.is_some());
    let at_once = names_of(|_, wait, _| wait.is_none());
    assert!(waiting.len() > 10 && at_once.len() >= 5, "{waiting:?}, {at_once:?}");
    for minutes in [-1, 1] {
        let changed = |rules: String| {
            let lines = rules.lines().map(|line| match line.split_once("        for: ") {
                Some((_, wait)) => format!("        for: {}m", whole_minutes(wait) + minutes),
                None => line.to_owned(),
            });
            lines.collect::<Vec<_>>().join("\n") + "\n"
        };
        let noticed = Place::new(changed).noticed("thresholds.yml");
        let missed: Vec<_> = waiting.difference(&noticed).collect();
        assert!(missed.is_empty(), "{minutes} minutes: {missed:?} fire when they did: {noticed:?}");
    }
    // Those that fire at once.
    let changed = |rules: String| {
        let alerts = rules.split("      - alert: ").enumerate().map(|(index, alert)| {
            let waits = index == 0 || alert.contains("\n        for: ");
            if waits {
                alert.to_owned()
            } else {
                alert.replace("        labels:\n", "        for: 1m\n        labels:\n")
            }
        });
        alerts.collect::<Vec<_>>().join("      - alert: ")
    };
    let noticed = Place::new(changed).noticed("losses.yml");
    let missed: Vec<_> = at_once.difference(&noticed).collect();
    assert!(missed.is_empty(), "{missed:?} fire as soon: {noticed:?}");
}

#[test]
fn every_recording_is_held_to_its_value() {
    let recorded: BTreeSet<String> =
        rules().iter().filter(|rule| rule["record"].is_string()).map(|rule| name(rule).to_owned()).collect();
    assert!(recorded.len() > 8, "{recorded:?}");
    for record in &recorded {
        // The convention of the field: level:metric:operations.
        let parts: Vec<&str> = record.split(':').collect();
        let [level, metric, operations] = parts[..] else { panic!("{record}") };
        assert!(!level.is_empty() && metric.starts_with("tagline_") && !operations.is_empty(), "{record}");
    }
    let mut rules = rule_files().swap_remove(0);
    for record in &recorded {
        let (before, rest) = rules.split_once(&format!("- record: {record}\n")).expect("it is in the files");
        let (_, after) = rest.split_once("\n      - ").unwrap_or((rest, ""));
        rules = format!("{before}- record: {record}\n        expr: vector(7777)\n      - {after}");
    }
    // Comments between two rules went with the first one's expression.
    let (_, said) =
        Place::new(|file| if file.contains("record:") { rules.clone() } else { file }).test(&["recordings.yml"]);
    for record in &recorded {
        let failed = said.lines().any(|line| line.trim_start().starts_with("expr: ") && line.contains(record.as_str()));
        assert!(failed, "{record} may be anything: {said}");
    }
}

#[test]
fn a_rule_that_asks_for_something_else_is_noticed() {
    let mistakes = [
        // Another row, or fewer.
        ("losses.yml", "lost_.*", "lost_damaged"),
        ("losses.yml", "lost_.*", "lost_.*|rejected_.*"),
        ("losses.yml", "(tagline_spool_points) * 0", "(tagline_absent) * 0"),
        ("losses.yml", "quarantined|set_aside", "quarantined|set_aside|truncated"),
        ("losses.yml", "quarantined|set_aside", "quarantined"),
        ("thresholds.yml", "check!=\"lifecycle\"", "check!=\"spool\""),
        ("thresholds.yml", "check=~\"destination:.*\"", "check=~\".*\""),
        ("thresholds.yml", "status=~\"5..|other\"", "status=~\"5..\""),
        ("thresholds.yml", "{status!=\"429\"}", ""),
        ("thresholds.yml", "status=~\"4..\",status!=\"429\"", "status=~\"4..\""),
        ("thresholds.yml", "{enforced=\"true\"}", ""),
        ("thresholds.yml", "{limit!=\"address\"}", ""),
        ("thresholds.yml", "up{job=\"tagline\"} == 0", "up == 0"),
        ("thresholds.yml", "up{job=\"caddy\"} == 0", "up == 0"),
        // Of clusters, replicas and restarts.
        ("losses.yml", "(cluster, namespace, pod, instance)", "(namespace, pod, instance)"),
        ("losses.yml", "(cluster, namespace, pod, instance)", "(cluster, namespace, pod)"),
        ("losses.yml", "(cluster, namespace, pod, instance, step)", "(namespace, pod, instance, step)"),
        ("thresholds.yml", "(cluster, namespace)", "(namespace)"),
        ("thresholds.yml", "min by (cluster, namespace)", "max by (cluster, namespace)"),
        (
            "thresholds.yml",
            "max by (cluster, namespace, tenant, window)",
            "min by (cluster, namespace, tenant, window)",
        ),
        (
            "losses.yml",
            "increase(instance:tagline_points_lost:sum[15m])",
            "delta(instance:tagline_points_lost:sum[15m])",
        ),
        ("losses.yml", "tagline_points_lost:sum[1d] offset", "tagline_points_lost:sum[1m] offset"),
        ("losses.yml", "tagline_points_dead_lettered:sum[1d] offset", "tagline_points_dead_lettered:sum[1m] offset"),
        ("thresholds.yml", "last_over_time(up{job=\"tagline\"}[1d])", "last_over_time(up{job=\"tagline\"}[1m])"),
        ("thresholds.yml", "absent_over_time(up{job=\"tagline\"}[1d])", "absent_over_time(up[1d])"),
        ("thresholds.yml", "([.]tagline-pods.*)?", ""),
        ("thresholds.yml", "or $labels.pod $labels.instance", "$labels.pod"),
    ];
    for (tests, right, wrong) in mistakes {
        assert!(rule_files().concat().contains(right), "{right} is in no rule");
        let place = Place::new(|rules| rules.replace(right, wrong));
        let (passed, said) = place.test(&[tests]);
        assert!(!passed && said.contains("FAILED"), "{right} -> {wrong}: {said}");
    }
}

/// The alerts of which this holds: name, wait, and the last line of the expression.
fn names_of(holds: impl Fn(&str, Option<&str>, &str) -> bool) -> BTreeSet<String> {
    let all = alerts();
    let those = all.iter().filter(|rule| {
        let last = rule["expr"].as_str().and_then(|text| text.trim().lines().last()).expect("an expression");
        holds(name(rule), rule["for"].as_str(), last)
    });
    those.map(|rule| name(rule).to_owned()).collect()
}

/// What stands before the number that an expression is compared with, and that number, where it is more than zero.
fn threshold(line: &str) -> Option<(&str, f64)> {
    let at = line.rfind(" > ")? + 3;
    let number: f64 = line[at..].parse().ok()?;
    (number > 0.0).then_some((&line[..at], number))
}

fn whole_minutes(wait: &str) -> i64 {
    wait.strip_suffix('m').and_then(|minutes| minutes.parse().ok()).unwrap_or_else(|| panic!("{wait} is no minutes"))
}

/// The names of the files in a folder of `prometheus/`.
fn files(of: &str) -> Vec<String> {
    let entries = fs::read_dir(folder().join(of)).expect("a folder of prometheus/");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_str().expect("ASCII").to_owned()).collect();
    names.sort();
    names
}

/// A copy of the rules, changed, and their tests.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new(change: impl Fn(String) -> String) -> Self {
        let place = TempDir::with_prefix("tagline-rules-").expect("a temporary folder");
        for name in ["rules", "tests"] {
            fs::create_dir(place.path().join(name)).expect("a new folder");
        }
        for (name, text) in RULE_FILES.iter().zip(rule_files()) {
            fs::write(place.path().join("rules").join(name), change(text)).expect("a new file");
        }
        for name in TESTS {
            fs::copy(folder().join("tests").join(name), place.path().join("tests").join(name)).expect("a new file");
        }
        Self { folder: place }
    }

    /// Whether these tests pass, and what promtool says.
    fn test(&self, tests: &[&str]) -> (bool, String) {
        let paths: Vec<String> = tests.iter().map(|name| format!("tests/{name}")).collect();
        let arguments = ["test", "rules"].into_iter().chain(paths.iter().map(String::as_str));
        self.promtool(&arguments.collect::<Vec<_>>())
    }

    fn promtool(&self, arguments: &[&str]) -> (bool, String) {
        let binary = server_binary("promtool").unwrap_or_else(|error| panic!("{error}"));
        let ran = Command::new(&binary).args(arguments).env_clear().current_dir(self.folder.path()).output();
        let ran = ran.unwrap_or_else(|error| panic!("{}: {error}", binary.display()));
        (ran.status.success(), String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned())
    }

    /// The alerts of which more or fewer fire than a file of tests expects: those that stand in one of `exp` and `got` alone.
    fn noticed(&self, tests: &str) -> BTreeSet<String> {
        let (_, said) = self.test(&[tests]);
        let mut noticed = BTreeSet::new();
        let mut lines = said.lines().map(str::trim_start);
        while let Some(line) = lines.next() {
            let Some(expected) = line.strip_prefix("exp: ") else { continue };
            let got = lines.next().and_then(|line| line.strip_prefix("got: ")).unwrap_or_default();
            let samples = |text: &str| text.split("{alertname=\"").skip(1).map(str::to_owned).collect::<Vec<_>>();
            let sets = [samples(expected), samples(got)].map(|samples| {
                let names = samples.iter().map(|sample| sample.trim_end_matches(", ").to_owned());
                names.collect::<BTreeSet<String>>()
            });
            let apart = sets[0].symmetric_difference(&sets[1]);
            noticed.extend(apart.filter_map(|sample| sample.split('"').next()).map(str::to_owned));
        }
        noticed
    }
}
