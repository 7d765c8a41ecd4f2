//! Headless Chromium, started once for the whole run, and pages for it on origins of their own.
//!
//! Tabs are opened and closed through the HTTP part of its DevTools protocol; what a page finds out, it posts back to its own
//! origin ([`Page::result`]).

mod page;

pub use page::Page;

use super::http;
use super::process::Process;
use super::server_binary;
use std::fs::File;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long Chromium may take to come up on a busy machine.
const START: Duration = Duration::from_secs(60);

/// The browser that all tests share; tabs of different tests have origins of their own, since each [`Page`] has a port of its
/// own.
pub fn browser() -> &'static Browser {
    static SHARED: OnceLock<Result<Browser, String>> = OnceLock::new();
    match SHARED.get_or_init(Browser::launch) {
        Ok(browser) => browser,
        Err(error) => panic!("{error}"),
    }
}

/// A running Chromium.
pub struct Browser {
    // The process goes before the folder that it writes to.
    _process: Process,
    _folder: TempDir,
    devtools: SocketAddr,
}

impl Browser {
    /// Opens a tab in the background and begins to load `url` in it.
    pub fn open(&self, url: &str) -> Tab {
        let answer = http::request(self.devtools, "PUT", &format!("/json/new?{url}"), &[], b"");
        assert_eq!(answer.status, 200, "Chromium does not open {url}: {}", answer.text());
        let id = answer.json()["id"].as_str().expect("a tab has an id").to_owned();
        Tab { devtools: self.devtools, id }
    }

    fn launch() -> Result<Self, String> {
        let binary = server_binary("chromium")?;
        let folder = TempDir::with_prefix("tagline-chromium-").map_err(|error| format!("chromium: {error}"))?;
        let path = folder.path();
        let log = path.join("chromium.log");
        let output = File::create(&log).map_err(|error| format!("chromium: {}: {error}", log.display()))?;
        let errors = output.try_clone().map_err(|error| format!("chromium: {}: {error}", log.display()))?;
        let mut command = Command::new(&binary);
        // Its sandbox needs rights that a container does not give; the pages are the tests' own.
        command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic"]);
        command.args(["--no-first-run", "--disable-background-networking", "--disable-component-update"]);
        // Caddy's certificates in the tests are signed by an authority that it has just made.
        command.arg("--ignore-certificate-errors");
        command.args([
            "--disable-sync",
            "--disable-extensions",
            "--disable-breakpad",
            "--no-proxy-server",
            "--remote-debugging-port=0",
        ]);
        command.arg(format!("--user-data-dir={}", path.display())).arg("about:blank");
        command.env("HOME", path).env("TMPDIR", path).stdout(output).stderr(errors);
        let mut process = Process::spawn("chromium", command, path);

        let deadline = Instant::now() + START;
        loop {
            let port = std::fs::read_to_string(path.join("DevToolsActivePort")).unwrap_or_default();
            if let Some(port) = port.lines().next().and_then(|port| port.parse().ok()) {
                let devtools = SocketAddr::from(([127, 0, 0, 1], port));
                if http::try_request(devtools, "GET", "/json/version", &[], b"")
                    .is_ok_and(|answer| answer.status == 200)
                {
                    return Ok(Self { _process: process, _folder: folder, devtools });
                }
            }
            let ended = process.exit_status();
            if ended.is_some() || Instant::now() > deadline {
                let how = ended.map_or(format!("is not ready after {START:?}"), |status| format!("ended: {status}"));
                let said = std::fs::read_to_string(&log).unwrap_or_default();
                return Err(format!("{} {how}\n{said}", binary.display()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// An open tab; dropping it closes it.
pub struct Tab {
    devtools: SocketAddr,
    id: String,
}

impl Tab {
    /// Closes it as a user does: the page sees `pagehide` and may still send beacons.
    pub fn close(self) {
        drop(self);
    }
}

impl Drop for Tab {
    fn drop(&mut self) {
        let closed = http::try_request(self.devtools, "GET", &format!("/json/close/{}", self.id), &[], b"");
        if !std::thread::panicking() {
            let closed = closed.unwrap_or_else(|error| panic!("Chromium does not answer: {error}"));
            assert_eq!(closed.status, 200, "Chromium does not close the tab: {}", closed.text());
        }
    }
}
