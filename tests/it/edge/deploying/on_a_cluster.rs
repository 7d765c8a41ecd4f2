//! The guide's own commands against a real API server, one after the other, as a reader types them.

use super::{guide, section, shell_blocks};
use crate::support::Ran;
use crate::support::cluster::Cluster;

/// The commands for kubectl in the shell blocks under a heading, without what is for the shell.
fn commands(guide: &str, heading: &str) -> Vec<String> {
    let lines: Vec<String> = shell_blocks(section(guide, heading))
        .iter()
        .flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    lines.into_iter().filter(|line| line.starts_with("kubectl ")).collect()
}

async fn run(cluster: &Cluster, command: &str) -> Ran {
    let words: Vec<&str> = command.split_whitespace().skip(1).collect();
    let ran = cluster.kubectl(&words).await;
    assert_eq!(ran.code, Some(0), "{command}\n{}{}", ran.stdout, ran.stderr);
    assert!(!ran.stderr.contains("Warning"), "{command}\n{}", ran.stderr);
    ran
}

#[tokio::test]
async fn what_the_guide_types_makes_the_deployment_and_then_changes_nothing() {
    let (guide, cluster) = (guide(), Cluster::start().await);
    // What an AKS with the add-on for the Key Vault has.
    cluster.done(&["apply", "--server-side", "-f", "tests/fixtures/kubernetes"]).await;
    cluster.done(&["wait", "--for", "condition=Established", "--timeout", "60s", "crd", "--all"]).await;

    // The look beforehand makes the namespace and nothing in it.
    let look = commands(&guide, "### 6. Fill in the values");
    assert_eq!(look.len(), 2, "{look:?}");
    for command in &look {
        run(&cluster, command).await;
    }
    let made = ["-n", "tagline", "get", "statefulsets,deployments,daemonsets,services", "--output", "name"];
    assert_eq!(cluster.done(&made).await, "");

    let apply = commands(&guide, "### 7. The two commands");
    let (status, apply): (Vec<_>, Vec<_>) = apply.iter().partition(|command| command.contains("rollout status"));
    // Nothing rolls out where there are no nodes.
    assert_eq!((status.len(), apply.len()), (2, 2), "{status:?} {apply:?}");
    let applied = run(&cluster, apply[0]).await.stdout;
    assert!(applied.contains("statefulset.apps/tagline created"), "{applied}");
    let service = run(&cluster, apply[1]).await.stdout;
    assert!(service.contains("LoadBalancer"), "{service}");

    // Whoever applies it again, without a change, replaces no pod: `diff` tells none, and no workload has a new generation.
    let generations = ["-n", "tagline", "get", "statefulsets,deployments,daemonsets"];
    let generations =
        [&generations[..], &["--output", "jsonpath={range .items[*]}{.metadata.name}:{.metadata.generation} {end}"]]
            .concat();
    let before = cluster.done(&generations).await;
    assert_eq!(before, "tagline:1 caddy:1 telegraf:1 ");
    let upgrade = commands(&guide, "## Upgrade");
    let [diff, apply, _status] = &upgrade[..] else { panic!("{upgrade:?}") };
    assert_eq!(run(&cluster, diff).await.stdout, "");
    run(&cluster, apply).await;
    assert_eq!(cluster.done(&generations).await, before);
    for restarted in ["daemonset/telegraf", "deployment/caddy"] {
        let command = format!("kubectl -n tagline rollout restart {restarted}");
        assert!(section(&guide, "## Rotation").contains(&format!("`{command}`")), "{command}");
        run(&cluster, &command).await;
    }
}
