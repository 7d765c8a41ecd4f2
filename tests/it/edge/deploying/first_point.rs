//! The guide's first point, by its own commands: the bucket and its token, the request of a page, the query.

use super::{guide, section, shell_blocks};
use crate::support::influx::Influx;
use crate::support::manifests::manifests;
use crate::support::{Caddy, Gateway, eventually};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// What of the overlay the container's variables would say; the address and the token come from `setup`.
const WIRING: [(&str, &str); 5] = [
    ("TAGLINE__SERVER__LISTEN", "127.0.0.1:0"),
    ("TAGLINE__SERVER__ADMIN_LISTEN", "127.0.0.1:0"),
    ("TAGLINE__SERVER__DRAIN_DELAY", "0s"),
    ("TAGLINE__ENRICH__INSTANCE", "aks-weu-1"),
    ("TAGLINE__SPOOL__DIR", "data"),
];

/// What a shell prints that runs this in `folder`, with these variables besides its own.
fn shell(folder: &Path, script: &str, variables: &BTreeMap<String, String>) -> String {
    let ran =
        Command::new("bash").args(["-euo", "pipefail", "-c", script]).current_dir(folder).envs(variables).output();
    let ran = ran.expect("bash can be started");
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{script}\n{said}");
    String::from_utf8(ran.stdout).expect("UTF-8")
}

/// The variables that `tagline setup` tells a shell to export.
fn exported(folder: &Path, script: &str, variables: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let printed = shell(folder, &format!("{script}\nenv"), variables);
    let pairs = printed.lines().filter_map(|line| line.split_once('='));
    pairs
        .filter(|(name, _)| name.starts_with("INFLUXDB_") || name.starts_with("TAGLINE__"))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[tokio::test]
async fn the_commands_of_the_guide_bring_the_first_point_through_the_edge_into_influxdb() {
    let (guide, influx) = (guide(), Influx::fresh());
    let folder = TempDir::with_prefix("tagline-first-point-").expect("a temporary folder");
    let binary = Path::new(env!("CARGO_BIN_EXE_tagline"));
    let path = std::env::var("PATH").expect("a PATH");
    let path = format!("{}:{path}", binary.parent().expect("a file is in a folder").display());

    // Step 3, but for the port-forward.
    let blocks = shell_blocks(section(&guide, "### 3. A bucket, and a token that may write to it"));
    let setup =
        blocks.iter().flat_map(|block| block.lines()).find(|line| line.starts_with("eval ")).expect("setup is run");
    let here = setup.replace("http://127.0.0.1:8086", &influx.url());
    assert_ne!(setup, here);
    let mut variables = exported(folder.path(), &here, &BTreeMap::from([("PATH".to_owned(), path)]));

    // The gateway by the overlay's own settings, behind Caddy by its own file.
    let overlay = Path::new(env!("CARGO_MANIFEST_DIR")).join("k8s/overlays/aks");
    for file in ["tagline.toml", "tenants.toml"] {
        std::fs::copy(overlay.join(file), folder.path().join(file)).expect("a file of the overlay");
    }
    let settings = std::fs::read_to_string(folder.path().join("tagline.toml")).expect("it was just written");
    let tenants = overlay.join("tenants.toml").display().to_string();
    let settings = settings.replace("tenants_file = \"tenants.toml\"", &format!("tenants_file = {tenants:?}"));
    let environment: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).chain(WIRING).collect();
    let gateway = Gateway::start_with(&settings, &environment).await;
    let sites = manifests("aks").value("tagline-values", "SITES").expect("the sites of values.env");
    let caddy = Caddy::for_sites(&["*.app.example"]).variable("CADDY_SITES", sites).gateway(&gateway).start().await;

    // Step 8. What curl is told beside the guide's own words: where that name is, and whose certificate it has.
    let curlrc = format!(
        "connect-to = \"acme.app.example:443:{}\"\ncacert = {:?}\nnoproxy = \"*\"\n",
        caddy.address(),
        caddy.authority_file()
    );
    std::fs::write(folder.path().join(".curlrc"), curlrc).expect("a file in a new folder");
    variables.insert("CURL_HOME".to_owned(), folder.path().display().to_string());
    let blocks = shell_blocks(section(&guide, "### 8. The first point"));
    let answer = shell(folder.path(), &blocks[0], &variables);
    let head = answer.lines().next().unwrap_or_default();
    assert!(head.contains(" 202") && answer.contains("\"accepted\":1"), "{answer}");
    let row = eventually(Duration::from_secs(20), || async {
        let csv = shell(folder.path(), &blocks[1], &variables);
        let row = csv.lines().find(|line| line.contains(",acme,") || line.contains(",120,")).map(str::to_owned);
        row.ok_or(csv)
    })
    .await;
    for value in ["120", "acme", "acme.app.example", "Deployment", "aks-weu-1"] {
        assert!(row.split(',').any(|cell| cell.trim() == value), "{value}: {row}");
    }
}
