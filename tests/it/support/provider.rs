//! An identity provider's key server: HTTP on loopback, that publishes the keys it is given and can go away.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

/// Answers every GET with the keys of the moment, under an ETag, while it is open.
pub struct Provider {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    open: bool,
    document: String,
    requests: u64,
}

impl Provider {
    /// One that takes connections and closes them without a word, until [`Provider::open`].
    pub fn away() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of the kernel's choice");
        let address = listener.local_addr().expect("a bound listener has an address");
        let shared = Arc::new(Mutex::new(Shared::default()));
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A client that goes away in the middle is its own trouble.
                let _ = answer(client, &serving);
            }
        });
        Self { address, shared }
    }

    /// One that publishes these keys.
    pub fn with(keys: &[Value]) -> Self {
        let provider = Self::away();
        provider.open(keys);
        provider
    }

    /// Publishes these keys from now on.
    pub fn open(&self, keys: &[Value]) {
        let mut shared = self.shared.lock().expect("no holder panics");
        (shared.open, shared.document) = (true, json!({ "keys": keys }).to_string());
    }

    /// Closes every connection without a word, from now on.
    pub fn close(&self) {
        self.shared.lock().expect("no holder panics").open = false;
    }

    /// How many requests it got while it was open.
    pub fn requests(&self) -> u64 {
        self.shared.lock().expect("no holder panics").requests
    }

    /// Where the keys are.
    pub fn url(&self) -> String {
        format!("http://{}/.well-known/jwks.json", self.address)
    }
}

fn answer(mut client: TcpStream, shared: &Mutex<Shared>) -> std::io::Result<()> {
    let mut lines = BufReader::new(client.try_clone()?).lines();
    let mut head = Vec::new();
    while let Some(line) = lines.next().transpose()?.filter(|line| !line.is_empty()) {
        head.push(line.to_ascii_lowercase());
    }
    let document = {
        let mut shared = shared.lock().expect("no holder panics");
        if !shared.open {
            return Ok(());
        }
        shared.requests += 1;
        shared.document.clone()
    };
    let etag =
        format!("\"{:x}\"", document.bytes().fold(5_381_u64, |hash, byte| hash.wrapping_mul(33) ^ u64::from(byte)));
    let common = format!("ETag: {etag}\r\nCache-Control: max-age=300\r\nConnection: close\r\n");
    if head.contains(&format!("if-none-match: {etag}")) {
        return write!(client, "HTTP/1.1 304 Not Modified\r\n{common}\r\n");
    }
    write!(client, "HTTP/1.1 200 OK\r\n{common}Content-Length: {}\r\n\r\n{document}", document.len())
}
