//! Settings that are wrong: told with every mistake, and never in force, not in part.

use super::*;

/// The mistakes in the log since the last count.
fn mistakes(gateway: &Gateway) -> Vec<String> {
    let lines = gateway.log_lines();
    let messages = lines.iter().filter(|line| line["level"] == "ERROR").filter_map(|line| line["message"].as_str());
    messages.filter(|message| message.starts_with("settings: ")).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_bad_file_is_refused_with_every_mistake_once_and_the_old_one_stays_until_it_is_mended() {
    let bucket = influx().bucket("reload-bad");
    let gateway = Gateway::start(&config_for(&bucket)).await;
    let config = gateway.config_file();
    let good = config_for(&bucket);
    // One mistake on a line of its own; a key that would be new beside it; and a key of a tenant twice.
    let secret = "not-for-the-log-0123456789";
    let bad = format!(
        "{good}{}
[tenants.acme.limits]
burst = \"much\"
[tenants.hooli.keys.web]
key = \"{secret}\"
origins = []
",
        second_key()
    );
    gateway.rewrite(&bad);
    assert_eq!(gateway.reloaded(1).await, Reloads { refused: 1, ..Reloads::default() });
    let (status_then, detail) = gateway.settings_check();
    assert_eq!((status_then.as_str(), gateway.readiness().0, gateway.generation()), ("degraded", 200, 1));
    let line = bad.lines().position(|line| line.starts_with("burst")).unwrap() + 1;
    for part in
        [&format!("{config}:{line}: tenants.acme.limits.burst: "), "(and 1 more, see the log)", "generation 1 since"]
    {
        assert!(detail.contains(part), "{detail}");
    }
    let told = mistakes(&gateway);
    assert_eq!(told.len(), 3, "{told:#?}");
    assert!(
        told[0].contains("tenants.acme.limits.burst") && told[1].contains("tenants.hooli.keys.web.origins"),
        "{told:#?}"
    );
    assert_eq!(gateway.metric("tagline_settings_last_reload_successful"), Some(0.0));
    assert_eq!((status(&gateway, ACME_KEY), status(&gateway, SECOND_KEY)), (202, 401));

    // It is told once, not every second.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!((gateway.reloads().all(), mistakes(&gateway).len()), (1, 3));
    // The old one comes back: all is well, and nothing is new.
    gateway.rewrite(&good);
    assert_eq!(gateway.reloaded(2).await, Reloads { refused: 1, unchanged: 1, applied: 0 });
    assert_eq!((gateway.settings_check().0, gateway.generation()), ("ok".to_owned(), 1));
    assert_eq!(gateway.metric("tagline_settings_last_reload_successful"), Some(1.0));
    // Bad once more, then mended.
    gateway.rewrite(&bad);
    gateway.reloaded(3).await;
    assert_eq!(gateway.settings_check().0, "degraded");
    gateway.rewrite(&bad.replace("\"much\"", "60000").replace("origins = []", "origins = [\"*\"]"));
    assert_eq!(gateway.reloaded(4).await, Reloads { refused: 2, unchanged: 1, applied: 1 });
    assert_eq!((gateway.settings_check().0, gateway.generation()), ("ok".to_owned(), 2));
    assert_eq!((status(&gateway, SECOND_KEY), status(&gateway, secret)), (202, 202));
    assert!(!gateway.log().contains(secret) && !gateway.log().contains(SECOND_KEY), "{}", gateway.log());
}

#[tokio::test]
async fn a_file_that_is_missing_empty_or_of_another_kind_changes_nothing() {
    let bucket = influx().bucket("reload-gone");
    let mut gateway = Gateway::start(&config_for(&bucket)).await;
    let file = gateway.folder().join("tagline.toml");
    let mut refused = 0;
    let changes: [(&str, &dyn Fn()); 4] = [
        ("not TOML", &|| replace(&file, "[tenants.acme")),
        // It would be a gateway that nobody can use, or one with the demo tenant.
        ("empty", &|| replace(&file, "")),
        ("gone", &|| std::fs::remove_file(&file).unwrap()),
        ("a folder", &|| std::fs::create_dir(&file).unwrap()),
    ];
    for (what, change) in changes {
        change();
        refused += 1;
        assert_eq!(gateway.hangup().await, Reloads { refused, ..Reloads::default() }, "{what}");
        assert_eq!((gateway.settings_check().0.as_str(), gateway.generation()), ("degraded", 1), "{what}");
        assert_eq!(status(&gateway, ACME_KEY), 202, "{what}");
    }
    std::fs::remove_dir(&file).unwrap();
    replace(&file, &config_for(&bucket));
    assert_eq!(gateway.hangup().await, Reloads { refused, unchanged: 1, applied: 0 });
    assert_eq!(gateway.settings_check().0, "ok");
}

#[tokio::test]
async fn a_secret_that_is_missing_is_a_mistake_at_the_line_that_names_it() {
    let bucket = influx().bucket("reload-secret");
    let secrets = tempfile::tempdir().unwrap();
    let file = secrets.path().join("proxy-secret");
    std::fs::write(&file, "the-proxys-secret-0123456789").unwrap();
    let proxies = format!("trusted_proxies = [\"127.0.0.0/8\"]\nproxy_secret_file = \"{}\"\n", file.display());
    let config = config_for(&bucket).replace("[server]\n", &format!("[server]\n{proxies}"));
    let gateway = Gateway::start(&config).await;
    std::fs::remove_file(&file).unwrap();
    assert_eq!(gateway.reloaded(1).await.refused, 1);
    let (_, detail) = gateway.settings_check();
    assert!(
        detail.contains("tagline.toml:4: server.proxy_secret_file: ") && detail.contains("cannot be read"),
        "{detail}"
    );
    // It comes back by itself, with another content.
    std::fs::write(&file, "the-proxys-next-secret-0123456789").unwrap();
    assert_eq!(gateway.reloaded(2).await, Reloads { refused: 1, applied: 1, unchanged: 0 });
    assert_eq!(by_proxy(&gateway, "the-proxys-next-secret-0123456789"), 202);
}

#[tokio::test]
async fn a_fields_type_is_for_ever_and_a_reload_that_is_refused_leaves_none_behind() {
    let bucket = influx().bucket("reload-types");
    let checkout = |kind: &str, more: &str| {
        format!("{}\n[measurements.checkout]\nfields.items = {{ type = \"{kind}\" }}\n{more}", config_for(&bucket))
    };
    let mut gateway = Gateway::start(&config_for(&bucket)).await;
    let types = || std::fs::read_to_string(gateway.spool().join("field-types.json")).unwrap();
    let at_start = types();
    // Refused for something else: the type was never in force.
    gateway.rewrite(&checkout("float", "[tenants.acme]\nrequire = \"jwt or so\"\n"));
    assert_eq!(gateway.hangup().await.refused, 1);
    let types = || std::fs::read_to_string(gateway.spool().join("field-types.json")).unwrap();
    assert_eq!(types(), at_start);
    gateway.rewrite(&checkout("int", ""));
    assert_eq!(gateway.hangup().await.applied, 1);
    let types = || std::fs::read_to_string(gateway.spool().join("field-types.json")).unwrap();
    assert!(types().contains("\"checkout.items\": \"int\""), "{}", types());
    // Now it was.
    gateway.rewrite(&checkout("float", &second_key()));
    assert_eq!(gateway.hangup().await.refused, 2);
    let (_, detail) = gateway.settings_check();
    assert!(detail.contains("checkout.items was int and would be float"), "{detail}");
    assert_eq!(status(&gateway, SECOND_KEY), 401, "nothing of it is in force");
    let body = json!({"measurement": "checkout", "sessionId": "s", "timestamp": now_ms(), "seq": 1, "metrics": {"items": 2.4}});
    assert_eq!(post(&gateway, ACME_KEY, &body).status, 202);
    gateway.delivered("acme", 1).await;
    assert_eq!(bucket.rows("checkout").await[0].int("items"), 2);
}
