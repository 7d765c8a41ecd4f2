//! The gateway as a user runs it: the binary, a configuration file, signals, its log.

use super::http;
use super::influx::{Bucket, Influx};
use super::process::Process;
use serde_json::Value;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long the gateway may take to be ready on a busy machine.
const START: Duration = Duration::from_secs(30);

/// The write key of the tenant `acme`, whose origin list is open.
pub const ACME_KEY: &str = "acme-key-0123456789abcdef";

/// The write key of the tenant `globex`, for pages of `https://globex.example` only.
pub const GLOBEX_KEY: &str = "globex-key-0123456789abcdef";

/// Listeners on ports that the kernel picks.
const FREE_PORTS: [(&str, &str); 2] =
    [("TAGLINE__SERVER__LISTEN", "127.0.0.1:0"), ("TAGLINE__SERVER__ADMIN_LISTEN", "127.0.0.1:0")];

/// Turns the spool of [`config_for`] into one in memory; without it accepted means on disk, as by default.
pub const IN_MEMORY: (&str, &str) = ("TAGLINE__SPOOL__DURABILITY", "memory");

/// A configuration that writes to `bucket`, on ports that the kernel picks, for the tenants `acme` and `globex`.
///
/// Sections that it does not have can be appended; a key of a section that it has is set through the environment
/// (`TAGLINE__SECTION__KEY`, see [`Gateway::start_with`]).
pub fn config_for(bucket: &Bucket) -> String {
    format!(
        r#"
[server]
listen = "127.0.0.1:0"
admin_listen = "127.0.0.1:0"
workers = 2
drain_delay = "0s"

[influxdb]
url = "{url}"
org = "{organization}"
bucket = "{bucket}"
token_file = "{token_file}"
retention = "0s"

[spool]
dir = "data"

[tenants.acme.keys.web]
key = "{ACME_KEY}"
origins = ["*"]

[tenants.globex.keys.web]
key = "{GLOBEX_KEY}"
origins = ["https://globex.example"]
"#,
        url = bucket.url(),
        organization = Influx::ORGANIZATION,
        bucket = bucket.name(),
        token_file = bucket.token_file().display(),
    )
}

/// A running `tagline serve`.
pub struct Gateway {
    // The process goes before the folder that it writes to.
    process: Process,
    folder: Folder,
    command: Launch,
    public: SocketAddr,
    admin: SocketAddr,
}

/// Where it runs: a folder of this gateway's own, or one that the test keeps.
enum Folder {
    Own(TempDir),
    Kept(PathBuf),
}

impl Folder {
    fn path(&self) -> &Path {
        match self {
            Self::Own(folder) => folder.path(),
            Self::Kept(path) => path,
        }
    }
}

/// What is needed to start it, and to start it again.
struct Launch {
    program: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    /// Where stdout and stderr go; not in the folder that it runs in, so that a test can look at what the gateway left there.
    output: TempDir,
    starts: u32,
}

impl Gateway {
    /// Starts it with this configuration and waits until it is ready.
    pub async fn start(config: &str) -> Self {
        Self::start_with(config, &[]).await
    }

    /// Starts it with this configuration and these environment variables, and no others.
    pub async fn start_with(config: &str, environment: &[(&str, &str)]) -> Self {
        Self::start_through(&[], config, environment).await
    }

    /// Like [`Gateway::start_with`], as the last arguments of another command, which must become the gateway (`exec`): one that
    /// enters another namespace first, say. No words: no other command.
    pub async fn start_through(command: &[String], config: &str, environment: &[(&str, &str)]) -> Self {
        let folder = TempDir::with_prefix("tagline-gateway-").expect("a temporary folder");
        let file = folder.path().join("tagline.toml");
        std::fs::write(&file, config).expect("the configuration can be written");
        let binary = env!("CARGO_BIN_EXE_tagline").to_owned();
        let serve = [binary, "serve".to_owned(), "--config".to_owned(), file.display().to_string()];
        let mut words = command.iter().cloned().chain(serve);
        let program = words.next().expect("at least the gateway's own words").into();
        Self::launch(program, words.collect(), environment, Folder::Own(folder)).await
    }

    /// Starts it with no configuration at all, but on ports that the kernel picks: the dev profile. It runs in `folder`, where
    /// its `data` goes.
    pub async fn start_dev(folder: &Path) -> Self {
        Self::start_dev_with(folder, &[]).await
    }

    /// Like [`Gateway::start_dev`], with these environment variables as well, such as `INFLUXDB_URL`.
    pub async fn start_dev_with(folder: &Path, environment: &[(&str, &str)]) -> Self {
        let environment = [&FREE_PORTS, environment].concat();
        let folder = Folder::Kept(folder.to_owned());
        Self::launch(env!("CARGO_BIN_EXE_tagline").into(), Vec::new(), &environment, folder).await
    }

    /// Like [`Gateway::start_dev`], by another program than the binary that cargo built for the tests, such as one that becomes
    /// another user first.
    pub async fn start_program(program: &Path, arguments: Vec<String>, folder: &Path) -> Self {
        Self::launch(program.to_owned(), arguments, &FREE_PORTS, Folder::Kept(folder.to_owned())).await
    }

    async fn launch(program: PathBuf, arguments: Vec<String>, environment: &[(&str, &str)], folder: Folder) -> Self {
        let mut command = Launch {
            program,
            arguments,
            environment: environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            output: TempDir::with_prefix("tagline-output-").expect("a temporary folder"),
            starts: 0,
        };
        let mut process = command.spawn(&folder);
        let [public, admin] = command.ready(&mut process).await;
        Self { process, folder, command, public, admin }
    }

    /// Starts it again after [`Gateway::wait_exit`]: same folder, same configuration, other ports.
    pub async fn start_again(&mut self) {
        self.begin_again();
        self.ready().await;
    }

    /// The first half of [`Gateway::start_again`]: the process runs, and need not have come far. Until [`Gateway::ready`] its
    /// addresses are those of the last one.
    pub fn begin_again(&mut self) {
        assert!(self.process.exit_status().is_some(), "only a gateway that has ended can be started again");
        self.process = self.command.spawn(&self.folder);
    }

    /// The second half: waits until it is ready.
    pub async fn ready(&mut self) {
        [self.public, self.admin] = self.command.ready(&mut self.process).await;
    }

    /// The public listener of the process that runs now, if its log tells of it yet.
    pub fn listens(&self) -> Option<SocketAddr> {
        listener(&self.command.log(), "public")
    }

    /// Kills it as the kernel does when memory is short (SIGKILL): it learns nothing of it.
    pub async fn kill(&mut self) {
        self.process.signal("KILL");
        let status = self.process.wait_exit(START).await;
        assert_eq!(status.code(), None, "it ended by itself, just before it was killed: {}", self.log());
    }

    /// `http://127.0.0.1:PORT` of the public listener.
    pub fn url(&self) -> String {
        format!("http://{}", self.public)
    }

    /// `http://127.0.0.1:PORT` of the admin listener.
    pub fn admin_url(&self) -> String {
        format!("http://{}", self.admin)
    }

    /// The public listener.
    pub fn address(&self) -> SocketAddr {
        self.public
    }

    /// The admin listener.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// The folder that it runs in; `tagline.toml` is there.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its configuration file, of one that has one.
    pub fn config_file(&self) -> String {
        self.folder().join("tagline.toml").display().to_string()
    }

    /// Its `spool.dir`, of one that was configured by [`config_for`].
    pub fn spool(&self) -> PathBuf {
        self.folder().join("data")
    }

    /// `/readyz`: the status code, and the checks.
    pub fn readiness(&self) -> (u16, Value) {
        let answer = http::request(self.admin, "GET", "/readyz", &[], b"");
        (answer.status, answer.json())
    }

    /// The process's number.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Asks it to stop as Kubernetes does.
    pub fn sigterm(&mut self) {
        self.process.signal("TERM");
    }

    /// Sends it another signal, by name.
    pub fn signal(&mut self, name: &str) {
        self.process.signal(name);
    }

    /// Waits until it has ended; fails the test after `within`.
    pub async fn wait_exit(&mut self, within: Duration) -> ExitStatus {
        self.process.wait_exit(within).await
    }

    /// Its log since it was last started (stderr).
    pub fn log(&self) -> String {
        self.command.log()
    }

    /// The log's lines that are JSON.
    pub fn log_lines(&self) -> Vec<Value> {
        self.log().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// What it printed since it was last started (stdout).
    pub fn stdout(&self) -> String {
        std::fs::read_to_string(self.command.file("stdout")).unwrap_or_default()
    }

    /// `GET` on the admin listener, as JSON.
    pub fn admin_json(&self, target: &str) -> Value {
        http::request(self.admin, "GET", target, &[], b"").json()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the gateway's log ---\n{}", self.log());
        }
    }
}

impl Launch {
    fn file(&self, stream: &str) -> PathBuf {
        self.output.path().join(format!("{stream}-{}", self.starts))
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.file("stderr")).unwrap_or_default()
    }

    fn spawn(&mut self, folder: &Folder) -> Process {
        self.starts += 1;
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env_clear()
            .env("RUST_BACKTRACE", "1")
            .env("NO_COLOR", "1")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(folder.path())
            .stdout(File::create(self.file("stdout")).expect("a file in a new folder"))
            .stderr(File::create(self.file("stderr")).expect("a file in a new folder"));
        // A folder that the test keeps is the test's to remove.
        let removed = match folder {
            Folder::Own(own) => own.path(),
            Folder::Kept(_) => self.output.path(),
        };
        Process::spawn("tagline", command, removed)
    }

    /// Waits until it is ready: the addresses of its public and its admin listener.
    async fn ready(&self, process: &mut Process) -> [SocketAddr; 2] {
        let deadline = Instant::now() + START;
        loop {
            let log = self.log();
            if let (Some(public), Some(admin)) = (listener(&log, "public"), listener(&log, "admin"))
                && http::try_request(admin, "GET", "/readyz", &[], b"").is_ok_and(|answer| answer.status == 200)
            {
                return [public, admin];
            }
            if let Some(status) = process.exit_status() {
                panic!("tagline ended before it was ready: {status}\n{log}");
            }
            assert!(Instant::now() < deadline, "tagline is not ready after {START:?}\n{log}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// The address in the log line that announces a listener, be the log JSON or text (the dev profile's).
fn listener(log: &str, name: &str) -> Option<SocketAddr> {
    log.lines().find_map(|line| {
        let Ok(line) = serde_json::from_str::<Value>(line) else {
            let mut words = line.split_ascii_whitespace();
            words.find(|word| *word == format!("listener=\"{name}\""))?;
            return words.find_map(|word| word.strip_prefix("address="))?.parse().ok();
        };
        let fields = line.get("fields").unwrap_or(&line);
        (fields["listener"] == name).then(|| fields["address"].as_str()?.parse().ok())?
    })
}
