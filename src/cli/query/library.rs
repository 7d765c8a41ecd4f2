//! Any query of the library, by its name.

use std::io::Write;
use std::time::Duration;

use clap::Args;
use serde_json::{Map, Value as Json, json};

use super::super::Failure;
use super::super::table::{Cell, Column, Table};
use super::Common;
use super::desk::{Desk, Values, unwritten};
use super::range::{Range, moment, period};
use super::shown::{Asked, lines};
use super::words::cell;
use crate::answers::{Input, Kind, Literal, Script, Value, library};
use crate::config::TenantId;

const HOUR: Duration = Duration::from_secs(3600);

#[derive(Args, Clone, Debug)]
pub(super) struct RunArgs {
    /// The query's name
    #[arg(required_unless_present = "list")]
    name: Option<String>,
    /// What it answers and what it takes; without a name, of all queries
    #[arg(long)]
    list: bool,
    /// An input of it; may be given several times
    #[arg(long = "set", value_name = "INPUT=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
    #[command(flatten)]
    pub(super) common: Common,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("an input, =, and its value: tenant=acme")?;
    Ok((name.to_owned(), value.to_owned()))
}

pub(super) async fn run(args: &RunArgs, desk: &Desk<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    let script = args.name.as_deref().map(find).transpose()?;
    if args.list {
        return list(script, desk, out);
    }
    let Some(script) = script else {
        return Err(Failure::Misuse("name a query; `tagline query run --list` lists them".to_owned()));
    };
    let name = args.name.as_deref().unwrap_or_default();
    let (range, values) = bound(args, script, desk)?;
    let query = desk.query(name, &desk.default_bucket(), &range, values)?;
    if desk.only_flux(&query, out)? {
        return Ok(());
    }
    let answer = desk.ask(&desk.reader()?, query).await?;
    let set: Map<String, Json> = args.set.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let asked = Asked { question: name, range: &range, with: vec![("set", Json::Object(set))] };
    let programs = desk.for_programs(&asked, &answer, out)?;
    if answer.rows.is_empty() {
        return Err(Failure::Failed(format!(
            "{name} has no rows in {} of the bucket {:?}. `tagline query run {name} --list` tells what it is made of",
            range.said(),
            &*answer.bucket
        )));
    }
    if programs {
        return Ok(());
    }
    let number = |column: &str| {
        let mut values = answer.rows.rows().filter_map(|row| row.get(column));
        values.all(|value| value.number().is_some())
    };
    let columns = answer.rows.columns().iter();
    let mut table =
        Table::new(columns.map(|name| {
            if number(name) { Column::right(name.as_str()) } else { Column::left(name.as_str()).least(12) }
        }));
    for row in answer.rows.rows() {
        table.row(row.cells().map(|(name, value): (&str, Option<&Value>)| Cell::from(cell(name, value))));
    }
    lines(&table.lines(desk.terminal), out)?;
    desk.foot(&range, &answer, out)
}

fn find(name: &str) -> Result<&'static Script, Failure> {
    library::query(name).ok_or_else(|| {
        let names = library::QUERIES.iter().map(|script| short(script));
        let near = names.max_by(|a, b| strsim::jaro_winkler(a, name).total_cmp(&strsim::jaro_winkler(b, name)));
        let near = near.filter(|near| strsim::jaro_winkler(near, name) > 0.7);
        let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        Failure::Misuse(format!("there is no query {name:?}{near} `tagline query run --list` lists them"))
    })
}

fn short(script: &Script) -> &'static str {
    script.name.strip_prefix("queries/").unwrap_or(script.name)
}

/// The inputs that were set, and the range with them: `start` and `stop` may be set like the others.
fn bound<'a>(args: &'a RunArgs, script: &Script, desk: &Desk<'_>) -> Result<(Range, Values<'a>), Failure> {
    let mut range = desk.range(HOUR)?;
    let inputs = script.inputs();
    let mut values = Values::new();
    for (name, text) in &args.set {
        let wrong = |why: String| Failure::Misuse(format!("--set {name}=…: {why}"));
        let input = inputs.iter().find(|input| input.name == name);
        let input = input.ok_or_else(|| {
            let names: Vec<&str> = inputs.iter().map(|input| input.name).collect();
            wrong(format!("{} has no such input; it has {}", short(script), names.join(", ")))
        })?;
        if values.iter().any(|(known, _)| known == name) {
            return Err(wrong("it is set twice".to_owned()));
        }
        let value = literal(input, text, desk.now).map_err(wrong)?;
        match name.as_str() {
            "start" => range.begin(&value),
            "stop" => range.end(&value),
            _ => {}
        }
        values.push((name, value.literal));
    }
    if !args.set.iter().any(|(name, _)| name == "every") && inputs.iter().any(|input| input.name == "every") {
        values.push(("every", Literal::duration(range.every())));
    }
    Ok((range, values))
}

/// A value, and the moment that it is, if it is one.
pub(super) struct Given {
    pub(super) literal: Literal,
    pub(super) at: Option<i64>,
}

/// A text as what the input takes.
fn literal(input: &Input, text: &str, now: i64) -> Result<Given, String> {
    let given = |literal| Ok(Given { literal, at: None });
    match input.kind {
        Kind::Text => {
            let names_tenant = input.name == "tenant" || input.name.starts_with("tenant_");
            if names_tenant && !text.is_empty() && TenantId::parse(text).is_none() {
                return Err("a tenant's id has 1 to 64 characters of A-Z, a-z, 0-9, _ and -".to_owned());
            }
            given(Literal::text(text))
        }
        Kind::List if input.default.contains('{') => {
            Err("it takes records, which cannot be given here: `--flux` prints the query, to be edited".to_owned())
        }
        Kind::List => given(Literal::texts(text.split(',').map(str::trim).filter(|item| !item.is_empty()))),
        Kind::Moment => match text.strip_prefix('-') {
            Some(ago) => {
                let ago = period(ago)?;
                Ok(Given { literal: Literal::ago(ago), at: Some(now.saturating_sub(super::range::nanos(ago))) })
            }
            None if text == "now" || text == "now()" => Ok(Given { literal: Literal::now(), at: Some(now) }),
            None => {
                let at = moment(text).map_err(|why| format!("{why}, -1h or now"))?;
                Ok(Given { literal: Literal::moment(at), at: Some(at) })
            }
        },
        Kind::Duration => given(Literal::duration(period(text)?)),
        Kind::Int => given(Literal::int(text.parse().map_err(|_| "it takes a whole number".to_owned())?)),
        Kind::Float => match text.parse::<f64>() {
            Ok(number) if number.is_finite() => given(Literal::float(number)),
            _ => Err("it takes a number".to_owned()),
        },
    }
}

fn list(script: Option<&'static Script>, desk: &Desk<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    let Some(script) = script else {
        let mut table = Table::new([Column::left("query"), Column::left("answers").least(30)]);
        for script in library::QUERIES {
            table.row([short(script).into(), script.title().into()]);
        }
        lines(&table.lines(desk.terminal), out)?;
        writeln!(out, "\n`tagline query run NAME --list` tells what one takes; docs/answers.md tells more.")
            .map_err(unwritten)?;
        return Ok(());
    };
    // The head of the file says what it answers, costs, and what is wrong to conclude.
    let head = script.text.lines().take_while(|line| line.starts_with("//"));
    let head: Vec<String> =
        head.map(|line| line.trim_start_matches('/').strip_prefix(' ').unwrap_or_default().to_owned()).collect();
    lines(&head, out)?;
    writeln!(out).map_err(unwritten)?;
    let mut table = Table::new(["input", "takes", "default", "meaning"].map(Column::left));
    for Input { name, kind, default, doc } in script.inputs() {
        table.row([name.into(), takes(kind).into(), default.into(), doc.unwrap_or_default().into()] as [Cell; 4]);
    }
    lines(&table.lines(desk.terminal), out)
}

fn takes(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "text",
        Kind::List => "texts, with commas",
        Kind::Moment => "-1h, now, or a time",
        Kind::Duration => "duration",
        Kind::Int => "whole number",
        Kind::Float => "number",
    }
}
