//! What must be known at the next start, and what readiness says of the spool and of the issuers.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::field_types::{compare, hold};
use super::readiness::{Log, issuer_check};
use crate::auth::KeyHealth;
use crate::config::{Catalog, Durability, FieldRule, FieldType, Measurement, OnFull, SpoolSettings};
use crate::http::CheckStatus;
use crate::spool::{Health, Pending};

fn catalog(kind: FieldType) -> Catalog {
    let fields = BTreeMap::from([("duration_ms".to_owned(), FieldRule { kind, bounds: None })]);
    let measurement = Measurement { fields, ..Measurement::default() };
    Catalog { measurements: BTreeMap::from([("frontend_performance".to_owned(), measurement)]) }
}

#[test]
fn a_field_type_that_was_in_force_cannot_change() {
    let dir = tempfile::tempdir().unwrap();
    hold(dir.path(), &catalog(FieldType::Int)).unwrap();
    hold(dir.path(), &catalog(FieldType::Int)).unwrap();
    let refused = hold(dir.path(), &catalog(FieldType::Float)).unwrap_err();
    assert!(refused.contains("frontend_performance.duration_ms was int and would be float"), "{refused}");
    // Not listed any more, it would be written as a float.
    let mut open = catalog(FieldType::Int);
    let rules = open.measurements.get_mut("frontend_performance").unwrap();
    (rules.fields, rules.other_fields) = (BTreeMap::new(), true);
    assert!(hold(dir.path(), &open).unwrap_err().contains("duration_ms was int and would be float"));
    // A field that left the catalog keeps its type for when it comes back.
    hold(dir.path(), &Catalog::default()).unwrap();
    assert!(hold(dir.path(), &catalog(FieldType::Float)).is_err());
}

#[test]
fn types_that_were_only_compared_are_not_in_force() {
    let dir = tempfile::tempdir().unwrap();
    // A reload that is refused for another reason must leave no trace: else the mended one would be refused for this one.
    drop(compare(dir.path(), &catalog(FieldType::Int)).unwrap());
    hold(dir.path(), &catalog(FieldType::Float)).unwrap();
    assert!(compare(dir.path(), &catalog(FieldType::Int)).is_err());
    compare(dir.path(), &catalog(FieldType::Float)).unwrap().keep().unwrap();
}

#[test]
fn a_field_that_may_be_there_as_a_float_already_is_doubtful_when_it_becomes_an_int() {
    let dir = tempfile::tempdir().unwrap();
    let mut open = catalog(FieldType::Int);
    open.measurements.get_mut("frontend_performance").unwrap().other_fields = true;
    let doubtful = |catalog: &Catalog| compare(dir.path(), catalog).unwrap().doubtful;
    assert!(doubtful(&open).is_empty(), "nothing was in force");
    hold(dir.path(), &open).unwrap();
    let rules = open.measurements.get_mut("frontend_performance").unwrap();
    rules.fields.insert("paint_ms".to_owned(), FieldRule { kind: FieldType::Int, bounds: None });
    rules.fields.insert("ratio".to_owned(), FieldRule { kind: FieldType::Float, bounds: None });
    assert_eq!(doubtful(&open), ["frontend_performance.paint_ms"]);
    hold(dir.path(), &open).unwrap();
    assert!(doubtful(&open).is_empty(), "told once");
}

#[test]
fn a_damaged_file_of_field_types_is_named() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("field-types.json"), "{").unwrap();
    let refused = hold(dir.path(), &catalog(FieldType::Int)).unwrap_err();
    assert!(refused.contains("field-types.json is damaged"), "{refused}");
}

fn log(dir: &Path, durability: Durability, on_full: OnFull) -> Log {
    Log::of(&SpoolSettings {
        dir: dir.to_owned(),
        durability,
        max_bytes: 1_000,
        max_memory: 1_000,
        on_full,
        max_dead_letters: 0,
        default_share: 1.0,
    })
}

#[test]
fn the_spool_is_degraded_when_it_is_nearly_full_or_has_no_space_and_failed_only_when_its_disk_is() {
    let dir = Path::new("/spool");
    let log = |on_full| log(dir, Durability::Fsync, on_full);
    let pending = |bytes| Pending { bytes, limit: 1_000, ..Pending::default() };
    let cases = [
        (Health::default(), 899, OnFull::Reject, CheckStatus::Ok, &[][..]),
        (Health::default(), 900, OnFull::Reject, CheckStatus::Degraded, &["900 of 1000 bytes", "503"][..]),
        (Health::default(), 999, OnFull::DropOldest, CheckStatus::Degraded, &["lost_dropped_oldest"]),
        (
            Health { no_space: true, ..Health::default() },
            0,
            OnFull::Reject,
            CheckStatus::Degraded,
            &["the disk of /spool/log has no space left: ", "spool.max_bytes"],
        ),
        (
            Health {
                failed: Some("it cannot be written: EIO. Look at the disk".to_owned()),
                no_space: true,
                set_aside: Vec::new(),
            },
            0,
            OnFull::Reject,
            CheckStatus::Failed,
            &["it cannot be written: EIO. Look at the disk (/spool/log)"],
        ),
    ];
    // What has ended and cannot go yet fills the disk too.
    let gone = Pending { bytes: 10, disk: 950, limit: 1_000, ..Pending::default() };
    assert_eq!(log(OnFull::Reject).spool(&Health::default(), gone).status, CheckStatus::Degraded);
    for (health, bytes, on_full, status, parts) in cases {
        let check = log(on_full).spool(&health, pending(bytes));
        assert_eq!((check.name.as_str(), check.status), ("spool", status), "{check:?}");
        let detail = check.detail.unwrap_or_default();
        assert!(parts.iter().all(|part| detail.contains(part)) && detail.is_empty() == parts.is_empty(), "{detail}");
    }
}

#[test]
fn files_that_were_set_aside_are_named_with_what_to_do() {
    let log = log(Path::new("/spool"), Durability::Fsync, OnFull::Reject);
    assert!(log.set_aside(&Health::default()).is_none());
    let names = ["1.seg.set-aside", "2.seg.damaged-40"].map(str::to_owned).to_vec();
    let check = log.set_aside(&Health { set_aside: names, ..Health::default() }).unwrap();
    assert_eq!((check.name.as_str(), check.status), ("spool-set-aside", CheckStatus::Degraded));
    let detail = check.detail.unwrap();
    for part in ["1.seg.set-aside, 2.seg.damaged-40", "`tagline spool`", "`tagline replay /spool/log/1.seg.set-aside`"]
    {
        assert!(detail.contains(part), "{detail}");
    }
}

#[test]
fn a_gateway_in_memory_mode_says_that_it_does_not_deliver_an_earlier_log() {
    let dir = tempfile::tempdir().unwrap();
    let memory = log(dir.path(), Durability::Memory, OnFull::Reject);
    assert!(memory.left().is_none(), "there is no log");
    let folder = dir.path().join("log");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("cursor.a"), "").unwrap();
    assert!(memory.left().is_none(), "nothing waits in it");
    let segments = ["00000000000000000001.seg", "00000000000000000009.seg"].map(|name| folder.join(name));
    segments.iter().for_each(|path| std::fs::write(path, "").unwrap());
    let check = memory.left().unwrap();
    assert_eq!((check.name.as_str(), check.status), ("spool-log", CheckStatus::Degraded));
    let detail = check.detail.unwrap();
    assert!(detail.starts_with("2 files of an earlier run") && detail.contains("tagline replay"), "{detail}");
    assert!(log(dir.path(), Durability::Fsync, OnFull::Reject).left().is_none(), "it is its own log");
    segments.iter().for_each(|path| std::fs::remove_file(path).unwrap());
    assert!(memory.left().is_none(), "it is gone");
}

#[test]
fn an_issuer_is_degraded_without_keys_or_when_they_cannot_be_fetched_for_long_and_never_failed() {
    let health = |loaded, failing: Option<u64>| KeyHealth {
        url: "https://idp.example/keys".to_owned(),
        loaded,
        failing: failing.map(|seconds| (Duration::from_secs(seconds), "no connection: refused".to_owned())),
    };
    let rows = [
        (health(true, None), CheckStatus::Ok, &[][..]),
        (health(true, Some(299)), CheckStatus::Ok, &[]),
        (
            health(true, Some(7_200)),
            CheckStatus::Degraded,
            &["for 120 minutes", "no connection: refused", "stay in force"],
        ),
        (health(false, Some(1)), CheckStatus::Degraded, &["no connection: refused", "get 503"]),
        (health(false, None), CheckStatus::Degraded, &["just fetched", "get 503"]),
    ];
    for (health, status, parts) in rows {
        let check = issuer_check("idp", &health);
        assert_eq!((check.name.as_str(), check.status), ("issuer:idp", status), "{check:?}");
        let detail = check.detail.unwrap_or_default();
        assert_eq!(detail.contains("https://idp.example/keys"), status == CheckStatus::Degraded);
        assert!(parts.iter().all(|part| detail.contains(part)), "{detail}");
    }
}
