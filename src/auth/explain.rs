//! Why a token is or is not taken, step by step: for somebody on call, not for callers.
//!
//! The steps go through the same lines as a request does, and the verdict is that of a request. What a token says may be shown, and
//! whoever shows it must say that nothing is proven before the signature is; the signature is never shown.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::authenticator::Authenticator;
use super::claims::{Claims, TenantClaim};
use super::jwks::{KeySets, shown};
use super::jwt::Issuers;
use super::origin::Origin;
use super::token::{Parts, Window};
use super::upload::UploadSecrets;
use super::{AuthError, Directory, Presented, Tenant};
use crate::clock::{Clock, UnixNanos};
use crate::config::{IssuerKey, Settings, TenantId, Unknown};
use crate::metrics::Metrics;

/// Every step, and what the gateway would answer.
#[derive(Debug)]
pub(crate) struct Explanation {
    pub(crate) steps: Vec<Step>,
    pub(crate) verdict: Result<Tenant, AuthError>,
}

/// One step on a token's way.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) found: Found,
}

/// What a step found.
#[derive(Debug)]
pub(crate) enum Found {
    /// It holds.
    Good(String),
    /// It does not: with the code that a request would get, if this were all.
    Bad { code: Option<&'static str>, why: String },
    /// Neither: told for the reader.
    Note(String),
}

/// The steps so far.
pub(super) struct Steps<'s> {
    settings: &'s Settings,
    all: Vec<Step>,
}

/// Explains a token, as one of `Authorization: Bearer` from a page of this origin. Keys that its issuer publishes are fetched.
pub(crate) async fn explain(
    settings: &Settings,
    token: &str,
    origin: Option<&str>,
    clock: &Clock,
) -> Result<Explanation, String> {
    let now = clock.now();
    let mut steps = Steps { settings, all: Vec::new() };
    let sets = KeySets::new(clock.clone(), Arc::new(Metrics::new().map_err(|e| e.to_string())?))?;
    let parts = Parts::read(token);
    // Only the keys of the token's own issuer are worth a fetch.
    let mut narrowed = settings.clone();
    let claimed = parts.as_ref().ok().and_then(|parts| parts.claims.issuer());
    narrowed.issuers.retain(|_, issuer| Some(issuer.issuer.as_str()) == claimed);
    let directory = Arc::new(Directory::of(settings, &Arc::default()));
    let authenticator = Authenticator::new(&narrowed, directory, &sets)?;
    steps.tell("form", parts.as_ref(), |_| format!("a JWT of {} bytes", token.len()));
    if let Ok(parts) = &parts {
        let issuers = Issuers::new(&narrowed.issuers, &sets)?;
        steps.header(parts);
        steps.says(&parts.claims, issuers.tenant_claim(&parts.claims));
        if UploadSecrets::issued(&parts.claims) {
            let uploads = UploadSecrets::new(&settings.tenants)?;
            let checked = uploads.check(parts, now, &|| Ok(())).and_then(|verdict| verdict.says);
            steps.tell("upload token", checked, |says| format!("of tenant {}, signed by its backend", says.tenant));
        } else {
            steps.issuer(&parts.claims, &narrowed);
            issuers.explain(parts, &sets, now, &mut steps).await;
            steps.published(&narrowed, &sets);
        }
    }
    let headers: Vec<&[u8]> = origin.iter().map(|origin| origin.as_bytes()).collect();
    let bearer = format!("Bearer {token}");
    let presented =
        Presented { authorization: vec![bearer.as_bytes()], origin: headers.clone(), ..Presented::default() };
    let verdict = authenticator.verify(&presented, now, &|| Ok(()));
    if origin.is_some() {
        steps.origin(&headers, &verdict);
    }
    Ok(Explanation { steps: steps.all, verdict })
}

impl Steps<'_> {
    /// A step that a request takes too.
    pub(super) fn tell<T, E: std::borrow::Borrow<AuthError>>(
        &mut self,
        name: &'static str,
        found: Result<T, E>,
        good: impl FnOnce(T) -> String,
    ) {
        let found = match found {
            Ok(found) => Found::Good(good(found)),
            Err(error) => bad(error.borrow()),
        };
        self.all.push(Step { name, found });
    }

    fn note(&mut self, name: &'static str, text: String) {
        self.all.push(Step { name, found: Found::Note(text) });
    }

    fn header(&mut self, parts: &Parts<'_>) {
        let kid = parts.header.kid.as_ref().map_or_else(|| "no kid".to_owned(), |kid| format!("kid {}", value(kid)));
        self.note(
            "header",
            format!("alg {}, {kid}; keys or addresses of keys in it would not be read", shown(&parts.header.alg)),
        );
    }

    /// What the token claims to be.
    fn says(&mut self, claims: &Claims, tenant_claim: Option<&TenantClaim>) {
        let named =
            |name: &str| claims.get(name).map_or_else(|| format!("no {name}"), |v| format!("{name} {}", value(v)));
        let mut said: Vec<String> = ["iss", "aud"].map(named).to_vec();
        for name in ["exp", "nbf"] {
            let time = claims
                .get(name)
                .and_then(Value::as_f64)
                .map(|seconds| format!("{name} {}", instant((seconds as i128).saturating_mul(SECOND))));
            said.push(time.unwrap_or_else(|| named(name)));
        }
        if let Some(claim) = tenant_claim {
            let (TenantClaim::Name(place) | TenantClaim::Pointer(place)) = claim;
            let names = claims.naming(claim);
            said.push(names.map_or_else(|| format!("no {place}"), |v| format!("{place} {}", value(v))));
        }
        self.note("says", said.join(", "));
    }

    fn issuer(&mut self, claims: &Claims, narrowed: &Settings) {
        let found = match narrowed.issuers.keys().next() {
            Some(name) => Found::Good(format!("issuers.{name}")),
            None => {
                let all: Vec<String> = self
                    .settings
                    .issuers
                    .iter()
                    .map(|(name, i)| format!("issuers.{name} {}", shown(&i.issuer)))
                    .collect();
                let all = if all.is_empty() { "there is none".to_owned() } else { all.join(", ") };
                let iss = claims.get("iss").map_or_else(|| "missing".to_owned(), value);
                let why = format!("the token's iss ({iss}) is none of the issuers that are configured: {all}");
                Found::Bad { code: Some(super::Code::TokenIssuerUnknown.as_str()), why }
            }
        };
        self.all.push(Step { name: "issuer", found });
    }

    /// Both windows of the token: without the leeway, for people, and with it.
    pub(super) fn times(
        &mut self,
        plain: Result<Window, AuthError>,
        lenient: Result<Window, AuthError>,
        leeway: Duration,
        now: UnixNanos,
    ) {
        let told = plain.as_ref().map_or_else(
            |_| String::new(),
            |window| {
                let end = distance(window.until, now, "ends", "ended");
                let start = window.from.map(|from| distance(from, now, "begins", "began"));
                let start = start.map_or_else(String::new, |start| format!("{start}, "));
                format!("{start}{end}, with a leeway of {}", humantime::format_duration(leeway))
            },
        );
        let found = match lenient.and_then(|window| window.check(now)) {
            Ok(()) => Found::Good(told),
            Err(error) => Found::Bad {
                code: Some(error.code),
                why: [told, error.detail].join(": ").trim_start_matches(": ").to_owned(),
            },
        };
        self.all.push(Step { name: "times", found });
    }

    /// What came from the issuer's URL; put before the key that was looked for there.
    fn published(&mut self, narrowed: &Settings, sets: &KeySets) {
        let Some((name, issuer)) = narrowed.issuers.iter().next() else { return };
        let IssuerKey::Jwks { url } = &issuer.key else { return };
        let failing = sets.health().remove(name).and_then(|health| health.failing);
        let found = match (sets.keys_of(name), failing) {
            (Some(keys), None) => Found::Good(format!("{} from {url}: {}", keys.len(), keys.names().join(", "))),
            (_, failing) => {
                let why = failing.map_or_else(|| "nothing came".to_owned(), |(_, why)| why);
                Found::Bad { code: None, why: format!("could not be fetched from {url}: {why}") }
            }
        };
        let at = self.all.iter().position(|step| step.name == "key").unwrap_or(self.all.len());
        self.all.insert(at, Step { name: "published keys", found });
    }

    /// Whether the tenant is one here.
    pub(super) fn tenant(&mut self, tenant: Option<&TenantId>) {
        let Some(tenant) = tenant else { return };
        let refused =
            |code: super::Code, why: &str| Found::Bad { code: Some(code.as_str()), why: format!("{tenant} {why}") };
        let found = match self.settings.tenants.get(tenant) {
            Some(found) if found.disabled => refused(super::Code::TenantDisabled, "is switched off (disabled = true)"),
            Some(_) => Found::Good(format!("{tenant} is configured")),
            None => match self.settings.tenant_defaults.unknown {
                Unknown::Reject => refused(super::Code::TenantUnknown, "is not configured: add it to the tenants"),
                Unknown::Accept { .. } => {
                    Found::Good(format!("{tenant} is not listed, and tenant_defaults.unknown = \"accept\" takes it"))
                }
            },
        };
        self.all.push(Step { name: "tenant", found });
    }

    fn origin(&mut self, headers: &[&[u8]], verdict: &Result<Tenant, AuthError>) {
        let host = verdict.as_ref().ok().and_then(Tenant::host);
        let found = match (Origin::read(headers), host) {
            (Err(error), _) => bad(&error),
            (Ok(Origin::Malformed), _) => bad(&Origin::malformed()),
            (Ok(_), Some(host)) => Found::Good(format!("one of the tenant's: its points get host {}", shown(host))),
            (Ok(_), None) => Found::Note(
                "none of the tenant's that could be told: a token is taken all the same, without the tag host; in a cookie it would not be"
                    .to_owned(),
            ),
        };
        self.all.push(Step { name: "origin", found });
    }
}

fn bad(error: &AuthError) -> Found {
    Found::Bad { code: Some(error.code), why: error.detail.clone() }
}

const SECOND: i128 = 1_000_000_000;

/// A value of somebody else's: escaped, and not long.
fn value(value: &Value) -> String {
    match value {
        Value::String(text) => shown(text),
        // JSON escapes control characters; what is left to do is to cut it.
        other => {
            let text = other.to_string();
            let mut short: String = text.chars().filter(|c| c.is_ascii()).take(64).collect();
            if short.len() < text.len() {
                short.push('…');
            }
            short
        }
    }
}

/// An instant for people; one that no calendar has, as a number.
fn instant(nanos: i128) -> String {
    match u64::try_from(nanos / SECOND) {
        Ok(seconds) if (0..=253_402_300_799).contains(&seconds) => {
            humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + Duration::from_secs(seconds)).to_string()
        }
        _ => format!("{} seconds after 1970", nanos / SECOND),
    }
}

/// How far an instant is ahead or behind, and which it is.
fn distance(at: i128, now: UnixNanos, ahead: &str, behind: &str) -> String {
    let away = at.saturating_sub(now.into()) / SECOND;
    let length = Duration::from_secs(u64::try_from(away.unsigned_abs()).unwrap_or(u64::MAX).min(1 << 40));
    let length = humantime::format_duration(length);
    match away {
        0.. => format!("{ahead} in {length} ({})", instant(at)),
        _ => format!("{behind} {length} ago ({})", instant(at)),
    }
}
