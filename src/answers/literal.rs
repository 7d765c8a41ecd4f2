//! Values that stand in Flux as what they are.

use std::fmt::Write as _;
use std::time::Duration;

/// What an input of a script takes; told by how its default is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `"acme"`
    Text,
    /// `["acme", "globex"]`, or a list of records.
    List,
    /// A point in time: `-1h` (so long ago), `2026-01-31T00:00:00Z`, or `now()`.
    Moment,
    /// `1m`
    Duration,
    /// `200`
    Int,
    /// `1.5`
    Float,
}

/// A value of Flux. Whatever text it was made of, it is one literal and nothing else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Literal {
    pub(super) kind: Kind,
    pub(super) text: String,
}

impl Literal {
    /// As it stands in a script.
    pub fn flux(&self) -> &str {
        &self.text
    }

    /// A string.
    pub fn text(text: &str) -> Self {
        Self { kind: Kind::Text, text: quoted(text) }
    }

    /// A list of strings.
    pub fn texts<'t>(texts: impl IntoIterator<Item = &'t str>) -> Self {
        Self::list(texts.into_iter().map(Self::text))
    }

    /// A list.
    pub fn list(items: impl IntoIterator<Item = Self>) -> Self {
        let items: Vec<String> = items.into_iter().map(|item| item.text).collect();
        Self { kind: Kind::List, text: format!("[{}]", items.join(", ")) }
    }

    /// A record, for a list of them. The names are the program's own.
    pub fn record<'n>(members: impl IntoIterator<Item = (&'n str, Self)>) -> Self {
        let members: Vec<String> = members.into_iter().map(|(name, value)| format!("{name}: {}", value.text)).collect();
        Self { kind: Kind::List, text: format!("{{{}}}", members.join(", ")) }
    }

    /// So long ago.
    pub fn ago(ago: Duration) -> Self {
        Self { kind: Kind::Moment, text: format!("-{}", length(ago)) }
    }

    /// A moment, in nanoseconds since 1970.
    pub fn moment(nanoseconds: i64) -> Self {
        Self { kind: Kind::Moment, text: format!("time(v: {nanoseconds})") }
    }

    /// Now, whenever the query runs.
    pub fn now() -> Self {
        Self { kind: Kind::Moment, text: "now()".to_owned() }
    }

    /// A length of time.
    pub fn duration(duration: Duration) -> Self {
        Self { kind: Kind::Duration, text: length(duration) }
    }

    /// A whole number.
    pub fn int(int: i64) -> Self {
        Self { kind: Kind::Int, text: int.to_string() }
    }

    /// A number; one that Flux cannot write (NaN, infinities) is 0.
    pub fn float(float: f64) -> Self {
        let float = if float.is_finite() { float } else { 0.0 };
        let text = float.to_string();
        let point = if text.contains('.') { "" } else { ".0" };
        Self { kind: Kind::Float, text: format!("{text}{point}") }
    }
}

/// A string of Flux: `"` and `\\` are escaped, `${` would begin an expression, and what no line of a query should hold is written
/// byte by byte.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '$' => out.push_str("\\x24"),
            c if c.is_control() => {
                let mut bytes = [0; 4];
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    let _ = write!(out, "\\x{byte:02x}");
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// In the largest unit that divides it; Flux takes no empty duration, so nothing is `0s`.
fn length(duration: Duration) -> String {
    const UNITS: [(u128, &str); 6] = [
        (86_400_000_000_000, "d"),
        (3_600_000_000_000, "h"),
        (60_000_000_000, "m"),
        (1_000_000_000, "s"),
        (1_000_000, "ms"),
        (1, "ns"),
    ];
    match duration.as_nanos() {
        0 => "0s".to_owned(),
        all => {
            let (unit, name) = UNITS.into_iter().find(|(unit, _)| all % unit == 0).unwrap_or((1, "ns"));
            format!("{}{name}", all / unit)
        }
    }
}
