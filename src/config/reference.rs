//! The settings reference, generated from the schema: `docs/settings.md`. A test holds the file to this output.

use std::fmt::Write;

use super::check::check;
use super::finding::Findings;
use super::schema::{self, Known, ROWS, Row};
use super::sources::DEFAULT;
use super::tree::{Layer, Node, Places, Value};

const HEAD: &str = "\
<!-- Generated from the schema in src/config/schema/rows.rs; `UPDATE_DOCS=1 cargo test --lib config::` writes it anew. -->

# Settings

`tagline check --config FILE` tells every mistake of a configuration at once, each with its file and line.

## Layers

Each lies above the one before it:

1. the compiled-in default, [`config/default.toml`](../config/default.toml);
2. `--config FILE`, or the file that the variable `TAGLINE_CONFIG` names;
3. the file that its `tenants_file` names;
4. variables `TAGLINE__SECTION__KEY`, such as `TAGLINE__SERVER__LISTEN=0.0.0.0:8080`;
5. `INFLUXDB_URL`, `INFLUXDB_ORG`, `INFLUXDB_TOKEN`, `INFLUXDB_BUCKET` and `INFLUXDB_READ_TOKEN`: the first three alone switch from files to InfluxDB.

Layers merge by name, key by key: a measurement of your own stands beside the default ones. A list replaces the whole list below it.

- **Names in variables** are lower case (`TAGLINE__TENANTS__ACME__DISABLED=true` is `tenants.acme.disabled`), unless a file names the thing
  in another case: with `[tenants.Acme]` in a file the same variable means `tenants.Acme`. In files names keep their case.
- **Lists in variables** are parted by commas: `TAGLINE__SERVER__TRUSTED_PROXIES=10.0.0.0/8,192.168.0.7`.
- Two underscores stand between the parts, so that the variables which Kubernetes sets for a Service named `tagline` (`TAGLINE_PORT`) mean nothing here.
- **Secrets** stand in a variable or in a file of their own (`…_file`), never in TOML. Write keys are publishable and may.
- **Relative file names** start from the folder of the file in which they stand; from a variable, and `spool.dir`, from the working directory.
- **Sizes** are `\"512KiB\"`, `\"1MiB\"`, `\"1MB\"`, or a number of bytes; **durations** have a unit: `\"5s\"`, `\"1m 30s\"`, `\"30d\"`.

With no file, and no tenant or issuer in any layer, the gateway starts in the *dev profile*: loopback only, a tenant `demo` with a random write key.
Files are read again when they change, and at SIGHUP; what takes a restart stands in [operations.md](operations.md#changing-settings-while-it-runs).

## Keys

`NAME` and `ID` stand for what you choose. An empty default means that nothing is set.
";

/// The reference as Markdown.
pub fn markdown() -> String {
    let defaults = defaults();
    let mut out = String::from(HEAD);
    let mut section = None;
    for row in ROWS {
        let (table, key) = split(row.key);
        if section.as_ref() != Some(&table) {
            let title = if table.is_empty() { "Above all tables".to_owned() } else { format!("`[{table}]`") };
            let _ = write!(out, "\n### {title}\n\n| key | value | default | meaning |\n|---|---|---|---|\n");
            section = Some(table);
        }
        let default = defaults.as_ref().and_then(|root| written(root, row)).unwrap_or_else(|| row.default.to_owned());
        let cells = [format!("`{key}`"), row.kind.name(), default, row.doc.to_owned()];
        let _ = writeln!(out, "| {} |", cells.map(|cell| cell.replace('|', "\\|")).join(" | "));
    }
    out.push_str("\n## The default catalog\n\n| measurement | needs | free tags | fields |\n|---|---|---|---|\n");
    if let Some(Value::Table(measurements)) =
        defaults.as_ref().and_then(|root| child(root, "measurements")).map(|node| &node.value)
    {
        for (name, measurement) in measurements {
            let _ = writeln!(
                out,
                "| `{name}` | {} | {} | {} |",
                listed(measurement, "needs"),
                listed(measurement, "tags"),
                fields(measurement)
            );
        }
    }
    out
}

/// The default layer, as it stands after its check.
fn defaults() -> Option<Node> {
    let mut findings = Findings::default();
    let mut layer = Layer::built_in(DEFAULT, &mut findings)?;
    check(&mut layer, &mut Places::default(), &mut findings);
    Some(layer.root)
}

/// A row's table and its key, with names for the `*`.
fn split(pattern: &'static str) -> (String, String) {
    let (table, key) = pattern.rsplit_once('.').unwrap_or(("", pattern));
    let named = table.replacen("tenants.*", "tenants.ID", 1).replace('*', "NAME");
    (named, key.replace('*', "NAME"))
}

fn child<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    match &node.value {
        Value::Table(entries) => entries.get(key),
        _ => None,
    }
}

/// What the default layer says of a row.
fn written(root: &Node, row: &Row) -> Option<String> {
    let path: Vec<String> = row.key.split('.').map(str::to_owned).collect();
    debug_assert!(matches!(schema::find(&path), Some(Known::Value(_))));
    let node = path.iter().try_fold(root, |node, key| child(node, key))?;
    Some(format!("`{}`", shown(&node.value)))
}

fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) | Value::Time(text) => format!("{text:?}"),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(|item| shown(&item.value)).collect::<Vec<_>>().join(", "))
        }
        Value::Table(_) => "{ … }".into(),
    }
}

fn listed(measurement: &Node, key: &str) -> String {
    match child(measurement, key).map(|node| &node.value) {
        Some(Value::Array(items)) => {
            let text = |item: &Node| match &item.value {
                Value::Text(text) => format!("`{text}`"),
                value => shown(value),
            };
            items.iter().map(text).collect::<Vec<_>>().join(", ")
        }
        _ => String::new(),
    }
}

fn fields(measurement: &Node) -> String {
    let mut all = Vec::new();
    if let Some(Value::Table(fields)) = child(measurement, "fields").map(|node| &node.value) {
        for (name, rule) in fields {
            let part = |key| child(rule, key).map(|node| shown(&node.value).replace('"', ""));
            let kind = part("type").unwrap_or_else(|| "float".into());
            let bounds = match (part("min"), part("max")) {
                (Some(min), Some(max)) => format!(", {min} to {max}"),
                (Some(min), None) => format!(", from {min}"),
                (None, Some(max)) => format!(", up to {max}"),
                (None, None) => String::new(),
            };
            all.push(format!("`{name}` {kind}{bounds}"));
        }
    }
    let others = !matches!(child(measurement, "other_fields").map(|node| &node.value), Some(Value::Bool(false)));
    if others {
        all.push("others as float".into());
    }
    all.join("; ")
}
