//! The catalog of measurements: which exist, what they need, and the type of every field, once for all.

use std::collections::BTreeMap;

/// A field's type in InfluxDB. It never changes once a bucket holds the field: InfluxDB refuses the points of the other type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FieldType {
    /// A 64-bit integer; a fractional value is rounded to the nearest (half away from zero).
    Int,
    /// A 64-bit float.
    Float,
}

/// Inclusive bounds of a field's value.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Bounds {
    /// Smallest value taken.
    pub min: f64,
    /// Largest value taken.
    pub max: f64,
}

/// What the catalog says of one field.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct FieldRule {
    /// Its type.
    pub kind: FieldType,
    /// Its bounds, if any.
    pub bounds: Option<Bounds>,
}

/// What the catalog says of one measurement.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Measurement {
    /// Members or tags without which an event is rejected (`view_name`, `action_name`, or a free tag such as `endpoint`).
    pub needs: Vec<String>,
    /// Free tags that a caller may set, sorted. Others are left out and counted.
    pub tags: Vec<String>,
    /// The fields with a rule, by name. A metric without one becomes a float when `open` says so.
    pub fields: BTreeMap<String, FieldRule>,
    /// Whether metrics without a rule are taken, as floats (`other_fields = true`, the default).
    pub other_fields: bool,
}

/// All measurements, by name.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Catalog {
    /// By name.
    pub measurements: BTreeMap<String, Measurement>,
}

impl Catalog {
    /// The rules of a measurement, if it is known.
    pub fn get(&self, name: &str) -> Option<&Measurement> {
        self.measurements.get(name)
    }
}
