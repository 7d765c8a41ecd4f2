//! The checks of `flux/tasks`: what they raise and clear, how they tell it, and what happens when nobody listens.
//!
//! Each test has an organisation of its own: its `_monitoring`, its tasks, and its secret with the URL that alerts are sent to. When it is now is chosen
//! ([`Checked::at`]), so that hours pass at once; within the week that InfluxDB keeps statuses for.

mod baseline;
mod deadman;
mod failures;
mod form;
mod growth;
mod scheduled;
mod telling;

use crate::support::service::{Reply, Service};
use crate::support::{Bucket, Row, influx, now_ms};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use tagline::answers::{Literal, library};

const SECOND: i64 = 1_000_000_000;
pub const MINUTE: i64 = 60 * SECOND;
pub const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A check's bucket, and who listens to it.
pub struct Checked {
    bucket: Bucket,
    listener: Listener,
    /// The beginning of an hour, not long ago.
    pub now: i64,
}

/// Takes alerts, as an Alertmanager does; but not those of some tenants.
struct Listener {
    service: Service,
    refused: Arc<Mutex<BTreeSet<String>>>,
}

impl Listener {
    fn start() -> Self {
        let refused = Arc::new(Mutex::new(BTreeSet::<String>::new()));
        let refusing = Arc::clone(&refused);
        let service = Service::start(move |request| {
            let alerts: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            let whose = alerts[0]["labels"]["tenant_id"].as_str().unwrap_or_default();
            let status = if refusing.lock().expect("no holder panics").contains(whose) { 500 } else { 200 };
            Reply::Answer(status, Vec::new(), String::new())
        });
        Self { service, refused }
    }

    /// Answers 500 to these from now on, and 200 to all others.
    fn refuse(&self, tenants: &[&str]) {
        *self.refused.lock().expect("no holder panics") = tenants.iter().map(|name| (*name).to_owned()).collect();
    }

    /// The alerts of each request, in the order of arrival.
    fn got(&self) -> Vec<Vec<Value>> {
        let alerts = |request: &crate::support::service::Received| {
            assert_eq!(request.method, "POST");
            assert_eq!(request.header("Content-Type"), Some("application/json"));
            serde_json::from_slice(&request.body).unwrap_or_else(|error| panic!("{error}: {request:?}"))
        };
        self.service.received().iter().map(alerts).collect()
    }

    /// Of each request, each alert's subject and severity, `over` if it ends now.
    fn told(&self) -> Vec<String> {
        let line = |alerts: &Vec<Value>| alerts.iter().map(told).collect::<Vec<_>>().join(", ");
        self.got().iter().map(line).collect()
    }
}

/// `acme critical`, `acme critical over`
fn told(alert: &Value) -> String {
    let labels = &alert["labels"];
    let subject = labels["tenant_id"].as_str().or(labels["task"].as_str()).expect("an alert is of somebody");
    let over = if alert["startsAt"] == alert["endsAt"] { " over" } else { "" };
    format!("{subject} {}{over}", labels["severity"].as_str().expect("a severity"))
}

impl Checked {
    pub fn new() -> Self {
        let now = now_ms() * 1_000_000;
        let checked =
            Self { bucket: influx().bucket_apart("checked"), listener: Listener::start(), now: now - now % HOUR };
        checked.send_to(&format!("http://{}/api/v2/alerts?token=hush", checked.listener.service.address()));
        checked
    }

    /// Where alerts go.
    pub fn send_to(&self, url: &str) {
        let target = format!("/api/v2/orgs/{}/secrets", self.bucket.organization_id());
        let body = json!({ "TAGLINE_ALERT_URL": url }).to_string();
        let answer = self.bucket.call("PATCH", &target, "application/json", body.as_bytes());
        assert_eq!(answer.status, 204, "{}", answer.text());
    }

    /// A script of `flux/tasks`, with `notify` on, these inputs, and its own bucket.
    fn script(&self, task: &str, inputs: &[(&str, Literal)]) -> String {
        let script = library::task(task).expect("a task");
        let mut all = inputs.to_vec();
        for (name, value) in [("notify", Literal::text("on")), ("bucket", Literal::text(self.bucket.name()))] {
            if script.inputs().iter().any(|input| input.name == name) && !inputs.iter().any(|(given, _)| *given == name)
            {
                all.push((name, value));
            }
        }
        script.bind(&all).expect("it has these inputs")
    }

    /// Runs a check as if it were then; the levels and summaries that it told.
    pub async fn at(&self, now: i64, task: &str, inputs: &[(&str, Literal)]) -> Result<Vec<String>, String> {
        let script = self.script(task, inputs);
        let option = script.lines().find(|line| line.starts_with("option task")).expect("it is a task");
        let then = script.replace(option, &format!("option now = () => time(v: {now})"));
        let rows = self.bucket.try_query(&then).await?;
        let mut told: Vec<String> =
            rows.iter().map(|row| format!("{}: {}", row.text("level"), row.text("summary"))).collect();
        told.sort();
        Ok(told)
    }

    /// All statuses, by `monitor.from`, the oldest first.
    async fn statuses(&self) -> Vec<Row> {
        let flux = "import \"influxdata/influxdb/monitor\"
             monitor.from(start: -7d, stop: 1d) |> group() |> sort(columns: [\"_time\", \"_message\"])";
        self.bucket.query(flux).await
    }

    /// Of each status, the level and the message.
    async fn levels(&self) -> Vec<String> {
        let rows = self.statuses().await;
        rows.iter().map(|row| format!("{}: {}", row.text("_level"), row.text("_message"))).collect()
    }

    async fn write(&self, lines: impl Into<Vec<u8>>) {
        let answer = self.bucket.write(lines).await;
        assert_eq!(answer.status, 204, "{}", answer.text());
    }

    /// An event of a tenant.
    pub async fn event(&self, tenant: &str, at: i64) {
        self.write(format!("frontend_performance,tenant_id={tenant},view_name=V,action_name=a duration_ms=9i {at}"))
            .await;
    }
}

/// Tenants that are expected every so many minutes.
pub fn expected(tenants: &[(&str, i64)]) -> Vec<(&'static str, Literal)> {
    let record = |&(id, minutes): &(&str, i64)| {
        let within = std::time::Duration::from_secs(60 * minutes.unsigned_abs());
        Literal::record([("tenant_id", Literal::text(id)), ("within", Literal::duration(within))])
    };
    vec![("expected", Literal::list(tenants.iter().map(record)))]
}
