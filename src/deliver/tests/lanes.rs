//! Many lanes: what they hold together does not grow with their number.

use super::server::status;
use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn while_a_server_is_away_many_lanes_hold_little_and_the_rest_stays_in_the_spool() {
    const LANES: usize = 100;
    const RECORDS: usize = 8;
    let server = Server::start(|_| status(503)).await;
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let spool = Spool::in_memory(1 << 30, OnFull::Reject, clock.clone());
    let acme = Account::detached("acme");
    let line = Bytes::from(format!("m s=\"{}\" 1\n", "x".repeat(256 << 10)));
    for n in 0..LANES * RECORDS {
        let destination = format!("bucket-{}", n % LANES).into();
        let (account, lines) = (Arc::clone(&acme), line.clone());
        spool.append(Submission { account, share: 1.0, destination, points: 1, lines }).await.unwrap();
    }
    let metrics = Arc::new(Metrics::new().unwrap());
    let (settings, folder) = (influx(&server.url()), dir.path().to_owned());
    let delivery = Delivery::launch(Some(&settings), folder, 1 << 20, PACE, spool.clone(), clock, metrics).unwrap();
    for lane in 0..LANES {
        until_state(&delivery, &format!("bucket-{lane}"), |state| *state == LaneState::BackingOff).await;
    }
    // Long after each has taken what it may.
    tokio::time::sleep(PACE.linger * 20).await;
    let left = drain(&spool);
    // A part is 655 KiB: two whole records, and the one that goes beyond it.
    assert!(
        left.len() >= LANES * (RECORDS - 3),
        "the lanes hold {} of {}",
        LANES * RECORDS - left.len(),
        LANES * RECORDS
    );
    assert_eq!(acme.totals().pending, (LANES * RECORDS) as u64);
    drop(left);
    delivery.abandon().await;
}
