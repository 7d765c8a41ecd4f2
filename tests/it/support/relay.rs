//! A way to InfluxDB that remembers whose points each write held, and what became of it.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use super::http;

/// One write.
#[derive(Clone, Debug)]
pub struct Write {
    /// InfluxDB's answer.
    pub status: u16,
    /// The tenants that had lines in it.
    pub tenants: BTreeSet<String>,
}

/// Passes requests on, one after the other on each connection. The bodies must come as they are: `influxdb.gzip = false`.
pub struct Relay {
    address: SocketAddr,
    writes: Arc<Mutex<Vec<Write>>>,
}

impl Relay {
    /// Opens it.
    pub fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of the kernel's choice");
        let address = listener.local_addr().expect("a bound listener has an address");
        let writes = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&writes);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let writes = Arc::clone(&shared);
                // A connection that breaks off is the gateway's to see.
                thread::spawn(move || serve(client, server, &writes));
            }
        });
        Self { address, writes }
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All writes so far, in the order of their answers.
    pub fn writes(&self) -> Vec<Write> {
        self.writes.lock().expect("no holder panics").clone()
    }
}

fn serve(client: TcpStream, server: SocketAddr, writes: &Mutex<Vec<Write>>) -> std::io::Result<()> {
    let mut client = BufReader::new(client);
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if client.read_until(b'\n', &mut head)? == 0 {
                return Ok(());
            }
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let mut lines = head.split("\r\n");
        let mut words = lines.next().unwrap_or_default().split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let headers: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(": ")).collect();
        let of =
            |name: &str| headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| *value);
        let mut body = vec![0; of("content-length").and_then(|length| length.parse().ok()).unwrap_or(0)];
        client.read_exact(&mut body)?;

        let kept = ["authorization", "content-type"].map(|name| of(name).map(|value| (name, value)));
        let kept: Vec<(&str, &str)> = kept.into_iter().flatten().collect();
        let answer = http::try_request(server, method, target, &kept, &body)?;
        if target.starts_with("/api/v2/write") {
            let body = String::from_utf8_lossy(&body);
            let tenant = |line: &str| Some(line.split_once("tenant_id=")?.1.split([',', ' ']).next()?.to_owned());
            let tenants = body.lines().filter_map(tenant).collect();
            writes.lock().expect("no holder panics").push(Write { status: answer.status, tenants });
        }
        let kind = answer.header("content-type").unwrap_or("text/plain");
        let head = format!(
            "HTTP/1.1 {} Relayed\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            answer.status,
            answer.body.len()
        );
        client.get_mut().write_all(&[head.as_bytes(), &answer.body].concat())?;
    }
}
