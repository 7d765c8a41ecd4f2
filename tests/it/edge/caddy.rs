//! Caddy by `k8s/caddy/Caddyfile`, in front of a real gateway: what it lets through, what it takes away, and what it tells.

mod failures;
mod file;
mod hosts;
pub(super) mod identity;
mod limits;
mod logs;
mod routes;
mod stopping;
mod tls;

use crate::support::caddy::{CADDY_ADDRESS, PROXY_SECRET, Setup};
use crate::support::service::Service;
use crate::support::{ACME_KEY, Answer, Bucket, Caddy, Gateway, config_for, influx};
use serde_json::{Value, json};

/// The host of a tenant, as the world names it.
pub(super) const HOST: &str = "acme.app.test";

/// A gateway that trusts Caddy and stores the client's address, an app, and Caddy before both.
pub(super) struct Edge {
    pub(super) caddy: Caddy,
    pub(super) app: Service,
    pub(super) gateway: Gateway,
    pub(super) bucket: Bucket,
}

impl Edge {
    pub(super) async fn start() -> Self {
        Self::start_with(|setup| setup).await
    }

    /// With more variables for Caddy.
    pub(super) async fn start_with(more: impl FnOnce(Setup) -> Setup) -> Self {
        let bucket = influx().bucket("edge");
        let gateway = Gateway::start_with(&config_for(&bucket), &behind_caddy()).await;
        let app = Service::app();
        let setup = Caddy::for_sites(&[HOST]).gateway(&gateway).app(app.address());
        let caddy = more(setup).start().await;
        Self { caddy, app, gateway, bucket }
    }

    /// An event of this session, with acme's key.
    pub(super) fn post(&self, session: &str, headers: &[(&str, &str)]) -> Answer {
        let body = event(session).to_string();
        self.caddy.request(HOST, "POST", &keyed(), headers, body.as_bytes())
    }
}

/// What a gateway is told of the Caddy before it.
pub(super) fn behind_caddy() -> [(&'static str, &'static str); 3] {
    [
        ("TAGLINE__SERVER__TRUSTED_PROXIES", CADDY_ADDRESS),
        ("TAGLINE__SERVER__PROXY_SECRET", PROXY_SECRET),
        ("TAGLINE__ENRICH__CLIENT_ADDRESS", "full"),
    ]
}

/// Telemetry's target with acme's key.
pub(super) fn keyed() -> String {
    format!("/v1/telemetry/{ACME_KEY}")
}

/// An event that is as good as any, and can be told by its session.
pub(super) fn event(session: &str) -> Value {
    json!({"sessionId": session, "viewName": "v", "actionName": "a", "metrics": {"element_count": 1}})
}
