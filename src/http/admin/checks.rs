//! The checks of `/readyz` as a metric, so that an alert can be made of one that stays degraded.

use crate::http::health::{Check, CheckStatus};
use std::fmt::Write as _;

/// How many destinations have a row of their own; the worst of the others is `destination:_other`. There can be one for each tenant.
const DESTINATIONS: usize = 20;

const PREFIX: &str = "destination:";

/// 0, 1 or 2 for each check: ok, degraded, failed.
pub(super) fn exposition(mut checks: Vec<Check>) -> String {
    // Worst first, so that those that matter have rows of their own; otherwise as they came.
    checks.sort_by_key(|check| (check.name.starts_with(PREFIX), std::cmp::Reverse(level(check.status))));
    let (mut destinations, mut others) = (0, None);
    let mut text = String::from(
        "# HELP tagline_check_status The checks of /readyz: 0 is ok, 1 degraded, 2 failed\n# TYPE tagline_check_status gauge\n",
    );
    for check in checks {
        destinations += usize::from(check.name.starts_with(PREFIX));
        if destinations > DESTINATIONS {
            others.get_or_insert(check.status);
        } else {
            row(&mut text, &check.name, check.status);
        }
    }
    if let Some(worst) = others {
        row(&mut text, "destination:_other", worst);
    }
    text
}

fn level(status: CheckStatus) -> u8 {
    match status {
        CheckStatus::Ok => 0,
        CheckStatus::Degraded => 1,
        CheckStatus::Failed => 2,
    }
}

fn row(text: &mut String, name: &str, status: CheckStatus) {
    // A bucket's name may hold what a label's value must not.
    let name = name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    // Writing to a String cannot fail.
    let _ = writeln!(text, "tagline_check_status{{check=\"{name}\"}} {}", level(status));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: impl Into<String>, status: CheckStatus) -> Check {
        Check { name: name.into(), status, detail: None }
    }

    #[test]
    fn each_check_is_a_row_and_a_name_cannot_forge_one() {
        let text = exposition(vec![
            check("spool", CheckStatus::Failed),
            check("destination:a\"} 0\nx\\", CheckStatus::Degraded),
            check("lifecycle", CheckStatus::Ok),
        ]);
        let rows: Vec<&str> = text.lines().skip(2).collect();
        let expected = [
            r#"tagline_check_status{check="spool"} 2"#,
            r#"tagline_check_status{check="lifecycle"} 0"#,
            r#"tagline_check_status{check="destination:a\"} 0\nx\\"} 1"#,
        ];
        assert_eq!(rows, expected);
    }

    #[test]
    fn of_many_destinations_the_worst_have_rows_and_the_others_one() {
        let status = |n| if n == 29 { CheckStatus::Degraded } else { CheckStatus::Ok };
        let text = exposition((0..30).map(|n| check(format!("destination:b{n}"), status(n))).collect());
        assert_eq!(text.lines().count(), 2 + 20 + 1, "{text}");
        assert!(
            text.contains("{check=\"destination:b29\"} 1\n") && text.ends_with("{check=\"destination:_other\"} 0\n"),
            "{text}"
        );
        let text = exposition((0..30).map(|n| check(format!("destination:b{n}"), CheckStatus::Degraded)).collect());
        assert!(text.ends_with("{check=\"destination:_other\"} 1\n"), "{text}");
    }
}
