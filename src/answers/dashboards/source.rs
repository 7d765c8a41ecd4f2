//! What `dashboards/*.toml` may say.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Value;

use super::Fault;

/// The files, compiled in: name and text.
const FILES: [(&str, &str); 5] = [
    ("overview", include_str!("../../../dashboards/overview.toml")),
    ("compare", include_str!("../../../dashboards/compare.toml")),
    ("session", include_str!("../../../dashboards/session.toml")),
    ("edge", include_str!("../../../dashboards/edge.toml")),
    ("gateway", include_str!("../../../dashboards/gateway.toml")),
];
const VARIABLES: &str = include_str!("../../../dashboards/variables.toml");

/// All of it.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The dashboards, in the order in which one goes from one to the next.
    pub(super) dashboards: Vec<Dashboard>,
    /// What can be chosen, by name.
    pub(super) variables: BTreeMap<String, Variable>,
}

/// A dashboard.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Dashboard {
    /// The file's name.
    #[serde(skip)]
    pub file: String,
    /// Its id, in addresses too.
    pub uid: String,
    pub title: String,
    /// What it answers.
    pub says: String,
    /// How far it looks back at first: `24h`.
    pub range: String,
    /// How often it asks again by itself, if it does.
    pub refresh: Option<String>,
    /// What can be chosen on it.
    pub variables: Vec<String>,
    pub row: Vec<Row>,
}

/// Panels below one heading.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row {
    pub title: String,
    pub panel: Vec<Panel>,
}

/// One question and its answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Panel {
    pub question: String,
    /// What the answer tells, and what is wrong to conclude from it.
    pub says: String,
    pub picture: Picture,
    /// Columns of 24, and rows of 30 pixels.
    pub size: [u32; 2],
    /// The script of `flux/queries` that answers it.
    pub script: String,
    /// What the script is told: `$name` is a variable. The others are told by their names: a variable of the dashboard, or its range of time.
    #[serde(default)]
    pub inputs: BTreeMap<String, Value>,
    /// Lines of Flux behind the script.
    #[serde(default)]
    pub then: String,
    /// Of lines: one line for each value of this column.
    pub by: Option<String>,
    /// What of the rows is shown, in this order.
    pub column: Vec<Column>,
    /// Of lines: bars instead, or areas on top of each other.
    #[serde(default)]
    pub style: Style,
    /// Of lines: the least width of a window.
    #[serde(default = "minute")]
    pub least: String,
}

fn minute() -> String {
    "1m".to_owned()
}

/// How an answer is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Picture {
    Lines,
    Table,
    Stat,
}

/// How lines are drawn.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Style {
    #[default]
    Line,
    Bars,
    Stacked,
    /// Points that belong to no line.
    Points,
}

/// A column of the answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Column {
    /// As the script calls it.
    pub name: String,
    pub title: String,
    #[serde(default)]
    pub unit: Unit,
    /// From here on it is yellow, and from there on red; the other way round where the second is the smaller.
    pub bounds: Option<[f64; 2]>,
    /// Of a table: a bar behind the number, which is from 0 to 1.
    #[serde(default)]
    pub bar: bool,
    /// Of a table: how wide, in pixels.
    pub width: Option<u32>,
    /// Where a value leads.
    #[serde(default)]
    pub link: Vec<Link>,
}

/// A way to another dashboard, or to a trace.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Link {
    pub title: String,
    /// A dashboard's uid, or `trace`.
    pub to: String,
    /// Its variables by columns of the row, or by variables of this dashboard (`$tenant`).
    #[serde(default)]
    pub with: BTreeMap<String, String>,
}

/// What a number is.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Unit {
    #[default]
    None,
    /// A count.
    Count,
    /// Milliseconds.
    Ms,
    Seconds,
    Bytes,
    /// 0 to 1, shown as percent.
    Share,
    /// A count a second.
    Rate,
}

/// What can be chosen.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Variable {
    pub label: String,
    pub says: String,
    pub kind: VariableKind,
    /// "All" is a choice.
    #[serde(default)]
    pub all: bool,
    /// Of a query: which of its values is chosen at first, if not the first.
    pub first: Option<First>,
    /// Of a query: which variables it is about.
    #[serde(default)]
    pub uses: Vec<String>,
    pub query: Option<String>,
    /// Of a query: another variable's.
    pub like: Option<String>,
    /// Where a text cannot be typed: values of this script's column.
    pub script: Option<String>,
    pub column: Option<String>,
    #[serde(default)]
    pub inputs: BTreeMap<String, Value>,
}

/// Where a variable's values come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum VariableKind {
    Bucket,
    RollupBucket,
    TraceUrl,
    Query,
    Text,
}

/// Which of a query's values is chosen at first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
pub(super) enum First {
    #[serde(rename = "the last")]
    Last,
}

impl Sources {
    /// Those that are compiled in.
    ///
    /// # Errors
    /// A mistake in them.
    pub fn shipped() -> Result<Self, Fault> {
        let parsed = |file: &str, error: toml::de::Error| Fault::new(file, error.to_string());
        let variables = toml::from_str(VARIABLES).map_err(|error| parsed("variables", error))?;
        let dashboards = FILES.iter().map(|(file, text)| {
            let dashboard: Dashboard = toml::from_str(text).map_err(|error| parsed(file, error))?;
            Ok(Dashboard { file: (*file).to_owned(), ..dashboard })
        });
        let sources = Self { dashboards: dashboards.collect::<Result<_, Fault>>()?, variables };
        sources.check()?;
        Ok(sources)
    }

    /// A variable that a dashboard names.
    pub(super) fn variable(&self, file: &str, name: &str) -> Result<&Variable, Fault> {
        self.variables.get(name).ok_or_else(|| Fault::new(file, format!("there is no variable {name}")))
    }

    /// The dashboard with this uid.
    pub(super) fn dashboard(&self, file: &str, uid: &str) -> Result<&Dashboard, Fault> {
        let found = self.dashboards.iter().find(|dashboard| dashboard.uid == uid);
        found.ok_or_else(|| Fault::new(file, format!("there is no dashboard {uid}")))
    }

    /// What the types do not say.
    fn check(&self) -> Result<(), Fault> {
        for dashboard in &self.dashboards {
            let file = &dashboard.file;
            for name in &dashboard.variables {
                let variable = self.variable(file, name)?;
                // One that depends on another can only be chosen where that one can.
                for used in &variable.uses {
                    if !dashboard.variables.contains(used) {
                        return Err(Fault::new(
                            file,
                            format!("{name} depends on {used}, which is none of its variables"),
                        ));
                    }
                }
            }
            for panel in dashboard.row.iter().flat_map(|row| &row.panel) {
                let fault = |what: &str| Err(Fault::new(file, format!("{:?}: {what}", panel.question)));
                if panel.by.is_some() && panel.picture != Picture::Lines {
                    return fault("`by` is for lines");
                }
                if panel.column.is_empty() || panel.size[0] == 0 || panel.size[0] > 24 {
                    return fault("it shows nothing, or is wider than 24");
                }
                for link in panel.column.iter().flat_map(|column| &column.link) {
                    if link.to != "trace" {
                        let target = self.dashboard(file, &link.to)?;
                        if let Some(name) = link.with.keys().find(|name| !target.variables.contains(name)) {
                            return fault(&format!("{} has no variable {name}", link.to));
                        }
                    }
                }
            }
        }
        Ok(())
    }
}
