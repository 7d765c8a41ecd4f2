//! Every overlay builds, fits the schemas of Kubernetes, and carries each value to its place.

use crate::support::manifests::{Manifests, OVERLAYS, Sources, items, text, without_hash};
use crate::support::server_binary;
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

/// The oldest Kubernetes that the documents name, and the newest that there are schemas of.
const KUBERNETES: [&str; 2] = ["1.31", "1.37"];

/// Kinds of others, whose schemas are not among those of Kubernetes: the tests of the API server have them.
const OTHERS: [&str; 1] = ["SecretProviderClass"];

fn folders() -> Vec<String> {
    let overlays = OVERLAYS.iter().map(|overlay| format!("overlays/{overlay}"));
    overlays.chain(["base".to_owned()]).collect()
}

/// What `kubernetes-validate --strict` says of each object.
fn validate(yaml: &str, version: &str) -> Vec<String> {
    let binary = server_binary("kubernetes-validate").unwrap_or_else(|error| panic!("{error}"));
    let mut child = Command::new(binary)
        .args(["--strict", "--kubernetes-version", version, "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("kubernetes-validate runs");
    let mut stdin = child.stdin.take().expect("stdin is a pipe");
    let ran = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(yaml.as_bytes()).ok());
        child.wait_with_output().expect("a child can be waited for")
    });
    let said = [ran.stdout, ran.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    said.lines().map(str::to_owned).collect()
}

#[test]
fn every_overlay_builds_the_same_by_kustomize_and_by_kubectl() {
    let sources = Sources::copy();
    for folder in folders() {
        assert_eq!(sources.build(&folder), sources.build_with_kubectl(&folder), "{folder}");
    }
}

#[test]
fn every_overlay_fits_the_schemas_of_the_oldest_and_the_newest_kubernetes() {
    let sources = Sources::copy();
    for overlay in OVERLAYS {
        let folder = format!("overlays/{overlay}");
        let yaml = sources.build(&folder);
        let all = Manifests::read(&yaml);
        let others = all.objects.iter().filter(|object| OTHERS.contains(&text(&object["kind"]))).count();
        for version in KUBERNETES {
            let said = validate(&yaml, version);
            let passed = said.iter().filter(|line| line.starts_with("INFO ") && line.contains(" passed ")).count();
            let unknown = said.iter().filter(|line| line.starts_with("WARN ") && line.contains("Couldn't find schema"));
            assert_eq!(unknown.count(), others, "{folder}, {version}: {said:#?}");
            assert_eq!(passed + others, all.objects.len(), "{folder}, {version}: {said:#?}");
            assert_eq!(said.len(), all.objects.len(), "{folder}, {version}: {said:#?}");
        }
    }
}

#[test]
fn an_unknown_field_and_a_wrong_type_are_refused() {
    let sources = Sources::copy();
    sources.edit("base/gateway.yaml", "minReadySeconds: 45", "minReadySecond: 45");
    sources.edit("base/caddy.yaml", "replicas: 2", "replicas: two");
    let yaml = sources.build("overlays/aks");
    for version in KUBERNETES {
        let said = validate(&yaml, version);
        let refused: Vec<_> = said.iter().filter(|line| line.starts_with("ERROR ")).collect();
        assert_eq!(refused.len(), 2, "{version}: {said:#?}");
        for (object, why) in [("statefulset/tagline", "minReadySecond"), ("deployment/caddy", "two")] {
            let named = refused.iter().any(|line| line.contains(object) && line.contains(why));
            assert!(named, "{object} is not refused for {why}, {version}: {refused:#?}");
        }
    }
}

#[test]
fn the_secrets_of_the_local_overlay_are_made_once_and_never_overwritten() {
    let sources = Sources::copy();
    let folder = sources.path("overlays/local/made");
    let read = || -> Vec<(String, String)> {
        let entries = fs::read_dir(&folder).expect("the folder is made").map(|entry| entry.expect("a file"));
        let mut files: Vec<_> = entries
            .map(|entry| {
                assert_eq!(
                    entry.metadata().expect("a file").permissions().mode() & 0o077,
                    0,
                    "{:?} is for others",
                    entry
                );
                let content = fs::read_to_string(entry.path()).expect("a secret is text");
                (entry.file_name().to_string_lossy().into_owned(), content)
            })
            .collect();
        files.sort();
        files
    };
    let first = read();
    assert_eq!(first.len(), 4);
    let different: BTreeSet<_> = first.iter().map(|(_, secret)| secret).collect();
    assert_eq!(different.len(), 4, "two secrets are the same");
    assert!(first.iter().all(|(_, secret)| secret.len() == 64 && secret.bytes().all(|byte| byte.is_ascii_hexdigit())));

    fs::remove_file(folder.join("admin-token")).expect("it is there");
    assert!(sources.secrets(&[]).status.success());
    let second = read();
    for (old, new) in first.iter().zip(&second) {
        assert_eq!(old.0, new.0);
        assert_eq!(old.1 != new.1, old.0 == "admin-token", "{}", old.0);
    }

    let help = sources.secrets(&["--help"]);
    assert!(help.status.success() && String::from_utf8_lossy(&help.stdout).contains("admin-token"));
    let wrong = sources.secrets(&["--force"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("--force"));
    assert_eq!(read(), second);

    let repository = env!("CARGO_MANIFEST_DIR");
    let ignored = Command::new("git")
        .args(["-C", repository, "check-ignore", "--quiet", "k8s/overlays/local/made/admin-token"])
        .status();
    assert!(ignored.is_ok_and(|status| status.success()), "git would take the secrets");
}

/// A relative path, and a shell that exports CDPATH: `cd` goes by it, and prints where it went.
#[test]
fn the_secrets_are_made_beside_their_script_whatever_cdpath_says() {
    let sources = Sources::copy();
    let made = sources.path("overlays/local/made");
    fs::remove_dir_all(&made).expect("it was made with the copy");
    let mut script = Command::new("bash");
    script.arg("overlays/local/secrets").current_dir(sources.path(".")).env("CDPATH", ".");
    let output = script.output().expect("bash runs");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(fs::read_dir(&made).expect("the folder is made there").count(), 4);
}

/// What a component needs is said by the build, and not by a pod that does not start.
#[test]
fn forward_auth_without_its_value_is_refused_by_the_build() {
    let sources = Sources::copy();
    sources.add("overlays/aks", &["forward-auth"]);
    let refused = sources.try_build("overlays/aks").expect_err("no AUTH_UPSTREAM is there");
    assert!(refused.contains("data.AUTH_UPSTREAM"), "{refused}");
    sources.edit("overlays/aks/values.env", "INSTANCE=", "AUTH_UPSTREAM=verifier.identity.svc:9000\nINSTANCE=");
    let built = Manifests::read(&sources.build("overlays/aks"));
    let way = built.get("NetworkPolicy", "caddy-to-auth").to_string();
    assert!(way.contains("{\"kubernetes.io/metadata.name\":\"identity\"}"), "{way}");
}

/// A change of each value changes more than the ConfigMap that it stands in, or a container reads it by its name.
#[test]
fn each_value_that_a_reader_fills_in_reaches_its_place() {
    for overlay in OVERLAYS {
        let sources = Sources::copy();
        let file = format!("overlays/{overlay}/values.env");
        let before = Manifests::read(&sources.build(&format!("overlays/{overlay}")));
        let values = fs::read_to_string(sources.path(&file)).expect("the values can be read");
        let lines: Vec<_> = values.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
        assert!(lines.len() >= 7, "{overlay}: {lines:?}");
        for line in lines {
            let (key, value) = line.split_once('=').unwrap_or_else(|| panic!("{file}: {line}"));
            assert!(!value.trim().is_empty() && value == value.trim(), "{file}: {line:?}");
            let by_name = before.workloads().any(|workload| {
                let variables = items(&workload.container()["env"]).iter();
                variables.into_iter().any(|variable| variable["valueFrom"]["configMapKeyRef"]["key"] == key)
            });
            // The second part of a host's name is its namespace; elsewhere a dot changes nothing.
            sources.edit(&file, line, &format!("{key}=x.changed.{value}"));
            let after = Manifests::read(&sources.build(&format!("overlays/{overlay}")));
            sources.edit(&file, &format!("{key}=x.changed.{value}"), line);
            let others = |all: &Manifests| -> Vec<String> {
                let others = all.objects.iter().filter(|object| object["kind"] != "ConfigMap");
                others.map(|object| without_hashes(&object.to_string())).collect()
            };
            let elsewhere = others(&before) != others(&after);
            assert!(by_name || elsewhere, "{file}: nobody uses {key}");
            if ["INFLUXDB_URL", "APP_UPSTREAMS"].contains(&key) {
                assert!(by_name && elsewhere, "{file}: {key} is for a container and for a NetworkPolicy");
            }
        }
    }
}

/// Names of `tagline-values` without their hash, which changes with every value.
fn without_hashes(object: &str) -> String {
    let parts =
        object.split('"').map(|part| if part.starts_with("tagline-values-") { without_hash(part) } else { part });
    parts.collect::<Vec<_>>().join("\"")
}

#[test]
fn the_image_that_one_is_told_to_build_is_the_one_that_the_overlay_runs() {
    for (overlay, command) in [("aks", "az acr build --registry REGISTRY --image "), ("local", "docker build --tag ")] {
        let sources = Sources::copy();
        let file = sources.path(&format!("overlays/{overlay}/kustomization.yaml"));
        let told = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let told = told.split_once(command).and_then(|(_, rest)| rest.split_whitespace().next());
        let overlay = Manifests::read(&sources.build(&format!("overlays/{overlay}")));
        let runs = text(&overlay.workload("tagline").container()["image"]);
        assert_eq!(told, runs.rsplit('/').next(), "{runs}");
    }
}
