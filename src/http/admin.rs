//! The admin listener: metrics, the exact ledger, each tenant's series, and its last rejections and dead letters.

mod checks;
mod gate;
mod limits;
mod series;

pub use gate::Gate;
pub(super) use gate::guard;

use std::collections::HashMap;
use std::time::Duration;

use actix_web::{HttpResponse, get, web};
use serde_json::{Map, Value, json};

use super::State;
use crate::admit::SeriesBudget;
use crate::metrics::{SeriesGauges, SpoolGauges};
use crate::outcome::{Account, Totals};
use crate::spool::Pending;

/// Adds the admin routes.
pub(super) fn routes(app: &mut web::ServiceConfig) {
    app.service(limits::admin_limits)
        .service(index)
        .service(metrics)
        .service(ledger)
        .service(rejections)
        .service(dead_letters)
        .service(series::series);
}

/// What there is to see here.
#[get("/")]
async fn index() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body(
        "Tagline, admin listener\n\n\
         /healthz            the process runs\n\
         /readyz             whether requests should come here, with every check by name\n\
         /metrics            Prometheus\n\
         /admin/ledger       exact totals per tenant: accepted = delivered + pending + dead_lettered + spilled + lost\n\
         /admin/limits       each tenant's limits, whether one is used up now, and how often it was exceeded\n\
         /admin/rejections   the last rejections of each tenant, with their reasons\n\
         /admin/dead-letters the last points of each tenant that InfluxDB refused for good, with its reason\n\
         /admin/series       series of each tenant this hour and day, its budget, and the tags that make them\n",
    )
}

/// Prometheus text format.
#[get("/metrics")]
async fn metrics(state: web::Data<State>) -> HttpResponse {
    let Pending { points, bytes, disk, limit, oldest } = state.spool.pending();
    let age = oldest.map_or(0, |oldest| state.clock.now().saturating_sub(oldest));
    let oldest = Duration::from_nanos(u64::try_from(age).unwrap_or(0));
    let now = state.clock.now();
    let profiles = state.generation.load().authenticator.directory().all();
    let gauges = |budget: &SeriesBudget| SeriesGauges { series: budget.series(now), budgets: budget.budgets() };
    let series: HashMap<_, _> = profiles.iter().map(|profile| (profile.id.as_str(), gauges(&profile.series))).collect();
    let spool = SpoolGauges { points, bytes, disk, limit, oldest };
    let mut text = state.metrics.exposition(&state.ledger, &spool, &series);
    text.push_str(&limits::exposition(&state));
    text.push_str(&checks::exposition(state.readiness.now().checks));
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text)
}

/// The exact totals since the process started.
#[get("/admin/ledger")]
async fn ledger(state: web::Data<State>) -> HttpResponse {
    let tenants: Map<String, Value> =
        state.ledger.accounts().iter().map(|account| (account.name().to_owned(), row(&account.totals()))).collect();
    let pending = state.spool.pending();
    HttpResponse::Ok().json(json!({
        "tenants": tenants,
        "spool": {
            "points": pending.points,
            "bytes": pending.bytes,
            "diskBytes": pending.disk,
            "limitBytes": pending.limit,
            "oldestAcceptedMs": pending.oldest.map(|at| at / crate::clock::NANOS_PER_MILLI),
        },
        "serverTime": state.clock.now_millis(),
    }))
}

/// One tenant's totals as JSON; zero outcomes are left out.
pub(super) fn row(totals: &Totals) -> Value {
    let outcomes: Map<String, Value> =
        totals.outcomes().filter(|(_, points)| *points > 0).map(|(name, points)| (name, points.into())).collect();
    json!({
        "accepted": totals.accepted,
        "pending": totals.pending,
        "outcomes": outcomes,
        "tagsDropped": totals.tags_dropped,
        "balances": totals.balances(),
    })
}

/// The last rejections of each tenant, newest last.
#[get("/admin/rejections")]
async fn rejections(state: web::Data<State>) -> HttpResponse {
    let of = |account: &Account| -> Vec<Value> {
        let seen = account.rejections();
        let one = seen.iter().map(|r| {
            json!({
                "atMs": r.at / crate::clock::NANOS_PER_MILLI,
                "index": r.index,
                "reason": r.reason.as_str(),
                "detail": r.detail,
            })
        });
        one.collect()
    };
    let tenants: Map<String, Value> =
        state.ledger.accounts().iter().map(|account| (account.name().to_owned(), of(account).into())).collect();
    HttpResponse::Ok().json(json!({ "tenants": tenants }))
}

/// The last points of each tenant that the destination refused for good; the lines themselves lie in the files.
#[get("/admin/dead-letters")]
async fn dead_letters(state: web::Data<State>) -> HttpResponse {
    let of = |tenant: &str| -> Vec<Value> {
        let letters = state.delivery.dead_letters(tenant);
        letters.iter().map(|letter| json!({ "atMs": letter.at / crate::clock::NANOS_PER_MILLI, "measurement": letter.measurement, "reason": letter.reason })).collect()
    };
    let tenants: Map<String, Value> =
        state.ledger.accounts().iter().map(|account| (account.name().to_owned(), of(account.name()).into())).collect();
    HttpResponse::Ok().json(json!({ "tenants": tenants }))
}
