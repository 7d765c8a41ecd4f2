//! The edge companion: `telegraf/` and `k8s/`, each file run by the program that it is written for.

mod alerting;
mod caddy;
mod cluster;
mod deploying;
mod forward_auth;
mod manifests;
mod rollout;
mod scaling;
mod telegraf;
mod whole;
