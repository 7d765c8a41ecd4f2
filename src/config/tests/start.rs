//! What a start without settings gives, and what turns files into InfluxDB.

use secrecy::ExposeSecret;

use super::{Case, INFLUXDB, TENANT};
use crate::config::{Durability, LogFormat, OnFull, OriginRule, Profile};

#[test]
fn a_start_without_settings_has_a_demo_tenant_on_loopback_and_files() {
    let settings = Case::empty().good();
    assert_eq!(settings.profile, Profile::Dev);
    assert!(settings.server.listen.ip().is_loopback() && settings.server.admin_listen.ip().is_loopback());
    assert!(settings.influxdb.is_none());
    assert_eq!(settings.spool.dir.to_str(), Some("data"));
    assert_eq!(settings.log.format, LogFormat::Text);
    let (id, tenant) = settings.tenants.first_key_value().unwrap();
    assert_eq!((id.as_str(), settings.tenants.len()), ("demo", 1));
    let key = &tenant.keys["demo"];
    assert_eq!(key.origins, [OriginRule::Any]);
    let text = key.key.expose_secret();
    assert!(text.len() == 24 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{text}");
}

#[test]
fn a_start_without_settings_drains_at_once_wherever_it_listens() {
    let delay = |env: &[(&str, &str)]| Case::empty().env(env).good().server.drain_delay;
    assert!(delay(&[]).is_zero() && delay(&[("TAGLINE__SERVER__LISTEN", "127.0.0.1:0")]).is_zero());
    assert_eq!(delay(&[("TAGLINE__SERVER__DRAIN_DELAY", "5s")]), std::time::Duration::from_secs(5));
}

#[test]
fn every_start_without_settings_has_another_key() {
    let key =
        |_| Case::empty().good().tenants.into_values().next().unwrap().keys["demo"].key.expose_secret().to_owned();
    let keys: std::collections::BTreeSet<String> = (0..16).map(key).collect();
    assert_eq!(keys.len(), 16);
}

#[test]
fn a_start_without_settings_is_refused_beyond_loopback() {
    Case::empty().env(&[("TAGLINE__SERVER__LISTEN", "0.0.0.0:8080")]).finds(&[(
        "TAGLINE__SERVER__LISTEN: server.listen: 0.0.0.0:8080 is reachable from outside",
        "give --config FILE",
    )]);
    Case::empty()
        .env(&[("TAGLINE__SERVER__ADMIN_LISTEN", "[::]:9000")])
        .finds(&[("TAGLINE__SERVER__ADMIN_LISTEN", "no tenant and no issuer")]);
}

#[test]
fn three_variables_alone_switch_to_influxdb() {
    let settings = Case::empty().env(&INFLUXDB).good();
    assert_eq!(settings.profile, Profile::Dev);
    let influxdb = settings.influxdb.unwrap();
    assert_eq!(
        (influxdb.url.as_str(), influxdb.org.as_str(), &*influxdb.bucket),
        ("http://localhost:8086", "acme", "app_observability")
    );
    assert_eq!(influxdb.token.expose_secret(), "the-token-nobody-sees");
    let other = Case::empty().env(&INFLUXDB).env(&[("INFLUXDB_BUCKET", "other")]).good().influxdb.unwrap();
    assert_eq!(&*other.bucket, "other");
}

#[test]
fn half_an_influxdb_names_what_is_missing() {
    Case::empty()
        .env(&INFLUXDB[..1])
        .finds(&[("INFLUXDB_URL: influxdb: org and token missing", "set INFLUXDB_ORG and INFLUXDB_TOKEN")]);
    Case::empty().env(&INFLUXDB[1..]).finds(&[("INFLUXDB_ORG: influxdb: url missing", "set INFLUXDB_URL,")]);
    Case::of(&format!("[influxdb]\nurl = \"http://a:1\"\norg = \"b\"\n{TENANT}"))
        .finds(&[("settings.toml:2: influxdb: token missing", "INFLUXDB_TOKEN")]);
}

#[test]
fn variables_complete_what_a_file_begins() {
    let file = format!("[influxdb]\nurl = \"https://a:1/\"\norg = \"b\"\n{TENANT}");
    let influxdb = Case::of(&file).env(&INFLUXDB[2..]).good().influxdb.unwrap();
    assert_eq!((influxdb.url.as_str(), influxdb.org.as_str()), ("https://a:1", "b"));
    // And lie above it.
    let influxdb = Case::of(&file).env(&INFLUXDB).good().influxdb.unwrap();
    assert_eq!(influxdb.url, "http://localhost:8086");
}

#[test]
fn empty_or_unusable_influxdb_variables_are_mistakes() {
    let with = |name: &str, value: &str| {
        let mut case = Case::empty().env(&INFLUXDB);
        case.env.iter_mut().filter(|(known, _)| known == name).for_each(|(_, text)| value.clone_into(text));
        case
    };
    with("INFLUXDB_TOKEN", "").finds(&[("INFLUXDB_TOKEN: influxdb.token: is empty", "unset")]);
    with("INFLUXDB_TOKEN", "token\n").finds(&[("INFLUXDB_TOKEN: influxdb.token: holds a line break", "")]);
    with("INFLUXDB_ORG", " ").finds(&[("INFLUXDB_ORG: influxdb.org: is empty", "")]);
    with("INFLUXDB_URL", "localhost:8086")
        .finds(&[("INFLUXDB_URL: influxdb.url: \"localhost:8086\" is no URL", "https://influxdb:8086")]);
    with("INFLUXDB_URL", "ftp://a").finds(&[("INFLUXDB_URL: ", "no URL of http or https")]);
    let credentials = with("INFLUXDB_URL", "https://me:pa55word@influxdb");
    credentials.finds(&[("INFLUXDB_URL: ", "holds credentials")]);
    assert!(!credentials.findings()[0].contains("pa55word"));
}

#[test]
fn a_configured_gateway_needs_somewhere_to_put_points() {
    Case::of(TENANT).finds(&[("settings.toml: influxdb: there is no InfluxDB", "INFLUXDB_URL")]);
}

#[test]
fn accepted_means_on_disk_unless_somebody_tries_things_out_or_says_otherwise() {
    let configured = || Case::with_influxdb(TENANT);
    let spool = configured().good().spool;
    assert_eq!((spool.durability, spool.on_full, spool.max_bytes), (Durability::Fsync, OnFull::Reject, 10 << 30));
    let dev = || Case::empty().env(&INFLUXDB);
    assert_eq!(dev().good().spool.durability, Durability::Memory);
    let set = |case: Case, value| case.env(&[("TAGLINE__SPOOL__DURABILITY", value)]).good().spool.durability;
    assert_eq!(set(configured(), "memory"), Durability::Memory);
    assert_eq!(set(dev(), "fsync"), Durability::Fsync);
    let text = format!("[spool]\nmax_bytes = \"16MiB\"\non_full = \"drop_oldest\"\n{TENANT}");
    let spool = Case::with_influxdb(&text).good().spool;
    assert_eq!((spool.on_full, spool.max_bytes), (OnFull::DropOldest, 16 << 20));
}

#[test]
fn a_tenant_in_a_variable_ends_the_dev_profile() {
    let case = Case::empty().env(&INFLUXDB).env(&[
        ("TAGLINE__TENANTS__ACME__KEYS__WEB__KEY", "wk_acme_0123456789"),
        ("TAGLINE__TENANTS__ACME__KEYS__WEB__ORIGINS", "https://a.example, https://b.example"),
        ("TAGLINE__SERVER__LISTEN", "0.0.0.0:8080"),
    ]);
    let settings = case.good();
    assert_eq!(settings.profile, Profile::Configured);
    assert_eq!(settings.log.format, LogFormat::Json);
    assert_eq!(settings.spool.dir.to_str(), Some("/var/lib/tagline"));
    assert_eq!(settings.tenants.keys().map(|id| id.as_str()).collect::<Vec<_>>(), ["acme"]);
    assert_eq!(settings.tenants.values().next().unwrap().keys["web"].origins.len(), 2);
}

#[test]
fn the_replica_gives_its_lane_and_the_host_its_name() {
    let enrich = Case::empty().good().enrich;
    assert_eq!((enrich.instance.as_str(), enrich.replica.as_str(), enrich.lane), ("tagline-2", "tagline-2", 2));
    let lane = |replica: &str| Case::empty().env(&[("TAGLINE__ENRICH__REPLICA", replica)]).good().enrich.lane;
    assert_eq!((lane("tagline-1007"), lane("x-999")), (7, 999));
    let hashed = lane("7c9f-abcde");
    assert!(hashed < 1000 && hashed == lane("7c9f-abcde") && hashed != lane("7c9f-abcdf"));
    let named = Case::empty().env(&[("TAGLINE__ENRICH__INSTANCE", "aks-weu-1")]).good().enrich;
    assert_eq!((named.instance.as_str(), named.replica.as_str()), ("aks-weu-1", "tagline-2"));
}
