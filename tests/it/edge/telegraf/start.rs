//! The files themselves, and what a start says of what is missing.

use super::*;
use crate::support::influx;
use std::collections::BTreeSet;
use std::path::Path;

const BOTH: [Configuration; 2] = [Configuration::Kubernetes, Configuration::Host];

/// All variables that a file must have, with values.
fn complete(configuration: Configuration, bucket: &Bucket) -> Setup {
    let setup = Telegraf::writing_to(bucket, configuration);
    let setup = setup.variable("NODE_NAME", MACHINE).variable("TAGLINE_ADMIN_TOKEN", ADMIN_TOKEN);
    match configuration {
        Configuration::Kubernetes => setup.variable("NAMESPACE", "tagline"),
        Configuration::Host => setup
            .variable("CADDY_METRICS_URL", "http://127.0.0.1:9180/metrics")
            .variable("TAGLINE_METRICS_URL", "http://127.0.0.1:8081/metrics"),
    }
}

/// The variables of a file that have no default: `${NAME:?}`.
fn needed(configuration: Configuration) -> BTreeSet<String> {
    let text = text(configuration);
    let names = text.split("${").skip(1).filter_map(|behind| Some(behind.split_once(":?}")?.0));
    names.filter(|name| name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')).map(str::to_owned).collect()
}

fn text(configuration: Configuration) -> String {
    let path = configuration.path();
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[tokio::test]
async fn both_files_pass_telegrafs_own_check() {
    let bucket = influx().bucket("check");
    for configuration in BOTH {
        let ran = complete(configuration, &bucket).run(&["config", "check"]).await;
        assert_eq!(ran.code, Some(0), "{configuration:?}: {ran:?}");
        assert!(!ran.stderr.contains("E!"), "{configuration:?}: {ran:?}");
    }
}

#[tokio::test]
async fn an_unset_variable_stops_the_start_by_its_name() {
    let bucket = influx().bucket("unset");
    let common =
        ["NODE_NAME", "INFLUXDB_URL", "INFLUXDB_ORG", "INFLUXDB_BUCKET", "INFLUXDB_TOKEN", "TAGLINE_ADMIN_TOKEN"];
    for configuration in BOTH {
        let own: &[&str] = match configuration {
            Configuration::Kubernetes => &["NAMESPACE"],
            Configuration::Host => &["CADDY_METRICS_URL", "TAGLINE_METRICS_URL"],
        };
        let contract: BTreeSet<String> = common.iter().chain(own).map(|name| (*name).to_owned()).collect();
        assert_eq!(needed(configuration), contract, "{configuration:?}");
        let without = contract.iter().map(|name| (name.as_str(), complete(configuration, &bucket).without(name)));
        // Set to nothing, as an empty key of a ConfigMap sets it, is no better than not set.
        let empty = ("INFLUXDB_TOKEN", complete(configuration, &bucket).variable("INFLUXDB_TOKEN", ""));
        for (name, setup) in without.chain([empty]) {
            let ran = setup.run(&[]).await;
            assert_eq!(ran.code, Some(1), "{configuration:?} without {name}: {ran:?}");
            assert!(ran.stderr.contains(&format!("required variable {name} is missing a value")), "{ran:?}");
            let secret = ran.stderr.contains(ADMIN_TOKEN) || ran.stderr.contains(bucket.token());
            assert!(!secret, "a token is in the log: {ran:?}");
        }
    }
}

#[test]
fn both_files_are_one_but_for_where_things_are_found() {
    let shared = |configuration| {
        let text = text(configuration);
        // Each table with its keys; comments explain the file that they stand in.
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.retain(|line| !line.is_empty() && !line.starts_with('#'));
        let found = [
            "urls = [\"${CADDY_METRICS_URL:?}\"]",
            "urls = [\"${TAGLINE_METRICS_URL:?}\"]",
            "monitor_kubernetes_pods",
            "kube",
            "pod_label_exclude",
            "pod_annotation_exclude",
            "[inputs.prometheus.tags]",
            "pod_name = ",
            "# Empty",
            "# Without these two",
        ];
        lines.retain(|line| !found.iter().any(|prefix| line.trim_start().starts_with(prefix)));
        lines.join("\n")
    };
    let [kubernetes, host] = BOTH.map(shared);
    assert!(kubernetes.len() > 3000, "{kubernetes}");
    assert_eq!(kubernetes, host);
}

/// A plugin that the tests' Telegraf has and no configuration names would let one pass that nobody meant.
#[test]
fn the_telegraf_of_the_tests_has_the_plugins_that_the_configurations_name() {
    let read = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let of_a_kind = |name: &str| ["inputs.", "outputs.", "processors."].iter().any(|kind| name.starts_with(kind));
    let build = read("tests/servers/telegraf/build");
    let built: BTreeSet<&str> = build.split_whitespace().filter(|word| of_a_kind(word)).collect();
    for file in ["telegraf/telegraf.conf", "telegraf/telegraf-host.conf"] {
        let text = read(file);
        let tables = text.lines().filter_map(|line| line.trim().strip_prefix("[[")?.strip_suffix("]]"));
        let named: BTreeSet<&str> = tables.filter(|name| of_a_kind(name) && name.matches('.').count() == 1).collect();
        assert_eq!(built, named, "{file}");
    }
}
