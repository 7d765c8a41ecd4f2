//! The ground that the other tests stand on: the real servers are there, and what the tests read from them is what is in them.

use crate::support::process::Process;
use crate::support::{Influx, Page, SigningKey, browser, claims, eventually, influx};
use serde_json::json;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn influxdb_gives_back_what_was_written() {
    let bucket = influx().bucket("servers");
    assert_eq!(bucket.write("weather wind=").await.status, 400);
    let lines = concat!(
        r#"weather,city=Delft,note=a\,b\ c wind=3i,sky="a \"grey\"\, wet"#,
        "\n",
        r#"sky",temperature=-0.5 1790000000000000001"#,
        "\n",
        r#"weather,city=Urk wind=9i 1790000000000000002"#,
    );
    let answer = bucket.write(lines).await;
    assert_eq!(answer.status, 204, "{}", answer.text());
    let rows = bucket.rows("weather").await;
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert_eq!(rows[0].text("note"), "a,b c");
    assert_eq!(rows[0].text("sky"), "a \"grey\"\\, wet\nsky");
    assert_eq!((rows[0].int("wind"), rows[0].float("temperature")), (3, -0.5));
    assert_eq!(rows[1].nanos("_time"), 1_790_000_000_000_000_002);
    assert_eq!(rows[1].get("note"), None);
    assert_eq!(bucket.count("weather", "wind").await, 2);
    assert_eq!(bucket.measurements().await, ["weather"]);

    let text = "\r\n\t\u{1}\u{7f}\u{2028}<&>é𝄞 ${x}";
    let point = format!(
        "text big=9223372036854775807i,tagline=1,empty=\"\",text=\"{text}\" 1790000000000000003\ntext other=2 1790000000000000004"
    );
    assert_eq!(bucket.write(point).await.status, 204);
    let exact = bucket.exact_rows("text").await;
    assert_eq!((&exact[0]["text"], &exact[0]["empty"]), (&json!(text), &json!("")));
    assert_eq!(exact[0]["big"], i64::MAX);
    assert!(exact[0]["_time"] == "2026-09-21T14:13:20.000000003Z" && !exact[1].contains_key("text"), "{exact:?}");
    assert_eq!(influx().bucket("servers").measurements().await, [""; 0], "buckets are apart");
}

#[tokio::test]
async fn an_influxdb_of_ones_own_keeps_its_data_over_a_stop() {
    let mut own = Influx::own();
    let bucket = own.bucket("outage");
    assert_eq!(bucket.write("m f=1i 1790000000000000000").await.status, 204);
    own.stop().await;
    let refused = std::net::TcpStream::connect(own.address()).expect_err("nobody listens");
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    own.start();
    assert_eq!(bucket.count("m", "f").await, 1);
}

#[tokio::test]
async fn a_page_in_the_browser_reports_also_when_its_tab_is_closed() {
    let other = Page::serve("");
    let page = Page::serve(&format!(
        "addEventListener('pagehide', () => navigator.sendBeacon('{}result', '\"gone\"'));
         report(await (await fetch('/')).text());",
        other.url()
    ));
    let tab = browser().open(&page.url());
    let seen = page.result(SOON).await;
    assert!(seen.as_str().is_some_and(|html| html.contains("Page of a test")), "{seen}");
    tab.close();
    assert_eq!(other.result(SOON).await, json!("gone"), "the beacon to another origin, sent while the tab closes");
}

#[tokio::test]
async fn a_fault_in_a_page_is_told() {
    let page = Page::serve("throw new Error('on purpose')");
    let _tab = browser().open(&page.url());
    let seen = page.result(SOON).await;
    assert!(seen["error"].as_str().is_some_and(|error| error.contains("on purpose")), "{seen}");
}

#[test]
fn tokens_verify_with_the_key_that_is_handed_out_and_no_other() {
    use jsonwebtoken::{DecodingKey, Validation, decode};
    type Read = fn(&[u8]) -> jsonwebtoken::errors::Result<DecodingKey>;
    let kinds: [(fn() -> SigningKey, Read); 3] = [
        (SigningKey::rs256, DecodingKey::from_rsa_pem),
        (SigningKey::es256, DecodingKey::from_ec_pem),
        (SigningKey::ed25519, DecodingKey::from_ed_pem),
    ];
    for (make, read) in kinds {
        let (key, other) = (make(), make());
        let token = key.sign(&claims("acme"));
        let mut rules = Validation::new(key.algorithm().parse().expect("an algorithm's name"));
        rules.set_audience(&[crate::support::keys::AUDIENCE]);
        let verified = |key: &SigningKey| {
            let pem = std::fs::read(key.public_key_file()).expect("the public key's file");
            decode::<serde_json::Value>(&token, &read(&pem).expect("a public key"), &rules)
        };
        assert_eq!(verified(&key).expect("its own key verifies it").claims["tenant_id"], "acme");
        assert!(verified(&other).is_err(), "{} verified with another key", key.algorithm());
    }
}

#[tokio::test]
#[should_panic(expected = "last seen: 3")]
async fn eventually_fails_with_what_it_saw_last() {
    eventually(Duration::ZERO, || async { Err::<(), _>(3) }).await;
}

#[tokio::test]
async fn a_process_that_is_dropped_takes_its_children_and_its_folder_along() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let child = folder.path().join("child");
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "sleep 600 & echo $! >\"$1\"; wait", "sh"]).arg(&child);
    let process = Process::spawn("sh", command, folder.path());
    let child = eventually(SOON, || async { std::fs::read_to_string(&child).map(|id| id.trim().to_owned()) }).await;
    drop(process);
    assert!(!folder.path().exists(), "its folder is still there");
    // An orphan that was killed may still wait to be reaped, as a zombie (Z).
    let state = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_else(|_| "gone".to_owned());
    assert!(state == "gone" || state.contains(") Z "), "its child still runs: {state}");
}
