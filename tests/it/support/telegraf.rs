//! Telegraf with the configurations of this repository: the very files, with variables as the DaemonSet sets them.

use super::command::Ran;
use super::influx::{Bucket, Influx};
use super::process::Process;
use super::server_binary;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long Telegraf may take to read its configuration, and a run that ends by itself to end, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Which file it runs.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Configuration {
    /// `telegraf/telegraf.conf`: finds Caddy and the gateway through a Kubernetes API server.
    Kubernetes,
    /// `telegraf/telegraf-host.conf`: is told where they are.
    Host,
}

impl Configuration {
    /// Where the file is.
    pub fn path(self) -> PathBuf {
        let name = match self {
            Self::Kubernetes => "telegraf.conf",
            Self::Host => "telegraf-host.conf",
        };
        Path::new(env!("CARGO_MANIFEST_DIR")).join("telegraf").join(name)
    }
}

/// What a Telegraf is started with.
#[derive(Clone, Debug)]
pub struct Setup {
    configuration: Configuration,
    variables: BTreeMap<String, String>,
}

/// A running Telegraf, with a buffer of its own.
pub struct Telegraf {
    // The process goes before the folder that it writes to.
    process: Process,
    setup: Setup,
    folder: TempDir,
    starts: u32,
}

impl Setup {
    /// With this variable as well, or in place of what it would be.
    pub fn variable(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.insert(name.to_owned(), value.into());
        self
    }

    /// Without this variable.
    pub fn without(mut self, name: &str) -> Self {
        self.variables.remove(name);
        self
    }

    /// Starts it and waits until it has taken its configuration. Whether it finds anything to scrape, its log and the bucket tell.
    pub async fn start(self) -> Telegraf {
        let folder = TempDir::with_prefix("tagline-telegraf-").expect("a temporary folder");
        let process = self.spawn(folder.path(), 1);
        let mut telegraf = Telegraf { process, setup: self, folder, starts: 1 };
        telegraf.ready().await;
        telegraf
    }

    /// Runs `telegraf WORDS --config FILE --strict-env-handling` to its end, such as `["config", "check"]`; without words a start that
    /// must fail.
    pub async fn run(self, words: &[&str]) -> Ran {
        let folder = TempDir::with_prefix("tagline-telegraf-").expect("a temporary folder");
        let (stdout, stderr) = (folder.path().join("stdout"), folder.path().join("stderr"));
        let mut command = self.command(folder.path(), words);
        command.stdout(File::create(&stdout).expect("a file in a new folder"));
        command.stderr(File::create(&stderr).expect("a file in a new folder"));
        let mut process = Process::spawn("telegraf", command, folder.path());
        let status = process.wait_exit(PATIENCE).await;
        let read = |path: &Path| std::fs::read_to_string(path).expect("what it said is UTF-8");
        Ran { code: status.code(), stdout: read(&stdout), stderr: read(&stderr) }
    }

    /// `telegraf/start` without words, else Telegraf itself.
    fn command(&self, folder: &Path, words: &[&str]) -> Command {
        let binary = server_binary("telegraf").unwrap_or_else(|error| panic!("{error}"));
        let file = self.configuration.path();
        let mut command;
        if words.is_empty() {
            command = Command::new(file.with_file_name("start"));
            command.arg(file);
        } else {
            command = Command::new(&binary);
            command.args(words).arg("--config").arg(file).arg("--strict-env-handling");
        }
        let path = [binary.parent().expect("a file has a folder"), Path::new("/usr/bin"), Path::new("/bin")];
        command.env_clear().env("PATH", std::env::join_paths(path).expect("no colon in these paths"));
        command.env("HOME", folder).env("TELEGRAF_BUFFER", folder.join("buffer")).current_dir(folder);
        command.envs(&self.variables);
        command
    }

    fn spawn(&self, folder: &Path, starts: u32) -> Process {
        let output = File::create(folder.join(format!("log-{starts}"))).expect("a file in this folder");
        let mut command = self.command(folder, &[]);
        command.stderr(output.try_clone().expect("an open file can be opened once more")).stdout(output);
        Process::spawn("telegraf", command, folder)
    }
}

impl Telegraf {
    /// A Telegraf by this file that writes to this bucket, and scrapes and flushes each second. What the file needs besides are
    /// variables.
    pub fn writing_to(bucket: &Bucket, configuration: Configuration) -> Setup {
        Setup { configuration, variables: BTreeMap::new() }
            .variable("INFLUXDB_URL", bucket.url())
            .variable("INFLUXDB_ORG", Influx::ORGANIZATION)
            .variable("INFLUXDB_BUCKET", bucket.name())
            .variable("INFLUXDB_TOKEN", bucket.token())
            .variable("TELEGRAF_INTERVAL", "1s")
    }

    /// Kills it as the kernel does when memory is short (SIGKILL).
    pub async fn kill(&mut self) {
        self.process.signal("KILL");
        let status = self.process.wait_exit(PATIENCE).await;
        assert_eq!(status.code(), None, "Telegraf ended by itself, just before it was killed: {}", self.log());
    }

    /// Asks it to stop as Kubernetes does, and waits for that.
    pub async fn stop(&mut self) {
        self.process.signal("TERM");
        self.process.wait_exit(PATIENCE).await;
    }

    /// Starts it again after [`Telegraf::kill`] or [`Telegraf::stop`]: same buffer, same variables.
    pub async fn start_again(&mut self) {
        assert!(self.process.exit_status().is_some(), "only a Telegraf that has ended can be started again");
        self.starts += 1;
        self.process = self.setup.spawn(self.folder.path(), self.starts);
        self.ready().await;
    }

    /// Like [`Telegraf::start_again`], with this variable.
    pub async fn start_again_with(&mut self, name: &str, value: &str) {
        self.setup = self.setup.clone().variable(name, value);
        self.start_again().await;
    }

    /// The folder of its buffer.
    pub fn buffer(&self) -> PathBuf {
        self.folder.path().join("buffer")
    }

    /// Its log since it was last started.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join(format!("log-{}", self.starts))).unwrap_or_default()
    }

    async fn ready(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        // The agent's first line behind the configuration.
        while !self.log().contains("[agent] Config: Interval") {
            if let Some(status) = self.process.exit_status() {
                panic!("Telegraf ended: {status}\n{}", self.log());
            }
            assert!(Instant::now() < deadline, "Telegraf has not started after {PATIENCE:?}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Telegraf {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- Telegraf's log ---\n{}", self.log());
        }
    }
}
