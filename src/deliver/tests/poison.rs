//! A tenant that keeps sending what the server refuses: it costs the others no request, and no memory.

use std::sync::atomic::AtomicUsize;

use super::server::{Reply, Request, ok, status};
use super::*;
use crate::deliver::suspects::Suspects;

/// Whose lines a request holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Holds {
    Acme,
    Others,
    Both,
}

fn holds(request: &Request) -> Holds {
    let acme = request.lines.iter().filter(|line| line.contains("tenant_id=acme")).count();
    match acme {
        0 => Holds::Others,
        all if all == request.lines.len() => Holds::Acme,
        _ => Holds::Both,
    }
}

/// What a server saw since it was last emptied: whose lines, and whether they were refused.
type Seen = Arc<Mutex<Vec<(Holds, bool)>>>;

/// A server that refuses requests with a bad line, by this reply.
async fn refusing(refusal: impl Fn() -> Reply + Send + Sync + 'static) -> (Server, Seen) {
    let seen = Seen::default();
    let kept = Arc::clone(&seen);
    let server = Server::start(move |request| {
        let bad = request.lines.iter().any(|line| line.contains("bad"));
        lock(&kept).push((holds(request), bad));
        if bad { refusal() } else { ok() }
    })
    .await;
    (server, seen)
}

fn bad_request() -> Reply {
    Reply::Status(400, "something in there is wrong".to_owned())
}

/// Both tenants send a line every other millisecond, one in ten of acme's is bad; then all has ended.
async fn send_steadily(rig: &Rig, acme: &Arc<Account>, good: &Arc<Account>) {
    for n in 1_000..1_200 {
        let line = if n % 10 == 0 { format!("m,tenant_id=acme bad={n}") } else { lines("acme", n..n + 1).remove(0) };
        rig.send(acme, "main", &[line]).await;
        rig.send(good, "main", &lines("good", n..n + 1)).await;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    settled(good).await;
    settled(acme).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_its_first_refusal_a_poisoned_tenant_shares_no_request_with_a_good_one() {
    let (server, seen) = refusing(bad_request).await;
    let rig = rig(&server);
    let (acme, good) = (Account::detached("acme"), Account::detached("good"));
    rig.send(&good, "main", &lines("good", 0..10)).await;
    rig.send(&acme, "main", &["m,tenant_id=acme bad=1".to_owned()]).await;
    settled(&acme).await;
    settled(&good).await;
    lock(&seen).clear();

    send_steadily(&rig, &acme, &good).await;
    let seen = lock(&seen).clone();
    assert!(seen.contains(&(Holds::Acme, true)) && seen.contains(&(Holds::Others, false)), "{seen:?}");
    let shared: Vec<_> = seen.iter().filter(|(holds, _)| *holds == Holds::Both).collect();
    assert!(shared.is_empty() && !seen.contains(&(Holds::Others, true)), "{shared:?} of {} requests", seen.len());
    let (acme, good) = (acme.totals(), good.totals());
    assert_eq!((acme.delivered, acme.dead_lettered, good.delivered), (180, 21, 210));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_was_cut_before_the_refusal_is_parted_before_it_is_written() {
    let (server, seen) = refusing(bad_request).await;
    let rig = rig_with(Some(&Influx { in_flight: 1, ..influx(&server.url()) }), 1 << 20);
    let (acme, good) = (Account::detached("acme"), Account::detached("good"));
    // Three full batches and a bit: one is written, one has been cut, one is open.
    for n in 0..4 {
        let mut mixed = lines("acme", n * 2_000..(n + 1) * 2_000);
        mixed[0] = format!("m,tenant_id=acme bad={n}");
        rig.send(&acme, "main", &mixed).await;
        rig.send(&good, "main", &lines("good", n * 2_000..(n + 1) * 2_000)).await;
    }
    settled(&good).await;
    settled(&acme).await;
    let seen = lock(&seen).clone();
    let shared = seen.iter().filter(|(holds, _)| *holds == Holds::Both).count();
    assert!(shared <= 1, "{seen:?}");
    assert_eq!((acme.totals().dead_lettered, good.totals().delivered), (4, 8_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_whose_line_makes_the_server_fail_gets_batches_of_its_own_too() {
    let (server, seen) = refusing(|| status(500)).await;
    let rig = rig(&server);
    let (acme, good) = (Account::detached("acme"), Account::detached("good"));
    let mut first = lines("acme", 0..4);
    first.push("m,tenant_id=acme bad=1".to_owned());
    rig.send(&acme, "main", &first).await;
    rig.send(&good, "main", &lines("good", 0..4)).await;
    let pass = async {
        for n in 4.. {
            rig.send(&good, "main", &lines("good", n..n + 1)).await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let totals = tokio::select! {
        () = pass => unreachable!(),
        totals = settled(&acme) => totals,
    };
    assert_eq!((totals.delivered, totals.dead_lettered), (4, 1));
    settled(&good).await;
    lock(&seen).clear();
    for n in 0..20 {
        rig.send(&acme, "main", &lines("acme", n..n + 1)).await;
        rig.send(&good, "main", &lines("good", n..n + 1)).await;
    }
    settled(&acme).await;
    settled(&good).await;
    let seen = lock(&seen).clone();
    assert!(seen.iter().all(|(holds, refused)| *holds != Holds::Both && !refused), "{seen:?}");
}

/// A sender to this server, outside of any delivery.
fn sender(server: &Server, dir: &std::path::Path) -> Arc<Sender> {
    let metrics = Arc::new(Metrics::new().unwrap());
    // Large bodies are slow to take in a debug build.
    let influx = Influx { timeout: Duration::from_secs(20), ..influx(&server.url()) };
    let shared = Shared {
        destination: Destination::Influx(ArcSwap::from_pointee(InfluxWriter::new(&influx).unwrap())),
        server: Gate::new("server".to_owned(), PACE),
        dead_letters: Arc::new(DeadLetters::new(dir, (1 << 20).into(), Clock::system(), Arc::clone(&metrics))),
        letter_writers: Arc::new(Semaphore::new(LETTER_WRITERS as usize)),
        metrics,
        clock: Clock::system(),
        pace: PACE,
        flushing: AtomicBool::new(false),
        lanes: AtomicUsize::new(1),
    };
    Arc::new(Sender::new("main".into(), Arc::new(shared)))
}

#[test]
fn an_account_is_suspected_for_a_minute_after_its_last_bad_line() {
    let suspects = Suspects::default();
    let (acme, good) = (Account::detached("acme"), Account::detached("good"));
    let mut now = Instant::now();
    suspects.add(&acme, now);
    for _ in 0..3 {
        now += Duration::from_secs(59);
        assert!(suspects.has(&acme, now) && !suspects.has(&good, now) && suspects.all(now).len() == 1);
        suspects.add(&acme, now);
    }
    now += Duration::from_secs(61);
    assert!(suspects.all(now).is_empty() && !suspects.has(&acme, now));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_tenants_backlog_stands_before_nobody_else_and_waits_in_the_spool() {
    let slow = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&slow);
    let server = Server::start(move |request| match holds(request) {
        Holds::Others => ok(),
        Holds::Acme | Holds::Both => {
            count.fetch_add(request.lines.len(), Ordering::Relaxed);
            Reply::Slow(Duration::from_millis(300))
        }
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let (sender, spool) = (sender(&server, dir.path()), Spool::in_memory(64 << 20, OnFull::Reject, Clock::system()));
    let (acme, good) = (Account::detached("acme"), Account::detached("good"));
    sender.suspects.add(&acme, Instant::now());
    let send = |account: &Arc<Account>, line: String| {
        let lines = Bytes::from(line);
        let account = Arc::clone(account);
        spool.append(Submission { account, share: 1.0, destination: "main".into(), points: 1, lines })
    };
    for n in 0..60 {
        send(&acme, format!("m,tenant_id=acme s=\"{}\" {n}\n", "x".repeat(300 << 10))).await.unwrap();
    }
    let (ending, phase) = watch::channel(Phase::Running);
    let lane = tokio::spawn(lane::run(Arc::clone(&sender), spool.clone(), 4, phase));
    for n in 0..20 {
        send(&good, format!("m,tenant_id=good v=1i {n}\n")).await.unwrap();
    }
    assert_eq!(settled(&good).await.delivered, 20);
    // Three lines a batch, two batches under way at once; the good one's came through between the first ones.
    let looked_at = slow.load(Ordering::Relaxed);
    assert!(looked_at <= 18, "{looked_at} of acme's 60 lines went before the others'");
    assert_eq!(settled(&acme).await.delivered, 60);
    ending.send_replace(Phase::Ending);
    lane.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_apart_when_the_gateway_stops_is_spilled_with_the_rest() {
    let (server, _) = refusing(bad_request).await;
    let rig = rig(&server);
    let (acme, good) = (Account::detached("acme"), Account::detached("good"));
    rig.send(&acme, "main", &["m,tenant_id=acme bad=1".to_owned()]).await;
    settled(&acme).await;
    drop(server);
    rig.send(&acme, "main", &lines("acme", 0..50)).await;
    rig.send(&good, "main", &lines("good", 0..50)).await;
    let Rig { delivery, .. } = rig;
    let stopped = delivery.stop(Duration::from_secs(2)).await;
    assert_eq!(stopped.spilled.map(|(_, points)| points), Some(100));
    assert_eq!((acme.totals().spilled, good.totals().spilled), (50, 50));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_full_disk_does_not_take_as_a_dead_letter_waits_and_is_written_when_there_is_room() {
    let server = Server::start(|_| status(422)).await;
    let rig = rig(&server);
    let full = rig.dir.path().join("dead-letters/acme.jsonl");
    std::fs::create_dir(rig.dir.path().join("dead-letters")).unwrap();
    std::os::unix::fs::symlink("/dev/full", &full).unwrap();
    let acme = Account::detached("acme");
    rig.send(&acme, "main", &lines("acme", 0..3)).await;
    // Each line was refused by itself, and more than once.
    let deadline = Instant::now() + Duration::from_secs(15);
    while server.writes() < 12 {
        assert!(Instant::now() < deadline, "{:?}", acme.totals());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let totals = acme.totals();
    assert_eq!((totals.pending, totals.dead_lettered, totals.lost.iter().sum::<u64>()), (3, 0, 0));
    std::fs::remove_file(&full).unwrap();
    assert_eq!(settled(&acme).await.dead_lettered, 3);
    let mut letters: Vec<String> = rig.letters("acme").into_iter().map(|letter| letter.line).collect();
    letters.sort_unstable();
    assert_eq!(letters, lines("acme", 0..3));

    // A stop does not wait for room.
    std::fs::remove_file(&full).unwrap();
    std::os::unix::fs::symlink("/dev/full", &full).unwrap();
    rig.send(&acme, "main", &lines("acme", 3..5)).await;
    let began = Instant::now();
    let stopped = rig.delivery.stop(Duration::from_secs(10)).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!((stopped.spilled.map(|(_, points)| points), stopped.lost), (Some(2), 0));
}
