//! Failed proofs and connections by address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use governor::clock::FakeRelativeClock;
use proptest::prelude::*;

use crate::admit::{AddressLimit, Admission, Connections, Denied, Exceeded, Limit};
use crate::config::{self, AddressLimits};

fn limit(
    per_second: u32,
    burst: u32,
    tracked: usize,
) -> (AddressLimit<FakeRelativeClock>, Admission, FakeRelativeClock) {
    let clock = FakeRelativeClock::default();
    let admission = Admission::new(1);
    let limits = AddressLimits { failures_per_second: per_second, burst, tracked, dry_run: false };
    (AddressLimit::with_clock(&limits, &admission, &clock), admission, clock)
}

fn v4(n: u32) -> IpAddr {
    Ipv4Addr::from_bits(n).into()
}

fn v6(text: &str) -> IpAddr {
    text.parse::<Ipv6Addr>().unwrap().into()
}

/// How many failures pass at once.
fn fail_until_refused(limit: &AddressLimit<FakeRelativeClock>, address: IpAddr) -> (usize, Option<Exceeded>) {
    for failures in 0..10_000 {
        if let Err(exceeded) = limit.may_cost(address) {
            return (failures, Some(exceeded));
        }
        limit.failed(address);
    }
    (10_000, None)
}

#[test]
fn an_address_that_fails_too_often_waits_as_long_as_it_is_told_and_no_other_does() {
    let (limit, admission, clock) = limit(10, 50, 1_000);
    let (failures, refused) = fail_until_refused(&limit, v4(1));
    let exceeded = Exceeded { limit: Limit::Address, retry_after: Duration::from_millis(100) };
    assert_eq!((failures, refused), (50, Some(exceeded)));
    assert_eq!(limit.may_cost(v4(2)), Ok(()));
    assert_eq!(admission.exceedances().of(Limit::Address, true), 1);
    clock.advance(exceeded.retry_after - Duration::from_nanos(1));
    assert!(limit.may_cost(v4(1)).is_err(), "a nanosecond early");
    clock.advance(Duration::from_nanos(1));
    assert_eq!(limit.may_cost(v4(1)), Ok(()));
    limit.failed(v4(1));
    assert!(limit.may_cost(v4(1)).is_err(), "one a tenth of a second, and no more");
}

#[test]
fn an_address_in_ipv6_is_a_network_of_64_bits_and_a_mapped_one_is_ipv4() {
    let (limit, _, _) = limit(1, 5, 1_000);
    fail_until_refused(&limit, v6("2001:db8:0:1::1"));
    assert!(limit.may_cost(v6("2001:db8:0:1:ffff:ffff:ffff:ffff")).is_err());
    assert_eq!(limit.may_cost(v6("2001:db8:0:2::1")), Ok(()));
    fail_until_refused(&limit, v4(0x0102_0304));
    assert!(limit.may_cost(v6("::ffff:1.2.3.4")).is_err());
    assert_eq!(limit.remembered(), 2);
}

#[test]
fn a_flood_of_addresses_is_bounded_does_not_free_who_owes_and_is_forgotten_when_it_is_over() {
    let (limit, _, clock) = limit(1, 50, 100);
    let (_, refused) = fail_until_refused(&limit, v4(7));
    assert!(refused.is_some());
    for n in 0..100_000 {
        limit.failed(v4(1_000 + n));
        assert!(limit.remembered() <= 100);
    }
    assert!(limit.may_cost(v4(7)).is_err(), "pushed out by addresses that owe less");
    clock.advance(Duration::from_secs(50));
    limit.sweep();
    assert_eq!(limit.remembered(), 0);
}

#[test]
fn a_dry_run_counts_and_lets_through() {
    let clock = FakeRelativeClock::default();
    let admission = Admission::new(1);
    let limits = AddressLimits { failures_per_second: 1, burst: 5, tracked: 100, dry_run: true };
    let limit = AddressLimit::with_clock(&limits, &admission, &clock);
    assert_eq!(fail_until_refused(&limit, v4(1)), (10_000, None));
    let of = |enforced| admission.exceedances().of(Limit::Address, enforced);
    assert_eq!((of(true), of(false)), (0, 9_995));
    // And in earnest from now on: no debt has grown meanwhile.
    limit.change(&AddressLimits { dry_run: false, ..limits });
    assert_eq!(limit.may_cost(v4(1)).unwrap_err().retry_after, Duration::from_secs(1));
}

proptest! {
    #![proptest_config(crate::property::config(300))]

    /// Whatever failed from wherever and whatever the operator changed: the map is within its bound, and the wait is true.
    #[test]
    fn the_map_is_bounded_and_the_wait_is_true(
        tracked in 16..2_000usize,
        rates in proptest::collection::vec((1..50u32, 1..50u32), 1..4),
        steps in proptest::collection::vec((0..300u32, 0..400u64), 1..400),
    ) {
        let (limit, _, clock) = limit(rates[0].0, rates[0].1, tracked);
        let each = steps.len().div_ceil(rates.len());
        for (at, (address, pause)) in steps.into_iter().enumerate() {
            if at % each == 0 {
                let (failures_per_second, burst) = rates[at / each];
                limit.change(&AddressLimits { failures_per_second, burst, tracked, dry_run: false });
            }
            if limit.may_cost(v4(address)).is_ok() {
                limit.failed(v4(address));
            }
            clock.advance(Duration::from_millis(pause));
            prop_assert!(limit.remembered() <= tracked);
        }
        let (_, refused) = fail_until_refused(&limit, v4(1));
        clock.advance(refused.unwrap().retry_after);
        prop_assert_eq!(limit.may_cost(v4(1)), Ok(()));
    }
}

fn connections(max: usize, per_address: u32) -> config::Connections {
    let second = Duration::from_secs(1);
    config::Connections { max, per_address, head_timeout: second, body_timeout: second }
}

#[test]
fn connections_of_one_address_are_bounded_and_given_back() {
    let all = Connections::new(&connections(100, 2), false, false);
    let first = all.open(v4(1), false).unwrap();
    let _second = all.open(v4(1), false).unwrap();
    assert_eq!(all.open(v4(1), false).unwrap_err(), Denied::PerAddress);
    assert!(all.open(v4(2), false).is_ok());
    drop(first);
    assert!(all.open(v4(1), false).is_ok());
    assert_eq!((all.cut(Denied::PerAddress), all.now(), all.addresses()), (1, 1, 1));
}

#[test]
fn connections_of_a_network_in_ipv6_are_those_of_one_address() {
    let all = Connections::new(&connections(100, 1), false, false);
    let _held = all.open(v6("2001:db8::1"), false).unwrap();
    assert_eq!(all.open(v6("2001:db8::2"), false).unwrap_err(), Denied::PerAddress);
}

#[test]
fn a_trusted_proxy_is_not_counted_by_address_and_keeps_the_last_eighth() {
    let all = Connections::new(&connections(16, 1), false, true);
    let strangers: Vec<_> = (0..14).map(|n| all.open(v4(n), false).unwrap()).collect();
    assert!(all.is_crowded());
    assert_eq!(all.open(v4(99), false).unwrap_err(), Denied::Max);
    let proxies = [all.open(v4(100), true).unwrap(), all.open(v4(100), true).unwrap()];
    assert_eq!(all.open(v4(100), true).unwrap_err(), Denied::Max);
    drop((strangers, proxies));
    assert_eq!((all.now(), all.addresses(), all.is_crowded()), (0, 0, false));
}

#[test]
fn other_bounds_hold_for_the_connections_that_come() {
    let all = Connections::new(&connections(16, 2), false, false);
    let held = [all.open(v4(1), false).unwrap(), all.open(v4(1), false).unwrap()];
    all.change(&connections(16, 1), false, true);
    assert_eq!((all.now(), all.open(v4(1), false).unwrap_err()), (2, Denied::PerAddress));
    drop(held);
    let strangers: Vec<_> = (0..14).map(|n| all.open(v4(n), false).unwrap()).collect();
    assert_eq!(all.open(v4(99), false).unwrap_err(), Denied::Max, "the last eighth is the proxies' now");
    drop(strangers);
    all.change(&connections(16, 1), true, false);
    let _held = [all.open(v4(1), false).unwrap(), all.open(v4(1), false).unwrap()];
}

#[test]
fn a_dry_run_of_connections_counts_and_no_limit_is_none() {
    let all = Connections::new(&connections(100, 1), true, false);
    let held = [all.open(v4(1), false).unwrap(), all.open(v4(1), false).unwrap()];
    assert_eq!((all.let_through(), all.cut(Denied::PerAddress)), (1, 0));
    drop(held);
    let all = Connections::new(&connections(100, 0), false, false);
    let held: Vec<_> = (0..100).map(|_| all.open(v4(1), false).unwrap()).collect();
    assert_eq!(all.open(v4(1), false).unwrap_err(), Denied::Max);
    drop(held);
}

#[test]
fn there_are_no_more_connections_than_there_are_files_for_whatever_a_reload_says() {
    let peer = |last| IpAddr::from([192, 0, 2, last]);
    let all = Connections::new(&connections(100, 0), false, true);
    all.have_room_for(16);
    let open: Vec<_> = (0..20).filter_map(|last| all.open(peer(last), false).ok()).collect();
    assert_eq!(open.len(), 14, "an eighth is the proxies'");
    let proxies: Vec<_> = (0..20).filter_map(|last| all.open(peer(last), true).ok()).collect();
    assert_eq!(proxies.len(), 2);
    all.change(&connections(100, 0), false, true);
    assert!(all.open(peer(99), true).is_err(), "a reload makes no files");
    drop(open);
    all.change(&connections(3, 0), false, false);
    assert_eq!(
        (0..9).map(|last| all.open(peer(last), false)).filter(Result::is_ok).count(),
        9,
        "each is closed at once"
    );
}
