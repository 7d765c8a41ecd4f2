//! The layers that environment variables make: `TAGLINE__SECTION__KEY`, and the `INFLUXDB_…` variables above them.

use super::finding::{Findings, Place};
use super::schema::{self, Kind, Known};
use super::tree::{Layer, Node, Places, Value};

const PREFIX: &str = "TAGLINE__";

/// The variables that alone switch from files to InfluxDB, and the keys that they set.
pub(crate) const INFLUXDB: [(&str, &str); 5] = [
    ("INFLUXDB_URL", "url"),
    ("INFLUXDB_ORG", "org"),
    ("INFLUXDB_TOKEN", "token"),
    ("INFLUXDB_BUCKET", "bucket"),
    ("INFLUXDB_READ_TOKEN", "read_token"),
];

/// One layer for each variable, lowest first. A name that the operator chose is lower case in a variable, unless the layers below know
/// it in another case.
pub(crate) fn layers(env: &[(String, String)], below: &Places, findings: &mut Findings) -> Vec<Layer> {
    let mut ours: Vec<_> = env.iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
    ours.sort();
    let mut layers: Vec<Layer> = ours.into_iter().filter_map(|(name, text)| own(name, text, below, findings)).collect();
    for (name, key) in INFLUXDB {
        if let Some((_, text)) = env.iter().find(|(known, _)| known == name) {
            let path = ["influxdb".to_owned(), key.to_owned()];
            layers.push(Layer::of_one(&Place::Variable(name.into()), &path, Value::Text(text.clone())));
        }
    }
    layers
}

fn own(name: &str, text: &str, below: &Places, findings: &mut Findings) -> Option<Layer> {
    let place = Place::Variable(name.to_owned());
    let mut path: Vec<String> = Vec::new();
    for segment in name[PREFIX.len()..].split("__") {
        let lower = segment.to_ascii_lowercase();
        let segment = match schema::find(&path) {
            Some(Known::Names) => below.known_name(&path, segment).map_or(lower, str::to_owned),
            _ => lower,
        };
        path.push(segment);
    }
    let value = match schema::find(&path) {
        Some(Known::Value(row)) => value(row.kind, text, &place),
        // Unknown keys and tables are told by the check of the layer; an empty segment would be told as the name of a thing.
        _ if path.iter().any(String::is_empty) => {
            findings.add(place, path.join("."), "an empty part of a name; write TAGLINE__SECTION__KEY");
            return None;
        }
        _ => Value::Text(text.to_owned()),
    };
    Some(Layer::of_one(&place, &path, value))
}

/// Reads a variable's text as the kind that its key takes. What does not fit stays a text, and the check says what is wrong.
fn value(kind: Kind, text: &str, place: &Place) -> Value {
    let as_text = || Value::Text(text.to_owned());
    let trimmed = text.trim();
    match kind {
        Kind::Bool => trimmed.parse().map_or_else(|_| as_text(), Value::Bool),
        Kind::Int(..) => trimmed.parse().map_or_else(|_| as_text(), Value::Int),
        Kind::Replicas => trimmed.parse().map_or_else(|_| as_text(), Value::Int),
        Kind::DryRun if trimmed.parse::<bool>().is_ok() => Value::Bool(trimmed == "true"),
        Kind::Number(..) => trimmed.parse().map_or_else(|_| as_text(), Value::Float),
        kind if kind.is_list() || matches!(kind, Kind::DryRun) => {
            let items = trimmed.split(',').map(str::trim).filter(|item| !item.is_empty());
            Value::Array(items.map(|item| Node { place: place.clone(), value: Value::Text(item.to_owned()) }).collect())
        }
        _ => as_text(),
    }
}
