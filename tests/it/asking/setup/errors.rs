//! What cannot be done is told.

use serde_json::{Value, json};

use super::Organisation;
use super::organisation::marked;

#[tokio::test]
async fn what_cannot_be_done_says_where_and_what_to_do() {
    let org = Organisation::new();
    org.settings("[influxdb]\nbucket = \"events\"");
    let wrong = org.run("setup", &[], &[("INFLUXDB_ADMIN_TOKEN", "nobodys")]).await;
    assert_eq!(wrong.code, Some(1), "{wrong:?}");
    assert!(wrong.stderr.contains("is INFLUXDB_ADMIN_TOKEN a token of this InfluxDB?"), "{wrong:?}");
    assert!(!format!("{wrong:?}").contains("nobodys"), "a token is shown");

    let url = format!("http://{}", org.address);
    let admin = ("INFLUXDB_ADMIN_TOKEN", org.token.as_str());
    let nobody =
        crate::support::tagline(org.folder.path(), &["setup", "--url", &url, "--org", "nobody"], &[admin]).await;
    assert_eq!(nobody.code, Some(1), "{nobody:?}");
    assert!(nobody.stderr.contains("no organisation \"nobody\"") && nobody.stderr.contains("--org"), "{nobody:?}");
    let away = crate::support::tagline(org.folder.path(), &["setup", "--url", "http://127.0.0.1:9"], &[admin]).await;
    assert_eq!(away.code, Some(1), "{away:?}");
    assert!(away.stderr.contains("http://127.0.0.1:9: no connection"), "{away:?}");

    // An all-access token, as `influx auth create --all-access` makes it, but for tasks and secrets: told, and enough without them.
    let few = all_access(&org, &["tasks", "secrets"]);
    let few = ("INFLUXDB_ADMIN_TOKEN", few.as_str());
    let refused = org.run("setup", &[], &[few]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("INFLUXDB_ADMIN_TOKEN") && refused.stderr.contains("--no-tasks"), "{refused:?}");
    let alone = org.run("setup", &["--no-tasks"], &[few]).await;
    assert_eq!(alone.code, Some(0), "{alone:?}");
    assert!(marked(&alone.stderr, '+').len() == 4 && org.tasks().is_empty(), "{alone:?}");
    let all = all_access(&org, &[]);
    let all = [("INFLUXDB_ADMIN_TOKEN", all.as_str()), ("TAGLINE__ANSWERS__ALERT_URL", "http://127.0.0.1:9/")];
    let whole = org.run("setup", &[], &all).await;
    assert_eq!(whole.code, Some(0), "{whole:?}");
    let again = org.run("setup", &[], &all).await;
    assert!(again.stderr.contains("Nothing had to change."), "{again:?}");
    // Nor need a pipeline that keeps the tasks as they should be print tokens.
    let tokens = org.tokens();
    let silent = org.run("setup", &["--no-tokens"], &[]).await;
    assert_eq!(silent.code, Some(0), "{silent:?}");
    assert!(!silent.stdout.contains("TOKEN") && org.tokens() == tokens, "{silent:?}");
    org.setup(&["--remove-tasks"]).await;
}

/// A token of all rights in the organisation, without those to some kinds of things.
fn all_access(org: &Organisation, without: &[&str]) -> String {
    let user = org.call("GET", "/api/v2/me", &Value::Null)["id"].clone();
    let kinds = org.call("GET", "/api/v2/resources", &Value::Null);
    let mut rights = Vec::new();
    for kind in kinds.as_array().unwrap().iter().filter_map(Value::as_str).filter(|kind| !without.contains(kind)) {
        let resource = match kind {
            "instance" => continue,
            "orgs" => json!({ "type": kind, "id": org.id }),
            "users" => json!({ "type": kind, "id": user }),
            _ => json!({ "type": kind, "orgID": org.id }),
        };
        let actions = if kind == "orgs" { &["read"][..] } else { &["read", "write"] };
        rights.extend(actions.iter().map(|action| json!({ "action": action, "resource": resource })));
    }
    let made = org.call("POST", "/api/v2/authorizations", &json!({ "orgID": org.id, "permissions": rights }));
    made["token"].as_str().unwrap().to_owned()
}
