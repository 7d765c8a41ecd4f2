//! Caddy by `k8s/caddy/Caddyfile`, in front of a real gateway: what it lets through, what it takes away, and what it tells.

use crate::support::caddy::{CADDY_ADDRESS, PROXY_SECRET};
use crate::support::{ACME_KEY, Caddy, Gateway, config_for, event, influx, now_ms};

#[tokio::test]
async fn telemetry_reaches_the_gateway_over_tls_on_the_tenants_own_origin() {
    let bucket = influx().bucket("edge");
    let trusting =
        [("TAGLINE__SERVER__TRUSTED_PROXIES", CADDY_ADDRESS), ("TAGLINE__SERVER__PROXY_SECRET", PROXY_SECRET)];
    let gateway = Gateway::start_with(&config_for(&bucket), &trusting).await;
    let caddy = Caddy::for_sites(&["acme.app.test"]).gateway(&gateway).start().await;
    let answer = caddy.request(
        "acme.app.test",
        "POST",
        &format!("/v1/telemetry/{ACME_KEY}"),
        &[],
        event(now_ms(), 1).to_string().as_bytes(),
    );
    assert_eq!(answer.status, 202, "{}", answer.text());
    gateway.delivered("acme", 1).await;
}
