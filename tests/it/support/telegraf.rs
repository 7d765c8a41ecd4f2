//! Telegraf with the configurations of this repository: the very files, with variables as the DaemonSet sets them.

use super::command::Ran;
use super::influx::{Bucket, Influx};
use super::process::Process;
use super::server_binary;
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

/// A running Telegraf, with a buffer of its own.
pub struct Telegraf {
    // The process goes before the folder that it writes to.
    process: Process,
    launch: Launch,
}

struct Launch {
    configuration: Configuration,
    environment: Vec<(String, String)>,
    folder: TempDir,
    starts: u32,
}

impl Telegraf {
    /// The token with which it writes to InfluxDB and the other variables that tell it where to write; it scrapes and flushes each
    /// second. Set the same variable again to have another value.
    pub fn writing_to(bucket: &Bucket) -> Vec<(String, String)> {
        let variables = [
            ("INFLUXDB_URL", bucket.url()),
            ("INFLUXDB_ORG", Influx::ORGANIZATION.to_owned()),
            ("INFLUXDB_BUCKET", bucket.name().to_owned()),
            ("INFLUXDB_TOKEN", bucket.token().to_owned()),
            ("TELEGRAF_INTERVAL", "1s".to_owned()),
        ];
        variables.map(|(name, value)| (name.to_owned(), value)).into()
    }

    /// Starts it with these variables ([`Telegraf::writing_to`] and what the configuration needs besides) and no others, and waits until
    /// it has taken its configuration. Whether it finds anything to scrape, its log and the bucket tell.
    pub async fn start(configuration: Configuration, environment: &[(String, String)]) -> Self {
        let mut launch = Launch {
            configuration,
            environment: environment.to_vec(),
            folder: TempDir::with_prefix("tagline-telegraf-").expect("a temporary folder"),
            starts: 0,
        };
        let process = launch.spawn();
        let mut telegraf = Self { process, launch };
        telegraf.ready().await;
        telegraf
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

    /// Starts it again after [`Telegraf::kill`] or [`Telegraf::stop`]: same variables, same buffer.
    pub async fn start_again(&mut self) {
        assert!(self.process.exit_status().is_some(), "only a Telegraf that has ended can be started again");
        self.process = self.launch.spawn();
        self.ready().await;
    }

    /// The folder of its buffer.
    pub fn buffer(&self) -> PathBuf {
        self.launch.buffer()
    }

    /// Its log since it was last started.
    pub fn log(&self) -> String {
        self.launch.log()
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

impl Launch {
    fn buffer(&self) -> PathBuf {
        self.folder.path().join("buffer")
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join(format!("log-{}", self.starts))
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.file()).unwrap_or_default()
    }

    fn spawn(&mut self) -> Process {
        self.starts += 1;
        let output = File::create(self.file()).expect("a file in a new folder");
        let mut command = command(self.configuration, self.folder.path(), &[]);
        command
            .env("TELEGRAF_BUFFER", self.buffer())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stderr(output.try_clone().expect("an open file can be opened once more"))
            .stdout(output);
        Process::spawn("telegraf", command, self.folder.path())
    }
}

/// `telegraf COMMAND --config FILE --strict-env-handling`, with no variables.
fn command(configuration: Configuration, folder: &Path, words: &[&str]) -> Command {
    let binary = server_binary("telegraf").unwrap_or_else(|error| panic!("{error}"));
    let mut command = Command::new(binary);
    command.args(words).arg("--config").arg(configuration.path()).arg("--strict-env-handling");
    command.env_clear().env("HOME", folder).current_dir(folder);
    command
}

/// Runs `telegraf WORDS --config FILE --strict-env-handling` to its end, with these variables and no others: `["config", "check"]`,
/// `["--once"]`, or a start that must fail.
pub async fn telegraf(configuration: Configuration, words: &[&str], environment: &[(String, String)]) -> Ran {
    let folder = TempDir::with_prefix("tagline-telegraf-").expect("a temporary folder");
    let (stdout, stderr) = (folder.path().join("stdout"), folder.path().join("stderr"));
    let mut command = command(configuration, folder.path(), words);
    command
        .env("TELEGRAF_BUFFER", folder.path().join("buffer"))
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdout(File::create(&stdout).expect("a file in a new folder"))
        .stderr(File::create(&stderr).expect("a file in a new folder"));
    let mut process = Process::spawn("telegraf", command, folder.path());
    let status = process.wait_exit(PATIENCE).await;
    let read = |path: &Path| std::fs::read_to_string(path).expect("what it said is UTF-8");
    Ran { code: status.code(), stdout: read(&stdout), stderr: read(&stderr) }
}
