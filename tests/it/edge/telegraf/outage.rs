//! What is scraped while InfluxDB does not take it: it waits on disk, and arrives.

use super::requests::counted;
use super::*;
use crate::support::{Influx, config_for, influx, now_ms};
use std::path::{Path, PathBuf};

/// The files of the buffer.
fn segments(buffer: &Path) -> impl Iterator<Item = PathBuf> {
    let folders = std::fs::read_dir(buffer).into_iter().flatten().flatten();
    let files = folders.flat_map(|folder| std::fs::read_dir(folder.path()).into_iter().flatten().flatten());
    files.map(|file| file.path())
}

/// How many points of `caddy_http_requests` lie in the buffer: each entry names its measurement once.
fn buffered(buffer: &Path) -> usize {
    let name = b"caddy_http_requests";
    let in_file = |file| {
        let content = std::fs::read(file).unwrap_or_default();
        content.windows(name.len()).filter(|bytes| bytes == name).count()
    };
    segments(buffer).map(in_file).sum()
}

/// Waits until so many points lie in the buffer.
async fn wait(telegraf: &Telegraf, points: usize) {
    eventually(SOON, || async {
        let buffered = buffered(&telegraf.buffer());
        if buffered >= points { Ok(()) } else { Err(format!("{buffered} of {points} points are buffered")) }
    })
    .await;
}

/// Waits until all of `points` that were scraped before `before_ms` are in InfluxDB.
async fn arrive(bucket: &Bucket, points: usize, before_ms: i64) {
    let count = format!(
        "|> filter(fn: (r) => r._measurement == \"caddy_http_requests\" and r._field != \"duration_seconds_sum\"
                and r._time <= time(v: {before_ms}000000))
         |> group() |> count()"
    );
    eventually(SOON, || async {
        let rows = bucket.select(&count).await;
        let stored = rows.first().map_or(0, |row| row.int("_value"));
        if usize::try_from(stored) == Ok(points) { Ok(()) } else { Err(format!("{stored} of {points} points arrived")) }
    })
    .await;
}

#[tokio::test]
async fn what_is_scraped_while_influxdb_is_away_arrives_though_telegraf_is_killed_meanwhile() {
    let (mut away, app) = (Influx::own(), app());
    let bucket = away.bucket("outage");
    let gateway = Gateway::start_with(&config_for(&influx().bucket("events")), &[WITH_ADMIN_TOKEN]).await;
    let caddy = Caddy::for_sites(&["acme.app.test"]).gateway(&gateway).app(app.address()).start().await;
    caddy.request("acme.app.test", "GET", "/", &[], b"");

    away.stop().await;
    let mut telegraf = beside(&caddy, &gateway, &bucket).start().await;
    let mut points = 0;
    for round in 0..3 {
        caddy.request("acme.app.test", "GET", "/status/404", &[], b"");
        wait(&telegraf, points + 3 * 13).await;
        match round {
            0 | 1 => telegraf.kill().await,
            _ => telegraf.stop().await,
        }
        let kept = buffered(&telegraf.buffer());
        assert!(kept >= points + 3 * 13, "round {round}: {kept} of {points} points and three scrapes are left");
        points = kept;
        if round < 2 {
            telegraf.start_again().await;
        }
    }

    let ended = now_ms();
    away.start();
    telegraf.start_again().await;
    arrive(&bucket, points, ended).await;
    // Counters: what nobody scraped while Telegraf was dead is in the next value.
    become_equal(&bucket, "caddy_http_requests", || counted(&caddy)).await;
}

#[tokio::test]
async fn a_wrong_influxdb_token_is_said_by_name_and_what_was_scraped_arrives_with_the_right_one() {
    let (bucket, app) = (influx().bucket("token"), app());
    let gateway = Gateway::start_with(&config_for(&bucket), &[WITH_ADMIN_TOKEN]).await;
    let caddy = Caddy::for_sites(&["acme.app.test"]).gateway(&gateway).app(app.address()).start().await;
    caddy.request("acme.app.test", "GET", "/", &[], b"");
    let wrong = "another-influxdb-token";
    let mut telegraf = beside(&caddy, &gateway, &bucket).variable("INFLUXDB_TOKEN", wrong).start().await;
    wait(&telegraf, 2 * 13).await;
    eventually(SOON, || async {
        let log = telegraf.log();
        let refused = format!("failed to write metrics to {} (401 Unauthorized)", bucket.name());
        if log.contains(&refused) { Ok(()) } else { Err(log) }
    })
    .await;
    telegraf.stop().await;
    assert!(!telegraf.log().contains(wrong), "a token is in the log: {}", telegraf.log());

    let (points, ended) = (buffered(&telegraf.buffer()), now_ms());
    // The buffer belongs to the output as it is written in the file: another token in the variable is the same output.
    telegraf.start_again_with("INFLUXDB_TOKEN", bucket.token()).await;
    arrive(&bucket, points, ended).await;
}

#[tokio::test]
async fn a_buffer_that_lost_its_end_with_the_machines_power_does_not_keep_telegraf_from_starting() {
    let (bucket, app) = (influx().bucket("torn"), app());
    let gateway = Gateway::start_with(&config_for(&bucket), &[WITH_ADMIN_TOKEN]).await;
    let caddy = Caddy::for_sites(&["acme.app.test"]).gateway(&gateway).app(app.address()).start().await;
    caddy.request("acme.app.test", "GET", "/", &[], b"");
    let mut telegraf = beside(&caddy, &gateway, &bucket).variable("INFLUXDB_TOKEN", "another-token").start().await;
    wait(&telegraf, 13).await;
    telegraf.kill().await;
    let segment = segments(&telegraf.buffer()).next().expect("a buffer with points has a segment");
    let file = std::fs::OpenOptions::new().write(true).open(&segment).expect("the segment can be opened");
    let whole = file.metadata().expect("an open file has a length").len();
    file.set_len(whole - 5).expect("a file can be cut");

    telegraf.start_again_with("INFLUXDB_TOKEN", bucket.token()).await;
    become_equal(&bucket, "caddy_http_requests", || counted(&caddy)).await;
    let log = telegraf.log();
    assert!(log.contains("E! [start] the buffer in") && log.contains("is damaged; deleting it"), "{log}");
}
