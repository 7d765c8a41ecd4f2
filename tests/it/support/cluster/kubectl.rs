//! kubectl, as somebody.

use super::{Cluster, Ran};
use crate::support::process::Process;
use serde_json::Value;
use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// How long one command may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

impl Cluster {
    /// Runs `kubectl ARGUMENTS` as the administrator, in the repository's folder.
    pub async fn kubectl(&self, arguments: &[&str]) -> Ran {
        self.kubectl_as(&self.folder.path().join("admin.kubeconfig"), arguments).await
    }

    /// Runs `kubectl ARGUMENTS` as the user of this kubeconfig.
    pub async fn kubectl_as(&self, kubeconfig: &Path, arguments: &[&str]) -> Ran {
        let output = TempDir::with_prefix("tagline-kubectl-").expect("a temporary folder");
        let (stdout, stderr) = (output.path().join("stdout"), output.path().join("stderr"));
        let mut command = Command::new(&self.kubectl);
        command
            .args(arguments)
            .env_clear()
            // `kubectl diff` runs `diff`.
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .env("KUBECONFIG", kubeconfig)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stdout(File::create(&stdout).expect("a file in a new folder"))
            .stderr(File::create(&stderr).expect("a file in a new folder"));
        let mut process = Process::spawn("kubectl", command, output.path());
        let status = process.wait_exit(PATIENCE).await;
        let read = |path: &Path| std::fs::read_to_string(path).expect("what it said is UTF-8");
        Ran { code: status.code(), stdout: read(&stdout), stderr: read(&stderr) }
    }

    /// A program that finds kubectl on its PATH, and this cluster, as the administrator, by it.
    pub fn command(&self, program: &Path) -> Command {
        let own = self.kubectl.parent().expect("a binary lies in a folder").to_owned();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(own).chain(std::env::split_paths(&path));
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::join_paths(folders).expect("folders of a PATH make a PATH"))
            .env("HOME", self.folder.path())
            .env("KUBECONFIG", self.folder.path().join("admin.kubeconfig"))
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        command
    }

    /// Runs it as the administrator, and fails the test unless it succeeds. Returns what it printed.
    #[track_caller]
    pub fn done(&self, arguments: &[&str]) -> impl Future<Output = String> {
        let caller = std::panic::Location::caller();
        async move {
            let ran = self.kubectl(arguments).await;
            assert_eq!(ran.code, Some(0), "{caller}: kubectl {arguments:?}\n{}{}", ran.stdout, ran.stderr);
            ran.stdout
        }
    }

    /// Like [`Cluster::done`], with `-o json`.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> impl Future<Output = Value> {
        let arguments = [arguments, &["-o", "json"]].concat();
        let caller = std::panic::Location::caller();
        async move {
            let printed = self.done(&arguments).await;
            serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{caller}: {error}: {printed}"))
        }
    }

    /// `kubectl create -f` of these objects.
    pub async fn create(&self, objects: &Value) -> Ran {
        let file = self.file("objects.json", &objects.to_string());
        self.kubectl(&["create", "-f", path(file.path())]).await
    }

    /// A kubeconfig with a token of the ServiceAccount `tagline/NAME`, as its pods get it.
    pub async fn kubeconfig_of(&self, account: &str) -> std::path::PathBuf {
        let token = self.done(&["create", "token", account, "--namespace", "tagline"]).await;
        self.write_kubeconfig(account, token.trim())
    }

    fn file(&self, name: &str, text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::Builder::new().suffix(name).tempfile_in(self.folder.path()).expect("a temporary file");
        std::fs::write(file.path(), text).expect("a new file can be written");
        file
    }
}

/// A path as an argument.
pub fn path(path: &Path) -> &str {
    path.to_str().expect("temporary folders have names of ASCII letters")
}
