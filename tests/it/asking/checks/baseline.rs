//! Who is slower than usual at this hour of the week.

use super::{Checked, DAY, HOUR, MINUTE};
use crate::support::week::HOUR_MS;
use crate::support::{Bucket, flux_string, week_with_rollups};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;
use tagline::answers::{Literal, library};

const PAY: (&str, &str) = ("CheckoutView", "pay");
const LOAD: (&str, &str) = ("DashboardView", "load");

/// Hours of tenants, as the rollup of hours writes them.
struct Hours {
    checked: Checked,
    rollup_bucket: Bucket,
}

impl Hours {
    fn new() -> Self {
        let checked = Checked::new();
        let rollup_bucket = checked.bucket.beside("rollup");
        rollup_bucket.create(Duration::ZERO);
        Self { checked, rollup_bucket }
    }

    /// The hour that ended so many hours before now, so many weeks ago: an action took half of `p99` mostly, and `p99` at the slow end.
    async fn was(&self, tenant: &str, ago: i64, week: i64, (view, action): (&str, &str), events: u32, p99: f64) {
        let mut buckets: BTreeMap<u32, u32> = BTreeMap::new();
        let bucket = |ms: f64| (20.0 * ms.log2()).ceil() as u32;
        let slow = events / 20;
        *buckets.entry(bucket(p99 / 2.0)).or_default() += events - slow;
        *buckets.entry(bucket(p99)).or_default() += slow;
        let mut fields = format!("count={events},p99={p99}");
        buckets.iter().for_each(|(number, count)| {
            let _ = write!(fields, ",b{number:04}={count}");
        });
        let at = self.checked.now - (ago + 1) * HOUR - week * 7 * DAY;
        let tags = format!("tenant_id={tenant},view_name={view},action_name={action}");
        let answer = self.rollup_bucket.write(format!("frontend_performance_1h,{tags} {fields} {at}")).await;
        assert_eq!(answer.status, 204, "{}", answer.text());
    }

    /// The same in this hour of the past four weeks.
    async fn usually(&self, tenant: &str, ago: i64, action: (&str, &str), events: u32, p99: f64) {
        for week in 1..=4 {
            self.was(tenant, ago, week, action, events, p99).await;
        }
    }

    /// Runs the check after the hour that ended so many hours before now.
    async fn check(&self, ago: i64) -> Vec<String> {
        let inputs = [("rollup_bucket", Literal::text(self.rollup_bucket.name()))];
        self.checked.at(self.checked.now - ago * HOUR + 12 * MINUTE, "baseline", &inputs).await.unwrap()
    }
}

#[tokio::test]
async fn a_tenant_that_got_slower_is_told_of_alone_and_once_until_it_is_well() {
    let hours = Hours::new();
    for ago in 0..4 {
        for tenant in ["acme", "globex"] {
            hours.usually(tenant, ago, PAY, 500, 300.0).await;
            hours.usually(tenant, ago, LOAD, 1500, 200.0).await;
            hours.was(tenant, ago, 0, LOAD, 1500, 202.0).await;
        }
        hours.was("globex", ago, 0, PAY, 500, 310.0).await;
        // The hours -3 and -2 are slow.
        hours.was("acme", ago, 0, PAY, 500, if ago >= 2 { 1000.0 } else { 300.0 }).await;
    }
    let told = hours.check(3).await;
    // The middles of the buckets in which 1000 and 300 are.
    assert_eq!(told, ["crit: acme is slower than usual: P99 1006 ms, usually 299 ms at this hour"]);
    let alert = &hours.checked.listener.got()[0][0];
    let why = alert["annotations"]["description"].as_str().unwrap();
    assert!(why.starts_with("2000 events in the hour from "), "{why}");
    assert!(why.ends_with("CheckoutView/pay moved most: P99 1000 ms, usually 300 ms, 500 events."), "{why}");

    assert_eq!(hours.check(3).await, [""; 0], "the same hour again");
    assert_eq!(hours.check(2).await, [""; 0], "it is as slow as it was");
    let told = hours.check(1).await;
    assert_eq!(told, ["ok: acme is as fast as usual: P99 299 ms, usually 299 ms"]);
    assert_eq!(hours.check(0).await, [""; 0]);
    assert_eq!(hours.checked.listener.told(), ["acme critical", "acme critical over"]);
    assert_eq!(hours.checked.levels().await.len(), 2);
}

#[tokio::test]
async fn it_takes_the_factor_the_floor_and_enough_events() {
    let hours = Hours::new();
    for (tenant, events, usual, now) in [
        ("slower", 1000, 400.0, 640.0),
        ("below-the-factor", 1000, 400.0, 580.0),
        ("below-the-floor", 1000, 50.0, 140.0),
        ("too-few", 190, 400.0, 2000.0),
    ] {
        hours.usually(tenant, 0, LOAD, 1000, usual).await;
        hours.was(tenant, 0, 0, LOAD, events, now).await;
    }
    // Nothing to compare with: new, or of weeks with too few events.
    hours.was("new", 0, 0, LOAD, 1000, 2000.0).await;
    hours.usually("was-small", 0, LOAD, 190, 400.0).await;
    hours.was("was-small", 0, 0, LOAD, 1000, 2000.0).await;
    // One bad week of four does not make it usual, nor one of few events.
    hours.usually("once-bad", 0, LOAD, 1000, 400.0).await;
    hours.was("once-bad", 0, 2, LOAD, 1000, 4000.0).await;
    hours.was("once-bad", 0, 3, LOAD, 10, 1.0).await;
    hours.was("once-bad", 0, 0, LOAD, 1000, 640.0).await;
    let told = hours.check(0).await;
    let who: Vec<&str> = told.iter().filter_map(|line| line.split(' ').nth(1)).collect();
    assert_eq!(who, ["once-bad", "slower"], "{told:?}");
    assert!(told.iter().all(|line| line.starts_with("warn: ")), "{told:?}");
}

#[tokio::test]
async fn what_is_raised_stays_until_it_is_clearly_better() {
    let hours = Hours::new();
    for (ago, now) in [(5, 560.0), (4, 640.0), (3, 560.0), (2, 500.0), (1, 560.0)] {
        hours.usually("acme", ago, LOAD, 1000, 400.0).await;
        hours.was("acme", ago, 0, LOAD, 1000, now).await;
    }
    let mut told = Vec::new();
    for ago in [5, 4, 3, 2, 1] {
        let levels = hours.check(ago).await.into_iter().map(|line| line[..4].to_owned());
        told.push(levels.collect::<Vec<_>>().join(","));
    }
    // 1.4 times is no reason to raise it, and none to clear it.
    assert_eq!(told, ["", "warn", "", "ok: ", ""]);
}

#[tokio::test]
async fn what_gets_worse_ends_the_alert_that_it_was() {
    let hours = Hours::new();
    for (ago, now) in [(3, 700.0), (2, 2000.0), (1, 1150.0), (0, 700.0)] {
        hours.usually("acme", ago, LOAD, 1000, 400.0).await;
        hours.was("acme", ago, 0, LOAD, 1000, now).await;
    }
    for ago in [3, 2, 1, 0] {
        hours.check(ago).await;
    }
    let told = hours.checked.listener.told();
    // 2.9 times is still critical where it was: a tenth below twice the factor.
    assert_eq!(told, ["acme warning", "acme warning over, acme critical", "acme critical over, acme warning"]);
}

#[tokio::test]
async fn a_tenant_that_is_gone_is_not_slow_any_more() {
    let hours = Hours::new();
    hours.usually("acme", 1, LOAD, 1000, 400.0).await;
    hours.was("acme", 1, 0, LOAD, 1000, 2000.0).await;
    assert_eq!(hours.check(1).await.len(), 1);
    assert_eq!(hours.check(0).await, ["ok: acme had no events in the last hour"]);
}

#[tokio::test]
async fn of_the_week_it_is_acme_that_got_slower_and_it_is_paying() {
    let week = week_with_rollups();
    let rollup_bucket = week.rollup_bucket.name();
    // An hour of the smallest tenant has 150 events.
    let inputs = [("rollup_bucket", Literal::text(rollup_bucket)), ("min_events", Literal::int(100))];
    let script = library::task("baseline").unwrap().bind(&inputs).unwrap();
    let option = script.lines().find(|line| line.starts_with("option task")).unwrap();
    let script = script.replace(option, &format!("option now = () => time(v: {}000000)", week.end_ms));

    let told = week.bucket.query(&script).await;
    let [one] = &told[..] else { panic!("one change, not {told:?}") };
    let p99 = one.text("summary").strip_prefix("acme is slower than usual: P99 ").expect("acme's");
    let p99: f64 = p99.split(' ').next().unwrap().parse().unwrap();
    let stop = week.end_ms - week.end_ms % HOUR_MS;
    let hour = stop - HOUR_MS..stop;
    let exact = week.exact_quantile(0.99, |event| event.tenant == "acme" && hour.contains(&event.time_ms));
    assert!((p99 / exact - 1.0).abs() < 0.02, "{p99}, and exactly {exact}");

    assert_eq!(week.bucket.query(&script).await, [], "it is told already");
    let flux = format!(
        "import \"influxdata/influxdb/monitor\"
         monitor.from(start: -1d, stop: 1d, fn: (r) => r._check_name == {}) |> group()",
        flux_string(&format!("TenantSlowerThanUsual {rollup_bucket}"))
    );
    let statuses = week.bucket.query(&flux).await;
    let [status] = &statuses[..] else { panic!("one status, not {statuses:?}") };
    assert!(status.text("description").contains("CheckoutView/pay moved most: "), "{status:?}");
}
