//! Published keys against a real HTTP server, with a clock that the test moves.

mod choosing;
mod fetching;
pub(crate) mod provider;
mod reading;
mod reloads;
mod unknown;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::tests::forge::{b64, with};
use super::super::tests::{KEYS, NANOS, NOW, Signer, build_with, issuers, settings};
use super::super::{Authenticator, Presented};
use super::{Health, KeySets};
use crate::clock::Clock;
use crate::config::{Algorithm, Issuer, IssuerKey, Settings};
use crate::metrics::{Metrics, SpoolGauges};
use crate::outcome::Ledger;
use provider::{Provider, Reply, keys, set, status};

/// Every algorithm that goes with published keys.
const PINNED: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// Long enough for loopback on a busy machine; waited for in full only where a server says nothing.
const PATIENCE: Duration = Duration::from_secs(5);

/// What comes of a token: its tenant, or the code of the refusal and when to ask again.
type Outcome = Result<String, (&'static str, Option<u64>)>;

/// An authenticator whose only issuer publishes its keys at `provider`.
struct Gateway {
    clock: Clock,
    metrics: Arc<Metrics>,
    sets: KeySets,
    authenticator: Authenticator,
}

fn jwks_issuer(url: &str, algorithms: &[Algorithm]) -> Issuer {
    let key = IssuerKey::Jwks { url: url.to_owned() };
    Issuer { algorithms: algorithms.to_vec(), key, ..issuers().remove("rsa").unwrap() }
}

fn settings_for(url: &str) -> Settings {
    Settings { issuers: BTreeMap::from([("idp".to_owned(), jwks_issuer(url, &PINNED))]), ..settings() }
}

impl Gateway {
    fn new(url: &str) -> Self {
        Self::with_patience(url, PATIENCE)
    }

    fn with_patience(url: &str, patience: Duration) -> Self {
        let clock = Clock::manual(NOW * NANOS);
        let metrics = Arc::new(Metrics::new().unwrap());
        let sets = KeySets::with_patience(clock.clone(), Arc::clone(&metrics), patience).unwrap();
        let authenticator = build_with(&settings_for(url), &sets).unwrap();
        Self { clock, metrics, sets, authenticator }
    }

    /// One whose keys have come.
    async fn loaded(provider: &Provider) -> Self {
        let gateway = Self::new(&provider.url());
        gateway.sets.run_due().await;
        assert!(gateway.health().loaded, "{:?}", gateway.health());
        gateway
    }

    fn verify(&self, token: &str) -> Outcome {
        let presented = Presented { access_token: vec![token.to_owned()], ..Presented::default() };
        let verified = self.authenticator.verify(&presented, self.clock.now(), &|| Ok(()));
        let refused = |e: super::super::AuthError| (e.code, e.retry_after.map(|wait| wait.as_secs()));
        verified.map(|tenant| tenant.id().to_string()).map_err(refused)
    }

    /// Time passes, and what falls due by then is fetched.
    async fn after(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        self.sets.run_due().await;
    }

    /// Time passes second by second, as the task sees it.
    async fn second_by_second(&self, seconds: u64) {
        for _ in 0..seconds {
            self.after(1).await;
        }
    }

    fn version(&self) -> u64 {
        self.sets.living()[0].set().version()
    }

    fn health(&self) -> Health {
        self.sets.health().remove("idp").unwrap()
    }

    /// How many fetches ended so.
    fn fetches(&self, result: &str) -> u64 {
        let text = self.metrics.exposition(&Ledger::default(), &SpoolGauges::default(), &HashMap::new());
        let name = format!("tagline_jwks_fetches_total{{result=\"{result}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&name)).map_or(0, |count| count.parse().unwrap())
    }
}

const ACME: &str = "acme";

fn acme() -> Outcome {
    Ok(ACME.to_owned())
}

/// Claims that hold for a week of a test's time.
fn claims() -> String {
    with(json!({ "exp": NOW + 7 * 86_400 })).to_string()
}

/// A token with this header's `alg` and `kid`.
fn token(signer: &Signer, alg: &str, kid: Option<&str>) -> String {
    let header = json!({ "alg": alg, "typ": "JWT", "kid": kid });
    match alg {
        "PS256" => signer.sign_pss(&header.to_string(), &claims()),
        _ => signer.sign(&header.to_string(), &claims()),
    }
}

/// A published key with further members.
fn jwk(signer: &Signer, more: Value) -> Value {
    let mut jwk = signer.jwk();
    jwk.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    jwk
}

fn named(signer: &Signer, kid: &str) -> Value {
    jwk(signer, json!({ "kid": kid }))
}
