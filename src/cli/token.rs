//! `tagline token`: credentials for trying things out. A JWT as its issuer would sign it, an upload token as a tenant's backend would
//! mint it, or a fresh write key.
//!
//! Only what is to be used goes to stdout (the token, or the lines of settings that hold the write key), so that a script can take
//! it; every hint goes to stderr. *Never*: a credential on stderr, or one that the gateway would refuse.

mod claims;
#[cfg(test)]
mod tests;
mod upload;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::{ArgGroup, Args};
use jsonwebtoken::{AlgorithmFamily, EncodingKey, Header, encode};
use secrecy::ExposeSecret;

use crate::auth::{TokenCheck, library_algorithm, rule_from_text};
use crate::clock::Clock;
use crate::config::{Issuer, IssuerKey, Settings, TenantId, Unknown};

use super::Failure;

/// Bytes of randomness in a write key: 24 make 32 characters.
const KEY_BYTES: usize = 24;

/// How long a JWT holds unless `--ttl` says otherwise.
const JWT_TTL: Duration = Duration::from_secs(60 * 60);

/// Mint a JWT or an upload token for a tenant, or make a write key, for trying things out.
#[derive(Args, Clone, Debug)]
#[command(group = ArgGroup::new("for pages").args(["write_key", "upload"]))]
#[command(after_help = "Examples:
  tagline token --config gateway.toml --tenant acme --issuer main --private-key-file key.pem
  tagline token --config gateway.toml --tenant acme --ttl 5m --claim role=tester
  tagline token --config gateway.toml --tenant acme --upload --origin https://app.example --ttl 10m
  tagline token --write-key --tenant acme --origin https://app.example")]
pub struct TokenArgs {
    /// Tenant that the credential proves
    #[arg(long, value_name = "ID", required_unless_present = "write_key")]
    pub tenant: Option<String>,
    /// Make a write key instead of a JWT, and print the lines to paste into the settings
    #[arg(long)]
    pub write_key: bool,
    /// Mint an upload token, as the tenant's own backend would, instead of a JWT of an issuer
    #[arg(long)]
    pub upload: bool,
    /// Origin that may use the write key: https://app.example, https://*.example.com or *; may be repeated. Of an upload token: the one
    /// origin that may present it
    #[arg(long = "origin", value_name = "ORIGIN", requires = "for pages")]
    pub origins: Vec<String>,
    /// Issuer to sign as, by its name in the settings; not needed where there is only one
    #[arg(long, value_name = "NAME", conflicts_with = "for pages")]
    pub issuer: Option<String>,
    /// How long the token holds [default: 1h; of an upload token 10m, and 1h at most]
    #[arg(long, visible_alias = "for", value_name = "TIME", value_parser = humantime::parse_duration)]
    pub ttl: Option<Duration>,
    /// Private key in PEM (PKCS#8) of an issuer whose settings hold only the public one
    #[arg(long, value_name = "FILE", conflicts_with = "for pages")]
    pub private_key_file: Option<PathBuf>,
    /// Further claim; the value is JSON where it can be read so, else text; may be repeated
    #[arg(long = "claim", value_name = "NAME=VALUE", conflicts_with = "for pages")]
    pub claims: Vec<String>,
}

/// Writes the credential to `out`, and hints to stderr.
pub async fn run(
    args: &TokenArgs,
    settings: Option<&Settings>,
    clock: &Clock,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let tenant = args.tenant.as_deref().map(parse_tenant).transpose()?;
    let credential = if args.write_key {
        write_key(tenant.as_ref(), &args.origins)?
    } else {
        let tenant =
            tenant.ok_or_else(|| Failure::Misuse("--tenant ID: which tenant shall the token name?".to_owned()))?;
        let settings = settings.ok_or_else(|| {
            Failure::Misuse(
                "a token is signed by the secrets and as one of the issuers of the settings: give --config FILE, or make a --write-key"
                    .to_owned(),
            )
        })?;
        match args.upload {
            true => upload::mint(args, settings, &tenant, clock)?,
            false => jwt(args, settings, &tenant, clock).await?,
        }
    };
    writeln!(out, "{credential}").map_err(|e| Failure::Failed(format!("stdout cannot be written: {e}")))
}

fn parse_tenant(text: &str) -> Result<TenantId, Failure> {
    TenantId::parse(text).ok_or_else(|| {
        Failure::Misuse(format!("--tenant {text:?} is no tenant id: 1 to 64 characters of A-Z a-z 0-9 _ -"))
    })
}

fn write_key(tenant: Option<&TenantId>, origins: &[String]) -> Result<String, Failure> {
    if let Some(bad) = origins.iter().find(|text| rule_from_text(text).is_none()) {
        return Err(Failure::Misuse(format!(
            "--origin {bad:?} is no origin: write scheme://host[:port] without a path, https://*.example.com, or *"
        )));
    }
    let mut bytes = [0; KEY_BYTES];
    rand::fill(&mut bytes).map_err(|_| Failure::Failed("the system gives no random bytes".to_owned()))?;
    let key = URL_SAFE_NO_PAD.encode(bytes);
    let table = tenant.map_or("TENANT", TenantId::as_str);
    let origins = match origins {
        [] => "[\"https://app.example\"]   # the origins of the pages that use it: change this".to_owned(),
        some => format!("[{}]", some.iter().map(|o| format!("\"{o}\"")).collect::<Vec<_>>().join(", ")),
    };
    eprintln!("Paste these lines into the settings; `web` is the key's name, and yours to choose:");
    Ok(format!("[tenants.{table}.keys.web]\nkey = \"tk_{key}\"\norigins = {origins}"))
}

async fn jwt(args: &TokenArgs, settings: &Settings, tenant: &TenantId, clock: &Clock) -> Result<String, Failure> {
    let (name, issuer) = choose_issuer(args, settings)?;
    let unfit = |what: &str| Failure::Misuse(format!("issuers.{name}.{what}"));
    let algorithm = issuer.algorithms.first().copied().map(library_algorithm);
    let algorithm = algorithm.ok_or_else(|| unfit("algorithms is empty: name at least one"))?;
    let audience = issuer.audience.first().ok_or_else(|| unfit("audience is empty: name at least one"))?;
    let key = signing_key(args, name, issuer, algorithm.family())?;
    let ttl = args.ttl.unwrap_or(JWT_TTL);
    let claims = claims::build(issuer, audience, tenant, clock, ttl, &args.claims)?;
    // Signed with a key that is not the issuer's, or too long, it would only puzzle whoever tries it.
    let one = BTreeMap::from([(name.to_owned(), issuer.clone())]);
    let check = TokenCheck::new(&one, clock).await.map_err(Failure::Failed)?;
    if let Some(why) = check.unfetched(name) {
        return Err(Failure::Failed(format!(
            "the published keys of issuers.{name}, one of which must verify the token, {why}; try again when they are there, or mend jwks_url"
        )));
    }
    let kids = check.kids(name).into_iter().map(Some);
    let mut refused = String::new();
    // Which of the published keys is this one's other half, the signature tells.
    let token = std::iter::once(None).chain(kids).find_map(|kid| {
        let token = encode(&Header { kid, ..Header::new(algorithm) }, &claims, &key);
        let checked = token.map_err(|_| "the private key cannot sign it".to_owned()).and_then(|token| {
            check.check(&token, clock.now())?;
            Ok(token)
        });
        checked.map_err(|why| refused = why).ok()
    });
    let token = token.ok_or_else(|| {
        Failure::Failed(format!(
            "the gateway would refuse this {algorithm:?} token: {refused}; give the PKCS#8 private key of issuers.{name}"
        ))
    })?;
    mind(settings, tenant);
    eprintln!("Send it as `Authorization: Bearer TOKEN`; it holds for {}.", humantime::format_duration(ttl));
    Ok(token)
}

/// Says what the gateway would refuse although the token is good.
fn mind(settings: &Settings, tenant: &TenantId) {
    let accepts = matches!(settings.tenant_defaults.unknown, Unknown::Accept { .. });
    match settings.tenants.get(tenant) {
        None if !accepts => {
            eprintln!("Mind that the settings know no tenant {tenant}: the gateway answers 403 tenant_unknown.")
        }
        Some(found) if found.disabled => {
            eprintln!("Mind that tenant {tenant} is disabled: the gateway answers 403 tenant_disabled.")
        }
        _ => {}
    }
}

fn choose_issuer<'s>(args: &'s TokenArgs, settings: &'s Settings) -> Result<(&'s str, &'s Issuer), Failure> {
    let names = || settings.issuers.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    let mut all = settings.issuers.iter();
    let chosen = match (&args.issuer, all.next(), all.next()) {
        (_, None, _) => {
            return Err(Failure::Misuse(
                "the settings hold no issuer: add an [issuers.NAME] table, or make a --write-key".to_owned(),
            ));
        }
        (Some(name), ..) => settings.issuers.get_key_value(name),
        (None, Some(only), None) => Some(only),
        (None, ..) => None,
    };
    let (name, issuer) = chosen.ok_or_else(|| Failure::Misuse(format!("--issuer NAME must be one of: {}", names())))?;
    Ok((name, issuer))
}

fn signing_key(args: &TokenArgs, name: &str, issuer: &Issuer, family: AlgorithmFamily) -> Result<EncodingKey, Failure> {
    match (&issuer.key, &args.private_key_file) {
        (IssuerKey::Hmac(secret), None) => Ok(EncodingKey::from_secret(secret.expose_secret().as_bytes())),
        (IssuerKey::Hmac(_), Some(_)) => {
            Err(Failure::Misuse(format!("issuers.{name} signs with its hmac_secret: leave --private-key-file out")))
        }
        (IssuerKey::Jwks { url }, None) => Err(Failure::Misuse(format!(
            "issuers.{name} has only the public keys that {url} publishes: give its private key with --private-key-file FILE"
        ))),
        (IssuerKey::PublicPem { path, .. }, None) => Err(Failure::Misuse(format!(
            "issuers.{name} has only a public key ({}): give its private key with --private-key-file FILE",
            path.display()
        ))),
        (IssuerKey::PublicPem { .. } | IssuerKey::Jwks { .. }, Some(file)) => {
            let pem =
                std::fs::read(file).map_err(|e| Failure::Failed(format!("{} cannot be read: {e}", file.display())))?;
            let read = match family {
                AlgorithmFamily::Rsa => EncodingKey::from_rsa_pem,
                AlgorithmFamily::Ec => EncodingKey::from_ec_pem,
                _ => EncodingKey::from_ed_pem,
            };
            read(&pem).map_err(|_| {
                Failure::Failed(format!(
                    "{} holds no {family:?} private key in PEM (PKCS#8); convert it with `openssl pkcs8 -topk8 -nocrypt`",
                    file.display()
                ))
            })
        }
    }
}
