//! A small disk that can really be full: a tmpfs in a mount namespace of its own, so that no root is needed and nothing of it is
//! seen, or left, outside.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::process::Process;

/// How long a mount may take on a busy machine.
const MOUNT: Duration = Duration::from_secs(20);

/// Mounts `$1` bytes at `$2`, says so, and stays: the namespace lives as long as a process is in it.
const KEEP: &str = r#"mount -t tmpfs -o "size=$1,mode=700" tagline "$2" && echo mounted && exec sleep infinity"#;

/// The ways to a namespace in which one may mount: as any user, where the kernel lets users have namespaces; as root.
const WAYS: [&[&str]; 2] = [&["--user", "--map-root-user", "--mount"], &["--mount"]];

/// See the module.
pub struct Disk {
    // The keeper goes before the folder on which it mounted.
    keeper: Process,
    of_user: bool,
    place: TempDir,
    _output: TempDir,
}

impl Disk {
    /// A new one of so many bytes.
    pub fn of(bytes: u64) -> Self {
        let mut said = Vec::new();
        for way in WAYS {
            match Self::mount(way, bytes) {
                Ok(disk) => return disk,
                Err(error) => said.push(format!("unshare {}: {error}", way.join(" "))),
            }
        }
        panic!(
            "a disk that can be full needs a mount namespace, and there is none to be had:\n{}\nRun the tests as root, or let users have \
             namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone=1, \
             kernel.apparmor_restrict_unprivileged_userns=0); in a container, give it CAP_SYS_ADMIN",
            said.join("\n")
        )
    }

    /// Where it is mounted, for whoever went in by [`Disk::enter`].
    pub fn path(&self) -> &Path {
        self.place.path()
    }

    /// The words that make a command see it; the command's own follow.
    pub fn enter(&self) -> Vec<String> {
        let mut words = vec!["nsenter".to_owned(), "--target".to_owned(), self.keeper.id().to_string()];
        if self.of_user {
            words.extend(["--user", "--preserve-credentials"].map(str::to_owned));
        }
        words.extend(["--mount", "--"].map(str::to_owned));
        words
    }

    /// Where a file of it is for those who did not go in.
    pub fn outside(&self, path: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.keeper.id()));
        root.join(self.path().strip_prefix("/").expect("a temporary folder's path is absolute")).join(path)
    }

    /// Takes what is left of it, to the last byte.
    pub fn fill_up(&self) {
        let filler = File::options().create(true).append(true).open(self.outside("filler"));
        let mut filler = filler.expect("a file without content needs no room");
        while filler.write_all(&[0; 512]).is_ok() {}
    }

    fn mount(way: &[&str], bytes: u64) -> Result<Self, String> {
        let folder = || TempDir::with_prefix("tagline-disk-").expect("a temporary folder");
        let (place, output) = (folder(), folder());
        let [said, errors] = ["stdout", "stderr"].map(|name| output.path().join(name));
        let mut command = Command::new("unshare");
        command.args(way).args(["sh", "-c", KEEP, "keep", &bytes.to_string()]).arg(place.path());
        command.stdout(File::create(&said).expect("a file in a new folder"));
        command.stderr(File::create(&errors).expect("a file in a new folder"));
        let mut keeper = Process::spawn("unshare", command, output.path());
        let deadline = Instant::now() + MOUNT;
        let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
        while !read(&said).contains("mounted") {
            if let Some(status) = keeper.exit_status() {
                return Err(format!("{status}: {}", read(&errors).trim()));
            }
            assert!(Instant::now() < deadline, "no mount within {MOUNT:?}: {}", read(&errors));
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(Self { keeper, of_user: way.contains(&"--user"), place, _output: output })
    }
}
