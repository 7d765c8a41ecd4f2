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

/// The types with a catalog's among them: compared, and not written yet.
#[must_use]
pub(super) struct Held<'d> {
    dir: &'d Path,
    before: Option<BTreeMap<String, String>>,
    types: BTreeMap<String, String>,
    /// Fields that are `int` from now on, of measurements that were in force and take other fields, as floats. One that was sent before has a type in
    /// the bucket already, and nobody here remembers the names of what clients sent.
    pub(super) doubtful: Vec<String>,
}

/// Compares the catalog with what was in force before, and keeps the union.
///
/// # Errors
/// A type that would change, or a folder that cannot be written; what, where, and what to do.
pub(super) fn hold(dir: &Path, catalog: &Catalog) -> Result<(), String> {
    compare(dir, catalog)?.keep()
}

/// Compares the catalog with what was in force before.
///
/// # Errors
/// A type that would change, or what was in force cannot be read.
pub(super) fn compare<'d>(dir: &'d Path, catalog: &Catalog) -> Result<Held<'d>, String> {
    fs::create_dir_all(dir).map_err(|e| {
        format!("spool.dir {} cannot be made: {e}; create it for this user, or choose another folder", dir.display())
    })?;
    let path = dir.join(FILE);
    let before = read(&path)?;
    let mut held = before.clone().unwrap_or_default();
    let mut doubtful = Vec::new();
    let mut changed = no_longer_int(&held, catalog);
    for (measurement, rules) in &catalog.measurements {
        for (field, rule) in &rules.fields {
            let kind = name(rule.kind).to_owned();
            let key = format!("{measurement}.{field}");
            match held.insert(key.clone(), kind.clone()) {
                Some(before) if before != kind => changed.push(format!("{key} was {before} and would be {kind}")),
                None if rule.kind == FieldType::Int
                    && rules.other_fields
                    && was_in_force(before.as_ref(), measurement) =>
                {
                    doubtful.push(key);
                }
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
    Ok(Held { dir, before, types: held, doubtful })
}

impl Held<'_> {
    /// Writes them down: from now on they are in force.
    ///
    /// # Errors
    /// The folder cannot be written; where, and what to do.
    pub(super) fn keep(self) -> Result<(), String> {
        // A start on a full disk must come up, or nothing would make room: what stands there already is not written again.
        if self.before.as_ref() == Some(&self.types) {
            return Ok(());
        }
        if !self.doubtful.is_empty() {
            tracing::warn!(
                "{} of the catalog are int now; where clients sent them before, InfluxDB has them as float and will refuse the points: look at \
                 /admin/dead-letters, and choose new names then",
                self.doubtful.join(", ")
            );
        }
        state_file::replace(self.dir, FILE, &self.types).map_err(|e| {
            format!("{} cannot be written: {e}; make spool.dir writable for this user", self.dir.join(FILE).display())
        })
    }
}

/// Whether a measurement had a field in the catalog before.
fn was_in_force(before: Option<&BTreeMap<String, String>>, measurement: &str) -> bool {
    let known = |key: &String| key.split_once('.').is_some_and(|(known, _)| known == measurement);
    before.is_some_and(|before| before.keys().any(known))
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
