//! `tagline setup`: the first set-up of an InfluxDB, safe to run twice.
//!
//! Standard output carries nothing but what a shell or a script takes (`export …` lines, or JSON); everything for people goes to standard error.

#[cfg(test)]
mod tests;

use std::time::Duration;

use clap::Args;
use influxdb2::Client;
use influxdb2::api::authorizations::{CreateAuthorizationRequest, ListAuthorizationsRequest};
use influxdb2::models::permission::{Action, Permission};
use influxdb2::models::resource::{Resource, Type};
use serde_json::json;

use super::Failure;
use crate::deliver::influx::{Connection, brief, bucket, client, create_bucket, organization};

/// Set up an InfluxDB: organisation, bucket, a write-only and a read-only token. Safe to run twice.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Examples:\n  eval \"$(tagline setup --url http://127.0.0.1:8086)\"\n  INFLUXDB_ADMIN_TOKEN=… tagline setup --url https://influxdb:8086 --org acme --retention 90d --json\n\nThe first user's password is read from TAGLINE_SETUP_PASSWORD, or made up and shown once."
)]
pub struct SetupArgs {
    /// Where InfluxDB listens
    #[arg(long, env = "INFLUXDB_URL", default_value = "http://127.0.0.1:8086")]
    pub url: String,
    /// Organisation
    #[arg(long, env = "INFLUXDB_ORG", default_value = "tagline")]
    pub org: String,
    /// Bucket
    #[arg(long, env = "INFLUXDB_BUCKET", default_value = "app_observability")]
    pub bucket: String,
    /// How long the bucket keeps points; 0: for ever
    #[arg(long, default_value = "30d", value_parser = retention)]
    pub retention: Duration,
    /// The first user, where InfluxDB was never set up
    #[arg(long, default_value = "admin")]
    pub username: String,
    /// The first user's password; made up and shown once if it is not given (only by this variable: arguments can be read by others)
    #[arg(skip = std::env::var("TAGLINE_SETUP_PASSWORD").ok())]
    pub password: Option<String>,
    /// A token that may make buckets and tokens, where InfluxDB was set up before
    #[arg(long, env = "INFLUXDB_ADMIN_TOKEN", hide_env_values = true)]
    pub admin_token: Option<String>,
    /// One JSON object instead of `export` lines
    #[arg(long)]
    pub json: bool,
}

fn retention(text: &str) -> Result<Duration, String> {
    let period =
        if text == "0" { Ok(Duration::ZERO) } else { humantime::parse_duration(text).map_err(|e| e.to_string()) }?;
    match period.as_secs() {
        0 if period.is_zero() => Ok(period),
        ..3_600 => Err("InfluxDB keeps points for at least 1h; 0 is for ever".to_owned()),
        seconds if i32::try_from(seconds).is_err() => Err("at most 68 years; 0 is for ever".to_owned()),
        _ => Ok(period),
    }
}

/// What stands in the end.
#[derive(Debug)]
struct Made {
    write: String,
    read: String,
    /// What the bucket keeps: the gateway rejects older points, with a reason, before InfluxDB would.
    retention: Duration,
}

/// Runs the command.
pub async fn run(args: SetupArgs) -> Result<(), Failure> {
    let made = set_up(&args).await?;
    if args.json {
        let out = json!({ "url": args.url, "org": args.org, "bucket": args.bucket, "write_token": made.write, "read_token": made.read, "retention": setting(made.retention) });
        println!("{out}");
    } else {
        println!("export INFLUXDB_URL={}", quoted(&args.url));
        println!("export INFLUXDB_ORG={}", quoted(&args.org));
        println!("export INFLUXDB_BUCKET={}", quoted(&args.bucket));
        println!("export INFLUXDB_TOKEN={}", quoted(&made.write));
        println!("export INFLUXDB_READ_TOKEN={}", quoted(&made.read));
        println!("export TAGLINE__INFLUXDB__RETENTION={}", quoted(&setting(made.retention)));
    }
    eprintln!("Ready: INFLUXDB_TOKEN may only write to {:?}, INFLUXDB_READ_TOKEN may only read from it.", args.bucket);
    Ok(())
}

async fn set_up(args: &SetupArgs) -> Result<Made, Failure> {
    let at = |what: &str, why: String| Failure::Failed(format!("{what} at {}: {why}", args.url));
    let fresh = connect(args, "")?;
    let allowed = fresh.is_onboarding_allowed().await.map_err(|e| at("asking whether InfluxDB is set up", brief(e)))?;
    let token = if allowed { onboard(args, &fresh).await? } else { admin_token(args)? };
    let api = connect(args, &token)?;
    let org = organization(&api, &args.org).await.map_err(|e| at("looking for the organisation", brief(e)))?;
    let Some(org) = org else {
        return Err(at(
            "looking for the organisation",
            format!(
                "no organisation {:?} can be seen with this token; create it (`influx org create`), or name another with --org",
                args.org
            ),
        ));
    };
    let found = bucket(&api, &org, &args.bucket).await.map_err(|e| at("looking for the bucket", brief(e)))?;
    let (bucket_id, retention) = match found {
        Some((id, kept)) => {
            if kept != args.retention {
                eprintln!(
                    "The bucket {:?} keeps points for {}, not for {}: left as it is (`influx bucket update --id {id} --retention …` changes it).",
                    args.bucket,
                    period(kept),
                    period(args.retention)
                );
            }
            (id, kept)
        }
        None => {
            create_bucket(&api, org.clone(), &args.bucket, args.retention)
                .await
                .map_err(|e| at("creating the bucket", brief(e)))?;
            let made = bucket(&api, &org, &args.bucket).await.map_err(|e| at("looking for the bucket", brief(e)))?;
            let (id, _) =
                made.ok_or_else(|| at("creating the bucket", "it cannot be seen with this token".to_owned()))?;
            eprintln!("Created the bucket {:?}, which keeps points for {}.", args.bucket, period(args.retention));
            (id, args.retention)
        }
    };
    let write = token_for(&api, &org, &bucket_id, args, Action::Write).await?;
    let read = token_for(&api, &org, &bucket_id, args, Action::Read).await?;
    Ok(Made { write, read, retention })
}

fn connect(args: &SetupArgs, token: &str) -> Result<Client, Failure> {
    let connection =
        Connection { url: &args.url, org: &args.org, token, timeout: Duration::from_secs(30), gzip: false };
    client(&connection).map_err(Failure::Misuse)
}

fn admin_token(args: &SetupArgs) -> Result<String, Failure> {
    args.admin_token.clone().ok_or_else(|| {
        Failure::Misuse(format!(
            "{} was set up before: give a token that may make buckets and tokens in INFLUXDB_ADMIN_TOKEN",
            args.url
        ))
    })
}

/// The very first set-up: user, organisation, bucket. Returns the operator token.
async fn onboard(args: &SetupArgs, fresh: &Client) -> Result<String, Failure> {
    let made_up = args.password.is_none();
    let password = args.password.clone().unwrap_or_else(password);
    let seconds = i32::try_from(args.retention.as_secs()).unwrap_or(i32::MAX);
    let answer =
        fresh.onboarding(&args.username, &args.org, &args.bucket, Some(password.clone()), None, Some(seconds)).await;
    let answer = answer.map_err(|e| Failure::Failed(format!("setting up {}: {}", args.url, brief(e))))?;
    let token = answer.auth.and_then(|auth| auth.token);
    let token = token.ok_or_else(|| Failure::Failed(format!("setting up {}: the answer held no token", args.url)))?;
    eprintln!("Set up {}: user {:?}, organisation {:?}, bucket {:?}.", args.url, args.username, args.org, args.bucket);
    if made_up {
        eprintln!("Password of {:?}, shown this once: {password}", args.username);
    }
    eprintln!("Operator token (all rights), shown this once; keep it as INFLUXDB_ADMIN_TOKEN: {token}");
    Ok(token)
}

fn password() -> String {
    // 190 bits from the operating system's source, by the same crate that guards the tokens.
    let mut bytes = [0u8; 24];
    match aws_lc_rs::rand::fill(&mut bytes) {
        Ok(()) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        // Without randomness there is no password: InfluxDB refuses an empty one by name.
        Err(_) => String::new(),
    }
}

/// The token that may only do this to the bucket; found by its description, or made.
async fn token_for(
    api: &Client,
    org: &str,
    bucket_id: &str,
    args: &SetupArgs,
    action: Action,
) -> Result<String, Failure> {
    let verb = if action == Action::Write { "write" } else { "read" };
    let description = format!("tagline {verb} {}", args.bucket);
    let at = |why: String| Failure::Failed(format!("the token {description:?} at {}: {why}", args.url));
    let resource =
        Resource { id: Some(bucket_id.to_owned()), org_id: Some(org.to_owned()), ..Resource::new(Type::Buckets) };
    let permission = Permission::new(action, resource);
    let request = ListAuthorizationsRequest { org_id: Some(org.to_owned()), ..ListAuthorizationsRequest::default() };
    let known = api.list_authorizations(request).await.map_err(|e| at(brief(e)))?;
    let known = known.authorizations.into_iter().find(|known| {
        let same = |p: &Permission| {
            p.action == action && p.resource.r#type == Type::Buckets && p.resource.id.as_deref() == Some(bucket_id)
        };
        known.description.as_deref() == Some(&description) && known.permissions.iter().all(same)
    });
    if let Some(known) = known {
        return known.token.filter(|token| !token.is_empty()).ok_or_else(|| {
            at(format!("it exists, but InfluxDB shows it no more; delete it (`influx auth delete --id {}`) and run setup again for a new one", known.id.unwrap_or_default()))
        });
    }
    let request = CreateAuthorizationRequest {
        description: Some(description.clone()),
        org_id: org.to_owned(),
        permissions: vec![permission],
        ..CreateAuthorizationRequest::default()
    };
    let made = api.create_authorization(request).await.map_err(|e| at(brief(e)))?;
    eprintln!("Made the token {description:?}.");
    made.token.ok_or_else(|| at("the answer held no token".to_owned()))
}

/// As `influxdb.retention` takes it; zero is for ever.
fn setting(retention: Duration) -> String {
    const DAY: u64 = 86_400;
    match retention.as_secs() {
        seconds if seconds > 0 && seconds % DAY == 0 => format!("{}d", seconds / DAY),
        _ => humantime::format_duration(retention).to_string(),
    }
}

fn period(retention: Duration) -> String {
    if retention.is_zero() { "ever".to_owned() } else { setting(retention) }
}

/// For a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
