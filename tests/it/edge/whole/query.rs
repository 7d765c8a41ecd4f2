//! `flux/queries/edge-and-frontend.flux` over points whose answer can be reckoned by hand.

use super::{Bucket, Row, edge_and_frontend, edge_and_frontend_since, influx, now_ms};

const HOST: &str = "acme.app.test";

/// A minute that is over, in seconds since 1970.
fn minute() -> i64 {
    (now_ms() / 60_000 - 10) * 60
}

/// Writes the values of one counter of Caddy, each so many seconds after the minute began.
async fn counter(bucket: &Bucket, minute: i64, series: &str, field: &str, values: &[(i64, u32)]) {
    let line = |(second, value): &(i64, u32)| {
        format!("caddy_http_requests,host={HOST},method=GET,{series} {field}={value} {}000000000\n", minute + second)
    };
    let answer = bucket.write(values.iter().map(line).collect::<String>()).await;
    assert_eq!(answer.status, 204, "{}", answer.text());
}

#[tokio::test]
async fn pods_that_start_again_or_come_later_and_scrapes_on_the_minute_are_counted_right() {
    let (bucket, minute) = (influx().bucket("query"), minute());
    // A scrape on the minute tells of the minute before it; the pod starts again in the next one.
    let old = [(-15, 100), (0, 103), (15, 113), (45, 123), (60, 133), (75, 5), (105, 5)];
    counter(&bucket, minute, "status_code=200,instance=old", "count", &old).await;
    counter(&bucket, minute, "status_code=200,instance=new", "count", &[(15, 0), (30, 7), (45, 7)]).await;
    // The scrape on the minute failed.
    counter(&bucket, minute, "status_code=200,instance=busy", "count", &[(-15, 50), (15, 54)]).await;
    counter(&bucket, minute, "status_code=502,instance=new", "count", &[(15, 0), (30, 2), (45, 2)]).await;

    let rows = edge_and_frontend(&bucket, HOST).await;
    let counted = |rows: &[Row]| -> Vec<(i64, f64)> {
        rows.iter().map(|row| (row.nanos("_time") / 1_000_000_000 - minute, row.float("requests"))).collect()
    };
    assert_eq!(counted(&rows), [(-60, 3.0), (0, 43.0), (60, 5.0)], "{rows:?}");
    let errors: Vec<_> = rows.iter().map(|row| row.get("errors").unwrap_or("none")).collect();
    assert_eq!(errors, ["none", "2", "none"], "{rows:?}");

    // From the middle of a minute on: all of that minute, its first difference too.
    let start = minute + 30;
    let rows = edge_and_frontend_since(&bucket, HOST, &format!("time(v: {start}000000000)")).await;
    assert_eq!(counted(&rows), [(0, 43.0), (60, 5.0)], "{rows:?}");
}

#[tokio::test]
async fn the_p99_is_that_of_all_pods_together() {
    let (bucket, minute) = (influx().bucket("query"), minute());
    for (le, old, new) in [("0.1", 40, 50), ("0.25", 48, 50), ("0.5", 50, 50), ("+Inf", 50, 50)] {
        for (instance, counted) in [("old", old), ("new", new)] {
            // What was counted before the minute is not of it.
            let values = [(-15, 1000), (0, 1000), (15, 1000), (30, 1000 + counted), (45, 1000 + counted)];
            let series = format!("status_code=200,instance={instance},le={le}");
            counter(&bucket, minute, &series, "duration_seconds_bucket", &values).await;
        }
    }
    let rows = edge_and_frontend(&bucket, HOST).await;
    let [row] = rows.as_slice() else { panic!("only one minute has requests: {rows:?}") };
    // 90, 98 and 100 of 100 took up to 100, 250 and 500 ms: the 99th lies in the middle of the last bucket.
    assert_eq!((row.nanos("_time"), row.float("edge_p99_ms")), (minute * 1_000_000_000, 375.0), "{row:?}");
}
