//! Small JSON files of what must be known at the next start, under `spool.dir`.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use serde::Serialize;

/// Writes `{dir}/{name}` beside the old one and renames, so that a crash leaves the old or the new one.
pub(super) fn replace(dir: &Path, name: &str, content: &impl Serialize) -> io::Result<()> {
    let fresh = dir.join(format!("{name}.{}", std::process::id()));
    let mut file = fs::File::create(&fresh)?;
    file.write_all(serde_json::to_string_pretty(content)?.as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, dir.join(name))?;
    fs::File::open(dir)?.sync_all()
}
