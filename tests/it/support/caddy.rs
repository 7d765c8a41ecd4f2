//! Caddy with the very files of `k8s/caddy`: what differs in a test (ports, folders, who stands behind it) are variables.

mod ports;

pub use ports::free_port;

use super::gateway::Gateway;
use super::http::{self, Answer, Connection};
use super::process::Process;
use super::{eventually, server_binary};
use openssl::ssl::{SslConnector, SslMethod};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long Caddy may take to be ready on a busy machine: it makes an authority and certificates of its own.
const START: Duration = Duration::from_secs(60);

/// What Caddy shows to the gateway to be believed: the content of its `TAGLINE_PROXY_SECRET_FILE`.
pub const PROXY_SECRET: &str = "between-caddy-and-gateway-0123456789";

/// Where the kernel says that Caddy's requests come from when it dials a loopback address: what a gateway has to trust.
pub const CADDY_ADDRESS: &str = "127.0.0.1";

/// The folder of Caddy's files.
pub fn caddy_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("k8s/caddy")
}

/// A copy of that folder in whose Caddyfile the second of each pair stands in place of the first, which must be there: what an operator
/// would edit.
pub fn edited(edits: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::with_prefix("tagline-caddyfile-").expect("a temporary folder");
    for name in ["Caddyfile", "common.caddy"] {
        std::fs::copy(caddy_folder().join(name), folder.path().join(name))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let file = folder.path().join("Caddyfile");
    let mut text = std::fs::read_to_string(&file).expect("a file that was just written");
    for (was, now) in edits {
        assert!(text.contains(was), "k8s/caddy/Caddyfile has no `{was}`");
        text = text.replacen(was, now, 1);
    }
    std::fs::write(&file, text).expect("a file in a new folder");
    folder
}

/// What a Caddy is started with.
#[derive(Debug)]
pub struct Setup {
    file: PathBuf,
    sites: Vec<String>,
    bind: IpAddr,
    metrics_port: Option<u16>,
    variables: BTreeMap<String, String>,
    authority: Option<PathBuf>,
}

/// A running `caddy run`.
pub struct Caddy {
    // The process goes before the folder that it writes to.
    process: Process,
    folder: TempDir,
    sites: Vec<String>,
    authority: PathBuf,
    https: SocketAddr,
    http: SocketAddr,
    metrics: SocketAddr,
}

impl Caddy {
    /// Caddy for these hosts (`acme.app.test`, `*.app.test`), by `k8s/caddy/Caddyfile`.
    pub fn for_sites<S: AsRef<str>>(sites: &[S]) -> Setup {
        Setup {
            file: caddy_folder().join("Caddyfile"),
            sites: sites.iter().map(|site| site.as_ref().to_owned()).collect(),
            bind: ports::own_address(),
            metrics_port: None,
            variables: BTreeMap::from([
                ("CADDY_SHUTDOWN_DELAY".to_owned(), "0s".to_owned()),
                ("TAGLINE_UPSTREAMS".to_owned(), "127.0.0.1:1".to_owned()),
                ("TAGLINE_ADMIN_PORT".to_owned(), "1".to_owned()),
                ("APP_UPSTREAMS".to_owned(), "127.0.0.1:1".to_owned()),
            ]),
            authority: None,
        }
    }

    /// Where it speaks TLS.
    pub fn address(&self) -> SocketAddr {
        self.https
    }

    /// Where it sends plain requests to the TLS one.
    pub fn http_address(&self) -> SocketAddr {
        self.http
    }

    /// Where its metrics and `/healthz` are.
    pub fn metrics_address(&self) -> SocketAddr {
        self.metrics
    }

    /// `http://ADDRESS/metrics`
    pub fn metrics_url(&self) -> String {
        format!("http://{}/metrics", self.metrics)
    }

    /// `https://HOST:PORT` of one of its sites; of a wildcard, with `HOST` under it.
    pub fn url(&self, host: &str) -> String {
        format!("https://{host}:{}", self.https.port())
    }

    /// Its metrics, as Prometheus gets them.
    pub fn metrics(&self) -> String {
        let answer = http::request(self.metrics, "GET", "/metrics", &[], b"");
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.text()
    }

    /// The authority that its certificates are signed by (PEM): Caddy's own, or the one of [`Setup::trusting`].
    pub fn authority_file(&self) -> &Path {
        &self.authority
    }

    /// A connection over TLS to `host`, whose certificate is proven; what is sent on it are the bytes of the test.
    pub fn connect(&self, host: &str) -> Connection {
        self.connect_from(Ipv4Addr::LOCALHOST.into(), host)
    }

    /// Like [`Caddy::connect`], from another address of this machine: another client.
    pub fn connect_from(&self, source: IpAddr, host: &str) -> Connection {
        self.secured(Connection::open_from(source, self.https), host)
    }

    /// Like [`Caddy::connect`], at another address than [`Caddy::address`].
    pub fn connect_at(&self, address: SocketAddr, host: &str) -> Connection {
        self.secured(Connection::open(address), host)
    }

    fn secured(&self, connection: Connection, host: &str) -> Connection {
        connection.secured(&trusting(&self.authority), host).unwrap_or_else(|error| panic!("TLS to {host}: {error}"))
    }

    /// One request on a connection of its own, with `Host` as the world names it (no port).
    pub fn request(&self, host: &str, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.connect(host).exchange(request_bytes(host, method, target, headers, body))
    }

    /// What it logs: all lines must be JSON. Complete up to the last answer only after [`Caddy::sigterm`].
    pub fn log(&self) -> Vec<Value> {
        let text = self.log_text();
        let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
        whole
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("not JSON ({error}): {line}")))
            .collect()
    }

    /// The log's lines of requests that were answered.
    pub fn access_log(&self) -> Vec<Value> {
        self.log().into_iter().filter(|line| line["msg"] == "handled request").collect()
    }

    /// The same as text, as it came: stderr first (until the configuration is read), then stdout.
    pub fn log_text(&self) -> String {
        log_text(self.folder.path())
    }

    /// The folder that it runs in: `data` (its storage), `proxy-secret`, `stdout`, `stderr`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The process's number.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Sends it a signal, by name.
    pub fn signal(&mut self, name: &str) {
        self.process.signal(name);
    }

    /// Has it read its files again, and waits until its log says how that went.
    pub async fn reload(&mut self, says: &str) {
        let before = self.log().len();
        self.signal("USR1");
        eventually(START, || async {
            let told = self.log()[before..].iter().any(|line| line["msg"] == says);
            if told { Ok(()) } else { Err(format!("the log does not say: {says}")) }
        })
        .await;
    }

    /// Asks it to stop as Kubernetes does.
    pub fn sigterm(&mut self) {
        self.process.signal("TERM");
    }

    /// Waits until it has ended; fails the test after `within`.
    pub async fn wait_exit(&mut self, within: Duration) -> ExitStatus {
        self.process.wait_exit(within).await
    }
}

impl Drop for Caddy {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- Caddy's log ---\n{}", self.log_text());
        }
    }
}

impl Setup {
    /// By another file than `k8s/caddy/Caddyfile`, such as a copy that was [`edited`].
    pub fn file(mut self, file: impl Into<PathBuf>) -> Self {
        self.file = file.into();
        self
    }

    /// With this variable as well, or in place of what it would be.
    pub fn variable(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.insert(name.to_owned(), value.into());
        self
    }

    /// In front of this gateway.
    pub fn gateway(self, gateway: &Gateway) -> Self {
        self.gateways(&[gateway.address()], gateway.admin_address().port())
    }

    /// In front of gateways at these addresses, whose admin listeners are all on the same port, each on its gateway's address.
    pub fn gateways(self, addresses: &[SocketAddr], admin_port: u16) -> Self {
        let addresses: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
        self.variable("TAGLINE_UPSTREAMS", addresses.join(" ")).variable("TAGLINE_ADMIN_PORT", admin_port.to_string())
    }

    /// In front of this app.
    pub fn app(self, address: SocketAddr) -> Self {
        self.variable("APP_UPSTREAMS", address.to_string())
    }

    /// On this address; without it, on a loopback address that no other test process uses. A browser finds names under
    /// `.localhost` at 127.0.0.1 alone.
    pub fn bind(mut self, address: IpAddr) -> Self {
        self.bind = address;
        self
    }

    /// With its metrics on this port of its address, as in a pod; without it, on one that is free.
    pub fn metrics_port(mut self, port: u16) -> Self {
        self.metrics_port = Some(port);
        self
    }

    /// With certificates that this authority (a PEM file) has signed, where `CADDY_TLS` names files.
    pub fn trusting(mut self, authority: impl Into<PathBuf>) -> Self {
        self.authority = Some(authority.into());
        self
    }

    /// Starts it and waits until it is ready.
    pub async fn start(self) -> Caddy {
        let binary = server_binary("caddy").unwrap_or_else(|error| panic!("{error}"));
        let folder = TempDir::with_prefix("tagline-caddy-").expect("a temporary folder");
        let path = folder.path();
        std::fs::write(path.join("proxy-secret"), PROXY_SECRET).expect("a file in a new folder");
        let [https, http, metrics, certificates] = [None, None, self.metrics_port, None]
            .map(|port| SocketAddr::new(self.bind, port.unwrap_or_else(|| free_port(self.bind))));
        let mut command = Command::new(binary);
        command
            .args(["run", "--adapter", "caddyfile", "--config"])
            .arg(&self.file)
            .env_clear()
            .envs(environment(path))
            .env("CADDY_SITES", self.sites.join(" "))
            .env("CADDY_BIND", self.bind.to_string())
            .env("CADDY_CERTIFICATES_BIND", self.bind.to_string())
            .env("CADDY_CERTIFICATES_PORT", certificates.port().to_string())
            .env("CADDY_HTTPS_PORT", https.port().to_string())
            .env("CADDY_HTTP_PORT", http.port().to_string())
            .env("CADDY_METRICS_BIND", self.bind.to_string())
            .env("CADDY_METRICS_ADDRESS", format!(":{}", metrics.port()))
            .env("TAGLINE_PROXY_SECRET_FILE", path.join("proxy-secret"))
            .envs(&self.variables)
            .current_dir(path)
            .stdout(File::create(path.join("stdout")).expect("a file in a new folder"))
            .stderr(File::create(path.join("stderr")).expect("a file in a new folder"));
        let process = Process::spawn("caddy", command, path);
        let authority = self.authority.unwrap_or_else(|| path.join("data/caddy/pki/authorities/local/root.crt"));
        let mut caddy = Caddy { process, folder, sites: self.sites, authority, https, http, metrics };
        caddy.ready().await;
        caddy
    }
}

impl Caddy {
    async fn ready(&mut self) {
        let deadline = Instant::now() + START;
        loop {
            let Err(missing) = self.try_ready() else { return };
            if let Some(status) = self.process.exit_status() {
                panic!("caddy ended before it was ready: {status}");
            }
            assert!(Instant::now() < deadline, "caddy is not ready after {START:?}: {missing}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Handshakes alone, so that neither the metrics nor the log hold a request that is not the test's.
    fn try_ready(&self) -> Result<(), String> {
        let health = http::try_request(self.metrics, "GET", "/healthz", &[], b"").map_err(|error| error.to_string())?;
        if health.status != 200 {
            return Err(format!("/healthz answers {}", health.status));
        }
        if !self.authority.exists() {
            return Err(format!("{} is not there yet", self.authority.display()));
        }
        let trusting = trusting(&self.authority);
        self.sites.iter().try_for_each(|site| {
            let host = site.replace('*', "ready");
            let connection = Connection::try_open(self.https).map_err(|error| error.to_string())?;
            connection.secured(&trusting, &host).map(drop).map_err(|error| format!("{host}: {error}"))
        })
    }
}

/// A command of the same binary (`validate`, `fmt`, `adapt`), with these variables and no others, run to its end.
pub fn caddy_command(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let binary = server_binary("caddy").unwrap_or_else(|error| panic!("{error}"));
    let folder = TempDir::with_prefix("tagline-caddy-").expect("a temporary folder");
    Command::new(binary)
        .args(arguments)
        .env_clear()
        .envs(environment(folder.path()))
        .envs(variables.iter().copied())
        .current_dir(folder.path())
        .output()
        .unwrap_or_else(|error| panic!("caddy {arguments:?}: {error}"))
}

/// A request's bytes, on a connection that ends with the answer.
pub fn request_bytes(host: &str, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("connection")) {
        head.push_str("Connection: close\r\n");
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    [head.as_bytes(), body].concat()
}

/// Where Caddy keeps what it makes: not in this user's home.
fn environment(folder: &Path) -> [(&'static str, PathBuf); 3] {
    [("HOME", folder.to_owned()), ("XDG_DATA_HOME", folder.join("data")), ("XDG_CONFIG_HOME", folder.join("config"))]
}

fn log_text(folder: &Path) -> String {
    ["stderr", "stdout"].map(|name| std::fs::read_to_string(folder.join(name)).unwrap_or_default()).concat()
}

fn trusting(authority: &Path) -> SslConnector {
    let mut connector = SslConnector::builder(SslMethod::tls_client()).expect("OpenSSL has a TLS client");
    connector.set_ca_file(authority).unwrap_or_else(|error| panic!("{}: {error}", authority.display()));
    connector.build()
}
