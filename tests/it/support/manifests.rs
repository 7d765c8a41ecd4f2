//! What kustomize makes of `k8s/`, as JSON.
//!
//! The overlays are built in a copy of the repository's folders, so that the secrets which the local one needs are made there, by its own
//! script. The YAML is read by `kubectl`: what it takes for a number or a flag is what a cluster gets.

use super::server_binary;
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use tempfile::TempDir;

/// The overlays that a reader deploys.
pub const OVERLAYS: [&str; 2] = ["aks", "local"];

/// The overlay `aks` with every component that one may add, taken as the components' own comments say.
pub const EXTENDED: &str = "aks with all components";

/// The namespace that everything is in.
pub const NAMESPACE: &str = "tagline";

/// Every object of an overlay.
#[derive(Clone, Debug)]
pub struct Manifests {
    pub objects: Vec<Value>,
}

/// An overlay as it stands in the repository, or [`EXTENDED`]; built once.
pub fn manifests(overlay: &str) -> &'static Manifests {
    static BUILT: OnceLock<Vec<(&str, Manifests)>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let sources = Sources::copy();
        let read = |overlay: &str| Manifests::read(&sources.build(&format!("overlays/{overlay}")));
        let mut built: Vec<_> = OVERLAYS.map(|overlay| (overlay, read(overlay))).into();
        sources.add("overlays/aks", &["prometheus-operator", "forward-auth"]);
        sources.edit("overlays/aks/values.env", "INSTANCE=", "AUTH_UPSTREAM=verifier.identity.svc:9000\nINSTANCE=");
        built.push((EXTENDED, read("aks")));
        built
    });
    let found = built.iter().find(|(name, _)| *name == overlay);
    &found.unwrap_or_else(|| panic!("there is no overlay {overlay}; there are: {OVERLAYS:?}")).1
}

/// A copy of `k8s/` and `telegraf/`, with the secrets of the local overlay made.
pub struct Sources {
    folder: TempDir,
}

impl Sources {
    pub fn copy() -> Self {
        let folder = TempDir::with_prefix("tagline-manifests-").expect("a temporary folder");
        let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
        for name in ["k8s", "telegraf"] {
            copy(&repository.join(name), &folder.path().join(name));
        }
        let sources = Self { folder };
        let made = sources.secrets(&[]);
        assert!(made.status.success(), "k8s/overlays/local/secrets: {}", String::from_utf8_lossy(&made.stderr));
        sources
    }

    /// A file or folder of the copy, named as in `k8s/`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("k8s").join(name)
    }

    /// Runs the script that makes the secrets of the local overlay.
    pub fn secrets(&self, arguments: &[&str]) -> Output {
        let script = self.path("overlays/local/secrets");
        Command::new(&script).args(arguments).output().unwrap_or_else(|error| panic!("{}: {error}", script.display()))
    }

    /// Replaces text in a file of the copy; it has to be there.
    pub fn edit(&self, name: &str, old: &str, new: &str) {
        let path = self.path(name);
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(text.contains(old), "{name} does not hold {old:?}");
        fs::write(&path, text.replace(old, new)).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// Adds components to an overlay of the copy.
    pub fn add(&self, overlay: &str, components: &[&str]) {
        let list = "components:\n".to_owned();
        let more = components.iter().fold(list.clone(), |more, name| more + &format!("  - ../../components/{name}\n"));
        self.edit(&format!("{overlay}/kustomization.yaml"), &list, &more);
    }

    /// `kustomize build` of a folder below `k8s/`.
    pub fn build(&self, name: &str) -> String {
        self.try_build(name).unwrap_or_else(|said| panic!("{said}"))
    }

    /// The same, or what kustomize says against it.
    pub fn try_build(&self, name: &str) -> Result<String, String> {
        output("kustomize", &["build"], &self.path(name), "")
    }

    /// The same by the kustomize that is in kubectl, which `kubectl apply -k` uses.
    pub fn build_with_kubectl(&self, name: &str) -> String {
        output("kubectl", &["kustomize"], &self.path(name), "").unwrap_or_else(|said| panic!("{said}"))
    }
}

impl Manifests {
    /// Reads what kustomize wrote, with the eyes of kubectl, which needs no cluster for that.
    pub fn read(yaml: &str) -> Self {
        let patch = ["patch", "--local", "--type=merge", "--patch={}", "--output=json", "--filename"];
        let json = output("kubectl", &patch, Path::new("-"), yaml).unwrap_or_else(|said| panic!("{said}"));
        let objects = serde_json::Deserializer::from_str(&json).into_iter();
        let objects: Vec<Value> = objects.map(|object| object.expect("kubectl writes JSON")).collect();
        assert!(!objects.is_empty(), "there is no object in:\n{yaml}");
        Self { objects }
    }

    /// All objects of a kind.
    pub fn all<'m>(&'m self, kind: &'m str) -> impl Iterator<Item = &'m Value> {
        self.objects.iter().filter(move |object| object["kind"] == kind)
    }

    /// The object of this kind and name. The hash that kustomize adds to a name need not be named.
    pub fn find(&self, kind: &str, name: &str) -> Option<&Value> {
        self.objects.iter().find(|object| is(object, kind, name))
    }

    /// The same, which has to be there.
    pub fn get(&self, kind: &str, name: &str) -> &Value {
        self.find(kind, name).unwrap_or_else(|| panic!("there is no {kind} {name}"))
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, kind: &str, name: &str) -> &mut Value {
        let found = self.objects.iter_mut().find(|object| is(object, kind, name));
        found.unwrap_or_else(|| panic!("there is no {kind} {name}"))
    }

    /// What makes pods.
    pub fn workloads(&self) -> impl Iterator<Item = Workload<'_>> {
        let kinds = ["StatefulSet", "Deployment", "DaemonSet"];
        let made = self.objects.iter().filter(move |object| kinds.iter().any(|kind| object["kind"] == *kind));
        made.map(|object| Workload { object, pod: &object["spec"]["template"]["spec"] })
    }

    /// The workload of this name.
    pub fn workload(&self, name: &str) -> Workload<'_> {
        self.workloads()
            .find(|workload| workload.name() == name)
            .unwrap_or_else(|| panic!("there is no workload {name}"))
    }

    /// A value of a ConfigMap.
    pub fn value(&self, config_map: &str, key: &str) -> Option<&str> {
        self.find("ConfigMap", config_map)?["data"][key].as_str()
    }
}

/// A StatefulSet, Deployment or DaemonSet. Each pod has one container.
#[derive(Clone, Copy, Debug)]
pub struct Workload<'m> {
    pub object: &'m Value,
    pub pod: &'m Value,
}

impl<'m> Workload<'m> {
    pub fn name(&self) -> &'m str {
        text(&self.object["metadata"]["name"])
    }

    pub fn container(&self) -> &'m Value {
        &self.pod["containers"][0]
    }

    /// The labels of its pods.
    pub fn labels(&self) -> &'m Value {
        &self.object["spec"]["template"]["metadata"]["labels"]
    }

    /// The number of a port by its name.
    pub fn port(&self, name: &str) -> Option<u64> {
        let ports = items(&self.container()["ports"]);
        ports.iter().find(|port| port["name"] == name)?["containerPort"].as_u64()
    }

    /// A variable as it stands in the manifest: `value`, or `valueFrom`.
    pub fn variable(&self, name: &str) -> Option<&'m Value> {
        items(&self.container()["env"]).iter().find(|variable| variable["name"] == name)
    }

    /// A variable's value, also one of a ConfigMap. `None` where it is not set, or comes from elsewhere.
    pub fn environment(&self, all: &'m Manifests, name: &str) -> Option<&'m str> {
        let variable = self.variable(name)?;
        let reference = &variable["valueFrom"]["configMapKeyRef"];
        match variable["value"].as_str() {
            Some(value) => Some(value),
            None => all.value(reference["name"].as_str()?, reference["key"].as_str()?),
        }
    }
}

/// The elements of a list; none where there is no list.
pub fn items(list: &Value) -> &[Value] {
    list.as_array().map_or(&[], Vec::as_slice)
}

/// A text; empty where there is none.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A name as it was before kustomize added a hash to it: `-` and ten characters of those that it takes.
pub fn without_hash(name: &str) -> &str {
    match name.rsplit_once('-') {
        Some((stem, hash)) if hash.len() == 10 && hash.bytes().all(|byte| b"2456789bcdfghkmt".contains(&byte)) => stem,
        _ => name,
    }
}

fn is(object: &Value, kind: &str, name: &str) -> bool {
    let named = text(&object["metadata"]["name"]);
    object["kind"] == kind && (named == name || without_hash(named) == name)
}

/// What a program prints, with `input` on its stdin; or what it says when it fails.
fn output(program: &str, arguments: &[&str], operand: &Path, input: &str) -> Result<String, String> {
    let binary = server_binary(program).unwrap_or_else(|error| panic!("{error}"));
    let mut child = Command::new(binary)
        .args(arguments)
        .arg(operand)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program} does not run: {error}"));
    // From a thread of its own: neither side waits for the other however much there is.
    let mut stdin = child.stdin.take().expect("stdin is a pipe");
    let ran = std::thread::scope(|scope| {
        // A program that ends before it has read everything says why by itself.
        scope.spawn(move || stdin.write_all(input.as_bytes()).ok());
        child.wait_with_output().expect("a child can be waited for")
    });
    if !ran.status.success() {
        let said = String::from_utf8_lossy(&ran.stderr);
        return Err(format!("{program} {arguments:?} {}: {said}", operand.display()));
    }
    Ok(String::from_utf8(ran.stdout).expect("YAML and JSON are UTF-8"))
}

/// Copies a folder, but for the secrets that somebody may have made in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap_or_else(|error| panic!("{}: {error}", to.display()));
    for entry in fs::read_dir(from).unwrap_or_else(|error| panic!("{}: {error}", from.display())) {
        let entry = entry.expect("a folder can be read to its end");
        let (path, copied) = (entry.path(), to.join(entry.file_name()));
        match path.is_dir() {
            true if entry.file_name() == "made" => {}
            true => copy(&path, &copied),
            false => {
                fs::copy(&path, &copied).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            }
        }
    }
}
