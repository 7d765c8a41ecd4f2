//! All real parts on loopback: Chromium and raw clients -> Caddy -> gateway -> InfluxDB, with Telegraf beside them that scrapes Caddy into
//! the same bucket. What comes of it is asked by `flux/queries/edge-and-frontend.flux`.

mod query;

use super::telegraf::{WITH_ADMIN_TOKEN, app, beside, scraped};
use crate::support::caddy::{CADDY_ADDRESS, Caddy, PROXY_SECRET, free_port, request_bytes};
use crate::support::exposition::samples;
use crate::support::{
    ACME_KEY, Bucket, Gateway, Page, Row, browser, config_for, event, eventually, flux_string, influx, now_ms,
};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long it may take until all that was sent is in InfluxDB, on a busy machine.
const SOON: Duration = Duration::from_secs(30);

/// What `flux/queries/edge-and-frontend.flux` gives for this host, of this bucket instead of the usual one.
async fn edge_and_frontend(bucket: &Bucket, host: &str) -> Vec<Row> {
    edge_and_frontend_since(bucket, host, "-1h").await
}

/// The same, of another time than the last hour.
async fn edge_and_frontend_since(bucket: &Bucket, host: &str, start: &str) -> Vec<Row> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("flux/queries/edge-and-frontend.flux");
    let mut flux = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    for (usual, own) in [
        ("\nbucket = \"app_observability\"\n", format!("\nbucket = {}\n", flux_string(bucket.name()))),
        ("\nstart = -1h\n", format!("\nstart = {start}\n")),
    ] {
        assert_eq!(flux.matches(usual).count(), 1, "{usual:?} in {}", file.display());
        flux = flux.replace(usual, &own);
    }
    let rows = bucket.query(&flux).await;
    rows.into_iter().filter(|row| row.get("host") == Some(host)).collect()
}

/// The sum of a column, where it has values.
fn sum(rows: &[Row], column: &str) -> f64 {
    rows.iter().filter(|row| row.get(column).is_some()).map(|row| row.float(column)).sum()
}

/// How many requests Caddy has counted for this host.
fn counted(caddy: &Caddy, host: &str) -> f64 {
    let samples = samples(&caddy.metrics());
    let counts = samples.iter().filter(|sample| sample.name == "caddy_http_request_duration_seconds_count");
    counts.filter(|sample| sample.labels["host"] == host).map(|sample| sample.value).sum()
}

/// Waits until a minute has enough left of it for what comes next.
async fn early_in_a_minute() {
    eventually(Duration::from_secs(60), || async {
        let second = now_ms() / 1000 % 60;
        if second < 45 { Ok(()) } else { Err(format!("second {second} of the minute")) }
    })
    .await;
}

#[tokio::test]
async fn edge_and_frontend_are_joined_per_host_and_minute() {
    let bucket = influx().bucket("whole");
    // Caddy's port is a part of the origin that the gateway has to know, and the gateway's address one of what Caddy has to know.
    let [public, admin] =
        [(); 2].map(|()| SocketAddr::from((Ipv4Addr::LOCALHOST, free_port(Ipv4Addr::LOCALHOST.into()))));
    let page = Page::serve(&format!(
        "const events = [...Array(20).keys()].map(seq => ({{
           sessionId: 'of-a-browser', viewName: '/cart', actionName: 'load', timestamp: Date.now(), seq,
           metrics: {{duration_ms: 100 + 10 * seq}},
         }}));
         const answer = await fetch('/v1/telemetry/{ACME_KEY}', {{method: 'POST', body: JSON.stringify(events)}});
         report({{status: answer.status, accepted: (await answer.json()).accepted}});"
    ));
    let app = page.origin().trim_start_matches("http://").parse().expect("a page's origin has an address");
    let caddy = Caddy::for_sites(&["acme.app.localhost", "globex.app.test"])
        // Where Chromium finds names under `.localhost`.
        .bind(Ipv4Addr::LOCALHOST.into())
        .gateways(&[public], admin.port())
        .app(app)
        .start()
        .await;
    let origin = caddy.url("acme.app.localhost");
    let config = config_for(&bucket).replacen("origins = [\"*\"]", &format!("origins = [\"{origin}\"]"), 1);
    assert!(config.contains(&origin), "{config}");
    let listeners = [public.to_string(), admin.to_string()];
    let gateway = Gateway::start_with(
        &config,
        &[
            ("TAGLINE__SERVER__LISTEN", &listeners[0]),
            ("TAGLINE__SERVER__ADMIN_LISTEN", &listeners[1]),
            ("TAGLINE__SERVER__TRUSTED_PROXIES", CADDY_ADDRESS),
            ("TAGLINE__SERVER__PROXY_SECRET", PROXY_SECRET),
            WITH_ADMIN_TOKEN,
        ],
    )
    .await;
    let _telegraf = beside(&caddy, &gateway, &bucket).start().await;
    scraped(&bucket).await;
    // Until its health check has passed, Caddy has no gateway.
    eventually(SOON, || async {
        let status = caddy.request("globex.app.test", "POST", "/v1/telemetry/no-such-key", &[], b"[]").status;
        if status == 401 { Ok(()) } else { Err(status) }
    })
    .await;

    early_in_a_minute().await;
    let tab = browser().open(&format!("{origin}/"));
    let result = page.result(SOON).await;
    assert_eq!(result, serde_json::json!({"status": 202, "accepted": 20}));
    tab.close();
    // A raw client that claims to be another tenant, and to be the proxy: its key says whose it is.
    let host = origin.trim_start_matches("https://");
    let lies = [
        ("Origin", origin.as_str()),
        ("X-Tenant-ID", "globex"),
        ("X-Proxy-Secret", PROXY_SECRET),
        ("X-Forwarded-For", "203.0.113.7"),
    ];
    let body = event(now_ms(), 1).to_string();
    let mut connection = caddy.connect("acme.app.localhost");
    let answer =
        connection.exchange(request_bytes(host, "POST", &format!("/v1/telemetry/{ACME_KEY}"), &lies, body.as_bytes()));
    assert_eq!(answer.status, 202, "{}", answer.text());

    let rows = eventually(SOON, || async {
        let rows = edge_and_frontend(&bucket, host).await;
        let (requests, events) = (sum(&rows, "requests"), sum(&rows, "events"));
        // At least the page and two times telemetry; Chromium may have asked for an icon as well.
        let all = requests >= 3.0 && requests == counted(&caddy, host) && events == 20.0;
        if all { Ok(rows) } else { Err(format!("Caddy counted {}: {rows:?}", counted(&caddy, host))) }
    })
    .await;
    let [row] = rows.as_slice() else { panic!("one host and one minute are one row: {rows:?}") };
    assert_eq!(row.nanos("_time") % 60_000_000_000, 0, "{row:?}");
    assert_eq!(row.get("errors"), None, "{row:?}");
    // 100, 110, … 290.
    assert!((280.0..=290.0).contains(&row.float("frontend_p99_ms")), "{row:?}");
    assert!(row.float("edge_p99_ms") > 0.0, "{row:?}");

    // The host that only raw clients asked for: the edge's half, and no frontend's.
    let rows = edge_and_frontend(&bucket, "globex.app.test").await;
    assert_eq!(sum(&rows, "requests"), counted(&caddy, "globex.app.test"), "{rows:?}");
    assert!(!rows.is_empty() && rows.iter().all(|row| row.get("events").is_none()), "{rows:?}");

    let tenants = bucket.rows("frontend_performance").await;
    assert_eq!(tenants.len(), 21);
    assert!(tenants.iter().all(|row| row.text("tenant_id") == "acme"), "{tenants:?}");
}

/// Caddy's buckets, in milliseconds.
const BUCKETS: [f64; 12] = [0.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10000.0];

/// How many clients ask at the same time, and how often each.
const CLIENTS: u64 = 8;
const REQUESTS: u64 = 50;

/// What a request is, and how long the app takes for it: a GET 5 to 64 ms, and one in 25 of them, a POST, 300 to 399 ms. Neither of
/// the two alone has the percentile of both.
fn kind(number: u64) -> (&'static str, u64) {
    if number % 25 == 24 { ("POST", 300 + number * 7 % 100) } else { ("GET", 5 + number * 13 % 60) }
}

#[tokio::test]
async fn the_edges_p99_from_buckets_agrees_with_what_clients_measured_within_a_buckets_width() {
    let (bucket, app) = (influx().bucket("p99"), app());
    let gateway = Gateway::start_with(&config_for(&bucket), &[WITH_ADMIN_TOKEN]).await;
    let host = "acme.app.test";
    let caddy = Caddy::for_sites(&[host]).gateway(&gateway).app(app.address()).start().await;
    let _telegraf = beside(&caddy, &gateway, &bucket).start().await;
    scraped(&bucket).await;

    early_in_a_minute().await;
    let mut measured: Vec<f64> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let mut connection = caddy.connect(host);
                let numbers = (client * REQUESTS)..((client + 1) * REQUESTS);
                scope.spawn(move || {
                    let ask = |number| {
                        let (method, delay) = kind(number);
                        let target = format!("/delay/{delay}");
                        let request = request_bytes(host, method, &target, &[("Connection", "keep-alive")], b"");
                        let asked = Instant::now();
                        assert_eq!(connection.exchange(request).status, 200);
                        asked.elapsed().as_secs_f64() * 1000.0
                    };
                    numbers.map(ask).collect::<Vec<f64>>()
                })
            })
            .collect();
        clients.into_iter().flat_map(|client| client.join().expect("a client that got its answers")).collect()
    });
    measured.sort_by(f64::total_cmp);
    let direct = measured[measured.len() * 99 / 100 - 1];
    let sent = f64::from(u32::try_from(CLIENTS * REQUESTS).expect("a few hundred"));

    let rows = eventually(SOON, || async {
        let rows = edge_and_frontend(&bucket, host).await;
        if sum(&rows, "requests") == sent { Ok(rows) } else { Err(format!("{sent} requests: {rows:?}")) }
    })
    .await;
    let [row] = rows.as_slice() else { panic!("one minute is one row: {rows:?}") };
    let from_buckets = row.float("edge_p99_ms");
    let above = BUCKETS.iter().position(|bound| *bound >= direct).expect("nobody waits that long");
    let width = BUCKETS[above] - BUCKETS[above - 1];
    eprintln!("P99 of {sent} requests: {direct:.0} ms by the clients, {from_buckets:.0} ms by Caddy's buckets");
    assert!(
        (from_buckets - direct).abs() <= width,
        "the clients' P99 is {direct} ms, that of the buckets {from_buckets} ms, and the bucket is {width} ms wide"
    );
}
