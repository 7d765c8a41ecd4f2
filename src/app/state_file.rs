//! Small JSON files of what must be known at the next start, under `spool.dir`.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use serde::Serialize;

/// Writes `{dir}/{name}` beside the old one and renames, so that a crash leaves the old or the new one.
pub(super) fn replace(dir: &Path, name: &str, content: &impl Serialize) -> io::Result<()> {
    let fresh = dir.join(format!("{name}.{}", std::process::id()));
    let text = serde_json::to_string_pretty(content)?;
    if let Err(error) = write(&fresh, &text).and_then(|()| fs::rename(&fresh, dir.join(name))) {
        // On a full disk, what is there of it is only in the way. It may not even have been made.
        let _ = fs::remove_file(&fresh);
        return Err(error);
    }
    fs::File::open(dir)?.sync_all()
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = fs::File::create(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
