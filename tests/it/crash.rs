//! `kill -9`, again and again, under load: what was acknowledged is in InfluxDB, once, and the ledger says so all the way.
//!
//! Ten rounds here; `make soak` runs a hundred, or `ROUNDS`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::{
    ACME_KEY, Bucket, Counts, GLOBEX_KEY, Gateway, Influx, Load, Pace, Sender, Totals, Verdict, config_for, eventually,
    from_environment, numbers,
};

/// One tenant: what it sends by, where its points go, and what is known of them.
struct Tenant {
    name: &'static str,
    key: &'static str,
    bucket: Bucket,
    counts: Arc<Counts>,
    /// The most points that the ledger ever said were accepted: they were on disk then.
    accepted: u64,
}

impl Tenant {
    fn new(name: &'static str, key: &'static str, bucket: &Bucket) -> Self {
        Self { name, key, bucket: bucket.clone(), counts: Arc::default(), accepted: 0 }
    }

    /// Reads its row of the ledger, which must hold together, and with what the senders know.
    fn look(&mut self, gateway: &Gateway) -> Totals {
        let acknowledged = self.counts.acknowledged();
        let row = Totals::of(gateway, self.name);
        let sent = self.counts.sent();
        assert!(row.balances(), "{}: {row:?}", self.name);
        assert_eq!((row.lost, row.spilled, row.dead_lettered), (0, 0, 0), "{}: {row:?}", self.name);
        assert!(row.accepted >= acknowledged, "{}: {acknowledged} were acknowledged: {row:?}", self.name);
        assert!(row.accepted <= sent, "{}: {sent} were sent: {row:?}", self.name);
        assert!(row.accepted >= self.accepted, "{}: {} had been accepted: {row:?}", self.name, self.accepted);
        self.accepted = row.accepted;
        row
    }
}

/// Lets it live for a moment after its start, however far it comes; tells the load as soon as it listens.
async fn kill_at_the_start(gateway: &mut Gateway, load: &Load) {
    let end = Instant::now() + Duration::from_millis(fastrand::u64(50..=300));
    gateway.begin_again();
    while Instant::now() < end {
        load.direct(gateway.listens());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    kill(gateway, load).await;
}

async fn kill(gateway: &mut Gateway, load: &Load) {
    gateway.kill().await;
    load.direct(None);
    assert!(!gateway.log().contains("panicked"), "{}", gateway.log());
}

/// Waits until nothing is pending, and gives the tenants' rows.
async fn drained(gateway: &Gateway, tenants: &mut [Tenant], within: Duration) -> Vec<Totals> {
    let deadline = Instant::now() + within;
    loop {
        let rows: Vec<Totals> = tenants.iter_mut().map(|tenant| tenant.look(gateway)).collect();
        if rows.iter().all(|row| row.pending == 0) {
            return rows;
        }
        assert!(Instant::now() < deadline, "still pending after {within:?}: {rows:?}\n{}", gateway.readiness().1);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Waits until more is delivered than there was.
async fn delivery_goes_on(gateway: &Gateway, tenants: &mut [Tenant]) {
    let mut delivered = || tenants.iter_mut().map(|tenant| tenant.look(gateway).delivered).sum::<u64>();
    let (before, deadline) = (delivered(), Instant::now() + Duration::from_secs(30));
    while delivered() == before {
        assert!(Instant::now() < deadline, "nothing is delivered: {}", gateway.readiness().1);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Files of the log that tell of damage: a killed process leaves none.
fn damage(gateway: &Gateway) -> Vec<String> {
    let entries = std::fs::read_dir(gateway.spool().join("log")).expect("the folder of the log");
    let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| name.contains("damaged") || name.contains("set-aside")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_again_and_again_under_load_it_loses_no_acknowledged_event_and_stores_none_twice() {
    let rounds = from_environment("SOAK_ROUNDS", 10);
    let mut own = Influx::own();
    let bucket = own.bucket("crash");
    let mut tenants =
        [Tenant::new("acme", ACME_KEY, &bucket), Tenant::new("globex", GLOBEX_KEY, &own.bucket("crash-globex"))];
    let config = format!(
        "{}\n[tenants.globex]\nbucket = \"{}\"\n[tenant_defaults.limits]\npoints_per_second = 1_000_000\nburst = 1_000_000\n",
        config_for(&bucket),
        tenants[1].bucket.name()
    );
    let mut gateway = Gateway::start(&config).await;

    let pace = Pace { events: 1..=50, every_ms: 2..=10 };
    let two = |tenant: &Tenant| [0, 1].map(|place| (Sender::new(tenant.key, place, &tenant.counts), pace.clone()));
    let load = Load::start(gateway.address(), tenants.iter().flat_map(two).collect::<Vec<_>>());
    let mut away = false;
    for round in 1..=rounds {
        let before: u64 = tenants.iter().map(|tenant| tenant.counts.acknowledged()).sum();
        // Three rounds of ten without InfluxDB, so that a backlog goes through several deaths.
        match round % 10 {
            3 => own.stop().await,
            6 => own.start(),
            // Long enough that batches are delivered, and the cursor may or may not tell of them yet.
            1 | 4 | 7 | 8 => tokio::time::sleep(Duration::from_millis(fastrand::u64(1_200..=2_800))).await,
            _ => tokio::time::sleep(Duration::from_millis(fastrand::u64(50..=600))).await,
        }
        away = if round % 10 == 3 { true } else { away && round % 10 != 6 };
        load.check();
        if round % 10 == 8 {
            // However slow the machine is: one of the deaths comes upon a delivery.
            delivery_goes_on(&gateway, &mut tenants).await;
        }
        for tenant in &mut tenants {
            tenant.look(&gateway);
        }
        kill(&mut gateway, &load).await;
        let early = round % 3 == 0;
        if early {
            kill_at_the_start(&mut gateway, &load).await;
        }
        gateway.begin_again();
        eventually(Duration::from_secs(30), || async { gateway.listens().ok_or_else(|| gateway.log()) }).await;
        load.direct(gateway.listens());
        gateway.ready().await;
        let rows: Vec<Totals> = tenants.iter_mut().map(|tenant| tenant.look(&gateway)).collect();
        let (pending, delivered) = rows.iter().fold((0, 0), |sum, row| (sum.0 + row.pending, sum.1 + row.delivered));
        let acknowledged: u64 = tenants.iter().map(|tenant| tenant.counts.acknowledged()).sum();
        assert!(acknowledged > before, "round {round}: nothing was acknowledged");
        println!(
            "round {round:>3} of {rounds}: {acknowledged} acknowledged; after the start {pending} pending, {delivered} delivered{}{}",
            if early { "; killed while it started too" } else { "" },
            if away { "; InfluxDB away" } else { "" },
        );
    }
    let senders = load.stop();
    if away {
        own.start();
    }
    let rows = drained(&gateway, &mut tenants, Duration::from_secs(60 + u64::from(rounds))).await;

    for (tenant, row) in tenants.iter().zip(&rows) {
        let stored = numbers(&tenant.bucket, tenant.name).await;
        let verdict = Verdict::of(senders.iter().filter(|sender| sender.tenant() == tenant.name), &stored);
        println!("{}: {verdict:?}, {row:?}", tenant.name);
        assert_eq!(verdict.acknowledged, tenant.counts.acknowledged());
        assert_eq!(verdict.acknowledged + verdict.unacknowledged, tenant.counts.sent());
        // Every accepted event is a point of its own: what the ledger says was delivered is what is there, over all the deaths.
        assert_eq!((row.delivered, row.accepted), (stored.len() as u64, stored.len() as u64), "{}", tenant.name);
    }
    assert_eq!(damage(&gateway), [""; 0]);
    gateway.sigterm();
    assert_eq!(gateway.wait_exit(Duration::from_secs(30)).await.code(), Some(0));
}
