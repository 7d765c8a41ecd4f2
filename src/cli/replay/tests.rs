use super::*;

const PACE: Pace = Pace {
    backoff: Duration::from_millis(2),
    backoff_cap: Duration::from_millis(20),
    pause: Duration::from_millis(40),
    pause_cap: Duration::from_millis(80),
    linger: Duration::from_millis(10),
};

fn unreachable_influx() -> Influx {
    // A port that was just free: nobody listens.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    Influx {
        url: format!("http://127.0.0.1:{port}"),
        org: "o".to_owned(),
        bucket: "b".into(),
        token: "t".to_owned().into(),
        create_bucket: false,
        gzip: true,
        timeout: Duration::from_secs(1),
        retention: Duration::ZERO,
        in_flight: 2,
    }
}

async fn run(path: &Path, dry_run: bool, influx: Option<&Influx>) -> Result<(), Failure> {
    let args = ReplayArgs { path: Some(path.to_owned()), dry_run, rate: None };
    replay(args, influx, path.parent().unwrap(), 1 << 20, Clock::system(), PACE, Duration::from_millis(300)).await
}

const LETTER: &str = r#"{"time":"2026-01-01T00:00:00Z","tenant":"acme","bucket":"b","reason":"r","line":"m v=1 1"}"#;

fn a_letters_file(dir: &Path) -> PathBuf {
    let file = dir.join("acme.jsonl");
    std::fs::write(&file, format!("{LETTER}\nnot json\n{LETTER}\n{{\"torn")).unwrap();
    file
}

#[test]
fn damaged_letters_are_told_by_number_and_a_torn_tail_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let source = source::read(&a_letters_file(dir.path())).unwrap();
    assert_eq!(source.points(), 2);
    assert!(!source.tell(dir.path()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_touches_nothing_and_needs_no_server() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("acme.jsonl");
    std::fs::write(&file, format!("{LETTER}\n")).unwrap();
    assert_eq!(run(&file, true, None).await, Ok(()));
    assert!(file.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_over_a_damaged_file_fails_and_touches_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = a_letters_file(dir.path());
    let failure = run(&file, true, None).await.unwrap_err();
    assert!(failure.code() == 1 && failure.to_string().contains("1 of 1 files are damaged"), "{failure}");
    assert!(file.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_influxdb_it_is_misuse() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(run(&a_letters_file(dir.path()), false, None).await.unwrap_err().code(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_is_a_failure_and_the_file_can_be_replayed_again() {
    let dir = tempfile::tempdir().unwrap();
    let file = a_letters_file(dir.path());
    let failure = run(&file, false, Some(&unreachable_influx())).await.unwrap_err();
    assert!(failure.code() == 1 && failure.to_string().contains("run replay again"), "{failure}");
    let kept = dir.path().join("acme.jsonl.replaying");
    assert_eq!(source::read(&kept).unwrap().points(), 2);
    assert_eq!(source::files(dir.path()).unwrap(), vec![kept.clone()]);
    assert_eq!(source::claim(&kept).unwrap(), kept);
}
