//! One bucket that takes nothing holds no other.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::deliver::tests::server::{Server, ok, status};
use crate::spool::offline::fixture::{record, segment};

fn a_log(dir: &Path, records: &[Vec<u8>]) -> PathBuf {
    let log = dir.join("log");
    segment(&log, 1, records);
    log
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_missing_or_forbidden_is_left_out_and_sent_when_it_is_mended() {
    for unwilling in [404, 403, 405] {
        let dir = tempfile::tempdir().unwrap();
        let mended = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&mended);
        let server = Server::start(move |request| {
            if request.bucket == "closed" && !seen.load(Ordering::Relaxed) { status(unwilling) } else { ok() }
        })
        .await;
        // Its records come first, in between, and last.
        let all: Vec<_> = (1..=60)
            .map(|n| record(n, "acme", ["closed", "one", "two"][(n % 3) as usize], &[&format!("m v={n}i {n}")]))
            .collect();
        let log = a_log(dir.path(), &all);
        let influx = influx_at(server.url());
        let failure = run(&log, false, Some(&influx)).await.unwrap_err();
        assert!(failure.code() == 1 && failure.to_string().contains("not sent wholly"), "{failure}");
        let stored = |bucket: &str| {
            let mut stored = server.stored(bucket);
            // A batch that was under way when the others were regrouped may come twice: it is the same points.
            stored.dedup();
            stored.len()
        };
        assert_eq!((stored("closed"), stored("one"), stored("two")), (0, 20, 20), "{unwilling}");
        assert!(log.join("00000000000000000001.seg").exists());

        mended.store(true, Ordering::Relaxed);
        assert_eq!(run(&log, false, Some(&influx)).await, Ok(()));
        assert_eq!((stored("closed"), stored("one"), stored("two")), (20, 20, 20), "{unwilling}");
        assert!(!log.join("00000000000000000001.seg").exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_the_memory_holds_for_a_paused_bucket_does_not_hold_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(|request| if request.bucket == "closed" { status(404) } else { ok() }).await;
    let long = format!("m v=\"{}\" 1", "x".repeat(1 << 20));
    let mut all: Vec<_> = (1..=40).map(|n| record(n, "acme", "closed", &[&long])).collect();
    all.extend((41..=50).map(|n| record(n, "globex", "open", &[&format!("m v={n}i {n}")])));
    let log = a_log(dir.path(), &all);
    let failure = run(&log, false, Some(&influx_at(server.url()))).await.unwrap_err();
    assert_eq!(failure.code(), 1, "{failure}");
    assert_eq!(server.stored("open").len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_sent_is_told_by_bucket() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(|request| if request.bucket == "closed" { status(404) } else { ok() }).await;
    let points = ["m v=1i 1", "m v=2i 2", "m v=3i 3"];
    let log = a_log(dir.path(), &[record(1, "acme", "closed", &points), record(2, "acme", "open", &points[..2])]);
    let influx = influx_at(server.url());
    let way = Way { patience: Duration::from_secs(5), ..way(&influx, dir.path()) };
    let [source] = &source::sources(&log).unwrap()[..] else { panic!("one log") };
    let opened = Arc::new(source.claim().unwrap());
    let (told, progress) = count(&opened).await.unwrap();
    let mut given_up = GivenUp::new();
    let sent = sending::send(opened, &told, &way, &mut given_up, progress.sending(told.points)).await.unwrap();
    assert_eq!((sent.read, sent.delivered(), sent.stopped), (5, 2, None));
    assert_eq!(sent.not_sent.into_iter().collect::<Vec<_>>(), [("closed".to_owned(), 3)]);
    let [(bucket, why)] = &given_up.into_iter().collect::<Vec<_>>()[..] else { panic!("one bucket") };
    assert!(bucket == "closed" && why.contains("create_bucket"), "{bucket}: {why}");
}
