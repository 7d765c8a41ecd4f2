//! `[measurements.NAME]`

use super::super::catalog::{Bounds, Catalog, FieldRule, FieldType, Measurement};
use super::super::finding::Findings;
use super::super::section::Section;
use super::super::values;

/// The measurements of all layers.
pub(super) fn catalog(root: &Section<'_>, findings: &mut Findings) -> Catalog {
    let measurements = root.named("measurements").into_iter();
    Catalog { measurements: measurements.map(|(name, section)| (name, measurement(&section, findings))).collect() }
}

fn measurement(section: &Section<'_>, findings: &mut Findings) -> Measurement {
    let needs = section.texts("needs");
    for (i, name) in needs.iter().enumerate() {
        if let Err(message) = values::needed_name(name) {
            findings.add(section.item_place("needs", i), section.key("needs"), message);
        }
    }
    // What a caller must send as a tag it may send.
    let mut tags: Vec<String> = section.texts("tags").into_iter().map(str::to_owned).collect();
    tags.extend(needs.iter().filter(|name| !values::MEMBERS.contains(name)).map(|name| (*name).to_owned()));
    tags.sort();
    tags.dedup();
    let fields = section.named("fields").into_iter();
    let fields = fields.map(|(name, field)| {
        if tags.contains(&name) {
            let message = "it is a tag of this measurement too, and InfluxDB cannot tell the two apart; choose another name for one of them";
            findings.add(field.own_place(), field.own_key(), message);
        }
        let rule = rule(&field, findings);
        (name, rule)
    });
    let fields = fields.collect();
    Measurement {
        needs: needs.into_iter().map(str::to_owned).collect(),
        fields,
        other_fields: section.flag("other_fields").unwrap_or(true),
        tags,
    }
}

fn rule(field: &Section<'_>, findings: &mut Findings) -> FieldRule {
    let kind = if field.text("type") == Some("int") { FieldType::Int } else { FieldType::Float };
    let (min, max) = (field.number("min"), field.number("max"));
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        let key = super::later_of(field, "min", "max");
        field.wrong(
            findings,
            key,
            format!("min {min} is greater than max {max}, so no value would be taken; exchange them"),
        );
    }
    let bounds =
        (min.is_some() || max.is_some()).then(|| Bounds { min: min.unwrap_or(f64::MIN), max: max.unwrap_or(f64::MAX) });
    FieldRule { kind, bounds }
}
