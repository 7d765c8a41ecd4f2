//! A cluster in which `k8s/scale-in` can play: what the controllers and the kubelet would do, the test does.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::Ran;
use crate::support::cluster::Cluster;
use crate::support::manifests::Sources;
use crate::support::process::Process;

/// How long one step of the script may take on a busy machine.
const STEP: Duration = Duration::from_secs(60);

/// The Job of the replica that goes, and its volume.
const JOB: &str = "tagline-1-drain";
const CLAIM: &str = "spool-tagline-1";

/// A cluster with an overlay, and pods and volumes of the gateway.
pub struct Stage {
    pub cluster: Cluster,
}

/// `k8s/scale-in`, while it runs.
pub struct Script {
    process: Process,
    output: TempDir,
}

impl Script {
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.output.path().join("stderr")).unwrap_or_default()
    }

    /// Fails the test if it has ended before its time.
    fn check(&mut self) {
        let ended = self.process.exit_status();
        assert!(ended.is_none(), "it ended before its time: {ended:?}\n{}", self.said());
    }
}

impl Stage {
    /// The overlay is applied, and its gateway runs with so many replicas.
    pub async fn set(overlay: &str, replicas: u64) -> Self {
        let (cluster, sources) = (Cluster::start().await, Sources::copy());
        cluster.done(&["apply", "--server-side", "-f", "tests/fixtures/kubernetes"]).await;
        cluster.done(&["wait", "--for", "condition=Established", "--timeout", "60s", "crd", "--all"]).await;
        let folder = sources.path(&format!("overlays/{overlay}")).display().to_string();
        cluster.done(&["apply", "--server-side", "-k", &folder]).await;
        let stage = Self { cluster };
        let set = stage.get("statefulset/tagline").await;
        let template = stage.cluster.template("statefulset/tagline").await;
        for n in 0..replicas {
            let name = format!("tagline-{n}");
            let claim = json!({
                "apiVersion": "v1", "kind": "PersistentVolumeClaim",
                "metadata": { "name": format!("spool-{name}"), "namespace": "tagline" },
                "spec": set["spec"]["volumeClaimTemplates"][0]["spec"],
            });
            for object in [claim, template.pod(&name, &format!("node-{n}"))] {
                let ran = stage.cluster.create(&object).await;
                assert_eq!(ran.code, Some(0), "{ran:?}");
            }
        }
        stage.patch("statefulset/tagline", None, &json!({ "spec": { "replicas": replicas } })).await;
        stage.status(replicas, replicas, "tagline-a").await;
        stage
    }

    /// What the StatefulSet's controller says of it.
    pub async fn status(&self, replicas: u64, ready: u64, update: &str) {
        let status = json!({ "status": {
            "replicas": replicas, "readyReplicas": ready, "availableReplicas": ready, "currentReplicas": replicas,
            "currentRevision": "tagline-a", "updateRevision": update,
        }});
        self.patch("statefulset/tagline", Some("status"), &status).await;
    }

    pub async fn patch(&self, object: &str, subresource: Option<&str>, patch: &Value) {
        let patch = patch.to_string();
        let mut arguments = vec!["patch", object, "--namespace", "tagline", "--type", "merge", "--patch", &patch];
        arguments.extend(subresource.iter().flat_map(|name| ["--subresource", name]));
        self.cluster.done(&arguments).await;
    }

    pub async fn get(&self, object: &str) -> Value {
        self.cluster.json(&["get", object, "--namespace", "tagline"]).await
    }

    /// `jsonpath` of an object, empty where there is neither.
    async fn look(&self, object: &str, jsonpath: &str) -> String {
        let output = format!("jsonpath={jsonpath}");
        self.cluster.done(&["get", object, "--namespace", "tagline", "--ignore-not-found", "--output", &output]).await
    }

    pub async fn has(&self, object: &str) -> bool {
        !self.look(object, "{.metadata.name}").await.is_empty()
    }

    /// Starts the script with these arguments.
    pub fn scale_in(&self, arguments: &[&str]) -> Script {
        let output = TempDir::with_prefix("tagline-scale-in-").expect("a temporary folder");
        let mut command = self.cluster.command(&Path::new(env!("CARGO_MANIFEST_DIR")).join("k8s/scale-in"));
        let file = |name: &str| File::create(output.path().join(name)).expect("a file in a new folder");
        command.args(arguments).stdout(file("stdout")).stderr(file("stderr"));
        let process = Process::spawn("scale-in", command, output.path());
        Script { process, output }
    }

    /// Waits until the script has asked for so many replicas.
    pub async fn has_replicas(&self, replicas: u64, script: &mut Script) {
        self.until(script, async || {
            let now = self.look("statefulset/tagline", "{.spec.replicas}").await;
            if now == replicas.to_string() { Ok(()) } else { Err(format!("{now} replicas")) }
        })
        .await;
    }

    /// The pod of the replica that goes is gone.
    pub async fn pod_ends(&self) {
        self.cluster.ends("tagline-1").await;
        self.status(1, 1, "tagline-a").await;
    }

    /// Waits for the Job; the description of its pod, which the namespace's rules let in.
    pub async fn job(&self, script: &mut Script) -> Value {
        self.until(script, async || {
            if self.has(&format!("job/{JOB}")).await { Ok(()) } else { Err("there is no Job yet".to_owned()) }
        })
        .await;
        let template = self.get(&format!("job/{JOB}")).await["spec"]["template"].take();
        let mut pod =
            json!({ "apiVersion": "v1", "kind": "Pod", "metadata": template["metadata"], "spec": template["spec"] });
        pod["metadata"]["name"] = format!("{JOB}-{}", fastrand::u32(..)).into();
        pod["metadata"]["namespace"] = "tagline".into();
        let ran = self.cluster.create(&pod).await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        template["spec"].clone()
    }

    /// The Job that takes the place of one that had ended.
    pub async fn next_job(&self, script: &mut Script) -> Value {
        let job = format!("job/{JOB}");
        let old = self.look(&job, "{.metadata.uid}").await;
        self.until(script, async || {
            self.collect_garbage().await;
            let now = self.look(&job, "{.metadata.uid}").await;
            if now.is_empty() || now == old { Err(format!("the Job is {now:?}")) } else { Ok(()) }
        })
        .await;
        self.job(script).await
    }

    /// What the Job's controller says once its pod has ended.
    pub async fn job_ends(&self, well: bool) {
        let at = "2026-01-01T00:00:00Z";
        let condition = |name: &str| json!({ "type": name, "status": "True", "reason": "Test", "message": "", "lastTransitionTime": at, "lastProbeTime": at });
        let mut status = json!({ "startTime": at, "uncountedTerminatedPods": {} });
        if well {
            status["succeeded"] = json!(1);
            status["completionTime"] = json!(at);
            status["conditions"] = json!([condition("SuccessCriteriaMet"), condition("Complete")]);
        } else {
            status["failed"] = json!(1);
            status["conditions"] = json!([condition("FailureTarget"), condition("Failed")]);
        }
        self.patch(&format!("job/{JOB}"), Some("status"), &json!({ "status": status })).await;
    }

    /// Waits for the script's end, and lets go what it deletes meanwhile.
    pub async fn ends(&self, mut script: Script) -> Ran {
        let deadline = Instant::now() + STEP;
        loop {
            if let Some(status) = script.process.exit_status() {
                let read = |name: &str| std::fs::read_to_string(script.output.path().join(name)).expect("it is UTF-8");
                return Ran { code: status.code(), stdout: read("stdout"), stderr: read("stderr") };
            }
            assert!(Instant::now() < deadline, "it has not ended after {STEP:?}:\n{}", script.said());
            self.collect_garbage().await;
        }
    }

    /// An object that is deleted stays until its controllers have let it go: here, they do at once.
    async fn collect_garbage(&self) {
        for object in [format!("job/{JOB}"), format!("pvc/{CLAIM}")] {
            if !self.look(&object, "{.metadata.deletionTimestamp}").await.is_empty() {
                // It may be gone by now.
                let patch = r#"{"metadata":{"finalizers":null}}"#;
                self.cluster
                    .kubectl(&["patch", &object, "--namespace", "tagline", "--type", "merge", "--patch", patch])
                    .await;
            }
        }
    }

    async fn until(&self, script: &mut Script, mut check: impl AsyncFnMut() -> Result<(), String>) {
        let deadline = Instant::now() + STEP;
        while let Err(seen) = check().await {
            script.check();
            assert!(Instant::now() < deadline, "not within {STEP:?}: {seen}\n{}", script.said());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
