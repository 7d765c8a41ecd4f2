//! `tagline query` as the person on call runs it: on a week in which one cause hides, and on InfluxDBs that do not answer.

mod answers;
mod literals;
mod refusals;

use std::path::Path;

use serde_json::Value;

use crate::support::week::Week;
use crate::support::{Bucket, Influx, Ran, tagline};

/// `tagline query ARGUMENTS`, asked of a bucket.
async fn ask(bucket: &Bucket, arguments: &[&str]) -> Ran {
    ask_with(bucket, arguments, &[]).await
}

/// The same, with more in the environment.
async fn ask_with(bucket: &Bucket, arguments: &[&str], more: &[(&str, &str)]) -> Ran {
    let url = bucket.url();
    let mut environment = vec![
        ("INFLUXDB_URL", url.as_str()),
        ("INFLUXDB_ORG", Influx::ORGANIZATION),
        ("INFLUXDB_BUCKET", bucket.name()),
        ("INFLUXDB_READ_TOKEN", bucket.token()),
    ];
    environment.extend_from_slice(more);
    tagline(Path::new("/"), &[&["query"], arguments].concat(), &environment).await
}

/// The answer as JSON; fails the test if there is none.
async fn json(bucket: &Bucket, arguments: &[&str]) -> Value {
    let ran = ask(bucket, &[arguments, &["--json"]].concat()).await;
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{arguments:?}: {ran:?}");
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {}", ran.stdout))
}

/// From so many hours before the week's end to its end, as arguments; and when that begins, in ms.
fn last_hours(week: &Week, hours: i64) -> ([String; 2], i64) {
    let from = week.end_ms - hours * 3_600_000;
    let time = |ms: i64| {
        let since = std::time::Duration::from_millis(ms.unsigned_abs());
        humantime::format_rfc3339_millis(std::time::UNIX_EPOCH + since).to_string()
    };
    ([format!("--from={}", time(from)), format!("--until={}", time(week.end_ms))], from)
}
