//! An answer on standard output: for people, or for programs.

use std::io::Write;

use serde_json::{Map, Value as Json, json};

use super::super::Failure;
use super::super::terminal::Terminal;
use super::desk::{Answer, Desk, Source, unwritten};
use super::range::Range;
use crate::answers::table::rfc3339;
use crate::answers::{Table, Value};

/// What was asked, for programs.
pub(super) struct Asked<'a> {
    /// The subcommand.
    pub(super) question: &'a str,
    pub(super) range: &'a Range,
    /// What was asked for, by name.
    pub(super) with: Vec<(&'a str, Json)>,
}

impl Desk<'_> {
    /// Writes the answer for programs if that is what is wanted; whether it is.
    pub(super) fn for_programs(
        &self,
        asked: &Asked<'_>,
        answer: &Answer,
        out: &mut dyn Write,
    ) -> Result<bool, Failure> {
        if self.common.json {
            let line = self.json(asked, answer);
            writeln!(out, "{line}").map_err(unwritten)?;
        } else if self.common.csv {
            csv(&answer.rows, out)?;
        }
        Ok(self.common.json || self.common.csv)
    }

    fn json(&self, asked: &Asked<'_>, answer: &Answer) -> Json {
        let mut object = Map::new();
        object.insert("question".to_owned(), json!(asked.question));
        object.insert("script".to_owned(), json!(answer.script));
        for (name, value) in &asked.with {
            object.insert((*name).to_owned(), value.clone());
        }
        object.insert("from".to_owned(), json!(rfc3339(asked.range.from)));
        object.insert("until".to_owned(), json!(rfc3339(asked.range.until)));
        object.insert("source".to_owned(), json!(answer.source.name()));
        object.insert("bucket".to_owned(), json!(&*answer.bucket));
        object.insert("took_ms".to_owned(), json!(u64::try_from(self.took().as_millis()).unwrap_or(u64::MAX)));
        object.insert("notes".to_owned(), json!(answer.notes));
        object.insert("rows".to_owned(), rows(&answer.rows, self.settings.answers.trace_url.as_deref()));
        Json::Object(object)
    }

    /// What stands below an answer: what is to be known of it, and the line that tells range, source and time.
    pub(super) fn foot(&self, range: &Range, answer: &Answer, out: &mut dyn Write) -> Result<(), Failure> {
        let mut lines: Vec<String> = answer.notes.clone();
        let took = self.took();
        lines.push(format!(
            "{} · {} of {} · {}.{:02} s",
            range.shown(),
            answer.source.name(),
            answer.bucket,
            took.as_secs(),
            took.subsec_millis() / 10
        ));
        writeln!(out).map_err(unwritten)?;
        for line in lines {
            writeln!(out, "{}", self.terminal.dim(&line)).map_err(unwritten)?;
        }
        Ok(())
    }
}

impl Source {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Points => "points",
            Self::Rollups => "rollups",
        }
    }
}

/// Lines of text.
pub(super) fn lines(lines: &[String], out: &mut dyn Write) -> Result<(), Failure> {
    for line in lines {
        writeln!(out, "{line}").map_err(unwritten)?;
    }
    Ok(())
}

/// The answer in one sentence, and an empty line.
pub(super) fn head(terminal: Terminal, sentence: &str, out: &mut dyn Write) -> Result<(), Failure> {
    writeln!(out, "{}\n", terminal.bold(sentence)).map_err(unwritten)
}

/// Rows as JSON objects; a trace's URL beside its id, where there is one.
pub(super) fn rows(table: &Table, trace_url: Option<&str>) -> Json {
    let row = |row: crate::answers::Row<'_>| {
        let mut object: Map<String, Json> = row.cells().map(|(name, value)| (name.to_owned(), cell(value))).collect();
        if let Some(url) = trace_url.zip(row.text("trace_id")).and_then(|(url, id)| trace(url, id)) {
            object.insert("trace_url".to_owned(), Json::String(url));
        }
        Json::Object(object)
    };
    Json::Array(table.rows().map(row).collect())
}

fn cell(value: Option<&Value>) -> Json {
    match value {
        None => Json::Null,
        Some(Value::Text(text)) => json!(text),
        Some(Value::Int(int)) => json!(int),
        Some(Value::UInt(int)) => json!(int),
        Some(Value::Float(float)) => json!(float),
        Some(Value::Bool(bool)) => json!(bool),
        Some(Value::Time(time)) => json!(rfc3339(*time)),
    }
}

/// Where a trace is looked at. What is no id of a trace leads nowhere.
pub(super) fn trace(url: &str, id: &str) -> Option<String> {
    let plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    plain.then(|| url.replace("{trace_id}", id))
}

fn csv(table: &Table, out: &mut dyn Write) -> Result<(), Failure> {
    let written = |error: csv::Error| match error.into_kind() {
        csv::ErrorKind::Io(error) => unwritten(error),
        other => Failure::Failed(format!("the answer could not be written: {other:?}")),
    };
    let mut writer = csv::Writer::from_writer(out);
    // No rows came, nor the names of their columns.
    if table.columns().is_empty() {
        return Ok(());
    }
    writer.write_record(table.columns()).map_err(written)?;
    for row in table.rows() {
        let cells = row.cells().map(|(_, value)| match value {
            None => String::new(),
            Some(Value::Text(text)) => text.clone(),
            Some(Value::Int(int)) => int.to_string(),
            Some(Value::UInt(int)) => int.to_string(),
            Some(Value::Float(float)) => float.to_string(),
            Some(Value::Bool(bool)) => bool.to_string(),
            Some(Value::Time(time)) => rfc3339(*time),
        });
        writer.write_record(cells).map_err(written)?;
    }
    writer.flush().map_err(unwritten)
}
