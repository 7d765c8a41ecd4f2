//! Who is expected, and is silent.

use super::{Checked, DAY, HOUR, MINUTE, expected};

#[tokio::test]
async fn a_tenant_that_stopped_and_one_that_never_came_are_missed_and_come_back() {
    let checked = Checked::new();
    let now = checked.now;
    checked.event("lively", now - MINUTE).await;
    checked.event("quiet", now - 40 * MINUTE).await;
    // A tenant that nobody expects is nobody's trouble.
    checked.event("stranger", now - 10 * HOUR).await;
    let tenants = expected(&[("lively", 15), ("quiet", 15), ("absent", 15), ("patient", 3000)]);
    checked.event("patient", now - DAY - HOUR).await;

    let told = checked.at(now, "deadman", &tenants).await.unwrap();
    let second = |at: i64| {
        humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + std::time::Duration::from_nanos(at.unsigned_abs()))
    };
    // Two days and two hours, the longest that anybody is awaited.
    let absent = format!("crit: absent sent nothing since {}", second(now - 3000 * MINUTE));
    let quiet = format!("crit: quiet is silent since {}", second(now - 40 * MINUTE));
    assert_eq!(told, [absent, quiet]);

    checked.event("quiet", now + MINUTE).await;
    checked.write(format!("web_vitals_lcp,tenant_id=absent,path=/ value=3 {}", now + MINUTE)).await;
    let told = checked.at(now + 2 * MINUTE, "deadman", &tenants).await.unwrap();
    assert_eq!(told, ["ok: Events of absent come again", "ok: Events of quiet come again"]);
}

#[tokio::test]
async fn any_measurement_is_a_sign_of_life_but_not_what_the_gateway_says_of_a_tenant() {
    let checked = Checked::new();
    let now = checked.now;
    let at = now - MINUTE;
    checked
        .write(format!(
            "backend_api_latency,tenant_id=backend,endpoint=/e,http_method=GET latency_ms=5i,trace_id=\"t\" {at}"
        ))
        .await;
    checked.write(format!("gateway_outcomes,tenant_id=refused,outcome=rejected_limit,replica=r points=5i {at}")).await;
    checked.write(format!("gateway_metrics,tenant_id=refused,replica=r ingest_bytes_total=5 {at}")).await;
    let told = checked.at(now, "deadman", &expected(&[("backend", 15), ("refused", 15)])).await.unwrap();
    assert!(matches!(&told[..], [one] if one.starts_with("crit: refused sent nothing")), "{told:?}");
}

#[tokio::test]
async fn a_tenant_that_is_not_expected_any_more_is_over() {
    let checked = Checked::new();
    checked.at(checked.now, "deadman", &expected(&[("gone", 15), ("other", 15)])).await.unwrap();
    let told = checked.at(checked.now + MINUTE, "deadman", &expected(&[("other", 15)])).await.unwrap();
    assert_eq!(told, ["ok: gone is not expected any more"]);
    assert_eq!(checked.listener.told(), ["gone critical", "other critical", "gone critical over"]);
}

#[tokio::test]
async fn the_deadmen_of_two_buckets_leave_each_others_tenants_alone() {
    let checked = Checked::new();
    let own = checked.bucket.beside("own");
    own.create(std::time::Duration::ZERO);
    let mut there = expected(&[("globex", 15)]);
    there.push(("bucket", tagline::answers::Literal::text("own")));
    checked.at(checked.now, "deadman", &expected(&[("acme", 15)])).await.unwrap();
    checked.at(checked.now, "deadman", &there).await.unwrap();
    assert_eq!(checked.at(checked.now + MINUTE, "deadman", &expected(&[("acme", 15)])).await.unwrap(), [""; 0]);
    assert_eq!(checked.listener.told(), ["acme critical", "globex critical"]);
}
