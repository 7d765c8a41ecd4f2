//! One file of `flux/`: its title, its inputs, and how values are put in their place.
//!
//! A file begins with comment lines, the first of which says what it answers. Its *inputs* are the first unbroken run of lines
//! `name = value` after the imports; the value is the default, so that the file runs as it is, and a comment behind it says what it means:
//!
//! ```flux
//! bucket = "app_observability"    // where the gateway writes
//! tenant = "acme"
//! start = -1h
//! ```

use thiserror::Error;

use super::literal::{Kind, Literal};

/// A file of `flux/`, as it stands there.
#[derive(Clone, Copy, Debug)]
pub struct Script {
    /// The file's name without `.flux`.
    pub name: &'static str,
    /// All of it.
    pub text: &'static str,
}

/// What a script can be told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Input {
    /// As the script calls it.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// As the file writes it.
    pub default: &'static str,
    /// What it means, if the file says so.
    pub doc: Option<&'static str>,
}

/// Why values cannot be put into a script. Each is a mistake of the caller.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum BindError {
    /// The script has no such input.
    #[error("flux/{script}.flux has no input {name}")]
    Unknown {
        /// The script.
        script: &'static str,
        /// The input.
        name: String,
    },
    /// It takes another kind.
    #[error("flux/{script}.flux: {name} takes {expected:?}, not {given:?}")]
    Kind {
        /// The script.
        script: &'static str,
        /// The input.
        name: String,
        /// What it takes.
        expected: Kind,
        /// What was given.
        given: Kind,
    },
}

impl Script {
    /// What it answers: its first line.
    pub fn title(&self) -> &'static str {
        self.text.lines().next().unwrap_or_default().trim_start_matches('/').trim()
    }

    /// Its inputs, in the order of the file.
    pub fn inputs(&self) -> Vec<Input> {
        let lines = self.text.lines().skip_while(|line| input(line).is_none());
        lines.map_while(input).collect()
    }

    /// The script with these values in the place of its defaults; the others stay.
    ///
    /// # Errors
    /// A name that is no input, or a value of another kind.
    pub fn bind(&self, values: &[(&str, Literal)]) -> Result<String, BindError> {
        let inputs = self.inputs();
        for (name, value) in values {
            let name = (*name).to_owned();
            let input = inputs.iter().find(|input| input.name == name);
            let input = input.ok_or(BindError::Unknown { script: self.name, name: name.clone() })?;
            if input.kind != value.kind {
                return Err(BindError::Kind { script: self.name, name, expected: input.kind, given: value.kind });
            }
        }
        self.put(&inputs, &|input| {
            let given = values.iter().find(|(name, _)| *name == input.name);
            given.map(|(_, value)| value.text.clone())
        })
    }

    /// The script with expressions of a dashboard in the place of some defaults: `v.tenant` of InfluxDB's, `${tenant:json}` of Grafana's.
    /// For the files that this repository ships, whose expressions it writes itself.
    ///
    /// # Errors
    /// A name that is no input.
    pub fn bind_expressions(&self, expressions: &[(&str, &str)]) -> Result<String, BindError> {
        let inputs = self.inputs();
        let unknown = expressions.iter().find(|(name, _)| !inputs.iter().any(|input| input.name == *name));
        if let Some((name, _)) = unknown {
            return Err(BindError::Unknown { script: self.name, name: (*name).to_owned() });
        }
        self.put(&inputs, &|input| {
            let given = expressions.iter().find(|(name, _)| *name == input.name);
            given.map(|(_, expression)| (*expression).to_owned())
        })
    }

    fn put(&self, inputs: &[Input], value: &dyn Fn(&Input) -> Option<String>) -> Result<String, BindError> {
        let mut left = inputs.iter().peekable();
        let lines = self.text.lines().map(|line| match left.peek() {
            Some(next) if input(line).is_some_and(|input| input.name == next.name) => {
                let value = value(next);
                left.next();
                match (value, input(line)) {
                    (Some(value), Some(Input { name, doc: Some(doc), .. })) => format!("{name} = {value} // {doc}"),
                    (Some(value), Some(Input { name, .. })) => format!("{name} = {value}"),
                    _ => line.to_owned(),
                }
            }
            _ => line.to_owned(),
        });
        let mut text = lines.collect::<Vec<_>>().join("\n");
        text.push('\n');
        Ok(text)
    }
}

/// A line `name = value // meaning`, with nothing before it.
fn input(line: &'static str) -> Option<Input> {
    let (name, rest) = line.split_once(" = ")?;
    let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if !plain {
        return None;
    }
    let (default, doc) = match rest.split_once(" // ") {
        Some((default, doc)) => (default.trim(), Some(doc.trim())),
        None => (rest.trim(), None),
    };
    Some(Input { name, kind: kind(default)?, default, doc })
}

/// The kind of a default, by how it is written; `None`: it is an expression, and no input.
fn kind(text: &str) -> Option<Kind> {
    let quoted = text.len() >= 2 && text.starts_with('"') && text.ends_with('"');
    if quoted && text.matches('"').count() == 2 {
        return Some(Kind::Text);
    }
    if text.starts_with('[') && text.ends_with(']') {
        return Some(Kind::List);
    }
    if text == "now()" || is_time(text) || text.strip_prefix('-').is_some_and(is_length) {
        return Some(Kind::Moment);
    }
    if is_length(text) {
        return Some(Kind::Duration);
    }
    if text.parse::<i64>().is_ok() {
        return Some(Kind::Int);
    }
    let decimal = text.contains('.') && text.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b'-');
    (decimal && text.parse::<f64>().is_ok()).then_some(Kind::Float)
}

/// `1h30m`
fn is_length(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
        && text.ends_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase())
}

/// `2026-01-31T00:00:00Z`
fn is_time(text: &str) -> bool {
    text.len() >= 20 && text.ends_with('Z') && text.as_bytes().get(4) == Some(&b'-') && text.contains('T')
}
