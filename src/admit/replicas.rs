//! How many replicas there are, by the addresses of a headless service's name.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::config::Replicas;

use super::Admission;

/// How often the name is looked up. A new replica's share is too large, and the others' too, for as long at the most.
const PERIOD: Duration = Duration::from_secs(10);

/// A name with more addresses than these is another's, or broken.
const MOST: usize = 10_000;

/// Keeps an [`Admission`]'s number of replicas true, until it is dropped.
#[derive(Debug)]
pub struct ReplicaWatch {
    admission: Admission,
    followed: Mutex<Followed>,
}

#[derive(Debug, Default)]
struct Followed {
    replicas: Option<Replicas>,
    task: Option<JoinHandle<()>>,
}

impl ReplicaWatch {
    /// Follows nothing yet.
    pub fn new(admission: &Admission) -> Self {
        Self { admission: admission.clone(), followed: Mutex::default() }
    }

    /// From now on so many, or as many as the name has addresses. Must be called on a tokio runtime.
    pub fn follow(&self, replicas: &Replicas) {
        let mut followed = self.lock();
        if followed.replicas.as_ref() == Some(replicas) {
            return;
        }
        followed.stop();
        followed.replicas = Some(replicas.clone());
        match replicas {
            Replicas::Fixed(number) => self.admission.set_replicas(*number),
            Replicas::Dns(name) => {
                let watched = Watched { name: name.clone(), admission: self.admission.clone(), fails: false };
                followed.task = Some(tokio::spawn(watched.look_up_again_and_again()));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Followed> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Followed {
    fn stop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A name that is looked up again and again.
struct Watched {
    name: String,
    admission: Admission,
    /// Whether the last look-up failed: it is told once.
    fails: bool,
}

impl Watched {
    async fn look_up_again_and_again(mut self) {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // The resolver has its own time-out; a lookup that takes long holds up nothing but the next one.
            let found = tokio::net::lookup_host((self.name.as_str(), 0)).await;
            self.found(found.map(|addresses| addresses.collect()));
        }
    }

    /// One answer. A failed one leaves the last number in force: replicas do not vanish because the name server does.
    fn found(&mut self, answer: io::Result<Vec<SocketAddr>>) {
        let replicas = answer.map_err(|error| error.to_string()).and_then(|addresses| count(&addresses));
        match replicas {
            Ok(replicas) => {
                let before = self.admission.replicas();
                if self.fails || before != replicas {
                    tracing::info!(
                        replicas,
                        before,
                        name = self.name,
                        "the tenants' rates are divided by the replicas found"
                    );
                }
                self.fails = false;
                self.admission.set_replicas(replicas);
            }
            Err(error) if !self.fails => {
                self.fails = true;
                tracing::warn!(
                    error,
                    name = self.name,
                    replicas = self.admission.replicas(),
                    "server.replicas: the name gives no number of replicas, the last one holds; is it the headless service's, and are replicas ready?"
                );
            }
            Err(_) => {}
        }
    }
}

/// One address a replica; with two families each replica has one of each.
fn count(addresses: &[SocketAddr]) -> Result<u32, String> {
    let distinct: BTreeSet<IpAddr> = addresses.iter().map(|address| address.ip().to_canonical()).collect();
    let v4 = distinct.iter().filter(|address| address.is_ipv4()).count();
    let replicas = v4.max(distinct.len() - v4);
    match u32::try_from(replicas) {
        Ok(number) if (1..=MOST).contains(&replicas) => Ok(number),
        _ => Err(format!("it has {replicas} addresses; 1 to {MOST} are taken")),
    }
}
