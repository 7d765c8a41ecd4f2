//! Grafana's own types, of the version that `tests/servers/grafana-schema` pins, hold the dashboards.

use super::{dashboards, root};
use crate::support::server_binary;
use serde_json::json;
use std::process::Command;

/// What is wrong with files, by Grafana's types.
fn wrong(files: &[&std::path::Path]) -> String {
    let program = server_binary("grafana-schema").unwrap_or_else(|error| panic!("{error}"));
    let ran = Command::new(program).args(files).output().expect("it runs");
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert_eq!(ran.status.code(), Some(i32::from(!said.is_empty())), "{}", String::from_utf8_lossy(&ran.stderr));
    said
}

#[test]
fn the_dashboards_are_of_grafanas_own_types() {
    let dashboards = dashboards();
    let files: Vec<&std::path::Path> = dashboards.iter().map(|(path, _)| path.as_path()).collect();
    assert_eq!(wrong(&files), "");

    // And what holds them finds a member that there is not, in each of the places that have a type of their own.
    let folder = tempfile::tempdir().unwrap();
    let (path, dashboard) = (folder.path().join("broken.json"), &dashboards[0].1);
    let lines = dashboard["panels"].as_array().unwrap().iter().position(|panel| panel["type"] == "timeseries").unwrap();
    for (pointer, value) in [
        ("/titel".to_owned(), json!("x")),
        ("/templating/list/0/hide".to_owned(), json!("yes")),
        (format!("/panels/{lines}/gridPos/width"), json!(1)),
        (format!("/panels/{lines}/options/legend/displayMode"), json!("tabel")),
        (format!("/panels/{lines}/fieldConfig/defaults/custom/drawStyle"), json!("lines")),
        (format!("/panels/{lines}/fieldConfig/overrides/0/properties/0/id"), json!("custom.colour")),
    ] {
        let mut broken = dashboard.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        broken.pointer_mut(parent).unwrap_or_else(|| panic!("{parent}"))[name] = value;
        std::fs::write(&path, broken.to_string()).unwrap();
        assert_ne!(wrong(&[&path]), "", "{pointer}");
    }
}

#[test]
fn the_provisioning_takes_from_the_environment_what_a_deployment_has() {
    let source = std::fs::read_to_string(root().join("grafana/provisioning/datasources/tagline.yaml")).unwrap();
    let guide = std::fs::read_to_string(root().join("docs/dashboards.md")).unwrap();
    let names: Vec<&str> = source
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .filter_map(|line| line.split_once(": $").map(|(_, name)| name.trim()))
        .collect();
    assert_eq!(names, ["INFLUXDB_URL", "INFLUXDB_ORG", "INFLUXDB_BUCKET", "INFLUXDB_READ_TOKEN"]);
    for name in names {
        assert!(guide.contains(&format!("`{name}`")), "docs/dashboards.md does not tell of {name}");
    }
    // The dashboards look for this data source, and the guide mounts them where the provider looks.
    assert!(source.contains("uid: tagline-influxdb\n") && source.contains("version: Flux\n"));
    for (path, dashboard) in dashboards() {
        let first = &dashboard["templating"]["list"][0];
        assert_eq!(
            (&first["type"], &first["current"]["value"]),
            (&json!("datasource"), &json!("tagline-influxdb")),
            "{path:?}"
        );
    }
    let provider = std::fs::read_to_string(root().join("grafana/provisioning/dashboards/tagline.yaml")).unwrap();
    let path = provider.lines().find_map(|line| line.trim().strip_prefix("path: ")).unwrap();
    assert!(guide.contains(path), "docs/dashboards.md does not mount {path}");
}
