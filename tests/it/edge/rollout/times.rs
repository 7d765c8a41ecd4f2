//! The times of a roll-out, by the manifests.

use std::path::Path;
use std::time::Duration;

/// The real times make a test of two minutes; these are half as long. Not shorter: Caddy's health checks keep their own pace, and all of it must be
/// seen within `drain_delay`.
const FASTER: u32 = 2;

/// What of `minReadySeconds` is for a cluster's DNS, which tells a pod's old address for so long. Here addresses stay.
const DNS: Duration = Duration::from_secs(30);

/// How long each step may take or must last.
pub struct Times {
    pub pre_stop: Duration,
    pub drain_delay: Duration,
    pub drain_timeout: Duration,
    pub grace: Duration,
    pub min_ready: Duration,
    pub caddy_pre_stop: Duration,
    pub caddy_shutdown_delay: Duration,
    pub caddy_grace_period: Duration,
    pub caddy_grace: Duration,
}

impl Times {
    pub fn of_the_manifests() -> Self {
        let [gateway, caddy, caddyfile] = ["base/gateway.yaml", "base/caddy.yaml", "caddy/Caddyfile"].map(read);
        Self {
            pre_stop: behind(&gateway, &["preStop:", "seconds:"]),
            drain_delay: behind(&gateway, &["name: TAGLINE__SERVER__DRAIN_DELAY", "value:"]),
            drain_timeout: behind(&gateway, &["name: TAGLINE__SERVER__DRAIN_TIMEOUT", "value:"]),
            grace: behind(&gateway, &["terminationGracePeriodSeconds:"]),
            min_ready: (seconds(&gateway, &["minReadySeconds:"]) - DNS) / FASTER,
            caddy_pre_stop: behind(&caddy, &["preStop:", "seconds:"]),
            caddy_shutdown_delay: behind(&caddyfile, &["shutdown_delay {$CADDY_SHUTDOWN_DELAY:"]),
            caddy_grace_period: behind(&caddyfile, &["grace_period {$CADDY_GRACE_PERIOD:"]),
            caddy_grace: behind(&caddy, &["terminationGracePeriodSeconds:"]),
        }
    }
}

/// How long Caddy keeps an idle connection to a gateway, and how long the gateway does.
pub fn idle_connections() -> [Duration; 2] {
    let (caddy, gateway) = (read("caddy/common.caddy"), read("../src/http.rs"));
    [
        seconds(&caddy, &["transport http", "keepalive"]),
        seconds(&gateway, &["KEEP_ALIVE: Duration = Duration::from_secs("]),
    ]
}

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("k8s").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn behind(text: &str, words: &[&str]) -> Duration {
    seconds(text, words) / FASTER
}

/// The seconds that stand behind these words, found one after the other.
fn seconds(text: &str, words: &[&str]) -> Duration {
    let rest = words.iter().fold(text, |rest, word| match rest.split_once(word) {
        Some((_, rest)) => rest,
        None => panic!("no `{word}` (of {words:?}) in: {text}"),
    });
    let digits: String = rest.trim_start().chars().take_while(char::is_ascii_digit).collect();
    let number = digits.parse().unwrap_or_else(|error| panic!("behind {words:?}: {error}: {rest:.20}"));
    Duration::from_secs(number)
}
