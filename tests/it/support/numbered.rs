//! Numbered events, and what became of each: whoever says that an accepted point is kept must find it, once.
//!
//! The number stands in the field `element_count`, where Flux finds it again ([`numbers`]), and in `seq`. A [`Sender`] remembers
//! which of its numbers were acknowledged; [`Verdict`] holds that against what is stored.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};
use serde_json::{Map, Value, json};

use super::events::now_ms;
use super::gateway::{ACME_KEY, GLOBEX_KEY};
use super::http::{Answer, Connection};
use super::influx::{Bucket, flux_string};

/// Free tags that the catalog lists; with a value of 256 bytes each, a line is 2 KiB long and its event a few bytes.
const LONG_TAGS: [&str; 7] = ["os", "device", "app_version", "release", "locale", "connection_type", "connectionType"];

/// How many numbers a tenant's senders have: the catalog's bound on `element_count` leaves as many.
const NUMBERS: u64 = 8_000_000;

/// What a tenant's senders did so far; read while they send.
#[derive(Debug, Default)]
pub struct Counts {
    sent: AtomicU64,
    acknowledged: AtomicU64,
}

impl Counts {
    /// Events that went out or were about to.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }

    /// Events that were answered with 202.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::SeqCst)
    }
}

/// What became of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// 202.
    Acknowledged,
    /// 503: the client knows that it has to send it again.
    Refused,
    /// The connection broke, or a proxy says that its own did (502, 504): nobody knows.
    Unanswered,
}

/// One client with a connection, a session and a range of numbers of its own.
#[derive(Debug)]
pub struct Sender {
    key: &'static str,
    session: String,
    long: bool,
    /// The end of its numbers.
    end: u64,
    next: u64,
    connection: Option<(SocketAddr, Connection)>,
    /// See [`Sender::balanced`].
    balanced: bool,
    edge: Option<Edge>,
    pause: Option<Duration>,
    counts: Arc<Counts>,
    requests: Vec<(Range<u64>, Fate)>,
    /// The last refusal.
    pub refusal: Option<Answer>,
    /// All that went wrong: whose request by its first number, and what came in place of 202.
    pub failures: Vec<String>,
}

/// A proxy in between, that speaks TLS.
#[derive(Clone)]
struct Edge {
    host: String,
    tls: SslConnector,
}

impl std::fmt::Debug for Edge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Edge").field("host", &self.host).finish_non_exhaustive()
    }
}

impl Sender {
    /// The sender with this place (0 or 1) among its tenant's.
    pub fn new(key: &'static str, place: u64, counts: &Arc<Counts>) -> Self {
        Self::among(key, place, 2, counts)
    }

    /// The sender with this place among its tenant's, of which there are `count`.
    pub fn among(key: &'static str, place: u64, count: u64, counts: &Arc<Counts>) -> Self {
        assert!(place < count, "places are from 0 to {count}");
        let each = NUMBERS / count;
        Self {
            key,
            session: format!("numbered-{place}"),
            long: false,
            end: (place + 1) * each,
            next: place * each,
            connection: None,
            balanced: false,
            edge: None,
            pause: None,
            counts: Arc::clone(counts),
            requests: Vec::new(),
            refusal: None,
            failures: Vec::new(),
        }
    }

    /// Behind a load balancer, who is there for its clients at every moment: a connection stays with whom it is until the other end asks for another, whatever
    /// the address is by then; and that there is nobody to send to is a failure.
    pub fn balanced(mut self) -> Self {
        self.balanced = true;
        self
    }

    /// Through an edge that serves `host` with TLS, whoever has signed its certificate; [`Sender::balanced`].
    pub fn through(mut self, host: &str) -> Self {
        self.balanced = true;
        let mut tls = SslConnector::builder(SslMethod::tls_client()).expect("OpenSSL has a TLS client");
        tls.set_verify(SslVerifyMode::NONE);
        self.edge = Some(Edge { host: host.to_owned(), tls: tls.build() });
        self
    }

    /// Each request takes at least so long: the second half of its body comes later than the first.
    pub fn in_two_parts(mut self, pause: Duration) -> Self {
        self.pause = Some(pause);
        self
    }

    /// The same, whose lines are 2 KiB long.
    pub fn long(key: &'static str, place: u64, counts: &Arc<Counts>) -> Self {
        Self { long: true, ..Self::new(key, place, counts) }
    }

    /// The tenant that it sends for.
    pub fn tenant(&self) -> &'static str {
        if self.key == GLOBEX_KEY { "globex" } else { "acme" }
    }

    /// Sends so many events in one request. `None`: there was nobody to send them to, and nothing was sent. Fails the test by any
    /// answer but 202 and 503, and those of a proxy.
    pub fn send(&mut self, to: SocketAddr, count: u64) -> Option<Fate> {
        let mut connection = match self.connection.take() {
            Some((address, connection)) if address == to || self.balanced => connection,
            _ => match self.connect(to) {
                Ok(connection) => connection,
                Err(error) => {
                    if self.balanced {
                        self.failures.push(format!("{} before {}: no connection: {error}", self.tenant(), self.next));
                    }
                    return None;
                }
            },
        };
        let numbers = self.next..self.next + count;
        assert!(numbers.end <= self.end, "{} has no more numbers", self.session);
        let request = self.request(to, numbers.clone());
        self.next = numbers.end;
        self.counts.sent.fetch_add(count, Ordering::SeqCst);
        let fate = match self.exchange(&mut connection, &request) {
            Err(error) => {
                self.failures.push(format!("{} {}: {error}", self.tenant(), numbers.start));
                Fate::Unanswered
            }
            Ok(answer) => {
                let fate = match answer.status {
                    202 => Fate::Acknowledged,
                    503 => Fate::Refused,
                    502 | 504 if self.edge.is_some() => Fate::Unanswered,
                    status => panic!("{}: {status} {}", self.session, answer.text()),
                };
                if !answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
                    self.connection = Some((to, connection));
                }
                if fate == Fate::Acknowledged {
                    let told = answer.json();
                    assert_eq!((&told["accepted"], &told["rejectedCount"]), (&json!(count), &json!(0)), "{told}");
                    self.counts.acknowledged.fetch_add(count, Ordering::SeqCst);
                } else {
                    let what = (answer.status, answer.text());
                    self.failures.push(format!("{} {}: {what:?}", self.tenant(), numbers.start));
                    self.refusal = Some(answer);
                }
                fate
            }
        };
        self.requests.push((numbers, fate));
        Some(fate)
    }

    fn connect(&self, to: SocketAddr) -> std::io::Result<Connection> {
        let connection = Connection::try_open(to)?;
        match &self.edge {
            Some(edge) => connection.secured(&edge.tls, &edge.host),
            None => Ok(connection),
        }
    }

    fn exchange(&self, connection: &mut Connection, request: &[u8]) -> std::io::Result<Answer> {
        let (first, second) = request.split_at(if self.pause.is_some() { request.len() - 10 } else { 0 });
        connection.send(first)?;
        std::thread::sleep(self.pause.unwrap_or_default());
        connection.send(second)?;
        connection.receive()
    }

    /// The numbers of this fate.
    pub fn numbers(&self, wanted: Fate) -> impl Iterator<Item = u64> + '_ {
        self.requests.iter().filter(move |(_, fate)| *fate == wanted).flat_map(|(numbers, _)| numbers.clone())
    }

    fn request(&self, to: SocketAddr, numbers: Range<u64>) -> Vec<u8> {
        let origin = if self.key == ACME_KEY { "https://app.example" } else { "https://globex.example" };
        let body = self.body(numbers).to_string();
        let head = format!(
            "POST /v1/telemetry/{} HTTP/1.1\r\nHost: {}\r\nOrigin: {origin}\r\nContent-Length: {}\r\n\r\n",
            self.key,
            self.edge.as_ref().map_or_else(|| to.to_string(), |edge| edge.host.clone()),
            body.len()
        );
        [head.into_bytes(), body.into_bytes()].concat()
    }

    fn body(&self, numbers: Range<u64>) -> Value {
        let at = now_ms();
        let event = |number: u64| json!({"actionName": "a", "timestamp": at, "seq": number, "metrics": {"element_count": number}});
        let tags: Map<String, Value> = match self.long {
            true => LONG_TAGS.iter().map(|tag| ((*tag).to_owned(), "x".repeat(256).into())).collect(),
            false => Map::new(),
        };
        json!({"sessionId": self.session, "viewName": "v", "tags": tags, "events": numbers.map(event).collect::<Value>()})
    }
}

/// The numbers of a tenant's events that are stored, as often as they are, in order; by Flux.
pub async fn numbers(bucket: &Bucket, tenant: &str) -> Vec<u64> {
    let pipe = format!(
        "|> filter(fn: (r) => r.tenant_id == {} and r._field == \"element_count\") |> keep(columns: [\"_value\"])",
        flux_string(tenant)
    );
    let mut numbers: Vec<u64> = bucket.select(&pipe).await.iter().map(|row| row.int("_value").unsigned_abs()).collect();
    numbers.sort_unstable();
    numbers
}

/// What senders sent, held against what is stored.
#[derive(Debug)]
pub struct Verdict {
    /// Events that were acknowledged: all of them are stored, once.
    pub acknowledged: u64,
    /// Events that were not; and how many of these are stored all the same.
    pub unacknowledged: u64,
    /// See above.
    pub unacknowledged_stored: u64,
}

impl Verdict {
    /// Fails the test when an acknowledged event is missing, when one is stored twice, or when one is stored that nobody sent.
    pub fn of<'s>(senders: impl IntoIterator<Item = &'s Sender>, stored: &[u64]) -> Self {
        let (mut acknowledged, mut others) = (BTreeSet::new(), BTreeSet::new());
        for sender in senders {
            acknowledged.extend(sender.numbers(Fate::Acknowledged));
            others.extend(sender.numbers(Fate::Refused).chain(sender.numbers(Fate::Unanswered)));
        }
        let there: BTreeSet<u64> = stored.iter().copied().collect();
        let twice: Vec<u64> = stored.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
        assert!(twice.is_empty(), "{} are stored twice, such as {:?}", twice.len(), &twice[..twice.len().min(20)]);
        let few = |numbers: Vec<u64>| (numbers.len(), numbers.into_iter().take(20).collect::<Vec<_>>());
        let missing = few(acknowledged.difference(&there).copied().collect());
        assert_eq!(
            missing.0,
            0,
            "{} of {} acknowledged are not stored: {:?} …",
            missing.0,
            acknowledged.len(),
            missing.1
        );
        let rest: BTreeSet<u64> = there.difference(&acknowledged).copied().collect();
        let invented = few(rest.difference(&others).copied().collect());
        assert_eq!(invented.0, 0, "{} are stored that nobody sent: {:?} …", invented.0, invented.1);
        Self {
            acknowledged: acknowledged.len() as u64,
            unacknowledged: others.len() as u64,
            unacknowledged_stored: rest.len() as u64,
        }
    }
}
