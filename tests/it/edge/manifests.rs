//! What stands in one file of `k8s/` and is used in another is there, and every overlay fits the schemas of Kubernetes.
//!
//! The cross checks are functions that tell the faults of a set of objects. Each is shown a fault of its kind as well (`mutations`): one that
//! finds nothing there checks nothing.

mod build;
mod demo;
mod images;
mod mounted;
mod mutations;
mod pods;
mod ports;
mod programs;
mod references;
mod selectors;
mod settings;
mod times;
mod variables;
mod ways;

use crate::support::manifests::{EXTENDED, Manifests, OVERLAYS, manifests};

/// Tells what is wrong, a line for each fault.
type Check = fn(&Manifests) -> Vec<String>;

const CHECKS: [(&str, Check); 15] = [
    ("namespace", references::namespace),
    ("volumes", references::volumes),
    ("references", references::references),
    ("accounts", references::accounts),
    ("images", images::images),
    ("placeholders", references::placeholders),
    ("ports", ports::ports),
    ("selectors", selectors::selectors),
    ("upstreams", ports::upstreams),
    ("variables", variables::variables),
    ("times", times::times),
    ("restricted", pods::restricted),
    ("probes", pods::probes),
    ("room", pods::room),
    ("ways", ways::ways),
];

#[test]
fn what_one_file_uses_stands_in_the_other() {
    let mut faults = Vec::new();
    for overlay in OVERLAYS.into_iter().chain([EXTENDED]) {
        for (name, check) in CHECKS {
            faults.extend(check(manifests(overlay)).into_iter().map(|fault| format!("{overlay}, {name}: {fault}")));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
