//! What docs/deploy-aks.md tells a reader to fill in and to type fits the files, the programs and the objects that it is about.

mod commands;
mod first_point;
mod on_a_cluster;
mod values;
mod vault;

use std::path::Path;

/// A file of the repository.
fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The page.
fn guide() -> String {
    read("docs/deploy-aks.md")
}

/// The shell blocks of a page, each with its lines' continuations joined.
fn shell_blocks(text: &str) -> Vec<String> {
    let blocks = text.split("```sh\n").skip(1).filter_map(|rest| rest.split("\n```").next());
    blocks.map(|block| block.replace("\\\n", " ")).collect()
}

/// The part of a page under a heading, up to the next of the same depth.
fn section<'t>(text: &'t str, heading: &str) -> &'t str {
    let (_, rest) = text.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("there is no {heading:?}"));
    let depth = heading.split(' ').next().unwrap_or_default();
    rest.split(&format!("\n{depth} ")).next().unwrap_or_default()
}
