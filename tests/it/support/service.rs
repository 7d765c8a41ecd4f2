//! A small HTTP server of the test's own behind Caddy: the customers' app, or a service that verifies credentials.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Answers each request as the test says, and remembers what it got.
#[derive(Debug)]
pub struct Service {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Received {
    pub method: String,
    pub target: String,
    /// Names as they were written.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// What a [`Service`] answers.
#[derive(Debug, Clone)]
pub enum Reply {
    /// This status with these headers, and this text.
    Answer(u16, Vec<(&'static str, String)>, String),
    /// Nothing: the connection ends when the whole request has arrived.
    HangUp,
}

impl Received {
    /// All values of a header.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let of_name = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        of_name.map(|(_, value)| value.as_str()).collect()
    }

    /// The value of a header that came at most once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} came {} times: {self:?}", all.len());
        all.first().copied()
    }
}

impl Service {
    /// Starts one on a port that the kernel picks.
    pub fn start(answer: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1:0".parse().expect("an address"), answer)
    }

    /// Starts one at this address.
    pub fn start_at(address: SocketAddr, answer: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(address).unwrap_or_else(|error| panic!("{address}: {error}"));
        let address = listener.local_addr().expect("a bound listener has an address");
        let received = Arc::new(Mutex::new(Vec::new()));
        let (remembering, answer) = (Arc::clone(&received), Arc::new(answer));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (remembering, answer) = (Arc::clone(&remembering), Arc::clone(&answer));
                // A client that goes away in the middle is its own trouble.
                thread::spawn(move || serve(client, &remembering, answer.as_ref()));
            }
        });
        Self { address, received }
    }

    /// An app that says `the app` to everything.
    pub fn app() -> Self {
        Self::start(|_| Reply::Answer(200, Vec::new(), "the app".to_owned()))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it got, in the order of arrival.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().expect("no holder panics").clone()
    }

    /// What it got last; fails the test if that is nothing.
    pub fn last(&self) -> Received {
        self.received().pop().expect("the service was asked")
    }
}

fn serve(
    client: TcpStream,
    received: &Mutex<Vec<Received>>,
    answer: &dyn Fn(&Received) -> Reply,
) -> std::io::Result<()> {
    let mut client = BufReader::new(client);
    let Some(request) = read(&mut client)? else { return Ok(()) };
    received.lock().expect("no holder panics").push(request.clone());
    let Reply::Answer(status, headers, body) = answer(&request) else { return Ok(()) };
    let mut head = format!("HTTP/1.1 {status} Status\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    client.get_mut().write_all(format!("{head}\r\n{body}").as_bytes())
}

fn read(client: &mut BufReader<TcpStream>) -> std::io::Result<Option<Received>> {
    let mut line = String::new();
    if client.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_ascii_whitespace().map(str::to_owned);
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return Ok(None) };
    let mut headers = Vec::new();
    loop {
        line.clear();
        client.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut request = Received { method, target, headers, body: Vec::new() };
    if request.header("Transfer-Encoding").is_some() {
        request.body = chunks(client)?;
    } else if let Some(length) = request.header("Content-Length") {
        let mut body = vec![0; length.parse().map_err(std::io::Error::other)?];
        client.read_exact(&mut body)?;
        request.body = body;
    }
    Ok(Some(request))
}

fn chunks(client: &mut BufReader<TcpStream>) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        client.read_line(&mut line)?;
        let size = usize::from_str_radix(line.trim_end(), 16).map_err(std::io::Error::other)?;
        let start = body.len();
        body.resize(start + size, 0);
        client.read_exact(&mut body[start..])?;
        line.clear();
        // A chunk's end; after the last one, the trailer's lines up to an empty one.
        while client.read_line(&mut line)? > 2 && size == 0 {
            line.clear();
        }
        if size == 0 {
            return Ok(body);
        }
    }
}
