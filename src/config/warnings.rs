//! What is no mistake, and yet worth a second look: told by `check`, and at the start.

use ipnet::IpNet;

use super::{Settings, TenantSettings};

impl Settings {
    /// One sentence each; none holds a secret.
    pub fn warnings(&self) -> Vec<String> {
        let server = &self.server;
        let mut warnings = Vec::new();
        if !server.admin_listen.ip().is_loopback() && server.admin_token.is_none() {
            warnings.push(format!(
                "server.admin_listen {} is reachable from outside and asks for no token: whoever reaches it reads every tenant's ledger and rejections; set `server.admin_token_file`, or keep it inside with a NetworkPolicy",
                server.admin_listen
            ));
        }
        if server.core_dumps {
            warnings.push("server.core_dumps is on: a crash may write every secret of the gateway to a file; turn it off when the debugging is done".to_owned());
        }
        for network in server.trusted_proxies.iter().filter(|network| is_wide(network)) {
            warnings.push(format!(
                "server.trusted_proxies {network} is a network in which others live too: with the secret each of them speaks for every tenant, and their connections are not counted by address; list the proxies' own addresses"
            ));
        }
        let proves = |tenant: &TenantSettings| !tenant.keys.is_empty() || !tenant.upload_secrets.is_empty();
        if self.issuers.is_empty() && server.trusted_proxies.is_empty() && !self.tenants.values().any(proves) {
            warnings.push("no issuer, write key, upload secret or trusted proxy is configured: every request gets 401; docs/identity.md says which fits".to_owned());
        }
        warnings
    }
}

/// Whether a network is more than the proxies' own: /24 is what a pool of nodes of its own has, and /64 the smallest that IPv6 knows.
fn is_wide(network: &IpNet) -> bool {
    network.prefix_len() < if network.addr().is_ipv4() { 24 } else { 64 }
}
