use crate::support::week::week;
#[tokio::test]
#[ignore]
async fn stay() {
    let week = week();
    let settings = format!(
        "url={}\ntoken={}\nbucket={}\nrollup={}\nend={}\n",
        week.bucket.url(),
        week.bucket.token(),
        week.bucket.name(),
        week.rollup_bucket.name(),
        week.end_ms
    );
    std::fs::write("/tmp/qx/week", settings).unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(3600)).await;
}
