//! A small HTTP server on loopback whose answers a test decides: it reads real requests and keeps the lines that it took.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// One write as the server saw it.
pub(crate) struct Request {
    pub(crate) bucket: String,
    pub(crate) token: String,
    pub(crate) lines: Vec<String>,
    /// How many writes came before.
    pub(crate) number: usize,
}

/// The answer to one write.
pub(crate) enum Reply {
    Status(u16, String),
    /// Nothing for so long, then 204.
    Slow(Duration),
    /// Nothing for so long, then this status.
    Late(Duration, u16),
}

pub(crate) fn ok() -> Reply {
    Reply::Status(204, String::new())
}

pub(crate) fn status(status: u16) -> Reply {
    Reply::Status(status, String::new())
}

type Script = dyn Fn(&Request) -> Reply + Send + Sync;

#[derive(Default)]
struct Seen {
    writes: usize,
    in_flight: usize,
    most_in_flight: usize,
    stored: BTreeMap<String, Vec<String>>,
    sizes: Vec<usize>,
}

pub(crate) struct Server {
    port: u16,
    seen: Arc<Mutex<Seen>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(crate) async fn start(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::on(0, script).await
    }

    pub(crate) async fn on(port: u16, script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (seen, script) = (Arc::new(Mutex::new(Seen::default())), Arc::new(script));
        let kept = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, Arc::clone(&kept), Arc::clone(&script) as Arc<Script>));
            }
        });
        Self { port, seen, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn writes(&self) -> usize {
        self.seen.lock().unwrap().writes
    }

    pub(crate) fn most_in_flight(&self) -> usize {
        self.seen.lock().unwrap().most_in_flight
    }

    /// The lines of each write in the order that they came.
    pub(crate) fn sizes(&self) -> Vec<usize> {
        self.seen.lock().unwrap().sizes.clone()
    }

    /// What was answered with 204, sorted; twice delivered stands here twice.
    pub(crate) fn stored(&self, bucket: &str) -> Vec<String> {
        let mut lines = self.seen.lock().unwrap().stored.get(bucket).cloned().unwrap_or_default();
        lines.sort();
        lines
    }
}

async fn serve(stream: TcpStream, seen: Arc<Mutex<Seen>>, script: Arc<Script>) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let head = head.to_ascii_lowercase();
        assert!(head.starts_with("post /api/v2/write?") && head.contains("precision=ns"), "{head}");
        let token = head.split("authorization: token ").nth(1).unwrap().split('\r').next().unwrap().to_owned();
        let length = head.split("content-length: ").nth(1).unwrap().split('\r').next().unwrap().parse().unwrap();
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        let mut text = String::new();
        if head.contains("content-encoding: gzip") {
            flate2::read::GzDecoder::new(&body[..]).read_to_string(&mut text).unwrap();
        } else {
            text = String::from_utf8(body).unwrap();
        }
        let bucket = head.split("bucket=").nth(1).unwrap().split(['&', ' ']).next().unwrap().to_owned();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let reply = {
            let mut seen = seen.lock().unwrap();
            let request = Request { bucket: bucket.clone(), token, lines: lines.clone(), number: seen.writes };
            seen.writes += 1;
            seen.sizes.push(lines.len());
            seen.in_flight += 1;
            seen.most_in_flight = seen.most_in_flight.max(seen.in_flight);
            script(&request)
        };
        let (status, message) = match reply {
            Reply::Status(status, message) => (status, message),
            Reply::Slow(time) => {
                tokio::time::sleep(time).await;
                (204, String::new())
            }
            Reply::Late(time, status) => {
                tokio::time::sleep(time).await;
                (status, String::new())
            }
        };
        {
            let mut seen = seen.lock().unwrap();
            seen.in_flight -= 1;
            if status == 204 {
                seen.stored.entry(bucket).or_default().extend(lines);
            }
        }
        let body = serde_json::json!({ "code": "invalid", "message": message }).to_string();
        let answer = match status {
            204 => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
            status => format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}", body.len()),
        };
        if stream.get_mut().write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}
