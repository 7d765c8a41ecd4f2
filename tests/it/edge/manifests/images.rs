//! Every image is pinned, and to the version that the tests run.

use crate::support::manifests::{Manifests, text};
use std::path::Path;

pub fn images(all: &Manifests) -> Vec<String> {
    let mut faults = Vec::new();
    for workload in all.workloads() {
        let image = text(&workload.container()["image"]);
        let (repository, tag) = image.rsplit_once(':').unwrap_or((image, ""));
        let expected = match repository.rsplit('/').next().unwrap_or_default() {
            "tagline" if tag == "local" => continue,
            "tagline" => env!("CARGO_PKG_VERSION").to_owned(),
            "caddy" => format!("{}-alpine", version("caddy", "github.com/caddyserver/caddy/v2")),
            "telegraf" => format!("{}-alpine", version("telegraf", "github.com/influxdata/telegraf")),
            "influxdb" => format!("{}-alpine", version("influxd", "github.com/influxdata/influxdb/v2")),
            _ => "an image that the tests know".to_owned(),
        };
        if tag != expected {
            faults.push(format!("{} runs {image}, and the tests run {expected}", workload.name()));
        }
    }
    faults
}

/// The version of a module that `tests/servers/SERVER/go.mod` pins.
fn version(server: &str, module: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers").join(server).join("go.mod");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let found = text.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip_while(|word| *word != module);
        words.nth(1)?.strip_prefix('v').map(str::to_owned)
    });
    found.unwrap_or_else(|| panic!("{} pins no {module}", file.display()))
}
