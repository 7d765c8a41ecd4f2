//! Alertmanager with the example of `prometheus/alertmanager.yml`: what differs are its secrets, who gets its messages, and its times.

use super::process::Process;
use super::service::{Reply, Service};
use super::{Ran, eventually, http, server_binary};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// How long it may take to be ready, or to say what it was told, on a busy machine.
pub const SOON: Duration = Duration::from_secs(30);

/// The example.
pub fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("prometheus/alertmanager.yml")
}

/// `amtool` with these arguments.
pub fn amtool(arguments: &[&str]) -> Ran {
    let binary = server_binary("amtool").unwrap_or_else(|error| panic!("{error}"));
    let ran = Command::new(&binary).args(arguments).env_clear().output();
    let ran = ran.unwrap_or_else(|error| panic!("{}: {error}", binary.display()));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran { code: ran.status.code(), stdout: text(&ran.stdout), stderr: text(&ran.stderr) }
}

/// A running one; it ends with this value.
pub struct Alertmanager {
    // The process goes before the folder that it writes to.
    process: Process,
    folder: TempDir,
    address: SocketAddr,
    receivers: Service,
}

/// A message that somebody got.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Message {
    /// The receiver of the example.
    pub to: &'static str,
    /// `firing` or `resolved`.
    pub status: String,
    /// All of its text.
    pub text: String,
}

impl Alertmanager {
    /// By the example, with these texts in place of others, which must be there.
    pub async fn start(edits: &[(&str, &str)]) -> Self {
        // What Slack says; anything else, and the message is sent again. PagerDuty may say what it likes.
        let receivers = Service::start(|_| Reply::Answer(200, Vec::new(), "ok".to_owned()));
        let folder = TempDir::with_prefix("tagline-alertmanager-").expect("a temporary folder");
        let path = folder.path();
        let write = |name: &str, text: &str| std::fs::write(path.join(name), text).expect("a file in a new folder");
        let url = format!("http://{}", receivers.address());
        write("slack-url", &format!("{url}/slack"));
        write("pagerduty-key", "a-routing-key");
        let secrets = path.to_str().expect("temporary folders have names of ASCII letters");
        let pager = format!("{url}/pager");
        let mut config = std::fs::read_to_string(example()).expect("the example");
        let own = [
            ("/etc/alertmanager/secrets", secrets),
            ("https://events.pagerduty.com/v2/enqueue", &pager),
            ("group_wait: 30s", "group_wait: 500ms"),
            ("group_interval: 5m", "group_interval: 500ms"),
        ];
        // Whatever the hour at which the tests run, the known window is not now; but a test may say when it is.
        let never = [("weekdays: [sunday]", "years: ['2001']")];
        let window = never.iter().filter(|(was, _)| !edits.iter().any(|(edited, _)| edited == was));
        for (was, now) in own.iter().chain(window).chain(edits) {
            assert!(config.contains(was), "the example has no {was}");
            config = config.replace(was, now);
        }
        write("alertmanager.yml", &config);
        let process = spawn(path);
        let mut started = Self { process, address: "127.0.0.1:0".parse().expect("an address"), folder, receivers };
        started.wait_until_ready().await;
        started
    }

    /// It says in its log where it listens.
    async fn wait_until_ready(&mut self) {
        self.address = eventually(SOON, || {
            if let Some(status) = self.process.exit_status() {
                panic!("Alertmanager ended: {status}\n{}", log(self.folder.path()));
            }
            let log = log(self.folder.path());
            let address = log.lines().find_map(|line| line.split_once("msg=\"Listening on\" address=")?.1.parse().ok());
            async move { address.ok_or(log) }
        })
        .await;
        let asked = || async {
            let answer = http::request(self.address, "GET", "/-/ready", &[], b"");
            if answer.status == 200 { Ok(()) } else { Err(answer.text()) }
        };
        eventually(SOON, asked).await;
    }

    /// `http://ADDRESS`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Tells it of alerts, as Prometheus and InfluxDB's tasks do.
    pub fn tell(&self, alerts: &Value) {
        let body = alerts.to_string();
        let headers = [("Content-Type", "application/json")];
        let answer = http::request(self.address, "POST", "/api/v2/alerts", &headers, body.as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// What it knows of: the labels of each alert, and whether it is inhibited or silenced.
    pub fn alerts(&self) -> Vec<Value> {
        let answer = http::request(self.address, "GET", "/api/v2/alerts", &[], b"");
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json().as_array().expect("a list").clone()
    }

    /// What its receivers got, in the order of arrival.
    pub fn messages(&self) -> Vec<Message> {
        let received = self.receivers.received();
        received.iter().map(|request| message(&request.target, &request.body)).collect()
    }

    /// Waits until its receivers got all of these messages: each by its receiver, its status, and a text that is in it.
    pub async fn has_said(&self, expected: &[(&str, &str, &str)]) {
        eventually(SOON, || async {
            let said = self.messages();
            let missing = expected.iter().filter(|(to, status, text)| {
                !said.iter().any(|one| one.to == *to && one.status == *status && one.text.contains(text))
            });
            let missing: Vec<_> = missing.collect();
            if missing.is_empty() { Ok(()) } else { Err(format!("without {missing:?}: {said:#?}")) }
        })
        .await;
    }

    /// Waits until exactly these are inhibited, by what `name` makes of an alert's labels.
    pub async fn inhibits(&self, name: impl Fn(&Value) -> String, expected: &[&str]) {
        let expected: BTreeSet<String> = expected.iter().map(|name| (*name).to_owned()).collect();
        eventually(SOON, || async {
            let alerts = self.alerts();
            let inhibited = alerts.iter().filter(|alert| alert["status"]["inhibitedBy"] != json!([]));
            let inhibited: BTreeSet<String> = inhibited.map(|alert| name(&alert["labels"])).collect();
            if inhibited == expected { Ok(()) } else { Err(format!("{inhibited:?}, not {expected:?}")) }
        })
        .await;
    }
}

fn spawn(folder: &Path) -> Process {
    let binary = server_binary("alertmanager").unwrap_or_else(|error| panic!("{error}"));
    let output = File::create(folder.join("log")).expect("a file in a new folder");
    let errors = output.try_clone().expect("another descriptor of it");
    let mut command = Command::new(binary);
    command.arg("--config.file").arg(folder.join("alertmanager.yml"));
    command.arg("--storage.path").arg(folder.join("data"));
    // One alone, on a port of the kernel's choice.
    command.args(["--cluster.listen-address=", "--web.listen-address=127.0.0.1:0"]);
    command.env_clear().current_dir(folder).stdout(output).stderr(errors);
    Process::spawn("alertmanager", command, folder)
}

fn log(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("log")).unwrap_or_default()
}

/// What Slack or PagerDuty would have understood.
fn message(target: &str, body: &[u8]) -> Message {
    let text = String::from_utf8_lossy(body).into_owned();
    let body: Value = serde_json::from_slice(body).unwrap_or_else(|error| panic!("not JSON ({error}): {text}"));
    let (to, resolved) = match target {
        "/pager" => {
            assert_eq!(body["routing_key"], "a-routing-key", "the secret is that of its file");
            ("night", body["event_action"] == "resolve")
        }
        "/slack" => {
            let title = body["attachments"][0]["title"].as_str().unwrap_or_default();
            let to = match body["channel"].as_str() {
                Some("#tagline") => "day",
                Some("#tenants") => "tenants",
                other => panic!("nobody is {other:?}"),
            };
            (to, title.starts_with("RESOLVED "))
        }
        other => panic!("a message to {other}: {text}"),
    };
    Message { to, status: if resolved { "resolved" } else { "firing" }.to_owned(), text }
}
