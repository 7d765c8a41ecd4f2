//! The answer table: what shuts the gates, and what opens them.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::server::{Reply, ok, status};
use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_denied_pauses_the_server_and_says_what_to_do_until_it_is_mended() {
    let mended = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&mended);
    let server = Server::start(move |_| if seen.load(Ordering::Relaxed) { ok() } else { status(401) }).await;
    let rig = rig(&server);
    let acme = Account::detached("acme");
    rig.send(&acme, "one", &lines("acme", 0..10)).await;
    rig.send(&acme, "two", &lines("acme", 0..10)).await;
    for bucket in ["one", "two"] {
        let state = until_state(&rig.delivery, bucket, |state| matches!(state, LaneState::Paused(_))).await;
        assert!(
            matches!(&state, LaneState::Paused(why) if why.contains("401") && why.contains("influxdb.token")),
            "{state:?}"
        );
    }
    tokio::time::sleep(PACE.pause * 4).await;
    let probes = server.writes();
    assert!((2..=8).contains(&probes), "{probes} probes in four pauses");
    assert_eq!(acme.totals().pending, 20);
    mended.store(true, Ordering::Relaxed);
    assert_eq!(settled(&acme).await.delivered, 20);
    until_state(&rig.delivery, "one", |state| *state == LaneState::Flowing).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_bucket_pauses_only_itself() {
    let made = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&made);
    let server =
        Server::start(
            move |request| {
                if request.bucket == "missing" && !seen.load(Ordering::Relaxed) { status(404) } else { ok() }
            },
        )
        .await;
    let rig = rig(&server);
    let (acme, other) = (Account::detached("acme"), Account::detached("other"));
    rig.send(&acme, "missing", &lines("acme", 0..10)).await;
    let state = until_state(&rig.delivery, "missing", |state| matches!(state, LaneState::Paused(_))).await;
    assert!(
        matches!(&state, LaneState::Paused(why) if why.contains("\"missing\"") && why.contains("set influxdb.create_bucket")),
        "{state:?}"
    );
    assert!(!format!("{state:?}").contains("could not be created"), "it was tried without leave: {state:?}");
    for n in 0..20 {
        rig.send(&other, "main", &lines("other", n..n + 1)).await;
    }
    assert_eq!(settled(&other).await.delivered, 20);
    until_state(&rig.delivery, "main", |state| *state == LaneState::Flowing).await;
    assert_eq!(acme.totals().pending, 10);
    made.store(true, Ordering::Relaxed);
    assert_eq!(settled(&acme).await.delivered, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_forbidden_does_not_hold_those_that_are_not() {
    let server = Server::start(|request| if request.bucket == "closed" { status(403) } else { ok() }).await;
    let rig = rig(&server);
    let (acme, other) = (Account::detached("acme"), Account::detached("other"));
    // Also before anything else was delivered.
    rig.send(&acme, "closed", &lines("acme", 0..1)).await;
    until_state(&rig.delivery, "closed", |state| matches!(state, LaneState::Paused(_))).await;
    for n in 0..200 {
        rig.send(&other, "main", &lines("other", n..n + 1)).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(until_state(&rig.delivery, "main", |_| true).await, LaneState::Flowing);
    }
    assert_eq!(settled(&other).await.delivered, 200);
    until_state(&rig.delivery, "closed", |state| matches!(state, LaneState::Paused(_))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overloaded_server_gets_one_probe_at_a_time_and_then_everything() {
    let well = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&well);
    let server = Server::start(move |request| match (seen.load(Ordering::Relaxed), request.number % 2) {
        (true, _) => ok(),
        (false, 0) => status(503),
        (false, _) => status(429),
    })
    .await;
    let rig = rig(&server);
    let acme = Account::detached("acme");
    for bucket in ["a", "b", "c"] {
        rig.send(&acme, bucket, &lines("acme", 0..10)).await;
    }
    until_state(&rig.delivery, "b", |state| *state == LaneState::BackingOff).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    // Ten to twenty probes fit into that time; three lanes without a common gate would send more than twice as many.
    assert!((3..=40).contains(&server.writes()), "{} writes", server.writes());
    assert_eq!(acme.totals().pending, 30);
    well.store(true, Ordering::Relaxed);
    assert_eq!(settled(&acme).await.delivered, 30);
    for bucket in ["a", "b", "c"] {
        assert_eq!(server.stored(bucket).len(), 10);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_gets_everything_when_it_is_back() {
    let server = Server::start(|_| ok()).await;
    let (url, port) = (server.url(), server.port());
    drop(server);
    tokio::time::sleep(Duration::from_millis(20)).await;
    let rig = rig_with(Some(&influx(&url)), 1 << 20);
    let acme = Account::detached("acme");
    rig.send(&acme, "main", &lines("acme", 0..100)).await;
    until_state(&rig.delivery, "main", |state| *state == LaneState::BackingOff).await;
    let server = Server::on(port, |_| ok()).await;
    assert_eq!(settled(&acme).await.delivered, 100);
    assert_eq!(server.stored("main").len(), 100);
    // The probe that passed opened the gate, for everybody.
    until_state(&rig.delivery, "main", |state| *state == LaneState::Flowing).await;
    for bucket in ["main", "another"] {
        rig.send(&acme, bucket, &lines("acme", 100..200)).await;
    }
    assert_eq!(settled(&acme).await.delivered, 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_alone_gets_a_500_is_divided_and_only_its_poison_is_buried() {
    let server =
        Server::start(|request| if request.lines.iter().any(|line| line.contains("bad")) { status(500) } else { ok() })
            .await;
    let rig = rig(&server);
    let (acme, other) = (Account::detached("acme"), Account::detached("other"));
    let mut all = lines("acme", 0..16);
    all[5] = "m bad=1".to_owned();
    rig.send(&acme, "main", &all).await;
    let others = async {
        for n in 0.. {
            rig.send(&other, "main", &lines("other", n..n + 1)).await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let totals = tokio::select! {
        () = others => unreachable!(),
        totals = settled(&acme) => totals,
    };
    assert_eq!((totals.delivered, totals.dead_lettered), (15, 1));
    assert_eq!(rig.letters("acme")[0].line, "m bad=1");
    assert_eq!(settled(&other).await.dead_lettered, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_times_out_is_tried_again_and_nothing_is_lost() {
    let server = Server::start(|request| match request.number {
        0 | 1 => Reply::Slow(Duration::from_secs(5)),
        _ => ok(),
    })
    .await;
    let rig = rig(&server);
    let acme = Account::detached("acme");
    rig.send(&acme, "main", &lines("acme", 0..10)).await;
    until_state(&rig.delivery, "main", |state| *state == LaneState::BackingOff).await;
    assert_eq!(settled(&acme).await.delivered, 10);
    until_state(&rig.delivery, "main", |state| *state == LaneState::Flowing).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_write_does_not_stop_the_others() {
    let server = Server::start(|request| match request.lines[0].contains("slow") {
        true => Reply::Slow(Duration::from_secs(3)),
        false => ok(),
    })
    .await;
    let rig = rig_with(Some(&Influx { timeout: Duration::from_secs(20), ..influx(&server.url()) }), 1 << 20);
    let (slow, quick) = (Account::detached("slow"), Account::detached("quick"));
    rig.send(&slow, "main", &["m,t=slow v=1i 1".to_owned()]).await;
    tokio::time::sleep(PACE.linger * 3).await;
    rig.send(&quick, "main", &lines("quick", 0..10)).await;
    settled(&quick).await;
    assert_eq!(slow.totals().pending, 1);
    assert_eq!(settled(&slow).await.delivered, 1);
    assert_eq!(server.most_in_flight(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_no_influxdb_gives_pauses_and_names_the_status() {
    for odd in [200, 301, 405] {
        let answers = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&answers);
        let server =
            Server::start(move |_| if seen.fetch_add(1, Ordering::Relaxed) == 0 { status(odd) } else { ok() }).await;
        let rig = rig(&server);
        let acme = Account::detached("acme");
        rig.send(&acme, "main", &lines("acme", 0..3)).await;
        let state = until_state(&rig.delivery, "main", |state| matches!(state, LaneState::Paused(_))).await;
        assert!(matches!(&state, LaneState::Paused(why) if why.contains(&odd.to_string())), "{state:?}");
        assert_eq!(settled(&acme).await.delivered, 3);
    }
}

/// Settings whose InfluxDB is this one, as a reload gives them.
fn with(influx: Influx) -> Settings {
    let env = [("INFLUXDB_URL", "http://localhost:8086"), ("INFLUXDB_ORG", "o"), ("INFLUXDB_TOKEN", "t")];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let settings = crate::config::load(&crate::config::Sources { file: None, env }).unwrap();
    Settings { influxdb: Some(influx), ..settings }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_replaced_is_tried_at_once_also_by_the_write_that_was_under_way() {
    let server = Server::start(|request| match request.token.as_str() {
        "fresh" => ok(),
        // Long enough for the swap to come before the answer.
        _ => Reply::Late(Duration::from_millis(100), 401),
    })
    .await;
    let patient = Pace { pause: Duration::from_secs(60), pause_cap: Duration::from_secs(60), ..PACE };
    let rig = rig_at(Some(&influx(&server.url())), 1 << 20, patient);
    let acme = Account::detached("acme");
    let fresh = with(Influx { token: "fresh".to_owned().into(), ..influx(&server.url()) });
    let controls = rig.delivery.controls();

    rig.send(&acme, "one", &lines("acme", 0..10)).await;
    until_state(&rig.delivery, "one", |state| matches!(state, LaneState::Paused(_))).await;
    assert_eq!(acme.totals().pending, 10);
    controls.apply(controls.prepare(&fresh).unwrap());
    // Else it would wait a minute.
    assert_eq!(settled(&acme).await.delivered, 10);

    let stale = with(Influx { token: "stale".to_owned().into(), ..influx(&server.url()) });
    controls.apply(controls.prepare(&stale).unwrap());
    let before = server.writes();
    rig.send(&acme, "one", &lines("acme", 10..20)).await;
    let deadline = Instant::now() + Duration::from_secs(15);
    while server.writes() == before {
        assert!(Instant::now() < deadline, "nothing was written");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    controls.apply(controls.prepare(&fresh).unwrap());
    assert_eq!(settled(&acme).await.delivered, 20);
    until_state(&rig.delivery, "one", |state| *state == LaneState::Flowing).await;
}
