use super::*;

mod logs;
mod pauses;

/// As long as the command's own default.
const PATIENCE: Duration = Duration::from_secs(60);

const PACE: Pace = Pace {
    backoff: Duration::from_millis(2),
    backoff_cap: Duration::from_millis(20),
    pause: Duration::from_millis(40),
    pause_cap: Duration::from_millis(80),
    linger: Duration::from_millis(10),
};

fn influx_at(url: String) -> Influx {
    Influx {
        url,
        org: "o".to_owned(),
        bucket: "b".into(),
        token: "a-token".to_owned().into(),
        create_bucket: false,
        gzip: true,
        timeout: Duration::from_secs(1),
        retention: Duration::ZERO,
        in_flight: 2,
    }
}

fn unreachable_influx() -> Influx {
    // A port that was just free: nobody listens.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    influx_at(format!("http://127.0.0.1:{port}"))
}

fn way<'w>(influx: &'w Influx, dir: &'w Path) -> Way<'w> {
    Way {
        influx,
        dir,
        max_dead_letters: (1 << 20).into(),
        clock: Clock::system(),
        pace: PACE,
        patience: PATIENCE,
        rate: None,
        afterwards: Afterwards::Renamed,
    }
}

async fn run_at(path: &Path, influx: Option<&Influx>, rate: Option<u32>, patience: Duration) -> Result<(), Failure> {
    let dir = path.parent().unwrap();
    let way = |influx| Way { patience, rate, ..way(influx, dir) };
    replay(path, false, influx, way).await
}

async fn run(path: &Path, dry_run: bool, influx: Option<&Influx>) -> Result<(), Failure> {
    match dry_run {
        true => replay(path, true, None, |_| panic!("a dry run sends nothing")).await,
        false => run_at(path, influx, None, PATIENCE).await,
    }
}

/// What a look at one file says.
fn told(path: &Path) -> Told {
    let [source] = &source::sources(path).unwrap()[..] else { panic!("one source in {}", path.display()) };
    source.look().unwrap().count().unwrap()
}

const LETTER: &str = r#"{"time":"2026-01-01T00:00:00Z","tenant":"acme","bucket":"b","reason":"r","line":"m v=1 1"}"#;

fn a_letters_file(dir: &Path) -> PathBuf {
    let file = dir.join("acme.jsonl");
    std::fs::write(&file, format!("{LETTER}\nnot json\n{LETTER}\n{{\"torn")).unwrap();
    file
}

#[test]
fn damaged_letters_are_told_and_a_torn_tail_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let told = told(&a_letters_file(dir.path()));
    assert_eq!((told.points, told.records, told.damaged), (2, 2, true));
}

#[test]
fn a_file_without_a_line_end_is_read_through_a_bounded_window() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("acme.jsonl");
    let mut text = vec![b'x'; 50 << 20];
    text.extend_from_slice(format!("\n{LETTER}\n").as_bytes());
    std::fs::write(&file, text).unwrap();
    let used = allocation_counter::measure(|| {
        let told = told(&file);
        assert_eq!((told.points, told.damaged), (1, true));
    });
    assert!(used.bytes_max < 40 << 20, "{} bytes at once", used.bytes_max);
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
    let failure = run_at(&file, Some(&unreachable_influx()), None, Duration::from_millis(300)).await.unwrap_err();
    assert!(failure.code() == 1 && failure.to_string().contains("run replay again"), "{failure}");
    let kept = dir.path().join("acme.jsonl.replaying");
    assert_eq!(told(&kept).points, 2);
    assert_eq!(source::sources(dir.path()).unwrap()[0].path, kept);
    assert_eq!(source::claimed(&kept).unwrap(), kept);
}
