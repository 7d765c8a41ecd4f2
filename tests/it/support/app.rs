//! The customers' app behind Caddy: it answers what its path asks for.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A web server on a free port of 127.0.0.1. `/status/404` is answered with that status, `/delay/35` after so many milliseconds,
/// `/broken` with nothing: the connection is closed. Everything else is 200.
pub struct App {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
}

impl App {
    /// Starts it.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let stopped = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopped);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                if let Ok(stream) = stream {
                    std::thread::spawn(move || serve(stream));
                }
            }
        });
        Self { address, stopped }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // Wakes the thread that waits in `incoming`.
        let _ = TcpStream::connect(self.address);
    }
}

/// Answers the requests of one connection until the other side closes it, or says what cannot be read.
fn serve(stream: TcpStream) -> Option<()> {
    stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
    stream.set_nodelay(true).ok()?;
    let mut stream = BufReader::new(stream);
    loop {
        let mut request = String::new();
        stream.read_line(&mut request).ok()?;
        let path = request.split(' ').nth(1)?.to_owned();
        let mut length = 0;
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).ok()?;
            if line.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().ok()?;
            }
        }
        stream.read_exact(&mut vec![0; length]).ok()?;
        let mut status = 200;
        match path.trim_start_matches('/').split_once('/') {
            Some(("status", number)) => status = number.parse().ok()?,
            Some(("delay", millis)) => std::thread::sleep(Duration::from_millis(millis.parse().ok()?)),
            None if path == "/broken" => return None,
            _ => {}
        }
        let body = if matches!(status, 204 | 304) || request.starts_with("HEAD ") { "" } else { "app" };
        let length = if status == 204 { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        stream.get_mut().write_all(format!("HTTP/1.1 {status} App\r\n{length}\r\n{body}").as_bytes()).ok()?;
    }
}
