//! Who makes many more series than before.

use super::{Checked, DAY, HOUR, MINUTE};
use std::fmt::Write as _;
use tagline::answers::Literal;

impl Checked {
    /// A tenant writes to so many series at a time.
    async fn series(&self, tenant: &str, at: i64, series: std::ops::Range<u32>) {
        let mut lines = String::new();
        for number in series {
            let _ = writeln!(lines, "frontend_performance,tenant_id={tenant},session_id=s{number} duration_ms=1i {at}");
        }
        self.write(lines).await;
    }
}

#[tokio::test]
async fn a_tenant_with_many_more_series_than_yesterday_and_last_week_is_told_of() {
    let checked = Checked::new();
    let now = checked.now;
    let inputs = [("least", Literal::int(20)), ("factor", Literal::float(2.0))];
    for (tenant, last_week, yesterday, today) in
        [("steady", 30, 30, 30), ("grown", 30, 30, 60), ("monday", 60, 10, 60), ("few", 5, 5, 24), ("new", 0, 0, 100)]
    {
        // The same sessions come again: they are no new series, but they are in use.
        checked.series(tenant, now - 7 * DAY - HOUR, 0..last_week).await;
        checked.series(tenant, now - DAY - HOUR, 0..yesterday).await;
        checked.series(tenant, now - HOUR, 0..today).await;
    }
    let told = checked.at(now, "series-growth", &inputs).await.unwrap();
    assert_eq!(told, ["warn: grown made 60 series in 24 hours: yesterday 30, a week ago 30"]);
    assert_eq!(checked.at(now + MINUTE, "series-growth", &inputs).await.unwrap(), [""; 0]);
    assert_eq!(checked.listener.told(), ["grown warning"]);

    // A day later this is what yesterday was like.
    checked.series("grown", now + 5 * HOUR, 0..70).await;
    let told = checked.at(now + DAY - 2 * HOUR, "series-growth", &inputs).await.unwrap();
    assert_eq!(told, [""; 0], "still twice as many as a day before");
    let told = checked.at(now + DAY + HOUR, "series-growth", &inputs).await.unwrap();
    assert_eq!(told, ["ok: grown made 70 series in 24 hours again: yesterday 60, a week ago 0"]);
}

#[tokio::test]
async fn in_an_empty_bucket_nothing_grows() {
    let checked = Checked::new();
    assert_eq!(checked.at(checked.now, "series-growth", &[]).await.unwrap(), [""; 0]);
}
