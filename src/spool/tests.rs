use super::books::Drain;
use super::state::RECORD_OVERHEAD;
use super::*;
use crate::outcome::Outcome;

fn spool(limit: u64) -> Spool {
    Spool::in_memory(limit, OnFull::Reject, Clock::manual(1_000))
}

fn submission(account: &Arc<Account>, destination: &str, bytes: usize) -> Submission {
    let lines = Bytes::from(vec![b'x'; bytes]);
    Submission { account: Arc::clone(account), share: 1.0, destination: destination.into(), points: 2, lines }
}

fn is_full(result: Result<(), Refused>) -> bool {
    matches!(result, Err(Refused::Full { retry_after }) if (1..=60).contains(&retry_after.as_secs()))
}

#[tokio::test]
async fn a_record_holds_its_bytes_until_all_of_its_points_ended() {
    let (spool, acme) = (spool(1_000), Account::detached("acme"));
    spool.append(submission(&acme, "b", 100)).await.unwrap();
    assert_eq!((acme.totals().accepted, acme.totals().pending), (2, 2));
    let bytes = 100 + RECORD_OVERHEAD;
    assert_eq!(spool.pending(), Pending { points: 2, bytes, disk: 0, limit: 1_000, oldest: Some(1_000) });
    let (head, tail) = spool.next(&"b".into()).await.unwrap().split_at(50, 1).unwrap();
    head.settle(Outcome::Delivered);
    assert_eq!((spool.pending().points, spool.pending().bytes), (1, bytes));
    tail.settle(Outcome::DeadLettered);
    assert_eq!(spool.pending(), Pending { limit: 1_000, ..Pending::default() });
    assert_eq!((acme.totals().delivered, acme.totals().dead_lettered), (1, 1));
}

#[tokio::test]
async fn a_record_that_is_dropped_unsettled_is_back_at_the_head_of_its_queue() {
    let (spool, acme) = (spool(10_000), Account::detached("acme"));
    for _ in 0..3 {
        spool.append(submission(&acme, "b", 100)).await.unwrap();
    }
    let bucket = "b".into();
    let first = spool.next(&bucket).await.unwrap();
    let (head, tail) = first.split_at(40, 1).unwrap();
    head.settle(Outcome::Delivered);
    drop(tail);
    assert_eq!((acme.totals().pending, spool.pending().points), (5, 5));
    let again = spool.next(&bucket).await.unwrap();
    assert_eq!((again.sequence(), again.points(), again.lines().len()), (1, 1, 60));
}

#[tokio::test]
async fn a_full_spool_refuses_and_keeps_what_it_has() {
    let (spool, acme) = (spool(1_000), Account::detached("acme"));
    spool.append(submission(&acme, "b", 700)).await.unwrap();
    assert!(is_full(spool.append(submission(&acme, "b", 100)).await));
    assert_eq!(acme.totals().accepted, 2);
    spool.next(&"b".into()).await.unwrap().settle(Outcome::Delivered);
    spool.append(submission(&acme, "b", 100)).await.unwrap();
}

#[tokio::test]
async fn an_account_fills_no_more_than_its_share() {
    let (spool, acme, other) = (spool(10_000), Account::detached("acme"), Account::detached("other"));
    let share = |account| Submission { share: 0.2, ..submission(account, "b", 1_000) };
    spool.append(share(&acme)).await.unwrap();
    assert!(is_full(spool.append(share(&acme)).await));
    spool.append(share(&other)).await.unwrap();
    // However small the share, one submission passes when nothing is held: else it never could.
    let third = Account::detached("third");
    spool.append(Submission { share: 0.01, ..submission(&third, "b", 1_000) }).await.unwrap();
}

#[tokio::test]
async fn one_destination_cannot_starve_another() {
    let (spool, acme) = (spool(10_000), Account::detached("acme"));
    let small = || submission(&acme, "paused", 744);
    spool.append(submission(&acme, "other", 1)).await.unwrap();
    let mut taken = 0;
    while spool.append(small()).await.is_ok() {
        taken += 1;
    }
    assert_eq!(taken, 7);
    spool.append(submission(&acme, "other", 1_000)).await.unwrap();
}

#[tokio::test]
async fn a_reader_wakes_when_a_record_comes_and_when_the_spool_closes() {
    let (spool, acme) = (spool(10_000), Account::detached("acme"));
    let reader = |bucket: &'static str| {
        let spool = spool.clone();
        tokio::spawn(async move { spool.next(&bucket.into()).await.map(|record| record.settle(Outcome::Delivered)) })
    };
    let (one, two) = (reader("one"), reader("two"));
    tokio::task::yield_now().await;
    let mut destinations = spool.destinations();
    assert!(destinations.borrow_and_update().is_empty());
    spool.append(submission(&acme, "one", 10)).await.unwrap();
    assert!(one.await.unwrap().is_some());
    destinations.changed().await.unwrap();
    assert_eq!(*destinations.borrow_and_update(), ["one".into()]);
    spool.close();
    assert!(two.await.unwrap().is_none());
    assert_eq!(spool.append(submission(&acme, "one", 10)).await, Err(Refused::Closed));
}

#[tokio::test]
async fn what_was_taken_before_the_close_can_still_be_read() {
    let (spool, acme) = (spool(10_000), Account::detached("acme"));
    spool.append(submission(&acme, "b", 10)).await.unwrap();
    spool.close();
    assert!(spool.next(&"b".into()).await.is_some());
}

#[test]
fn the_wait_follows_the_drains_speed() {
    let start = crate::clock::monotonic();
    let at = |seconds: u64| start + Duration::from_secs(seconds);
    let mut drain = Drain::new(start);
    assert_eq!(drain.time_for(1, at(0)), Duration::from_secs(60));
    for second in 1..=10 {
        drain.freed(1_000, at(second));
    }
    let quick = drain.time_for(5_000, at(10));
    assert!((5..=6).contains(&quick.as_secs()), "{quick:?}");
    assert_eq!(drain.time_for(1, at(10)), Duration::from_secs(1));
    // Nothing has drained for a while: it gets longer.
    assert!(drain.time_for(5_000, at(20)) > quick * 5);
}
