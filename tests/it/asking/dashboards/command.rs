//! `tagline dashboards`.

use super::root;
use crate::support::tagline;
use std::path::{Path, PathBuf};

/// The files below a folder, by their paths from there.
fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut left) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = left.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { left.push(path) } else { found.push(path) }
        }
    }
    let mut found: Vec<PathBuf> = found.iter().map(|path| path.strip_prefix(folder).unwrap().to_owned()).collect();
    found.sort();
    found
}

#[tokio::test]
async fn without_settings_it_writes_the_files_of_the_repository() {
    let folder = tempfile::tempdir().unwrap();
    let dry = tagline(folder.path(), &["dashboards", "--dry-run", "out"], &[]).await;
    assert_eq!((dry.code, dry.stdout.matches("new ").count()), (Some(0), 8), "{dry:?}");
    assert!(!folder.path().join("out").exists(), "a dry run writes nothing");

    let ran = tagline(folder.path(), &["dashboards", "out"], &[]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let written = files(&folder.path().join("out"));
    assert_eq!(written.len(), 8, "{written:?}");
    for path in written {
        let read = |folder: &Path| std::fs::read_to_string(folder.join(&path)).unwrap();
        assert!(read(&folder.path().join("out")) == read(root()), "{} is not the repository's", path.display());
    }
    let again = tagline(folder.path(), &["dashboards", "out"], &[]).await;
    assert_eq!(again.stdout.matches("as it was ").count(), 8, "{again:?}");
}

#[tokio::test]
async fn the_buckets_and_the_trace_url_are_those_of_the_settings() {
    let folder = tempfile::tempdir().unwrap();
    let settings = r#"
[influxdb]
url = "http://127.0.0.1:8086"
org = "acme"
bucket = "main"

[answers]
rollup_bucket = "hours"
trace_url = "https://tempo.example/trace/{trace_id}"

[tenants.globex]
bucket = "globex_alone"
"#;
    std::fs::write(folder.path().join("tagline.toml"), settings).unwrap();
    let ran = tagline(folder.path(), &["dashboards", "--config", "tagline.toml", "."], &[]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let read = |path: &str| std::fs::read_to_string(folder.path().join(path)).unwrap();
    let compare = read("grafana/dashboards/tagline-compare.json");
    for text in ["\"main,globex_alone\"", "\"hours\"", "\"https://tempo.example/trace/\""] {
        assert!(compare.contains(text), "{text} is not in it");
    }
    assert!(!compare.contains("app_observability_rollup\""), "the default is still in it");
    assert!(read("influxdb/template.json").contains("\"globex_alone\""));

    // What cannot be written is said, with its place.
    std::fs::write(folder.path().join("file"), "").unwrap();
    let failed = tagline(folder.path(), &["dashboards", "file"], &[]).await;
    assert!(failed.code == Some(1) && failed.stderr.contains("file/grafana"), "{failed:?}");
}
