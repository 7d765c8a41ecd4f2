//! The files under `config/` and the reference under `docs/` keep up with the code.

use std::path::{Path, PathBuf};

use super::{Case, rsa_pem};
use crate::config::schema::{Kind, ROWS};
use crate::config::{SessionMode, TenantId, reference};

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The examples in a folder of their own, with the files that only the machine has.
fn production() -> Case {
    let read = |name: &str| std::fs::read_to_string(repository("config").join(name)).unwrap();
    let mut case = Case::empty()
        .beside("tenants.toml", &read("tenants.toml"))
        .beside("secrets/admin-token", "generated-by-the-machine\n")
        .beside("secrets/proxy-secret", "generated-by-the-machine\n")
        .beside("secrets/influxdb-token", "generated-by-influxdb\n")
        .beside("secrets/partners-public-key.pem", &rsa_pem());
    case.file = Some(case.write("production.toml", &read("production.toml")));
    case
}

#[test]
fn the_production_example_is_good_as_it_stands() {
    let settings = production().good();
    assert_eq!((settings.tenants.len(), settings.issuers.len()), (3, 2));
    let session = |id| settings.tenants[&TenantId::parse(id).unwrap()].session;
    assert_eq!((session("Initech"), session("globex")), (SessionMode::Tag, SessionMode::Hash(16)));
    assert!(settings.catalog.get("checkout_step").is_some() && settings.catalog.get("web_vitals_inp").is_some());
}

#[test]
fn the_production_example_does_itself_what_the_documents_advise() {
    let settings = production().good();
    // Nothing to warn of, and only one's own issuer speaks for every tenant.
    assert_eq!(settings.warnings(), Vec::<String>::new());
    assert!(settings.issuers["login"].tenants.is_empty());
    let partners: Vec<&TenantId> = settings.issuers["partners"].tenants.values().collect();
    assert!(!partners.is_empty() && partners.iter().all(|id| settings.tenants.contains_key(*id)), "{partners:?}");
}

#[test]
fn the_production_example_misses_only_what_the_machine_has() {
    let mut case = Case::empty();
    case.file = Some(repository("config/production.toml"));
    let findings = case.load().unwrap_err();
    let keys: Vec<&str> = findings.iter().map(|finding| finding.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "server.admin_token_file",
            "server.proxy_secret_file",
            "influxdb.token_file",
            "issuers.partners.public_key_file"
        ]
    );
    assert!(findings.iter().all(|finding| finding.message.contains("cannot be read")));
}

#[test]
fn the_reference_says_what_the_schema_says() {
    let path = repository("docs/settings.md");
    let wanted = reference::markdown();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &wanted).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == wanted,
        "docs/settings.md is behind the schema; UPDATE_DOCS=1 cargo test --lib config:: writes it anew"
    );
}

#[test]
fn every_key_stands_in_the_reference_once_and_has_a_meaning() {
    let keys: std::collections::BTreeSet<&str> = ROWS.iter().map(|row| row.key).collect();
    assert_eq!(keys.len(), ROWS.len(), "a key has two rows");
    for row in ROWS {
        assert!(row.doc.ends_with('.') || row.doc.ends_with('`'), "{}: {}", row.key, row.doc);
    }
    // What names a file for a secret exists.
    for row in ROWS {
        if let Kind::Secret { file_key, .. } = row.kind {
            let file = format!("{}.{file_key}", row.key.rsplit_once('.').unwrap().0);
            assert!(keys.contains(file.as_str()), "{file}");
        }
    }
}

#[test]
fn an_id_of_the_example_keeps_its_case() {
    assert!(production().good().tenants.contains_key(&TenantId::parse("Initech").unwrap()));
}
