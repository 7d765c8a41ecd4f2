//! InfluxDBs that do not answer, or refuse: a sentence, exit code 1, and never a panic.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tagline::answers::{AskError, Reader, Value};
use tagline::config::Source;

use super::{ask, ask_with};
use crate::support::{Bucket, Influx, Link, Ran, eventually, influx, tagline};

/// What the sentence must say; and that it is one.
#[track_caller]
fn told(ran: &Ran, code: i32, words: &[&str]) {
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(code), ""), "{ran:?}");
    for word in words {
        assert!(ran.stderr.contains(word), "{word}: {}", ran.stderr);
    }
    assert!(ran.stderr.starts_with("tagline: ") && ran.stderr.trim_end().lines().count() == 1, "{}", ran.stderr);
}

const P99: [&str; 3] = ["p99", "--tenant", "acme"];

#[tokio::test]
async fn an_influxdb_that_is_away_or_refuses_is_told_with_what_to_do() {
    let bucket = influx().bucket("refuses");
    // A port that nobody has, as it was just given back.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let away = format!("http://{closed}");
    told(&ask_with(&bucket, &P99, &[("INFLUXDB_URL", &away)]).await, 1, &[&away, "no connection", "Is it up"]);
    let wrong = ask_with(&bucket, &P99, &[("INFLUXDB_READ_TOKEN", "wrong")]).await;
    told(&wrong, 1, &[&bucket.url(), "refuses the token (401)", "INFLUXDB_READ_TOKEN"]);
    let absent = influx().absent_bucket("absent");
    told(&ask(&absent, &P99).await, 1, &["could not find bucket", absent.name(), "tagline setup"]);
    told(&ask_with(&bucket, &P99, &[("INFLUXDB_ORG", "nobody")]).await, 1, &["\"nobody\"", "organization"]);
    let query = ask(&bucket, &["run", "percentiles", "--set", "start=now", "--set", "stop=-1h"]).await;
    told(&query, 1, &["could not run the query", "--flux"]);
    let nothing = tagline(Path::new("/"), &["query", "tenants"], &[]).await;
    told(&nothing, 2, &["INFLUXDB_URL", "INFLUXDB_ORG", "INFLUXDB_READ_TOKEN"]);
    let secret = ask_with(&bucket, &P99, &[("INFLUXDB_READ_TOKEN", "do-not\nprint")]).await;
    assert!(secret.code != Some(0) && !secret.stderr.contains("do-not"), "{secret:?}");
}

#[tokio::test]
async fn an_influxdb_that_hangs_is_given_up_after_the_timeout_or_by_ctrl_c() {
    let bucket = influx().bucket("hangs");
    let link = Link::to(influx().address(), "POST /api/v2/query");
    let url = link.url();
    let ran = ask_with(&bucket, &["tenants", "--timeout", "1s"], &[("INFLUXDB_URL", &url)]).await;
    told(&ran, 1, &[&url, "within 1s", "--timeout"]);

    let link = Link::to(influx().address(), "POST /api/v2/query");
    let mut child = Command::new(env!("CARGO_BIN_EXE_tagline"))
        .args(["query", "tenants"])
        .env_clear()
        .envs([
            ("INFLUXDB_URL", link.url().as_str()),
            ("INFLUXDB_ORG", Influx::ORGANIZATION),
            ("INFLUXDB_READ_TOKEN", bucket.token()),
        ])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    eventually(Duration::from_secs(20), || async { if link.holds() { Ok(()) } else { Err("nothing is asked") } }).await;
    let interrupted = Instant::now();
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let ended = eventually(Duration::from_secs(20), || {
        let ended = child.try_wait().unwrap();
        async move { ended.ok_or("it runs on") }
    })
    .await;
    assert!(!ended.success() && interrupted.elapsed() < Duration::from_secs(20), "{ended}");
}

fn reader(bucket: &Bucket) -> Reader {
    let source = Source {
        url: bucket.url(),
        org: Influx::ORGANIZATION.to_owned(),
        bucket: bucket.name().to_owned(),
        token: bucket.token().into(),
    };
    Reader::new(&source, Duration::from_secs(30)).expect("a client")
}

#[tokio::test]
async fn a_query_that_fails_after_its_first_rows_is_an_error_and_not_half_an_answer() {
    let bucket = influx().bucket("halfway");
    let flux = "import \"array\"
        array.from(rows: [{a: \"x\", b: 1.0}]) |> yield(name: \"one\")
        array.from(rows: [{a: \"x\", b: \"no number\"}]) |> map(fn: (r) => ({r with c: int(v: r.b)})) |> yield(name: \"two\")";
    match reader(&bucket).ask(flux).await {
        Err(error @ AskError::Query { .. }) => assert!(error.to_string().contains("cannot convert string"), "{error}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn nulls_empty_tables_several_tables_and_every_type_are_read() {
    let bucket = influx().bucket("types");
    let reader = reader(&bucket);
    let flux = "import \"array\"
        array.from(rows: [{t: \"a\", f: 1.5, i: 7, time: 2026-11-22T03:24:30.5Z, b: true, u: uint(v: 3)}]) |> yield(name: \"one\")
        array.from(rows: [{t: \"c\", other: \"a,\\\"b\\\"\\nc\"}]) |> yield(name: \"two\")";
    let table = reader.ask(flux).await.expect("an answer");
    let rows: Vec<_> = table.rows().collect();
    let a = rows.iter().find(|row| row.text("t") == Some("a")).expect("the first table");
    let c = rows.iter().find(|row| row.text("t") == Some("c")).expect("the second");
    let numbers = (a.number("f"), a.get("i"), a.get("u"), a.get("b"));
    assert_eq!(numbers, (Some(1.5), Some(&Value::Int(7)), Some(&Value::UInt(3)), Some(&Value::Bool(true))));
    assert_eq!((a.time("time"), a.text("other")), (Some(1_795_317_870_500_000_000), None));
    assert_eq!((c.text("other"), c.number("f"), c.number("i")), (Some("a,\"b\"\nc"), None, None));

    let nothing = reader.ask("import \"array\"\narray.from(rows: [{a: 1}]) |> filter(fn: (r) => r.a == 2)").await;
    assert_eq!(nothing.expect("an answer").len(), 0);
    let kept = "import \"array\"\narray.from(rows: [{a: 1}]) |> filter(fn: (r) => r.a == 2, onEmpty: \"keep\")";
    let kept = reader.ask(kept).await.expect("an answer");
    assert_eq!((kept.len(), kept.columns()), (0, &["a".to_owned()][..]));
    let long = reader
        .ask("import \"array\"\nimport \"strings\"\narray.from(rows: [{a: strings.repeat(v: \"xy\", i: 200000)}])")
        .await;
    assert_eq!(long.expect("an answer").first().and_then(|row| row.text("a").map(str::len)), Some(400_000));
}
