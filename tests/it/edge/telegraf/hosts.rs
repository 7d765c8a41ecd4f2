//! What a stranger can make of the tag `host`.

use super::*;
use crate::support::{config_for, influx};
use std::collections::BTreeSet;

#[tokio::test]
async fn a_strangers_made_up_hosts_make_no_series_without_end() {
    let (bucket, app) = (influx().bucket("hosts"), app());
    let gateway = Gateway::start_with(&config_for(&bucket), &[WITH_ADMIN_TOKEN]).await;
    let caddy = Caddy::for_sites(&["*.app.test"]).gateway(&gateway).app(app.address()).start().await;
    let telegraf = beside(&caddy, &gateway, &bucket).variable("CADDY_MAX_HOSTS", "3").start().await;
    let hosts = || async {
        let stored = newest(&bucket, "caddy_http_requests").await;
        let hosts = stored.keys().filter_map(|key| key.split_once("host=")?.1.split(',').next().map(str::to_owned));
        hosts.collect::<BTreeSet<_>>()
    };

    assert_eq!(caddy.request("acme.app.test", "GET", "/", &[], b"").status, 200);
    eventually(SOON, || async {
        let hosts = hosts().await;
        if hosts.contains("acme.app.test") { Ok(()) } else { Err(format!("{hosts:?}")) }
    })
    .await;
    // Any name below the wildcard: Caddy makes a host of each.
    for number in 0..10 {
        assert_eq!(caddy.request(&format!("made-up-{number}.app.test"), "GET", "/", &[], b"").status, 200);
    }
    let made = caddy.metrics();
    assert!(made.contains("host=\"made-up-9.app.test\""), "{made}");

    eventually(SOON, || async {
        let log = telegraf.log();
        if log.contains("has more than 3 hosts") { Ok(()) } else { Err(log) }
    })
    .await;
    // Once more than the scrape that the log tells of is stored: what comes behind the three would be by now.
    let before = scrapes(&bucket).await;
    eventually(SOON, || async {
        let now = scrapes(&bucket).await;
        if now >= before + 2 { Ok(()) } else { Err(format!("{now} scrapes")) }
    })
    .await;
    let hosts = hosts().await;
    assert_eq!(hosts.len(), 3, "{hosts:?}");
    assert!(hosts.contains("acme.app.test"), "who was there before goes on: {hosts:?}");
    assert_eq!(telegraf.log().matches("has more than 3 hosts").count(), 1, "said once");
}

async fn scrapes(bucket: &Bucket) -> i64 {
    let count = "|> filter(fn: (r) => r._measurement == \"caddy_http_requests\" and r._field == \"count\"
                     and r.host == \"acme.app.test\") |> count()";
    bucket.select(count).await.first().map_or(0, |row| row.int("_value"))
}
