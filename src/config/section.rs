//! A table of the merged settings, as the builders read it. Its values were checked layer by layer: what cannot be read is not there.

use std::path::PathBuf;
use std::time::Duration;

use config::{Value as Merged, ValueKind};

use super::files::Reading;
use super::finding::{Findings, Place};
use super::settings::Secret;
use super::tree::Places;
use super::values::{self, Outcome};

/// A table, empty when nothing set it.
#[derive(Clone)]
pub(crate) struct Section<'m> {
    table: Option<&'m Merged>,
    places: &'m Places,
    reading: &'m Reading,
    path: Vec<String>,
}

impl<'m> Section<'m> {
    /// The root of all.
    pub(crate) fn root(merged: &'m Merged, places: &'m Places, reading: &'m Reading) -> Self {
        Self { table: Some(merged), places, reading, path: Vec::new() }
    }

    fn child(&self, key: &str) -> Option<&'m Merged> {
        match &self.table?.kind {
            ValueKind::Table(entries) => entries.get(key),
            _ => None,
        }
    }

    fn path_of(&self, key: &str) -> Vec<String> {
        self.path.iter().cloned().chain([key.to_owned()]).collect()
    }

    /// The table under `key`.
    pub(crate) fn sub(&self, key: &str) -> Self {
        Self { table: self.child(key), places: self.places, reading: self.reading, path: self.path_of(key) }
    }

    /// The named tables under `key`, by name.
    pub(crate) fn named(&self, key: &str) -> Vec<(String, Self)> {
        let sub = self.sub(key);
        sub.names().into_iter().map(|name| (name.clone(), sub.sub(&name))).collect()
    }

    /// The keys that are set here, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = match self.table.map(|table| &table.kind) {
            Some(ValueKind::Table(entries)) => entries.keys().cloned().collect(),
            _ => Vec::new(),
        };
        names.sort();
        names
    }

    /// Whether somebody set the key, rightly or wrongly.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.child(key).is_some() || self.places.was_refused(&self.path_of(key))
    }

    /// Whether a value of the key was refused.
    pub(crate) fn was_refused(&self, key: &str) -> bool {
        self.places.was_refused(&self.path_of(key))
    }

    /// Whether the table under the key, or something in it, was refused.
    pub(crate) fn was_any_refused(&self, key: &str) -> bool {
        self.places.any_refused_in(&self.path_of(key))
    }

    /// Whether the key holds what another layer than the compiled-in default says.
    pub(crate) fn is_set_by_operator(&self, key: &str) -> bool {
        self.places.exactly(&self.path_of(key)).is_some()
    }

    /// Where the key was set last, or else the table.
    pub(crate) fn place(&self, key: &str) -> Place {
        self.places.of(&self.path_of(key))
    }

    /// Where the table stands.
    pub(crate) fn own_place(&self) -> Place {
        self.places.of(&self.path)
    }

    /// The dotted path of the table.
    pub(crate) fn own_key(&self) -> String {
        self.path.join(".")
    }

    /// The dotted path of a key.
    pub(crate) fn key(&self, key: &str) -> String {
        self.path_of(key).join(".")
    }

    /// Tells a mistake at a key.
    pub(crate) fn wrong(&self, findings: &mut Findings, key: &str, message: impl Into<String>) {
        findings.add(self.place(key), self.key(key), message);
    }

    pub(crate) fn text(&self, key: &str) -> Option<&'m str> {
        match &self.child(key)?.kind {
            ValueKind::String(text) => Some(text),
            _ => None,
        }
    }

    /// A text, read by one of the readers of `values`.
    pub(crate) fn read<T>(&self, key: &str, reader: impl Fn(&str) -> Outcome<T>) -> Option<T> {
        reader(self.text(key)?).ok()
    }

    pub(crate) fn duration(&self, key: &str) -> Option<Duration> {
        self.read(key, values::duration)
    }

    pub(crate) fn flag(&self, key: &str) -> Option<bool> {
        match self.child(key)?.kind {
            ValueKind::Boolean(flag) => Some(flag),
            _ => None,
        }
    }

    /// A whole number; `None` also when it does not fit, which its row of the schema rules out.
    pub(crate) fn int<T: TryFrom<i64>>(&self, key: &str) -> Option<T> {
        match self.child(key)?.kind {
            ValueKind::I64(number) => T::try_from(number).ok(),
            _ => None,
        }
    }

    /// A number; whole ones are fine.
    pub(crate) fn number(&self, key: &str) -> Option<f64> {
        match self.child(key)?.kind {
            ValueKind::I64(number) => Some(number as f64),
            ValueKind::Float(number) => Some(number),
            _ => None,
        }
    }

    /// Bytes, with a unit or as a plain number.
    pub(crate) fn size(&self, key: &str) -> Option<u64> {
        self.int(key).or_else(|| self.read(key, values::size))
    }

    /// The texts of a list, or the one text that stands instead.
    pub(crate) fn texts(&self, key: &str) -> Vec<&'m str> {
        match self.child(key).map(|value| &value.kind) {
            Some(ValueKind::String(text)) => vec![text],
            Some(ValueKind::Array(items)) => {
                let text = |item: &'m Merged| match &item.kind {
                    ValueKind::String(text) => Some(text.as_str()),
                    _ => None,
                };
                items.iter().filter_map(text).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The items of a list, each read by one of the readers of `values`.
    pub(crate) fn list<T>(&self, key: &str, reader: impl Fn(&str) -> Outcome<T>) -> Vec<T> {
        self.texts(key).into_iter().filter_map(|text| reader(text).ok()).collect()
    }

    /// Where item `index` of a list stands.
    pub(crate) fn item_place(&self, key: &str, index: usize) -> Place {
        let mut path = self.path_of(key);
        path.push(index.to_string());
        self.places.of(&path)
    }

    /// A file's name; relative ones start from the file in which they stand.
    pub(crate) fn file(&self, key: &str) -> Option<PathBuf> {
        let name = self.text(key)?;
        Some(self.place(key).folder().map_or_else(|| name.into(), |folder| folder.join(name)))
    }

    /// The text of the file that a key names. Tells when it cannot be read.
    pub(crate) fn file_text(&self, key: &str, findings: &mut Findings) -> Option<(PathBuf, String)> {
        let path = self.file(key)?;
        match self.reading.text(&path) {
            Ok(text) => Some((path, text)),
            Err(error) => {
                self.wrong(
                    findings,
                    key,
                    format!("{} cannot be read: {error}; name a file that this user may read", path.display()),
                );
                None
            }
        }
    }

    /// A secret: from `key`, which only a variable can have set, or from the file that `file_key` names, whose trailing line break does
    /// not count. Tells when both are set, or the file is of no use.
    pub(crate) fn secret(&self, key: &str, file_key: &str, findings: &mut Findings) -> Option<Secret> {
        self.secrets(key, file_key, 1, findings).pop()
    }

    /// The same where the file may hold several, one a line, and `most` of them.
    pub(crate) fn secrets(&self, key: &str, file_key: &str, most: usize, findings: &mut Findings) -> Vec<Secret> {
        if self.text(key).is_some() && self.has(file_key) {
            let other = self.place(key);
            self.wrong(findings, file_key, format!("`{key}` is set too, by {other}; leave one of the two out"));
            return Vec::new();
        }
        if let Some(text) = self.text(key) {
            return vec![Secret::from(text)];
        }
        let Some((path, text)) = self.file_text(file_key, findings) else { return Vec::new() };
        let lines = text.trim_end_matches(['\n', '\r']).split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
        let unusable = |line: &str| line.trim().is_empty() || line.chars().any(char::is_control);
        if lines.clone().count() > most || lines.clone().any(unusable) {
            let message = if most == 1 {
                format!("{} is empty or holds more than one line; it must hold the secret alone", path.display())
            } else {
                format!("{} must hold one secret a line, {most} at the most, and no empty line", path.display())
            };
            self.wrong(findings, file_key, message);
            return Vec::new();
        }
        lines.map(Secret::from).collect()
    }
}
