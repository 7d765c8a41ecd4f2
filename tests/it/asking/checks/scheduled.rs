//! Each task of `flux/tasks`, run by InfluxDB's own schedule.

use super::{Checked, HOUR, MINUTE, expected};
use crate::support::{Answer, eventually, now_ms};
use serde_json::{Value, json};
use std::time::Duration;
use tagline::answers::Literal;

/// How long a second may take on a busy machine.
pub(super) const SOON: Duration = Duration::from_secs(60);

impl Checked {
    /// A task that InfluxDB runs every second; its id.
    pub(super) fn install(&self, name: &str, flux: &str) -> String {
        let option = flux.lines().find(|line| line.starts_with("option task = ")).expect("a task");
        let flux = flux.replace(option, &format!("option task = {{name: \"{name}\", every: 1s}}"));
        let task = self.call("POST", "/api/v2/tasks", &json!({ "orgID": self.bucket.organization_id(), "flux": flux }));
        task["id"].as_str().expect("a new task has an id").to_owned()
    }

    /// Ends its runs.
    pub(super) fn stop(&self, task: &str) {
        self.call("PATCH", &format!("/api/v2/tasks/{task}"), &json!({ "status": "inactive" }));
    }

    /// A request that succeeds.
    pub(super) fn call(&self, method: &str, target: &str, body: &Value) -> Value {
        let Answer { status, body, .. } =
            self.bucket.call(method, target, "application/json", body.to_string().as_bytes());
        let text = String::from_utf8_lossy(&body).into_owned();
        assert!((200..300).contains(&status), "{method} {target}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// How many of its runs have ended so.
    pub(super) fn runs(&self, task: &str, status: &str) -> usize {
        let runs = self.call("GET", &format!("/api/v2/tasks/{task}/runs"), &Value::Null);
        let runs = runs["runs"].as_array().expect("a list").clone();
        runs.iter().filter(|run| run["status"] == status).count()
    }
}

#[tokio::test]
async fn influxdb_runs_each_task_by_itself() {
    let checked = Checked::new();
    let rollup_bucket = checked.bucket.beside("rollup");
    rollup_bucket.create(Duration::ZERO);
    let now = now_ms() * 1_000_000;
    checked.event("acme", now - 3 * MINUTE).await;
    checked.event("acme", now - 3 * HOUR).await;

    let rollup = || Literal::text(rollup_bucket.name());
    let day = Literal::ago(Duration::from_secs(86_400));
    let tasks = [
        ("rollup-1m", vec![("rollup_bucket", rollup()), ("start", day.clone())]),
        ("rollup-1h", vec![("rollup_bucket", rollup())]),
        ("baseline", vec![("rollup_bucket", rollup())]),
        ("deadman", expected(&[("acme", 15), ("absent", 15)])),
        ("series-growth", vec![]),
        ("task-failures", vec![]),
    ];
    let tasks =
        tasks.map(|(name, inputs)| (name, checked.install(&format!("tagline {name}"), &checked.script(name, &inputs))));
    for (name, id) in &tasks {
        eventually(SOON, || async {
            let (good, bad) = (checked.runs(id, "success"), checked.runs(id, "failed"));
            assert_eq!(bad, 0, "{name}: {}", checked.call("GET", &format!("/api/v2/tasks/{id}/logs"), &Value::Null));
            if good >= 2 { Ok(()) } else { Err(format!("{name}: {good} runs")) }
        })
        .await;
    }
    eventually(SOON, || async {
        let (minutes, hours) = (
            rollup_bucket.count("frontend_performance_1m", "p99").await,
            rollup_bucket.count("frontend_performance_1h", "p99").await,
        );
        // The younger one's hour may be over, just.
        if minutes == 2 && hours >= 1 { Ok(()) } else { Err(format!("{minutes} minutes, {hours} hours")) }
    })
    .await;
    for (name, id) in &tasks {
        checked.stop(id);
        let log = checked.call("GET", &format!("/api/v2/tasks/{id}/logs"), &Value::Null).to_string();
        assert!(log.contains("Completed(success)") && !log.contains("hush"), "{name}: {log}");
    }
    // Several runs, and one change.
    assert_eq!(checked.listener.told(), ["absent critical"]);
    let levels = checked.levels().await;
    assert!(matches!(&levels[..], [one] if one.starts_with("crit: absent sent nothing since ")), "{levels:?}");
}
