//! The client's address, as much of it as the settings want stored.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::config::ClientAddress;

/// The text of the field `client_address`; none: nothing is stored.
pub(super) fn stored(address: Option<IpAddr>, how: ClientAddress) -> Option<String> {
    // A socket that listens on both families shows an IPv4 peer as ::ffff:a.b.c.d.
    let address = address?.to_canonical();
    match how {
        ClientAddress::Off => None,
        ClientAddress::Full => Some(address.to_string()),
        ClientAddress::Network => {
            let bits = if address.is_ipv4() { 24 } else { 48 };
            IpNet::new(address, bits).ok().map(|network| network.trunc().to_string())
        }
    }
}
