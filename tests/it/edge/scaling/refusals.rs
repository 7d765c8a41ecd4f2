//! What the script refuses to do, and that it changes nothing then; and what a dry run shows.

use serde_json::{Value, json};

use super::stage::Stage;
use crate::support::manifests::{manifests, text};

#[tokio::test]
async fn it_takes_no_replica_away_where_that_would_lose_points_or_leave_nobody() {
    let stage = Stage::set("local", 2).await;
    let refused = async |arguments: &[&str], code: i32, told: &str| {
        let ran = stage.ends(stage.scale_in(arguments)).await;
        assert_eq!(ran.code, Some(code), "{told}: {}", ran.stderr);
        assert!(ran.stderr.contains(told), "{told}: {}", ran.stderr);
        let now = stage.get("statefulset/tagline").await["spec"]["replicas"].take();
        assert!(!stage.has("job/tagline-1-drain").await, "{told}: {}", ran.stderr);
        now
    };
    let set = "statefulset/tagline";
    let scaled = |to: Value| json!({ "spec": { "replicas": to } });
    let retained = |what: &str| json!({ "spec": { "persistentVolumeClaimRetentionPolicy": { "whenDeleted": "Retain", "whenScaled": what } } });

    for (arguments, told) in [
        (&["--wait", "soon"][..], "--wait soon is no duration"),
        (&["--drain", "x"], "--drain x is no replica's number"),
        (&["--drain"], "--drain needs a value"),
        (&["--force"], "it knows no --force"),
        (&["--dry-run", "--delete-volume"], "--dry-run deletes nothing"),
    ] {
        assert_eq!(refused(arguments, 2, told).await, json!(2));
    }
    assert_eq!(refused(&["--namespace", "elsewhere"], 1, "cannot be read in namespace elsewhere").await, json!(2));
    assert_eq!(refused(&["--drain", "1"], 1, "replica 1 is one of the 2 that are to run").await, json!(2));
    assert_eq!(refused(&["--drain", "2"], 1, "the volume of tagline-2 cannot be found").await, json!(2));

    stage.status(2, 1, "tagline-a").await;
    assert_eq!(refused(&[], 1, "1 of 2 replicas are ready").await, json!(2));
    stage.status(2, 2, "tagline-b").await;
    assert_eq!(refused(&[], 1, "a roll-out is under way").await, json!(2));
    stage.status(2, 2, "tagline-a").await;

    stage.patch(set, None, &retained("Delete")).await;
    assert_eq!(refused(&["--delete-volume"], 1, "a volume would go with its pod").await, json!(2));
    stage.patch(set, None, &retained("Retain")).await;

    stage
        .cluster
        .done(&["autoscale", set, "--namespace", "tagline", "--min", "1", "--max", "3", "--cpu-percent", "50"])
        .await;
    assert_eq!(refused(&[], 1, "the HorizontalPodAutoscaler tagline scales tagline").await, json!(2));
    stage.cluster.done(&["delete", "hpa", "tagline", "--namespace", "tagline"]).await;

    // What the API server would not take is known before anything is changed.
    let quota = ["create", "quota", "none", "--namespace", "tagline", "--hard", "count/jobs.batch=0"];
    stage.cluster.done(&quota).await;
    // Its controller is not there to say that it counts.
    let counted = json!({ "status": { "hard": { "count/jobs.batch": "0" }, "used": { "count/jobs.batch": "0" } } });
    stage.patch("quota/none", Some("status"), &counted).await;
    assert_eq!(refused(&[], 1, "the API server would refuse the Job").await, json!(2));
    stage.cluster.done(&["delete", "quota", "none", "--namespace", "tagline"]).await;

    stage.patch(set, None, &scaled(json!(1))).await;
    // The pod is still there.
    assert_eq!(refused(&["--drain", "1"], 1, "the pod tagline-1 is still there").await, json!(1));
    assert_eq!(refused(&[], 1, "tagline has 1 replica").await, json!(1));
}

#[tokio::test]
async fn a_dry_run_shows_a_job_with_all_that_a_replica_has_and_changes_nothing() {
    for overlay in ["aks", "local"] {
        let stage = Stage::set(overlay, 2).await;
        let before = stage.get("statefulset,pvc,job,pod").await;
        let ran = stage.ends(stage.scale_in(&["--dry-run", "--wait", "90s"])).await;
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        assert_eq!(stage.get("statefulset,pvc,job,pod").await, before);

        let job: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}", ran.stdout));
        let template = &stage.get("statefulset/tagline").await["spec"]["template"];
        let (own, theirs) = (&job["spec"]["template"]["spec"], &template["spec"]);
        for name in [
            "serviceAccountName",
            "automountServiceAccountToken",
            "enableServiceLinks",
            "securityContext",
            "nodeSelector",
        ] {
            assert!(own[name] == theirs[name] && !own[name].is_null(), "{overlay}: {name}: {own:#}");
        }
        let volume = json!({ "name": "spool", "persistentVolumeClaim": { "claimName": "spool-tagline-1" } });
        let volumes: Vec<&Value> = theirs["volumes"].as_array().unwrap().iter().chain([&volume]).collect();
        assert_eq!(own["volumes"].as_array().unwrap().iter().collect::<Vec<_>>(), volumes, "{overlay}");
        for container in [&own["initContainers"][0], &own["containers"][0]] {
            for name in ["image", "imagePullPolicy", "env", "resources", "securityContext", "volumeMounts"] {
                let same = container[name] == theirs["containers"][0][name];
                assert!(same && !container[name].is_null(), "{overlay}: {name}: {container:#}");
            }
        }
        let replay = json!(["replay", "/var/lib/tagline", "--wait", "90s", "--delete-sent"]);
        assert_eq!(own["initContainers"][0]["args"], replay);
        assert_eq!(own["containers"][0]["args"], json!(["spool", "/var/lib/tagline", "--expect-empty"]));

        // Neither a Service, nor the budget, nor the StatefulSet takes its pod for a replica.
        let labels = &job["spec"]["template"]["metadata"]["labels"];
        assert_eq!(labels["app.kubernetes.io/name"], "tagline-drain");
        let all = manifests(overlay);
        let selectors = ["Service", "StatefulSet", "PodDisruptionBudget"].into_iter().flat_map(|kind| all.all(kind));
        for object in selectors {
            let selector = &object["spec"]["selector"];
            let wanted = if object["kind"] == "Service" { selector } else { &selector["matchLabels"] };
            let selects = wanted.as_object().unwrap().iter().all(|(key, value)| labels[key] == *value);
            assert!(!selects, "{overlay}: {} {}", text(&object["kind"]), text(&object["metadata"]["name"]));
        }
    }
}
