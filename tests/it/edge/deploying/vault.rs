//! What the guide puts into the Key Vault and into Azure's directory is what the pods ask for.

use super::{guide, shell_blocks};
use crate::support::manifests::{NAMESPACE, items, manifests, text};
use std::collections::BTreeSet;

/// What follows an option, in all lines that begin with (or pipe into) this command.
fn options(guide: &str, command: &str, option: &str) -> BTreeSet<String> {
    let lines: Vec<String> =
        shell_blocks(guide).iter().flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    let calls = lines.iter().filter_map(|line| line.split_once(command).map(|(_, rest)| rest));
    let values = calls.filter_map(|rest| {
        let mut words = rest.split_whitespace().skip_while(|word| *word != option);
        words.nth(1).map(|word| word.trim_matches('"').to_owned())
    });
    values.collect()
}

#[test]
fn the_guide_makes_each_object_of_the_vault_that_the_pods_read_and_no_other() {
    let mut read = BTreeSet::new();
    for class in manifests("aks").all("SecretProviderClass") {
        let objects = text(&class["spec"]["parameters"]["objects"]);
        read.extend(objects.lines().filter_map(|line| Some(line.trim().strip_prefix("objectName: ")?.to_owned())));
    }
    assert!(read.len() >= 4, "{read:?}");
    let guide = guide();
    let secrets = options(&guide, "az keyvault secret set ", "--name");
    let certificates = options(&guide, "az keyvault certificate import ", "--name");
    assert_eq!(secrets.union(&certificates).cloned().collect::<BTreeSet<_>>(), read);
}

#[test]
fn each_account_that_reads_the_vault_gets_its_federated_credential() {
    let accounts: BTreeSet<&str> = manifests("aks")
        .all("ServiceAccount")
        .filter(|account| account["metadata"]["annotations"]["azure.workload.identity/client-id"].is_string())
        .map(|account| text(&account["metadata"]["name"]))
        .collect();
    let mounting = manifests("aks").workloads().filter(|workload| {
        items(&workload.pod["volumes"]).iter().any(|volume| volume["csi"]["driver"] == "secrets-store.csi.k8s.io")
    });
    let mounting: BTreeSet<&str> = mounting.map(|workload| text(&workload.pod["serviceAccountName"])).collect();
    assert_eq!(accounts, mounting);

    let guide = guide();
    let loops = guide.lines().filter_map(|line| line.strip_prefix("for account in ")?.strip_suffix("; do"));
    let told: Vec<BTreeSet<&str>> = loops.map(|names| names.split(' ').collect()).collect();
    assert_eq!(told, [accounts]);
    let subjects = options(&guide, "az identity federated-credential create ", "--subject");
    assert_eq!(subjects, BTreeSet::from([format!("system:serviceaccount:{NAMESPACE}:$account")]));
}
