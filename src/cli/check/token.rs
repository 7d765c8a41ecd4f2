//! `tagline check --token`: why a token is or is not taken, for somebody on call.
//!
//! One line a step. *Never*: the token or its signature.

use std::io::{Read, Write};

use secrecy::{ExposeSecret, SecretString};

use super::super::Failure;
use crate::auth::{Code, Found, Proof, Refusal, explain};
use crate::clock::Clock;
use crate::config::Settings;

/// The most that is read from stdin; the gateway looks at no token above 8 KiB.
const MAX_INPUT: u64 = 64 << 10;

/// Explains the token, or the one that stdin holds when it is `-`.
pub(super) async fn run(
    token: &SecretString,
    origin: Option<&str>,
    settings: &Settings,
    clock: &Clock,
    input: &mut dyn Read,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let token = match token.expose_secret() {
        "-" => SecretString::from(from(input)?),
        given => SecretString::from(given.to_owned()),
    };
    // As it is often copied: with the header's scheme, and a line end.
    let token = token.expose_secret().trim();
    let (scheme, rest) = token.split_at(token.find(char::is_whitespace).unwrap_or(token.len()));
    let token = if scheme.eq_ignore_ascii_case("bearer") { rest.trim() } else { token };
    if token.is_empty() {
        return Err(Failure::Misuse("--token: there is none; give the JWT, or - and the JWT on stdin".to_owned()));
    }
    let explanation = explain(settings, token, origin, clock).await.map_err(Failure::Failed)?;
    let written = |e: std::io::Error| super::broken_pipe(e);
    writeln!(out, "The token, step by step. What it says is proven by the signature alone:").map_err(written)?;
    for step in &explanation.steps {
        let (mark, text) = match &step.found {
            Found::Good(text) => ("ok", text.clone()),
            Found::Bad { code: Some(code), why } => ("NO", format!("{code}: {why}")),
            Found::Bad { code: None, why } => ("NO", why.clone()),
            Found::Note(text) => ("", text.clone()),
        };
        writeln!(out, "  {mark:2}  {:14}  {text}", step.name).map_err(written)?;
    }
    match explanation.verdict {
        Ok(tenant) => {
            let by = match tenant.proof() {
                Proof::Jwt(issuer) => format!("issuers.{issuer}"),
                Proof::UploadToken(secret) => format!("tenants.{}.upload_secrets.{secret}", tenant.id()),
                // What no token is.
                Proof::WriteKey(_) | Proof::Proxy => "another credential".to_owned(),
            };
            writeln!(out, "Taken: tenant {}, proven by {by}", tenant.id()).map_err(written)
        }
        Err(refused) => {
            let status = match refused.kind {
                Refusal::Unauthenticated => 401,
                Refusal::Forbidden => 403,
                Refusal::Limited => 429,
                Refusal::Unavailable => 503,
            };
            writeln!(out, "Not taken: {status} {}: {}", refused.code, refused.detail).map_err(written)?;
            let hint = match refused.code == Code::OriginMissing.as_str() {
                true => ": say which page sends it with --origin",
                false => "",
            };
            Err(Failure::Failed(format!("the gateway would answer {status} {}{hint}", refused.code)))
        }
    }
}

fn from(input: &mut dyn Read) -> Result<String, Failure> {
    let mut text = String::new();
    let read = input.take(MAX_INPUT).read_to_string(&mut text);
    read.map_err(|e| Failure::Misuse(format!("--token -: stdin cannot be read as text: {e}")))?;
    Ok(text)
}
