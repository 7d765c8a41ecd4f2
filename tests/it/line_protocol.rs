//! Whatever stands in a point: the server takes its line, and gives back what was meant.
//!
//! `PROPTEST_CASES` says how much is tried, `PROPTEST_RNG_SEED` repeats a run.

mod hostile;

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestError, TestRunner};
use serde_json::{Map, Value, json};
use tagline::encode::encode;
use tagline::enrich::{FieldValue, Point};
use tokio::runtime::Runtime;

use self::hostile::{float, stored, text, whole};
use crate::support::influx::flux_string;
use crate::support::{ACME_KEY, Bucket, Gateway, config_for, influx};

/// 2023-11-14T22:13:20Z, in nanoseconds.
const BASE: i64 = 1_700_000_000_000_000_000;

/// Points in one write.
const BATCH: usize = 512;

#[derive(Clone, Debug)]
enum Field {
    Int(i64),
    Float(f64),
    Str(String),
}

/// A point that the encoder may be given.
#[derive(Clone, Debug)]
struct Given {
    measurement: String,
    tags: Vec<(String, String)>,
    fields: Vec<(String, Field)>,
}

/// Sorted, with the first of those that are stored under one name.
fn named<T>(pairs: Vec<(String, T)>, name: impl Fn(&(String, T)) -> String) -> Vec<(String, T)> {
    let mut known = BTreeMap::new();
    for pair in pairs {
        known.entry(stored(&name(&pair))).or_insert((name(&pair), pair.1));
    }
    let mut pairs: Vec<_> = known.into_values().collect();
    pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
    pairs
}

/// Names begin with a letter, and with another one for tags than for fields of each type: a name that is both, and a field of two types,
/// are refused by rooms before the encoder.
fn point() -> impl Strategy<Value = Given> {
    let field = prop_oneof![whole().prop_map(Field::Int), float().prop_map(Field::Float), text().prop_map(Field::Str)];
    let tags = prop::collection::vec((text(), text()), 0..5);
    let fields = prop::collection::vec((text(), field), 1..5);
    (text(), tags, fields).prop_map(|(measurement, tags, fields)| Given {
        measurement: format!("m{measurement}"),
        tags: named(tags, |(name, _)| format!("t{name}")),
        fields: named(fields, |(name, field)| match field {
            Field::Int(_) => format!("i{name}"),
            Field::Float(_) => format!("d{name}"),
            Field::Str(_) => format!("s{name}"),
        }),
    })
}

impl Given {
    fn line(&self, time: i64) -> Vec<u8> {
        let tags: Vec<_> = self.tags.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let value = |field| match field {
            &Field::Int(number) => FieldValue::Int(number),
            &Field::Float(number) => FieldValue::Float(number),
            Field::Str(text) => FieldValue::Str(text),
        };
        let fields: Vec<_> = self.fields.iter().map(|(name, field)| (name.as_str(), value(field))).collect();
        let mut line = Vec::new();
        encode(&Point { measurement: &self.measurement, tags: &tags, fields: &fields, time }, &mut line);
        line
    }

    /// What InfluxDB is to have of it.
    fn meant(&self) -> Map<String, Value> {
        let mut meant = Map::from_iter([("_measurement".to_owned(), stored(&self.measurement).into())]);
        let tags = self.tags.iter().filter(|(_, value)| !value.is_empty());
        meant.extend(tags.map(|(name, value)| (stored(name), stored(value).into())));
        meant.extend(self.fields.iter().map(|(name, field)| match field {
            Field::Int(number) => (stored(name), (*number).into()),
            Field::Float(number) => (stored(name), (*number).into()),
            Field::Str(text) => (stored(name), text.as_str().into()),
        }));
        meant
    }
}

/// Every point of a time span, by its time, as Flux itself encodes it.
async fn read(bucket: &Bucket, from: i64, to: i64) -> BTreeMap<i64, Vec<Map<String, Value>>> {
    let flux = format!(
        "import \"json\"
         from(bucket: {}) |> range(start: time(v: {from}), stop: time(v: {to}))
         |> pivot(rowKey: [\"_time\"], columnKey: [\"_field\"], valueColumn: \"_value\")
         |> map(fn: (r) => ({{ at: string(v: int(v: r._time)), point: string(v: json.encode(v: r)) }}))
         |> group()",
        flux_string(bucket.name()),
    );
    let mut points = BTreeMap::<_, Vec<_>>::new();
    for row in bucket.query(&flux).await {
        let mut point: Map<String, Value> = serde_json::from_str(row.text("point")).expect("Flux encodes valid JSON");
        point.retain(|name, value| !value.is_null() && !["_start", "_stop", "_time"].contains(&name.as_str()));
        points.entry(row.int("at")).or_default().push(point);
    }
    points
}

/// Whether two values are one, to the last bit of a number. (Flux writes a float without a fraction as JSON does: without a point.)
fn same(meant: &Value, seen: &Value) -> bool {
    match (meant, seen) {
        (Value::Number(meant), Value::Number(seen)) if meant.is_f64() => {
            meant.as_f64().map(f64::to_bits) == seen.as_f64().map(f64::to_bits)
        }
        _ => meant == seen,
    }
}

/// What is wrong with what was read of a point; nothing, if all is as it was meant.
fn difference(meant: &Map<String, Value>, seen: Option<&Vec<Map<String, Value>>>) -> Result<(), String> {
    let [seen] = seen.map(Vec::as_slice).unwrap_or_default() else {
        return Err(format!("not one point was read but {seen:?}; meant was {meant:?}"));
    };
    let equal = meant.len() == seen.len()
        && meant.iter().all(|(name, value)| seen.get(name).is_some_and(|seen| same(value, seen)));
    if equal { Ok(()) } else { Err(format!("meant {meant:?}\n read {seen:?}")) }
}

/// Writes points at `from`, `from + 1`, … in one request. The answer: each that was refused or came back as another, and why.
async fn write_and_read(bucket: &Bucket, from: i64, points: &[Given]) -> Vec<(usize, String)> {
    let lines: Vec<_> = points.iter().zip(from..).map(|(point, time)| point.line(time)).collect();
    let answer = bucket.write(lines.concat()).await;
    if answer.status != 204 {
        return match points {
            [_] => vec![(0, format!("{}: {}\n{}", answer.status, answer.text(), String::from_utf8_lossy(&lines[0])))],
            _ => {
                let (left, right) = points.split_at(points.len() / 2);
                let mut bad = Box::pin(write_and_read(bucket, from, left)).await;
                let right = Box::pin(write_and_read(bucket, from + left.len() as i64, right)).await;
                bad.extend(right.into_iter().map(|(index, why)| (index + left.len(), why)));
                bad
            }
        };
    }
    let seen = read(bucket, from, from + points.len() as i64).await;
    let each = points.iter().zip(from..).enumerate();
    each.filter_map(|(index, (point, time))| Some((index, difference(&point.meant(), seen.get(&time)).err()?)))
        .collect()
}

fn runner() -> TestRunner {
    TestRunner::new(Config { failure_persistence: None, ..Config::default() })
}

#[test]
fn property_every_line_of_the_encoder_is_taken_and_reads_back_as_it_was_meant() {
    let runtime = Runtime::new().unwrap();
    let mut runner = runner();
    let points = usize::try_from(runner.config().cases).unwrap() * 8;
    let strategy = point().boxed();
    for _ in 0..points.div_ceil(BATCH) {
        // Every point makes series; a query over those of all batches would take longer with each.
        let bucket = influx().bucket("lines");
        let mut trees: Vec<_> = (0..BATCH).map(|_| strategy.new_tree(&mut runner).unwrap()).collect();
        let batch: Vec<_> = trees.iter().map(ValueTree::current).collect();
        let bad = runtime.block_on(write_and_read(&bucket, BASE, &batch));
        let Some((index, why)) = bad.first() else { continue };
        // One of them, made as small as it goes.
        let clock = std::cell::Cell::new(BASE + BATCH as i64);
        let smallest = runner.run_one(trees.swap_remove(*index), |point| {
            clock.set(clock.get() + 1);
            let bad = runtime.block_on(write_and_read(&bucket, clock.get(), &[point]));
            bad.first().map_or(Ok(()), |(_, why)| Err(TestCaseError::fail(why.clone())))
        });
        match smallest {
            Err(TestError::Fail(why, point)) => {
                panic!("{} points of {BATCH}; the smallest is {point:?}\n{why}", bad.len())
            }
            alone => panic!("{:?} is wrong among its neighbours, not alone ({alone:?}): {why}", batch[*index]),
        }
    }
}

/// An event as a hostile page would send it: every text is whatever it likes.
#[derive(Clone, Debug)]
struct Sent {
    session: String,
    view: String,
    action: String,
    release: String,
    locale: String,
    float: f64,
    whole: i64,
}

/// Without what is cut or taken out on purpose (queries, fragments, credentials of URLs, e-mail addresses): that stands in tests of its own.
fn kept() -> impl Strategy<Value = String> {
    text().prop_map(|text| text.replace(['?', '#', '@'], ""))
}

fn event() -> impl Strategy<Value = Sent> {
    // A view that is empty is refused; a path or a URL is made a template, and stands in tests of its own.
    let is_path = |text: &str| text.starts_with('/') || text.contains("://");
    let name = move || {
        kept().prop_map(
            move |text| if text.is_empty() || is_path(&text) { format!("v{}", text.replace(':', "")) } else { text },
        )
    };
    (kept(), name(), name(), kept(), kept(), float(), whole()).prop_map(
        |(session, view, action, release, locale, float, whole)| Sent {
            session,
            view,
            action,
            release,
            locale,
            float,
            whole,
        },
    )
}

impl Sent {
    fn body(&self, at: i64) -> Value {
        json!({
            "measurement": "hostile", "sessionId": self.session, "viewName": self.view, "actionName": self.action,
            "tags": {"release": self.release, "locale": self.locale}, "timestamp": at, "seq": at,
            "metrics": {"float": self.float, "whole": self.whole},
        })
    }

    /// What InfluxDB is to have of it, under this tenant and mode of session.
    fn meant(&self, (tenant, mode): (&str, &str)) -> Map<String, Value> {
        let text = |name: &str, text: &str| (!text.is_empty()).then(|| (name.to_owned(), Value::from(text)));
        let mut meant = Map::from_iter([
            ("_measurement".to_owned(), "hostile".into()),
            ("float".to_owned(), self.float.into()),
            ("whole".to_owned(), self.whole.into()),
        ]);
        meant.extend(text("tenant_id", tenant));
        meant.extend(text("view_name", &stored(&self.view)));
        meant.extend(text("action_name", &stored(&self.action)));
        meant.extend(text("release", &stored(&self.release)));
        meant.extend(text("locale", &stored(&self.locale)));
        // As a tag it is a tag's value, as a field it is the text itself.
        meant.extend(if mode == "tag" {
            text("session_id", &stored(&self.session))
        } else {
            text("session", &self.session)
        });
        meant
    }
}

/// An event some of whose names are hostile: those are refused, and none may become more than one point of its tenant.
fn misnamed() -> impl Strategy<Value = Value> {
    let or = |name: &'static str| prop_oneof![2 => Just(name.to_owned()), 1 => text()];
    (or("frontend_performance"), or("release"), or("ratio"), text()).prop_map(|(measurement, tag, metric, member)| {
        json!({
            "measurement": measurement, "viewName": "v", "actionName": "a", "tags": {tag: "1"}, "metrics": {metric: 1, "ok": 1},
            "traceId": "00000000000000000000000000000001", member: "x",
        })
    })
}

/// Each tenant, its mode, its key.
const TENANTS: [((&str, &str), &str); 3] = [
    (("acme", "tag"), ACME_KEY),
    (("initech", "field"), "initech-key-0123456789abcdef"),
    (("umbrella", "hash:8"), "umbrella-key-0123456789abcdef"),
];

fn config(bucket: &Bucket) -> String {
    let mut config = config_for(bucket);
    config.push_str(
        "[measurements.hostile]\nneeds = [\"view_name\", \"action_name\"]\ntags = [\"release\", \"locale\"]\n\
         fields.whole = { type = \"int\" }\n\
         [tenant_defaults.limits]\npoints_per_second = 1_000_000\nburst = 1_000_000\n",
    );
    for ((tenant, mode), key) in TENANTS {
        config.push_str(&format!("[tenants.{tenant}]\nsession = \"{mode}\"\n"));
        if key != ACME_KEY {
            config.push_str(&format!("[tenants.{tenant}.keys.any]\nkey = \"{key}\"\norigins = [\"*\"]\n"));
        }
    }
    config
}

#[tokio::test]
async fn property_no_event_becomes_another_measurement_another_tenant_or_another_text() {
    let bucket = influx().bucket("hostile");
    let gateway = Gateway::start(&config(&bucket)).await;
    let mut runner = runner();
    let requests = usize::try_from(runner.config().cases).unwrap().clamp(1, 16_384).div_ceil(256) as i64;
    let batch = prop::collection::vec(event(), 256).boxed();
    let mut sent = BTreeMap::<&str, BTreeMap<i64, Sent>>::new();
    for request in 0..requests {
        for ((tenant, _), key) in TENANTS {
            let first = BASE / 1_000_000 + request * 256;
            let events: Vec<_> = (first..).zip(batch.new_tree(&mut runner).unwrap().current()).collect();
            let body = Value::from_iter(events.iter().map(|(at, event)| event.body(*at)));
            assert_eq!(gateway.accept(key, &[], &body), 256);
            sent.entry(tenant).or_default().extend(events);
        }
    }
    let last = BASE + (requests * 256 + 1) * 1_000_000;

    // Names: what is taken of them counts as delivered, too.
    let misnamed = prop::collection::vec(misnamed(), 512).boxed().new_tree(&mut runner).unwrap().current();
    let answer = gateway.post(ACME_KEY, &[], Value::from(misnamed).to_string()).json();
    let taken = answer["accepted"].as_u64().unwrap_or_default();
    assert_eq!(taken + answer["rejectedCount"].as_u64().unwrap_or_default(), 512, "{answer}");
    assert!((1..512).contains(&taken), "some of them are to be taken: {answer}");

    for ((tenant, _), _) in TENANTS {
        let also = if tenant == "acme" { taken } else { 0 };
        let row = gateway.delivered(tenant, requests.unsigned_abs() * 256 + also).await;
        assert_eq!(row["accepted"], row["outcomes"]["delivered"], "the server refused none: {row}");
    }
    let mut by_tenant = BTreeMap::<(String, i64), Vec<_>>::new();
    for (time, points) in read(&bucket, BASE, last).await {
        for mut point in points {
            point.remove("instance");
            if let Some(bucket) = point.remove("session_bucket") {
                let number: u32 = bucket.as_str().unwrap_or_default().parse().expect("a number");
                assert!(number < 8 && point["tenant_id"] == "umbrella", "{point:?}");
            }
            let tenant = point["tenant_id"].as_str().unwrap_or_default().to_owned();
            by_tenant.entry((tenant, time.div_euclid(1_000_000))).or_default().push(point);
        }
    }
    let mut wrong = Vec::new();
    for ((tenant, mode), _) in TENANTS {
        for (at, event) in &sent[tenant] {
            let seen = by_tenant.remove(&(tenant.to_owned(), *at));
            if let Err(why) = difference(&event.meant((tenant, mode)), seen.as_ref()) {
                wrong.push(format!("{tenant}: {}\n{why}", event.body(*at)));
            }
        }
    }
    wrong.sort_by_key(String::len);
    assert!(wrong.is_empty(), "{} events are not as they were meant; the shortest:\n{}", wrong.len(), wrong[0]);
    assert!(by_tenant.is_empty(), "points that nobody sent: {by_tenant:?}");

    // Over all time: what stands there is of these measurements and tenants, and nothing else is.
    let known = ["frontend_performance", "hostile", "gateway_outcomes"];
    let mut measurements = bucket.measurements().await;
    measurements.retain(|name| !known.contains(&name.as_str()));
    assert_eq!(measurements, [""; 0]);
    let tenants =
        bucket.select("|> keep(columns: [\"tenant_id\"]) |> group() |> distinct(column: \"tenant_id\")").await;
    let mut tenants: Vec<_> = tenants.iter().map(|row| row.text("_value")).collect();
    tenants.sort_unstable();
    assert_eq!(tenants, TENANTS.map(|((tenant, _), _)| tenant));
}
