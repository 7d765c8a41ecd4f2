//! A page on an origin of its own, and what its script has to say.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::time::Duration;

/// More results than any page of a test has to tell.
const RESULTS: usize = 1024;

/// A web server on a free port of 127.0.0.1 that serves one page and takes what its script reports.
pub struct Page {
    address: SocketAddr,
    results: Receiver<Value>,
    stopped: Arc<AtomicBool>,
}

impl Page {
    /// Serves a page whose script is this module. In it, `report(value)` sends a value to [`Page::result`], also while the page
    /// goes away.
    pub fn serve(script: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let (sender, results) = mpsc::sync_channel(RESULTS);
        let stopped = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopped);
        let html: Arc<str> = format!(
            "<!doctype html><meta charset=utf-8><title>Page of a test</title>\n\
             <script>const report = value => fetch('/result', {{method: 'POST', keepalive: true, body: JSON.stringify(value)}});\n\
             addEventListener('error', event => report({{error: String(event.message)}}));\n\
             addEventListener('unhandledrejection', event => report({{error: String(event.reason)}}));</script>\n\
             <script type=module>\n{script}\n</script>\n"
        )
        .into();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let (Ok(stream), html, sender) = (stream, Arc::clone(&html), sender.clone()) else {
                    continue;
                };
                // A browser opens connections ahead of need: one that stays silent must not hold up the others.
                std::thread::spawn(move || answer(stream, &html, &sender));
            }
        });
        Self { address, results, stopped }
    }

    /// Its origin, as the browser sends it: `http://127.0.0.1:PORT`.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("{}/", self.origin())
    }

    /// The next value that its script reports. An error that the script does not catch comes as `{"error": …}`. Fails the test
    /// after `within`.
    pub async fn result(&self, within: Duration) -> Value {
        super::super::eventually(within, || async {
            self.results.try_recv().map_err(|_| format!("no result from the page at {}", self.url()))
        })
        .await
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // Wakes the thread that waits in `incoming`.
        let _ = TcpStream::connect(self.address);
    }
}

/// Answers one request. What goes wrong here is the browser's hanging up; a test sees it as a result that does not come.
fn answer(stream: TcpStream, html: &str, results: &SyncSender<Value>) -> Option<()> {
    stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
    let mut stream = BufReader::new(stream);
    let mut request = String::new();
    stream.read_line(&mut request).ok()?;
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
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    let (status, body) = if request.starts_with("GET / ") {
        ("200 OK", html)
    } else if request.starts_with("POST /result ") {
        results.try_send(serde_json::from_slice(&body).ok()?).ok()?;
        ("204 No Content", "")
    } else {
        ("404 Not Found", "")
    };
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nConnection: close\r\n");
    let length = format!("Content-Length: {}\r\n\r\n", body.len());
    let length = if status.starts_with("204") { "\r\n" } else { &length };
    stream.get_mut().write_all(format!("{head}{length}{body}").as_bytes()).ok()
}
