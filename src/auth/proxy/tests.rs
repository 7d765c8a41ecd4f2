//! Whose address a client's is.

use std::net::IpAddr;

use ipnet::IpNet;
use proptest::prelude::*;

use super::{MOST_HOPS, TrustedProxies, canonical, fingerprint};
use crate::auth::Presented;

const SECRET: &str = "a-proxy-secret-of-tests";
const NEXT_SECRET: &str = "the-one-after-a-rotation";

/// Proxies at 10.0.0.0/8 and fd00::/8.
fn proxies() -> TrustedProxies {
    let nets: [IpNet; 2] = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
    let secrets = [SECRET, NEXT_SECRET].map(|secret| fingerprint(secret.as_bytes()));
    TrustedProxies { nets: nets.iter().map(canonical).collect(), secrets: secrets.into() }
}

fn client_of(peer: &str, secret: &[&str], forwarded_for: &[&str]) -> Option<String> {
    let presented = Presented {
        peer: Some(peer.parse().unwrap()),
        proxy_secret: secret.iter().map(|text| text.as_bytes()).collect(),
        forwarded_for: forwarded_for.iter().map(|text| text.as_bytes()).collect(),
        ..Presented::default()
    };
    proxies().client(&presented).map(|address| address.to_string())
}

#[test]
fn a_peer_that_is_no_listed_proxy_is_the_client_whatever_it_forwards() {
    for secret in [&[][..], &[SECRET], &["wrong"]] {
        assert_eq!(client_of("203.0.113.9", secret, &["198.51.100.1"]).as_deref(), Some("203.0.113.9"));
    }
    assert_eq!(client_of("::ffff:203.0.113.9", &[], &[]).as_deref(), Some("203.0.113.9"), "one spelling of it");
}

#[test]
fn during_a_rotation_both_secrets_count() {
    for secret in [SECRET, NEXT_SECRET] {
        assert_eq!(client_of("10.0.0.1", &[secret], &["198.51.100.1"]).as_deref(), Some("198.51.100.1"));
    }
}

#[test]
fn a_listed_proxy_without_the_secret_tells_nothing() {
    for secret in [&[][..], &["wrong"], &[SECRET, SECRET], &[SECRET, NEXT_SECRET], &[""]] {
        assert_eq!(client_of("10.0.0.1", secret, &["198.51.100.1"]), None, "{secret:?}");
    }
}

#[test]
fn the_client_is_the_first_from_the_right_that_is_no_proxy() {
    for (forwarded_for, client) in [
        (&["198.51.100.1"][..], Some("198.51.100.1")),
        (&["1.1.1.1, 198.51.100.1"], Some("198.51.100.1")),
        (&["1.1.1.1,198.51.100.1,10.9.9.9 , fd00::7"], Some("198.51.100.1")),
        (&["1.1.1.1", "198.51.100.1", "10.9.9.9"], Some("198.51.100.1")),
        (&["not an address, 198.51.100.1"], Some("198.51.100.1")),
        (&["2001:db8::1"], Some("2001:db8::1")),
        (&["::ffff:198.51.100.1"], Some("198.51.100.1")),
        (&["198.51.100.1:443"], Some("198.51.100.1")),
        (&["[2001:db8::1]:443"], Some("2001:db8::1")),
        (&["[2001:db8::1]"], Some("2001:db8::1")),
        (&["1.1.1.1, ::ffff:10.0.0.3"], Some("1.1.1.1")),
        // Nothing that could be believed stands there.
        (&[], None),
        (&[""], None),
        (&["10.0.0.3"], None),
        (&["1.1.1.1, unknown"], None),
        (&["1.1.1.1,, 10.0.0.3"], None),
        (&["1.1.1.1", ""], None),
        (&["1.1.1.1, _hidden, 10.0.0.3"], None),
        (&["1.1.1.1, for=2.2.2.2"], None),
        (&["1.1.1.1, 198.51.100.256"], None),
        (&["1.1.1.1, 010.1.1.1"], None),
        (&["1.1.1.1, fe80::1%eth0"], None),
        (&["1.1.1.1, [198.51.100.1]"], None),
        (&["1.1.1.1, 198.51.100.1:99999"], None),
    ] {
        assert_eq!(client_of("10.0.0.1", &[SECRET], forwarded_for).as_deref(), client, "{forwarded_for:?}");
    }
}

#[test]
fn a_row_of_proxies_is_followed_up_to_its_bound() {
    let row =
        |proxies: usize| ["1.1.1.1"].into_iter().chain(std::iter::repeat_n("10.0.0.3", proxies)).collect::<Vec<_>>();
    assert_eq!(client_of("10.0.0.1", &[SECRET], &row(MOST_HOPS - 1)).as_deref(), Some("1.1.1.1"));
    assert_eq!(client_of("10.0.0.1", &[SECRET], &[&row(MOST_HOPS).join(",")]), None);
}

mod property {
    use super::*;

    proptest! {
        #![proptest_config(crate::property::config(500))]

        /// What a client writes itself stands left of what the proxy adds, and changes nothing.
        #[test]
        fn nothing_that_a_client_sends_changes_its_address(
            forged in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..6),
            client in any::<[u8; 4]>(),
        ) {
            let client = IpAddr::from(client);
            prop_assume!(!proxies().lists(client));
            let told = client.to_string();
            let mut lines: Vec<&[u8]> = forged.iter().map(Vec::as_slice).collect();
            lines.push(told.as_bytes());
            let presented = Presented {
                peer: Some("10.0.0.1".parse().unwrap()),
                proxy_secret: vec![SECRET.as_bytes()],
                forwarded_for: lines,
                ..Presented::default()
            };
            prop_assert_eq!(proxies().client(&presented), Some(client));
        }
    }
}
