//! What somebody changed by hand, and what is not setup's.

use serde_json::{Value, json};

use super::Organisation;
use super::organisation::marked;

const ROLLUP: &str = "app_observability_rollup";

#[tokio::test]
async fn what_was_changed_by_hand_is_shown_and_put_back() {
    let org = Organisation::new();
    org.settings("[answers]\nrollup_retention = \"100d\"\n[influxdb]\nbucket = \"events\"");
    org.setup(&[]).await;
    let made = org.state();
    let (minutes, hours) = (org.task("tagline rollup 1m events"), org.task("tagline rollup 1h"));

    // One thing of each kind.
    let flux = minutes["flux"].as_str().unwrap();
    assert!(flux.contains("every: 1m"), "{flux}");
    org.change(&minutes, &json!({ "flux": flux.replacen("every: 1m", "every: 7m", 1), "status": "inactive" }));
    org.call("DELETE", &format!("/api/v2/tasks/{}", hours["id"].as_str().unwrap()), &Value::Null);
    let retention = |days: u64| json!({ "retentionRules": [{ "type": "expire", "everySeconds": days * 86_400 }] });
    let path = |bucket: &Value| format!("/api/v2/buckets/{}", bucket["id"].as_str().unwrap());
    org.call("PATCH", &path(&org.bucket(ROLLUP)), &retention(200));
    let read = org.tokens().into_iter().find(|token| token["description"] == "tagline read events").unwrap();
    org.call("DELETE", &format!("/api/v2/authorizations/{}", read["id"].as_str().unwrap()), &Value::Null);

    let before = org.state();
    let dry = org.setup(&["--dry-run"]).await;
    assert_eq!(org.state(), before, "a dry run changed something: {dry}");
    let added: Vec<&str> = marked(&dry, '+');
    assert!(added.len() == 2 && added[0].starts_with("token \"tagline read events\""), "{dry}");
    assert_eq!(added[1], "task \"tagline rollup 1h\"");
    assert!(marked(&dry, '~')[0].starts_with("task \"tagline rollup 1m events\"; it is switched off"), "{dry}");
    let (gone, back) = (dry.find("\n      - option task = "), dry.find("\n      + option task = "));
    assert!(gone < back && dry.contains("every: 7m"), "{dry}");
    let left = marked(&dry, '!');
    assert!(left.len() == 1 && left[0].contains("keeps points for 200d, not for 100d"), "{dry}");

    let said = org.setup(&[]).await;
    assert!(
        said.ends_with("3 changes made.\nReady: INFLUXDB_TOKEN may only write, INFLUXDB_READ_TOKEN may only read.\n"),
        "{said}"
    );
    let now = org.task("tagline rollup 1m events");
    assert_eq!((&now["id"], &now["flux"]), (&minutes["id"], &minutes["flux"]));
    assert_eq!(now["status"], "inactive", "what was switched off is switched on");
    assert_eq!(org.task("tagline rollup 1h")["flux"], hours["flux"]);
    assert_eq!(org.bucket(ROLLUP)["retentionRules"][0]["everySeconds"], 200 * 86_400);

    // The retention only when that is asked; and a bucket that went is there again, with a token that reads it.
    let said = org.setup(&["--update-retention"]).await;
    assert!(said.contains("keeps points for 100d, not for 200d, and deletes what is older"), "{said}");
    assert_eq!(org.bucket(ROLLUP)["retentionRules"][0]["everySeconds"], 100 * 86_400);
    org.call("DELETE", &path(&org.bucket(ROLLUP)), &Value::Null);
    let said = org.setup(&[]).await;
    assert_eq!(marked(&said, '+').len(), 2, "{said}");
    assert_eq!(org.state()["buckets"].as_array().unwrap().len(), made["buckets"].as_array().unwrap().len());
    let again = org.setup(&[]).await;
    assert!(again.contains("Nothing had to change."), "{again}");
    org.setup(&["--remove-tasks"]).await;
}

#[tokio::test]
async fn what_is_not_setups_is_never_touched_among_more_tasks_than_one_page() {
    let org = Organisation::new();
    org.settings("[influxdb]\nbucket = \"events\"");
    let flux = |name: &str| {
        format!("option task = {{name: \"{name}\", every: 1h}}\nfrom(bucket: \"events\") |> range(start: -1m)")
    };
    let make = |name: &str, flux: String| {
        let body = json!({ "orgID": org.id, "flux": flux, "status": "inactive", "description": "not of setup" });
        let made = org.call("POST", "/api/v2/tasks", &body);
        assert_eq!(made["name"], name);
    };
    // Before and behind ours, in the order of the ids by which InfluxDB lists.
    for n in 0..120 {
        make(&format!("tagline rollup 1m other-{n}"), flux(&format!("tagline rollup 1m other-{n}")));
    }
    make("tagline rollup 1h", flux("tagline rollup 1h"));
    org.setup(&[]).await;
    let ours = org.tasks().into_iter().filter(|task| task["description"] == "Installed by tagline setup.").count();
    let copied = org.tasks().into_iter().find(|task| task["name"] == "tagline rollup 1m events").unwrap();
    let copied = copied["flux"]
        .as_str()
        .unwrap()
        .replace("name: \"tagline rollup 1m events\"", "name: \"tagline rollup 1m events (clone 1)\"");
    make("tagline rollup 1m events (clone 1)", copied);
    let state = org.state();

    let again = org.setup(&[]).await;
    assert!(again.contains("Nothing had to change."), "{again}");
    assert_eq!(org.state(), state);
    let left = marked(&again, '!');
    assert!(left.len() == 2 && left[0].contains("\"tagline rollup 1h\"") && left[1].contains("(clone 1)"), "{again}");
    let removed = org.setup(&["--remove-tasks"]).await;
    assert_eq!(marked(&removed, '-').len(), ours, "{removed}");
    let (after, foreign) = (org.tasks(), |task: &Value| task["description"] == "not of setup");
    assert!(after.iter().all(foreign) && after.len() == 122, "{:?}", org.task_names());
    let before: Vec<Value> = state["tasks"].as_array().unwrap().iter().filter(|task| foreign(task)).cloned().collect();
    assert_eq!(org.state()["tasks"], Value::Array(before));
}
