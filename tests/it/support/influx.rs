//! A real InfluxDB 2: started once for the whole run, a bucket for each test, and what is in it read back by Flux.

mod bucket;
mod rows;

pub use bucket::{Bucket, flux_string};
pub use rows::{Row, parse};

use super::http;
use super::process::Process;
use super::{random_text, server_binary, unique};
use serde_json::json;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long influxd may take to come up on a busy machine.
const START: Duration = Duration::from_secs(60);

/// The InfluxDB that all tests share. Started by the first test that asks; fails each test that needs it when it cannot be had.
pub fn influx() -> &'static Influx {
    static SHARED: OnceLock<Result<Influx, String>> = OnceLock::new();
    match SHARED.get_or_init(|| Influx::launch(Metadata::InMemory)) {
        Ok(influx) => influx,
        Err(error) => panic!("{error}"),
    }
}

/// Where influxd keeps what is not points: organisations, buckets, tokens.
#[derive(Clone, Copy, PartialEq)]
enum Metadata {
    /// Gone with the process; quicker.
    InMemory,
    OnDisk,
}

/// A running influxd, set up with an organisation and an operator's token.
pub struct Influx {
    // The process goes before the folder that it writes to.
    process: Option<Process>,
    folder: TempDir,
    binary: PathBuf,
    metadata: Metadata,
    starts: u32,
    address: SocketAddr,
    organization_id: String,
    token: String,
}

impl Influx {
    /// The organisation in which all buckets are.
    pub const ORGANIZATION: &str = "tagline-tests";

    /// An influxd for one test alone, which may be stopped and started again.
    pub fn own() -> Self {
        Self::launch(Metadata::OnDisk).unwrap_or_else(|error| panic!("{error}"))
    }

    /// An influxd for one test alone that nobody has set up: no user, no organisation, no token.
    pub fn fresh() -> Self {
        let launched = Self::begin(Metadata::InMemory).and_then(|mut influx| influx.run().map(|()| influx));
        launched.unwrap_or_else(|error| panic!("{error}"))
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it keeps everything.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The process's number.
    pub fn id(&self) -> u32 {
        self.process.as_ref().expect("a running influxd").id()
    }

    /// A new bucket with no retention limit, whose name begins with `prefix`.
    pub fn bucket(&self, prefix: &str) -> Bucket {
        self.bucket_with_retention(prefix, Duration::ZERO)
    }

    /// A new bucket that keeps points for `retention` (zero: for ever; InfluxDB's least is an hour).
    pub fn bucket_with_retention(&self, prefix: &str, retention: Duration) -> Bucket {
        let bucket = self.absent_bucket(prefix);
        bucket.create(retention);
        bucket
    }

    /// A name for a bucket that does not exist yet; [`Bucket::create`] makes it.
    pub fn absent_bucket(&self, prefix: &str) -> Bucket {
        self.bucket_named(unique(prefix))
    }

    /// The bucket of just this name, be it there or not; for an influxd of one's own.
    pub fn bucket_named(&self, name: impl Into<String>) -> Bucket {
        Bucket {
            address: self.address,
            name: name.into(),
            organization_id: self.organization_id.clone(),
            token: self.token.clone(),
            token_file: self.token_file(),
        }
    }

    /// A new bucket in a new organisation, which has secrets, tasks, `_monitoring` and `_tasks` of its own.
    pub fn bucket_apart(&self, prefix: &str) -> Bucket {
        let mut bucket = self.absent_bucket(prefix);
        let body = json!({ "name": bucket.name }).to_string();
        let answer = bucket.call("POST", "/api/v2/orgs", "application/json", body.as_bytes());
        assert_eq!(answer.status, 201, "create organisation {}: {}", bucket.name, answer.text());
        let id = answer.json()["id"].as_str().map(str::to_owned);
        bucket.organization_id = id.expect("a new organisation has an id");
        bucket.create(Duration::ZERO);
        bucket
    }

    /// Ends influxd as an operator would (SIGTERM) and waits for that. Its port answers nobody until [`Influx::start`].
    pub async fn stop(&mut self) {
        let mut process = self.process.take().expect("stop is called on a running influxd");
        process.signal("TERM");
        process.wait_exit(START).await;
    }

    /// Starts a stopped influxd again: same port, same data, same token.
    pub fn start(&mut self) {
        assert!(self.process.is_none(), "start is called on a stopped influxd");
        self.run().unwrap_or_else(|error| panic!("{error}"));
    }

    /// Freezes influxd (SIGSTOP): connections are accepted by the kernel, and nothing answers. [`Influx::thaw`] ends it.
    pub fn freeze(&mut self) {
        self.process.as_mut().expect("freeze is called on a running influxd").signal("STOP");
    }

    /// Lets a frozen influxd go on (SIGCONT).
    pub fn thaw(&mut self) {
        self.process.as_mut().expect("thaw is called on a running influxd").signal("CONT");
    }

    fn launch(metadata: Metadata) -> Result<Self, String> {
        let mut influx = Self::begin(metadata)?;
        influx.run()?;
        influx.set_up()?;
        Ok(influx)
    }

    fn begin(metadata: Metadata) -> Result<Self, String> {
        let binary = server_binary("influxd")?;
        let folder = tempfile::Builder::new()
            .prefix("tagline-influxd-")
            .tempdir()
            .map_err(|error| format!("influxd: no temporary folder: {error}"))?;
        Ok(Self {
            process: None,
            folder,
            binary,
            metadata,
            starts: 0,
            // The kernel picks a port; influxd logs which.
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            organization_id: String::new(),
            token: random_text(40),
        })
    }

    fn run(&mut self) -> Result<(), String> {
        self.starts += 1;
        let path = self.folder.path();
        let log = path.join(format!("influxd-{}.log", self.starts));
        let output = File::create(&log).map_err(|error| format!("influxd: {}: {error}", log.display()))?;
        let errors = output.try_clone().map_err(|error| format!("influxd: {}: {error}", log.display()))?;
        let mut command = Command::new(&self.binary);
        command.env_clear().env("HOME", path);
        command.arg("--bolt-path").arg(path.join("bolt"));
        command.arg("--sqlite-path").arg(path.join("sqlite"));
        command.arg("--engine-path").arg(path.join("engine"));
        command.args(["--http-bind-address", &self.address.to_string()]);
        command.args(["--reporting-disabled", "--ui-disabled"]);
        if self.metadata == Metadata::InMemory {
            command.args(["--store", "memory"]);
        }
        command.stdout(output).stderr(errors);
        let mut process = Process::spawn("influxd", command, path);

        let deadline = Instant::now() + START;
        loop {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            if let Some(port) = listening_port(&said) {
                self.address.set_port(port);
                if http::try_request(self.address, "GET", "/health", &[], b"").is_ok_and(|answer| answer.status == 200)
                {
                    self.process = Some(process);
                    return Ok(());
                }
            }
            let ended = process.exit_status();
            if ended.is_some() || Instant::now() > deadline {
                let how = ended.map_or(format!("is not healthy after {START:?}"), |status| format!("ended: {status}"));
                return Err(format!("{} {how}\n{said}", self.binary.display()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn set_up(&mut self) -> Result<(), String> {
        let request = json!({
            "username": "tests",
            "password": random_text(20),
            "org": Self::ORGANIZATION,
            "bucket": "set-up",
            "token": self.token,
        });
        let answer = http::request(self.address, "POST", "/api/v2/setup", &[], request.to_string().as_bytes());
        let id = answer.status == 201;
        let id = id.then(|| answer.json()["org"]["id"].as_str().map(str::to_owned)).flatten();
        self.organization_id =
            id.ok_or_else(|| format!("influxd: set-up answered {} {}", answer.status, answer.text()))?;
        std::fs::write(self.token_file(), &self.token).map_err(|error| format!("influxd: token file: {error}"))
    }

    fn token_file(&self) -> PathBuf {
        self.folder.path().join("token")
    }
}

/// The port in influxd's log line about its HTTP listener, if that is written already.
fn listening_port(log: &str) -> Option<u16> {
    let line = log.lines().find(|line| line.contains("msg=Listening") && line.contains("transport=http"))?;
    line.split_ascii_whitespace().find_map(|word| word.strip_prefix("port="))?.parse().ok()
}
