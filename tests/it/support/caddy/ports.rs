//! Where a Caddy listens, so that no two of a test run get into each other's way.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::sync::{LazyLock, Mutex};

/// A loopback address of this test process alone. Caddy shares its ports (SO_REUSEPORT): on one address, Caddys of two test
/// processes that picked the same port would answer for each other.
pub(super) fn own_address() -> IpAddr {
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 64 | (high & 63), middle, low.max(1)).into()
}

/// A port that nobody has there, and that no other test of this process was given.
pub fn free_port(address: IpAddr) -> u16 {
    static GIVEN: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);
    loop {
        let listener = TcpListener::bind((address, 0)).unwrap_or_else(|error| panic!("no port on {address}: {error}"));
        let port = listener.local_addr().expect("a bound listener has an address").port();
        if GIVEN.lock().expect("no holder panics").insert(port) {
            return port;
        }
    }
}
