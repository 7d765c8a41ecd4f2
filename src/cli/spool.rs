//! `tagline spool`: what waits on the disk, by tenant, whether a gateway runs or not.
//!
//! Reads files and changes none. The log's records that wait, the cursor's totals, and what lies beside it: dead letters and spill files.

mod json;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use super::Failure;
use crate::clock::Clock;
use crate::config::{Durability, SpoolSettings};
use crate::deliver::{self, Letters, SpillFile};
use crate::spool::offline::{self, Offline, Survey};

/// Say what waits in the spool: points, bytes and age by tenant, and the ledger's totals.
///
/// It reads the folder alone and changes nothing, so it works with a gateway stopped, running, or on another machine whose folder was copied. With one
/// that runs the figures are those of its last cursor; its admin listener has the exact ones.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  tagline spool
  tagline spool --config /etc/tagline.toml --json
  tagline spool /backup/data
  tagline spool /var/lib/tagline --expect-empty   may this volume go?

Exit code 0: the folder was read. 1: it cannot be read; with --expect-empty also: something is left in it.")]
pub struct SpoolArgs {
    /// A spool.dir, or the folder `log` in one [default: spool.dir of the settings]
    pub path: Option<PathBuf>,
    /// One JSON object, for scripts
    #[arg(long)]
    pub json: bool,
    /// End with 1 unless the folder can be deleted without a loss: no gateway runs on it, nothing waits, and no file keeps points
    #[arg(long)]
    pub expect_empty: bool,
}

/// All there is to say.
struct Found {
    /// The log; `None`: there is none.
    log: Option<Survey>,
    /// Where dead letters and spill files were looked for.
    dir: Option<PathBuf>,
    letters: BTreeMap<String, Letters>,
    spills: Vec<SpillFile>,
}

/// Runs the command; `settings` are needed only where no path is named.
pub fn run(
    args: &SpoolArgs,
    settings: Option<&SpoolSettings>,
    clock: &Clock,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let (path, memory) = match (&args.path, settings) {
        (Some(path), _) => (path, false),
        (None, Some(settings)) => (&settings.dir, settings.durability == Durability::Memory),
        (None, None) => return Err(Failure::Misuse("name the folder of a spool".to_owned())),
    };
    let found = look(path).or_else(|error| match error.kind() {
        // A gateway that keeps nothing on the disk may not even have the folder.
        io::ErrorKind::NotFound if memory => {
            Ok(Found { log: None, dir: None, letters: BTreeMap::new(), spills: Vec::new() })
        }
        _ => Err(Failure::Failed(format!("{} cannot be read: {error}", path.display()))),
    })?;
    if found.log.is_none() && found.letters.is_empty() && found.spills.is_empty() && !memory {
        return Err(Failure::Failed(format!(
            "{} holds no spool: it should be a spool.dir, with the folder `log` that a gateway with spool.durability = \"fsync\" makes, or that folder",
            path.display()
        )));
    }
    let written = if args.json {
        json::write(&found, clock.now(), out)
    } else {
        table::write(&found, path, memory, clock.now(), out)
    };
    written.map_err(|error| Failure::Failed(format!("the result could not be written: {error}")))?;
    match left(&found) {
        left if args.expect_empty && !left.is_empty() => {
            Err(Failure::Failed(format!("{} is not to be deleted: {}", path.display(), left.join("; "))))
        }
        _ => Ok(()),
    }
}

/// What would be lost with the folder. Not a torn end of the log, which was never acknowledged, nor what was replayed (`….done`).
fn left(found: &Found) -> Vec<String> {
    let mut left = Vec::new();
    if let Some(log) = &found.log {
        let total = log.total();
        left.extend(log.holder.map(|holder| format!("a gateway runs on it ({holder}): stop it first")));
        if total.points > 0 {
            left.push(format!("{} points wait: start a gateway on it, or run tagline replay on it", total.points));
        }
        if total.missing > 0 {
            left.push(format!("{} points wait that cannot be found", total.missing));
        }
        let damaged = log.damage.iter().filter(|file| file.places > 0).map(|file| format!("{} is damaged", file.file));
        left.extend(damaged.chain(log.aside.iter().map(|file| format!("{} lies apart", file.name))));
    }
    let spilled: u64 = found.spills.iter().flat_map(|file| file.tenants.values()).sum();
    if !found.spills.is_empty() {
        left.push(format!("{spilled} points lie in spill files: run tagline replay on it"));
    }
    let letters: u64 = found.letters.values().map(|of| of.letters).sum();
    if letters > 0 {
        left.push(format!("{letters} dead letters lie there: replay them, or keep a copy"));
    }
    left
}

fn look(path: &Path) -> io::Result<Found> {
    let folder = offline::find(path)?;
    let log = folder.as_deref().map(|folder| Offline::open(folder)?.survey(None)).transpose()?;
    // Beside a log that was named by itself nothing is looked for.
    let dir = (folder.as_deref() != Some(path)).then(|| path.to_owned());
    let (mut letters, mut spills) = (BTreeMap::new(), Vec::new());
    if let Some(dir) = &dir {
        letters = deliver::dead_letter_files(dir)?;
        spills = deliver::spill_files(dir)?;
    }
    Ok(Found { log, dir, letters, spills })
}

/// Seconds since `at`.
fn age(at: i64, now: i64) -> u64 {
    u64::try_from(now.saturating_sub(at) / 1_000_000_000).unwrap_or(0)
}
