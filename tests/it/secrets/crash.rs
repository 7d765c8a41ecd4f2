//! What a crash leaves, and what a neighbour of the same user can read.

use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::ExitStatusExt;

use super::*;

/// The row of `/proc/PID/limits` that is about core dumps: soft and hard.
fn core_limit(process: u32) -> Vec<String> {
    let limits = std::fs::read_to_string(format!("/proc/{process}/limits")).unwrap();
    let row = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap();
    row.split_whitespace().take(2).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_crash_leaves_no_core_dump_unless_somebody_wants_one() {
    let bucket = influx().bucket("core");
    // As a service manager may start it: with no limit at all.
    let unlimited = ["sh", "-c", "ulimit -c unlimited && exec \"$@\"", "sh"].map(str::to_owned);
    let mut gateway = Gateway::start_through(&unlimited, &config_for(&bucket), &[]).await;
    assert_eq!(core_limit(gateway.id()), ["0", "0"]);
    gateway.signal("ABRT");
    let status = gateway.wait_exit(SOON).await;
    assert!(status.signal() == Some(6) && !status.core_dumped(), "{status:?}");

    let wanted = [("TAGLINE__SERVER__CORE_DUMPS", "true")];
    let gateway = Gateway::start_through(&unlimited, &config_for(&bucket), &wanted).await;
    assert_eq!(core_limit(gateway.id()), ["unlimited", "unlimited"]);
    assert!(gateway.log().contains("server.core_dumps is on"), "{}", gateway.log());
}

/// Whom it runs as where the tests run as root: a user that owns nothing else here.
const SOMEBODY: u32 = 65_532;

#[tokio::test]
async fn a_neighbour_of_the_same_user_cannot_read_its_environment() {
    let we = std::fs::metadata("/proc/self").unwrap().uid();
    let user = if we == 0 { SOMEBODY } else { we };
    for (dumps, owner) in [("false", 0), ("true", user)] {
        let folder = tempfile::tempdir().unwrap();
        let binary = folder.path().join("tagline");
        std::fs::copy(env!("CARGO_BIN_EXE_tagline"), &binary).unwrap();
        let mut words = Vec::new();
        if we == 0 {
            chown(folder.path(), Some(user), Some(user)).unwrap();
            words = ["setpriv", &format!("--reuid={user}"), &format!("--regid={user}"), "--clear-groups"]
                .map(str::to_owned)
                .into();
        }
        words.extend(
            ["env", &format!("TAGLINE__SERVER__CORE_DUMPS={dumps}"), &binary.display().to_string()].map(str::to_owned),
        );
        let program = words.remove(0);
        let gateway = Gateway::start_program(program.as_ref(), words, folder.path()).await;
        // The kernel gives the files of a process that may not be dumped to root.
        let environ = std::fs::metadata(format!("/proc/{}/environ", gateway.id())).unwrap();
        assert_eq!((environ.uid(), environ.mode() & 0o777), (owner, 0o400), "core_dumps = {dumps}");
    }
}
