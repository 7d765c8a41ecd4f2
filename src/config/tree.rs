//! One layer of settings as a tree that knows the place of every key, and the layering of such trees.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use config::{ConfigError, Map, Source, Value as Merged, ValueKind};
use toml_edit::{Document, Item, TableLike, Value as TomlValue};

use super::files::Reading;
use super::finding::{Findings, Place};

/// A value, and where it stands.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// What TOML can say.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Value {
    Table(BTreeMap<String, Node>),
    Array(Vec<Node>),
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    /// A date or time, as written.
    Time(String),
}

impl Value {
    /// What it is, for people.
    pub(crate) fn what(&self) -> &'static str {
        match self {
            Self::Table(_) => "a table",
            Self::Array(_) => "a list",
            Self::Text(_) => "a text",
            Self::Int(_) => "a whole number",
            Self::Float(_) => "a number",
            Self::Bool(_) => "true or false",
            Self::Time(_) => "a date",
        }
    }
}

/// One layer: its root is a table whose keys the schema knows (see `check`).
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    pub(crate) root: Node,
}

impl Layer {
    /// A layer that holds one value, at `path`.
    pub(crate) fn of_one(place: &Place, path: &[String], value: Value) -> Self {
        let leaf = Node { place: place.clone(), value };
        let root = path.iter().rev().fold(leaf, |node, segment| Node {
            place: place.clone(),
            value: Value::Table(BTreeMap::from([(segment.clone(), node)])),
        });
        Self { root }
    }

    /// Reads a TOML text. `place_of` makes a place of line and column, both from 1.
    fn parse(
        text: &str,
        whole: Place,
        place_of: impl Fn(usize, usize) -> Place,
        findings: &mut Findings,
    ) -> Option<Self> {
        let lines = Lines::new(text);
        match Document::parse(text) {
            Ok(document) => {
                let place = |span: Option<Range<usize>>| {
                    span.map_or_else(|| whole.clone(), |span| place_of(lines.at(span.start).0, 0))
                };
                Some(Self { root: table(document.as_table(), whole.clone(), &place) })
            }
            Err(error) => {
                let place = error.span().map_or(whole, |span| {
                    let (line, column) = lines.at(span.start);
                    place_of(line, column)
                });
                findings.add(
                    place,
                    "",
                    format!("this is not TOML: {}; nothing else of the file was checked", error.message()),
                );
                None
            }
        }
    }

    /// Reads the compiled-in default.
    pub(crate) fn built_in(text: &str, findings: &mut Findings) -> Option<Self> {
        Self::parse(text, Place::BuiltIn, |_, _| Place::BuiltIn, findings)
    }

    /// Reads a file, which `named_by` names.
    pub(crate) fn file(path: &Path, named_by: &str, reading: &Reading, findings: &mut Findings) -> Option<Self> {
        let text = match reading.text(path) {
            Ok(text) => text,
            Err(error) => {
                findings.add(
                    Place::whole_file(path),
                    "",
                    format!("cannot be read: {error}; {named_by} must name a file that this user may read"),
                );
                return None;
            }
        };
        let place_of = |line, column| Place::File {
            path: PathBuf::from(path),
            line: Some(line),
            column: (column > 0).then_some(column),
        };
        Self::parse(&text, Place::whole_file(path), place_of, findings)
    }
}

/// Where the lines of a text begin.
struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    fn new(text: &'t str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, starts }
    }

    /// Line and column, both from 1, of a byte offset.
    fn at(&self, offset: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts[line - 1];
        let column = self.text.get(start..offset).map_or(0, |before| before.chars().count()) + 1;
        (line, column)
    }
}

fn table(items: &dyn TableLike, at: Place, place: &dyn Fn(Option<Range<usize>>) -> Place) -> Node {
    let entries = items.iter().map(|(name, item)| {
        let key_span = items.key(name).and_then(toml_edit::Key::span);
        let at = place(key_span.or_else(|| item.span()));
        (name.to_owned(), node(item, at, place))
    });
    Node { place: at, value: Value::Table(entries.collect()) }
}

fn node(item: &Item, at: Place, place: &dyn Fn(Option<Range<usize>>) -> Place) -> Node {
    match item {
        Item::Table(items) => table(items, at, place),
        Item::ArrayOfTables(tables) => {
            let tables = tables.iter().map(|items| table(items, place(items.span()), place)).collect();
            Node { place: at, value: Value::Array(tables) }
        }
        Item::Value(value) => leaf(value, at, place),
        // A parsed document holds no empty item.
        Item::None => Node { place: at, value: Value::Table(BTreeMap::new()) },
    }
}

fn leaf(value: &TomlValue, at: Place, place: &dyn Fn(Option<Range<usize>>) -> Place) -> Node {
    let value = match value {
        TomlValue::InlineTable(items) => return table(items, at, place),
        TomlValue::Array(items) => {
            Value::Array(items.iter().map(|item| leaf(item, place(item.span()), place)).collect())
        }
        TomlValue::String(text) => Value::Text(text.value().clone()),
        TomlValue::Integer(number) => Value::Int(*number.value()),
        TomlValue::Float(number) => Value::Float(*number.value()),
        TomlValue::Boolean(flag) => Value::Bool(*flag.value()),
        TomlValue::Datetime(time) => Value::Time(time.value().to_string()),
    };
    Node { place: at, value }
}

/// The `config` crate layers these. Its own file and environment sources are not used: they forget lines and the names of
/// variables, and the environment one lower-cases every key, which would change the id of a tenant. Its path syntax is applied to
/// the root's keys only, and those are plain words here, because the layer was checked against the schema before.
impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Merged>, ConfigError> {
        match merged(&self.root).kind {
            ValueKind::Table(entries) => Ok(entries),
            _ => Ok(Map::new()),
        }
    }
}

fn merged(node: &Node) -> Merged {
    let kind = match &node.value {
        Value::Table(entries) => {
            ValueKind::Table(entries.iter().map(|(name, child)| (name.clone(), merged(child))).collect())
        }
        Value::Array(items) => ValueKind::Array(items.iter().map(merged).collect()),
        Value::Text(text) | Value::Time(text) => ValueKind::String(text.clone()),
        Value::Int(number) => ValueKind::I64(*number),
        Value::Float(number) => ValueKind::Float(*number),
        Value::Bool(flag) => ValueKind::Boolean(*flag),
    };
    Merged::new(None, kind)
}

/// Where each key of the merged settings was set last, and which keys were set wrongly.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    places: BTreeMap<Vec<String>, Place>,
    /// Keys whose value was refused: set, but not in the merged settings. Who looks for a missing key asks here first, so that one
    /// mistake gives one finding.
    refused: BTreeSet<Vec<String>>,
}

impl Places {
    /// Takes the places of a layer, which lies above all before it.
    pub(crate) fn learn(&mut self, layer: &Layer) {
        self.learn_node(&layer.root, &mut Vec::new());
    }

    fn learn_node(&mut self, node: &Node, path: &mut Vec<String>) {
        match &node.value {
            _ if node.place == Place::BuiltIn => {}
            // A table was opened where it first stands; a value holds where it was set last.
            Value::Table(_) => drop(self.places.entry(path.clone()).or_insert_with(|| node.place.clone())),
            _ => drop(self.places.insert(path.clone(), node.place.clone())),
        }
        let children: Vec<(String, &Node)> = match &node.value {
            Value::Table(entries) => entries.iter().map(|(name, child)| (name.clone(), child)).collect(),
            Value::Array(items) => items.iter().enumerate().map(|(i, child)| (i.to_string(), child)).collect(),
            _ => return,
        };
        for (name, child) in children {
            path.push(name);
            self.learn_node(child, path);
            path.pop();
        }
    }

    /// Notes that the value of a key was refused.
    pub(crate) fn refuse(&mut self, path: &[String], place: &Place) {
        self.refused.insert(path.to_vec());
        self.places.insert(path.to_vec(), place.clone());
    }

    /// Whether a value of this key was refused.
    pub(crate) fn was_refused(&self, path: &[String]) -> bool {
        self.refused.contains(path)
    }

    /// Whether something under a table of the root was refused.
    pub(crate) fn any_refused_under(&self, key: &str) -> bool {
        self.refused.iter().any(|path| path.first().is_some_and(|first| first == key))
    }

    /// Whether a table, or something in it, was refused.
    pub(crate) fn any_refused_in(&self, path: &[String]) -> bool {
        self.refused.iter().any(|refused| refused.starts_with(path))
    }

    /// Where a key was set last by another layer than the compiled-in default.
    pub(crate) fn exactly(&self, path: &[String]) -> Option<&Place> {
        self.places.get(path)
    }

    /// Where a key, or else the nearest table around it, was set last.
    pub(crate) fn of(&self, path: &[String]) -> Place {
        let around = (0..=path.len()).rev().find_map(|len| self.places.get(&path[..len]));
        around.cloned().unwrap_or(Place::BuiltIn)
    }

    /// The name that lower layers know under `parent` for `name`, whatever its case; `None` unless there is exactly one.
    pub(crate) fn known_name(&self, parent: &[String], name: &str) -> Option<&str> {
        let mut known = self.places.keys().chain(&self.refused).filter_map(|path| {
            let (last, before) = path.split_last()?;
            (before == parent && last.eq_ignore_ascii_case(name)).then_some(last.as_str())
        });
        let first = known.next()?;
        known.all(|other| other == first).then_some(first)
    }
}
