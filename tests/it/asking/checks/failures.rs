//! Which tasks fail.

use super::Checked;
use super::scheduled::SOON;
use crate::support::{eventually, now_ms};
use serde_json::json;

/// A task that fails in each run, by a bucket that is not there.
const BROKEN: &str = "option task = {name: \"\", every: 1s}\nfrom(bucket: \"missing\") |> range(start: -1s)\n";
const GOOD: &str = "option task = {name: \"tagline broken\", every: 1s}\nbuckets()\n";

#[tokio::test]
async fn a_task_that_fails_is_told_of_with_its_reason_until_it_runs_again() {
    let checked = Checked::new();
    let broken = checked.install("tagline broken", BROKEN);
    // Not ours; and the check itself, whose alerts could go nowhere.
    let others = [checked.install("other", BROKEN), checked.install("tagline task failures here", BROKEN)];
    for task in others.iter().chain([&broken]) {
        eventually(SOON, || async { if checked.runs(task, "failed") > 0 { Ok(()) } else { Err("no run has failed") } })
            .await;
    }
    let now = || now_ms() * 1_000_000;
    let told = checked.at(now(), "task-failures", &[]).await.unwrap();
    assert_eq!(told, ["warn: The task \"tagline broken\" fails"]);
    let alert = &checked.listener.got()[0][0];
    assert_eq!(
        alert["labels"],
        json!({ "alertname": "TaskFailing", "task": "tagline broken", "severity": "warning", "source": "influxdb" })
    );
    let why = alert["annotations"]["description"].as_str().unwrap();
    assert!(why.contains("could not find bucket") && why.contains("missing"), "{why}");
    assert_eq!(checked.at(now(), "task-failures", &[]).await.unwrap(), [""; 0]);

    let good = json!({ "flux": GOOD, "status": "active" });
    checked.call("PATCH", &format!("/api/v2/tasks/{broken}"), &good);
    eventually(SOON, || async {
        if checked.runs(&broken, "success") > 0 { Ok(()) } else { Err("no run has succeeded") }
    })
    .await;
    checked.stop(&broken);
    others.iter().for_each(|task| checked.stop(task));
    let told = checked.at(now(), "task-failures", &[]).await.unwrap();
    assert_eq!(told, ["ok: The task \"tagline broken\" runs again"]);
    assert_eq!(checked.listener.told(), ["tagline broken warning", "tagline broken warning over"]);
}

#[tokio::test]
async fn where_no_task_ran_none_fails() {
    let checked = Checked::new();
    assert_eq!(checked.at(checked.now, "task-failures", &[]).await.unwrap(), [""; 0]);
}
