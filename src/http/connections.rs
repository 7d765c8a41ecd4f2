//! The public listener's connections, from the moment they are accepted: counted, watched while they are quiet, and cut.
//!
//! Actix bounds the time of a connection's first head, and of an idle one; but a second head that begins and never ends has no time of its own
//! there, nor has a client that does not read its answers. So a connection on which no request is being answered for longer than an idle one
//! may last is cut here, whatever it does; and where connections run short, one that is quiet for longer than a head may take.

use std::any::Any;
use std::net::Shutdown;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use actix_web::dev::{Extensions, ServiceRequest};
use rustix::process::{Resource, getrlimit, setrlimit};
use socket2::{SockRef, Socket};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::State;
use crate::admit::Connection;
use crate::clock::monotonic;

/// How often quiet connections are looked for, and addresses that are not worth remembering.
const PERIOD: Duration = Duration::from_secs(1);

/// Files that the rest of the gateway may have open: listeners, the log, connections to InfluxDB.
const OTHER_FILES: u64 = 1024;

/// One connection as its requests see it; it ends with the connection.
struct Wire {
    _place: Connection,
    watched: Arc<Watched>,
}

/// Stands in place of [`Wire`] on a connection that was cut when it was accepted.
pub(super) struct Cut;

/// What the sweeper knows of a connection.
struct Watched {
    /// Another handle of the connection's socket, to cut it by.
    socket: Socket,
    is_proxy: bool,
    /// Requests that are being answered.
    busy: AtomicU32,
    /// When the last one ended, or the connection began, in milliseconds of [`Wires::now`].
    quiet_since: AtomicU64,
    origin: Instant,
}

/// All connections of the listener.
pub(super) struct Wires {
    origin: Instant,
    /// How long a head may take.
    head: Duration,
    /// How long a quiet connection may last.
    idle: Duration,
    watched: Mutex<Vec<Weak<Watched>>>,
}

impl Wires {
    /// A quiet connection lasts as long as `idle` says, and as a head besides: actix, which has the same time, is first.
    pub(super) fn new(head: Duration, idle: Duration) -> Self {
        Self { origin: monotonic(), head, idle: idle + head, watched: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Watched>>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cuts those that are quiet for too long, and forgets those that have ended.
    fn sweep(&self, crowded: bool) {
        let now = since(self.origin);
        let mut watched = self.lock();
        watched.retain(|connection| {
            let Some(connection) = connection.upgrade() else {
                return false;
            };
            let bound = if crowded && !connection.is_proxy { self.head } else { self.idle };
            let quiet = Duration::from_millis(now.saturating_sub(connection.quiet_since.load(Ordering::Relaxed)));
            if connection.busy.load(Ordering::Relaxed) == 0 && quiet > bound {
                cut(&connection.socket);
            }
            true
        });
        if watched.capacity() > 1024 && watched.len() < watched.capacity() / 8 {
            watched.shrink_to_fit();
        }
    }
}

/// A connection was accepted: it gets a place, or is cut before anything of it is read.
pub(super) fn accept(state: &State, wires: &Wires, stream: &dyn Any, extensions: &mut Extensions) {
    let Some(stream) = stream.downcast_ref::<TcpStream>() else {
        return;
    };
    let socket = SockRef::from(stream);
    // Without an address the connection has ended already.
    let Ok(peer) = stream.peer_addr() else {
        return;
    };
    let peer = peer.ip();
    let is_proxy = state.generation.load().authenticator.is_proxy(peer);
    let handle = socket.try_clone();
    match (state.connections.open(peer, is_proxy), handle) {
        (Ok(place), Ok(socket)) => {
            let watched = Arc::new(Watched {
                socket,
                is_proxy,
                busy: AtomicU32::new(0),
                quiet_since: AtomicU64::new(since(wires.origin)),
                origin: wires.origin,
            });
            wires.lock().push(Arc::downgrade(&watched));
            extensions.insert(Wire { _place: place, watched });
        }
        (Err(_), _) | (Ok(_), Err(_)) => {
            cut(&socket);
            extensions.insert(Cut);
        }
    }
}

/// A request is being answered on its connection, until this is dropped.
pub(super) fn busy(request: &ServiceRequest) -> Option<Busy> {
    let watched = Arc::clone(&request.conn_data::<Wire>()?.watched);
    watched.busy.fetch_add(1, Ordering::Relaxed);
    Some(Busy(watched))
}

/// See [`busy`].
pub(super) struct Busy(Arc<Watched>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.quiet_since.store(since(self.0.origin), Ordering::Relaxed);
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

fn cut(socket: &Socket) {
    // It fails only where the connection has ended already.
    let _ = socket.shutdown(Shutdown::Both);
}

fn since(origin: Instant) -> u64 {
    u64::try_from(monotonic().saturating_duration_since(origin).as_millis()).unwrap_or(u64::MAX)
}

/// Parts with quiet connections, and with addresses that need not be remembered, until it is dropped.
#[derive(Debug)]
pub(super) struct Sweeper(JoinHandle<()>);

impl Sweeper {
    pub(super) fn start(state: Arc<State>, wires: Arc<Wires>) -> Self {
        Self(tokio::spawn(async move {
            let mut ticks = interval(PERIOD);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                wires.sweep(state.connections.is_crowded());
                state.addresses.sweep();
            }
        }))
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Raises the bound on open files to what `connections` need, two each, as far as this process may. The answer is how many there is room for.
pub(super) fn allow_open_files(connections: usize) -> usize {
    let wanted = (2 * connections as u64).saturating_add(OTHER_FILES);
    let mut limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    if limit.current.is_none_or(|current| current >= wanted) {
        return connections;
    }
    limit.current = Some(wanted.min(most));
    // Refused, it is as it was: what there is room for is reckoned by what holds.
    let _ = setrlimit(Resource::Nofile, limit);
    let allowed = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let room = room_for(allowed).min(connections);
    if room < connections {
        tracing::warn!(
            files = allowed,
            connections = room,
            "server.connections.max is {connections}, which takes {wanted} open files: fewer connections are taken. Raise the limit of open files (ulimit -n, LimitNOFILE), or \
             lower the setting"
        );
    }
    room
}

/// How many connections there is room for where so many files may be open: half of what the rest leaves, and where that is little, a quarter of all.
fn room_for(files: u64) -> usize {
    let room = (files.saturating_sub(OTHER_FILES) / 2).max(files / 4).max(1);
    usize::try_from(room).unwrap_or(usize::MAX)
}
