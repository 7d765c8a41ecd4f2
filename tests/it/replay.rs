//! `tagline replay` and `tagline spool` against a real InfluxDB: what is left out, what is told, and what waits in files.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{ACME_KEY, Bucket, Gateway, IN_MEMORY, config_for, events, influx, now_ms, post, tagline};

/// A folder with a configuration, and a file of dead letters of acme: so many for each bucket, in turn.
fn letters_for(buckets: &[&Bucket], each: usize) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tagline.toml"), config_for(buckets[0])).unwrap();
    let letters = folder.path().join("acme.jsonl");
    let at = now_ms();
    let mut text = String::new();
    for n in 0..each {
        for bucket in buckets {
            let line = format!("replayed,tenant_id=acme v={n}i {at}{n:06}");
            let letter = json!({"time": "t", "tenant": "acme", "bucket": bucket.name(), "reason": "r", "line": line});
            text += &format!("{letter}\n");
        }
    }
    std::fs::write(&letters, text).unwrap();
    (folder, letters)
}

fn exists(folder: &Path, name: &str) -> bool {
    folder.join(name).exists()
}

#[tokio::test]
async fn a_missing_bucket_is_left_out_and_told_the_others_are_sent_and_later_it_is_too() {
    let (first, missing, last) = (influx().bucket("first"), influx().absent_bucket("missing"), influx().bucket("last"));
    let (folder, _) = letters_for(&[&missing, &first, &last], 40);
    let ran = tagline(folder.path(), &["replay", "--config", "tagline.toml", "acme.jsonl"], &[]).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let told = format!("40 points for bucket {:?} were not sent", missing.name());
    assert!(ran.stderr.contains(&told) && ran.stderr.contains("80 of 120 points delivered"), "{ran:?}");
    assert_eq!((first.count("replayed", "v").await, last.count("replayed", "v").await), (40, 40));
    assert!(exists(folder.path(), "acme.jsonl.replaying"), "what was not sent stays");

    missing.create(Duration::ZERO);
    let ran = tagline(folder.path(), &["replay", "--config", "tagline.toml", "acme.jsonl.replaying"], &[]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for bucket in [&first, &missing, &last] {
        assert_eq!(bucket.count("replayed", "v").await, 40);
    }
    assert!(exists(folder.path(), "acme.jsonl.replaying.done"));
}

#[tokio::test]
async fn a_long_replay_says_now_and_then_how_far_it_is_where_there_is_no_terminal() {
    let bucket = influx().bucket("rate");
    let (folder, _) = letters_for(&[&bucket], 70);
    let ran = tagline(folder.path(), &["replay", "--config", "tagline.toml", "acme.jsonl", "--rate", "10"], &[]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.lines().any(|line| line.contains(" of 70 points, ") && line.ends_with("a second")), "{ran:?}");
    assert!(ran.stderr.contains("70 of 70 points delivered"), "{ran:?}");
    assert!(!ran.stderr.contains('\r'), "no bar is drawn into a file: {ran:?}");
    assert_eq!(bucket.count("replayed", "v").await, 70);
}

#[tokio::test]
async fn spool_tells_what_a_gateway_in_memory_left_and_nothing_when_it_was_sent() {
    let bucket = influx().bucket("left");
    let environment = [IN_MEMORY, ("INFLUXDB_URL", "http://127.0.0.1:9"), ("TAGLINE__SERVER__DRAIN_TIMEOUT", "1s")];
    let mut gateway = Gateway::start_with(&config_for(&bucket), &environment).await;
    assert_eq!(post(&gateway, ACME_KEY, &events(now_ms(), 0, 25)).status, 202);
    let config = gateway.config_file();
    let spool = ["spool", "--config", &config];
    let running = tagline(gateway.folder(), &spool, &[IN_MEMORY]).await;
    assert_eq!(running.code, Some(0), "{running:?}");
    assert!(running.stdout.contains("no log") && running.stdout.contains("/admin/ledger"), "{running:?}");

    gateway.sigterm();
    assert_eq!(gateway.wait_exit(Duration::from_secs(20)).await.code(), Some(0));
    let table = tagline(gateway.folder(), &spool, &[IN_MEMORY]).await;
    assert!(table.code == Some(0) && table.stdout.contains("spill files in"), "{table:?}");
    let left = spool_json(&gateway, &config).await;
    assert_eq!((&left["log"], &left["spill"][0]["points"]["acme"]), (&Value::Null, &json!(25)), "{left}");

    let sent = tagline(gateway.folder(), &["replay", "--config", &config], &[]).await;
    assert_eq!(sent.code, Some(0), "{sent:?}");
    assert_eq!(spool_json(&gateway, &config).await["spill"], json!([]));
}

async fn spool_json(gateway: &Gateway, config: &str) -> Value {
    let ran = tagline(gateway.folder(), &["spool", "--config", config, "--json"], &[IN_MEMORY]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}

#[tokio::test]
async fn spool_of_a_folder_that_is_none_ends_with_1_and_needs_no_settings() {
    let folder = tempfile::tempdir().unwrap();
    for path in [".", "nowhere"] {
        let ran = tagline(folder.path(), &["spool", path], &[]).await;
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{ran:?}");
        assert!(ran.stderr.contains(path), "{ran:?}");
    }
}
