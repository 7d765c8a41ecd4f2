//! Batches are cut where the contract says, and files take what no InfluxDB is there for.

use super::server::ok;
use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn batches_are_cut_at_5000_lines_and_at_1_mib_at_line_boundaries() {
    let server = Server::start(|request| {
        let bytes: usize = request.lines.iter().map(|line| line.len() + 1).sum();
        assert!(request.lines.len() <= 5_000 && bytes <= 1 << 20, "{} lines, {bytes} bytes", request.lines.len());
        assert!(request.lines.iter().all(|line| line.starts_with("m,tenant_id=")));
        ok()
    })
    .await;
    // Large bodies are slow to check in a debug build: time enough that none is written twice.
    let rig = rig_with(Some(&Influx { timeout: Duration::from_secs(20), ..influx(&server.url()) }), 1 << 20);
    let (many, long) = (Account::detached("many"), Account::detached("long"));
    rig.send(&many, "main", &lines("many", 0..12_345)).await;
    let text = "x".repeat(10_000);
    let large: Vec<String> = (0..300).map(|n| format!("m,tenant_id=long s=\"{text}\" {n}")).collect();
    rig.send(&long, "main", &large).await;
    assert_eq!((settled(&many).await.delivered, settled(&long).await.delivered), (12_345, 300));
    assert_eq!(server.stored("main").len(), 12_645);
    assert!(server.writes() <= 8, "{:?}", server.sizes());
}

#[tokio::test(flavor = "multi_thread")]
async fn small_requests_go_together() {
    let server = Server::start(|_| ok()).await;
    let rig = rig(&server);
    let acme = Account::detached("acme");
    for n in 0..100 {
        rig.send(&acme, "main", &lines("acme", n..n + 1)).await;
    }
    settled(&acme).await;
    assert!(server.writes() < 20, "{:?}", server.sizes());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_influxdb_the_lines_lie_in_private_files() {
    let rig = rig_with(None, 1 << 20);
    let acme = Account::detached("acme");
    rig.send(&acme, "../a b", &lines("acme", 0..10)).await;
    settled(&acme).await;
    rig.send(&acme, "../a b", &lines("acme", 10..20)).await;
    assert_eq!(settled(&acme).await.delivered, 20);
    let files: Vec<_> = std::fs::read_dir(rig.dir.path().join("lines")).unwrap().map(|entry| entry.unwrap()).collect();
    assert_eq!(files.len(), 1);
    let name = files[0].file_name().into_string().unwrap();
    assert!(name.starts_with("%2E%2E%2Fa%20b-") && name.ends_with("Z-1.lp"), "{name}");
    assert_eq!(std::fs::read_to_string(files[0].path()).unwrap(), lines("acme", 0..20).join("\n") + "\n");
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(files[0].metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_rotate_by_size_and_by_day_and_none_is_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::manual(1_790_000_000_000_000_000);
    let files = LineFiles::new(dir.path(), clock.clone()).rotating_at(100);
    for n in 0..10 {
        assert_eq!(files.write("b", Bytes::from(format!("{n:039}\n"))).await, answer::Answer::Done);
    }
    let count = || std::fs::read_dir(dir.path().join("lines")).unwrap().count();
    assert_eq!(count(), 5);
    clock.advance(Duration::from_secs(86_400));
    assert_eq!(files.write("b", Bytes::from_static(b"x\n")).await, answer::Answer::Done);
    assert_eq!(count(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fails_is_tried_again_and_nothing_is_lost() {
    let rig = rig_with(None, 1 << 20);
    let lines_dir = rig.dir.path().join("lines");
    std::fs::write(&lines_dir, "in the way").unwrap();
    let acme = Account::detached("acme");
    rig.send(&acme, "main", &lines("acme", 0..10)).await;
    until_state(&rig.delivery, "main", |state| *state == LaneState::BackingOff).await;
    std::fs::remove_file(&lines_dir).unwrap();
    assert_eq!(settled(&acme).await.delivered, 10);
}

#[test]
fn settings_that_cannot_work_are_told_without_a_panic() {
    for url in ["/nothing", "ftp://host", "http://user:pw@host", "http://host/influx", "http://host?x=1", ""] {
        assert!(InfluxWriter::new(&influx(url)).is_err(), "{url:?}");
    }
    let token = Influx { token: "two\nlines".to_owned().into(), ..influx("http://host:1") };
    assert!(InfluxWriter::new(&token).unwrap_err().contains("influxdb.token"));
}
