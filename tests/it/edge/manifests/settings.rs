//! The gateway's own judgement of the settings that an overlay gives it, as a pod would find them.

use super::mounted::Mounted;
use crate::support::manifests::{OVERLAYS, manifests};
use crate::support::{Ran, tagline};

async fn check(mounted: &Mounted) -> Ran {
    tagline(&mounted.path("/var/lib/tagline"), &["check"], &mounted.environment()).await
}

#[tokio::test]
async fn the_gateway_takes_the_settings_of_every_overlay() {
    for overlay in OVERLAYS {
        let all = manifests(overlay);
        let ran = check(&Mounted::of(all, "tagline")).await;
        assert_eq!(ran.code, Some(0), "{overlay}: {}{}", ran.stdout, ran.stderr);
        let value = |key: &str| all.value("tagline-values", key).unwrap_or_else(|| panic!("{overlay} has no {key}"));
        let told = [
            "0.0.0.0:8080 public, 0.0.0.0:8081 admin".to_owned(),
            format!(
                "{}, org {:?}, bucket {:?}",
                value("INFLUXDB_URL"),
                value("INFLUXDB_ORG"),
                value("INFLUXDB_BUCKET")
            ),
            format!("{}, replica tagline-0", value("INSTANCE")),
            "on disk (fsync)".to_owned(),
        ];
        for told in told {
            assert!(ran.stdout.contains(&told), "{overlay}: {told:?} is not in\n{}", ran.stdout);
        }
        // A pod's address is not known beforehand, so their network is named. The NetworkPolicies say who of it comes as far.
        let warnings: Vec<_> = ran.stdout.lines().filter(|line| line.starts_with("warning:")).collect();
        assert!(warnings.len() == 1 && warnings[0].contains("server.trusted_proxies"), "{overlay}: {warnings:?}");
    }
}

#[tokio::test]
async fn a_variable_that_is_no_setting_is_refused_by_name() {
    let mut mounted = Mounted::of(manifests("aks"), "tagline");
    let settings: Vec<_> =
        (0..mounted.variables.len()).filter(|at| mounted.variables[*at].0.starts_with("TAGLINE__")).collect();
    assert!(settings.len() >= 15, "{:?}", mounted.variables);
    for at in settings {
        let right = mounted.variables[at].0.clone();
        let wrong = format!("{right}_WRONG");
        mounted.variables[at].0.clone_from(&wrong);
        let ran = check(&mounted).await;
        mounted.variables[at].0 = right;
        assert_eq!(ran.code, Some(2), "{wrong}: {}", ran.stdout);
        assert!(ran.stdout.contains(&wrong), "{wrong} is not in\n{}", ran.stdout);
    }
}
