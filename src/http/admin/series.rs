//! `/admin/series`: what each tenant made of its budget of series, and which tags made them.

use actix_web::{HttpResponse, get, web};
use serde_json::{Map, Value, json};

use crate::admit::{Distinct, Usage};
use crate::http::State;

/// The hour and the day of each tenant, with the tags of most values first. Of a tenant below 80% of its budget no tags are known.
#[get("/admin/series")]
pub(super) async fn series(state: web::Data<State>) -> HttpResponse {
    let now = state.clock.now();
    let generation = state.generation.load();
    let profiles = generation.authenticator.directory().all();
    let tenants: Map<String, Value> = profiles
        .iter()
        .map(|profile| {
            let windows = profile.series.usage(now);
            let windows: Map<String, Value> =
                windows.iter().map(|usage| (usage.window.to_owned(), window(usage))).collect();
            (profile.id.as_str().to_owned(), windows.into())
        })
        .collect();
    HttpResponse::Ok().json(json!({ "tenants": tenants, "serverTime": state.clock.now_millis() }))
}

fn window(usage: &Usage) -> Value {
    let demoted: Map<String, Value> =
        usage.demoted.steps().into_iter().map(|(step, count)| (step.to_owned(), count.into())).collect();
    let tags: Vec<Value> = usage
        .tags
        .iter()
        .map(|(tag, Distinct { values, samples })| json!({ "tag": tag, "values": values, "samples": samples }))
        .collect();
    let names = usage.metric_names.as_ref();
    json!({
        "startMs": usage.start / crate::clock::NANOS_PER_MILLI,
        "series": usage.series,
        "budget": usage.budget,
        "dryRun": usage.dry_run,
        "beyond": usage.beyond,
        "demoted": demoted,
        "tags": tags,
        "metricNames": names.map(|Distinct { values, samples }| json!({ "values": values, "samples": samples })),
    })
}
