//! An issuer's HTTP server on loopback, that answers as a test wishes.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What it does with a request.
#[derive(Clone)]
pub(crate) enum Reply {
    /// 200 with these further headers (each with its line end) and this body; 304 where the request has the ETag of these headers.
    Ok { headers: String, body: String },
    /// These very bytes.
    Raw(Vec<u8>),
    /// A head that announces a body, and one byte of it; then nothing more.
    Stall,
    /// Nothing at all, for as long as the client waits.
    Hang,
}

/// The set with these keys.
pub(crate) fn set(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

/// 200 with these keys, and no word of how long they hold.
pub(crate) fn keys(keys: &[Value]) -> Reply {
    Reply::Ok { headers: String::new(), body: set(keys) }
}

/// A status without a body.
pub(crate) fn status(line: &str, headers: &str) -> Reply {
    Reply::Raw(format!("HTTP/1.1 {line}\r\n{headers}Content-Length: 0\r\nConnection: close\r\n\r\n").into_bytes())
}

struct Shared {
    reply: Mutex<Reply>,
    /// The heads of the requests, as they came.
    requests: Mutex<Vec<String>>,
}

pub(crate) struct Provider {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: Option<JoinHandle<()>>,
}

impl Provider {
    pub(crate) async fn start(reply: Reply) -> Self {
        let shared = Arc::new(Shared { reply: Mutex::new(reply), requests: Mutex::default() });
        let mut provider = Self { address: SocketAddr::from(([127, 0, 0, 1], 0)), shared, serving: None };
        provider.listen().await;
        provider
    }

    async fn listen(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.address = listener.local_addr().unwrap();
        let shared = Arc::clone(&self.shared);
        self.serving = Some(tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A client that goes away in the middle is part of some tests.
                tokio::spawn(answer(stream, Arc::clone(&shared)));
            }
        }));
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/keys?tenant=common", self.address)
    }

    pub(crate) fn reply(&self, reply: Reply) {
        *self.shared.reply.lock().unwrap() = reply;
    }

    /// Nobody listens any more.
    pub(crate) async fn go_away(&mut self) {
        let serving = self.serving.take().unwrap();
        serving.abort();
        let _ = serving.await;
    }

    pub(crate) async fn come_back(&mut self) {
        self.listen().await;
    }

    /// How many requests came.
    pub(crate) fn count(&self) -> usize {
        self.shared.requests.lock().unwrap().len()
    }

    /// The head of the last request, in lower case.
    pub(crate) fn last(&self) -> String {
        self.shared.requests.lock().unwrap().last().unwrap().to_ascii_lowercase()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

async fn answer(mut stream: TcpStream, shared: Arc<Shared>) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head).unwrap();
    shared.requests.lock().unwrap().push(head.clone());
    let reply = shared.reply.lock().unwrap().clone();
    match reply {
        Reply::Ok { headers, body } => {
            let value = |text: &str, name: &str| {
                let line = text.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")))?;
                Some(line.split_once(':')?.1.trim().to_owned())
            };
            let etag = value(&headers, "etag");
            let text = if etag.is_some() && etag == value(&head, "if-none-match") {
                format!("HTTP/1.1 304 Not Modified\r\n{headers}Connection: close\r\n\r\n")
            } else {
                let length = body.len();
                format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}")
            };
            stream.write_all(text.as_bytes()).await?;
        }
        Reply::Raw(bytes) => stream.write_all(&bytes).await?,
        Reply::Stall => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{").await?;
            // Until the client has had enough.
            stream.read_u8().await?;
        }
        Reply::Hang => drop(stream.read_u8().await?),
    }
    stream.shutdown().await
}
