//! Settings that change, and names that are odd.

use super::Organisation;
use super::organisation::marked;

#[tokio::test]
async fn a_setting_that_changes_changes_only_what_is_made_of_it() {
    let org = Organisation::new();
    let base = "[influxdb]\nbucket = \"events\"\n";
    org.settings(&format!("{base}[tenants.globex]\nexpect_within = \"15m\"\n"));
    org.setup(&[]).await;

    // Somebody is expected sooner: one task.
    org.settings(&format!("{base}[tenants.globex]\nexpect_within = \"5m\"\n"));
    let said = org.setup(&[]).await;
    assert_eq!(marked(&said, '~'), ["task \"tagline deadman events\""], "{said}");
    assert!(
        said.ends_with("1 change made.\nReady: INFLUXDB_TOKEN may only write, INFLUXDB_READ_TOKEN may only read.\n"),
        "{said}"
    );
    assert!(org.task("tagline deadman events")["flux"].as_str().unwrap().contains("within: 5m"));

    // A tenant gets a bucket of its own: the bucket, its tasks, and tokens that may use it. Its former tokens stay, and are told.
    org.settings(&format!("{base}[tenants.globex]\nexpect_within = \"5m\"\nbucket = \"own\"\n"));
    let said = org.setup(&[]).await;
    let added = marked(&said, '+');
    let expected = [
        "bucket \"own\"",
        "token \"tagline write events\"",
        "token \"tagline read events\"",
        "task \"tagline rollup 1m own\"",
        "task \"tagline deadman own\"",
        "task \"tagline series growth own\"",
    ];
    for expected in expected {
        assert!(added.iter().any(|line| line.starts_with(expected)), "{expected}: {said}");
    }
    assert_eq!(added.len(), expected.len(), "{said}");
    assert_eq!(marked(&said, '-'), ["task \"tagline deadman events\""], "nobody is expected there any more: {said}");
    assert_eq!(marked(&said, '!').iter().filter(|line| line.contains("with other rights")).count(), 2, "{said}");

    // And no more: its tasks go, its bucket and its points stay.
    org.settings(base);
    let said = org.setup(&[]).await;
    let removed = marked(&said, '-');
    assert_eq!(
        removed,
        ["task \"tagline deadman own\"", "task \"tagline rollup 1m own\"", "task \"tagline series growth own\""],
        "{said}"
    );
    org.bucket("own");

    // Without settings nothing of this is undone: whoever only wants the tokens again gets them.
    org.settings(&format!("{base}[tenants.globex]\nexpect_within = \"5m\"\n"));
    org.setup(&[]).await;
    let before = org.state();
    let url = format!("http://{}", org.address);
    let arguments = ["setup", "--url", &url, "--org", &org.name, "--bucket", "events"];
    let admin = ("INFLUXDB_ADMIN_TOKEN", org.token.as_str());
    let bare = crate::support::tagline(org.folder.path(), &arguments, &[admin]).await;
    assert_eq!(bare.code, Some(0), "{bare:?}");
    assert_eq!(org.state(), before, "{bare:?}");
    assert!(marked(&bare.stderr, '!').iter().any(|line| line.contains("no settings are given")), "{bare:?}");
    org.setup(&["--remove-tasks"]).await;
}

#[tokio::test]
async fn an_odd_name_is_a_name_and_nothing_else() {
    let org = Organisation::new();
    // InfluxDB takes no quotation mark in a bucket's name.
    let odd = r"odd ${1 + 1} \x41 'q' // {every: 1s} }";
    org.settings(&format!("[influxdb]\nbucket = '''{odd}'''\n"));
    org.setup(&[]).await;
    let name = format!("tagline rollup 1m {odd}");
    let task = org.task(&name);
    assert_eq!(task["every"], "1m", "{task}");
    // It reads that very bucket.
    let minute_ago = crate::support::now_ms() - 120_000;
    let line =
        format!("frontend_performance,tenant_id=acme,view_name=V,action_name=a duration_ms=7i {minute_ago}000000");
    assert_eq!(org.write(&org.token, odd, &line).status, 204);
    org.run_task(&task).await;
    let count = org.query(
        &org.token,
        "from(bucket: \"app_observability_rollup\") |> range(start: -1h) |> filter(fn: (r) => r._field == \"max\")",
    );
    assert!(count.text().contains(",7,max,"), "{}", count.text());
    let again = org.setup(&[]).await;
    assert!(again.contains("Nothing had to change."), "{again}");

    let quoted = org.run("setup", &["--bucket", "a\"b"], &[]).await;
    assert_eq!(quoted.code, Some(1), "{quoted:?}");
    assert!(quoted.stderr.contains("Bucket names may not include quotation marks"), "{quoted:?}");
    org.setup(&["--remove-tasks"]).await;
    assert_eq!(org.task_names(), Vec::<String>::new());
}
