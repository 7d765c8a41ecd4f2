//! Trusted proxies: whose `X-Tenant-ID` is a proof, and whose `X-Forwarded-For` tells the client's address.

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use ipnet::{IpNet, Ipv4Net};
use secrecy::ExposeSecret;
use subtle::{Choice, ConstantTimeEq};

use crate::config::Server;

use super::fingerprint::fingerprint;
use super::{AuthError, Code, Presented};

/// How many entries of `X-Forwarded-For` are looked at, from the right: more proxies than these stand in no row.
const MOST_HOPS: usize = 32;

/// The proxies whose header is believed.
pub(super) struct TrustedProxies {
    nets: Vec<IpNet>,
    /// SHA-256 of the shared secret, or of those that count during a rotation: digests have one length, so that comparing them tells
    /// nothing of the secrets'.
    secrets: Vec<[u8; 32]>,
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
        let secrets = server.proxy_secrets.iter().map(|secret| secret.expose_secret());
        Self {
            nets: server.trusted_proxies.iter().map(canonical).collect(),
            secrets: secrets.filter(|s| !s.is_empty()).map(fingerprint).collect(),
        }
    }

    /// Who sent the `X-Tenant-ID` of this request.
    pub(super) fn sender(&self, presented: &Presented<'_>) -> Result<Sender, AuthError> {
        let listed = presented.peer.is_some_and(|peer| self.lists(peer));
        if !listed || self.secrets.is_empty() {
            return Ok(Sender::Stranger { showed_secret: !presented.proxy_secret.is_empty() });
        }
        match presented.proxy_secret.as_slice() {
            [] => Ok(Sender::Unproven),
            [shown] if self.knows(shown) => Ok(Sender::Trusted),
            [_] => {
                Err(Code::ProxySecret.because("X-Proxy-Secret is not server.proxy_secret: compare the two settings"))
            }
            _ => Err(Code::HeaderDuplicated
                .because("X-Proxy-Secret came more than once: let the proxy replace the header, not add to it")),
        }
    }

    /// The address of the client, as far as anybody trustworthy tells it.
    ///
    /// A peer that is no listed proxy is the client. A listed one that shows the secret tells in `X-Forwarded-For` who came to it,
    /// and the proxies before it likewise: so the entries are read from the right, where the last proxy wrote, past all that are listed;
    /// the first other one is the client. What stands left of it anybody can write. `None`: a listed proxy that shows no secret, or an
    /// entry on the way that is no address; the proxy's own address would be wrong for everybody behind it.
    pub(super) fn client(&self, presented: &Presented<'_>) -> Option<IpAddr> {
        let peer = presented.peer?.to_canonical();
        if !self.lists(peer) {
            return Some(peer);
        }
        if self.sender(presented) != Ok(Sender::Trusted) {
            return None;
        }
        let entries = presented.forwarded_for.iter().rev().flat_map(|line| line.rsplit(|byte| *byte == b','));
        entries.take(MOST_HOPS).map_while(address).find(|address| !self.lists(*address))
    }

    /// Whether this is one of the secrets; found in the same time whichever it is.
    fn knows(&self, shown: &[u8]) -> bool {
        let shown = fingerprint(shown);
        self.secrets.iter().fold(Choice::from(0), |known, secret| known | shown.ct_eq(secret)).into()
    }

    /// Whether this is a listed proxy's address.
    pub(super) fn lists(&self, peer: IpAddr) -> bool {
        // A socket that listens on both families shows an IPv4 peer as ::ffff:a.b.c.d.
        let peer = peer.to_canonical();
        self.nets.iter().any(|net| net.contains(&peer))
    }
}

/// One entry of `X-Forwarded-For`: an address; some proxies (Azure's Application Gateway) write a port behind it.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry.trim_ascii()).ok()?;
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    let with_port = || text.parse().ok().map(|socket: SocketAddr| socket.ip());
    let address = text.parse().ok().or_else(with_port).or_else(bracketed)?;
    Some(address.to_canonical())
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
            .field("secrets", &vec!["[redacted]"; self.secrets.len()])
            .finish()
    }
}
