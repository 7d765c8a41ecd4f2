//! The binary's commands, as a shell runs them: arguments in; exit code, stdout and stderr out.

use super::process::Process;
use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// How long a command may take on a busy machine. One that ought to end at once and serves instead fails the test by this.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a command left.
#[derive(Debug)]
pub struct Ran {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it said.
    pub stderr: String,
}

/// Runs `tagline ARGUMENTS` in `folder`, with these environment variables and no others.
pub async fn tagline(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
    let output = TempDir::with_prefix("tagline-command-").expect("a temporary folder");
    let (stdout, stderr) = (output.path().join("stdout"), output.path().join("stderr"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_tagline"));
    command
        .args(arguments)
        .env_clear()
        .env("RUST_BACKTRACE", "1")
        .envs(environment.iter().copied())
        .current_dir(folder)
        .stdout(File::create(&stdout).expect("a file in a new folder"))
        .stderr(File::create(&stderr).expect("a file in a new folder"));
    let mut process = Process::spawn("tagline", command, output.path());
    let status = process.wait_exit(PATIENCE).await;
    let read = |path: &Path| std::fs::read_to_string(path).expect("what it said is UTF-8");
    let ran = Ran { code: status.code(), stdout: read(&stdout), stderr: read(&stderr) };
    for said in [&ran.stdout, &ran.stderr] {
        assert!(!said.contains("panicked") && !said.contains("stack backtrace"), "{arguments:?}: {said}");
    }
    ran
}
