//! The field types in force, kept beside the spool.
//!
//! InfluxDB refuses the points of a field whose type differs from the stored one, for all tenants. So a type that was once in force may not change: a
//! start with a catalog that would change one is refused, with the field's name.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::state_file;
use crate::config::{Catalog, FieldType};

const FILE: &str = "field-types.json";

/// Compares the catalog with what was in force before, and keeps the union.
///
/// # Errors
/// A type that would change, or a folder that cannot be written; what, where, and what to do.
pub(super) fn hold(dir: &Path, catalog: &Catalog) -> Result<(), String> {
    fs::create_dir_all(dir).map_err(|e| {
        format!("spool.dir {} cannot be made: {e}; create it for this user, or choose another folder", dir.display())
    })?;
    let path = dir.join(FILE);
    let before = read(&path)?;
    let mut held = before.clone().unwrap_or_default();
    let mut changed = no_longer_int(&held, catalog);
    for (measurement, rules) in &catalog.measurements {
        for (field, rule) in &rules.fields {
            let kind = name(rule.kind).to_owned();
            let key = format!("{measurement}.{field}");
            match held.insert(key.clone(), kind.clone()) {
                Some(before) if before != kind => changed.push(format!("{key} was {before} and would be {kind}")),
                _ => {}
            }
        }
    }
    if !changed.is_empty() {
        return Err(format!(
            "the catalog changes the type of a field that is in force: {}. InfluxDB would refuse every point of it. Keep the type and \
             choose a new field name; if the bucket is new, remove {}",
            changed.join("; "),
            path.display()
        ));
    }
    // A start on a full disk must come up, or nothing would make room: what stands there already is not written again.
    if before.as_ref() == Some(&held) {
        return Ok(());
    }
    state_file::replace(dir, FILE, &held)
        .map_err(|e| format!("{} cannot be written: {e}; make spool.dir writable for this user", path.display()))
}

/// Fields that were `int` by the catalog, and would be taken as one of the other fields, which are floats.
fn no_longer_int(held: &BTreeMap<String, String>, catalog: &Catalog) -> Vec<String> {
    let int = name(FieldType::Int);
    let becomes_float = |key: &str| {
        let rules = key.split_once('.').and_then(|(measurement, field)| Some((catalog.get(measurement)?, field)));
        rules.is_some_and(|(rules, field)| rules.other_fields && !rules.fields.contains_key(field))
    };
    let gone = held.iter().filter(|(key, kind)| *kind == int && becomes_float(key));
    gone.map(|(key, _)| format!("{key} was int and would be float, as every field that the catalog does not list"))
        .collect()
}

/// What was in force before; `None` at the first start.
fn read(path: &Path) -> Result<Option<BTreeMap<String, String>>, String> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(format!("{} cannot be read: {e}", path.display())),
    };
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|e| format!("{} is damaged: {e}; restore it, or remove it if the bucket is new", path.display()))
}

fn name(kind: FieldType) -> &'static str {
    match kind {
        FieldType::Int => "int",
        FieldType::Float => "float",
    }
}
