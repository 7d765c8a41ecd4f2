//! A real Kubernetes API server with its etcd: schemas, admission, RBAC and server-side apply as on a cluster.
//!
//! Nothing else of Kubernetes runs. Controllers, scheduler and kubelet are the test: it makes the pods that a template describes,
//! says on which node they are, and writes their status ([`Cluster::template`], [`Cluster::runs`], [`Cluster::ends`]).
//!
//! The manifests name their namespace themselves, so each overlay has a cluster of its own, as has a test that takes rights away. One is
//! up in 3 s. Both servers listen on a loopback address that no other process has, so that their ports need not be searched for.

mod kubectl;
mod pods;
mod requests;

pub use pods::Template;
pub use requests::Request;

use super::process::Process;
use super::{Ran, eventually, random_text, server_binary};
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::x509::X509;
use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// How long etcd and the API server may take to come up on a busy machine.
const START: Duration = Duration::from_secs(90);

const ETCD: u16 = 2379;
const ETCD_PEERS: u16 = 2380;
const API: u16 = 6443;

/// What ServiceAccounts ask for is written down; nobody else's requests are.
const AUDIT: &str = r#"{
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata", "userGroups": ["system:serviceaccounts"]}, {"level": "None"}]
}"#;

/// A running API server; it ends with this value.
pub struct Cluster {
    // The processes go before the folder that they write to, and who asks goes before who answers.
    server: Process,
    etcd: Process,
    folder: TempDir,
    kubectl: PathBuf,
    address: Ipv4Addr,
}

impl Cluster {
    /// Starts one that is empty but for what Kubernetes itself makes.
    pub async fn start() -> Self {
        let [etcd, server, kubectl] = ["etcd", "kube-apiserver", "kubectl"]
            .map(|name| server_binary(name).unwrap_or_else(|error| panic!("{error}")));
        let folder = TempDir::with_prefix("tagline-cluster-").expect("a temporary folder");
        let (path, address) = (folder.path(), own_loopback_address(&[ETCD, ETCD_PEERS, API]));
        let token = random_text(40);
        let write = |name: &str, text: &[u8]| std::fs::write(path.join(name), text).expect("a file in a new folder");
        let key = PKey::from_rsa(Rsa::generate(2048).expect("a key")).expect("a key");
        write("accounts.key", &key.private_key_to_pem_pkcs8().expect("PEM"));
        write("accounts.pub", &key.public_key_to_pem().expect("PEM"));
        write("tokens.csv", format!("{token},admin,admin,\"system:masters\"\n").as_bytes());
        write("audit-policy.json", AUDIT.as_bytes());

        let mut cluster = Self {
            etcd: spawn_etcd(&etcd, path, address),
            server: spawn_server(&server, path, address),
            folder,
            kubectl,
            address,
        };
        cluster.wait_until_ready(&token).await;
        cluster.write_kubeconfig("admin", &token);
        cluster
    }

    /// `https://ADDRESS:PORT`.
    pub fn url(&self) -> String {
        format!("https://{}:{API}", self.address)
    }

    /// A kubeconfig whose user has this token; `name` is part of the file's name.
    pub fn write_kubeconfig(&self, name: &str, token: &str) -> PathBuf {
        let config = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": "test", "cluster": {
                "server": self.url(),
                "certificate-authority": self.folder.path().join("certificates/apiserver.crt"),
            }}],
            "users": [{ "name": name, "user": { "token": token } }],
            "contexts": [{ "name": "test", "context": { "cluster": "test", "user": name } }],
            "current-context": "test",
        });
        let path = self.folder.path().join(format!("{name}.kubeconfig"));
        std::fs::write(&path, config.to_string()).expect("a file in the cluster's folder");
        path
    }

    async fn wait_until_ready(&mut self, token: &str) {
        let url = format!("{}/readyz", self.url());
        let certificate = self.folder.path().join("certificates/apiserver.crt");
        let log = |name: &str| std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        eventually(START, || {
            for (process, name) in [(&mut self.etcd, "etcd"), (&mut self.server, "kube-apiserver")] {
                if let Some(status) = process.exit_status() {
                    panic!("{name} ended: {status}\n{}", last_lines(&log(&format!("{name}.log"))));
                }
            }
            // The server makes its certificate while it starts.
            let client = std::fs::read(&certificate).ok().and_then(|pem| trusting(&pem));
            let asked = client.map(|client| client.get(&url).bearer_auth(token).send());
            let said = last_lines(&log("kube-apiserver.log"));
            async move {
                let Some(asked) = asked else { return Err(format!("no certificate yet\n{said}")) };
                match asked.await {
                    Ok(answer) if answer.status() == 200 => Ok(()),
                    Ok(answer) => Err(format!("{}\n{said}", answer.status())),
                    Err(error) => Err(format!("{error:?}\n{said}")),
                }
            }
        })
        .await;
    }
}

fn spawn_etcd(binary: &Path, folder: &Path, address: Ipv4Addr) -> Process {
    let (clients, peers) = (format!("http://{address}:{ETCD}"), format!("http://{address}:{ETCD_PEERS}"));
    let mut command = logging(binary, folder, "etcd");
    command.arg("--data-dir").arg(folder.join("etcd"));
    command.args(["--name", "test", "--initial-cluster", &format!("test={peers}")]);
    command.args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]);
    command.args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients]);
    // Nothing here outlives the process, so nothing has to reach the disk.
    command.arg("--unsafe-no-fsync");
    Process::spawn("etcd", command, folder)
}

fn spawn_server(binary: &Path, folder: &Path, address: Ipv4Addr) -> Process {
    let mut command = logging(binary, folder, "kube-apiserver");
    let address = address.to_string();
    command.args(["--etcd-servers", &format!("http://{address}:{ETCD}")]);
    command.args(["--bind-address", &address, "--advertise-address", &address, "--secure-port", &API.to_string()]);
    command.args(["--service-cluster-ip-range", "10.0.0.0/24", "--endpoint-reconciler-type", "none"]);
    command.args(["--authorization-mode", "RBAC", "--service-account-issuer", "https://kubernetes.default.svc"]);
    for (flag, file) in [
        ("--cert-dir", "certificates"),
        ("--token-auth-file", "tokens.csv"),
        ("--service-account-key-file", "accounts.pub"),
        ("--service-account-signing-key-file", "accounts.key"),
        ("--audit-policy-file", "audit-policy.json"),
        ("--audit-log-path", requests::LOG),
    ] {
        command.arg(flag).arg(folder.join(file));
    }
    Process::spawn("kube-apiserver", command, folder)
}

/// A command whose output goes to `NAME.log`, with nothing of this machine's environment.
fn logging(binary: &Path, folder: &Path, name: &str) -> Command {
    let output = File::create(folder.join(format!("{name}.log"))).expect("a file in a new folder");
    let errors = output.try_clone().expect("another descriptor of it");
    let mut command = Command::new(binary);
    command.env_clear().env("HOME", folder).current_dir(folder).stdout(output).stderr(errors);
    command
}

/// A client that trusts the authority that signed this chain, and no other.
fn trusting(chain: &[u8]) -> Option<reqwest::Client> {
    let authority = X509::stack_from_pem(chain).ok()?.pop()?.to_der().ok()?;
    let certificate = reqwest::Certificate::from_der(&authority).ok()?;
    reqwest::Client::builder()
        .no_proxy()
        .tls_built_in_root_certs(false)
        .add_root_certificate(certificate)
        .timeout(Duration::from_secs(5))
        .build()
        .ok()
}

/// A loopback address on which nobody listens on these ports, and nobody else will: there are 16 million of them.
pub fn own_loopback_address(ports: &[u16]) -> Ipv4Addr {
    let address = Ipv4Addr::new(127, fastrand::u8(16..=254), fastrand::u8(1..=254), fastrand::u8(1..=254));
    for port in ports {
        TcpListener::bind((address, *port)).unwrap_or_else(|error| {
            panic!("{address}:{port}: {error}. These tests need all of 127.0.0.0/8 on the loopback interface, as Linux has it.")
        });
    }
    address
}

fn last_lines(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
