//! Mistakes in whose word is taken for what.

use super::{Case, TENANT};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// An issuer (lines 1 to 5) with more lines under it, and the tenant `acme`.
fn issuer(lines: &str) -> Case {
    let row = "[issuers.i]\nissuer = \"https://i\"\naudience = \"tagline\"\nalgorithms = [\"HS256\"]\nhmac_secret_file = \"hmac\"";
    Case::with_influxdb(&format!("{row}\n{lines}\n{TENANT}")).beside("hmac", SECRET)
}

#[test]
fn claim_values_keep_their_letters_and_stand_for_tenants() {
    let case = issuer("[issuers.i.tenants]\n\"Org-7/eu.x\" = \"acme\"\n42 = \"acme\"");
    let issuer = &case.good().issuers["i"];
    assert_eq!(issuer.tenants.keys().collect::<Vec<_>>(), ["42", "Org-7/eu.x"]);
    assert!(issuer.tenants.values().all(|tenant| tenant.as_str() == "acme"));
}

#[test]
fn a_claim_value_of_a_tenant_that_is_not_there_is_told() {
    let rows = "[issuers.i.tenants]\n42 = \"acme\"\n43 = \"globex\"";
    issuer(rows).finds(&[("settings.toml:8: issuers.i.tenants.43: there is no tenant globex", "[tenants.globex]")]);
    issuer(&format!("{rows}\n[tenant_defaults]\nunknown = \"accept\"")).good();
}

#[test]
fn a_table_of_claim_values_that_lists_none_is_told() {
    issuer("[issuers.i.tenants]")
        .finds(&[("settings.toml:6: issuers.i.tenants: lists no value", "leave the table out")]);
    issuer("[issuers.i.tenants]\n42 = \"no tenant!\"")
        .finds(&[("settings.toml:7: issuers.i.tenants.42: ", "is no tenant id")]);
}

#[test]
fn an_issuer_that_is_called_as_upload_tokens_are_is_told() {
    let row = "[issuers.i]\nissuer = \"tenant:acme\"\naudience = \"x\"\nalgorithms = [\"HS256\"]\nhmac_secret_file = \"hmac\"";
    Case::with_influxdb(&format!("{row}\n{TENANT}"))
        .beside("hmac", SECRET)
        .finds(&[("settings.toml:2: issuers.i.issuer: begins with \"tenant:\"", "another name")]);
}

#[test]
fn accepting_what_nobody_can_vouch_for_is_told() {
    Case::with_influxdb(&format!("[tenant_defaults]\nunknown = \"accept\"\n{TENANT}"))
        .finds(&[("settings.toml:2: tenant_defaults.unknown: no issuer is listed", "[issuers.NAME]")]);
    issuer("[tenant_defaults]\nunknown = \"accept\"").good();
}

#[test]
fn a_tenants_own_origins_name_pages() {
    let with = |origins: &str| Case::with_influxdb(&format!("[tenants.acme]\norigins = {origins}\n{TENANT}"));
    let settings = with("[\"https://App.example:443\", \"https://*.acme.example\"]").good();
    assert_eq!(settings.tenants.values().next().unwrap().origins.len(), 2);
    with("[\"*\"]").finds(&[("settings.toml:2: tenants.acme.origins: \"*\" names no page", "https://app.example")]);
    with("[\"app.example\"]").finds(&[("settings.toml:2: tenants.acme.origins: ", "")]);
}

#[test]
fn upload_secrets_are_long_few_and_never_in_toml() {
    let with = |names: &[&str]| {
        let row = |name: &&str| format!("[tenants.acme.upload_secrets.{name}]\nsecret_file = \"upload\"\n");
        Case::with_influxdb(&format!("{}{TENANT}", names.iter().map(row).collect::<String>()))
    };
    let settings = with(&["new", "old"]).beside("upload", SECRET).good();
    assert_eq!(settings.tenants.values().next().unwrap().upload_secrets.len(), 2);
    with(&["new"]).beside("upload", "too short").finds(&[(
        "settings.toml:2: tenants.acme.upload_secrets.new.secret_file: the secret is too short",
        "32 bytes",
    )]);
    with(&["a", "b", "c", "d", "e"])
        .beside("upload", SECRET)
        .finds(&[("settings.toml:1: tenants.acme.upload_secrets: more than 4", "")]);
    Case::with_influxdb(&format!("[tenants.acme.upload_secrets.new]\n{TENANT}"))
        .finds(&[("settings.toml:1: tenants.acme.upload_secrets.new: no secret", "secret_file")]);
    let inline = Case::with_influxdb(&format!("[tenants.acme.upload_secrets.new]\nsecret = \"{SECRET}\"\n{TENANT}"));
    inline.finds(&[("settings.toml:2: tenants.acme.upload_secrets.new.secret: a secret may not stand in TOML", "")]);
    assert!(!inline.findings().concat().contains(SECRET));
}

#[test]
fn an_upload_secret_of_two_tenants_is_told() {
    let row = |tenant: &str| format!("[tenants.{tenant}.upload_secrets.one]\nsecret_file = \"{tenant}\"\n");
    let text = format!("{}{}{TENANT}", row("globex"), row("acme"));
    let case = Case::with_influxdb(&text).beside("acme", SECRET).beside("globex", &format!("{SECRET}\n"));
    case.finds(&[(
        "settings.toml:2: tenants.globex.upload_secrets.one.secret_file: tenants.acme.upload_secrets.one has the same secret",
        "speak for the other",
    )]);
    assert!(!case.findings().concat().contains(SECRET));
    case.beside("globex", "another secret of thirty-two letters").good();
}

#[test]
fn a_cookie_has_a_name_that_a_cookie_can_have() {
    let with = |name: &str| Case::with_influxdb(&format!("[server]\ntoken_cookie = \"{name}\"\n{TENANT}"));
    assert_eq!(with("__Host-session").good().server.token_cookie.as_deref(), Some("__Host-session"));
    for name in ["", "a b", "a=b", "a;b", "ä"] {
        with(name).finds(&[("settings.toml:2: server.token_cookie: ", "")]);
    }
}
