//! Telegraf finds the pods of its node through the API server, by the rights of its Role; with one right less it says which.

use super::{applied, cluster_with_definitions, deployed};
use crate::support::caddy::Caddy;
use crate::support::cluster::{Cluster, Request, own_loopback_address};
use crate::support::manifests::Sources;
use crate::support::telegraf::{Configuration, Telegraf};
use crate::support::{Bucket, Gateway, Row, config_for, eventually, influx, random_text};
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

/// Telegraf scrapes each second here, but a list that was refused is asked for again only after up to a minute.
const SOON: Duration = Duration::from_secs(90);

/// What Telegraf's configuration says of the pods.
const CADDY_METRICS: u16 = 9180;
const GATEWAY_ADMIN: u16 = 8081;

const SITE: &str = "acme.app.test";

/// A pod of the Deployment `caddy`, and the Caddy in it, which has answered requests.
struct CaddyPod {
    name: &'static str,
    caddy: Caddy,
}

impl CaddyPod {
    async fn start(cluster: &Cluster, name: &'static str, node: &str) -> Self {
        let address = own_loopback_address(&[CADDY_METRICS]);
        let setup = Caddy::for_sites(&[SITE]).bind(address.into()).metrics_port(CADDY_METRICS);
        let pod = Self { name, caddy: setup.start().await };
        assert_eq!(pod.caddy.request(SITE, "GET", "/", &[], b"").status, 502, "there is no app behind it");
        run(cluster, "deployment/caddy", name, node, address).await;
        pod
    }
}

/// A pod of this workload, which runs and is ready at this address.
async fn run(cluster: &Cluster, of: &str, name: &str, node: &str, address: Ipv4Addr) {
    let ran = cluster.create(&cluster.template(of).await.pod(name, node)).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    cluster.runs(name, address).await;
}

/// The DaemonSet's Telegraf of a node, with a token of its ServiceAccount.
async fn telegraf(cluster: &Cluster, node: &str, bucket: &Bucket, admin_token: &str) -> Telegraf {
    let kubeconfig = cluster.kubeconfig_of("telegraf").await;
    Telegraf::writing_to(bucket, Configuration::Kubernetes)
        .variable("NODE_NAME", node)
        .variable("NAMESPACE", "tagline")
        .variable("KUBECONFIG", kubeconfig.to_str().expect("ASCII letters"))
        .variable("TAGLINE_ADMIN_TOKEN", admin_token)
        .start()
        .await
}

/// How often each instance of a measurement was scraped: the number of different times.
async fn scrapes(bucket: &Bucket, measurement: &str, tag: &str, instance: &str) -> usize {
    let rows = bucket.rows(measurement).await;
    let times: BTreeSet<i64> =
        rows.iter().filter(|row| row.get(tag) == Some(instance)).map(|row| row.nanos("_time")).collect();
    times.len()
}

async fn scraped(bucket: &Bucket, measurement: &str, tag: &str, instance: &str, times: usize) {
    eventually(SOON, || async {
        let seen = scrapes(bucket, measurement, tag, instance).await;
        if seen >= times { Ok(()) } else { Err(format!("{instance} was scraped {seen} times")) }
    })
    .await;
}

#[tokio::test]
async fn telegraf_scrapes_the_pods_of_its_own_node_and_follows_them_as_they_come_and_go() {
    let cluster = &deployed("local").await.cluster;
    let (bucket, admin_token) = (influx().bucket("discovery"), random_text(24));
    let own = CaddyPod::start(cluster, "caddy-7d9f-own", "node-a").await;
    let other = CaddyPod::start(cluster, "caddy-7d9f-other", "node-b").await;
    let address = own_loopback_address(&[GATEWAY_ADMIN]);
    let environment = [
        ("TAGLINE__SERVER__ADMIN_LISTEN", format!("{address}:{GATEWAY_ADMIN}")),
        ("TAGLINE__SERVER__ADMIN_TOKEN", admin_token.clone()),
    ];
    let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
    let _gateway = Gateway::start_with(&config_for(&influx().bucket("gateway")), &environment).await;
    run(cluster, "statefulset/tagline", "tagline-7", "node-a", address).await;

    let on_a = telegraf(cluster, "node-a", &bucket, &admin_token).await;
    scraped(&bucket, "caddy_http_requests", "instance", own.name, 3).await;
    scraped(&bucket, "gateway_metrics", "replica", "tagline-7", 3).await;
    let rows = bucket.rows("caddy_http_requests").await;
    assert!(
        rows.iter().all(|row| row.text("instance") == own.name),
        "the pod of the other node is left alone: {rows:?}"
    );
    let counted: Vec<&Row> = rows.iter().filter(|row| row.get("count").is_some()).collect();
    assert!(
        counted
            .iter()
            .all(|row| (row.text("host"), row.text("status_code")) == (SITE, "502") && row.float("count") == 1.0),
        "{counted:?}"
    );
    // All that it asked for is all that its Role gives.
    let asked = cluster.requests_of("telegraf").into_iter().filter(|request| request.resource == "pods");
    let expected = ["list", "watch"].map(|verb| Request {
        verb: verb.to_owned(),
        resource: "pods".to_owned(),
        namespace: "tagline".to_owned(),
        allowed: true,
    });
    assert_eq!(asked.collect::<BTreeSet<_>>(), BTreeSet::from(expected));

    // The other node has a Telegraf of its own, and there was something to find.
    let on_b = telegraf(cluster, "node-b", &bucket, &admin_token).await;
    scraped(&bucket, "caddy_http_requests", "instance", other.name, 3).await;
    drop(on_b);

    // A roll-out: another pod comes, and the old one goes.
    let new = CaddyPod::start(cluster, "caddy-8c41-new", "node-a").await;
    scraped(&bucket, "caddy_http_requests", "instance", new.name, 3).await;
    cluster.ends(own.name).await;
    let address = own.caddy.metrics_address();
    drop(own.caddy);
    let before = scrapes(&bucket, "caddy_http_requests", "instance", new.name).await;
    scraped(&bucket, "caddy_http_requests", "instance", new.name, before + 3).await;
    // Whoever asked for it still would be refused from now on, once a second.
    let refusals = || on_a.log().lines().filter(|line| line.contains(&address.to_string())).count();
    let seen = refusals();
    scraped(&bucket, "caddy_http_requests", "instance", new.name, before + 6).await;
    assert_eq!(refusals(), seen, "{}", on_a.log());
}

#[tokio::test]
async fn without_the_right_to_list_telegraf_says_so_and_goes_on_when_it_is_given() {
    without("list").await;
}

#[tokio::test]
async fn without_the_right_to_watch_telegraf_says_so_and_goes_on_when_it_is_given() {
    without("watch").await;
}

async fn without(verb: &str) {
    let (cluster, sources) = (cluster_with_definitions().await, Sources::copy());
    let line = format!("      - {verb}\n");
    sources.edit("base/telegraf.yaml", &line, "");
    applied(&cluster, &sources, "aks").await;
    let bucket = influx().bucket("rights");
    // It comes after Telegraf: without watch it cannot be seen.
    let telegraf = telegraf(&cluster, "node-a", &bucket, "no-gateway-asks-for-it").await;
    let told = format!(r#"User "system:serviceaccount:tagline:telegraf" cannot {verb} resource "pods""#);
    eventually(SOON, || async {
        // It quotes what the API server said.
        let log = telegraf.log().replace(r#"\""#, "\"");
        if log.contains(&told) { Ok(()) } else { Err(log) }
    })
    .await;
    let pod = CaddyPod::start(&cluster, "caddy-7d9f-a", "node-a").await;

    let whole = Sources::copy();
    applied(&cluster, &whole, "aks").await;
    scraped(&bucket, "caddy_http_requests", "instance", pod.name, 1).await;
}
