//! The Flux of a panel or a variable: a script whose inputs are a dashboard's variables.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use toml::Value;

use super::Fault;
use super::source::{Dashboard, Panel, Picture, Sources, Variable, VariableKind};
use crate::answers::library;
use crate::answers::{Kind, Literal, Script};

/// Whose variables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Dialect {
    /// Text that Grafana puts in the place of `${name}` before it asks.
    ///
    /// It quotes nothing by itself, and has one form alone that a value cannot end: escaped for a pattern, between `/^` and `$/`. (`:json` leaves a
    /// single value without quotes since Grafana 11, and `:doublequote` does not escape a backslash: a session named `\" …` would go on as Flux.)
    Grafana,
    /// Members of the record `v`, which InfluxDB's own pages send along.
    InfluxDb,
}

/// What "all" is called where a list of InfluxDB's offers it: a variable of its has no such thing.
pub(super) const ALL: &str = "(all)";

/// What "all" is to Grafana: it is put in as it stands, without being escaped, so that it is the one pattern that no value can be.
pub(super) const ALL_PATTERN: &str = ".*";

/// Gives back what Grafana escaped.
const TEXT: &str = r#"
// What a variable holds. Grafana escapes it for a pattern, and a pattern is what it cannot end; "" stands for all.
text = (r) =>
    if regexp.getString(r: r) == "^.*$" then
        ""
    else
        regexp.replaceAllString(r: /^\^|\$$|\\(.)/, v: regexp.getString(r: r), t: "$1")
"#;

impl Dialect {
    /// A variable's name. InfluxDB's are an organisation's, so that they say whose they are.
    pub fn name(self, variable: &str) -> String {
        match self {
            Self::Grafana => variable.to_owned(),
            Self::InfluxDb => format!("tagline_{variable}"),
        }
    }

    /// Its value; "" for all.
    fn text(self, name: &str, variable: &Variable) -> String {
        let own = self.name(name);
        match self {
            Self::Grafana => format!("text(r: /^${{{own}:regex}}$/)"),
            Self::InfluxDb if variable.all => format!("if v.{own} == \"{ALL}\" then \"\" else v.{own}"),
            Self::InfluxDb => format!("v.{own}"),
        }
    }

    /// A pattern that its value fits; all fit "all".
    fn pattern(self, name: &str, variable: &Variable) -> String {
        let own = self.name(name);
        let quoted = format!("regexp.compile(v: \"^\" + regexp.quoteMeta(v: v.{own}) + \"$\")");
        match self {
            Self::Grafana => format!("/^${{{own}:regex}}$/"),
            Self::InfluxDb if variable.all => format!("if v.{own} == \"{ALL}\" then /.*/ else {quoted}"),
            Self::InfluxDb => quoted,
        }
    }

    /// An input that the range of time says, if it is one.
    fn time(self, input: &str, least: &str) -> Option<String> {
        match (input, self) {
            ("start", _) => Some("v.timeRangeStart".to_owned()),
            ("stop", _) => Some("v.timeRangeStop".to_owned()),
            // Grafana's panels have a least width.
            ("every", Self::Grafana) => Some("v.windowPeriod".to_owned()),
            ("every", Self::InfluxDb) => {
                Some(format!("if int(v: v.windowPeriod) < int(v: {least}) then {least} else v.windowPeriod"))
            }
            _ => None,
        }
    }

    /// What goes before a script that has variables in it.
    fn prelude(self) -> (&'static [&'static str], &'static str) {
        match self {
            Self::Grafana => (&["regexp"], TEXT),
            Self::InfluxDb => (&[], ""),
        }
    }
}

/// The query of a panel.
pub(super) fn panel(
    sources: &Sources,
    dashboard: &Dashboard,
    panel: &Panel,
    dialect: Dialect,
) -> Result<String, Fault> {
    let fault = |what: String| Fault::new(&dashboard.file, format!("{:?}: {what}", panel.question));
    let script = script(&panel.script).map_err(fault)?;
    let bound = bind(sources, &dashboard.variables, script, &panel.inputs, &panel.least, dialect).map_err(fault)?;
    let mut query = bound.trim_end().to_owned();
    for line in panel.then.lines().chain(tail(panel).lines()) {
        let _ = write!(query, "\n    {}", line.trim());
    }
    query.push('\n');
    let (mut imports, definitions) = (dialect.prelude().0.to_vec(), dialect.prelude().1);
    if panel.picture == Picture::Lines {
        imports.push("experimental");
    }
    Ok(with_prelude(&query, &imports, definitions))
}

/// What the rows become for their picture.
fn tail(panel: &Panel) -> String {
    let names: Vec<String> = panel.column.iter().map(|column| format!("\"{}\"", column.name)).collect();
    let (names, by) = (names.join(", "), panel.by.as_deref());
    match panel.picture {
        // Lines that both programs draw alike: a table for each, with `_time`, `_value`, and its name in `_field`.
        Picture::Lines => {
            let (kept, group) = match by {
                Some(by) => (format!("\"_time\", \"{by}\", {names}"), format!("columns: [\"{by}\"]")),
                None => (format!("\"_time\", {names}"), String::new()),
            };
            format!("|> keep(columns: [{kept}])\n|> group({group})\n|> experimental.unpivot()")
        }
        Picture::Table | Picture::Stat => format!("|> keep(columns: [{names}])\n|> group()"),
    }
}

/// The query of a variable: one column `_value`.
pub(super) fn variable(sources: &Sources, name: &str, dialect: Dialect) -> Result<String, Fault> {
    let fault = |what: String| Fault::new("variables", format!("{name}: {what}"));
    let variable = sources.variable("variables", name)?;
    let mut imports = dialect.prelude().0.to_vec();
    if let (Some(script), Some(column)) = (&variable.script, &variable.column) {
        let of = self::script(script).map_err(fault)?;
        let all: Vec<String> = sources.variables.keys().cloned().collect();
        let bound = bind(sources, &all, of, &variable.inputs, "1m", dialect).map_err(fault)?;
        let bound = bound.trim_end();
        let query = format!(
            "{bound}\n    |> keep(columns: [\"{column}\"])\n    |> rename(columns: {{{column}: \"_value\"}})\n    |> group()\n"
        );
        return Ok(with_prelude(&query, &imports, dialect.prelude().1));
    }
    let asked = match &variable.like {
        Some(other) => sources.variable("variables", other)?,
        None => variable,
    };
    let query = asked.query.as_deref().ok_or_else(|| fault("it has no query".to_owned()))?;
    imports.push("influxdata/influxdb/schema");
    if dialect == Dialect::InfluxDb && !variable.uses.is_empty() {
        imports.push("regexp");
    }
    let mut text = format!("bucket = {}\n", dialect.text("bucket", sources.variable("variables", "bucket")?));
    for (input, value) in ["start", "stop"].map(|input| (input, dialect.time(input, "1m"))) {
        let _ = writeln!(text, "{input} = {}", value.unwrap_or_default());
    }
    for used in &variable.uses {
        let pattern = dialect.pattern(used, sources.variable("variables", used)?);
        let _ = writeln!(text, "{used} = {pattern}");
    }
    let query = query.trim();
    let order = if variable.first.is_some() { ", desc: true" } else { "" };
    if dialect == Dialect::InfluxDb && variable.all {
        imports.push("array");
        let _ = write!(
            text,
            "\nunion(\n    tables: [\n        array.from(rows: [{{_value: \"{ALL}\"}}]),\n        {},\n    ],\n)",
            query.replace('\n', "\n        ")
        );
    } else {
        let _ = write!(text, "\n{query}");
    }
    let _ = writeln!(text, "\n    |> group()\n    |> sort(columns: [\"_value\"]{order})");
    Ok(with_prelude(&text, &imports, dialect.prelude().1))
}

fn script(name: &str) -> Result<&'static Script, String> {
    library::query(name).ok_or_else(|| format!("there is no flux/queries/{name}.flux"))
}

/// A script with variables and values in the place of its defaults.
fn bind(
    sources: &Sources,
    variables: &[String],
    script: &Script,
    given: &BTreeMap<String, Value>,
    least: &str,
    dialect: Dialect,
) -> Result<String, String> {
    let of_variable = |name: &str| {
        let known = variables.iter().find(|known| *known == name).and_then(|name| sources.variables.get(name));
        let told = known.filter(|variable| variable.kind != VariableKind::TraceUrl);
        told.map(|variable| dialect.text(name, variable))
    };
    let inputs = script.inputs();
    if let Some(name) = given.keys().find(|name| !inputs.iter().any(|input| input.name == name.as_str())) {
        return Err(format!("flux/{}.flux has no input {name}", script.name));
    }
    let mut expressions = Vec::new();
    for input in &inputs {
        let expression = match given.get(input.name) {
            Some(Value::String(text)) if text.starts_with('$') => {
                Some(of_variable(&text[1..]).ok_or_else(|| format!("there is no variable {text}"))?)
            }
            Some(value) => {
                let wrong = || format!("{}: {value:?} is no {:?}", input.name, input.kind);
                Some(literal(value, input.kind).ok_or_else(wrong)?)
            }
            None => dialect.time(input.name, least).or_else(|| of_variable(input.name)),
        };
        // "" is all; another default of a text is an example, and no answer to anything.
        if expression.is_none() && input.kind == Kind::Text && input.default != "\"\"" {
            return Err(format!("flux/{}.flux wants to be told {}", script.name, input.name));
        }
        expressions.extend(expression.map(|expression| (input.name, expression)));
    }
    let expressions: Vec<(&str, &str)> = expressions.iter().map(|(name, text)| (*name, text.as_str())).collect();
    script.bind_expressions(&expressions).map_err(|error| error.to_string())
}

/// A value of the sources, as Flux.
fn literal(value: &Value, kind: Kind) -> Option<String> {
    let made = match (value, kind) {
        (Value::String(text), Kind::Text) => Literal::text(text),
        (Value::Integer(int), Kind::Int) => Literal::int(*int),
        (Value::Float(float), Kind::Float) => Literal::float(*float),
        (Value::Integer(int), Kind::Float) => Literal::float(*int as f64),
        (Value::Array(items), Kind::List) => {
            Literal::texts(items.iter().map(Value::as_str).collect::<Option<Vec<_>>>()?)
        }
        // `5m`, as the sources' own author writes it.
        (Value::String(text), Kind::Duration | Kind::Moment) => return Some(text.clone()),
        _ => return None,
    };
    Some(made.flux().to_owned())
}

/// Flux with further imports behind its own, and definitions behind these.
fn with_prelude(query: &str, imports: &[&str], definitions: &str) -> String {
    let head = query.lines().take_while(|line| {
        let line = line.trim_start();
        line.is_empty() || line.starts_with("//") || line.starts_with("import ")
    });
    let head: Vec<&str> = head.collect();
    let first = head.iter().rposition(|line| line.starts_with("import ")).map_or_else(
        // Behind the comment that the file begins with.
        || head.iter().position(|line| line.is_empty()).map_or(head.len(), |blank| blank + 1),
        |last| last + 1,
    );
    let rest: Vec<&str> = query.lines().skip(first).collect();
    let mut lines: Vec<String> = head[..first].iter().map(|line| (*line).to_owned()).collect();
    let had_imports = lines.iter().any(|line| line.starts_with("import "));
    let mut further: Vec<&&str> = imports.iter().collect();
    further.sort();
    further.dedup();
    let import = |name: &str| format!("import \"{name}\"");
    lines.extend(further.into_iter().map(|name| import(name)).filter(|line| !head.contains(&line.as_str())));
    lines.extend(definitions.trim_end().lines().map(str::to_owned));
    if !had_imports && rest.first().is_some_and(|line| !line.is_empty()) {
        lines.push(String::new());
    }
    lines.extend(rest.into_iter().map(str::to_owned));
    let mut text = lines.join("\n");
    text.push('\n');
    text
}
