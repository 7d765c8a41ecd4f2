//! `tagline dashboards`: the dashboards of Grafana and InfluxDB as files, for the buckets and the trace URL of the settings.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use super::Failure;
use crate::answers::dashboards::{self, Made, Place, Sources};
use crate::config::Installation;

/// Write the dashboards of Grafana and InfluxDB, for the buckets and the trace URL of the settings.
///
/// Those under grafana/ and influxdb/ of the repository are for the default settings. What comes from the settings: influxdb.bucket and the tenants' own
/// buckets, answers.rollup_bucket, answers.trace_url. Nothing is connected to.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  tagline dashboards --config /etc/tagline.toml ./dashboards
  tagline dashboards --dry-run   what would change in this folder")]
pub struct DashboardsArgs {
    /// Folder to write to: grafana/dashboards, grafana/provisioning and influxdb/template.json go below it
    #[arg(default_value = ".")]
    pub folder: PathBuf,
    /// Say what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Runs the command.
pub fn run(args: &DashboardsArgs, settings: &Installation, out: &mut dyn Write) -> Result<(), Failure> {
    let place = Place::of(settings);
    let made = Sources::shipped().and_then(|sources| dashboards::files(&sources, &place));
    for Made { path, text } in made.map_err(|fault| Failure::Failed(fault.to_string()))? {
        let path = args.folder.join(path);
        let before = match fs::read(&path) {
            Ok(before) => Some(before),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(&path, "cannot be read", &error)),
        };
        let state = match before {
            Some(before) if before == text.as_bytes() => "as it was",
            Some(_) => "changed",
            None => "new",
        };
        if state != "as it was" && !args.dry_run {
            let folder = path.parent().unwrap_or(Path::new("."));
            fs::create_dir_all(folder).map_err(|error| failed(folder, "cannot be made", &error))?;
            fs::write(&path, text).map_err(|error| failed(&path, "cannot be written", &error))?;
        }
        writeln!(out, "{state:<10} {}", path.display())?;
    }
    Ok(())
}

fn failed(path: &Path, what: &str, error: &io::Error) -> Failure {
    Failure::Failed(format!("{} {what}: {error}", path.display()))
}
