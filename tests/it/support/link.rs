//! A way to a server on which one request gets stuck.

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
