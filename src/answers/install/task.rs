//! How a script of `flux/tasks` becomes a task of InfluxDB, and how such a task is known again.
//!
//! Task names are not unique in InfluxDB, and anybody may copy, rename or edit a task. So the first line of each of ours says its name and its
//! installation: a task is ours when that line is the one that we would write for the name that it bears.

use super::super::literal::Literal;

/// What InfluxDB shows beside the name.
pub(crate) const DESCRIPTION: &str = "Installed by tagline setup.";
/// The beginning of all our tasks' names.
pub(crate) const PREFIX: &str = "tagline ";
/// The beginning of their first line. A task that was installed by another version has it too: it never changes.
const MARK: &str = "// Installed by tagline setup as ";

/// The first line of the task `name` of an installation, which is told by its rollup bucket.
pub(crate) fn mark(name: &str, rollup_bucket: &str) -> String {
    let (name, rollup_bucket) = (Literal::text(name).text, Literal::text(rollup_bucket).text);
    format!("{MARK}{name} for {rollup_bucket}; its next run shows what was changed by hand, and puts it back.")
}

/// The line of a task's text that marks it, whosever it is.
pub(super) fn mark_of(flux: &str) -> Option<&str> {
    flux.lines().find(|line| line.starts_with(MARK))
}

/// A bound script under a name of its own, marked.
///
/// # Errors
/// It has no line `option task = {name: "…", …}`.
pub(super) fn installed(flux: &str, name: &str, rollup_bucket: &str) -> Result<String, String> {
    let mut lines: Vec<String> = vec![mark(name, rollup_bucket)];
    let mut named = false;
    for line in flux.lines() {
        let renamed = renamed(line, name).filter(|_| !named);
        named |= renamed.is_some();
        lines.push(renamed.unwrap_or_else(|| line.to_owned()));
    }
    lines.push(String::new());
    if named { Ok(lines.join("\n")) } else { Err("it has no line `option task = {name: \"…\", …}`".to_owned()) }
}

/// The option's line with another name, if it is that line.
fn renamed(line: &str, name: &str) -> Option<String> {
    let rest = line.strip_prefix("option task = {")?;
    let (before, rest) = rest.split_once("name: \"")?;
    let (_, after) = rest.split_once('"')?;
    Some(format!("option task = {{{before}name: {}{after}", Literal::text(name).text))
}
