//! `[answers]`

use secrecy::ExposeSecret as _;

use super::super::finding::Findings;
use super::super::section::Section;
use super::super::settings::{Answers, Baseline, Source};
use super::super::values;
use super::set;

/// What the stored data is asked, and where.
pub(super) fn answers(root: &Section<'_>, findings: &mut Findings) -> Answers {
    let section = root.sub("answers");
    let baseline = section.sub("baseline");
    let alert_url = section.secret("alert_url", "alert_url_file", findings);
    if let Some(Err(why)) = alert_url.as_ref().map(|url| values::alert_url(url.expose_secret())) {
        let key = if section.has("alert_url") { "alert_url" } else { "alert_url_file" };
        section.wrong(findings, key, why);
    }
    Answers {
        source: source(&root.sub("influxdb"), findings),
        rollup_bucket: set(section.text("rollup_bucket")).to_owned(),
        rollup_retention: set(section.duration("rollup_retention")),
        trace_url: section.read("trace_url", values::trace_url),
        alert_url,
        baseline: Baseline {
            weeks: set(baseline.int("weeks")),
            min_events: set(baseline.int("min_events")),
            floor: set(baseline.duration("floor")),
            factor: set(baseline.number("factor")),
        },
    }
}

fn source(section: &Section<'_>, findings: &mut Findings) -> Option<Source> {
    let token = section.secret("read_token", "read_token_file", findings)?;
    Some(Source {
        url: section.read("url", values::url)?,
        org: section.text("org")?.to_owned(),
        bucket: set(section.text("bucket")).to_owned(),
        token,
    })
}
