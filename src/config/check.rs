//! Holds one layer against the schema: unknown keys, wrong kinds, values that cannot be read. What is refused is taken out of the
//! layer, so that whatever is merged and built afterwards is readable.

use super::finding::{Findings, Place};
use super::schema::{self, Kind, Known, Row};
use super::tree::{Layer, Node, Places, Value};
use super::values;

/// Checks a layer; `places` learns what was refused.
pub(crate) fn check(layer: &mut Layer, places: &mut Places, findings: &mut Findings) {
    Check { places, findings }.entries(&mut layer.root, &mut Vec::new());
}

struct Check<'a> {
    places: &'a mut Places,
    findings: &'a mut Findings,
}

impl Check<'_> {
    /// Checks all entries of a table, and drops those that are refused.
    fn entries(&mut self, table: &mut Node, path: &mut Vec<String>) {
        let Value::Table(entries) = &mut table.value else {
            return;
        };
        let named = matches!(schema::find(path), Some(Known::Names));
        entries.retain(|name, child| {
            let name_fits = if named { schema::check_name(path, name) } else { Ok(()) };
            path.push(name.clone());
            let keep = match name_fits {
                Ok(()) => self.entry(child, path),
                Err(message) => self.refuse(&child.place, path, &message),
            };
            path.pop();
            keep
        });
    }

    fn refuse(&mut self, place: &Place, path: &[String], message: &str) -> bool {
        self.findings.add(place.clone(), path.join("."), message);
        self.places.refuse(path, place);
        false
    }

    /// Checks one entry; whether it may stay.
    fn entry(&mut self, node: &mut Node, path: &mut Vec<String>) -> bool {
        let place = node.place.clone();
        match (schema::find(path), &node.value) {
            (Some(Known::Value(row)), _) => self.value(row, node, path),
            (Some(_), Value::Table(_)) => {
                self.entries(node, path);
                true
            }
            (Some(Known::Names), Value::Array(_)) => {
                let key = path.join(".");
                self.refuse(
                    &place,
                    path,
                    &format!("named things are tables, so that layers merge by name; write [{key}.NAME]"),
                )
            }
            (Some(_), value) => {
                let key = path.join(".");
                self.refuse(&place, path, &format!("a table is wanted, not {}; write [{key}]", value.what()))
            }
            (None, _) => {
                let hint = schema::suggestion(path).unwrap_or_else(|| {
                    format!("known here: {}", schema::keys_under(&path[..path.len() - 1]).join(", "))
                });
                self.refuse(&place, path, &format!("unknown key; {hint}"))
            }
        }
    }

    fn value(&mut self, row: &Row, node: &Node, path: &[String]) -> bool {
        let mut wrong = Vec::new();
        read(row.kind, node, path, &mut |place, message| wrong.push((place.clone(), message)));
        for (place, message) in &wrong {
            self.refuse(place, path, message);
        }
        wrong.is_empty()
    }
}

/// Reads a value of a kind for its mistakes alone, and hands each with its place to `wrong`.
fn read(kind: Kind, node: &Node, path: &[String], wrong: &mut dyn FnMut(&Place, String)) {
    let outcome = match (kind, &node.value) {
        (Kind::Secret { file_key, variable }, Value::Text(text)) => {
            return secret(file_key, variable, text, node, path, wrong);
        }
        (Kind::WriteKey, Value::Text(text)) => values::write_key(text).map(drop),
        (Kind::Text | Kind::File, Value::Text(text)) if text.trim().is_empty() => {
            Err("is empty; give it a value or leave it out".into())
        }
        (Kind::Text | Kind::File, Value::Text(text)) if text.chars().any(char::is_control) => {
            Err(format!("{} holds a control character; leave it out", values::quote(text)))
        }
        (Kind::Text | Kind::File, Value::Text(_)) | (Kind::Bool, Value::Bool(_)) => Ok(()),
        (Kind::Int(min, max), Value::Int(number)) => within(i128::from(*number), i128::from(min), i128::from(max)),
        (Kind::Number(min, max), Value::Int(number)) => number_within(*number as f64, min, max),
        (Kind::Number(min, max), Value::Float(number)) => number_within(*number, min, max),
        (Kind::Duration, Value::Text(text)) => values::duration(text).map(drop),
        (Kind::Size(min, max), Value::Text(text)) => {
            values::size(text).and_then(|bytes| size_within(bytes.into(), min, max))
        }
        (Kind::Size(min, max), Value::Int(bytes)) => size_within(i128::from(*bytes), min, max),
        (Kind::Listener, Value::Text(text)) => values::listener(text).map(drop),
        (Kind::Url, Value::Text(text)) => values::url(text).map(drop),
        (Kind::Choice(known), Value::Text(text)) => choice(text, known),
        (Kind::Session, Value::Text(text)) => values::session(text).map(drop),
        (Kind::LogFilter, Value::Text(text)) => log_filter(text),
        (Kind::Time, Value::Text(text) | Value::Time(text)) => values::instant(text).map(drop),
        (Kind::TagValue, Value::Text(text)) => values::tag_value(text).map(drop),
        (Kind::OneOrMany, Value::Text(text)) => not_empty(text),
        (Kind::Replicas, Value::Int(number)) => within(i128::from(*number), 1, 10_000),
        (Kind::Replicas, Value::Text(text)) => values::replicas(text).map(drop),
        (Kind::DryRun, Value::Bool(_)) => Ok(()),
        (Kind::DryRun, Value::Array(items)) => return list(kind, items, wrong),
        (Kind::CookieName, Value::Text(text)) => values::cookie_name(text).map(drop),
        (Kind::JwksUrl, Value::Text(text)) => values::jwks_url(text).map(drop),
        (Kind::TraceUrl, Value::Text(text)) => values::trace_url(text).map(drop),
        (Kind::TenantId, Value::Text(text)) => values::tenant_id(text).map(drop),
        (Kind::Pattern, Value::Text(text)) => values::pattern(text).map(drop),
        (kind, Value::Array(items)) if kind.is_list() => return list(kind, items, wrong),
        (kind, value) => Err(wrong_kind(kind, value)),
    };
    if let Err(message) = outcome {
        wrong(&node.place, message);
    }
}

fn wrong_kind(kind: Kind, value: &Value) -> String {
    match (kind, value) {
        (Kind::Duration, Value::Int(n)) => format!("a duration needs its unit; write for example \"{n}s\""),
        (Kind::Secret { .. } | Kind::WriteKey, value) => format!("a text is wanted, not {}", value.what()),
        (kind, Value::Text(text)) => {
            format!("{} is wrong here; wanted: {}", values::quote(text), plain(kind))
        }
        (kind, value) => format!("{} is wrong here; wanted: {}", value.what(), plain(kind)),
    }
}

/// A kind's name without the marks of the reference's format.
fn plain(kind: Kind) -> String {
    kind.name().replace('`', "")
}

/// A secret may stand in a variable or a file, not in TOML, where it ends up in a repository. Its text is never echoed.
fn secret(
    file_key: &str,
    variable: Option<&str>,
    text: &str,
    node: &Node,
    path: &[String],
    wrong: &mut dyn FnMut(&Place, String),
) {
    if matches!(node.place, Place::File { .. }) {
        let long = format!("TAGLINE__{}", path.join("__").to_uppercase());
        let variable = variable.unwrap_or(&long);
        wrong(&node.place, format!("a secret may not stand in TOML; name a file in `{file_key}`, or set {variable}"));
    } else if text.trim().is_empty() {
        wrong(&node.place, "is empty; give it a value or unset it".into());
    } else if text.chars().any(char::is_control) {
        // It would end up in a header; most often it is the line break of the file that it was read from.
        wrong(&node.place, "holds a line break or another control character; leave it out".into());
    }
}

fn within(number: i128, min: i128, max: i128) -> Result<(), String> {
    let wrong = || match max {
        max if max == i128::from(i64::MAX) => format!("{number} is out of range; write {min} or more"),
        max => format!("{number} is out of range; write a whole number from {min} to {max}"),
    };
    (min..=max).contains(&number).then_some(()).ok_or_else(wrong)
}

fn number_within(number: f64, min: f64, max: f64) -> Result<(), String> {
    if !number.is_finite() {
        return Err(format!("{number} is no number that can be compared; write a finite one"));
    }
    (min..=max)
        .contains(&number)
        .then_some(())
        .ok_or_else(|| format!("{number} is out of range; write a number from {min} to {max}"))
}

fn size_within(bytes: i128, min: u64, max: u64) -> Result<(), String> {
    let wrong = || {
        format!(
            "{bytes} bytes are out of range; write a size from {} to {}",
            values::show_size(min),
            values::show_size(max)
        )
    };
    (i128::from(min)..=i128::from(max)).contains(&bytes).then_some(()).ok_or_else(wrong)
}

fn choice(text: &str, known: &[&str]) -> Result<(), String> {
    if known.contains(&text) {
        return Ok(());
    }
    let quoted: Vec<String> = known.iter().map(|known| format!("\"{known}\"")).collect();
    let quoted = quoted.join(" or ");
    Err(match values::nearest(text, known.iter().copied()) {
        Some(near) => format!("{} is no known value; did you mean \"{near}\"?", values::quote(text)),
        None => format!("{} is no known value; write {quoted}", values::quote(text)),
    })
}

fn log_filter(text: &str) -> Result<(), String> {
    let wrong =
        |_| format!("{} is no log filter; write for example \"info\" or \"warn,tagline=debug\"", values::quote(text));
    if text.trim().is_empty() {
        return Err("is empty; write for example \"info\"".into());
    }
    // tracing-subscriber 0.3 cuts names within a character, and panics, where they are not ASCII.
    if !text.is_ascii() {
        return Err(format!("{} is no log filter; write ASCII characters only", values::quote(text)));
    }
    // A word that is no level is read as the name of a module, and would silence everything.
    let word = text.bytes().all(|b| b.is_ascii_alphabetic());
    let levels = ["off", "error", "warn", "info", "debug", "trace"];
    if word && !levels.iter().any(|level| text.eq_ignore_ascii_case(level)) {
        return Err(format!("{} is no log level; write one of {}", values::quote(text), levels.join(", ")));
    }
    tracing_subscriber::EnvFilter::builder().parse(text).map(drop).map_err(wrong)
}

fn not_empty(text: &str) -> Result<(), String> {
    (!text.trim().is_empty())
        .then_some(())
        .ok_or_else(|| "an empty text is wrong here; give it a value or leave it out".into())
}

fn list(kind: Kind, items: &[Node], wrong: &mut dyn FnMut(&Place, String)) {
    let mut texts = Vec::new();
    for item in items {
        let outcome = match &item.value {
            Value::Text(text) => {
                if texts.contains(&text) {
                    Err(format!("{} stands twice; leave one out", values::quote(text)))
                } else {
                    texts.push(text);
                    list_item(kind, text)
                }
            }
            value => Err(format!("the list holds {}; wanted: {}", value.what(), plain(kind))),
        };
        if let Err(message) = outcome {
            wrong(&item.place, message);
        }
    }
}

fn list_item(kind: Kind, text: &str) -> Result<(), String> {
    match kind {
        Kind::Algorithms => values::algorithm(text).map(drop),
        Kind::Networks => values::network(text).map(drop),
        Kind::Origins => values::origin(text).map(drop),
        Kind::PathRules => values::path_rule(text).map(drop),
        Kind::TagNames => values::free_name(text, "tag"),
        Kind::Scrubs => values::scrub(text).map(drop),
        Kind::DryRun => choice(text, values::LIMITS),
        _ => not_empty(text),
    }
}
