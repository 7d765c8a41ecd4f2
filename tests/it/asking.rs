//! What the stored data answers, asked of a real InfluxDB: the Flux of `flux/`, its tasks, `tagline query`, `tagline setup`, dashboards.

pub mod checks;
mod dashboards;
mod queries;
mod query;
mod rollups;
mod setup;
mod week;
