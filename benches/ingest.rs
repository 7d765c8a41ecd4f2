//! What a body costs between the socket and the spool: `cargo bench --bench ingest`.
//!
//! Each figure is for one event of a request of 1 or of 100 events; the throughput column counts events. The parts (decode, enrich, encode) are
//! measured apart, and `ingest` is all of them as a request runs them.

use std::convert::Infallible;
use std::hint::black_box;
use std::sync::Arc;

use bumpalo::Bump;
use divan::Bencher;
use divan::counter::ItemsCount;

use tagline::admit::Detail;
use tagline::auth::{Authenticator, Directory, KeySets, Presented, Tenant};
use tagline::clock::Clock;
use tagline::config::{self, Settings};
use tagline::decode::{Decoded, decode};
use tagline::encode::encode;
use tagline::enrich::{Context, Enricher};
use tagline::ingest::{Limits, ingest};
use tagline::metrics::Metrics;
use tagline::outcome::Ledger;

/// Counts allocations too: enriching and encoding show none.
#[global_allocator]
static ALLOCATOR: divan::AllocProfiler = divan::AllocProfiler::system();

const NOW: i64 = 1_790_000_000_000_123_456;
const EVENTS: [usize; 2] = [1, 100];
const CHROME: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36";
const MAX_EVENTS: usize = 5_000;
const LIMITS: Limits = Limits { max_events: MAX_EVENTS, max_lines: 8 << 20 };

fn main() {
    divan::main();
}

#[divan::bench(args = EVENTS)]
fn decoding(bencher: Bencher<'_, '_>, events: usize) {
    let body = body(events);
    bencher
        .counter(ItemsCount::new(events))
        .bench(|| decode(black_box(&body), MAX_EVENTS).map(|read| read.items.len()));
}

#[divan::bench(args = EVENTS)]
fn enriching(bencher: Bencher<'_, '_>, events: usize) {
    let (body, gateway) = (body(events), Gateway::new());
    let decoded = read(&body);
    let mut arena = Bump::with_capacity(4 << 10);
    bencher.counter(ItemsCount::new(events)).bench_local(|| {
        let request = gateway.enricher.request(gateway.context(), &decoded.defaults);
        for event in decoded.items.iter().flatten() {
            arena.reset();
            black_box(request.point(event, &arena).is_ok());
        }
    });
}

/// What a request with a `User-Agent` costs more, once, for a measurement that wants the tags read from it.
#[divan::bench]
fn enriching_one_event_with_its_user_agent(bencher: Bencher<'_, '_>) {
    let (body, gateway) = (body(1), Gateway::new());
    let decoded = read(&body);
    let mut arena = Bump::with_capacity(4 << 10);
    bencher.bench_local(|| {
        let request =
            gateway.enricher.request(Context { user_agent: Some(CHROME), ..gateway.context() }, &decoded.defaults);
        arena.reset();
        decoded.items.iter().flatten().all(|event| request.point(event, &arena).is_ok())
    });
}

/// What [`enriching`] costs without looking for what is private: the difference is the price of clean strings.
#[divan::bench(args = EVENTS)]
fn enriching_without_scrubbing(bencher: Bencher<'_, '_>, events: usize) {
    let (body, gateway) = (body(events), Gateway::new());
    let mut settings = settings("unused-key-0123456789");
    settings.enrich.scrub.clear();
    let enricher = Enricher::new(&settings);
    let decoded = read(&body);
    let mut arena = Bump::with_capacity(4 << 10);
    bencher.counter(ItemsCount::new(events)).bench_local(|| {
        let request = enricher.request(gateway.context(), &decoded.defaults);
        for event in decoded.items.iter().flatten() {
            arena.reset();
            black_box(request.point(event, &arena).is_ok());
        }
    });
}

#[divan::bench(args = EVENTS)]
fn encoding(bencher: Bencher<'_, '_>, events: usize) {
    let (body, gateway) = (body(events), Gateway::new());
    let decoded = read(&body);
    let request = gateway.enricher.request(gateway.context(), &decoded.defaults);
    let arena = Bump::new();
    let points: Vec<_> = decoded.items.iter().flatten().flat_map(|event| request.point(event, &arena)).collect();
    assert_eq!(points.len(), events);
    let mut line = Vec::with_capacity(1 << 20);
    bencher.counter(ItemsCount::new(events)).bench_local(|| {
        line.clear();
        for point in black_box(&points) {
            encode(point, &mut line);
        }
    });
}

/// What the tenant's budget of series adds to an event whose series was seen: a keyed hash, and a look into the set. Of 1,000 series that
/// come in turns, so that no request knows the last one's.
#[divan::bench]
fn judging_a_series_that_was_seen(bencher: Bencher<'_, '_>) {
    let gateway = Gateway::new();
    let series: Vec<_> = (0..1_000)
        .map(|n| {
            format!(
                "frontend_performance,action_name=fetchUsers,host=app.example,instance=aks-weu-1,session_id=0192f3a1-7b5c-{n:04},tenant_id=acme,view_name=UserListView"
            )
        })
        .collect();
    let budget = &gateway.tenant.profile().series;
    bencher.counter(ItemsCount::new(series.len())).bench_local(|| {
        let mut judge = budget.judge("acme", NOW);
        series.iter().filter(|series| judge.admits(Detail::Full, black_box(series.as_bytes()), &[])).count()
    });
}

#[divan::bench(args = EVENTS)]
fn ingesting(bencher: Bencher<'_, '_>, events: usize) {
    let (body, gateway) = (body(events), Gateway::new());
    bencher.counter(ItemsCount::new(events)).bench(|| {
        let charge = |_| Ok::<(), Infallible>(());
        ingest(&gateway.enricher, gateway.context(), black_box(&body), LIMITS, charge)
    });
}

fn body(events: usize) -> Vec<u8> {
    let event = |seq: usize| {
        format!(
            r#"{{"sessionId":"s-{}","viewName":"UserListView","actionName":"fetchUsers","metrics":{{"duration_ms":{}.5,"element_count":50}},"timestamp":1790000000000,"seq":{seq}}}"#,
            seq % 10,
            100 + seq
        )
    };
    format!("[{}]", (0..events).map(event).collect::<Vec<_>>().join(",")).into_bytes()
}

fn read(body: &[u8]) -> Decoded<'_> {
    decode(body, MAX_EVENTS).expect("the body is sound")
}

/// What a gateway holds for a request.
struct Gateway {
    tenant: Tenant,
    enricher: Enricher,
}

impl Gateway {
    fn new() -> Self {
        let key = "bench".repeat(8);
        let settings = settings(&key);
        let directory = Arc::new(Directory::of(&settings, &Arc::new(Ledger::default())));
        let sets =
            KeySets::new(Clock::manual(NOW), Arc::new(Metrics::new().expect("metrics"))).expect("an HTTP client");
        let authenticator = Authenticator::new(&settings, directory, &sets).expect("sound settings");
        let presented = Presented { write_keys: vec![key], ..Presented::default() };
        let tenant = authenticator.verify(&presented, NOW, &|| Ok(())).expect("a good key");
        Self { tenant, enricher: Enricher::new(&settings) }
    }

    fn context(&self) -> Context<'_> {
        Context {
            tenant: &self.tenant,
            received: NOW,
            sent_at_ms: None,
            client: None,
            user_agent: None,
            traceparent: None,
        }
    }
}

/// The built-in defaults, for one tenant with this key.
fn settings(key: &str) -> Settings {
    let variables = [
        ("TAGLINE__TENANTS__ACME__KEYS__WEB__KEY", key),
        ("TAGLINE__TENANTS__ACME__KEYS__WEB__ORIGINS", "*"),
        ("TAGLINE__INFLUXDB__RETENTION", "0s"),
        ("TAGLINE__ENRICH__INSTANCE", "aks-weu-1"),
        ("INFLUXDB_URL", "http://127.0.0.1:8086"),
        ("INFLUXDB_ORG", "bench"),
        ("INFLUXDB_TOKEN", "unused"),
    ];
    let env = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    config::load(&config::Sources { file: None, env }).expect("sound settings")
}
