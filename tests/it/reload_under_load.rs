//! Reloads under load: each answer is one that a generation gives which was in force while its request was under way, whole; and what was accepted is
//! stored once, as that generation makes it.
//!
//! Two configurations take turns. Each has a write key, a measurement and a tag that the other has not, so that an answer tells by which of the two
//! a request was judged; and some requests can only be answered wrongly by a gateway that judges one part by the one and the rest by the other.
//! `make soak` has 200 reloads in a minute, or `RELOADS` at the same pace.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{
    ACME_KEY, Answer, Bucket, Connection, GLOBEX_KEY, Gateway, Totals, config_for, from_environment, influx, now_ms,
};

/// From one reload to the next.
const PACE: Duration = Duration::from_millis(300);

/// The key of acme that only the odd generations know.
const ODD_KEY: &str = "acme-key-of-odd-days-012345";

/// Odd or even, as the generation's number is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Half {
    Odd,
    Even,
}

const HALVES: [Half; 2] = [Half::Odd, Half::Even];

impl Half {
    fn of(generation: u64) -> Self {
        if generation % 2 == 1 { Self::Odd } else { Self::Even }
    }

    fn name(self) -> &'static str {
        if self == Self::Odd { "odd" } else { "even" }
    }

    fn knows(self, key: &str) -> bool {
        key != ODD_KEY || self == Self::Odd
    }

    fn takes(self, measurement: &str) -> bool {
        measurement == "frontend_performance" || measurement == self.name()
    }

    fn config(self, bucket: &Bucket) -> String {
        let (half, config) = (self.name(), config_for(bucket));
        let key = format!("[tenants.acme.keys.odd]\nkey = \"{ODD_KEY}\"\norigins = [\"*\"]\n");
        let key = if self.knows(ODD_KEY) { key } else { String::new() };
        let measurement = format!("[measurements.{half}]\nfields.element_count = {{ type = \"int\" }}\n");
        format!("{config}\n{measurement}\n[enrich.static_tags]\nhalf = \"{half}\"\n{key}")
    }
}

/// A kind of request.
#[derive(Debug)]
struct Kind {
    key: &'static str,
    measurements: &'static [&'static str],
    /// Its body comes some time after its head, so that a reload falls in between.
    slow: bool,
}

static KINDS: [Kind; 8] = [
    Kind { key: ACME_KEY, measurements: &["frontend_performance"], slow: false },
    Kind { key: GLOBEX_KEY, measurements: &["frontend_performance"; 3], slow: false },
    Kind { key: ODD_KEY, measurements: &["frontend_performance"], slow: false },
    Kind { key: ACME_KEY, measurements: &["odd"], slow: false },
    // One of the two is taken, whichever it is.
    Kind { key: ACME_KEY, measurements: &["odd", "even"], slow: false },
    // No generation takes this: the key is the one's, the measurement the other's.
    Kind { key: ODD_KEY, measurements: &["even"], slow: false },
    // Proven by the one, and then enriched by the other, it would be 400.
    Kind { key: ODD_KEY, measurements: &["odd"], slow: true },
    Kind { key: ACME_KEY, measurements: &["frontend_performance", "even", "odd"], slow: true },
];

/// What came of a request.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    /// 202, and which of its events were rejected.
    Accepted(Vec<usize>),
    NothingValid,
    KeyUnknown,
    Another(String),
}

impl Kind {
    /// What a generation of this half answers.
    fn by(&self, half: Half) -> Told {
        if !half.knows(self.key) {
            return Told::KeyUnknown;
        }
        let of = |index: &usize| !half.takes(self.measurements[*index]);
        let rejected: Vec<usize> = (0..self.measurements.len()).filter(of).collect();
        if rejected.len() == self.measurements.len() { Told::NothingValid } else { Told::Accepted(rejected) }
    }
}

impl Told {
    fn read(answer: &Answer) -> Self {
        let body = answer.json();
        match (answer.status, body["code"].as_str()) {
            (202, _) => {
                let rejected = body["rejected"].as_array().expect("`rejected` is a list").iter();
                assert!(rejected.clone().all(|event| event["reason"] == "unknown_measurement"), "{body}");
                Self::Accepted(rejected.map(|event| event["index"].as_u64().unwrap() as usize).collect())
            }
            (400, Some("no_valid_event")) => Self::NothingValid,
            (401, Some("write_key_unknown")) => Self::KeyUnknown,
            (status, _) => Self::Another(format!("{status} {body}")),
        }
    }
}

/// One request, from before its first byte went out until its answer was there.
#[derive(Debug)]
struct Sent {
    kind: &'static Kind,
    /// The number of its first event; the others follow.
    first: u64,
    from: Instant,
    until: Instant,
    told: Told,
}

/// Sends one kind of request after the other, of the slow ones or the others, until it is stopped.
fn run(to: SocketAddr, slow: bool, numbers: &AtomicU64, stop: &AtomicBool) -> Vec<Sent> {
    let (mut connection, mut sent) = (Connection::open(to), Vec::new());
    let mut kinds = KINDS.iter().filter(|kind| kind.slow == slow).cycle();
    while !stop.load(Ordering::SeqCst) {
        let Some(kind) = kinds.next() else { break };
        let count = kind.measurements.len() as u64;
        let first = numbers.fetch_add(count, Ordering::SeqCst);
        let body = body(kind, first).to_string();
        let origin = if kind.key == GLOBEX_KEY { "https://globex.example" } else { "https://app.example" };
        let head = format!(
            "POST /v1/telemetry/{} HTTP/1.1\r\nHost: {to}\r\nOrigin: {origin}\r\nContent-Length: {}\r\n\r\n",
            kind.key,
            body.len()
        );
        let from = Instant::now();
        let answer = if kind.slow {
            connection.send(&head).expect("the gateway takes a head");
            thread::sleep(Duration::from_millis(fastrand::u64(20..=400)));
            // Refused by its head, the answer may be there already; the connection lives on.
            connection.exchange(&body)
        } else {
            connection.exchange(format!("{head}{body}"))
        };
        sent.push(Sent { kind, first, from, until: Instant::now(), told: Told::read(&answer) });
        thread::sleep(Duration::from_millis(fastrand::u64(0..=6)));
    }
    sent
}

fn body(kind: &Kind, first: u64) -> Value {
    let at = now_ms();
    let event = |(number, measurement): (u64, &&str)| {
        json!({
            "measurement": measurement, "sessionId": "s", "viewName": "v", "actionName": "a",
            "timestamp": at, "seq": number, "metrics": {"element_count": number},
        })
    };
    (first..).zip(kind.measurements).map(event).collect()
}

/// When each generation came into force: not before, and not after. The first is in force from the start.
struct Timeline(Vec<[Instant; 2]>);

impl Timeline {
    /// The halves of which a generation was in force at some time of a request.
    fn possible(&self, sent: &Sent) -> Vec<Half> {
        let in_force = |index: &usize| {
            let ends = self.0.get(index + 1).map(|[_, latest]| *latest);
            self.0[*index][0] <= sent.until && ends.is_none_or(|ends| sent.from <= ends)
        };
        let mut halves: Vec<Half> =
            (0..self.0.len()).filter(in_force).map(|index| Half::of(index as u64 + 1)).collect();
        halves.sort_unstable();
        halves.dedup();
        halves
    }
}

/// Waits until a generation is in force.
fn await_generation(gateway: &Gateway, generation: u64) {
    let patience = Instant::now() + Duration::from_secs(30);
    while gateway.generation() != generation {
        assert!(Instant::now() < patience, "generation {generation} never came: {:?}", gateway.settings_check());
        thread::sleep(Duration::from_millis(2));
    }
}

/// Reloads so often, in pace; now and then a file comes between that is refused.
fn reload(gateway: &mut Gateway, bucket: &Bucket, reloads: u64, began: Instant) -> Timeline {
    let mut timeline = vec![[began, began]];
    for generation in 2..reloads + 2 {
        if generation % 7 == 0 {
            gateway.rewrite("[tenants.acme\n");
            gateway.signal("HUP");
            while gateway.settings_check().0 != "degraded" {
                thread::sleep(Duration::from_millis(2));
            }
        }
        let earliest = Instant::now();
        gateway.rewrite(&Half::of(generation).config(bucket));
        gateway.signal("HUP");
        await_generation(gateway, generation);
        timeline.push([earliest, Instant::now()]);
        let due = began + PACE * u32::try_from(generation - 1).unwrap();
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    Timeline(timeline)
}

/// Every answer that no generation gives which was in force; and of each accepted event by which halves it may have been made.
fn judge(timeline: &Timeline, sent: &[Sent]) -> BTreeMap<u64, (&'static str, Vec<Half>)> {
    let (mut accepted, mut wrong, mut certain) = (BTreeMap::new(), Vec::new(), 0);
    for request in sent {
        let mut halves = timeline.possible(request);
        certain += usize::from(halves.len() == 1);
        halves.retain(|half| request.kind.by(*half) == request.told);
        if halves.is_empty() {
            wrong.push(request);
        }
        if let Told::Accepted(rejected) = &request.told {
            let kept = (0..request.kind.measurements.len()).filter(|index| !rejected.contains(index));
            accepted.extend(
                kept.map(|index| (request.first + index as u64, (request.kind.measurements[index], halves.clone()))),
            );
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} answers are wrong: {:#?}",
        wrong.len(),
        sent.len(),
        &wrong[..wrong.len().min(5)]
    );
    println!(
        "{} answers, {certain} of them under one generation alone; {} events accepted",
        sent.len(),
        accepted.len()
    );
    // What crosses a reload proves less: most do not.
    assert!(certain * 2 > sent.len(), "{certain} of {} requests crossed no reload", sent.len());
    accepted
}

/// What is stored, by number: the measurement and the half that made it.
async fn stored(bucket: &Bucket) -> Vec<(u64, String, String)> {
    let pipe = "|> filter(fn: (r) => r._field == \"element_count\") |> group()
        |> keep(columns: [\"_value\", \"_measurement\", \"half\"])";
    let rows = bucket.select(pipe).await;
    let mut stored: Vec<_> = rows
        .iter()
        .map(|row| (row.int("_value").unsigned_abs(), row.text("_measurement").to_owned(), row.text("half").to_owned()))
        .collect();
    stored.sort();
    stored
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_under_reloads_is_that_of_a_generation_in_force_and_everything_accepted_is_stored_by_it() {
    let reloads = u64::from(from_environment("SOAK_RELOADS", 20));
    let bucket = influx().bucket("reload-load");
    let mut gateway = Gateway::start(&Half::Odd.config(&bucket)).await;
    let began = Instant::now();
    let (numbers, stop) = (Arc::new(AtomicU64::new(1)), Arc::new(AtomicBool::new(false)));
    let senders: Vec<JoinHandle<Vec<Sent>>> = [false, false, false, true, true]
        .into_iter()
        .map(|slow| {
            let (to, numbers, stop) = (gateway.address(), Arc::clone(&numbers), Arc::clone(&stop));
            thread::spawn(move || run(to, slow, &numbers, &stop))
        })
        .collect();
    let timeline = tokio::task::block_in_place(|| reload(&mut gateway, &bucket, reloads, began));
    stop.store(true, Ordering::SeqCst);
    let sent: Vec<Sent> =
        senders.into_iter().flat_map(|sender| sender.join().expect("every request is answered")).collect();
    println!("{} reloads in {:?}: {:?}", gateway.generation() - 1, began.elapsed(), gateway.reloads());

    let accepted = judge(&timeline, &sent);
    // Each of the answers was given: the test saw what it is about.
    for kind in &KINDS {
        for half in HALVES {
            let told = kind.by(half);
            let seen = sent.iter().any(|request| std::ptr::eq(request.kind, kind) && request.told == told);
            assert!(seen, "{kind:?} was never answered {told:?}");
        }
    }
    let of = |key: fn(&Sent) -> bool| {
        let events = |request: &Sent| match &request.told {
            Told::Accepted(rejected) => request.kind.measurements.len() - rejected.len(),
            _ => 0,
        };
        sent.iter().filter(|request| key(request)).map(events).sum::<usize>() as u64
    };
    for (tenant, points) in [
        ("globex", of(|request| request.kind.key == GLOBEX_KEY)),
        ("acme", of(|request| request.kind.key != GLOBEX_KEY)),
    ] {
        gateway.delivered(tenant, points).await;
        let row = Totals::of(&gateway, tenant);
        assert!(row.balances() && row.accepted == points && row.lost == 0, "{row:?}");
    }
    let stored = stored(&bucket).await;
    let numbers: Vec<u64> = stored.iter().map(|(number, ..)| *number).collect();
    assert_eq!(
        numbers,
        accepted.keys().copied().collect::<Vec<_>>(),
        "each accepted event is stored once, and nothing else"
    );
    for (number, measurement, half) in &stored {
        let (wanted, halves) = &accepted[number];
        assert!(
            measurement == wanted && halves.iter().any(|known| known.name() == half),
            "{number}: {measurement} by {half}, not {halves:?}"
        );
    }
}
