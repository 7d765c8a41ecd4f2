//! Times: what a pod needs to end in order fits into its grace period, and others notice in time.

use super::variables::caddy_files;
use crate::support::manifests::{Manifests, Workload};
use regex::Regex;

/// What a process needs beside the times that are set: to write down where it is, and to end.
const SPARE: u64 = 5;

/// Azure's load balancer leaves a node after two probes, 5 seconds apart.
const LOAD_BALANCER: u64 = 10;

/// CoreDNS answers from its cache for so long, by the configuration that AKS and others give it.
const DNS: u64 = 30;

pub fn times(all: &Manifests) -> Vec<String> {
    let mut faults = Vec::new();
    let (gateway, caddy) = (all.workload("tagline"), all.workload("caddy"));
    let files = caddy_files(all, &mut faults);

    let delay = seconds(gateway.environment(all, "TAGLINE__SERVER__DRAIN_DELAY"));
    let timeout = seconds(gateway.environment(all, "TAGLINE__SERVER__DRAIN_TIMEOUT"));
    let needed = pre_stop(gateway) + delay + timeout + SPARE;
    if needed > grace(gateway) {
        faults.push(format!("the gateway needs {needed} s to end, and has {}", grace(gateway)));
    }

    let own = |variable: &str, directive: &str| {
        let set = caddy.environment(all, variable);
        seconds(set.or(directive_value(&files, directive).as_deref()))
    };
    let (shutdown_delay, grace_period) =
        (own("CADDY_SHUTDOWN_DELAY", "shutdown_delay"), own("CADDY_GRACE_PERIOD", "grace_period"));
    let serves_on = pre_stop(caddy) + shutdown_delay;
    let needed = serves_on + grace_period + SPARE;
    if needed > grace(caddy) {
        faults.push(format!("Caddy needs {needed} s to end, and has {}", grace(caddy)));
    }
    // Until its readiness has failed often enough, a node goes on handing it what comes.
    let readiness = |key: &str| caddy.container()["readinessProbe"][key].as_u64().unwrap_or_default();
    let reached = pre_stop(caddy) + readiness("periodSeconds") * readiness("failureThreshold").saturating_sub(1);
    let reached = reached.min(serves_on);
    if reached <= LOAD_BALANCER {
        faults.push(format!(
            "Caddy may be out of reach after {reached} s, and a load balancer sends for {LOAD_BALANCER}"
        ));
    }

    let check = |directive: &str| seconds(directive_value(&files, directive).as_deref());
    let once = check("health_interval") + check("health_timeout");
    let fails = directive_value(&files, "health_fails").and_then(|text| text.parse::<u64>().ok()).unwrap_or(1);
    if delay <= once * fails {
        faults.push(format!("Caddy may send for {} s to a gateway that takes nothing after {delay}", once * fails));
    }
    for (workload, notice) in [(gateway, DNS + once), (caddy, LOAD_BALANCER)] {
        let waits = workload.object["spec"]["minReadySeconds"].as_u64().unwrap_or_default();
        if waits <= notice {
            faults.push(format!("{} is replaced after {waits} s, and is found in {notice}", workload.name()));
        }
    }
    faults
}

fn pre_stop(workload: Workload) -> u64 {
    workload.container()["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64().unwrap_or_default()
}

fn grace(workload: Workload) -> u64 {
    workload.pod["terminationGracePeriodSeconds"].as_u64().unwrap_or(30)
}

/// What stands behind a directive of the Caddyfile: a value, or the default of its variable.
fn directive_value(files: &str, directive: &str) -> Option<String> {
    let pattern = format!(r"(?m)^\s*{directive} (?:\{{\$[A-Z_]+:(?<default>[^}}]+)\}}|(?<value>\S+))");
    let captures = Regex::new(&pattern).expect("a pattern of this file").captures(files)?;
    let found = captures.name("default").or(captures.name("value"))?;
    Some(found.as_str().to_owned())
}

/// A duration in whole seconds, rounded up. One that is not there is for ever: it fits nowhere.
fn seconds(text: Option<&str>) -> u64 {
    let duration = text.and_then(|text| humantime::parse_duration(text).ok());
    duration.map_or(u64::from(u32::MAX), |duration| duration.as_millis().div_ceil(1000) as u64)
}
