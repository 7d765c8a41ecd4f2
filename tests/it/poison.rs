//! One tenant's poisoned stream: its good lines arrive, its bad ones are dead letters, and its neighbour in the same bucket notices
//! nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{
    ACME_KEY, Bucket, Counts, GLOBEX_KEY, Gateway, Load, Pace, Relay, Sender, Totals, Verdict, config_for, eventually,
    influx, now_ms, numbers, post,
};

const HOUR: i64 = 3_600_000;

/// How long the poison flows.
const FLOWS: Duration = Duration::from_secs(10);

/// What is visible of the neighbour may be this much older than now.
const LAG: i64 = 5_000;

/// Batches that are under way at once for one bucket (`influxdb.in_flight`).
const IN_FLIGHT: usize = 4;

/// Every hundredth event of a request of a hundred is bad, in turn in these ways, which only the server can see.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Bad {
    /// Its field was stored with another type before.
    Type,
    /// Its time is before the bucket's retention, of which the gateway knows nothing.
    Time,
}

/// The request with this number: a hundred events, and how the one in its midst is bad.
fn request(number: u64, at: i64) -> (Value, u64, Bad) {
    let first = number * 100;
    let poisoned = first + 50;
    let bad = if number.is_multiple_of(2) { Bad::Type } else { Bad::Time };
    let events = (first..first + 100).map(|number| {
        let mut event = json!({
            "sessionId": "poison", "viewName": "v", "actionName": "a", "timestamp": at, "seq": number,
            "metrics": {"element_count": number},
        });
        match bad {
            Bad::Type if number == poisoned => event["metrics"]["duration_ms"] = json!(12),
            Bad::Time if number == poisoned => event["timestamp"] = json!(at - 3 * HOUR),
            _ => {}
        }
        event
    });
    (events.collect(), poisoned, bad)
}

/// The dead letters of a tenant, in all of its files, which must be nobody else's to read.
fn letters(gateway: &Gateway, tenant: &str) -> Vec<Value> {
    let mut letters = Vec::new();
    for entry in std::fs::read_dir(gateway.spool().join("dead-letters")).into_iter().flatten() {
        let path = entry.unwrap().path();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", path.display());
        if path.file_name().unwrap().to_string_lossy().starts_with(&format!("{tenant}.")) {
            let text = std::fs::read_to_string(&path).unwrap();
            letters.extend(text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
        }
    }
    letters
}

/// The number in a line.
fn number_of(letter: &Value) -> u64 {
    let line = letter["line"].as_str().unwrap_or_else(|| panic!("{letter}"));
    let field = line.split_once("element_count=").and_then(|(_, rest)| rest.split_once('i'));
    field.and_then(|(number, _)| number.parse().ok()).unwrap_or_else(|| panic!("{letter}"))
}

/// How old the newest point of a tenant is that Flux finds, in milliseconds.
async fn lag(bucket: &Bucket, tenant: &str) -> Option<i64> {
    let pipe = format!(
        "|> filter(fn: (r) => r.tenant_id == \"{tenant}\" and r._field == \"element_count\")
         |> map(fn: (r) => ({{_value: int(v: r._time)}})) |> group() |> max()"
    );
    let newest = bucket.select(&pipe).await.first().map(|row| row.int("_value") / 1_000_000)?;
    Some(now_ms() - newest)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poisoned_stream_costs_only_its_own_bad_lines_and_its_neighbour_notices_nothing() {
    let bucket = influx().bucket_with_retention("poison", Duration::from_secs(3_600));
    let at = now_ms();
    // Somebody stored the field as a float. InfluxDB compares types within a shard, here of an hour: this one and the next.
    let planted = [at, at + HOUR].map(|at| format!("frontend_performance,planted=yes duration_ms=1.5 {at}000000"));
    assert_eq!(bucket.write(planted.join("\n")).await.status, 204);
    let relay = Relay::to(influx().address());
    let environment = [("INFLUXDB_URL", &*relay.url()), ("TAGLINE__INFLUXDB__GZIP", "false")];
    let gateway = Gateway::start_with(&config_for(&bucket), &environment).await;

    let counts = Arc::<Counts>::default();
    let neighbour = Pace { events: 20..=20, every_ms: 50..=50 };
    let load = Load::start(gateway.address(), [(Sender::new(GLOBEX_KEY, 0, &counts), neighbour)]);
    let (mut good, mut bad, mut lags) = (BTreeSet::new(), BTreeMap::new(), Vec::new());
    let (begin, mut next_look) = (Instant::now(), Duration::from_secs(3));
    for number in 0.. {
        let (events, poisoned, how) = request(number, now_ms());
        let answer = post(&gateway, ACME_KEY, &events);
        assert_eq!((answer.status, &answer.json()["accepted"]), (202, &json!(100)), "{}", answer.text());
        good.extend((number * 100..number * 100 + 100).filter(|number| *number != poisoned));
        bad.insert(poisoned, how);
        if begin.elapsed() >= FLOWS {
            break;
        }
        if begin.elapsed() >= next_look {
            next_look += Duration::from_secs(1);
            let lag = lag(&bucket, "globex").await.expect("the neighbour's points arrive while the poison flows");
            lags.push(lag);
            let row = Totals::of(&gateway, "globex");
            assert!(row.balances() && row.dead_lettered == 0 && row.lost == 0, "{row:?}");
            assert!(lag < LAG, "the neighbour's newest point is {lag} ms old; {row:?}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(lags.len() >= 4, "{lags:?}");
    println!("{} bad of {} lines; the neighbour's lag was {lags:?} ms", bad.len(), bad.len() + good.len());
    let senders = load.stop();

    let settled = |tenant: &'static str| {
        let gateway = &gateway;
        eventually(Duration::from_secs(30), move || async move {
            let row = Totals::of(gateway, tenant);
            assert!(row.balances(), "{row:?}");
            if row.pending == 0 { Ok(row) } else { Err(format!("{tenant}: {row:?}")) }
        })
    };
    let globex = settled("globex").await;
    let verdict = Verdict::of(&senders, &numbers(&bucket, "globex").await);
    assert_eq!((globex.delivered, globex.dead_lettered), (verdict.acknowledged, 0), "{globex:?}");
    assert_eq!(letters(&gateway, "globex"), [json!(null); 0]);

    // Nor a request: what held the neighbour's lines was refused only until it was known whose lines are bad, in what was under way.
    let writes = relay.writes();
    let with = |tenant: &str| writes.iter().filter(|write| write.tenants.contains(tenant)).count();
    let spoilt = writes.iter().filter(|write| write.status >= 400 && write.tenants.contains("globex")).count();
    println!("{} writes for acme, {} for globex, {spoilt} of these refused", with("acme"), with("globex"));
    assert!(
        with("globex") >= 8 && spoilt <= IN_FLIGHT,
        "{spoilt} of {} writes of the neighbour's were refused",
        with("globex")
    );

    let acme = settled("acme").await;
    assert_eq!((acme.delivered, acme.dead_lettered, acme.lost), (good.len() as u64, bad.len() as u64, 0), "{acme:?}");
    assert!(numbers(&bucket, "acme").await.into_iter().eq(good), "exactly the good lines are stored");
    let letters = letters(&gateway, "acme");
    assert_eq!(letters.iter().map(number_of).collect::<BTreeSet<_>>(), bad.keys().copied().collect());
    assert_eq!(letters.len(), bad.len(), "one letter for each bad line");
    for letter in &letters {
        assert_eq!((&letter["tenant"], &letter["bucket"]), (&json!("acme"), &json!(bucket.name())), "{letter}");
        let reason = letter["reason"].as_str().unwrap();
        let word = if bad[&number_of(letter)] == Bad::Type { "field type conflict" } else { "retention" };
        assert!(reason.contains(word), "{letter}");
    }
}
