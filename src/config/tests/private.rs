//! Privacy: what is scrubbed, what is warned of, and that no secret is shown.

use super::{Case, TENANT};
use crate::config::{ClientAddress, Scrub};

#[test]
fn what_is_private_is_scrubbed_unless_somebody_says_otherwise() {
    let settings = Case::with_influxdb(TENANT).good();
    assert_eq!(settings.enrich.scrub, [Scrub::Email, Scrub::Bearer, Scrub::Card].into());
    assert_eq!(settings.enrich.client_address, ClientAddress::Off);
    assert!(!settings.server.core_dumps && settings.server.admin_token.is_none());
    let text =
        format!("{TENANT}[enrich]\nscrub = []\nclient_address = \"network\"\nscrub_patterns.order = 'ORD-\\d+'\n");
    let enrich = Case::with_influxdb(&text).good().enrich;
    assert!(enrich.scrub.is_empty() && enrich.scrub_patterns["order"] == "ORD-\\d+");
    assert_eq!(enrich.client_address, ClientAddress::Network);
}

#[test]
fn mistakes_in_what_is_scrubbed_are_told() {
    let text = "[enrich]\nscrub = [\"email\",\n  \"emial\"]\nclient_address = \"ful\"\n[enrich.scrub_patterns]\nopen = '('\nall = 'x*'\n'a b' = 'x'\n";
    Case::with_influxdb(&format!("{text}{TENANT}")).finds(&[
        ("settings.toml:3: enrich.scrub: \"emial\"", "write \"email\", \"bearer\" or \"card\""),
        ("settings.toml:4: enrich.client_address: \"ful\"", "did you mean \"full\"?"),
        ("settings.toml:6: enrich.scrub_patterns.open: ", "is no regular expression"),
        ("settings.toml:7: enrich.scrub_patterns.all: ", "matches an empty text"),
        ("settings.toml:8: enrich.scrub_patterns.a b: ", "is no name"),
    ]);
}

#[test]
fn the_name_of_the_clients_address_is_nobody_elses() {
    let text = "[measurements.m]\ntags = [\"client_address\"]\n[enrich.static_tags]\nclient_address = \"x\"\n[measurements.m.fields.client_address]\n";
    let findings = Case::with_influxdb(&format!("{text}{TENANT}")).findings();
    assert_eq!(findings.len(), 3, "{findings:#?}");
    assert!(findings.iter().all(|finding| finding.contains("\"client_address\" is reserved")), "{findings:#?}");
}

#[test]
fn an_admin_listener_that_all_can_reach_and_core_dumps_are_warned_of() {
    let warnings = |lines: &str, token: &[(&str, &str)]| {
        Case::with_influxdb(&format!("[server]\n{lines}\n{TENANT}")).env(token).good().warnings()
    };
    let token = [("TAGLINE__SERVER__ADMIN_TOKEN", "0123456789abcdef")];
    assert_eq!(warnings("", &[]), Vec::<String>::new());
    assert_eq!(warnings("admin_listen = \"[::1]:8081\"", &[]), Vec::<String>::new());
    let open = warnings("admin_listen = \"0.0.0.0:8081\"", &[]);
    assert!(open.len() == 1 && open[0].contains("admin_token_file") && open[0].contains("0.0.0.0:8081"), "{open:?}");
    assert_eq!(warnings("admin_listen = \"0.0.0.0:8081\"", &token), Vec::<String>::new());
    let dumps = warnings("core_dumps = true", &[]);
    assert!(dumps.len() == 1 && dumps[0].starts_with("server.core_dumps"), "{dumps:?}");
}

#[test]
fn a_network_of_proxies_in_which_others_live_is_warned_of() {
    let secret = [("TAGLINE__SERVER__PROXY_SECRET", "0123456789abcdef")];
    let warnings = |networks: &str| {
        let text = format!("[server]\ntrusted_proxies = [{networks}]\n{TENANT}");
        Case::with_influxdb(&text).env(&secret).good().warnings()
    };
    assert_eq!(warnings(r#""10.0.0.7", "10.240.8.0/24", "fd00::7", "fd00::/64""#), Vec::<String>::new());
    for network in ["0.0.0.0/0", "10.244.0.0/16", "10.240.8.0/23", "::/0", "fd00::/63"] {
        let [warning] = &warnings(&format!(r#""10.0.0.7", "{network}""#))[..] else { panic!("{network}") };
        assert!(warning.starts_with(&format!("server.trusted_proxies {network} ")), "{warning}");
    }
}

#[test]
fn settings_by_which_nobody_can_send_are_warned_of() {
    let warnings = |text: &str, env: &[(&str, &str)]| Case::with_influxdb(text).env(env).good().warnings();
    let [warning] = &warnings("[tenants.acme]\n", &[])[..] else { panic!("nobody can send") };
    assert!(warning.contains("every request") && warning.contains("401"), "{warning}");
    let hmac = [("TAGLINE__ISSUERS__I__HMAC_SECRET", "0123456789abcdef0123456789abcdef")];
    let issuer = "[tenants.acme]\n[issuers.i]\nissuer = \"i\"\naudience = \"a\"\nalgorithms = [\"HS256\"]\n";
    let upload = [("TAGLINE__TENANTS__ACME__UPLOAD_SECRETS__A__SECRET", "0123456789abcdef0123456789abcdef")];
    let proxy = [("TAGLINE__SERVER__PROXY_SECRET", "0123456789abcdef")];
    let proxied = "[server]\ntrusted_proxies = [\"10.0.0.7\"]\n[tenants.acme]\n";
    for (text, env) in [(TENANT, &[][..]), (issuer, &hmac), ("[tenants.acme]\n", &upload), (proxied, &proxy)] {
        assert_eq!(warnings(text, env), Vec::<String>::new(), "{text}");
    }
}

/// Every setting that takes a secret, with one, and what must stand beside it.
const SECRETS: [(&str, &str); 8] = [
    ("TAGLINE__SERVER__ADMIN_TOKEN", "secret-of-the-admin-listener"),
    ("TAGLINE__SERVER__PROXY_SECRET", "secret-of-the-proxy"),
    ("TAGLINE__INFLUXDB__TOKEN", "secret-of-influxdb"),
    ("TAGLINE__INFLUXDB__READ_TOKEN", "secret-of-those-who-ask"),
    ("TAGLINE__ANSWERS__ALERT_URL", "http://secret-of-the-pager@alerts.example/api/v2/alerts"),
    ("TAGLINE__ISSUERS__I__HMAC_SECRET", "secret-of-the-issuer-0123456789abcdef"),
    ("TAGLINE__TENANTS__ACME__UPLOAD_SECRETS__MAIN__SECRET", "secret-of-the-backend-0123456789abcdef"),
    ("TAGLINE__TENANTS__ACME__KEYS__MORE__KEY", "secret-of-a-page-0123"),
];

#[test]
fn no_secret_is_shown_by_debug_or_by_a_finding() {
    let text = "[server]\ntrusted_proxies = [\"10.0.0.1\"]\n[issuers.i]\nissuer = \"https://i\"\naudience = \"t\"\nalgorithms = [\"HS256\"]\n\
                [tenants.acme.keys.more]\norigins = [\"*\"]\n";
    let case = Case::with_influxdb(&format!("{text}{TENANT}")).env(&SECRETS);
    let settings = case.good();
    // Each is in force, so that hiding it is worth something.
    assert!(settings.server.admin_token.is_some() && !settings.server.proxy_secrets.is_empty());
    assert!(settings.answers.source.is_some() && settings.answers.alert_url.is_some());
    assert!(settings.influxdb.is_some() && settings.issuers.len() == 1);
    let acme = settings.tenants.values().next().unwrap();
    assert!(acme.upload_secrets.len() == 1 && acme.keys.len() == 2);
    let shown = [format!("{settings:?}"), format!("{settings:#?}"), settings.warnings().join(" ")].concat();
    assert!(shown.contains("trusted_proxies") && shown.contains("upload_secrets"), "Debug shows the rest");
    assert!(!shown.contains("secret-of") && !shown.contains("wk_acme"), "{shown}");

    // Mistakes beside and in them.
    let wrong = SECRETS.map(|(name, secret)| (name, format!("{secret}\n")));
    let wrong: Vec<(&str, &str)> = wrong.iter().map(|(name, secret)| (*name, secret.as_str())).collect();
    let findings = Case::with_influxdb(&format!("{text}{TENANT}")).env(&wrong).findings();
    assert!(findings.len() >= SECRETS.len() && !findings.concat().contains("secret-of"), "{findings:#?}");
    let in_toml: String = ["server.admin_token", "server.proxy_secret", "influxdb.token", "issuers.i.hmac_secret"]
        .map(|key| format!("{key} = \"secret-of-a-file-0123456789abcdef\"\n"))
        .concat();
    let findings = Case::with_influxdb(&format!("{in_toml}{TENANT}")).findings();
    assert!(findings.len() >= 4 && !findings.concat().contains("secret-of"), "{findings:#?}");
}

/// [`SECRETS`] must name every row of the schema that takes one.
#[test]
fn the_list_of_secrets_is_whole() {
    let kinds = |kind: &crate::config::schema::Kind| {
        matches!(kind, crate::config::schema::Kind::Secret { .. } | crate::config::schema::Kind::WriteKey)
    };
    let rows = crate::config::schema::ROWS.iter().filter(|row| kinds(&row.kind)).count();
    assert_eq!(rows, SECRETS.len());
}
