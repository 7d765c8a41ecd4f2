//! Grafana's JSON (the model of dashboards that all versions since 11 read), and the files that provision it.

use serde_json::{Value, json};

use super::flux::{self, ALL_PATTERN, Dialect};
use super::source::{Column, Dashboard, First, Link, Panel, Picture, Sources, Style, Unit, Variable, VariableKind};
use super::{DATA_SOURCE, Fault, Place};

/// How Grafana finds the data source and the dashboards; below its folder `provisioning`.
pub(super) const PROVISIONING: [(&str, &str); 2] = [
    ("datasources/tagline.yaml", include_str!("../../../grafana/provisioning/datasources/tagline.yaml")),
    ("dashboards/tagline.yaml", include_str!("../../../grafana/provisioning/dashboards/tagline.yaml")),
];

/// The model's version: Grafana's migrations begin here. 39 is Grafana 11's.
const SCHEMA_VERSION: u32 = 39;

/// A query may give this many rows: beyond one and a half times as many Grafana refuses it.
const ROWS: u32 = 10_000;

/// A dashboard.
pub(super) fn dashboard(sources: &Sources, dashboard: &Dashboard, place: &Place) -> Result<Value, Fault> {
    let mut panels = Vec::new();
    let mut top = 0;
    for row in &dashboard.row {
        panels.push(json!({
            "type": "row",
            "title": row.title,
            "collapsed": false,
            "gridPos": { "x": 0, "y": top, "w": 24, "h": 1 },
            "panels": [],
        }));
        top += 1;
        let (mut left, mut height) = (0, 0);
        for panel in &row.panel {
            let [w, h] = panel.size;
            if left + w > 24 {
                (top, left, height) = (top + height, 0, 0);
            }
            let mut made = self::panel(sources, dashboard, panel, place)?;
            made["gridPos"] = json!({ "x": left, "y": top, "w": w, "h": h });
            panels.push(made);
            (left, height) = (left + w, height.max(h));
        }
        top += height;
    }
    for (panel, id) in panels.iter_mut().zip(1..) {
        panel["id"] = Value::from(id);
    }
    let mut variables = vec![json!({
        "type": "datasource",
        "name": "datasource",
        "label": "Data source",
        "description": "An InfluxDB that is asked in Flux.",
        "query": "influxdb",
        "current": { "selected": true, "text": "Tagline", "value": DATA_SOURCE },
        "hide": 0,
        "multi": false,
        "includeAll": false,
        "options": [],
        "refresh": 1,
        "regex": "",
    })];
    for name in &dashboard.variables {
        variables.push(variable(sources, name, sources.variable(&dashboard.file, name)?, place)?);
    }
    Ok(json!({
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.says.trim(),
        "tags": ["tagline"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": true,
        "graphTooltip": 1,
        "timezone": "browser",
        "time": { "from": format!("now-{}", dashboard.range), "to": "now" },
        "refresh": dashboard.refresh.clone().unwrap_or_default(),
        "links": [{
            "type": "dashboards",
            "title": "Tagline",
            "tags": ["tagline"],
            "asDropdown": true,
            "includeVars": true,
            "keepTime": true,
            "targetBlank": false,
            "icon": "external link",
            "tooltip": "The other dashboards, for the same choice and time",
            "url": "",
        }],
        "annotations": { "list": [] },
        "templating": { "list": variables },
        "panels": panels,
    }))
}

fn data_source() -> Value {
    json!({ "type": "influxdb", "uid": "${datasource}" })
}

/// Something to choose.
fn variable(sources: &Sources, name: &str, variable: &Variable, place: &Place) -> Result<Value, Fault> {
    let fixed = |kind: &str, text: &str, hide: u32| {
        json!({
            "type": kind,
            "name": name,
            "label": variable.label,
            "description": variable.says,
            "query": text,
            "current": { "selected": true, "text": text, "value": text },
            "options": [{ "selected": true, "text": text, "value": text }],
            "hide": hide,
        })
    };
    Ok(match variable.kind {
        VariableKind::Bucket => {
            let options = place.buckets.iter().enumerate();
            let options = options.map(|(at, name)| json!({ "selected": at == 0, "text": name, "value": name }));
            let first = place.buckets.first().map_or("", String::as_str);
            json!({
                "type": "custom",
                "name": name,
                "label": variable.label,
                "description": variable.says,
                "query": place.buckets.join(","),
                "current": { "selected": true, "text": first, "value": first },
                "options": options.collect::<Vec<_>>(),
                "hide": 0,
                "multi": false,
                "includeAll": false,
                "allowCustomValue": true,
            })
        }
        // It follows from the settings, and nobody has two: an address can still say another.
        VariableKind::RollupBucket => fixed("textbox", &place.rollup_bucket, 2),
        VariableKind::TraceUrl => fixed("textbox", place.around_trace_id().0, 0),
        VariableKind::Text => fixed("textbox", "", 0),
        VariableKind::Query => {
            let query = flux::variable(sources, name, Dialect::Grafana)?;
            let mut made = json!({
                "type": "query",
                "name": name,
                "label": variable.label,
                "description": variable.says,
                "datasource": data_source(),
                "query": query,
                // Whenever the range of time changes: who was not there in it is no choice.
                "refresh": 2,
                "sort": 0,
                "regex": "",
                "hide": 0,
                "multi": false,
                "includeAll": variable.all,
                "allowCustomValue": true,
                "options": [],
            });
            if variable.all {
                made["allValue"] = Value::from(ALL_PATTERN);
                made["current"] = json!({ "selected": true, "text": "All", "value": "$__all" });
            }
            debug_assert!(matches!(variable.first, None | Some(First::Last)));
            made
        }
    })
}

/// A panel, without its place and number.
fn panel(sources: &Sources, dashboard: &Dashboard, panel: &Panel, place: &Place) -> Result<Value, Fault> {
    let query = flux::panel(sources, dashboard, panel, Dialect::Grafana)?;
    let overrides = panel.column.iter().map(|column| column_override(sources, dashboard, panel, column, place));
    let mut made = json!({
        "title": panel.question,
        "description": panel.says.trim(),
        "datasource": data_source(),
        "targets": [{ "refId": "A", "datasource": data_source(), "query": query }],
        "fieldConfig": {
            "defaults": { "custom": {} },
            "overrides": overrides.collect::<Result<Vec<_>, _>>()?,
        },
    });
    match panel.picture {
        Picture::Lines => lines(panel, &mut made),
        Picture::Table => {
            made["type"] = "table".into();
            made["maxDataPoints"] = ROWS.into();
            made["options"] =
                json!({ "showHeader": true, "cellHeight": "sm", "frameIndex": 0, "enablePagination": true });
            made["fieldConfig"]["defaults"]["custom"] =
                json!({ "align": "auto", "cellOptions": { "type": "auto" }, "inspect": false, "filterable": true });
        }
        Picture::Stat => {
            made["type"] = "stat".into();
            made["maxDataPoints"] = ROWS.into();
            made["options"] = json!({
                "colorMode": "value",
                "graphMode": "none",
                "justifyMode": "auto",
                "orientation": "auto",
                "percentChangeColorMode": "standard",
                "reduceOptions": { "calcs": ["lastNotNull"], "fields": "", "values": false },
                "showPercentChange": false,
                "textMode": "value_and_name",
                "wideLayout": true,
            });
        }
    }
    Ok(made)
}

/// What is particular to pictures over time.
fn lines(panel: &Panel, made: &mut Value) {
    let (draw, fill, width, points, stacking) = match panel.style {
        Style::Line => ("line", 5, 2, "auto", "none"),
        Style::Bars => ("bars", 60, 0, "never", "none"),
        Style::Stacked => ("bars", 60, 0, "never", "normal"),
        Style::Points => ("points", 0, 0, "always", "none"),
    };
    made["type"] = "timeseries".into();
    made["interval"] = panel.least.clone().into();
    made["options"] = json!({
        "legend": { "calcs": ["lastNotNull", "max"], "displayMode": "table", "placement": "bottom", "showLegend": true },
        "tooltip": { "mode": "multi", "sort": "desc" },
    });
    let defaults = &mut made["fieldConfig"]["defaults"];
    // One unit, one axis: the columns of a picture are told by their names, and by their label where they have one.
    let unit = panel.column.first().map_or(Unit::None, |column| column.unit);
    defaults["unit"] = unit_name(unit).unwrap_or("none").into();
    defaults["color"] = json!({ "mode": "palette-classic" });
    defaults["custom"] = json!({
        "drawStyle": draw,
        "lineInterpolation": "linear",
        "lineWidth": width,
        "fillOpacity": fill,
        "pointSize": 5,
        "showPoints": points,
        // A window without events is no line, and neither a zero.
        "spanNulls": false,
        "stacking": { "mode": stacking, "group": "A" },
        "axisPlacement": "auto",
        "axisLabel": "",
        "axisSoftMin": 0,
    });
    if let Some(bounds) = panel.column.iter().find_map(|column| column.bounds) {
        defaults["thresholds"] = thresholds(bounds);
        defaults["custom"]["thresholdsStyle"] = json!({ "mode": "dashed" });
    }
}

/// What is particular to one column.
fn column_override(
    sources: &Sources,
    dashboard: &Dashboard,
    panel: &Panel,
    column: &Column,
    place: &Place,
) -> Result<Value, Fault> {
    let mut properties = Vec::new();
    let mut set = |id: &str, value: Value| properties.push(json!({ "id": id, "value": value }));
    let name = match &panel.by {
        Some(by) if panel.column.len() > 1 => format!("${{__field.labels.{by}}} {}", column.title),
        Some(by) => format!("${{__field.labels.{by}}}"),
        None => column.title.clone(),
    };
    set("displayName", name.into());
    // A text that looks like a number stays a text only where no unit is set.
    if let Some(unit) = unit_name(column.unit) {
        set("unit", unit.into());
    }
    if let Some(decimals) = decimals(column.unit) {
        set("decimals", decimals.into());
    }
    if panel.picture != Picture::Lines {
        if let Some(bounds) = column.bounds {
            set("thresholds", thresholds(bounds));
            set("color", json!({ "mode": "thresholds" }));
        }
        if panel.picture == Picture::Table {
            if column.bar {
                set("custom.cellOptions", json!({ "type": "gauge", "mode": "basic", "valueDisplayMode": "text" }));
                set("min", 0.into());
                set("max", 1.into());
            } else if column.bounds.is_some() {
                set("custom.cellOptions", json!({ "type": "color-text" }));
            }
            if let Some(width) = column.width {
                set("custom.width", width.into());
            }
        }
    }
    if !column.link.is_empty() {
        let links = column.link.iter().map(|link| self::link(sources, dashboard, column, link, place));
        set("links", Value::Array(links.collect::<Result<_, _>>()?));
    }
    Ok(json!({ "matcher": { "id": "byName", "options": column.name }, "properties": properties }))
}

/// A way from a value.
fn link(sources: &Sources, dashboard: &Dashboard, column: &Column, link: &Link, place: &Place) -> Result<Value, Fault> {
    if link.to == "trace" {
        // An id is hexadecimal digits, which need no escaping; what stands before it must have none.
        let behind = place.around_trace_id().1;
        let url = format!("${{trace_url:raw}}${{__value.raw}}{behind}");
        return Ok(json!({ "title": link.title, "url": url, "targetBlank": true }));
    }
    let target = sources.dashboard(&dashboard.file, &link.to)?;
    let mut url = format!("/d/{}?${{__url_time_range}}&var-datasource=${{datasource:percentencode}}", target.uid);
    for name in &target.variables {
        let value = match link.with.get(name) {
            Some(other) => match other.strip_prefix('$') {
                Some(variable) => format!("var-{name}=${{{variable}:percentencode}}"),
                // The value itself, and not what its cell shows.
                None if *other == column.name => format!("var-{name}=${{__value.raw:percentencode}}"),
                None => format!("var-{name}=${{__data.fields.{other}:percentencode}}"),
            },
            // What both have in common goes along, "all" too.
            None if dashboard.variables.contains(name) => format!("${{{name}:queryparam}}"),
            None => continue,
        };
        url.push('&');
        url.push_str(&value);
    }
    Ok(json!({ "title": link.title, "url": url, "targetBlank": false }))
}

/// Yellow from the first on and red from the second, or below them where the second is the smaller.
fn thresholds([first, second]: [f64; 2]) -> Value {
    let steps = if first <= second {
        json!([{ "color": "green", "value": null }, { "color": "yellow", "value": first }, { "color": "red", "value": second }])
    } else {
        json!([{ "color": "red", "value": null }, { "color": "yellow", "value": second }, { "color": "green", "value": first }])
    };
    json!({ "mode": "absolute", "steps": steps })
}

fn unit_name(unit: Unit) -> Option<&'static str> {
    match unit {
        Unit::None => None,
        Unit::Count => Some("short"),
        Unit::Ms => Some("ms"),
        Unit::Seconds => Some("s"),
        Unit::Bytes => Some("bytes"),
        Unit::Share => Some("percentunit"),
        Unit::Rate => Some("cps"),
    }
}

fn decimals(unit: Unit) -> Option<u32> {
    match unit {
        Unit::Ms => Some(0),
        Unit::Share => Some(1),
        _ => None,
    }
}
