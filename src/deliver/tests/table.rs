//! The answer table: data that is refused.

use super::server::{Reply, ok, status};
use super::*;

fn is_bad(line: &str) -> bool {
    line.contains("bad")
}

/// Like InfluxDB: one bad line, and nothing of the request is stored.
fn picky(request: &server::Request) -> Reply {
    if request.lines.iter().any(|line| is_bad(line)) {
        Reply::Status(400, "something in there is wrong".to_owned())
    } else {
        ok()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_204_ends_every_point_as_delivered_and_stores_each_line_once() {
    let server = Server::start(|_| ok()).await;
    let rig = rig(&server);
    let acme = Account::detached("acme");
    for n in 0..50 {
        rig.send(&acme, "main", &lines("acme", n * 10..n * 10 + 10)).await;
    }
    assert_eq!(settled(&acme).await.delivered, 500);
    let mut wanted = lines("acme", 0..500);
    wanted.sort();
    assert_eq!(server.stored("main"), wanted);
    assert_eq!(rig.spool.pending().bytes, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_400_is_bisected_to_the_bad_lines_and_every_good_line_stays() {
    let server = Server::start(picky).await;
    let rig = rig(&server);
    let (acme, good) = (Account::detached("acme"), Account::detached("good"));
    let mut mixed = lines("acme", 0..300);
    for at in [0, 7, 150, 299] {
        mixed[at] = format!("m,tenant_id=acme bad{at}");
    }
    rig.send(&acme, "main", &mixed).await;
    rig.send(&good, "main", &lines("good", 0..100)).await;
    let totals = settled(&acme).await;
    assert_eq!((totals.delivered, totals.dead_lettered), (296, 4));
    assert_eq!(settled(&good).await.delivered, 100);
    let mut wanted: Vec<String> =
        mixed.iter().filter(|line| !is_bad(line)).cloned().chain(lines("good", 0..100)).collect();
    wanted.sort();
    assert_eq!(server.stored("main"), wanted);
    let letters = rig.letters("acme");
    let mut buried: Vec<&str> = letters.iter().map(|letter| letter.line.as_str()).collect();
    buried.sort_unstable();
    assert_eq!(
        buried,
        ["m,tenant_id=acme bad0", "m,tenant_id=acme bad150", "m,tenant_id=acme bad299", "m,tenant_id=acme bad7"]
    );
    assert!(
        letters.iter().all(|l| l.bucket == "main" && l.tenant == "acme" && l.reason == "something in there is wrong")
    );
    let recent = rig.delivery.view().dead_letters("acme");
    assert_eq!(recent.len(), 4);
    assert!(recent.iter().all(|letter| letter.measurement == "m" && letter.reason.starts_with("400: ")), "{recent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_a_400_names_need_no_bisection() {
    let server = Server::start(|request| {
        let whys: Vec<String> = request
            .lines
            .iter()
            .filter(|line| is_bad(line))
            .map(|line| format!("unable to parse '{line}': missing fields"))
            .collect();
        if whys.is_empty() { ok() } else { Reply::Status(400, whys.join("\n")) }
    })
    .await;
    let rig = rig(&server);
    let acme = Account::detached("acme");
    let mut mixed = lines("acme", 0..1000);
    for line in mixed.iter_mut().step_by(3) {
        *line = format!("bad,x=': {line}");
    }
    rig.send(&acme, "main", &mixed).await;
    let totals = settled(&acme).await;
    assert_eq!((totals.delivered, totals.dead_lettered), (666, 334));
    assert!(server.writes() <= 4, "{} writes", server.writes());
    assert!(rig.letters("acme").iter().all(|letter| letter.reason == "missing fields" && is_bad(&letter.line)));
    let recent = rig.delivery.view().dead_letters("acme");
    assert_eq!(recent.len(), 20);
    assert!(recent.iter().all(|letter| letter.reason == "400: missing fields"), "{recent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_422_that_dropped_all_is_buried_whole_and_one_that_dropped_some_is_bisected() {
    let server = Server::start(|request| match request.lines.iter().filter(|line| is_bad(line)).count() {
        0 => ok(),
        bad => Reply::Status(
            422,
            format!("failure writing points to database: partial write: field type conflict dropped={bad}"),
        ),
    })
    .await;
    let rig = rig(&server);
    let (acme, other) = (Account::detached("acme"), Account::detached("other"));
    let bad: Vec<String> = (0..64).map(|n| format!("m bad={n}")).collect();
    rig.send(&acme, "main", &bad).await;
    assert_eq!(settled(&acme).await.dead_lettered, 64);
    assert_eq!(server.writes(), 1);
    let mut mixed = lines("other", 0..63);
    mixed.push("m bad=1".to_owned());
    rig.send(&other, "main", &mixed).await;
    let totals = settled(&other).await;
    assert_eq!((totals.delivered, totals.dead_lettered), (63, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_413_is_halved_until_it_fits_and_a_single_line_is_a_dead_letter() {
    let server = Server::start(|request| {
        let huge = request.lines.iter().any(|line| is_bad(line));
        if request.lines.len() > 10 || huge { status(413) } else { ok() }
    })
    .await;
    let rig = rig(&server);
    let acme = Account::detached("acme");
    let mut all = lines("acme", 0..100);
    all[42] = "m bad=1".to_owned();
    rig.send(&acme, "main", &all).await;
    let totals = settled(&acme).await;
    assert_eq!((totals.delivered, totals.dead_lettered), (99, 1));
    assert_eq!(server.stored("main").len(), 99);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_sends_bad_lines_gets_batches_of_its_own() {
    let server = Server::start(|request| {
        let own = request.lines.iter().all(|line| line.contains("acme"))
            || request.lines.iter().all(|line| !line.contains("acme"));
        assert!(own || request.number == 0, "mixed again: {:?}", request.lines);
        picky(request)
    })
    .await;
    let rig = rig(&server);
    let (acme, good) = (Account::detached("acme"), Account::detached("good"));
    for n in 0..10 {
        rig.send(&acme, "main", &[format!("m,tenant_id=acme bad={n}")]).await;
        rig.send(&good, "main", &lines("good", n..n + 1)).await;
        settled(&acme).await;
        settled(&good).await;
    }
    assert_eq!((acme.totals().dead_lettered, good.totals().delivered), (10, 10));
}
