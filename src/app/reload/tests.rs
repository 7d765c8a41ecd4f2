//! What is decided before anything is changed.

use std::path::PathBuf;

use super::restart::in_a_running_process;
use super::status::Status;
use super::watch::Watch;
use crate::config::{Files, Settings, Sources, read};
use crate::http::CheckStatus;

const TENANT: &str = "[tenants.acme.keys.web]\nkey = \"wk_acme_0123456789\"\norigins = [\"*\"]\n";

/// Settings of a file, as far as they need no InfluxDB.
fn settings(text: &str) -> Settings {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("settings.toml");
    std::fs::write(&file, format!("{text}\n{TENANT}")).unwrap();
    load(Some(file), &[])
}

fn load(file: Option<PathBuf>, more: &[(&str, &str)]) -> Settings {
    let influx =
        [("INFLUXDB_URL", "http://localhost:8086"), ("INFLUXDB_ORG", "o"), ("INFLUXDB_TOKEN", "t"), ("HOSTNAME", "h")];
    let env = influx.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    read(&Sources { file, env }).settings.unwrap()
}

#[test]
fn a_change_is_read_when_it_stands_still_and_judged_once() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("settings.toml");
    let look = || read(&Sources { file: Some(file.clone()), env: Vec::new() }).files.look_again();
    let write = |text: &str| std::fs::write(&file, text).unwrap();
    write("1");
    let mut watch = Watch::of(look());
    assert!(!watch.is_due(look()), "nothing changed");
    // Written in two steps, with a look between them.
    write("2");
    assert!(!watch.is_due(look()));
    write("23");
    assert!(!watch.is_due(look()), "it moved since the last look");
    assert!(watch.is_due(look()), "it stands still");
    watch.judged(look());
    assert!(!watch.is_due(look()) && !watch.is_due(look()), "judged once");
    // There and back again between two looks.
    write("4");
    assert!(!watch.is_due(look()));
    write("23");
    assert!(!watch.is_due(look()) && !watch.is_due(look()));
    write("4");
    assert!(!watch.is_due(look()), "a look from before does not count");
    assert!(watch.is_due(look()));
    // It moved while it was read.
    watch.unsteady(false);
    assert!(!watch.is_due(look()) && watch.is_due(look()) && !watch.is_asked());
    watch.judged(look());
    // Somebody asked, and it moved while it was read: it is read again though it is as it was.
    watch.unsteady(true);
    assert!(!watch.is_due(look()) && watch.is_due(look()) && watch.is_asked());
    watch.judged(look());
    assert!(!watch.is_asked() && !watch.is_due(look()));
    assert!(!Watch::of(Files::default()).is_due(Files::default()), "no files at all");
}

#[test]
fn what_takes_a_restart_stays_and_is_named_and_the_rest_is_taken() {
    let running = settings("");
    let (same, waiting) = in_a_running_process(&running, settings("")).unwrap();
    assert!(waiting.is_empty(), "{waiting:?} of {same:?}");
    let fresh = settings(
        "[server]
listen = \"127.0.0.1:1\"
admin_listen = \"127.0.0.1:2\"
workers = 7
drain_delay = \"1s\"
drain_timeout = \"1s\"
max_body = \"7KiB\"
max_inflated = \"9KiB\"
max_events = 3
core_dumps = true
[server.connections]
max = 17
head_timeout = \"1s\"
body_timeout = \"1s\"
per_address = 1
[influxdb]
bucket = \"another\"
gzip = false
in_flight = 1
timeout = \"7s\"
retention = \"7d\"
[spool]
dir = \"elsewhere\"
durability = \"memory\"
max_bytes = \"77MiB\"
max_memory = \"7MiB\"
on_full = \"drop_oldest\"
max_dead_letters = \"7MiB\"
[log]
format = \"text\"
level = \"debug\"
[enrich]
replica = \"r-9\"
instance = \"i\"
",
    );
    let (taken, waiting) = in_a_running_process(&running, fresh).unwrap();
    let wanted = "server.listen server.admin_listen server.workers server.drain_delay server.drain_timeout server.core_dumps server.connections.max server.connections.head_timeout influxdb.bucket influxdb.gzip \
                  influxdb.in_flight spool.dir spool.durability spool.max_bytes spool.max_memory spool.on_full enrich.replica log.format log.level";
    assert_eq!(waiting.join(" "), wanted);
    assert_eq!((taken.server.listen, taken.server.max_body), (running.server.listen, 7 << 10));
    assert_eq!((taken.enrich.lane, taken.enrich.instance.as_str()), (running.enrich.lane, "i"));
    assert_eq!((taken.spool.max_dead_letters, taken.spool.max_memory), (7 << 20, running.spool.max_memory));
    let influx = taken.influxdb.unwrap();
    assert_eq!((&*influx.bucket, influx.timeout.as_secs()), ("app_observability", 7));
    // What waits is put back, so that it is told again by the next reload, and no longer when it was taken back.
    let (_, waiting) = in_a_running_process(&running, settings("[log]\nlevel = \"debug\"")).unwrap();
    assert_eq!(waiting, ["log.level"]);
}

#[test]
fn a_developers_gateway_keeps_the_key_that_it_showed_and_becomes_no_other() {
    let dev = || load(None, &[]);
    let running = dev();
    let (taken, _) = in_a_running_process(&running, dev()).unwrap();
    let key = |settings: &Settings| {
        use secrecy::ExposeSecret as _;
        settings.tenants.values().next().unwrap().keys["demo"].key.expose_secret().to_owned()
    };
    assert_ne!(key(&dev()), key(&running), "each load makes another key");
    assert_eq!(key(&taken), key(&running));
    for (from, to) in [(dev(), settings("")), (settings(""), dev())] {
        assert!(in_a_running_process(&from, to).unwrap_err().ends_with("takes a restart"));
    }
}

#[test]
fn readiness_tells_the_generation_in_force_and_what_keeps_the_files_from_being_it() {
    let status = Status::new(1_790_000_000_000_000_000);
    let seen = || {
        let check = status.check();
        assert_eq!(check.name, "settings");
        (check.status, check.detail.unwrap())
    };
    assert_eq!(seen(), (CheckStatus::Ok, "generation 1 since 2026-09-21T14:13:20Z".to_owned()));
    let mistakes = ["a.toml:3: x: wrong", "a.toml:9: y: wrong", "b.toml: gone"].map(str::to_owned);
    status.refused(1_790_000_060_000_000_000, &mistakes);
    let (degraded, detail) = seen();
    assert_eq!(degraded, CheckStatus::Degraded);
    for part in
        ["a.toml:3: x: wrong (and 2 more, see the log)", "generation 1 since", "refused at 2026-09-21T14:14:20Z"]
    {
        assert!(detail.contains(part), "{detail}");
    }
    status.as_in_force();
    assert_eq!(seen().0, CheckStatus::Ok);
    status.in_force(2, 1_790_000_120_000_000_000, vec!["log.level", "spool.dir"]);
    let (degraded, detail) = seen();
    assert_eq!(degraded, CheckStatus::Degraded);
    assert!(detail.starts_with("generation 2 since 2026-09-21T14:15:20Z; log.level, spool.dir changed"), "{detail}");
    // The waiting ones still wait when a later change is refused and taken back.
    status.refused(0, &mistakes);
    status.as_in_force();
    assert_eq!(seen().1, detail);
}
