//! How many connections there may be: over all, and of one address.
//!
//! A connection costs memory and a file descriptor before it has said anything. So it is counted when it is accepted, and one too many is cut
//! before it is read. A trusted proxy brings the connections of many clients: it is not counted by address, and where one is listed, the
//! last eighth of the places is kept for proxies, so that strangers cannot shut them out.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::address::network;

/// The connections of one listener.
#[derive(Debug)]
pub struct Connections {
    open: Mutex<Open>,
    at_max: AtomicU64,
    at_address: AtomicU64,
    let_through: AtomicU64,
}

/// How many there may be.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    max: usize,
    max_of_strangers: usize,
    /// 0: no limit.
    per_address: u32,
    dry_run: bool,
}

#[derive(Debug)]
struct Open {
    bounds: Bounds,
    /// As many as this process has files for, whatever the settings say.
    room: usize,
    all: usize,
    /// Of addresses that have one at least: as many entries as connections at the most.
    by_address: HashMap<IpAddr, u32>,
}

/// A place for one connection; given back on drop.
#[derive(Debug)]
pub struct Connection {
    connections: Arc<Connections>,
    /// Whose; `None` of a trusted proxy.
    address: Option<IpAddr>,
}

/// Why a connection is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Denied {
    /// `server.connections.max`
    Max,
    /// `server.connections.per_address`
    PerAddress,
}

impl Bounds {
    fn of(limits: &crate::config::Connections, dry_run: bool, proxies: bool) -> Self {
        let reserved = if proxies { limits.max / 8 } else { 0 };
        let max_of_strangers = limits.max - reserved;
        Self { max: limits.max, max_of_strangers, per_address: limits.per_address, dry_run }
    }

    /// The same for so many, with the same part for proxies.
    fn within(self, room: usize) -> Self {
        if self.max <= room {
            return self;
        }
        let reserved = if self.max_of_strangers < self.max { room / 8 } else { 0 };
        Self { max: room, max_of_strangers: room - reserved, ..self }
    }
}

impl Connections {
    /// None is open. `dry_run` is of the limit per address. With `proxies` the last eighth is theirs.
    pub fn new(limits: &crate::config::Connections, dry_run: bool, proxies: bool) -> Arc<Self> {
        let bounds = Bounds::of(limits, dry_run, proxies);
        Arc::new(Self {
            open: Mutex::new(Open { bounds, room: usize::MAX, all: 0, by_address: HashMap::new() }),
            at_max: AtomicU64::new(0),
            at_address: AtomicU64::new(0),
            let_through: AtomicU64::new(0),
        })
    }

    /// Other bounds for the connections that come; those that are open stay.
    pub fn change(&self, limits: &crate::config::Connections, dry_run: bool, proxies: bool) {
        let mut open = self.lock();
        open.bounds = Bounds::of(limits, dry_run, proxies).within(open.room);
    }

    /// No more than these from now on: beyond them the next file that cannot be opened might be the log's.
    pub fn have_room_for(&self, connections: usize) {
        let mut open = self.lock();
        open.room = connections;
        open.bounds = open.bounds.within(connections);
    }

    /// A place for a connection of `peer`; `is_proxy`: it is a trusted proxy's.
    pub fn open(self: &Arc<Self>, peer: IpAddr, is_proxy: bool) -> Result<Connection, Denied> {
        let address = (!is_proxy).then(|| network(peer));
        let mut open = self.lock();
        let bounds = open.bounds;
        if open.all >= if is_proxy { bounds.max } else { bounds.max_of_strangers } {
            self.at_max.fetch_add(1, Ordering::Relaxed);
            return Err(Denied::Max);
        }
        if let Some(address) = address {
            let of_address = open.by_address.get(&address).copied().unwrap_or(0);
            if bounds.per_address > 0 && of_address >= bounds.per_address {
                if !bounds.dry_run {
                    self.at_address.fetch_add(1, Ordering::Relaxed);
                    return Err(Denied::PerAddress);
                }
                self.let_through.fetch_add(1, Ordering::Relaxed);
            }
            open.by_address.insert(address, of_address + 1);
        }
        open.all += 1;
        Ok(Connection { connections: Arc::clone(self), address })
    }

    /// Connections now.
    pub fn now(&self) -> usize {
        self.lock().all
    }

    /// Addresses that they come from, without the trusted proxies.
    pub fn addresses(&self) -> usize {
        self.lock().by_address.len()
    }

    /// Whether nine tenths of what strangers may have are taken: time to part with those that do nothing.
    pub fn is_crowded(&self) -> bool {
        let open = self.lock();
        let strangers = open.bounds.max_of_strangers;
        open.all >= strangers - strangers / 10
    }

    /// How many were cut for this reason.
    pub fn cut(&self, why: Denied) -> u64 {
        match why {
            Denied::Max => self.at_max.load(Ordering::Relaxed),
            Denied::PerAddress => self.at_address.load(Ordering::Relaxed),
        }
    }

    /// How many a dry run let through.
    pub fn let_through(&self) -> u64 {
        self.let_through.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        // What a panic could leave is a count that is off by one.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut open = self.connections.lock();
        open.all = open.all.saturating_sub(1);
        let Some(address) = self.address else {
            return;
        };
        match open.by_address.get_mut(&address) {
            Some(1) | None => {
                open.by_address.remove(&address);
            }
            Some(of_address) => *of_address -= 1,
        }
        // After a flood its memory is given back; halving keeps the cost of that small.
        let (len, capacity) = (open.by_address.len(), open.by_address.capacity());
        if capacity > 1024 && len < capacity / 8 {
            open.by_address.shrink_to(capacity / 2);
        }
    }
}
