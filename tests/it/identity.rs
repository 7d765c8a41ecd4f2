//! Identity through the real door: every credential, everywhere that it can stand, and what is refused.

mod keys;
mod refusals;
mod tokens;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use tagline::auth::Code;

use crate::support::keys::{AUDIENCE, ISSUER, unix_seconds};
use crate::support::{
    ACME_KEY, GLOBEX_KEY, Gateway, SigningKey, Totals, claims, config_for, event, eventually, http, influx, now_ms,
};

const SOON: Duration = Duration::from_secs(15);

/// One request's credentials, and the answer that they must get: a status, and the code of a refusal.
struct Row<'r> {
    what: String,
    target: String,
    headers: Vec<(&'r str, String)>,
    status: u16,
    code: &'r str,
}

fn row<'r>(what: &str, target: &str, headers: &[(&'r str, &str)], status: u16, code: &'r str) -> Row<'r> {
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Row { what: what.to_owned(), target: target.to_owned(), headers, status, code }
}

/// Sends every row, and says all those that were answered otherwise.
fn hold(gateway: &Gateway, rows: &[Row<'_>]) {
    let mut wrong = Vec::new();
    for row in rows {
        let body = event(now_ms(), 1).to_string();
        let headers: Vec<_> = row.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = http::request(gateway.address(), "POST", &row.target, &headers, body.as_bytes());
        let code = if row.code.is_empty() { Value::Null } else { json!(row.code) };
        let said = serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
        if answer.status != row.status || (row.status != 202 && said["code"] != code) {
            wrong.push(format!("{}: {} {} instead of {} {}", row.what, answer.status, said, row.status, row.code));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// An issuer's settings, by its own `iss`.
pub fn issuer(key: &SigningKey, name: &str, more: &str) -> String {
    format!("{}{more}\n", key.issuer_toml(name).replace(ISSUER, &format!("https://{name}.example")))
}

/// Claims of that issuer.
pub fn claims_of(name: &str, tenant: &str) -> Value {
    let mut claims = claims(tenant);
    claims["iss"] = json!(format!("https://{name}.example"));
    claims
}
