//! The attack table: every way to become, see or hurt another tenant that we know of, against the binary, byte for byte.
//!
//! A row is an attack and the answer that it must get; a file is a family of them. The attacker has all that an attacker may have: a write key
//! and tokens of the tenant `acme`, keys of its own, and what `globex` shows to the public. Between the rows `globex` sends its own events.
//! At the end Flux is asked: under `globex` there are these and nothing else, and under `acme` as many points as it was told of; there is no other
//! tenant, no measurement that the catalog does not list, and no tag or field that nobody listed.

mod bodies;
mod bombs;
mod claims;
mod cookies;
mod credentials;
mod forge;
mod forwarded;
mod headers;
mod json;
mod origins;
mod row;
mod sizes;
mod smuggling;
mod tenant_header;
mod text;
mod uploads;

use std::collections::BTreeSet;

use serde_json::json;

use self::forge::Keys;
use self::row::{Held, Row};
use crate::identity::issuer;
use crate::support::{Bucket, Connection, GLOBEX_KEY, Gateway, Row as Stored, Totals, config_for, influx};

/// The least number of rows: a table that shrinks says so.
const ROWS: usize = 150;

/// The most memory that the whole table may cost the gateway at its peak, over what it had at the start. (The bombs alone would be 40 GiB.)
const MOST_MEMORY: u64 = 160 << 20;

/// All there is to know about one gateway, from the attacker's side.
struct World {
    gateway: Gateway,
    keys: Keys,
}

impl World {
    async fn start(bucket: &Bucket) -> Self {
        let keys = Keys::make();
        let own_file = keys.own.public_key_file().display().to_string();
        let config = format!(
            "{}
[tenants.initech.keys.web]
key = \"{INITECH_KEY}\"
origins = [\"https://*.initech.example\", \"https://initech.example:8443\"]

[tenants.acme]
origins = [\"https://acme.example\"]
# Each bomb costs as much as the largest batch; here each shall be looked at.
limits = {{ points_per_second = 1_000_000, burst = 1_000_000 }}

[tenants.strict]
require = \"jwt\"
keys.web = {{ key = \"{STRICT_KEY}\", origins = [\"*\"] }}

[tenants.off]
disabled = true
keys.web = {{ key = \"{OFF_KEY}\", origins = [\"*\"] }}
keys.old = {{ key = \"{EXPIRED_KEY}\", origins = [\"*\"], expires = 2020-01-01 }}
keys.narrow = {{ key = \"{NARROW_KEY}\", origins = [\"*\"], measurements = [\"backend_api_latency\"] }}
{}denied_jti = [\"stolen\", \"17\"]
denied_sub = [\"mallory\"]
{}{}{}{}{}{}",
            config_for(bucket),
            keys.rsa.issuer_toml("rsa"),
            issuer(&keys.billing, "billing", "").replace("\"telemetry\"", "\"billing\""),
            issuer(&keys.ec, "ec", "tenant_claim = \"/ctx/tenant\""),
            issuer(&keys.ed, "ed", ""),
            issuer(&keys.hs, "hs", ""),
            issuer(&keys.partner, "partner", "tenants = { \"org-1\" = \"acme\" }"),
            issuer(&keys.own, "away", "")
                .replace("public_key_file", "jwks_url")
                .replace(&own_file, "http://127.0.0.1:1/"),
        );
        let environment = [
            // One row makes the HTTP library panic; its backtrace would cost more memory than all the bombs.
            ("RUST_BACKTRACE", "0"),
            ("TAGLINE__SERVER__TOKEN_COOKIE", COOKIE),
            ("TAGLINE__TENANTS__ACME__UPLOAD_SECRETS__BACKEND__SECRET", ACME_SECRET),
            ("TAGLINE__TENANTS__GLOBEX__UPLOAD_SECRETS__BACKEND__SECRET", GLOBEX_SECRET),
        ];
        Self { gateway: Gateway::start_with(&config, &environment).await, keys }
    }
}

/// A key for pages below one domain.
const INITECH_KEY: &str = "initech-key-0123456789abcdef";
/// A key of a tenant that takes tokens only.
const STRICT_KEY: &str = "strict-key-0123456789abcdef";
/// A key of a tenant that is switched off.
const OFF_KEY: &str = "off-key-0123456789abcdef";
/// A key that has ended.
const EXPIRED_KEY: &str = "expired-key-0123456789abcdef";
/// A key for one measurement.
const NARROW_KEY: &str = "narrow-key-0123456789abcdef";

/// What acme's backend signs upload tokens with; the attacker has it.
const ACME_SECRET: &str = "acme-upload-secret-0123456789abcdef0123456789";
/// What globex's backend signs them with.
const GLOBEX_SECRET: &str = "globex-upload-secret-0123456789abcdef01234567";
/// The cookie that may carry a token.
const COOKIE: &str = "__Host-session";

/// A family of attacks.
type Family = (&'static str, fn(&World) -> Vec<Row>);

const FAMILIES: [Family; 13] = [
    ("token header", headers::rows),
    ("token claims", claims::rows),
    ("upload token", uploads::rows),
    ("cookie", cookies::rows),
    ("credentials", credentials::rows),
    ("tenant header", tenant_header::rows),
    ("origin", origins::rows),
    ("framing", smuggling::rows),
    ("size", sizes::rows),
    ("tenant in the body", bodies::rows),
    ("JSON", json::rows),
    ("forged line", text::rows),
    ("bomb", bombs::rows),
];

#[tokio::test]
async fn every_attack_gets_its_answer_and_not_one_point_is_another_tenants() {
    let bucket = influx().bucket("attacks");
    let world = World::start(&bucket).await;

    let before = peak_memory(&world.gateway);
    // All families at once: what one of them does to the gateway must not change another's answers.
    let all: Vec<Held> = std::thread::scope(|scope| {
        let world = &world;
        let attacked = FAMILIES.map(|family| scope.spawn(move || attack(world, family)));
        attacked.into_iter().map(|family| family.join().expect("a family ends with what it held")).collect()
    });
    let grown = peak_memory(&world.gateway) - before;
    let rows: usize = all.iter().map(|held| held.rows).sum();
    let wrong: Vec<&str> = all.iter().flat_map(|held| &held.wrong).map(String::as_str).collect();
    eprintln!("attacks: {rows} rows; the gateway's peak memory grew by {} MiB", grown >> 20);
    assert!(wrong.is_empty(), "{} of {rows} rows:\n{}", wrong.len(), wrong.join("\n"));
    assert!(rows >= ROWS, "only {rows} rows");
    assert!(grown < MOST_MEMORY, "peak memory grew by {} MiB", grown >> 20);

    let (taken, honest) = (all.iter().map(|held| held.taken).sum(), all.iter().map(|held| held.honest).sum());
    world.gateway.delivered("acme", taken).await;
    world.gateway.delivered("globex", honest).await;
    for tenant in ["initech", "strict", "off"] {
        assert_eq!(Totals::of(&world.gateway, tenant).accepted, 0, "{tenant}");
    }
    nothing_is_forged(&bucket, taken, honest).await;
}

/// Sends a family's rows, and after each the victim's own event, which the attack must not cost it.
fn attack(world: &World, (family, rows): Family) -> Held {
    let address = world.gateway.address();
    let mut held = Held::default();
    // Opened when it is used: a new connection that says nothing for long is cut.
    let mut victim = None;
    for row in rows(world) {
        held.hold(address, family, &row);
        let connection = victim.get_or_insert_with(|| Connection::open(address));
        match connection.try_exchange(honest_event(held.honest)) {
            Ok(answer) if answer.status == 202 => held.honest += 1,
            other => {
                let came = other.map(|answer| (answer.status, answer.text()));
                held.wrong.push(format!("globex's own event after {family}: {}: {came:?}", row.name));
                victim = None;
            }
        }
    }
    held
}

fn honest_event(number: u64) -> Vec<u8> {
    let event = json!({
        "sessionId": "honest", "viewName": "v", "actionName": "a", "metrics": {"element_count": number},
    });
    let request = row::post(format_args!("/v1/telemetry/{GLOBEX_KEY}")).header("Origin", "https://globex.example");
    request.body(event.to_string()).kept_alive()
}

/// The most memory that the process ever had, bytes.
fn peak_memory(gateway: &Gateway) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.id())).expect("a running process");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("Linux tells the peak");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("a number of KiB") * 1024
}

/// Asks Flux: whose points there are, which measurements, tags and fields.
async fn nothing_is_forged(bucket: &Bucket, taken: u64, honest: u64) {
    let values = |column: &'static str| async move {
        let pipe = format!("|> keep(columns: [\"{column}\"]) |> group() |> distinct(column: \"{column}\")");
        let rows = bucket.select(&pipe).await;
        rows.iter().map(|row| row.text("_value").to_owned()).collect::<BTreeSet<_>>()
    };
    assert_eq!(values("tenant_id").await, set(&["acme", "globex"]));
    let measurements = values("_measurement").await;
    assert!(measurements.is_subset(&set(&["frontend_performance", "web_vitals_lcp"])), "{measurements:?}");

    // One row a point, all measurements (no two have one time); a point without a tenant would be one of nobody's.
    let points = "|> keep(columns: [\"tenant_id\", \"session_id\", \"_time\"])
                  |> group(columns: [\"tenant_id\"]) |> unique(column: \"_time\")";
    let rows = bucket.select(points).await;
    let of = |tenant: &str| rows.iter().filter(|row| row.get("tenant_id") == Some(tenant)).collect::<Vec<&Stored>>();
    let (acme, globex) = (of("acme"), of("globex"));
    assert_eq!((acme.len() as u64, globex.len() as u64, rows.len()), (taken, honest, acme.len() + globex.len()));
    assert!(globex.iter().all(|row| row.get("session_id") == Some("honest")), "{globex:?}");
    assert_eq!(bucket.stored("globex").await, honest);

    let tags = bucket.query(&schema(bucket, "tagKeys")).await;
    let known = set(&[
        "_start",
        "_stop",
        "_field",
        "_measurement",
        "action_name",
        "host",
        "instance",
        "path",
        "session_id",
        "tenant_id",
        "view_name",
    ]);
    let tags: BTreeSet<_> = tags.iter().map(|row| row.text("_value").to_owned()).collect();
    assert!(tags.is_subset(&known), "{tags:?}");
    let fields = bucket.query(&schema(bucket, "fieldKeys")).await;
    let fields: BTreeSet<_> = fields.iter().map(|row| row.text("_value").to_owned()).collect();
    assert!(fields.is_subset(&set(&["duration_ms", "element_count", "value", "trace_id"])), "{fields:?}");
}

fn schema(bucket: &Bucket, function: &str) -> String {
    let name = crate::support::flux_string(bucket.name());
    format!("import \"influxdata/influxdb/schema\" schema.{function}(bucket: {name}, start: -100y)")
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
