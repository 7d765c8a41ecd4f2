//! InfluxDB's template, applied to a real one, and asked as its own pages ask: with a record `v` that goes before each query.

use super::{assert_shown, root, slow_event};
use crate::support::{Week, unique, week_with_rollups};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

fn template() -> Value {
    let text = std::fs::read_to_string(root().join("influxdb/template.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Calls InfluxDB's API.
async fn call(week: &Week, method: &'static str, target: &str, body: Option<Value>) -> Value {
    let (bucket, target) = (week.bucket.clone(), target.to_owned());
    let called = tokio::task::spawn_blocking(move || {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let answer = bucket.call(method, &target, "application/json", body.as_bytes());
        assert!(answer.status < 300, "{method} {target}: {} {}", answer.status, answer.text());
        if answer.body.is_empty() { Value::Null } else { answer.json() }
    });
    called.await.unwrap()
}

/// What `influx apply` sends.
fn apply(week: &Week, stack: &str) -> Value {
    json!({
        "orgID": week.bucket.organization_id(),
        "stackID": stack,
        "template": { "contentType": "json", "contents": template() },
    })
}

/// The record `v` as a syntax tree, as InfluxDB's pages send it.
fn variables(texts: &BTreeMap<String, String>, [start, stop]: [i64; 2], window_ms: i64) -> Value {
    let time = |ms: i64| {
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_millis(ms.unsigned_abs());
        json!({ "type": "DateTimeLiteral", "value": humantime::format_rfc3339_millis(time).to_string() })
    };
    let property = |name: &str, value: Value| json!({ "type": "Property", "key": { "type": "Identifier", "name": name }, "value": value });
    let window = json!({ "type": "DurationLiteral", "values": [{ "magnitude": window_ms, "unit": "ms" }] });
    let mut properties = vec![
        property("timeRangeStart", time(start)),
        property("timeRangeStop", time(stop)),
        property("windowPeriod", window),
    ];
    properties
        .extend(texts.iter().map(|(name, value)| property(name, json!({ "type": "StringLiteral", "value": value }))));
    json!({
        "type": "File",
        "package": null,
        "imports": null,
        "body": [{
            "type": "OptionStatement",
            "assignment": {
                "type": "VariableAssignment",
                "id": { "type": "Identifier", "name": "v" },
                "init": { "type": "ObjectExpression", "properties": properties },
            },
        }],
    })
}

/// What is chosen, by the names of the variables that the template made.
fn chosen(week: &Week, names: &BTreeSet<String>, all: bool) -> BTreeMap<String, String> {
    let slow = slow_event(week);
    let value = |name: &str| match name.strip_prefix("tagline_").expect("what Tagline brings says so") {
        "bucket" => week.bucket.name().to_owned(),
        "rollup_bucket" => week.rollup_bucket.name().to_owned(),
        "tenant" | "view" | "action" if all => "(all)".to_owned(),
        "tenant" | "tenant_a" => slow.tenant.to_owned(),
        "tenant_b" => "globex".to_owned(),
        "view" => slow.view.to_owned(),
        "action" => slow.action.to_owned(),
        "session" => slow.session(),
        other => panic!("what is {other}?"),
    };
    names.iter().map(|name| (name.clone(), value(name))).collect()
}

/// Removes what a test made in the InfluxDB that all share, whatever becomes of the test.
struct Stack<'w>(&'w Week, String);

impl Stack<'_> {
    async fn new(week: &Week) -> Stack<'_> {
        let body = json!({ "orgID": week.bucket.organization_id(), "name": unique("dashboards"), "description": "", "urls": [] });
        let made = call(week, "POST", "/api/v2/stacks", Some(body)).await;
        Stack(week, made["id"].as_str().unwrap().to_owned())
    }

    /// The ids of all that it has made, by kind.
    async fn resources(&self) -> BTreeMap<String, BTreeSet<String>> {
        let told = call(self.0, "GET", &format!("/api/v2/stacks/{}", self.1), None).await;
        let mut made: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for one in told["events"].as_array().unwrap().last().unwrap()["resources"].as_array().unwrap() {
            let text = |member: &str| one[member].as_str().unwrap().to_owned();
            made.entry(text("kind")).or_default().insert(text("resourceID"));
        }
        made
    }
}

impl Drop for Stack<'_> {
    fn drop(&mut self) {
        let target = format!("/api/v2/stacks/{}?orgID={}", self.1, self.0.bucket.organization_id());
        let answer = self.0.bucket.call("DELETE", &target, "application/json", b"");
        if !std::thread::panicking() {
            assert!(answer.status < 300, "{}", answer.text());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_template_makes_the_dashboards_once_and_every_cell_shows_rows() {
    let week = week_with_rollups();
    let stack = Stack::new(week).await;
    let made = call(week, "POST", "/api/v2/templates/apply", Some(apply(week, &stack.1))).await;
    assert_eq!(made["errors"], Value::Null, "{}", made["errors"]);

    let before = stack.resources().await;

    // Applied again, nothing is new.
    let again = call(week, "POST", "/api/v2/templates/apply", Some(apply(week, &stack.1))).await;
    let after = stack.resources().await;
    assert_eq!(after, before);
    for kind in ["dashboards", "variables", "labels"] {
        for one in again["diff"][kind].as_array().unwrap() {
            assert_eq!(one["stateStatus"], "exists", "{one}");
        }
    }
    let dashboards = &before["Dashboard"];
    assert_eq!(dashboards.len(), 5);

    // What is there now is asked, cell by cell, as its page would.
    let listed = call(week, "GET", "/api/v2/variables?limit=100", None).await;
    let listed: Vec<&Value> = listed["variables"].as_array().unwrap().iter().collect();
    let listed: Vec<&Value> =
        listed.into_iter().filter(|one| before["Variable"].iter().any(|id| one["id"] == **id)).collect();
    let names: BTreeSet<String> = listed.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect();
    let range = [week.end_ms - 86_400_000, week.end_ms + 60_000];
    for all in [true, false] {
        let v = variables(&chosen(week, &names, all), range, 240_000);
        let mut asked = 0;
        for dashboard in dashboards {
            let dashboard =
                call(week, "GET", &format!("/api/v2/dashboards/{dashboard}?include=properties"), None).await;
            for cell in dashboard["cells"].as_array().unwrap() {
                let properties = &cell["properties"];
                if properties["type"] == "markdown" {
                    continue;
                }
                let name = format!("{}: {}", dashboard["name"], cell["name"]);
                let query = properties["queries"][0]["text"].as_str().unwrap();
                // Where "all" is no choice, the first round has asked the same.
                if !all && !query.contains("(all)") {
                    continue;
                }
                let rows = week.bucket.query_with(query, Some(&v)).await;
                let fields = properties["fieldOptions"].as_array().into_iter().flatten();
                let columns: Vec<String> =
                    fields.map(|field| field["internalName"].as_str().unwrap().to_owned()).collect();
                assert!(
                    properties["note"].as_str().is_some_and(|note| note.len() > 60),
                    "{name} says nothing of itself"
                );
                assert_shown(&name, &rows, &columns, properties["type"] == "xy");
                asked += 1;
            }
        }
        assert!(asked >= if all { 30 } else { 10 }, "only {asked} cells");
        for variable in &listed {
            let arguments = &variable["arguments"];
            if arguments["type"] != "query" {
                continue;
            }
            let rows = week.bucket.query_with(arguments["values"]["query"].as_str().unwrap(), Some(&v)).await;
            let offered: Vec<&str> = rows.iter().map(|row| row.text("_value")).collect();
            let expected: &[&str] = match variable["name"].as_str().unwrap() {
                "tagline_tenant" => &["(all)", "acme", "globex", "initech"],
                "tagline_tenant_a" => &["acme", "globex", "initech"],
                "tagline_tenant_b" => &["initech", "globex", "acme"],
                "tagline_view" => &["(all)", "CheckoutView", "DashboardView", "ReportView", "UserListView"],
                "tagline_action" if all => &[
                    "(all)",
                    "addItem",
                    "applyCoupon",
                    "download",
                    "export",
                    "fetchUsers",
                    "filter",
                    "load",
                    "pay",
                    "refresh",
                    "render",
                    "search",
                ],
                "tagline_action" => &["(all)", "addItem", "applyCoupon", "pay"],
                "tagline_session" => {
                    assert!(offered.len() > 20, "only {} sessions", offered.len());
                    continue;
                }
                other => panic!("what is offered for {other}?"),
            };
            assert_eq!(offered, expected, "{}", variable["name"]);
        }
    }
}

#[test]
fn every_variable_of_the_template_is_used_and_no_other() {
    let template = template();
    let objects = template.as_array().unwrap();
    let defined: BTreeSet<String> = objects
        .iter()
        .filter(|object| object["kind"] == "Variable")
        .map(|object| object["spec"]["name"].as_str().unwrap().to_owned())
        .collect();
    let text = template.to_string();
    let used: BTreeSet<String> = text
        .split("v.tagline_")
        .skip(1)
        .map(|rest| rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect::<String>())
        .map(|name| format!("tagline_{name}"))
        .collect();
    assert_eq!(used, defined);
}
