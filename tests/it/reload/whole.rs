//! What a reload changes, and what it leaves as it is.

use super::*;

#[tokio::test]
async fn a_hangup_changes_tenants_keys_limits_and_the_catalog_at_once() {
    let bucket = influx().bucket("reload-hangup");
    let own = influx().bucket("reload-hangup-own");
    let mut gateway = Gateway::start(&config_for(&bucket)).await;
    assert_eq!((gateway.generation(), gateway.settings_check().0), (1, "ok".to_owned()));
    assert_eq!(gateway.metric("tagline_settings_generation"), Some(1.0));
    assert_eq!(
        (status(&gateway, ACME_KEY), status(&gateway, SECOND_KEY), status(&gateway, "initech-key-0123456789")),
        (202, 401, 401)
    );

    // acme has another key, globex has gone, initech has come with a bucket of its own; and the rules of all are others.
    let config = config_for(&bucket)
        .replace(ACME_KEY, SECOND_KEY)
        .replace("[tenants.globex.keys.web]", "[tenants.initech.keys.web]");
    let config = config.replace(GLOBEX_KEY, "initech-key-0123456789").replace("https://globex.example", "*");
    let config = config.replace("drain_delay", "max_events = 3\nmax_body = \"2KiB\"\ndrain_delay");
    let config = format!(
        "{config}
[tenants.initech]
bucket = \"{}\"
[enrich.static_tags]
region = \"weu\"
[measurements.checkout]
fields.items = {{ type = \"int\" }}
[measurements.frontend_performance]
needs = [\"view_name\"]
fields.element_count = {{ type = \"int\", max = 10 }}
",
        own.name()
    );
    gateway.rewrite(&config);
    assert_eq!(gateway.hangup().await, Reloads { applied: 1, ..Reloads::default() });
    assert_eq!(gateway.settings_check().0, "ok", "{:?}", gateway.settings_check());
    assert_eq!((gateway.generation(), gateway.metric("tagline_settings_generation")), (2, Some(2.0)));
    assert_eq!(gateway.metric("tagline_settings_last_reload_successful"), Some(1.0));

    assert_eq!(code(&post(&gateway, ACME_KEY, &event(now_ms(), 1))), "write_key_unknown");
    assert_eq!(code(&post(&gateway, GLOBEX_KEY, &event(now_ms(), 1))), "write_key_unknown");
    let send = |key: &str, body: Value| post(&gateway, key, &body);
    let checkout = |seq: u64| json!({"measurement": "checkout", "sessionId": "s", "timestamp": now_ms(), "seq": seq, "metrics": {"items": 2}});
    assert_eq!(send(SECOND_KEY, checkout(1)).status, 202);
    assert_eq!(send("initech-key-0123456789", checkout(2)).status, 202);
    let many = json!([checkout(3), checkout(4), checkout(5), checkout(6)]);
    assert_eq!(code(&send(SECOND_KEY, many)), "too_many_events");
    assert_eq!(
        code(&send(SECOND_KEY, json!({"viewName": "v".repeat(3_000), "metrics": {"items": 1}}))),
        "body_too_large"
    );
    let mut large = event(now_ms(), 7);
    large["metrics"]["element_count"] = json!(11);
    assert_eq!(send(SECOND_KEY, large.clone()).json()["rejected"][0]["reason"], "out_of_range");
    large["metrics"]["element_count"] = json!(10);
    large.as_object_mut().unwrap().remove("actionName");
    assert_eq!(send(SECOND_KEY, large).status, 202);

    // What globex and acme sent before is delivered, without the tag of after; and their rows stay in the ledger.
    gateway.delivered("acme", 3).await;
    gateway.delivered("initech", 1).await;
    let rows = bucket.rows("frontend_performance").await;
    let regions: Vec<Option<&str>> = rows.iter().map(|row| row.get("region")).collect();
    assert_eq!(regions, [None, Some("weu")]);
    let rows = own.rows("checkout").await;
    assert_eq!(rows.iter().map(|row| (row.text("tenant_id"), row.int("items"))).collect::<Vec<_>>(), [("initech", 2)]);
}

#[tokio::test]
async fn a_tenant_that_vanishes_leaves_nothing_behind_undelivered() {
    let mut own = crate::support::Influx::own();
    let bucket = own.bucket("reload-vanish");
    let mut gateway = Gateway::start(&config_for(&bucket)).await;
    own.stop().await;
    assert_eq!(status(&gateway, GLOBEX_KEY), 202);
    let config = config_for(&bucket);
    gateway.rewrite(config.split("[tenants.globex").next().unwrap());
    assert_eq!(gateway.hangup().await.applied, 1);
    assert_eq!(status(&gateway, GLOBEX_KEY), 401);
    own.start();
    gateway.delivered("globex", 1).await;
    assert_eq!(bucket.stored("globex").await, 1);
}

#[tokio::test]
async fn debts_and_series_outlive_a_reload_also_one_that_changes_the_limits() {
    let bucket = influx().bucket("reload-debt");
    let limits = |per_second: u32| {
        format!("{}\n[tenants.acme.limits]\npoints_per_second = {per_second}\nburst = 5000\n", config_for(&bucket))
    };
    let mut gateway = Gateway::start(&limits(1)).await;
    let batch = |first: u64| crate::support::events(now_ms(), first, 4_000);
    assert_eq!(post(&gateway, ACME_KEY, &batch(0)).status, 202);
    assert_eq!(post(&gateway, ACME_KEY, &batch(4_000)).status, 202, "the last batch may go into debt");
    let owes = |gateway: &Gateway| {
        let refused = post(gateway, ACME_KEY, &event(now_ms(), 1));
        assert_eq!((refused.status, code(&refused)), (429, "over_budget".to_owned()), "{}", refused.text());
        refused.header("retry-after").unwrap().parse::<u64>().unwrap()
    };
    let before = owes(&gateway);
    assert!((2_900..=3_001).contains(&before), "{before}");
    let series = |gateway: &Gateway| {
        let hour = gateway.admin_json("/admin/series")["tenants"]["acme"]["day"].take();
        (hour["series"].as_u64().unwrap(), hour["budget"].as_u64().unwrap())
    };
    let (seen, budget) = series(&gateway);
    assert!(seen >= 5 && budget == 200_000, "{seen} of {budget}");
    // Something else changed: the same debt.
    gateway.rewrite(&format!("{}{}", limits(1), second_key()));
    assert_eq!(gateway.hangup().await.applied, 1);
    let after = owes(&gateway);
    assert!(after <= before && after > before - 60, "{before} and {after}");
    // Ten times the rate: it is paid ten times as fast.
    gateway.rewrite(&format!("{}series_per_day = 70000\n", limits(10)));
    assert_eq!(gateway.hangup().await.applied, 2);
    let quicker = owes(&gateway);
    assert!(quicker <= before / 10 + 1 && quicker > before / 10 - 60, "{before} and {quicker}");
    assert_eq!(series(&gateway), (seen, 70_000));
    // And globex owes nothing.
    assert_eq!(status(&gateway, GLOBEX_KEY), 202);
}

#[tokio::test]
async fn times_stay_unique_over_a_reload() {
    let bucket = influx().bucket("reload-ticks");
    let mut gateway = Gateway::start(&config_for(&bucket)).await;
    // No `seq`: what keeps them apart is the gateway's own counter.
    let at = now_ms();
    let send = |gateway: &Gateway| {
        let event = json!({"sessionId": "s", "viewName": "v", "actionName": "a", "timestamp": at, "metrics": {"element_count": 1}});
        assert_eq!(post(gateway, ACME_KEY, &event).status, 202);
    };
    for round in 0..10 {
        send(&gateway);
        gateway.rewrite(&format!("{}\n# {round}\n", config_for(&bucket)));
        assert_eq!(gateway.hangup().await.applied, round + 1);
        send(&gateway);
    }
    gateway.delivered("acme", 20).await;
    assert_eq!(bucket.stored("acme").await, 20);
}

#[tokio::test]
async fn what_takes_a_restart_is_named_and_the_rest_is_in_force() {
    let bucket = influx().bucket("reload-restart");
    let mut gateway = Gateway::start(&config_for(&bucket)).await;
    let config =
        config_for(&bucket).replace("workers = 2", "workers = 3").replace("dir = \"data\"", "dir = \"elsewhere\"");
    gateway.rewrite(&format!("{config}{}", second_key()));
    assert_eq!(gateway.hangup().await.applied, 1);
    assert_eq!(status(&gateway, SECOND_KEY), 202);
    let (status_then, detail) = gateway.settings_check();
    assert_eq!(status_then, "degraded");
    assert!(detail.contains("server.workers, spool.dir changed since the start"), "{detail}");
    assert!(gateway.log().contains("server.workers, spool.dir changed, and take a restart"), "{}", gateway.log());
    assert_eq!((gateway.readiness().0, gateway.folder().join("elsewhere").exists()), (200, false));
    // Taken back, nothing waits any more.
    gateway.rewrite(&config_for(&bucket));
    assert_eq!(gateway.hangup().await.applied, 2);
    assert_eq!((gateway.settings_check().0, status(&gateway, SECOND_KEY)), ("ok".to_owned(), 401));
}
