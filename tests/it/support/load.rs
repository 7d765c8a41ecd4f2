//! Load that goes on while the test does something else: [`Sender`]s, each in a thread of its own.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::numbered::Sender;

/// How one sender goes about it.
#[derive(Clone, Debug)]
pub struct Pace {
    /// Events in a request, by chance.
    pub events: RangeInclusive<u64>,
    /// Milliseconds from one request to the next, by chance; a request that took longer is followed at once.
    pub every_ms: RangeInclusive<u64>,
}

/// The running senders. Dropping it stops them.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<Sender>>,
}

#[derive(Debug)]
struct Shared {
    stop: AtomicBool,
    /// Where to send to; nobody to send to while it is `None`.
    to: Mutex<Option<SocketAddr>>,
}

impl Load {
    /// Begins.
    pub fn start(to: SocketAddr, senders: impl IntoIterator<Item = (Sender, Pace)>) -> Self {
        let shared = Arc::new(Shared { stop: AtomicBool::new(false), to: Mutex::new(Some(to)) });
        let begin = |(sender, pace)| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || run(&shared, sender, &pace))
        };
        Self { threads: senders.into_iter().map(begin).collect(), shared }
    }

    /// Sends to somebody else from now on, or to nobody.
    pub fn direct(&self, to: Option<SocketAddr>) {
        *self.shared.to.lock().unwrap_or_else(PoisonError::into_inner) = to;
    }

    /// Fails the test if a sender failed.
    #[track_caller]
    pub fn check(&self) {
        assert!(
            !self.threads.iter().any(JoinHandle::is_finished),
            "a sender got an answer that it cannot use, see above"
        );
    }

    /// Ends it and gives the senders, who know what became of their events.
    pub fn stop(mut self) -> Vec<Sender> {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.threads.drain(..).map(|thread| thread.join().expect("a sender got an answer that it cannot use")).collect()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
    }
}

fn run(shared: &Shared, mut sender: Sender, pace: &Pace) -> Sender {
    let mut due = Instant::now();
    while !shared.stop.load(Ordering::SeqCst) {
        let to = *shared.to.lock().unwrap_or_else(PoisonError::into_inner);
        if to.and_then(|to| sender.send(to, fastrand::u64(pace.events.clone()))).is_none() {
            thread::sleep(Duration::from_millis(2));
            due = Instant::now();
            continue;
        }
        due = Instant::now().max(due + Duration::from_millis(fastrand::u64(pace.every_ms.clone())));
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    sender
}
