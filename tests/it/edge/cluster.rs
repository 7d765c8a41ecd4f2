//! A real Kubernetes API server takes every overlay, and gives Telegraf exactly the rights that its discovery needs.

mod alerts;
mod applied;
mod discovery;
mod pods;
mod rights;

use crate::support::cluster::Cluster;
use crate::support::manifests::Sources;
use crate::support::{Ran, server_binary};
use std::fs;
use tokio::sync::OnceCell;

const OVERLAYS: [&str; 2] = ["aks", "local"];

/// A cluster that an overlay was applied to, and where its files are.
struct Deployed {
    cluster: Cluster,
    sources: Sources,
}

/// The cluster of an overlay that tests share, who look at it and add no more than pods.
async fn deployed(overlay: &str) -> &'static Deployed {
    static CLUSTERS: [OnceCell<Deployed>; 2] = [const { OnceCell::const_new() }; 2];
    let index = OVERLAYS.iter().position(|known| *known == overlay).expect("one of OVERLAYS");
    CLUSTERS[index]
        .get_or_init(|| async {
            let deployed = Deployed { cluster: cluster_with_definitions().await, sources: sources_extending(overlay) };
            applied(&deployed.cluster, &deployed.sources, overlay).await;
            deployed
        })
        .await
}

/// A copy of the repository's files with what a reader may write besides: `overlays/monitored` is this overlay with the component for the
/// Prometheus operator, and `overlays/extended` has the one for `forward_auth` too.
fn sources_extending(overlay: &str) -> Sources {
    let sources = Sources::copy();
    let values = sources.path(&format!("overlays/{overlay}/values.env"));
    let filled_in =
        fs::read_to_string(&values).expect("the overlay's values") + "\nAUTH_UPSTREAM=verify.login.svc:9000\n";
    fs::write(values, filled_in).expect("a file of the copy");
    for (name, components) in
        [("monitored", &["prometheus-operator"][..]), ("extended", &["prometheus-operator", "forward-auth"])]
    {
        let folder = sources.path(&format!("overlays/{name}"));
        fs::create_dir(&folder).expect("a new folder in the copy");
        let components: Vec<String> =
            components.iter().map(|component| format!("../../components/{component}")).collect();
        let kustomization = format!(
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [../{overlay}]\ncomponents: [{}]\n",
            components.join(", ")
        );
        fs::write(folder.join("kustomization.yaml"), kustomization).expect("a new file in the copy");
    }
    sources
}

/// A cluster that has what an AKS with the Key Vault driver and the Prometheus operator has: the definitions of their resources.
async fn cluster_with_definitions() -> Cluster {
    let cluster = Cluster::start().await;
    let operator = server_binary("prometheus-crds").unwrap_or_else(|error| panic!("{error}"));
    let operator = operator.to_str().expect("the cache's path is text");
    cluster.done(&["apply", "--server-side", "-f", "tests/fixtures/kubernetes", "-f", operator]).await;
    cluster.done(&["wait", "--for", "condition=Established", "--timeout", "60s", "crd", "--all"]).await;
    cluster
}

/// `kubectl apply --server-side -k k8s/overlays/OVERLAY` and more arguments, in a copy.
async fn apply(cluster: &Cluster, sources: &Sources, overlay: &str, more: &[&str]) -> Ran {
    let folder = sources.path(&format!("overlays/{overlay}"));
    let folder = folder.to_str().expect("temporary folders have names of ASCII letters");
    cluster.kubectl(&[&["apply", "--server-side", "-k", folder], more].concat()).await
}

/// The same, which has to succeed without a word of warning.
async fn applied(cluster: &Cluster, sources: &Sources, overlay: &str) -> String {
    let ran = apply(cluster, sources, overlay, &["-o", "json"]).await;
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{overlay}: {}", ran.stdout);
    ran.stdout
}
