//! A container's files and variables, as a kubelet gives them to it, below a temporary folder.

use super::references::vault_files;
use crate::support::manifests::{Manifests, items, text};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

/// What each secret holds here; where it is shown, it has to be right in no other way than its length.
pub const SECRET: &str = "0123456789abcdef0123456789abcdef";

pub struct Mounted {
    folder: TempDir,
    /// With each path below the folder.
    pub variables: Vec<(String, String)>,
}

impl Mounted {
    /// For the container of this workload.
    pub fn of(all: &Manifests, name: &str) -> Self {
        let workload = all.workload(name);
        let mut mounted = Self {
            folder: TempDir::with_prefix("tagline-mounted-").expect("a temporary folder"),
            variables: Vec::new(),
        };
        for mount in items(&workload.container()["volumeMounts"]) {
            let path = text(&mount["mountPath"]);
            fs::create_dir_all(mounted.path(path)).expect("a folder in a temporary one");
            let volume = items(&workload.pod["volumes"]).iter().find(|volume| volume["name"] == mount["name"]);
            let volume = volume.unwrap_or(&Value::Null);
            let class = &volume["csi"]["volumeAttributes"]["secretProviderClass"];
            if volume["configMap"].is_object() {
                let map = all.get("ConfigMap", text(&volume["configMap"]["name"]))["data"].as_object();
                for (name, content) in map.expect("a ConfigMap holds files") {
                    mounted.write(&format!("{path}/{name}"), text(content));
                }
            } else if volume["secret"].is_object() {
                let secret = all.get("Secret", text(&volume["secret"]["secretName"]))["data"].as_object();
                for name in secret.expect("a Secret holds files").keys() {
                    mounted.write(&format!("{path}/{name}"), SECRET);
                }
            } else if class.is_string() {
                for name in vault_files(all.get("SecretProviderClass", text(class))) {
                    mounted.write(&format!("{path}/{name}"), SECRET);
                }
            }
        }
        for variable in items(&workload.container()["env"]) {
            let name = text(&variable["name"]);
            let from = &variable["valueFrom"];
            let value = match (workload.environment(all, name), &from["fieldRef"], &from["secretKeyRef"]) {
                (Some(value), _, _) => value,
                (None, field, Value::Null) if field["fieldPath"] == "metadata.namespace" => "tagline",
                (None, field, Value::Null) if field.is_object() => "tagline-0",
                (None, Value::Null, secret) if secret.is_object() => SECRET,
                _ => panic!("{name} has no value: {variable}"),
            };
            let words = value.split(' ').map(|word| match word.starts_with('/') {
                true => mounted.path(word).display().to_string(),
                false => word.to_owned(),
            });
            let value = words.collect::<Vec<_>>().join(" ");
            mounted.variables.push((name.to_owned(), value));
        }
        mounted
    }

    /// Where a path of the container is.
    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path.trim_start_matches('/'))
    }

    pub fn write(&self, path: &str, content: &str) {
        let path = self.path(path);
        fs::write(&path, content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// Takes a variable away.
    pub fn unset(&mut self, name: &str) {
        let before = self.variables.len();
        self.variables.retain(|(known, _)| known != name);
        assert_eq!(self.variables.len(), before - 1, "{name} is not set");
    }

    /// The variables, for a process.
    pub fn environment(&self) -> Vec<(&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }
}
