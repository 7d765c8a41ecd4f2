//! A template of InfluxDB's: the same dashboards and variables, for its own pages.
//!
//! These have no links from a value and no field to type into; what a panel says is its note, behind the (i) of its cell.

use serde_json::{Value, json};

use super::flux::{self, Dialect};
use super::source::{Dashboard, Panel, Picture, Sources, Style, Unit, VariableKind};
use super::{Fault, Place};

const VERSION: &str = "influxdata.com/v2alpha1";

/// The label that all of it has.
const LABEL: &str = "tagline";

/// The colours of lines, from the first value to the last.
const COLORS: [&str; 3] = ["#31C0F6", "#A500A5", "#FF7E27"];

/// All of it.
pub(super) fn template(sources: &Sources, place: &Place) -> Result<Value, Fault> {
    let mut objects = vec![json!({
        "apiVersion": VERSION,
        "kind": "Label",
        "metadata": { "name": LABEL },
        "spec": { "name": LABEL, "color": "#326BBA", "description": "What Tagline brought" },
    })];
    for name in sources.variables.keys() {
        objects.extend(variable(sources, name, place)?);
    }
    for dashboard in &sources.dashboards {
        objects.push(self::dashboard(sources, dashboard)?);
    }
    Ok(Value::Array(objects))
}

/// A variable, if these pages have a use for it.
fn variable(sources: &Sources, name: &str, place: &Place) -> Result<Option<Value>, Fault> {
    let variable = sources.variable("variables", name)?;
    let own = Dialect::InfluxDb.name(name);
    let mut spec = json!({
        "name": own,
        "description": variable.says,
        "associations": [{ "kind": "Label", "name": LABEL }],
    });
    match variable.kind {
        VariableKind::TraceUrl => return Ok(None),
        VariableKind::Bucket => {
            spec["type"] = "constant".into();
            spec["values"] = place.buckets.clone().into();
        }
        VariableKind::RollupBucket => {
            spec["type"] = "constant".into();
            spec["values"] = json!([place.rollup_bucket]);
        }
        VariableKind::Query | VariableKind::Text => {
            spec["type"] = "query".into();
            spec["language"] = "flux".into();
            spec["query"] = flux::variable(sources, name, Dialect::InfluxDb)?.into();
        }
    }
    let metadata = json!({ "name": own.replace('_', "-") });
    Ok(Some(json!({ "apiVersion": VERSION, "kind": "Variable", "metadata": metadata, "spec": spec })))
}

fn dashboard(sources: &Sources, dashboard: &Dashboard) -> Result<Value, Fault> {
    let mut charts = Vec::new();
    let mut top = 0;
    for row in &dashboard.row {
        charts.push(json!({
            "kind": "Markdown",
            "name": row.title,
            "note": format!("## {}", row.title),
            "xPos": 0, "yPos": top, "width": 12, "height": 1,
        }));
        top += 1;
        let (mut left, mut height) = (0, 0);
        for panel in &row.panel {
            // 12 columns here, and rows nearly three times as high as Grafana's.
            let (w, h) = (panel.size[0].div_ceil(2), panel.size[1].div_ceil(3).max(2));
            if left + w > 12 {
                (top, left, height) = (top + height, 0, 0);
            }
            let mut made = chart(sources, dashboard, panel)?;
            for (key, value) in [("xPos", left), ("yPos", top), ("width", w), ("height", h)] {
                made[key] = value.into();
            }
            charts.push(made);
            (left, height) = (left + w, height.max(h));
        }
        top += height;
    }
    Ok(json!({
        "apiVersion": VERSION,
        "kind": "Dashboard",
        "metadata": { "name": dashboard.uid },
        "spec": {
            "name": dashboard.title,
            "description": dashboard.says.trim(),
            "associations": [{ "kind": "Label", "name": LABEL }],
            "charts": charts,
        },
    }))
}

/// A cell, without its place.
fn chart(sources: &Sources, dashboard: &Dashboard, panel: &Panel) -> Result<Value, Fault> {
    let query = flux::panel(sources, dashboard, panel, Dialect::InfluxDb)?;
    let mut made = json!({
        "name": panel.question,
        "note": panel.says.trim(),
        "noteOnEmpty": true,
        "queries": [{ "query": query }],
    });
    match panel.picture {
        Picture::Lines => {
            let (geom, position) = match panel.style {
                Style::Line => ("line", "overlaid"),
                Style::Bars => ("bar", "overlaid"),
                Style::Stacked => ("bar", "stacked"),
                Style::Points => ("step", "overlaid"),
            };
            let unit = panel.column.first().map_or(Unit::None, |column| column.unit);
            made["kind"] = "Xy".into();
            made["geom"] = geom.into();
            made["position"] = position.into();
            made["hoverDimension"] = "auto".into();
            made["xCol"] = "_time".into();
            made["yCol"] = "_value".into();
            made["colors"] = COLORS
                .map(|hex| json!({ "id": "scale", "name": "Tagline", "type": "scale", "hex": hex }))
                .to_vec()
                .into();
            made["axes"] = json!([
                { "name": "x", "base": "10", "scale": "linear" },
                { "name": "y", "base": "10", "scale": "linear", "suffix": suffix(unit) },
            ]);
        }
        Picture::Table | Picture::Stat => {
            let fields = panel.column.iter().map(
                |column| json!({ "fieldName": column.name, "displayName": titled(&column.title, column.unit), "visible": true }),
            );
            made["kind"] = "Table".into();
            made["fieldOptions"] = fields.collect();
            made["decimalPlaces"] = 2.into();
            made["tableOptions"] = json!({ "verticalTimeAxis": true, "wrapping": "truncate", "fixFirstColumn": false });
            made["timeFormat"] = "YYYY-MM-DD HH:mm:ss".into();
            made["colors"] = json!([{ "id": "base", "name": "white", "type": "text", "hex": "#ffffff", "value": 0 }]);
        }
    }
    Ok(made)
}

/// A column's head: its cells have no unit of their own here.
fn titled(title: &str, unit: Unit) -> String {
    match suffix(unit).trim() {
        "" => title.to_owned(),
        unit => format!("{title} ({unit})"),
    }
}

fn suffix(unit: Unit) -> &'static str {
    match unit {
        Unit::None | Unit::Count => "",
        Unit::Share => " of 1",
        Unit::Ms => " ms",
        Unit::Seconds => " s",
        Unit::Bytes => " B",
        Unit::Rate => " /s",
    }
}
