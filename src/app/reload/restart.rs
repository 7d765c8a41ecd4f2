//! What of new settings a process that runs can take, and what takes a restart.
//!
//! Every section with such keys is taken apart by name: a new setting does not compile until somebody said here which it is.

use crate::config::{Connections, Enrich, Influx, Log, Profile, Server, Settings, SpoolSettings};

/// The settings that come into force, with what takes a restart as it is in `running`; and the keys of what would change by one.
///
/// # Errors
/// A change of the profile, of which nothing could be taken.
pub(super) fn in_a_running_process(
    running: &Settings,
    mut fresh: Settings,
) -> Result<(Settings, Vec<&'static str>), String> {
    if running.profile != fresh.profile {
        let (now, then) = match running.profile {
            Profile::Dev => ("with the demo tenant", "tenants or issuers"),
            Profile::Configured => {
                ("with configured tenants", "no tenant and no issuer, which would be the demo tenant")
            }
        };
        return Err(format!("this gateway was started {now}, and the settings now name {then}; that takes a restart"));
    }
    let mut waiting = Waiting::default();
    server(&mut waiting, &running.server, &mut fresh.server);
    influxdb(&mut waiting, &running.influxdb, &mut fresh.influxdb);
    spool(&mut waiting, &running.spool, &mut fresh.spool);

    let Enrich { replica, lane, .. } = &mut fresh.enrich;
    waiting.hold("enrich.replica", &running.enrich.replica, replica);
    *lane = running.enrich.lane;

    let Log { format, level } = &mut fresh.log;
    waiting.hold("log.format", &running.log.format, format);
    waiting.hold("log.level", &running.log.level, level);

    if running.profile == Profile::Dev {
        // Its key is made anew by each load, and stands on the screen of whoever started this.
        fresh.tenants.clone_from(&running.tenants);
    }
    Ok((fresh, waiting.0))
}

/// The keys that differ and were put back.
#[derive(Default)]
struct Waiting(Vec<&'static str>);

impl Waiting {
    fn hold<T: PartialEq + Clone>(&mut self, key: &'static str, running: &T, fresh: &mut T) {
        if fresh != running {
            self.0.push(key);
            fresh.clone_from(running);
        }
    }
}

fn server(waiting: &mut Waiting, running: &Server, fresh: &mut Server) {
    let Server {
        listen,
        admin_listen,
        workers,
        drain_delay,
        drain_timeout,
        replicas: _,
        connections: Connections { max, head_timeout, per_address: _, body_timeout: _ },
        max_body: _,
        max_inflated: _,
        max_events: _,
        trusted_proxies: _,
        proxy_secrets: _,
        admin_token: _,
        token_cookie: _,
        address: _,
        core_dumps,
    } = fresh;
    waiting.hold("server.listen", &running.listen, listen);
    waiting.hold("server.admin_listen", &running.admin_listen, admin_listen);
    waiting.hold("server.workers", &running.workers, workers);
    waiting.hold("server.drain_delay", &running.drain_delay, drain_delay);
    waiting.hold("server.drain_timeout", &running.drain_timeout, drain_timeout);
    waiting.hold("server.core_dumps", &running.core_dumps, core_dumps);
    waiting.hold("server.connections.max", &running.connections.max, max);
    waiting.hold("server.connections.head_timeout", &running.connections.head_timeout, head_timeout);
}

fn influxdb(waiting: &mut Waiting, running: &Option<Influx>, fresh: &mut Option<Influx>) {
    match (running, fresh) {
        (None, None) => {}
        (Some(running), Some(fresh)) => {
            let Influx { url, org, bucket, gzip, in_flight, token: _, create_bucket: _, timeout: _, retention: _ } =
                fresh;
            waiting.hold("influxdb.url", &running.url, url);
            waiting.hold("influxdb.org", &running.org, org);
            waiting.hold("influxdb.bucket", &running.bucket, bucket);
            // Batches that wait for their write are compressed already, or not.
            waiting.hold("influxdb.gzip", &running.gzip, gzip);
            waiting.hold("influxdb.in_flight", &running.in_flight, in_flight);
        }
        (running, fresh) => {
            waiting.0.push("influxdb");
            fresh.clone_from(running);
        }
    }
}

fn spool(waiting: &mut Waiting, running: &SpoolSettings, fresh: &mut SpoolSettings) {
    let SpoolSettings { dir, durability, max_bytes, max_memory, on_full, max_dead_letters: _, default_share: _ } =
        fresh;
    waiting.hold("spool.dir", &running.dir, dir);
    waiting.hold("spool.durability", &running.durability, durability);
    waiting.hold("spool.max_bytes", &running.max_bytes, max_bytes);
    waiting.hold("spool.max_memory", &running.max_memory, max_memory);
    waiting.hold("spool.on_full", &running.on_full, on_full);
}
