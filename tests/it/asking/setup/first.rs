//! An InfluxDB that nobody has set up.

use serde_json::Value;

use super::organisation::{Organisation, exported, marked};
use crate::support::service::Service;
use crate::support::{Influx, http, tagline};

const SETTINGS: &str = "
[influxdb]
org = \"first\"
bucket = \"events\"
retention = \"14d\"
[answers]
rollup_retention = \"100d\"
[tenants.big]
bucket = \"big events\"
expect_within = \"1h\"
[tenants.acme]
expect_within = \"15m\"
[tenants.gone]
disabled = true
expect_within = \"15m\"
";
#[tokio::test]
async fn setup_makes_all_of_it_on_a_fresh_influxdb_and_again_changes_nothing() {
    let fresh = Influx::fresh();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tagline.toml"), SETTINGS).unwrap();
    let url = fresh.url();
    let arguments = ["setup", "--config", "tagline.toml", "--url", &url];
    // Somebody listens there: a task's own schedule may find the expected tenants missing before their first events are written below, and tells it. The last
    // part is what nobody may see.
    let pager = Service::app();
    let alert_url = format!("http://{}/api/v2/alerts?key=of-the-pager", pager.address());
    let alert = ("TAGLINE__ANSWERS__ALERT_URL", alert_url.as_str());
    let with = |more: &[&'static str]| [&arguments[..], more].concat();

    // A dry run tells all of it, and nobody has set it up after it.
    let dry = tagline(folder.path(), &with(&["--dry-run"]), &[alert]).await;
    assert_eq!((dry.code, dry.stdout.as_str()), (Some(0), ""), "{dry:?}");
    let planned = marked(&dry.stderr, '+').len();
    assert!(dry.stderr.ends_with(&format!("{planned} changes: none was made (--dry-run).\n")), "{}", dry.stderr);
    let dry = tagline(folder.path(), &with(&["--dry-run", "--exit-code", "--json"]), &[alert]).await;
    assert_eq!(dry.code, Some(3), "{dry:?}");
    let plan: Value = serde_json::from_str(&dry.stdout).unwrap();
    assert_eq!(plan["changes"], planned);
    let allowed = http::request(fresh.address(), "GET", "/api/v2/setup", &[], b"");
    assert_eq!(allowed.json()["allowed"], true);

    let first = tagline(folder.path(), &arguments, &[alert]).await;
    assert_eq!(first.code, Some(0), "{first:?}");
    let operator = first.stderr.lines().find(|line| line.contains("INFLUXDB_ADMIN_TOKEN")).unwrap();
    let operator = operator.rsplit(' ').next().unwrap();
    let made = Organisation::of(&fresh, "first", operator);
    let retention = |name| made.bucket(name)["retentionRules"][0]["everySeconds"].as_u64().map(|s| s / 86_400);
    assert_eq!(["events", "big events", "app_observability_rollup"].map(retention), [Some(14), Some(14), Some(100)]);
    let names = made.task_names();
    let expected = [
        "tagline baseline",
        "tagline deadman big events",
        "tagline deadman events",
        "tagline rollup 1h",
        "tagline rollup 1m big events",
        "tagline rollup 1m events",
        "tagline series growth big events",
        "tagline series growth events",
        "tagline task failures",
    ];
    assert_eq!(names, expected);
    let deadman = made.task("tagline deadman events");
    let flux = deadman["flux"].as_str().unwrap();
    assert!(flux.contains("\nexpected = [{tenant_id: \"acme\", within: 15m}]"), "{flux}");

    // What each token may do, asked of InfluxDB.
    let (writer, reader) = (exported(&first.stdout, "INFLUXDB_TOKEN"), exported(&first.stdout, "INFLUXDB_READ_TOKEN"));
    for bucket in ["events", "big events", "app_observability_rollup", "_monitoring"] {
        let (is_raw, line) = (bucket.contains("events"), "written_directly f=1i");
        assert_eq!(made.write(&writer, bucket, line).status, if is_raw { 204 } else { 403 }, "{bucket}");
        assert_eq!(made.write(&reader, bucket, line).status, 403, "{bucket}");
        let ask = format!("from(bucket: \"{bucket}\") |> range(start: -1h) |> limit(n: 1)");
        assert_eq!(made.query(&reader, &ask).status, 200, "{bucket}");
        assert_ne!(made.query(&writer, &ask).status, 200, "{bucket}");
    }
    // Each task runs, as it stands there, with its owner's rights.
    for (bucket, tenant) in [("events", "acme"), ("big events", "big")] {
        let event = format!("frontend_performance,tenant_id={tenant},view_name=V,action_name=a duration_ms=7i");
        assert_eq!(made.write(&writer, bucket, &event).status, 204);
    }
    for task in made.tasks() {
        assert_eq!((&task["status"], &task["description"]), (&"active".into(), &"Installed by tagline setup.".into()));
        made.run_task(&task).await;
    }

    // Again: not an id, nor a time of change.
    let before = made.state();
    let admin = ("INFLUXDB_ADMIN_TOKEN", operator);
    for arguments in [with(&["--dry-run", "--exit-code"]), with(&[])] {
        let again = tagline(folder.path(), &arguments, &[alert, admin]).await;
        assert_eq!(again.code, Some(0), "{again:?}");
        assert_eq!(marked(&again.stderr, '=').len() + 1, planned, "all but the first user: {}", again.stderr);
        assert_eq!(made.state(), before, "{}", again.stderr);
        assert!(again.stdout.is_empty() || again.stdout == first.stdout, "other tokens: {again:?}");
    }
    let everything = format!("{first:?}{dry:?}{before}");
    assert!(!everything.contains("of-the-pager"), "the alert URL is shown");

    // What is there is told from what is wanted, though InfluxDB shows no secret.
    let other = ("TAGLINE__ANSWERS__ALERT_URL", "http://127.0.0.1:9/another?key=of-the-pager");
    let changed = tagline(folder.path(), &arguments, &[other, admin]).await;
    assert_eq!(marked(&changed.stderr, '~'), ["secret TAGLINE_ALERT_URL: holds another URL"], "{}", changed.stderr);
    assert!(!format!("{changed:?}").contains("of-the-pager"));
    let same = tagline(folder.path(), &arguments, &[other, admin]).await;
    assert!(same.stderr.contains("Nothing had to change."), "{}", same.stderr);

    // And gone again, with buckets and tokens left.
    let removed = tagline(folder.path(), &with(&["--remove-tasks"]), &[alert, admin]).await;
    assert_eq!((removed.code, removed.stdout.as_str()), (Some(0), ""), "{removed:?}");
    assert_eq!(made.task_names(), Vec::<String>::new());
    let after = made.state();
    assert_eq!((&after["buckets"], &after["tokens"]), (&before["buckets"], &before["tokens"]));
}
