//! A new version is rolled out under load, and nothing is lost.
//!
//! Two gateways stand behind Caddy, each with a spool of its own that outlives its process, as the volumes of a StatefulSet do, and each on an address of
//! its own with the same ports. They are replaced one after the other by the steps, and in the times, that Kubernetes takes with `k8s/base`; then Caddy is.
//! The clients keep their connections, some of them idle for longer than a replacement takes: no request fails, nothing is lost, nothing is stored twice.

mod http2;
mod load;
mod times;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use crate::support::caddy::{CADDY_ADDRESS, PROXY_SECRET, free_port};
use crate::support::{Bucket, Caddy, Gateway, Switch, Totals, config_for, eventually, influx};
use load::{Clients, HOST, Kept};
use times::Times;

/// Where the replicas are: names of pods, as it were.
const REPLICAS: [Ipv4Addr; 2] = [Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 3)];

/// The gateways of a StatefulSet.
struct Replicas {
    gateways: Vec<Gateway>,
    admin_port: u16,
}

impl Replicas {
    /// With InfluxDB behind `url`, and what a test changes of the settings.
    async fn start(bucket: &Bucket, url: &str, times: &Times, changes: &[(&str, &str)]) -> Self {
        let [port, admin_port] = [(); 2].map(|()| common_port());
        let config = format!(
            "{}\n[tenant_defaults.limits]\npoints_per_second = 1_000_000\nburst = 1_000_000\n",
            config_for(bucket)
        );
        let [drain_delay, drain_timeout] =
            [times.drain_delay, times.drain_timeout].map(|time| format!("{}ms", time.as_millis()));
        let mut gateways = Vec::new();
        for (n, address) in REPLICAS.into_iter().enumerate() {
            let listen = [port, admin_port].map(|port| SocketAddr::new(address.into(), port).to_string());
            let replica = format!("tagline-{n}");
            let mut environment = vec![
                ("INFLUXDB_URL", url),
                ("TAGLINE__SERVER__LISTEN", &listen[0]),
                ("TAGLINE__SERVER__ADMIN_LISTEN", &listen[1]),
                ("TAGLINE__SERVER__DRAIN_DELAY", &drain_delay),
                ("TAGLINE__SERVER__DRAIN_TIMEOUT", &drain_timeout),
                ("TAGLINE__SERVER__TRUSTED_PROXIES", CADDY_ADDRESS),
                ("TAGLINE__SERVER__PROXY_SECRET", PROXY_SECRET),
                ("TAGLINE__SERVER__REPLICAS", "2"),
                ("TAGLINE__ENRICH__REPLICA", &replica),
            ];
            environment.extend(changes);
            gateways.push(Gateway::start_with(&config, &environment).await);
        }
        Self { gateways, admin_port }
    }

    /// Caddy in front of them, by the repository's own file.
    async fn caddy(&self, times: &Times) -> Caddy {
        let addresses: Vec<SocketAddr> = self.gateways.iter().map(Gateway::address).collect();
        let milliseconds = |time: Duration| format!("{}ms", time.as_millis());
        Caddy::for_sites(&[HOST])
            .gateways(&addresses, self.admin_port)
            .variable("CADDY_SHUTDOWN_DELAY", milliseconds(times.caddy_shutdown_delay))
            .variable("CADDY_GRACE_PERIOD", milliseconds(times.caddy_grace_period))
            .start()
            .await
    }

    /// Points of both tenants that a gateway has accepted, in all its lives.
    fn accepted(&self, n: usize) -> u64 {
        ["acme", "globex"].iter().map(|tenant| Totals::of(&self.gateways[n], tenant).accepted).sum()
    }

    /// Waits until nothing is pending anywhere; how many points were accepted, and delivered.
    async fn settled(&self) -> (u64, u64) {
        eventually(Duration::from_secs(60), || async {
            let rows: Vec<Totals> = self
                .gateways
                .iter()
                .flat_map(|gateway| ["acme", "globex"].map(|tenant| Totals::of(gateway, tenant)))
                .collect();
            assert!(
                rows.iter().all(|row| row.balances() && row.lost + row.spilled + row.dead_lettered == 0),
                "{rows:?}"
            );
            match rows.iter().map(|row| row.pending).sum() {
                0 => Ok((rows.iter().map(|row| row.accepted).sum(), rows.iter().map(|row| row.delivered).sum())),
                pending => Err(format!("{pending} points are pending: {rows:?}")),
            }
        })
        .await
    }

    /// Replaces one gateway as Kubernetes does: the times between the steps are the kubelet's and the controller's, who wait for nothing else.
    async fn replace(&mut self, n: usize, times: &Times) {
        let gateway = &mut self.gateways[n];
        tokio::time::sleep(times.pre_stop).await;
        gateway.sigterm();
        let asked = Instant::now();
        let ended = gateway.wait_exit(times.grace - times.pre_stop).await;
        assert_eq!(ended.code(), Some(0), "{}", gateway.log());
        let took = asked.elapsed();
        assert!(took >= times.drain_delay, "it did not wait for the load balancers: it ended {took:?} after SIGTERM");
        gateway.start_again().await;
        println!("tagline-{n}: ended {took:?} after SIGTERM, ready again {:?} after it", asked.elapsed());
        tokio::time::sleep(times.min_ready).await;
    }
}

/// A port that is free on every replica's address.
fn common_port() -> u16 {
    let free = |port: &u16| REPLICAS[1..].iter().all(|address| std::net::TcpListener::bind((*address, *port)).is_ok());
    std::iter::repeat_with(|| free_port(REPLICAS[0].into())).find(free).expect("there are many")
}

#[test]
fn an_idle_connection_is_closed_by_caddy_long_before_the_gateway_would_cross_its_next_request() {
    let [caddy, gateway] = times::idle_connections();
    assert!(caddy + Duration::from_secs(30) <= gateway, "Caddy keeps it for {caddy:?}, the gateway for {gateway:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_gateways_are_replaced_under_load_and_no_request_fails_and_nothing_is_lost_or_doubled() {
    let times = Times::of_the_manifests();
    let bucket = influx().bucket("rollout");
    let mut replicas = Replicas::start(&bucket, &influx().url(), &times, &[]).await;
    let caddy = replicas.caddy(&times).await;
    let clients = Clients::through(caddy.address());
    for n in 0..REPLICAS.len() {
        clients.go_on().await;
        let before = replicas.accepted(n);
        assert!(before > 0, "tagline-{n} got no request: there is nothing to see");
        replicas.replace(n, &times).await;
        // Its ledger counts on, and Caddy found it again.
        assert!(replicas.accepted(n) > before, "tagline-{n} got no request after it was replaced");
    }
    clients.go_on().await;
    let kept = clients.stop(&bucket, async || replicas.settled().await).await;
    kept.assert_no_request_failed();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_influxdb_they_are_replaced_all_the_same_and_everything_arrives_once_when_it_is_back() {
    let times = Times::of_the_manifests();
    let (bucket, switch) = (influx().bucket("rollout-away"), Switch::to(influx().address()));
    let mut replicas = Replicas::start(&bucket, &switch.url(), &times, &[]).await;
    let caddy = replicas.caddy(&times).await;
    let clients = Clients::through(caddy.address());
    clients.go_on().await;
    switch.cut();
    for n in 0..REPLICAS.len() {
        clients.go_on().await;
        replicas.replace(n, &times).await;
    }
    clients.go_on().await;
    switch.mend();
    let kept = clients.stop(&bucket, async || replicas.settled().await).await;
    kept.assert_no_request_failed();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_inside_of_the_cluster_are_asked_to_leave_a_gateway_that_stops_and_no_request_fails() {
    let times = Times::of_the_manifests();
    let bucket = influx().bucket("rollout-service");
    let mut replicas = Replicas::start(&bucket, &influx().url(), &times, &[]).await;
    let addresses: Vec<SocketAddr> = replicas.gateways.iter().map(Gateway::address).collect();
    let clients = Clients::by_a_service(addresses[0]);
    clients.go_on().await;
    // A Service sends new connections to those that stay. The ones that there are stay where they are: nobody but the gateway can ask them to go.
    clients.direct(addresses[1]);
    replicas.replace(0, &times).await;
    clients.go_on().await;
    let kept = clients.stop(&bucket, async || replicas.settled().await).await;
    kept.assert_no_request_failed();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caddy_is_replaced_under_load_beside_another_one_and_no_request_fails() {
    let times = Times::of_the_manifests();
    let bucket = influx().bucket("rollout-caddy");
    let replicas = Replicas::start(&bucket, &influx().url(), &times, &[]).await;
    let mut old = replicas.caddy(&times).await;
    let clients = Clients::through(old.address());
    clients.go_on().await;
    // The new one is ready before the old one goes (maxSurge), and the load balancer learns in the time of preStop that the old one does.
    let new = replicas.caddy(&times).await;
    tokio::time::sleep(times.caddy_pre_stop / 2).await;
    clients.direct(new.address());
    tokio::time::sleep(times.caddy_pre_stop / 2).await;
    old.sigterm();
    let asked = Instant::now();
    let ended = old.wait_exit(times.caddy_grace - times.caddy_pre_stop).await;
    assert_eq!(ended.code(), Some(0), "{}", old.log_text());
    println!("caddy ended {:?} after SIGTERM", asked.elapsed());
    clients.go_on().await;
    let kept = clients.stop(&bucket, async || replicas.settled().await).await;
    kept.assert_no_request_failed();
    drop(new);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_is_killed_fails_only_what_was_under_way_on_it_and_nothing_acknowledged_is_lost() {
    let times = Times::of_the_manifests();
    let bucket = influx().bucket("rollout-killed");
    let mut replicas = Replicas::start(&bucket, &influx().url(), &times, &[]).await;
    let caddy = replicas.caddy(&times).await;
    let clients = Clients::through(caddy.address());
    clients.go_on().await;
    replicas.gateways[0].kill().await;
    clients.go_on().await;
    replicas.gateways[0].start_again().await;
    clients.go_on().await;
    let Kept { failures, verdict, .. } = clients.stop(&bucket, async || replicas.settled().await).await;
    println!("killed: {verdict:?}; {failures:#?}");
    // Each client has one request at a time, and none meets the dead one twice: Caddy goes to the other when it gets no connection.
    assert!(failures.len() <= load::CLIENTS, "{failures:#?}");
}
