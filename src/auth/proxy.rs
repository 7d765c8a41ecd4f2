//! Trusted proxies: whose `X-Tenant-ID` is a proof.

use std::fmt;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};
use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;

use crate::config::Server;

use super::write_key::fingerprint;
use super::{AuthError, Code, Presented};

/// The proxies whose header is believed.
pub(super) struct TrustedProxies {
    nets: Vec<IpNet>,
    /// SHA-256 of the shared secret: digests have one length, so that comparing them tells nothing of the secret's.
    secret: Option<[u8; 32]>,
}

/// What the sender of an `X-Tenant-ID` is to us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sender {
    /// A listed address with the secret: its header is a proof.
    Trusted,
    /// A listed address without a secret.
    Unproven,
    /// Anyone else; with or without a secret, which is not looked at, so that nobody can try secrets from outside.
    Stranger {
        /// Whether it sent a secret.
        showed_secret: bool,
    },
}

impl TrustedProxies {
    pub(super) fn new(server: &Server) -> Self {
        let secret = server.proxy_secret.as_ref().map(|s| s.expose_secret()).filter(|s| !s.is_empty());
        Self { nets: server.trusted_proxies.iter().map(canonical).collect(), secret: secret.map(fingerprint) }
    }

    /// Who sent the `X-Tenant-ID` of this request.
    pub(super) fn sender(&self, presented: &Presented<'_>) -> Result<Sender, AuthError> {
        let listed = presented.peer.is_some_and(|peer| self.lists(peer));
        let Some(secret) = self.secret.filter(|_| listed) else {
            return Ok(Sender::Stranger { showed_secret: !presented.proxy_secret.is_empty() });
        };
        match presented.proxy_secret.as_slice() {
            [] => Ok(Sender::Unproven),
            [shown] if bool::from(fingerprint(shown).ct_eq(&secret)) => Ok(Sender::Trusted),
            [_] => {
                Err(Code::ProxySecret.because("X-Proxy-Secret is not server.proxy_secret: compare the two settings"))
            }
            _ => Err(Code::HeaderDuplicated
                .because("X-Proxy-Secret came more than once: let the proxy replace the header, not add to it")),
        }
    }

    fn lists(&self, peer: IpAddr) -> bool {
        // A socket that listens on both families shows an IPv4 peer as ::ffff:a.b.c.d.
        let peer = peer.to_canonical();
        self.nets.iter().any(|net| net.contains(&peer))
    }
}

/// The same net in IPv4 where it was written as IPv4-mapped IPv6.
fn canonical(net: &IpNet) -> IpNet {
    if let IpNet::V6(v6) = net
        && let (Some(v4), Some(len)) = (v6.addr().to_ipv4_mapped(), v6.prefix_len().checked_sub(96))
        && let Ok(mapped) = Ipv4Net::new(v4, len)
    {
        return IpNet::V4(mapped);
    }
    *net
}

impl fmt::Debug for TrustedProxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustedProxies")
            .field("nets", &self.nets)
            .field("secret", &self.secret.map(|_| "[redacted]"))
            .finish()
    }
}
