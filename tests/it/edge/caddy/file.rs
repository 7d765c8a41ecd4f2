//! The files themselves, by Caddy's own judgement.

use crate::support::caddy::{caddy_command, caddy_folder};
use std::collections::BTreeMap;
use std::process::Output;

/// Variables as a reader fills them in, in each way that docs/edge.md knows.
const WAYS: [&[(&str, &str)]; 3] = [
    &[("CADDY_SITES", "acme.app.example globex.app.example")],
    &[("CADDY_SITES", "https://*.app.example"), ("TELEMETRY_AUTH", "service")],
    &[
        ("CADDY_SITES", "acme.app.example"),
        ("TAGLINE_UPSTREAMS", "tagline-0.tagline-pods:8080 tagline-1.tagline-pods:8080"),
        ("CADDY_BIND", "127.0.0.1"),
        ("CADDY_METRICS_BIND", "127.0.0.1"),
    ],
];

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|stream| String::from_utf8_lossy(stream).into_owned()).concat()
}

#[test]
fn the_files_are_as_caddy_itself_would_format_them() {
    for name in ["Caddyfile", "common.caddy"] {
        let path = caddy_folder().join(name).display().to_string();
        let output = caddy_command(&["fmt", &path], &[]);
        let formatted = String::from_utf8(output.stdout.clone()).unwrap();
        let file = std::fs::read_to_string(&path).unwrap();
        assert_eq!(file, formatted, "caddy fmt --overwrite k8s/caddy/{name}");
        assert!(!formatted.is_empty(), "{}", said(&output));
    }
}

#[test]
fn caddy_takes_the_file_in_each_way_that_it_can_be_filled_in_and_warns_of_nothing_that_we_do_not_mean() {
    for variables in WAYS {
        let path = caddy_folder().join("Caddyfile").display().to_string();
        let output = caddy_command(&["validate", "--adapter", "caddyfile", "--config", &path], variables);
        let said = said(&output);
        assert!(output.status.success(), "{variables:?}\n{said}");
        let warnings: Vec<&str> = said
            .lines()
            .filter(|line| line.contains(r#""level":"warn""#) || line.contains(r#""level":"error""#))
            // The admin API is off on purpose, and what listens on the HTTP port alone is to have neither TLS nor HTTP/2.
            .filter(|line| {
                !["admin endpoint disabled", "only on the HTTP port"].iter().any(|meant| line.contains(meant))
            })
            .collect();
        assert!(warnings.is_empty(), "{variables:?}\n{}", warnings.join("\n"));
    }
}

#[test]
fn a_variable_that_must_be_filled_in_is_missed_by_caddy_and_not_guessed() {
    let path = caddy_folder().join("Caddyfile").display().to_string();
    let output = caddy_command(&["validate", "--adapter", "caddyfile", "--config", &path], &[]);
    assert!(!output.status.success(), "{}", said(&output));
    let output = caddy_command(
        &["validate", "--adapter", "caddyfile", "--config", &path],
        &[("CADDY_SITES", "acme.app.example"), ("TELEMETRY_AUTH", "nobody")],
    );
    assert!(said(&output).contains("verified-by-nobody"), "{}", said(&output));
}

#[test]
fn every_variable_of_the_files_is_in_the_documentation_with_its_default_and_no_other() {
    let files: String =
        ["Caddyfile", "common.caddy"].map(|name| std::fs::read_to_string(caddy_folder().join(name)).unwrap()).concat();
    let mut used = BTreeMap::new();
    for placeholder in files.split("{$").skip(1) {
        let (name, default) = placeholder
            .split_once('}')
            .unwrap()
            .0
            .split_once(':')
            .unwrap_or_else(|| (placeholder.split_once('}').unwrap().0, ""));
        let default = used.entry(name.to_owned()).or_insert_with(|| default.to_owned()).clone();
        assert!(files.contains(&format!("{{${name}:{default}}}")) || default.is_empty(), "{name} has two defaults");
    }
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/edge.md")).unwrap();
    let table = page.split_once("## Caddy\n").unwrap().1.split_once("### Who answers what").unwrap().0;
    let mut documented = BTreeMap::new();
    for row in table.lines().filter(|row| row.starts_with("| `")) {
        let mut cells = row.split('|').skip(1).map(str::trim);
        let words = |cell: &str| cell.split(", ").map(|word| word.trim_matches('`').to_owned()).collect::<Vec<_>>();
        let (names, defaults) = (words(cells.next().unwrap()), words(cells.next().unwrap()));
        for (number, name) in names.into_iter().enumerate() {
            // What is said in words is no default of the file.
            let default = defaults.get(number).filter(|default| !default.contains(' ')).cloned().unwrap_or_default();
            documented.insert(name, default);
        }
    }
    assert_eq!(documented, used);
}
