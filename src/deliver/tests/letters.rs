//! Dead letters: bounded, private, and the flooder pays.

use super::*;
use dead_letters::Refusal;

fn store(dir: &std::path::Path, limit: u64) -> DeadLetters {
    DeadLetters::new(dir, limit, Clock::system(), Arc::new(Metrics::new().unwrap()))
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
