//! Ways to a server: one on which a request gets stuck, and one that can be cut.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// Passes every connection on to a server, but holds back the first one whose request begins with a given text, until
/// [`Link::release`].
pub struct Link {
    address: SocketAddr,
    held: Arc<Held>,
}

#[derive(Default)]
struct Held {
    taken: AtomicBool,
    released: Mutex<bool>,
    changed: Condvar,
}

impl Link {
    /// Opens it.
    pub fn to(server: SocketAddr, hold: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of the kernel's choice");
        let address = listener.local_addr().expect("a bound listener has an address");
        let held = Arc::new(Held::default());
        let shared = Arc::clone(&held);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let held = Arc::clone(&shared);
                // A connection that breaks off is the gateway's to see.
                thread::spawn(move || pass(client, server, hold, &held));
            }
        });
        Self { address, held }
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Whether a request is, or was, held back.
    pub fn holds(&self) -> bool {
        self.held.taken.load(Ordering::SeqCst)
    }

    /// Lets it go on.
    pub fn release(&self) {
        *self.held.released.lock().expect("no holder panics") = true;
        self.held.changed.notify_all();
    }
}

fn pass(mut client: TcpStream, server: SocketAddr, hold: &str, held: &Held) -> std::io::Result<()> {
    let mut first = vec![0; 64 * 1024];
    let length = client.read(&mut first)?;
    first.truncate(length);
    if first.starts_with(hold.as_bytes()) && !held.taken.swap(true, Ordering::SeqCst) {
        let released = held.released.lock().expect("no holder panics");
        drop(held.changed.wait_while(released, |released| !*released).expect("no holder panics"));
    }
    let mut upstream = TcpStream::connect(server)?;
    upstream.write_all(&first)?;
    let (back_from, back_to) = (upstream.try_clone()?, client.try_clone()?);
    thread::spawn(move || copy(back_from, back_to));
    copy(client, upstream);
    Ok(())
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    // Either side may go at any time; the other then learns it.
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}

/// Passes every connection on to a server until it is cut: then what goes over it breaks off, and nobody gets through until it is
/// mended. A server that went away and came back, without the time that a real one needs for that.
pub struct Switch {
    address: SocketAddr,
    lines: Arc<Mutex<Lines>>,
}

#[derive(Default)]
struct Lines {
    cut: bool,
    open: Vec<TcpStream>,
}

impl Switch {
    /// Opens it.
    pub fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of the kernel's choice");
        let address = listener.local_addr().expect("a bound listener has an address");
        let lines = Arc::new(Mutex::new(Lines::default()));
        let shared = Arc::clone(&lines);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A connection that cannot be passed on breaks off: that is what a server that is away looks like.
                let _ = connect(client, server, &shared);
            }
        });
        Self { address, lines }
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The server is away from now on.
    pub fn cut(&self) {
        let mut lines = self.lines.lock().expect("no holder panics");
        lines.cut = true;
        for stream in lines.open.drain(..) {
            // The other side may have closed it before.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// The server is back.
    pub fn mend(&self) {
        self.lines.lock().expect("no holder panics").cut = false;
    }
}

fn connect(client: TcpStream, server: SocketAddr, lines: &Mutex<Lines>) -> std::io::Result<()> {
    let mut lines = lines.lock().expect("no holder panics");
    if lines.cut {
        return Ok(());
    }
    let upstream = TcpStream::connect(server)?;
    let (back_from, back_to) = (upstream.try_clone()?, client.try_clone()?);
    lines.open.extend([client.try_clone()?, upstream.try_clone()?]);
    thread::spawn(move || copy(back_from, back_to));
    thread::spawn(move || copy(client, upstream));
    Ok(())
}
