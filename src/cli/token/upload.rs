//! An upload token, as the tenant's own backend would mint it.

use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use secrecy::ExposeSecret;
use serde_json::json;

use crate::auth::upload::{AUDIENCE, LONGEST, check_token, issuer};
use crate::clock::Clock;
use crate::config::{Settings, TenantId};

use super::super::Failure;
use super::{TokenArgs, mind};

/// How long it holds unless `--ttl` says otherwise: long enough for a page, short for a thief.
const TTL: Duration = Duration::from_secs(10 * 60);

/// Mints a token for the one `--origin`, by the first of the tenant's secrets.
pub(super) fn mint(args: &TokenArgs, settings: &Settings, tenant: &TenantId, clock: &Clock) -> Result<String, Failure> {
    let misuse = |message: String| Err(Failure::Misuse(message));
    let [origin] = args.origins.as_slice() else {
        return misuse("--upload: an upload token is for one page; give its --origin, once".to_owned());
    };
    let ttl = args.ttl.unwrap_or(TTL);
    if !(Duration::from_secs(1)..=LONGEST).contains(&ttl) {
        return misuse("--ttl: an upload token holds for a second to an hour, such as 10m".to_owned());
    }
    let secret = settings.tenants.get(tenant).and_then(|tenant| tenant.upload_secrets.iter().next());
    let Some((name, secret)) = secret else {
        return misuse(format!(
            "--tenant {tenant}: it has no upload secret; add [tenants.{tenant}.upload_secrets.NAME]"
        ));
    };
    let now = clock.now();
    let seconds = clock.now_millis() / 1_000;
    let exp = seconds.saturating_add_unsigned(ttl.as_secs());
    let claims = json!({ "iss": issuer(tenant), "aud": AUDIENCE, "iat": seconds, "exp": exp, "origin": origin });
    let key = EncodingKey::from_secret(secret.expose_secret().as_bytes());
    let token = encode(&Header::new(Algorithm::HS256), &claims, &key)
        .map_err(|error| Failure::Failed(format!("the upload token cannot be signed: {error}")))?;
    check_token(settings, &token, origin, now)
        .map_err(|why| Failure::Misuse(format!("the gateway would refuse this token: {why}")))?;
    mind(settings, tenant);
    eprintln!(
        "Signed with tenants.{tenant}.upload_secrets.{name}. Send it from {origin} as `?access_token=TOKEN`, or as `Authorization: \
         Bearer TOKEN`; it holds for {}.",
        humantime::format_duration(ttl)
    );
    Ok(token)
}
