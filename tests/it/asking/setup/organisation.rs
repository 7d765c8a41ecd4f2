//! An organisation for one test alone, and what is in it.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Answer, Influx, Ran, eventually, http, influx, tagline, unique};
use std::net::SocketAddr;
use std::time::Duration;

/// An organisation, a token that may do everything in it, and a folder for settings.
pub(super) struct Organisation {
    pub(super) address: SocketAddr,
    pub(super) name: String,
    pub(super) id: String,
    pub(super) token: String,
    pub(super) folder: TempDir,
}

impl Organisation {
    /// A new one, on the InfluxDB that all tests share.
    pub(super) fn new() -> Self {
        let name = unique("setup");
        let mut made = Self::of(influx(), &name, influx().absent_bucket("none").token());
        let answer = made.call("POST", "/api/v2/orgs", &json!({ "name": name }));
        made.id = answer["id"].as_str().expect("a new organisation has an id").to_owned();
        made
    }

    /// One that is there.
    pub(super) fn of(influx: &Influx, name: &str, token: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (name, token) = (name.to_owned(), token.to_owned());
        let mut known = Self { address: influx.address(), name, id: String::new(), token, folder };
        let all = known.call("GET", "/api/v2/orgs", &Value::Null);
        let all = all["orgs"].as_array().expect("a list");
        let ours = all.iter().find(|org| org["name"] == known.name.as_str());
        known.id = ours.and_then(|org| org["id"].as_str()).unwrap_or_default().to_owned();
        known
    }

    /// Writes the settings; with a tenant, without which they would be none.
    pub(super) fn settings(&self, text: &str) {
        let text = format!("{text}\n[tenants.acme]\n");
        std::fs::write(self.folder.path().join("tagline.toml"), text).unwrap();
    }

    /// `tagline COMMAND --config … --url … --org …` with these arguments and variables besides, and the token of all rights.
    pub(super) async fn run(&self, command: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
        let url = format!("http://{}", self.address);
        let mut all = vec![command, "--config", "tagline.toml", "--url", &url, "--org", &self.name];
        all.extend(arguments);
        let mut variables = vec![("INFLUXDB_ADMIN_TOKEN", self.token.as_str())];
        variables.extend(environment);
        tagline(self.folder.path(), &all, &variables).await
    }

    /// `tagline setup …`, which succeeds: what it said.
    #[track_caller]
    pub(super) fn setup(&self, arguments: &'static [&'static str]) -> impl Future<Output = String> {
        let caller = std::panic::Location::caller();
        async move {
            let ran = self.run("setup", arguments, &[]).await;
            assert_eq!(ran.code, Some(0), "{caller}: {ran:?}");
            ran.stderr
        }
    }

    /// One call of the API that succeeds; a body unless it is null.
    #[track_caller]
    pub(super) fn call(&self, method: &str, target: &str, body: &Value) -> Value {
        let answer = self.ask(&self.token, method, target, body);
        assert!((200..300).contains(&answer.status), "{method} {target}: {} {}", answer.status, answer.text());
        if answer.body.is_empty() { Value::Null } else { answer.json() }
    }

    /// One call with another token.
    pub(super) fn ask(&self, token: &str, method: &str, target: &str, body: &Value) -> Answer {
        let authorization = format!("Token {token}");
        let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        http::request(self.address, method, target, &headers, body.as_bytes())
    }

    /// A query's answer, as text.
    pub(super) fn query(&self, token: &str, flux: &str) -> Answer {
        let target = format!("/api/v2/query?org={}", self.name);
        self.ask(token, "POST", &target, &json!({ "query": flux, "type": "flux" }))
    }

    /// Writes line protocol (ns).
    pub(super) fn write(&self, token: &str, bucket: &str, lines: &str) -> Answer {
        let id = &self.bucket(bucket)["id"];
        let target = format!("/api/v2/write?orgID={}&bucket={}&precision=ns", self.id, id.as_str().unwrap());
        let authorization = format!("Token {token}");
        http::request(self.address, "POST", &target, &[("Authorization", &authorization)], lines.as_bytes())
    }

    /// All tasks, by name and id.
    pub(super) fn tasks(&self) -> Vec<Value> {
        let answer = self.call("GET", &format!("/api/v2/tasks?orgID={}&limit=500", self.id), &Value::Null);
        let mut tasks = answer["tasks"].as_array().expect("a list").clone();
        tasks.sort_by_key(|task| format!("{} {}", task["name"], task["id"]));
        tasks
    }

    /// The names of all tasks.
    pub(super) fn task_names(&self) -> Vec<String> {
        self.tasks().iter().map(|task| task["name"].as_str().unwrap().to_owned()).collect()
    }

    /// The one task of this name.
    #[track_caller]
    pub(super) fn task(&self, name: &str) -> Value {
        let mut found: Vec<Value> = self.tasks().into_iter().filter(|task| task["name"] == name).collect();
        assert_eq!(found.len(), 1, "tasks named {name:?}: {:?}", self.task_names());
        found.remove(0)
    }

    /// Changes a task.
    pub(super) fn change(&self, task: &Value, change: &Value) {
        self.call("PATCH", &format!("/api/v2/tasks/{}", task["id"].as_str().unwrap()), change);
    }

    /// The bucket of this name.
    #[track_caller]
    pub(super) fn bucket(&self, name: &str) -> Value {
        let buckets = self.buckets();
        let found = buckets.iter().find(|bucket| bucket["name"] == name);
        found.cloned().unwrap_or_else(|| panic!("no bucket {name:?}: {buckets:?}"))
    }

    pub(super) fn buckets(&self) -> Vec<Value> {
        let answer = self.call("GET", &format!("/api/v2/buckets?orgID={}&limit=100", self.id), &Value::Null);
        answer["buckets"].as_array().expect("a list").clone()
    }

    pub(super) fn tokens(&self) -> Vec<Value> {
        let answer = self.call("GET", &format!("/api/v2/authorizations?orgID={}", self.id), &Value::Null);
        answer["authorizations"].as_array().expect("a list").clone()
    }

    /// Everything that setup makes, with ids and times of change; without what a task's own runs write.
    pub(super) fn state(&self) -> Value {
        let mut tasks = self.tasks();
        for task in &mut tasks {
            let fields = task.as_object_mut().expect("an object");
            fields.retain(|name, _| !name.starts_with("latest") && !name.starts_with("lastRun"));
        }
        let secrets = self.call("GET", &format!("/api/v2/orgs/{}/secrets", self.id), &Value::Null);
        json!({ "buckets": self.buckets(), "tokens": self.tokens(), "tasks": tasks, "secrets": secrets })
    }

    /// Runs a task now, as its owner, and waits until it succeeded.
    pub(super) async fn run_task(&self, task: &Value) {
        let path = format!("/api/v2/tasks/{}/runs", task["id"].as_str().unwrap());
        let run = self.call("POST", &path, &json!({}));
        let target = format!("{path}/{}", run["id"].as_str().unwrap());
        eventually(Duration::from_secs(30), || async {
            // Between its end and its entry in `_tasks` it is found nowhere.
            let answer = self.ask(&self.token, "GET", &target, &Value::Null);
            let run = answer.json();
            match run["status"].as_str() {
                Some("success") => Ok(()),
                Some("failed" | "canceled") => panic!("{}: {run:#}", task["name"]),
                _ => Err(run.to_string()),
            }
        })
        .await;
    }
}

/// The lines of a plan that begin with this mark.
pub(super) fn marked(said: &str, mark: char) -> Vec<&str> {
    said.lines().filter_map(|line| line.strip_prefix("  ")?.strip_prefix(mark)?.strip_prefix(' ')).collect()
}

/// The values that `export` lines give.
pub(super) fn exported(stdout: &str, name: &str) -> String {
    let line = stdout.lines().find_map(|line| line.strip_prefix("export ")?.strip_prefix(name)?.strip_prefix('='));
    line.unwrap_or_else(|| panic!("no {name}: {stdout}")).trim_matches('\'').to_owned()
}
