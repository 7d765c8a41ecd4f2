//! Dead letters: bounded, private, and the flooder pays.

use super::*;
use dead_letters::{Bound, Refusal};

fn store(dir: &std::path::Path, bound: impl Into<Bound>) -> DeadLetters {
    DeadLetters::new(dir, bound.into(), Clock::system(), Arc::new(Metrics::new().unwrap()))
}

fn write(letters: &DeadLetters, tenant: &str, line: &str) -> std::io::Result<()> {
    letters.write(tenant, "b", &[Refusal { line: line.as_bytes(), reason: "why", brief: "400: why".to_owned() }])
}

fn held(dir: &std::path::Path) -> (u64, String) {
    let mut all = (0, String::new());
    for entry in std::fs::read_dir(dir.join("dead-letters")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(path).unwrap();
        all = (all.0 + text.len() as u64, all.1 + &text);
    }
    all
}

#[test]
fn all_letters_together_stay_within_the_bound_and_the_flooder_loses_its_own_first() {
    let dir = tempfile::tempdir().unwrap();
    let letters = store(dir.path(), 10_000);
    write(&letters, "quiet", "m quiet=1").unwrap();
    for n in 0..500 {
        write(&letters, "flood", &format!("m flood={n}")).unwrap();
        assert!(held(dir.path()).0 <= 10_000);
    }
    let (_, text) = held(dir.path());
    assert!(text.contains("m quiet=1"), "the quiet tenant's letter went");
    assert!(text.contains("m flood=499") && !text.contains("m flood=0\""));
}

/// 100,000 bytes, of which each may hold a half, and `flood` a tenth.
fn shared() -> Bound {
    Bound { bytes: 100_000, default_share: 0.5, shares: [("flood".to_owned(), 0.1)].into() }
}

/// What the files of one tenant hold.
fn held_by(dir: &std::path::Path, tenant: &str) -> (u64, String) {
    let mut all = (0, String::new());
    for entry in std::fs::read_dir(dir.join("dead-letters")).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with(tenant) {
            let text = std::fs::read_to_string(path).unwrap();
            all = (all.0 + text.len() as u64, all.1 + &text);
        }
    }
    all
}

#[test]
fn a_reload_changes_how_much_each_tenant_may_hold() {
    let dir = tempfile::tempdir().unwrap();
    let letters = store(dir.path(), shared());
    let long = "x".repeat(900);
    let flood = |times: usize| (0..times).for_each(|n| write(&letters, "flood", &format!("m {long}={n}")).unwrap());
    flood(100);
    assert!(held_by(dir.path(), "flood").0 <= 10_000);
    letters.rebound(Bound { shares: [("flood".to_owned(), 0.3)].into(), ..shared() });
    flood(100);
    let more = held_by(dir.path(), "flood").0;
    assert!((20_000..=30_000).contains(&more), "{more}");
    letters.rebound(shared());
    flood(100);
    assert!(held_by(dir.path(), "flood").0 <= 10_000);
}

fn evicted(metrics: &Metrics) -> u64 {
    let text = metrics.exposition(
        &crate::outcome::Ledger::default(),
        &crate::metrics::SpoolGauges::default(),
        &std::collections::HashMap::new(),
    );
    let line = text.lines().find(|line| line.starts_with("tagline_dead_letters_evicted_total")).unwrap();
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}

#[test]
fn a_tenants_letters_stay_within_its_share_and_its_own_oldest_go() {
    let dir = tempfile::tempdir().unwrap();
    let metrics = Arc::new(Metrics::new().unwrap());
    let letters = DeadLetters::new(dir.path(), shared(), Clock::system(), Arc::clone(&metrics));
    // More than a tenth, and there is room for all of it together.
    for n in 0..150 {
        write(&letters, "other", &format!("m other={n}")).unwrap();
        write(&letters, "(gateway)", &format!("m own={n}")).unwrap();
    }
    for n in 0..300 {
        write(&letters, "flood", &format!("m flood={n}")).unwrap();
        let held = held_by(dir.path(), "flood").0;
        assert!(held <= 10_000, "{held} bytes of a share of 10,000");
    }
    let (held, text) = held_by(dir.path(), "flood");
    assert!(held > 7_000 && text.contains("m flood=299") && !text.contains("m flood=0\""), "{held}");
    assert_eq!(text.lines().count() as u64 + evicted(&metrics), 300);
    assert_eq!(held_by(dir.path(), "other").1.lines().count(), 150);
    assert_eq!(held_by(dir.path(), "%28gateway%29").1.lines().count(), 150);
}

#[test]
fn what_replay_has_sent_counts_and_goes_first_and_what_it_works_on_does_neither() {
    let dir = tempfile::tempdir().unwrap();
    let metrics = Arc::new(Metrics::new().unwrap());
    let letters = DeadLetters::new(dir.path(), shared(), Clock::system(), Arc::clone(&metrics));
    let folder = dir.path().join("dead-letters");
    write(&letters, "flood", "m flood=0").unwrap();
    std::fs::rename(folder.join("flood.jsonl"), folder.join("flood.jsonl.replaying")).unwrap();
    let sent = ["flood.jsonl.replaying.done", "flood.00000001.jsonl.replaying.1.done"].map(|name| folder.join(name));
    sent.iter().for_each(|path| std::fs::write(path, "x\n".repeat(2_450)).unwrap());
    // Another store: it counts anew.
    let letters = DeadLetters::new(dir.path(), shared(), Clock::system(), Arc::clone(&metrics));
    for n in 1..60 {
        write(&letters, "flood", &format!("m flood={n}")).unwrap();
    }
    assert!(sent.iter().all(|path| !path.exists()), "{:?}", std::fs::read_dir(&folder).unwrap().collect::<Vec<_>>());
    assert!(folder.join("flood.jsonl.replaying").exists());
    assert_eq!((held_by(dir.path(), "flood").1.lines().count(), evicted(&metrics)), (60, 0));
}

#[test]
fn the_letters_of_one_request_are_kept_though_they_are_more_than_the_share() {
    let dir = tempfile::tempdir().unwrap();
    let letters = store(dir.path(), shared());
    for n in 0..3 {
        write(&letters, "flood", &format!("m large={n} {}", "x".repeat(20_000))).unwrap();
    }
    let (held, text) = held_by(dir.path(), "flood");
    assert!((20_000..21_000).contains(&held) && text.contains("m large=2"), "{held}");
}

#[test]
fn a_new_process_counts_what_lies_there() {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..100 {
        write(&store(dir.path(), 2_000), "acme", &format!("m v={n}")).unwrap();
        assert!(held(dir.path()).0 <= 2_000);
    }
}

#[test]
fn a_letter_that_no_bound_takes_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    assert!(write(&store(dir.path(), 20), "acme", "m v=1").is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn points_whose_letters_cannot_be_written_are_counted_as_lost() {
    let server = Server::start(|_| server::status(400)).await;
    let rig = rig_with(Some(&influx(&server.url())), 0);
    let acme = Account::detached("acme");
    rig.send(&acme, "main", &lines("acme", 0..5)).await;
    let totals = settled(&acme).await;
    assert_eq!(totals.lost[Loss::DeadLetterUnwritten as usize], 5);
}

#[test]
fn the_admin_listener_never_sees_a_tenants_line_or_tags() {
    let parse = "unable to parse 'm,email=a@b v= 1': missing field value";
    assert_eq!(answer::brief(400, parse), "400: unable to parse: missing field value");
    let old = "partial write: dropped 1 points outside retention policy of duration 168h0m0s - oldest point m,email=a@b at 1970 dropped=1 for database: x";
    assert_eq!(
        answer::brief(422, old),
        "422: partial write: dropped 1 points outside retention policy of duration 168h0m0s"
    );
    assert_eq!(answer::dropped(old), Some(1));
    assert_eq!(answer::dropped("oldest point m,t=dropped=77 at 1970 dropped=2 for database: x"), Some(2));
}
