//! The number of replicas, by what a resolver answers.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::{MOST, ReplicaWatch, Watched};
use crate::admit::Admission;
use crate::config::Replicas;

fn watched(replicas: u32) -> Watched {
    Watched { name: "tagline-headless".to_owned(), admission: Admission::new(replicas), fails: false }
}

fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
    texts.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 0)).collect()
}

#[test]
fn each_distinct_address_is_a_replica() {
    for (found, replicas) in [
        (&["10.0.0.1"][..], 1),
        (&["10.0.0.1", "10.0.0.2", "10.0.0.1"], 2),
        (&["10.0.0.1", "::ffff:10.0.0.1"], 1),
        (&["fd00::1", "fd00::2", "fd00::3"], 3),
        // Dual stack: the same two pods.
        (&["10.0.0.1", "fd00::1", "10.0.0.2", "fd00::2"], 2),
    ] {
        let mut watched = watched(9);
        watched.found(Ok(addresses(found)));
        assert_eq!(watched.admission.replicas(), replicas, "{found:?}");
    }
}

#[test]
fn the_last_number_holds_through_failures_and_answers_that_make_no_sense() {
    let mut watched = watched(1);
    watched.found(Ok(addresses(&["10.0.0.1", "10.0.0.2", "10.0.0.3"])));
    let far_too_many = (0..=MOST as u32).map(|n| SocketAddr::new(std::net::Ipv4Addr::from_bits(n).into(), 0)).collect();
    for answer in [Err(io::Error::other("no such name")), Ok(Vec::new()), Ok(far_too_many)] {
        watched.found(answer);
        assert_eq!(watched.admission.replicas(), 3);
        assert!(watched.fails);
    }
    watched.found(Ok(addresses(&["10.0.0.1"])));
    assert_eq!(watched.admission.replicas(), 1);
    assert!(!watched.fails, "so that the next failure is told again");
}

#[tokio::test]
async fn a_real_name_is_looked_up_at_once() {
    let admission = Admission::new(7);
    let watch = ReplicaWatch::new(&admission);
    watch.follow(&Replicas::Dns("localhost".to_owned()));
    let found = async {
        while admission.replicas() == 7 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), found).await.expect("localhost has an address");
    assert_eq!(admission.replicas(), 1, "127.0.0.1, and perhaps ::1");
}

#[tokio::test]
async fn a_fixed_number_ends_the_looking_up() {
    let admission = Admission::new(1);
    let watch = ReplicaWatch::new(&admission);
    watch.follow(&Replicas::Dns("localhost".to_owned()));
    watch.follow(&Replicas::Fixed(4));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(admission.replicas(), 4);
}
