//! The files of `flux/`, compiled in.

use super::script::Script;

macro_rules! scripts {
    ($folder:literal: $($name:literal),+ $(,)?) => {
        &[$(Script { name: concat!($folder, "/", $name), text: include_str!(concat!("../../flux/", $folder, "/", $name, ".flux")) }),+]
    };
}

/// What can be asked: `flux/queries`.
pub const QUERIES: &[Script] =
    scripts!("queries": "edge-and-frontend", "summary", "percentiles", "compare", "last-event");

/// The query of this name, without its folder.
pub fn query(name: &str) -> Option<&'static Script> {
    QUERIES.iter().find(|script| script.name.strip_prefix("queries/") == Some(name))
}
