//! `[answers]`, and what of `[influxdb]` reading takes.

use std::time::Duration;

use super::super::{Installation, Profile, load_installation, load_without_destination};
use super::{Case, Sources, TENANT};

#[test]
fn a_trace_url_names_its_place_for_the_id() {
    let settings =
        Case::with_influxdb(&format!("[answers]\ntrace_url = \"https://t.example/trace/{{trace_id}}\"\n{TENANT}"));
    assert_eq!(settings.good().answers.trace_url.as_deref(), Some("https://t.example/trace/{trace_id}"));
    for wrong in
        ["t.example/{trace_id}", "https://t.example/", "https://{trace_id}", "https://t.example/{trace_id}\\\"x"]
    {
        let text = format!("[answers]\ntrace_url = \"{wrong}\"\n{TENANT}");
        Case::with_influxdb(&text).finds(&[("settings.toml:2: answers.trace_url: ", "{trace_id}")]);
    }
}

#[test]
fn an_alert_url_is_one_and_is_never_echoed() {
    for (url, good) in
        [("http://am:9093/api/v2/alerts", true), ("am:9093", false), ("http:///pager", false), ("http://a b", false)]
    {
        let case = Case::with_influxdb(TENANT).env(&[("TAGLINE__ANSWERS__ALERT_URL", url)]);
        if good {
            assert!(case.good().answers.alert_url.is_some());
        } else {
            let findings = case.findings();
            assert!(
                findings.len() == 1 && findings[0].contains("answers.alert_url") && !findings[0].contains(url),
                "{findings:?}"
            );
        }
    }
}

#[test]
fn who_only_asks_needs_no_token_to_write() {
    let env = [("INFLUXDB_URL", "http://i:8086"), ("INFLUXDB_ORG", "o"), ("INFLUXDB_READ_TOKEN", "r")];
    let case = Case::empty().env(&env);
    let sources = Sources { file: None, env: case.env.clone() };
    let settings = load_without_destination(&sources).unwrap_or_else(|findings| panic!("{findings}"));
    let source = settings.answers.source.expect("a source");
    assert_eq!(
        (source.url.as_str(), source.org.as_str(), source.bucket.as_str()),
        ("http://i:8086", "o", "app_observability")
    );
    assert!(settings.influxdb.is_none());
    // Half of it is a mistake to whoever writes.
    Case::of(TENANT).env(&env).finds(&[("INFLUXDB_URL: influxdb", "INFLUXDB_TOKEN")]);
}

#[test]
fn a_tenant_is_expected_by_itself_or_by_the_defaults() {
    let text = format!("[tenant_defaults]\nexpect_within = \"1h\"\n[tenants.b]\nexpect_within = \"5m\"\n{TENANT}");
    let settings = Case::with_influxdb(&text).good();
    let minutes: Vec<_> =
        settings.tenants.values().map(|tenant| tenant.expect_within.map(|d| d.as_secs() / 60)).collect();
    assert_eq!(minutes, [Some(60), Some(5)]);
    assert_eq!(settings.tenant_defaults.tenant.expect_within, None, "an unlisted tenant is not expected");
    assert_eq!(Case::with_influxdb(TENANT).good().tenants.values().next().unwrap().expect_within, None::<Duration>);
    Case::with_influxdb(&format!("[tenants.b]\nexpect_within = \"10s\"\n{TENANT}"))
        .finds(&[("settings.toml:2: tenants.b.expect_within", "at least a minute")]);
}

fn installation(case: &Case) -> Result<Installation, String> {
    load_installation(&Sources { file: case.file.clone(), env: case.env.clone() })
        .map_err(|findings| findings.to_string())
}

#[test]
fn an_influxdb_can_be_set_up_before_there_is_a_token_and_without_the_gateways_secrets() {
    let text = format!(
        "[server]\nadmin_token_file = \"/run/secrets/none\"\n[influxdb]\nurl = \"https://i:8086\"\norg = \"o\"\n\
         token_file = \"none\"\nread_token_file = \"none\"\nretention = \"7d\"\n[issuers.idp]\nissuer = \"i\"\naudience = \"a\"\n\
         algorithms = [\"HS256\"]\nhmac_secret_file = \"none\"\n[tenants.b]\nbucket = \"own\"\nexpect_within = \"5m\"\n\
         [tenants.off]\ndisabled = true\nexpect_within = \"5m\"\n{TENANT}"
    );
    let case = Case::of(&text);
    assert!(case.load().is_err(), "the gateway itself cannot start so");
    let made = installation(&case).unwrap_or_else(|findings| panic!("{findings}"));
    assert_eq!((made.url.as_deref(), made.org.as_deref()), (Some("https://i:8086"), Some("o")));
    assert_eq!((made.bucket.as_str(), made.retention.as_secs() / 86_400), ("app_observability", 7));
    let tenants = made.tenants.iter().map(|tenant| {
        (tenant.id.as_str(), tenant.bucket.as_deref(), tenant.expect_within.map(|within| within.as_secs()))
    });
    let expected = [("acme", None, None), ("b", Some("own"), Some(300)), ("off", None, None)];
    assert_eq!(tenants.collect::<Vec<_>>(), expected);
    assert_eq!(made.profile, Profile::Configured);

    let nothing = installation(&Case::empty()).unwrap_or_else(|findings| panic!("{findings}"));
    assert_eq!((nothing.url, nothing.org, nothing.profile), (None, None, Profile::Dev));
}

#[test]
fn what_an_influxdb_is_set_up_for_is_checked_like_all_settings() {
    let file = Case::of(&format!("[answers]\nalert_url_file = \"none\"\n{TENANT}"));
    assert!(installation(&file).is_err_and(|findings| findings.contains("answers.alert_url_file")));
    let form = Case::of(&format!("[influxdb]\nretention = \"soon\"\n{TENANT}"));
    assert!(installation(&form).is_err_and(|findings| findings.contains("influxdb.retention")));
    let expected = Case::of(&format!("[tenants.b]\nexpect_within = \"10s\"\n{TENANT}"));
    assert!(installation(&expected).is_err_and(|findings| findings.contains("expect_within")));
}
