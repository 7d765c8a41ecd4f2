//! A gateway whose settings change while it runs.

use super::eventually;
use super::gateway::Gateway;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// How long a reload may take on a busy machine; a change of a file is seen within two seconds.
const RELOAD: Duration = Duration::from_secs(30);

/// How many reloads ended, and how.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Reloads {
    pub applied: u64,
    pub unchanged: u64,
    pub refused: u64,
}

impl Reloads {
    /// All of them.
    pub fn all(self) -> u64 {
        self.applied + self.unchanged + self.refused
    }
}

/// Puts a file in the place of another one, in one step.
pub fn replace(path: &Path, text: &str) {
    let fresh = path.with_extension("fresh");
    std::fs::write(&fresh, text).expect("a file beside the old one");
    std::fs::rename(&fresh, path).expect("a rename in one folder");
}

impl Gateway {
    /// Puts another configuration in the place of its own.
    pub fn rewrite(&self, config: &str) {
        replace(&self.folder().join("tagline.toml"), config);
    }

    /// What became of its reloads so far.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a counter of a test's length")]
    pub fn reloads(&self) -> Reloads {
        let of = |result: &str| {
            let sample = format!("tagline_settings_reloads_total{{result=\"{result}\"}}");
            self.metric(&sample).unwrap_or(0.0) as u64
        };
        Reloads { applied: of("applied"), unchanged: of("unchanged"), refused: of("refused") }
    }

    /// Waits until so many have ended, and says how.
    #[track_caller]
    pub fn reloaded(&self, all: u64) -> impl Future<Output = Reloads> {
        eventually(RELOAD, move || async move {
            let reloads = self.reloads();
            if reloads.all() >= all { Ok(reloads) } else { Err(format!("{reloads:?}")) }
        })
    }

    /// Sends SIGHUP and waits until that reload has ended.
    #[track_caller]
    pub fn hangup(&mut self) -> impl Future<Output = Reloads> {
        let before = self.reloads().all();
        self.signal("HUP");
        self.reloaded(before + 1)
    }

    /// The check `settings` of `/readyz`: its status, and what it tells.
    pub fn settings_check(&self) -> (String, String) {
        let (_, seen) = self.readiness();
        let checks = seen["checks"].as_array().unwrap_or_else(|| panic!("no checks: {seen}"));
        let check = checks.iter().find(|check| check["name"] == "settings");
        let check = check.unwrap_or_else(|| panic!("no check of the settings: {seen}"));
        let text = |member: &Value| member.as_str().unwrap_or_else(|| panic!("{check}")).to_owned();
        (text(&check["status"]), text(&check["detail"]))
    }

    /// The generation of settings in force.
    pub fn generation(&self) -> u64 {
        let (_, detail) = self.settings_check();
        let number = detail.split("generation ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
        number.unwrap_or_else(|| panic!("no generation: {detail}"))
    }
}
