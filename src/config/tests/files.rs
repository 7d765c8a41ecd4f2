//! Which files settings were read from, and how a change of one shows.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::super::{Files, Loaded, read};
use super::{Case, INFLUXDB, TENANT};
use crate::config::Sources;

impl Case {
    fn read(&self) -> Loaded {
        read(&Sources { file: self.file.clone(), env: self.env.clone() })
    }

    /// The names of the files that were read, without the folder's.
    fn files_read(&self) -> Vec<String> {
        let files = self.read().files;
        let name = |path: &Path| path.strip_prefix(self.dir.path()).unwrap().display().to_string();
        files.paths().map(name).collect()
    }
}

const SECRET: &str = "0123456789012345678901234567890123456789";

fn whole() -> Case {
    Case::of(
        "tenants_file = \"tenants.toml\"
[influxdb]
url = \"http://localhost:8086\"
org = \"acme\"
token_file = \"secrets/token\"
[issuers.idp]
issuer = \"https://idp.example\"
audience = \"telemetry\"
algorithms = [\"HS256\"]
hmac_secret_file = \"secrets/hmac\"",
    )
    .beside("tenants.toml", TENANT)
    .beside("secrets/token", "a-token\n")
    .beside("secrets/hmac", SECRET)
}

#[test]
fn every_file_that_was_read_is_told_also_when_the_settings_are_wrong() {
    let all = ["secrets/hmac", "secrets/token", "settings.toml", "tenants.toml"];
    let case = whole();
    assert!(case.read().settings.is_ok(), "{:?}", case.read());
    assert_eq!(case.files_read(), all);
    // A value that is wrong; a secret that is missing; a tenants file that is none.
    case.write("tenants.toml", &format!("{TENANT}[tenants.acme.limits]\nburst = \"many\"\n"));
    assert_eq!((case.read().settings.is_err(), case.files_read()), (true, all.map(str::to_owned).to_vec()));
    fs::remove_file(case.dir.path().join("secrets/hmac")).unwrap();
    assert_eq!(case.files_read(), all);
    case.write("tenants.toml", "[tenants.acme");
    assert_eq!(case.files_read(), ["settings.toml", "tenants.toml"]);
    assert_eq!(Case::empty().env(&INFLUXDB).files_read(), [""; 0]);
}

#[test]
fn a_change_of_any_of_them_shows_however_it_was_made() {
    let case = whole();
    let at = |name: &str| case.dir.path().join(name);
    let first = case.read().files;
    assert_eq!(first.look_again(), first);
    let differs = |what: &str, now: &Files| assert_ne!(now, &first, "{what}");

    // As long as before, and with the old time.
    let time = fs::metadata(at("secrets/token")).unwrap().modified().unwrap();
    fs::write(at("secrets/token"), "b-token\n").unwrap();
    fs::File::options().write(true).open(at("secrets/token")).unwrap().set_modified(time).unwrap();
    differs("the same length and time", &first.look_again());
    fs::write(at("secrets/token"), "a-token\n").unwrap();
    assert_eq!(first.look_again(), first, "written back");

    fs::rename(at("tenants.toml"), at("elsewhere")).unwrap();
    differs("it is gone", &first.look_again());
    fs::create_dir(at("tenants.toml")).unwrap();
    differs("a folder", &first.look_again());
    fs::remove_dir(at("tenants.toml")).unwrap();
    symlink("elsewhere", at("tenants.toml")).unwrap();
    assert_eq!(first.look_again(), first, "the same by another way");

    // As Kubernetes does it: the link itself stays, a folder on its way is another one.
    case.write("..1/tenants.toml", TENANT);
    case.write("..2/tenants.toml", &format!("{TENANT}\n# another\n"));
    symlink("..1", at("..data")).unwrap();
    fs::remove_file(at("tenants.toml")).unwrap();
    symlink("..data/tenants.toml", at("tenants.toml")).unwrap();
    assert_eq!(first.look_again(), first);
    symlink("..2", at("..data_tmp")).unwrap();
    fs::rename(at("..data_tmp"), at("..data")).unwrap();
    differs("swapped", &first.look_again());
}

#[test]
fn what_was_read_in_the_midst_of_a_change_is_never_what_stands_there() {
    let case = whole();
    let reading = super::super::files::Reading::default();
    let path = case.dir.path().join("secrets/token");
    reading.text(&path).unwrap();
    fs::write(&path, "another\n").unwrap();
    reading.text(&path).unwrap();
    let files = reading.files();
    assert!(!files.are_in(&files.look_again()), "{files:?}");
    assert!(case.read().files.are_in(&case.read().files.and(&files)));
}

#[test]
fn a_pipe_is_read_once_and_never_looked_at_again() {
    let case = Case::with_influxdb("");
    let pipe = case.dir.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let writer = std::thread::spawn({
        let pipe = pipe.clone();
        move || fs::write(pipe, TENANT).unwrap()
    });
    let case = Case { file: Some(pipe), ..case };
    let loaded = case.read();
    writer.join().unwrap();
    assert!(loaded.settings.is_ok(), "{loaded:?}");
    // Nobody writes to it: to open it now would wait for ever.
    assert_eq!(loaded.files.look_again(), loaded.files);
}
