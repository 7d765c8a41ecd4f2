//! Child processes that cannot outlive the test process.
//!
//! Beside each child waits a shell, the *leash*, that reads from a pipe whose other end the test process holds. When that end
//! closes, be it by `Drop`, by a panic, or because the test process was killed, the leash kills the child's process group and
//! removes its folder. No signal handler and no `unsafe` is needed for it.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// `$1` is the process group, `$2` its folder. A word on the pipe means that the child was reaped: its number may belong to
/// somebody else by now, so nothing is killed. (`kill -KILL -- …` is not understood by every shell; `kill -s KILL -- …` is.)
const LEASH: &str = r#"read -r word && exit; kill -s KILL -- "-$1"; sleep 0.1; rm -rf -- "$2""#;

/// A running child process; dropping it kills it and everything that it started.
pub struct Process {
    name: &'static str,
    child: Child,
    leash: Child,
    exited: Option<ExitStatus>,
}

impl Process {
    /// Starts `command` in a process group of its own. `folder` is removed if the test process dies before this value is
    /// dropped, or when it is dropped with the child still running.
    pub fn spawn(name: &'static str, mut command: Command, folder: &Path) -> Self {
        let program = command.get_program().to_os_string();
        let child = command
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: cannot start {}: {error}", program.display()));
        let leash = Command::new("sh")
            .args(["-c", LEASH, "leash", &child.id().to_string()])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Not in the terminal's group: Ctrl-C must end the test process and leave the leash to clean up.
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: cannot start sh: {error}"));
        Self { name, child, leash, exited: None }
    }

    /// The process's number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        if self.exited.is_none() {
            self.exited = self.child.try_wait().unwrap_or_else(|error| panic!("{}: {error}", self.name));
        }
        self.exited
    }

    /// Waits until it ends by itself; fails the test after `within`.
    pub async fn wait_exit(&mut self, within: Duration) -> ExitStatus {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.exit_status() {
                return status;
            }
            assert!(Instant::now() < deadline, "{} still runs after {within:?}", self.name);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Sends a signal by its name (`TERM`, `HUP`, `STOP`, …); fails the test if the process has ended.
    pub fn signal(&mut self, signal: &str) {
        assert!(self.exit_status().is_none(), "{} has ended: no signal can reach it", self.name);
        let sent = Command::new("sh").args(["-c", &format!("kill -{signal} {}", self.id())]).status();
        assert!(sent.is_ok_and(|status| status.success()), "{}: kill -{signal} failed", self.name);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let reaped = self.exited.is_some() || self.child.try_wait().is_ok_and(|status| status.is_some());
        if let Some(mut pipe) = self.leash.stdin.take()
            && reaped
        {
            // Failing means that the leash is gone, and with it what it could do wrong.
            let _ = pipe.write_all(b"reaped\n");
        }
        let _ = self.leash.wait();
        if !reaped {
            // The leash did this already, to the whole group; a test must not hang should the leash itself have been killed.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
