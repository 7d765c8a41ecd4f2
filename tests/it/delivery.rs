//! What InfluxDB refuses, or does not answer, costs only those whose points it is; and nothing that was accepted is lost.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    ACME_KEY, GLOBEX_KEY, Gateway, IN_MEMORY, Influx, Link, Totals, config_for, event, events, eventually, http,
    influx, now_ms, post, tagline,
};

const SOON: Duration = Duration::from_secs(15);

/// Waits until nothing of a tenant is pending, and gives its row of the ledger, which must balance.
async fn settled(gateway: &Gateway, tenant: &str, within: Duration) -> Totals {
    let totals = eventually(within, || async {
        let totals = Totals::of(gateway, tenant);
        if totals.pending == 0 { Ok(totals) } else { Err(format!("{totals:?}")) }
    })
    .await;
    assert!(totals.balances(), "{totals:?}");
    totals
}

/// The dead letters of a tenant; the file and its folder must be nobody else's to read.
fn dead_letters(gateway: &Gateway, tenant: &str) -> Vec<Value> {
    let file = gateway.spool().join("dead-letters").join(format!("{tenant}.jsonl"));
    let mode = |path: &Path| {
        std::fs::metadata(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).permissions().mode() & 0o777
    };
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(file.parent().unwrap()), 0o700);
    let text = std::fs::read_to_string(&file).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn check<'v>(readiness: &'v Value, name: &str) -> &'v Value {
    let checks = readiness["checks"].as_array().unwrap_or_else(|| panic!("{readiness}"));
    checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("no check {name}: {readiness}"))
}

#[tokio::test]
async fn lines_of_a_conflicting_type_are_dead_letters_and_the_rest_of_their_batch_arrives() {
    let bucket = influx().bucket("conflict");
    let at = now_ms() - 60_000;
    // Somebody wrote the field as a float before: InfluxDB refuses integers from now on, whoever sends them.
    let planted = format!("frontend_performance,planted=yes duration_ms=1.5 {}", at * 1_000_000);
    assert_eq!(bucket.write(planted).await.status, 204);

    let gateway = Gateway::start(&config_for(&bucket)).await;
    let mut batch = events(at, 0, 40);
    for bad in [7, 8, 31] {
        batch[bad]["metrics"] = json!({"duration_ms": 12});
    }
    assert_eq!(post(&gateway, ACME_KEY, &batch).status, 202);
    assert_eq!(post(&gateway, GLOBEX_KEY, &events(at, 0, 20)).status, 202);

    let acme = settled(&gateway, "acme", SOON).await;
    assert_eq!((acme.accepted, acme.delivered, acme.dead_lettered, acme.lost), (40, 37, 3, 0));
    let globex = settled(&gateway, "globex", SOON).await;
    assert_eq!((globex.accepted, globex.delivered), (20, 20));
    assert_eq!((bucket.stored("acme").await, bucket.stored("globex").await), (37, 20));

    let letters = dead_letters(&gateway, "acme");
    assert_eq!(letters.len(), 3, "{letters:?}");
    let mut nanos: Vec<i64> = Vec::new();
    for letter in &letters {
        assert_eq!((&letter["tenant"], &letter["bucket"]), (&json!("acme"), &json!(bucket.name())), "{letter}");
        assert!(letter["reason"].as_str().unwrap().contains("conflict"), "{letter}");
        let line = letter["line"].as_str().unwrap();
        assert!(line.contains("tenant_id=acme") && line.contains("duration_ms=12i"), "{letter}");
        nanos.push(line.rsplit(' ').next().unwrap().parse().unwrap());
    }
    nanos.sort_unstable();
    assert_eq!(nanos, [7, 8, 31].map(|seq| at * 1_000_000 + seq), "other lines than the bad ones were refused");
    assert!(!gateway.spool().join("dead-letters/globex.jsonl").exists());
}

#[tokio::test]
async fn points_older_than_the_buckets_retention_are_dead_letters_and_the_rest_arrives() {
    let hour = Duration::from_secs(3600);
    let bucket = influx().bucket_with_retention("retention", hour);
    // The gateway is not told of the retention, or it would refuse them itself.
    let gateway = Gateway::start(&config_for(&bucket)).await;
    let now = now_ms();
    let mut batch = events(now, 0, 10);
    batch[4] = event(now - 3 * 3_600_000, 4);
    assert_eq!(post(&gateway, ACME_KEY, &batch).status, 202);

    let acme = settled(&gateway, "acme", SOON).await;
    assert_eq!((acme.accepted, acme.delivered, acme.dead_lettered), (10, 9, 1));
    assert_eq!(bucket.stored("acme").await, 9);
    let letters = dead_letters(&gateway, "acme");
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert!(letters[0]["reason"].as_str().unwrap().contains("retention"), "{letters:?}");

    // Told of it, it does: at once, with the reason, and no dead letter.
    let told = Gateway::start_with(&config_for(&bucket), &[("TAGLINE__INFLUXDB__RETENTION", "1h")]).await;
    let answer = post(&told, ACME_KEY, &batch).json();
    assert_eq!((&answer["accepted"], &answer["rejected"][0]["index"]), (&json!(9), &json!(4)), "{answer}");
    assert_eq!(answer["rejected"][0]["reason"], "too_old");
}

#[tokio::test]
async fn a_missing_bucket_pauses_only_its_own_tenant_until_it_is_there() {
    let (bucket, missing) = (influx().bucket("present"), influx().absent_bucket("missing"));
    let config = format!("{}\n[tenants.globex]\nbucket = \"{}\"\n", config_for(&bucket), missing.name());
    let gateway = Gateway::start(&config).await;
    let now = now_ms();
    assert_eq!(post(&gateway, GLOBEX_KEY, &events(now, 0, 5)).status, 202);
    let name = format!("destination:{}", missing.name());
    let seen = eventually(SOON, || async {
        let (status, seen) = gateway.readiness();
        assert_eq!(status, 200, "{seen}");
        if seen["status"] == "degraded" { Ok(seen) } else { Err(seen.to_string()) }
    })
    .await;
    let paused = check(&seen, &name);
    assert_eq!(paused["status"], "degraded");
    // What an alert is made of.
    let metrics = http::request(gateway.admin_address(), "GET", "/metrics", &[], b"").text();
    assert!(metrics.contains(&format!("tagline_check_status{{check=\"{name}\"}} 1\n")), "{metrics}");
    let detail = paused["detail"].as_str().unwrap();
    assert!(detail.contains(missing.name()) && detail.contains("create"), "{detail}");

    // The pause is the tenant's own: the other's points arrive meanwhile.
    assert_eq!(post(&gateway, ACME_KEY, &events(now, 0, 5)).status, 202);
    assert_eq!(settled(&gateway, "acme", SOON).await.delivered, 5);
    assert_eq!(check(&gateway.readiness().1, &format!("destination:{}", bucket.name()))["status"], "ok");
    assert_eq!(Totals::of(&gateway, "globex").pending, 5);
    assert_eq!(post(&gateway, GLOBEX_KEY, &events(now, 5, 5)).status, 202, "it goes on being accepted");

    missing.create(Duration::ZERO);
    let globex = settled(&gateway, "globex", Duration::from_secs(25)).await;
    assert_eq!((globex.accepted, globex.delivered), (10, 10));
    assert_eq!((missing.stored("globex").await, bucket.stored("globex").await), (10, 0));
    assert_eq!(gateway.readiness().1["status"], "ok");
}

#[tokio::test]
async fn a_missing_bucket_is_created_with_its_retention_where_the_settings_say_so() {
    let missing = influx().absent_bucket("created");
    let environment = [("TAGLINE__INFLUXDB__CREATE_BUCKET", "true"), ("TAGLINE__INFLUXDB__RETENTION", "2h")];
    let gateway = Gateway::start_with(&config_for(&missing), &environment).await;
    assert_eq!(post(&gateway, ACME_KEY, &events(now_ms(), 0, 5)).status, 202);
    assert_eq!(settled(&gateway, "acme", SOON).await.delivered, 5);
    assert_eq!(missing.stored("acme").await, 5);
    let rows = missing.query(&format!("buckets() |> filter(fn: (r) => r.name == \"{}\")", missing.name())).await;
    assert_eq!(rows[0].int("retentionPeriod"), 2 * 3600 * 1_000_000_000, "{rows:?}");
}

#[tokio::test]
async fn with_a_wrong_token_nothing_is_lost_and_replay_delivers_it_with_the_right_one() {
    let bucket = influx().bucket("wrong-token");
    let folder = tempfile::tempdir().unwrap();
    let wrong = folder.path().join("token");
    std::fs::write(&wrong, "not-the-token-0123456789").unwrap();
    let environment = [
        IN_MEMORY,
        ("TAGLINE__INFLUXDB__TOKEN_FILE", wrong.to_str().unwrap()),
        ("TAGLINE__SERVER__DRAIN_TIMEOUT", "2s"),
    ];
    let mut gateway = Gateway::start_with(&config_for(&bucket), &environment).await;
    assert_eq!(post(&gateway, ACME_KEY, &events(now_ms(), 0, 30)).status, 202);
    let detail = eventually(SOON, || async {
        let (status, seen) = gateway.readiness();
        assert_eq!(status, 200, "{seen}");
        let check = check(&seen, &format!("destination:{}", bucket.name()));
        check["detail"].as_str().filter(|detail| detail.contains("401")).map(str::to_owned).ok_or(seen.to_string())
    })
    .await;
    assert!(detail.contains("influxdb.token"), "{detail}");
    let acme = Totals::of(&gateway, "acme");
    assert_eq!((acme.accepted, acme.pending), (30, 30));

    gateway.sigterm();
    let ended = gateway.wait_exit(SOON).await;
    assert_eq!(ended.code(), Some(0));
    assert_eq!(bucket.stored("acme").await, 0);
    let spill = gateway.spool().join("spill").display().to_string();
    let replayed = tagline(gateway.folder(), &["replay", "--config", &gateway.config_file(), &spill], &[]).await;
    assert_eq!(replayed.code, Some(0), "{replayed:?}");
    assert_eq!(bucket.stored("acme").await, 30);
}

/// Sends batches until one is refused; how many points were taken, and the refusal.
fn fill(gateway: &Gateway, key: &str, at: i64) -> (u64, http::Answer) {
    for batch in 0..40 {
        let answer = post(gateway, key, &events(at, batch * 500, 500));
        if answer.status != 202 {
            return (batch * 500, answer);
        }
    }
    panic!("20,000 points fit into a buffer of 1 MiB");
}

#[tokio::test]
async fn a_full_buffer_refuses_with_503_keeps_what_was_accepted_and_recovers_by_itself() {
    let mut own = Influx::own();
    let bucket = own.bucket("full");
    let environment = [IN_MEMORY, ("TAGLINE__SPOOL__MAX_MEMORY", "1MiB"), ("TAGLINE__INFLUXDB__TIMEOUT", "1s")];
    let gateway = Gateway::start_with(&config_for(&bucket), &environment).await;
    own.freeze();
    let at = now_ms() - 1_000;

    let (acme, refused) = fill(&gateway, ACME_KEY, at);
    assert_eq!(refused.status, 503);
    assert_eq!((&refused.json()["code"], &refused.json()["status"]), (&json!("spool_full"), &json!(503)));
    let wait: u64 = refused.header("retry-after").expect("Retry-After").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert!(refused.header("access-control-allow-origin").is_some(), "{refused:?}");
    let used = &gateway.admin_json("/admin/ledger")["spool"];
    let (bytes, limit) = (used["bytes"].as_u64().unwrap(), used["limitBytes"].as_u64().unwrap());
    assert_eq!(limit, 1 << 20);
    assert!(acme > 0 && bytes <= limit / 2, "one tenant fills {bytes} of {limit} bytes");

    // One tenant cannot fill more than its share: the other is still served, up to its own.
    let (globex, refused) = fill(&gateway, GLOBEX_KEY, at);
    assert_eq!(refused.status, 503);
    assert!(globex >= 1_000, "only {globex} points of the other tenant were taken");
    let (status, seen) = gateway.readiness();
    assert_eq!((status, &seen["status"]), (200, &json!("degraded")), "{seen}");
    assert_eq!(check(&seen, "spool")["status"], "degraded", "{seen}");
    assert_eq!(http::request(gateway.address(), "GET", "/healthz", &[], b"").status, 200);

    own.thaw();
    let totals = settled(&gateway, "acme", Duration::from_secs(40)).await;
    assert_eq!((totals.accepted, totals.delivered, totals.rejected), (acme, acme, 500));
    let totals = settled(&gateway, "globex", Duration::from_secs(40)).await;
    assert_eq!((totals.accepted, totals.delivered), (globex, globex));
    assert_eq!((bucket.stored("acme").await, bucket.stored("globex").await), (acme, globex));
    assert_eq!(post(&gateway, ACME_KEY, &events(at, 50_000, 500)).status, 202);
    assert_eq!(gateway.readiness().1["status"], "ok");
}

#[tokio::test]
async fn one_slow_request_does_not_stop_the_others() {
    let bucket = influx().bucket("slow");
    let link = Link::to(influx().address(), "POST /api/v2/write");
    let gateway = Gateway::start_with(&config_for(&bucket), &[("INFLUXDB_URL", &link.url())]).await;
    let now = now_ms();
    assert_eq!(post(&gateway, ACME_KEY, &events(now, 0, 10)).status, 202);
    eventually(SOON, || async { if link.holds() { Ok(()) } else { Err("nothing was written yet") } }).await;

    // The first write hangs; the same bucket's next ones pass it.
    for (key, seq) in [(GLOBEX_KEY, 0), (ACME_KEY, 10)] {
        assert_eq!(post(&gateway, key, &events(now, seq, 10)).status, 202);
    }
    assert_eq!(settled(&gateway, "globex", Duration::from_secs(8)).await.delivered, 10);
    let acme = Totals::of(&gateway, "acme");
    assert_eq!((acme.pending, acme.delivered), (10, 10));
    assert_eq!((bucket.stored("acme").await, bucket.stored("globex").await), (10, 10));

    link.release();
    assert_eq!(settled(&gateway, "acme", SOON).await.delivered, 20);
    assert_eq!(bucket.stored("acme").await, 20);
}
