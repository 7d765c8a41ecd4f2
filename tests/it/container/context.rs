//! The build context as Docker would send it: the repository without what `.dockerignore` names.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Makes `context` hold what the build context of `repository` holds. Only what differs is written, so that cargo rebuilds what
/// has changed and no more; the top folders that the build itself makes (`made_there`) stay.
pub fn copy(repository: &Path, context: &Path, made_there: &[&str]) {
    let ignored = fs::read_to_string(repository.join(".dockerignore")).expect(".dockerignore");
    let rules: Vec<&str> =
        ignored.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    for rule in &rules {
        let name = rule.strip_prefix("*.").unwrap_or(rule);
        assert!(!name.contains(['*', '?', '!', '[']), ".dockerignore: this test does not know rules like {rule}");
    }
    let mut wanted = BTreeSet::new();
    list(repository, Path::new(""), &|path| !is_ignored(path, &rules), &mut wanted);
    for path in &wanted {
        let content = fs::read(repository.join(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let target = context.join(path);
        if fs::read(&target).is_ok_and(|present| present == content) {
            continue;
        }
        fs::create_dir_all(target.parent().expect("a file is in a folder")).expect("a folder in the context");
        fs::write(&target, content).unwrap_or_else(|error| panic!("{}: {error}", target.display()));
    }
    let mut present = BTreeSet::new();
    list(context, Path::new(""), &|path| !made_there.iter().any(|made| path == Path::new(made)), &mut present);
    for path in present.difference(&wanted) {
        fs::remove_file(context.join(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

/// Whether a rule names this path from the root (or, for `*.EXT`, a file in the root).
fn is_ignored(path: &Path, rules: &[&str]) -> bool {
    rules.iter().any(|rule| match rule.strip_prefix("*.") {
        Some(extension) => path.components().count() == 1 && path.extension().is_some_and(|found| found == extension),
        None => path == Path::new(rule.trim_end_matches('/')),
    })
}

/// The files below `root`/`folder` whose path, and all folders on the way to it, `keep` accepts.
fn list(root: &Path, folder: &Path, keep: &dyn Fn(&Path) -> bool, files: &mut BTreeSet<PathBuf>) {
    let entries = match fs::read_dir(root.join(folder)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
        Err(error) => panic!("{}: {error}", root.join(folder).display()),
    };
    for entry in entries {
        let entry = entry.expect("a folder can be read");
        let path = folder.join(entry.file_name());
        if !keep(&path) {
            continue;
        }
        if entry.file_type().expect("an entry has a type").is_dir() {
            list(root, &path, keep, files);
        } else {
            files.insert(path);
        }
    }
}
