//! What the load benchmarks stand on: the optimised binary as a process of its own, an InfluxDB that keeps nothing, and answers read off a socket.

#![allow(dead_code, reason = "a benchmark takes what it needs")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

/// A gateway that delivers to a [`sink`].
pub struct Gateway {
    process: Child,
    /// Where events are taken.
    pub public: SocketAddr,
    admin: SocketAddr,
}

impl Gateway {
    /// Starts one by this name, with these settings after those of `[server]` that say where it listens.
    pub fn start(folder: &Path, name: &str, durability: &str, sink: SocketAddr, settings: &str) -> Self {
        let config = folder.join(format!("{name}.toml"));
        let text = format!(
            r#"
[influxdb]
url = "http://{sink}"
org = "bench"
[spool]
dir = "{}"
durability = "{durability}"
[log]
format = "text"
[server]
listen = "127.0.0.1:0"
admin_listen = "127.0.0.1:0"
drain_delay = "0s"
{settings}"#,
            folder.join(name).display()
        );
        std::fs::write(&config, text).expect("a configuration");
        let mut process = Command::new(env!("CARGO_BIN_EXE_tagline"))
            .args(["serve", "--config"])
            .arg(&config)
            .env_clear()
            .env("INFLUXDB_TOKEN", "bench")
            .env("NO_COLOR", "1")
            .stderr(Stdio::piped())
            .spawn()
            .expect("the gateway starts");
        let mut log = BufReader::new(process.stderr.take().expect("its log")).lines();
        let mut listener = |name: &str| {
            let line = log.by_ref().map_while(Result::ok).find(|line| line.contains(&format!("listener=\"{name}\"")));
            let line = line.unwrap_or_else(|| panic!("the gateway does not listen: {name}"));
            let address = line.split("address=").nth(1).and_then(|rest| rest.split_ascii_whitespace().next());
            address.and_then(|address| address.parse().ok()).expect("an address in the log")
        };
        let (public, admin) = (listener("public"), listener("admin"));
        // The rest of the log is read, or the gateway would wait for it.
        thread::spawn(move || log.for_each(drop));
        Self { process, public, admin }
    }

    /// The process's number.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// What the admin listener says at this path.
    pub fn admin(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.admin).expect("the admin listener");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").expect("a request");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an answer");
        text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).expect("an answer has a body")
    }

    /// A metric without labels.
    pub fn metric(&self, name: &str) -> u64 {
        let text = self.admin("/metrics");
        let mut values =
            text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok());
        values.next().unwrap_or(0)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The head of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    /// 0 at the end of the connection.
    pub status: u16,
    /// Seconds of `Retry-After`.
    pub retry_after: Option<u64>,
}

/// Reads one message; of a request the status means nothing.
pub fn answer(stream: &mut impl BufRead) -> Head {
    let (mut line, mut status, mut length, mut retry_after) = (String::new(), None, 0, None);
    loop {
        line.clear();
        if stream.read_line(&mut line).expect("a line") == 0 {
            return Head { status: 0, retry_after };
        }
        let line = line.trim_end();
        if status.is_none() {
            status = Some(line.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(1));
        } else if line.is_empty() {
            break;
        } else if let Some((name, value)) = line.split_once(':') {
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().expect("a length");
            } else if name.eq_ignore_ascii_case("retry-after") {
                retry_after = value.trim().parse().ok();
            }
        }
    }
    std::io::copy(&mut stream.take(length), &mut std::io::sink()).expect("a body");
    Head { status: status.unwrap_or(0), retry_after }
}

/// An InfluxDB that takes everything and keeps nothing.
pub fn sink() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let mut requests = BufReader::new(stream.try_clone().expect("a second handle"));
                while answer(&mut requests).status != 0 {
                    if (&stream).write_all(b"HTTP/1.1 204 No Content\r\n\r\n").is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}
