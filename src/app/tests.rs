use std::collections::BTreeMap;

use super::field_types::hold;
use crate::config::{Catalog, FieldRule, FieldType, Measurement};

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
fn a_damaged_file_of_field_types_is_named() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("field-types.json"), "{").unwrap();
    let refused = hold(dir.path(), &catalog(FieldType::Int)).unwrap_err();
    assert!(refused.contains("field-types.json is damaged"), "{refused}");
}
