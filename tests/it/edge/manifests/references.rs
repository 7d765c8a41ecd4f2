//! Names: of volumes, ConfigMaps, Secrets and their keys, service accounts, and the namespace that all of it is in.

use crate::support::manifests::{Manifests, NAMESPACE, Workload, items, text};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Everything is in the namespace, which is made with it.
pub fn namespace(all: &Manifests) -> Vec<String> {
    let mut faults = Vec::new();
    if all.find("Namespace", NAMESPACE).is_none() {
        faults.push(format!("there is no Namespace {NAMESPACE}"));
    }
    for object in all.objects.iter().filter(|object| object["kind"] != "Namespace") {
        if object["metadata"]["namespace"] != NAMESPACE {
            faults.push(format!("{} is not in {NAMESPACE}", named(object)));
        }
        if object["metadata"]["labels"]["app.kubernetes.io/part-of"] != NAMESPACE {
            faults.push(format!("{} does not say that it is part of {NAMESPACE}", named(object)));
        }
    }
    faults
}

/// Every mount has its volume, and every volume is mounted.
pub fn volumes(all: &Manifests) -> Vec<String> {
    let mut faults = Vec::new();
    for workload in all.workloads() {
        let name = workload.name();
        let claims = items(&workload.object["spec"]["volumeClaimTemplates"]).iter().map(|claim| &claim["metadata"]);
        let volumes: Vec<_> =
            items(&workload.pod["volumes"]).iter().chain(claims).map(|volume| text(&volume["name"])).collect();
        let mounts = items(&workload.container()["volumeMounts"]);
        for mount in mounts.iter().filter(|mount| !volumes.contains(&text(&mount["name"]))) {
            faults.push(format!("{name} mounts {}, which is no volume of it", mount["name"]));
        }
        for volume in volumes.iter().filter(|volume| !mounts.iter().any(|mount| mount["name"] == **volume)) {
            faults.push(format!("{name} has a volume {volume}, and does not mount it"));
        }
        let paths: BTreeSet<_> = mounts.iter().map(|mount| text(&mount["mountPath"])).collect();
        if paths.len() != mounts.len() {
            faults.push(format!("{name} mounts two volumes at one path"));
        }
    }
    faults
}

/// What a pod finds at a mounted path.
enum Mounted {
    Files(Vec<String>),
    Writable,
}

/// Every ConfigMap and Secret that is named is there with the key that is named, and so is every file that a variable or an argument names.
pub fn references(all: &Manifests) -> Vec<String> {
    let mut faults = Vec::new();
    let synced = synced(all, &mut faults);
    let has = |kind: &str, object: &str, key: &str| {
        all.find(kind, object).is_some_and(|found| found["data"][key].is_string())
            || kind == "Secret" && synced.get(object).is_some_and(|keys| keys.contains(key))
    };
    for monitor in all.all("PodMonitor") {
        for endpoint in items(&monitor["spec"]["podMetricsEndpoints"]) {
            let token = &endpoint["authorization"]["credentials"];
            if !token.is_null() && !has("Secret", text(&token["name"]), text(&token["key"])) {
                faults.push(format!("{} asks with {token}, which is not there", named(monitor)));
            }
        }
    }
    for workload in all.workloads() {
        let name = workload.name();
        for variable in items(&workload.container()["env"]) {
            let from = &variable["valueFrom"];
            let (kind, reference) = match (&from["configMapKeyRef"], &from["secretKeyRef"]) {
                (Value::Null, Value::Null) => continue,
                (Value::Null, reference) => ("Secret", reference),
                (reference, _) => ("ConfigMap", reference),
            };
            let (object, key) = (text(&reference["name"]), text(&reference["key"]));
            if !has(kind, object, key) {
                faults.push(format!("{name}: {} comes from {kind} {object}, which has no {key}", variable["name"]));
            }
        }
        let mounted = mounted(all, workload, &mut faults);
        for path in paths(all, workload) {
            // The deepest mount is the one that is seen.
            let below = mounted.iter().filter(|(mount, _)| path.starts_with(&format!("{mount}/")) || path == **mount);
            match below.max_by_key(|(mount, _)| mount.len()) {
                None => faults.push(format!("{name} is told of {path}, and nothing is mounted there")),
                Some((mount, _)) if *mount == path => {}
                Some((_, Mounted::Writable)) => {}
                Some((mount, Mounted::Files(files))) => {
                    if !files.iter().any(|file| path == format!("{mount}/{file}")) {
                        faults.push(format!("{name} is told of {path}, and there is only {files:?} in {mount}"));
                    }
                }
            }
        }
    }
    faults
}

/// The Secrets that the CSI driver keeps, with their keys: of the classes that some pod mounts.
fn synced<'m>(all: &'m Manifests, faults: &mut Vec<String>) -> BTreeMap<&'m str, BTreeSet<&'m str>> {
    let mut secrets = BTreeMap::<_, BTreeSet<_>>::new();
    for class in all.all("SecretProviderClass") {
        let name = text(&class["metadata"]["name"]);
        let files = vault_files(class);
        let is_mounted = all.workloads().any(|workload| {
            items(&workload.pod["volumes"])
                .iter()
                .any(|volume| volume["csi"]["volumeAttributes"]["secretProviderClass"] == name)
        });
        if !is_mounted {
            faults.push(format!("no pod mounts the SecretProviderClass {name}: the driver does nothing for it"));
            continue;
        }
        for secret in items(&class["spec"]["secretObjects"]) {
            for datum in items(&secret["data"]) {
                if !files.iter().any(|file| datum["objectName"] == **file) {
                    faults.push(format!(
                        "SecretProviderClass {name} keeps {}, and reads only {files:?}",
                        datum["objectName"]
                    ));
                }
                secrets.entry(text(&secret["secretName"])).or_default().insert(text(&datum["key"]));
            }
        }
    }
    secrets
}

/// The files that a class makes of what is in the vault: each object's alias, or its name.
pub fn vault_files(class: &Value) -> Vec<String> {
    let objects = text(&class["spec"]["parameters"]["objects"]);
    let object = |part: &str| {
        let of = |key: &str| part.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix(": "));
        of("objectAlias").or(of("objectName")).unwrap_or_default().to_owned()
    };
    objects.split("- |").skip(1).map(object).collect()
}

/// What is mounted where in the workload's container.
fn mounted<'m>(all: &Manifests, workload: Workload<'m>, faults: &mut Vec<String>) -> BTreeMap<&'m str, Mounted> {
    let keys = |kind: &str, name: &Value| -> Option<Vec<String>> {
        let found = all.find(kind, text(name))?;
        Some(found["data"].as_object()?.keys().cloned().collect())
    };
    let mut mounts = BTreeMap::new();
    for mount in items(&workload.container()["volumeMounts"]) {
        let volumes = items(&workload.pod["volumes"]).iter();
        let volume = volumes.into_iter().find(|volume| volume["name"] == mount["name"]).unwrap_or(&Value::Null);
        let class = &volume["csi"]["volumeAttributes"]["secretProviderClass"];
        let files = if volume["configMap"].is_object() {
            keys("ConfigMap", &volume["configMap"]["name"])
        } else if volume["secret"].is_object() {
            keys("Secret", &volume["secret"]["secretName"])
        } else if class.is_string() {
            all.find("SecretProviderClass", text(class)).map(vault_files)
        } else {
            mounts.insert(text(&mount["mountPath"]), Mounted::Writable);
            continue;
        };
        if files.is_none() {
            faults.push(format!("{}: the volume {} is of something that is not there", workload.name(), mount["name"]));
        }
        mounts.insert(text(&mount["mountPath"]), Mounted::Files(files.unwrap_or_default()));
    }
    mounts
}

/// Every absolute path in the workload's variables and arguments.
fn paths<'m>(all: &'m Manifests, workload: Workload<'m>) -> Vec<&'m str> {
    let container = workload.container();
    let arguments = ["command", "args"].map(|list| items(&container[list])).into_iter().flatten().map(text);
    let variables = items(&container["env"]).iter();
    let values = variables.filter_map(|variable| workload.environment(all, text(&variable["name"])));
    let words = arguments.chain(values).flat_map(str::split_whitespace);
    words.filter(|word| word.starts_with('/')).collect()
}

/// Every pod runs as a service account that is there, and only Telegraf's has any rights: to read the namespace's pods.
pub fn accounts(all: &Manifests) -> Vec<String> {
    let mut faults = Vec::new();
    for workload in all.workloads() {
        let account = text(&workload.pod["serviceAccountName"]);
        if all.find("ServiceAccount", account).is_none() {
            faults.push(format!("{} runs as the service account {account:?}, which is not there", workload.name()));
        }
        if account != workload.name() {
            faults.push(format!("{} runs as another's service account, {account:?}", workload.name()));
        }
    }
    for binding in all.all("RoleBinding") {
        let role = text(&binding["roleRef"]["name"]);
        let subjects = items(&binding["subjects"]).iter();
        if subjects.map(|subject| text(&subject["name"])).ne(["telegraf"]) {
            faults.push(format!("{} gives rights to others than telegraf", named(binding)));
        }
        match all.find("Role", role) {
            None => faults.push(format!("{} is of the Role {role}, which is not there", named(binding))),
            Some(found) => {
                let rules = items(&found["rules"]);
                if rules.iter().any(|rule| rule["resources"] != serde_json::json!(["pods"])) {
                    faults.push(format!("the Role {role} gives more than pods"));
                }
            }
        }
    }
    for kind in ["ClusterRole", "ClusterRoleBinding"] {
        faults.extend(all.all(kind).map(|object| format!("{} reaches beyond the namespace", named(object))));
    }
    faults
}

/// No field still waits for its value.
pub fn placeholders(all: &Manifests) -> Vec<String> {
    let waiting = |object: &&Value| {
        let written = object.to_string();
        written.match_indices("from-").any(|(at, _)| written[at + 5..].starts_with(|c: char| c.is_ascii_uppercase()))
    };
    all.objects
        .iter()
        .filter(waiting)
        .map(|object| format!("{} has a field that no value was put into", named(object)))
        .collect()
}

/// Kind and name, for people.
pub fn named(object: &Value) -> String {
    format!("{} {}", text(&object["kind"]), text(&object["metadata"]["name"]))
}
