//! What the admin listener shows of the limits: each tenant's, and the counts over all of them.

use std::fmt::Write as _;

use actix_web::{HttpResponse, get, web};
use serde_json::{Map, Value, json};

use crate::admit::{Denied, Exceedances, Limit, Quota};
use crate::http::State;

/// Each tenant's limits in force, what is used up now, and how often each limit was exceeded since the process started.
#[get("/admin/limits")]
pub(super) async fn admin_limits(state: web::Data<State>) -> HttpResponse {
    let generation = state.generation.load_full();
    let profiles = generation.authenticator.directory().all().into_iter();
    let mut tenants: Vec<(String, Value)> =
        profiles.map(|profile| (profile.id.as_str().to_owned(), row(&profile.quota))).collect();
    tenants.sort_by(|one, other| one.0.cmp(&other.0));
    HttpResponse::Ok().json(json!({
        "replicas": state.admission.replicas(),
        "tenants": tenants.into_iter().collect::<Map<_, _>>(),
        "connections": { "now": state.connections.now(), "addresses": state.connections.addresses() },
        "addressesRemembered": state.addresses.remembered(),
        "serverTime": state.clock.now_millis(),
    }))
}

fn row(quota: &Quota) -> Value {
    let limits = quota.limits();
    let waits = quota.waits().map(|exceeded| {
        json!({ "limit": exceeded.limit.as_str(), "milliseconds": exceeded.retry_after.as_millis().max(1) as u64 })
    });
    json!({
        "limits": {
            "pointsPerSecond": limits.points_per_second,
            "burst": limits.burst,
            "bytesPerSecond": limits.bytes_per_second,
            "inFlight": limits.in_flight,
            "dryRun": {
                "pointsPerSecond": limits.dry_run.points_per_second,
                "bytesPerSecond": limits.dry_run.bytes_per_second,
                "inFlight": limits.dry_run.in_flight,
            },
        },
        "inFlight": quota.in_flight(),
        "waits": waits,
        "refused": counts(quota.exceedances(), true),
        "wouldBeRefused": counts(quota.exceedances(), false),
    })
}

/// By limit; zeros are left out.
fn counts(exceedances: &Exceedances, enforced: bool) -> Map<String, Value> {
    let counts = Limit::ALL.into_iter().map(|limit| (limit.as_str().to_owned(), exceedances.of(limit, enforced)));
    counts.filter(|(_, count)| *count > 0).map(|(name, count)| (name, count.into())).collect()
}

/// The metrics of admission, in Prometheus' text format.
pub(super) fn exposition(state: &State) -> String {
    let mut text = String::new();
    let exceedances = state.admission.exceedances();
    family(
        &mut text,
        "tagline_limit_exceeded_total",
        "counter",
        "Requests beyond a limit: refused (enforced), or counted by a dry run",
    );
    for limit in Limit::ALL {
        for enforced in [true, false] {
            let count = exceedances.of(limit, enforced);
            line(
                &mut text,
                format_args!("tagline_limit_exceeded_total{{limit=\"{limit}\",enforced=\"{enforced}\"}} {count}"),
            );
        }
    }
    family(&mut text, "tagline_replicas", "gauge", "Replicas that a tenant's rate is divided by");
    line(&mut text, format_args!("tagline_replicas {}", state.admission.replicas()));
    let connections = &state.connections;
    family(&mut text, "tagline_connections", "gauge", "Connections of the public listener");
    line(&mut text, format_args!("tagline_connections {}", connections.now()));
    family(
        &mut text,
        "tagline_connections_refused_total",
        "counter",
        "Connections beyond a limit: cut (enforced), or counted by a dry run",
    );
    for (limit, enforced, count) in [
        ("max", true, connections.cut(Denied::Max)),
        ("per_address", true, connections.cut(Denied::PerAddress)),
        ("per_address", false, connections.let_through()),
    ] {
        line(
            &mut text,
            format_args!("tagline_connections_refused_total{{limit=\"{limit}\",enforced=\"{enforced}\"}} {count}"),
        );
    }
    family(
        &mut text,
        "tagline_addresses_remembered",
        "gauge",
        "Client addresses with failed proofs that are not paid off yet",
    );
    line(&mut text, format_args!("tagline_addresses_remembered {}", state.addresses.remembered()));
    text
}

fn family(text: &mut String, name: &str, kind: &str, help: &str) {
    line(text, format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{line}");
}
