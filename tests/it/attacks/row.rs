//! Rows: an attack's own bytes, and the answers that they must get.
//!
//! Each row has a connection of its own, on which the server's answers are read to the end: one answer too many (a smuggled request that was
//! taken for one) fails the row as one too few does.

use std::fmt;
use std::io::ErrorKind;
use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::support::{ACME_KEY, Answer, Connection};

/// What an attacker sends on one connection, and what must come of it.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) send: Vec<u8>,
    pub(super) expected: Vec<Expected>,
}

/// One answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Expected {
    /// 202, and so many points under the tenant whose credential it was.
    Taken(u64),
    /// 204: nothing was stored.
    Nothing,
    /// A problem with this status and code.
    Refused(u16, &'static str),
    /// 400 `no_valid_event`, and the reason why the first event was rejected.
    Rejected(&'static str),
    /// A status, from the HTTP library itself or a route that is not for telemetry.
    Status(u16),
}

pub(super) use Expected::{Nothing, Refused, Rejected, Status, Taken};

/// A row of one request and one answer.
pub(super) fn row(name: impl Into<String>, request: &Request, expected: Expected) -> Row {
    Row { name: name.into(), send: request.bytes(), expected: vec![expected] }
}

/// A row of bytes that no client would send. The last request should ask for the connection's end, or the server must end it.
pub(super) fn raw(name: impl Into<String>, send: impl Into<Vec<u8>>, expected: &[Expected]) -> Row {
    Row { name: name.into(), send: send.into(), expected: expected.to_vec() }
}

/// One request, whose headers are not looked at here: twice the same, or a length that is not true, goes out as it is.
#[derive(Clone)]
pub(super) struct Request {
    start: String,
    headers: Vec<Vec<u8>>,
    length: bool,
    body: Vec<u8>,
}

/// `POST target`, with an event that is as good as any.
pub(super) fn post(target: impl fmt::Display) -> Request {
    Request {
        start: format!("POST {target} HTTP/1.1"),
        headers: Vec::new(),
        length: true,
        body: event().to_string().into(),
    }
}

/// The attacker's own request: acme's key in the path.
pub(super) fn keyed(body: impl Into<Vec<u8>>) -> Request {
    post(format_args!("/v1/telemetry/{ACME_KEY}")).body(body)
}

impl Request {
    /// Another request line.
    pub(super) fn start(mut self, line: impl Into<String>) -> Self {
        self.start = line.into();
        self
    }

    /// One more header.
    pub(super) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push([name.as_bytes(), b": ", value.as_ref()].concat());
        self
    }

    /// One more header line, as it is.
    pub(super) fn line(mut self, line: impl AsRef<[u8]>) -> Self {
        self.headers.push(line.as_ref().to_vec());
        self
    }

    /// `Authorization: Bearer`.
    pub(super) fn bearer(self, token: impl fmt::Display) -> Self {
        self.header("Authorization", format!("Bearer {token}"))
    }

    /// Another body.
    pub(super) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Without a `Content-Length` of ours.
    pub(super) fn without_length(mut self) -> Self {
        self.length = false;
        self
    }

    /// The last request of its connection.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.written("Connection: close\r\n")
    }

    /// A request after which the connection goes on.
    pub(super) fn kept_alive(&self) -> Vec<u8> {
        self.written("")
    }

    fn written(&self, more: &str) -> Vec<u8> {
        let mut bytes = format!("{}\r\nHost: gateway\r\n{more}", self.start).into_bytes();
        for header in &self.headers {
            bytes.extend_from_slice(header);
            bytes.extend_from_slice(b"\r\n");
        }
        if self.length {
            bytes.extend_from_slice(format!("Content-Length: {}\r\n", self.body.len()).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// An event of the attacker, without a time: each is a point of its own.
pub(super) fn event() -> Value {
    json!({"sessionId": "attack", "viewName": "v", "actionName": "a", "metrics": {"element_count": 1}})
}

/// The same with another member.
pub(super) fn event_with(member: &str, value: impl Into<Value>) -> String {
    let mut event = event();
    event[member] = value.into();
    event.to_string()
}

/// What a table's rows came to.
#[derive(Default)]
pub(super) struct Held {
    pub(super) rows: usize,
    /// Points that were taken from the attacker.
    pub(super) taken: u64,
    /// Points that were sent by the victim in between.
    pub(super) honest: u64,
    pub(super) wrong: Vec<String>,
}

impl Held {
    /// Sends a row, and remembers how it was answered if that was not as expected.
    pub(super) fn hold(&mut self, to: SocketAddr, family: &str, row: &Row) {
        self.rows += 1;
        let (answers, end) = exchange(to, &row.send);
        self.taken += answers.iter().filter(|answer| answer.status == 202).map(accepted).sum::<u64>();
        let as_expected = answers.len() == row.expected.len()
            && answers.iter().zip(&row.expected).all(|(answer, expected)| expected.is(answer));
        if !as_expected || end == End::Hangs {
            let came: Vec<String> = answers.iter().map(in_short).collect();
            let (name, expected) = (&row.name, &row.expected);
            self.wrong.push(format!("{family}: {name}: {came:?}, then {end:?}; expected {expected:?}"));
        }
    }
}

/// How a connection ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    Closed,
    /// Closed while there was more to read, or in the midst of an answer.
    Broken,
    /// Neither an answer nor an end came for long.
    Hangs,
}

/// Sends bytes on a connection of their own, and reads all answers.
pub(super) fn exchange(to: SocketAddr, bytes: &[u8]) -> (Vec<Answer>, End) {
    let mut connection = Connection::open(to);
    // A server that has refused already need not read the rest.
    let _ = connection.send(bytes);
    let mut answers = Vec::new();
    loop {
        match connection.receive() {
            Ok(answer) => answers.push(answer),
            Err(error) => return (answers, how(error.kind())),
        }
    }
}

fn how(kind: ErrorKind) -> End {
    match kind {
        ErrorKind::UnexpectedEof => End::Closed,
        ErrorKind::WouldBlock | ErrorKind::TimedOut => End::Hangs,
        _ => End::Broken,
    }
}

impl Expected {
    fn is(self, answer: &Answer) -> bool {
        let body = || serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
        match self {
            Taken(points) => answer.status == 202 && accepted(answer) == points,
            Nothing => answer.status == 204,
            Refused(status, code) => answer.status == status && body()["code"] == code,
            Rejected(reason) => {
                let body = body();
                answer.status == 400 && body["code"] == "no_valid_event" && body["rejected"][0]["reason"] == reason
            }
            Status(status) => answer.status == status,
        }
    }
}

fn accepted(answer: &Answer) -> u64 {
    serde_json::from_slice::<Value>(&answer.body).ok().and_then(|body| body["accepted"].as_u64()).unwrap_or_default()
}

fn in_short(answer: &Answer) -> String {
    format!("{} {}", answer.status, answer.text().chars().take(300).collect::<String>())
}
