//! A replica is taken away, and its spool is not left behind; one comes, and takes up what it finds.
//!
//! `k8s/scale-in` runs as it is, against a real API server. What is not there of a cluster is the test ([`stage`]): the StatefulSet's controller, the kubelet,
//! the Job's controller. The gateway is a real one, with a real InfluxDB that can be away, and the Job's containers are run by the very arguments that the
//! API server took.

mod refusals;
mod stage;

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    ACME_KEY, Bucket, GLOBEX_KEY, Gateway, Ran, Switch, Totals, config_for, events, influx, now_ms, post, tagline,
};
use stage::Stage;

const SOON: Duration = Duration::from_secs(30);

/// The replica that goes, with a switch before its InfluxDB. Its folder `data` is the volume.
struct Replica {
    gateway: Gateway,
    bucket: Bucket,
    switch: Switch,
}

impl Replica {
    async fn start(name: &str) -> Self {
        let (bucket, switch) = (influx().bucket(name), Switch::to(influx().address()));
        let url = switch.url();
        let environment = [
            ("INFLUXDB_URL", url.as_str()),
            ("TAGLINE__SERVER__DRAIN_TIMEOUT", "2s"),
            ("TAGLINE__ENRICH__REPLICA", "tagline-1"),
        ];
        let gateway = Gateway::start_with(&config_for(&bucket), &environment).await;
        Self { gateway, bucket, switch }
    }

    /// 100 points of acme arrive; then InfluxDB is away, and 40 of acme and 30 of globex wait.
    async fn takes_points_until_influxdb_is_away(&self) {
        assert_eq!(post(&self.gateway, ACME_KEY, &events(now_ms(), 0, 100)).status, 202);
        self.gateway.delivered("acme", 100).await;
        self.switch.cut();
        assert_eq!(post(&self.gateway, ACME_KEY, &events(now_ms(), 100, 40)).status, 202);
        assert_eq!(post(&self.gateway, GLOBEX_KEY, &events(now_ms(), 0, 30)).status, 202);
    }

    async fn stops(&mut self) {
        self.gateway.sigterm();
        assert_eq!(self.gateway.wait_exit(SOON).await.code(), Some(0), "{}", self.gateway.log());
    }

    /// A container of the Job, run to its end: its own arguments, of which only the volume's place is another.
    async fn runs(&self, container: &Value) -> Ran {
        let volume = self.gateway.spool().display().to_string();
        let arguments: Vec<&str> = container["args"]
            .as_array()
            .expect("a container of the Job has arguments")
            .iter()
            .map(|argument| argument.as_str().expect("an argument is text"))
            .map(|argument| if argument == "/var/lib/tagline" { volume.as_str() } else { argument })
            .collect();
        assert!(arguments.contains(&volume.as_str()), "{container:#}");
        let config = self.gateway.config_file();
        let environment = [("TAGLINE_CONFIG", config.as_str()), ("INFLUXDB_URL", &self.switch.url())];
        tagline(self.gateway.folder(), &arguments, &environment).await
    }

    async fn spool_json(&self) -> Value {
        let ran = tagline(self.gateway.folder(), &["spool", "data", "--json"], &[]).await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
    }

    /// Everything that was accepted is stored, once; nothing waits on the volume, whose books balance.
    async fn left_nothing(&self) {
        assert_eq!(self.bucket.count("frontend_performance", "element_count").await, 170);
        let log = self.spool_json().await["log"].take();
        assert_eq!((&log["segments"], &log["set_aside"], &log["damage"]), (&json!(0), &json!([]), &json!([])), "{log}");
        let files = std::fs::read_dir(self.gateway.spool().join("log")).expect("the folder of the log");
        let names: Vec<_> = files.map(|file| file.expect("a file").file_name()).collect();
        let kept = |name: &&std::ffi::OsString| name.to_string_lossy().contains(".seg");
        assert_eq!(names.iter().find(kept), None, "a volume that is taken up again is not to be full of what was sent");
        for (tenant, points) in [("acme", 140), ("globex", 30)] {
            let row = &log["tenants"][tenant];
            let books = [&row["accepted"], &row["delivered"], &row["pending"]["points"], &row["missing"]];
            assert_eq!(books, [&json!(points), &json!(points), &json!(0), &json!(0)], "{tenant}: {row}");
        }
    }
}

#[tokio::test]
async fn a_replica_goes_and_a_job_sends_what_waits_on_its_volume_which_stays() {
    let stage = Stage::set("local", 2).await;
    let mut replica = Replica::start("scale-in").await;
    replica.takes_points_until_influxdb_is_away().await;

    let mut script = stage.scale_in(&["--wait", "30s"]);
    stage.has_replicas(1, &mut script).await;
    replica.stops().await;
    assert_eq!(replica.spool_json().await["log"]["total"]["pending"]["points"].as_u64().map(|n| n >= 70), Some(true));
    stage.pod_ends().await;

    let job = stage.job(&mut script).await;
    replica.switch.mend();
    let [replay, spool] = [&job["initContainers"][0], &job["containers"][0]];
    let ran = replica.runs(replay).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let ran = replica.runs(spool).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    stage.job_ends(true).await;

    let ran = stage.ends(script).await;
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("nothing is left on spool-tagline-1") && ran.stderr.contains("TAGLINE_UPSTREAMS"),
        "{ran:?}"
    );
    assert!(stage.has("pvc/spool-tagline-1").await && !stage.has("job/tagline-1-drain").await, "{}", ran.stderr);
    replica.left_nothing().await;

    // Out again: the replica takes its volume up, and its books go on.
    replica.gateway.start_again().await;
    assert_eq!(post(&replica.gateway, ACME_KEY, &events(now_ms(), 140, 5)).status, 202);
    let row = replica.gateway.delivered("acme", 145).await;
    assert_eq!((&row["accepted"], &row["balances"]), (&json!(145), &json!(true)), "{row}");
}

#[tokio::test]
async fn a_volume_whose_points_could_not_be_sent_is_never_deleted_and_the_next_try_goes_on() {
    let stage = Stage::set("local", 2).await;
    let mut replica = Replica::start("scale-in-away").await;
    replica.takes_points_until_influxdb_is_away().await;

    let mut script = stage.scale_in(&["--wait", "1s", "--delete-volume"]);
    stage.has_replicas(1, &mut script).await;
    replica.stops().await;
    stage.pod_ends().await;
    let job = stage.job(&mut script).await;
    let ran = replica.runs(&job["initContainers"][0]).await;
    assert!(ran.code == Some(1) && ran.stderr.contains("InfluxDB took nothing for 1 s"), "{ran:?}");
    // Were the second container to run all the same, it would not be content.
    let ran = replica.runs(&job["containers"][0]).await;
    assert!(ran.code == Some(1) && ran.stderr.contains("points wait"), "{ran:?}");
    stage.job_ends(false).await;
    let ran = stage.ends(script).await;
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("k8s/scale-in --drain 1") && ran.stderr.contains("--replicas 2"), "{}", ran.stderr);
    assert!(stage.has("pvc/spool-tagline-1").await && stage.has("job/tagline-1-drain").await, "{}", ran.stderr);

    replica.switch.mend();
    let mut script = stage.scale_in(&["--drain", "1", "--delete-volume"]);
    let job = stage.next_job(&mut script).await;
    for container in [&job["initContainers"][0], &job["containers"][0]] {
        let ran = replica.runs(container).await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    assert!(stage.has("pvc/spool-tagline-1").await, "not before the Job has ended");
    stage.job_ends(true).await;
    let ran = stage.ends(script).await;
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(!stage.has("pvc/spool-tagline-1").await && stage.has("pvc/spool-tagline-0").await, "{}", ran.stderr);
    replica.left_nothing().await;
}

#[tokio::test]
async fn a_replica_that_comes_back_to_a_volume_with_points_delivers_them_and_one_with_an_empty_volume_begins() {
    let mut replica = Replica::start("scale-out").await;
    replica.takes_points_until_influxdb_is_away().await;
    replica.stops().await;
    replica.switch.mend();
    replica.gateway.start_again().await;
    replica.gateway.delivered("globex", 30).await;
    let row = replica.gateway.delivered("acme", 140).await;
    assert_eq!(row["balances"], json!(true), "{row}");
    assert_eq!(replica.bucket.count("frontend_performance", "element_count").await, 170);

    let fresh = Replica::start("scale-out-fresh").await;
    assert_eq!(post(&fresh.gateway, ACME_KEY, &events(now_ms(), 0, 10)).status, 202);
    fresh.gateway.delivered("acme", 10).await;
    let row = Totals::of(&fresh.gateway, "acme");
    assert_eq!((row.accepted, row.delivered, row.lost), (10, 10, 0), "{row:?}");
}
