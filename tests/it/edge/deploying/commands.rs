//! The commands for kubectl in documents, manifests and alerts: kubectl takes them, and what they name is there.

use super::read;
use crate::support::manifests::{NAMESPACE, OVERLAYS, Workload, items, manifests, text};
use crate::support::server_binary;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A command, and where it stands.
#[derive(Debug)]
struct Told {
    place: String,
    words: Vec<String>,
}

/// The files that tell a reader to run something.
fn pages() -> Vec<PathBuf> {
    let mut found = vec![root().join("README.md")];
    for folder in ["docs", "k8s", "telegraf"] {
        collect(&root().join(folder), &mut found);
    }
    found.sort();
    found
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("a folder can be read to its end").path();
        // What the script of the local overlay makes is no text for readers.
        match path.is_dir() {
            true if path.ends_with("made") => {}
            true => collect(&path, found),
            false => found.push(path),
        }
    }
}

/// The commands of a text: lines that begin with one (also in a comment, or behind `&&`), and code spans.
fn commands(text: &str) -> Vec<Vec<String>> {
    let text = text.replace("\\\n", " ");
    let mut found = Vec::new();
    for line in text.lines() {
        let bare = line.trim().trim_start_matches('#').trim();
        let bare = bare.strip_prefix("first_command: ").unwrap_or(bare);
        let spans = line.split('`').skip(1).step_by(2).filter(|_| !line.trim_start().starts_with("```"));
        for candidate in std::iter::once(bare).chain(spans) {
            let parts = candidate.split(" && ").flat_map(|part| part.split(" | "));
            // Of a sentence that happens to begin with the word, the second one is none of kubectl's: that is found below.
            let parts = parts.map(str::trim).filter(|part| part.starts_with("kubectl "));
            // The line as a whole is prose where its commands stand in spans.
            let parts = parts.filter(|part| !part.contains('`'));
            found.extend(parts.map(words));
        }
    }
    found
}

/// A command's words, up to what is for the shell.
fn words(command: &str) -> Vec<String> {
    let words = command.split_whitespace().take_while(|word| !matches!(*word, "&" | "|" | "#" | ">" | "<" | "…"));
    words.map(|word| word.trim_matches(['\'', '"']).to_owned()).collect()
}

fn told() -> Vec<Told> {
    let pages = pages();
    let all = pages.iter().flat_map(|page| {
        let place = page.strip_prefix(root()).expect("below the root").display().to_string();
        // A script's commands hold variables, and tests of their own run it.
        let text = Some(read(&place)).filter(|text| !text.starts_with("#!")).unwrap_or_default();
        commands(&text).into_iter().map(move |words| Told { place: place.clone(), words })
    });
    all.collect()
}

/// What kubectl says against it: with `--help` it reads all of its flags and does nothing.
fn refused(words: &[String]) -> Option<String> {
    let kubectl = server_binary("kubectl").unwrap_or_else(|error| panic!("{error}"));
    let (before, after) = words.split_at(words.iter().position(|word| word == "--").unwrap_or(words.len()));
    let mut command = Command::new(kubectl);
    command.args(&before[1..]).arg("--help").args(after).env("KUBECONFIG", "/nonexistent");
    let ran = command.output().expect("kubectl can be started");
    let usage = String::from_utf8_lossy(&ran.stdout);
    if !ran.status.success() {
        return Some(String::from_utf8_lossy(&ran.stderr).trim().to_owned());
    }
    // Asked for a command that it does not have, of those that have commands of their own, it shows which ones there are.
    let lists_commands = usage.contains("SUBCOMMAND") || usage.contains("Basic Commands");
    lists_commands.then(|| "kubectl has no such command".to_owned())
}

/// The value of `-n` or `--namespace`.
fn namespace(words: &[String]) -> Option<&str> {
    let at = words.iter().position(|word| matches!(word.as_str(), "-n" | "--namespace"))?;
    words.get(at + 1).map(String::as_str)
}

/// What a command names that is in no overlay.
fn unknown(words: &[String]) -> Vec<String> {
    let mut faults = Vec::new();
    if namespace(words).is_some_and(|name| name == EXAMPLE_INFLUXDB.0) {
        // The reader's own InfluxDB, which values.env names as an example.
        let url = format!("http://{}.{}.svc:8086", EXAMPLE_INFLUXDB.1, EXAMPLE_INFLUXDB.0);
        let there = manifests("aks").value("tagline-values", "INFLUXDB_URL") == Some(&url);
        let named = words.iter().any(|word| *word == format!("service/{}", EXAMPLE_INFLUXDB.1));
        return if there && named { faults } else { vec!["it is not the InfluxDB of values.env".to_owned()] };
    }
    if namespace(words) == Some(GRAFANA) && words.iter().any(|word| word == "-") {
        // The reader's own Grafana, which takes what a pipe made.
        return faults;
    }
    faults
        .extend(namespace(words).filter(|name| *name != NAMESPACE).map(|name| format!("there is no namespace {name}")));
    let known = objects();
    let mut kind: Option<&str> = None;
    let own = words.iter().position(|word| word == "--").unwrap_or(words.len());
    for word in &words[1..own] {
        let object = match (word.split_once('/'), kind) {
            (Some((kind, name)), _) if kind.bytes().all(|byte| byte.is_ascii_lowercase()) && !name.contains('/') => {
                Some((kind, name))
            }
            (None, Some(kind)) if !word.starts_with('-') => Some((kind, word.as_str())),
            (None, None) if is_pod(word) => Some(("pod", word.as_str())),
            _ => None,
        };
        if let Some((kind, name)) = object.filter(|object| !known.contains(&(object.0.to_owned(), object.1.to_owned())))
        {
            faults.push(format!("there is no {kind} {name}"));
        }
        kind = KINDS.into_iter().find(|kind| kind == word);
    }
    let files = words.iter().zip(words.iter().skip(1)).filter(|(option, _)| matches!(option.as_str(), "-k" | "-f"));
    faults.extend(files.filter(|(_, path)| !root().join(path).exists()).map(|(_, path)| format!("there is no {path}")));
    faults
}

/// The namespace of the Grafana that docs/dashboards.md speaks of.
const GRAFANA: &str = "monitoring";

/// Namespace and name of the InfluxDB that the guide takes for an example.
const EXAMPLE_INFLUXDB: (&str, &str) = ("observability", "influxdb");

const KINDS: [&str; 6] = ["statefulset", "deployment", "daemonset", "service", "persistentvolumeclaim", "pod"];

fn is_pod(word: &str) -> bool {
    word.rsplit_once('-')
        .is_some_and(|(name, number)| name == "tagline" && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Each kind and name that is in the cluster, with the pods and claims that StatefulSets make.
fn objects() -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for overlay in OVERLAYS {
        let all = manifests(overlay);
        for object in &all.objects {
            found.insert((text(&object["kind"]).to_lowercase(), text(&object["metadata"]["name"]).to_owned()));
        }
        let sets = all.workloads().filter(|workload| workload.object["kind"] == "StatefulSet");
        for Workload { object, .. } in sets {
            let name = text(&object["metadata"]["name"]);
            for number in 0..object["spec"]["replicas"].as_u64().expect("a number of replicas") {
                found.insert(("pod".to_owned(), format!("{name}-{number}")));
                for claim in items(&object["spec"]["volumeClaimTemplates"]) {
                    let claim = text(&claim["metadata"]["name"]);
                    found.insert(("persistentvolumeclaim".to_owned(), format!("{claim}-{name}-{number}")));
                }
            }
        }
    }
    found
}

#[test]
fn kubectl_takes_every_command_that_a_reader_is_told() {
    let told = told();
    assert!(told.len() >= 25, "{told:?}");
    let mut asked = BTreeSet::new();
    let faults = told.iter().filter(|told| asked.insert(&told.words)).filter_map(|told| {
        let fault = refused(&told.words)?;
        Some(format!("{}: {}: {fault}", told.place, told.words.join(" ")))
    });
    let faults: Vec<_> = faults.collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn what_a_command_for_kubectl_names_is_there() {
    let faults = told().into_iter().flat_map(|Told { place, words }| {
        let faults = unknown(&words);
        faults.into_iter().map(move |fault| format!("{place}: {}: {fault}", words.join(" ")))
    });
    let faults: Vec<_> = faults.collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_wrong_command_is_noticed() {
    for wrong in [
        "kubectl rollot status statefulset/tagline",
        "kubectl rollout restrat deployment/caddy",
        "kubectl get pods --wach",
        "kubectl -n tagline exec --no-such-flag tagline-0 -- tagline spool",
    ] {
        assert!(refused(&words(wrong)).is_some(), "{wrong}");
    }
    for wrong in [
        "kubectl -n taglin get pods",
        "kubectl -n tagline rollout status statefulset/gateway",
        "kubectl -n tagline rollout status deployment/tagline",
        "kubectl -n tagline rollout status deploy/caddi",
        "kubectl -n tagline delete statefulset caddy",
        "kubectl -n tagline exec tagline-7 -- tagline spool",
        "kubectl -n tagline delete persistentvolumeclaim/data-tagline-1",
        "kubectl -n observability port-forward service/influx 8086:8086",
        "kubectl apply -k k8s/overlays/azure",
    ] {
        assert!(!unknown(&words(wrong)).is_empty(), "{wrong}");
    }
    let text =
        "Say `kubectl get pods`, then\n#   kubectl get nodes | wc -l\n```sh\nkubectl wait pod \\\n  --all &\n```\n";
    let found: Vec<String> = commands(text).iter().map(|words| words.join(" ")).collect();
    assert_eq!(found, ["kubectl get pods", "kubectl get nodes", "kubectl wait pod --all"]);
}

#[test]
fn the_image_that_is_built_is_the_one_that_the_overlay_runs() {
    let runs = text(&manifests("aks").workload("tagline").container()["image"]);
    let (registry, image) = runs.split_once('/').expect("a registry and a name");
    assert_eq!((registry, image), ("REGISTRY.azurecr.io", concat!("tagline:", env!("CARGO_PKG_VERSION"))));
    for place in ["README.md", "docs/deploy-aks.md", "k8s/overlays/aks/kustomization.yaml"] {
        let text = read(place);
        let builds =
            text.lines().filter_map(|line| line.split_once("az acr build --registry ")?.1.split_once("--image "));
        let built: Vec<&str> = builds.filter_map(|(_, rest)| rest.split(' ').next()).collect();
        assert!(built.contains(&image), "{place}: {built:?}");
        assert!(built.iter().all(|built| [image, "tagline:NEXT"].contains(built)), "{place}: {built:?}");
    }
}
