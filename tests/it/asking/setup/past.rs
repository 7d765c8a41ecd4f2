//! `tagline rollup`: what the tasks do not reach.

use serde_json::json;

use super::Organisation;
use crate::support::now_ms;

const HOUR: i64 = 3_600_000;

#[tokio::test]
async fn the_past_is_rolled_up_by_a_command_that_can_be_run_again() {
    let org = Organisation::new();
    org.settings("[influxdb]\nbucket = \"events\"\n[tenants.big]\nbucket = \"big\"\n");
    org.setup(&["--no-tokens"]).await;
    // Ten events in each of three hours that no task looks at any more, in both buckets.
    let now = now_ms() - now_ms() % HOUR;
    let at = |hours: i64, n: i64| now - hours * HOUR + n * 60_000;
    for (bucket, tenant) in [("events", "acme"), ("big", "big")] {
        let line = |(hours, n): (i64, i64)| {
            format!(
                "frontend_performance,tenant_id={tenant},view_name=V,action_name=a duration_ms={}i {}000000",
                100 + n,
                at(hours, n)
            )
        };
        let lines: Vec<String> =
            [26, 25, 5].into_iter().flat_map(|hours| (0..10).map(move |n| (hours, n))).map(line).collect();
        assert_eq!(org.write(&org.token, bucket, &lines.join("\n")).status, 204);
    }
    let stored = |measurement: &str| {
        let flux = format!(
            "from(bucket: \"app_observability_rollup\") |> range(start: -4d) |> filter(fn: (r) => r._measurement == \"{measurement}\" and r._field == \"count\") |> group(columns: [\"tenant_id\"]) |> sum() |> map(fn: (r) => ({{r with _value: int(v: r._value)}})) |> keep(columns: [\"tenant_id\", \"_value\"])"
        );
        let answer = org.query(&org.token, &flux);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let mut rows: Vec<String> = answer
            .text()
            .lines()
            .filter(|line| line.starts_with(",_result"))
            .map(|line| line.split(',').skip(3).collect::<Vec<_>>().join(" "))
            .collect();
        rows.sort();
        rows
    };
    let dry = org.run("rollup", &["--since", "27h", "--dry-run"], &[]).await;
    assert_eq!(dry.code, Some(0), "{dry:?}");
    assert!(dry.stderr.contains("of \"events\", \"big\", into \"app_observability_rollup\""), "{dry:?}");
    assert_eq!(stored("frontend_performance_1m"), Vec::<String>::new(), "a dry run wrote");

    // Twice is once: what is computed again overwrites itself.
    for since in ["27h", "26h"] {
        let ran = org.run("rollup", &["--since", since], &[]).await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.stderr.contains("Wrote "), "{ran:?}");
        for measurement in ["frontend_performance_1m", "frontend_performance_1h"] {
            let mut rows = stored(measurement);
            rows.iter_mut().for_each(|row| *row = row.trim().to_owned());
            assert_eq!(rows.len(), 2, "{measurement}: {rows:?}");
            assert!(rows.iter().all(|row| row.contains("30")), "{measurement}: {rows:?}");
        }
    }
    // Only minutes of an hour that is not over, but in its first five: InfluxDB would refuse a range without a whole hour.
    let minutes = org.run("rollup", &["--since", "5m"], &[]).await;
    assert_eq!(minutes.code, Some(0), "{minutes:?}");
    // A part of the past, by moments.
    let nothing = org.run("rollup", &["--since", "2026-01-31", "--until", "2026-01-31"], &[]).await;
    assert_eq!(nothing.code, Some(2), "{nothing:?}");

    // A token that only reads.
    let buckets: Vec<_> = org.buckets();
    let right = |bucket: &serde_json::Value| json!({ "action": "read", "resource": { "type": "buckets", "id": bucket["id"], "orgID": org.id } });
    let rights: Vec<_> = buckets.iter().map(right).collect();
    let made = org.call("POST", "/api/v2/authorizations", &json!({ "orgID": org.id, "permissions": rights }));
    let reader = made["token"].as_str().unwrap();
    let refused = org.run("rollup", &["--since", "3h"], &[("INFLUXDB_ADMIN_TOKEN", reader)]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let says = ["INFLUXDB_ADMIN_TOKEN", "writes \"app_observability_rollup\"", "go on with --since"];
    assert!(says.iter().all(|part| refused.stderr.contains(part)), "{refused:?}");
    assert!(!refused.stderr.contains(reader), "{refused:?}");
    org.setup(&["--remove-tasks"]).await;
}
