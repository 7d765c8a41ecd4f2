//! `tagline setup`: an InfluxDB made ready for these settings, safe to run as often as one likes.
//!
//! Standard output carries nothing but what a shell or a script takes (`export …` lines, or JSON); everything for people goes to standard error.

mod onboard;
#[cfg(test)]
mod tests;
mod told;

use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::Failure;
use crate::answers::install::{Found, Plan, Scope, Server, SetUp, Tasks, Wanted, plan, setting};
use crate::answers::library;
use crate::config::Installation;
use crate::deliver::influx::{Connection, brief, client};

/// Set up an InfluxDB: organisation, buckets, a write-only and a read-only token, tasks. Safe to run twice.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Examples:\n  eval \"$(tagline setup --url http://127.0.0.1:8086)\"\n  INFLUXDB_ADMIN_TOKEN=… tagline setup --config tagline.toml --dry-run\n  INFLUXDB_ADMIN_TOKEN=… tagline setup --url https://influxdb:8086 --org acme --retention 90d --json\n\nThe plan is said first, on stderr: + is made, ~ is changed, - is removed, = is as it should be, ! differs and stays so.\nExit codes: 0 done · 1 could not be done · 2 the arguments or the settings are wrong · 3 with --exit-code: something would change\nThe first user's password is read from TAGLINE_SETUP_PASSWORD, or made up and shown once."
)]
pub struct SetupArgs {
    /// Where InfluxDB listens [default: influxdb.url or INFLUXDB_URL, else http://127.0.0.1:8086]
    #[arg(long)]
    pub url: Option<String>,
    /// Organisation [default: influxdb.org or INFLUXDB_ORG, else tagline]
    #[arg(long)]
    pub org: Option<String>,
    /// Bucket [default: influxdb.bucket or INFLUXDB_BUCKET: app_observability]
    #[arg(long)]
    pub bucket: Option<String>,
    /// How long the buckets of events keep points; 0: for ever [default: influxdb.retention: 30d]
    #[arg(long, value_parser = retention)]
    pub retention: Option<Duration>,
    /// The first user, where InfluxDB was never set up
    #[arg(long, default_value = "admin")]
    pub username: String,
    /// The first user's password; made up and shown once if it is not given (only by this variable: arguments can be read by others)
    #[arg(skip = std::env::var("TAGLINE_SETUP_PASSWORD").ok())]
    pub password: Option<String>,
    /// A token that may make buckets, tokens and tasks, where InfluxDB was set up before
    #[arg(long, env = "INFLUXDB_ADMIN_TOKEN", hide_env_values = true)]
    pub admin_token: Option<String>,
    /// One JSON object instead of `export` lines; with --dry-run, the plan
    #[arg(long)]
    pub json: bool,
    /// Say what would be done, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// With --dry-run: exit code 3 when something would change
    #[arg(long, requires = "dry_run")]
    pub exit_code: bool,
    /// Change the retention of buckets that exist; a shorter one deletes what is older
    #[arg(long)]
    pub update_retention: bool,
    /// Buckets and tokens alone
    #[arg(long)]
    pub no_tasks: bool,
    /// Neither make nor print tokens: for a pipeline that keeps the rest as the settings say
    #[arg(long)]
    pub no_tokens: bool,
    /// Only remove the tasks that setup made for these settings
    #[arg(long, conflicts_with_all = ["no_tasks", "update_retention"])]
    pub remove_tasks: bool,
}

pub(super) fn retention(text: &str) -> Result<Duration, String> {
    let period =
        if text == "0" { Ok(Duration::ZERO) } else { humantime::parse_duration(text).map_err(|e| e.to_string()) }?;
    match period.as_secs() {
        0 if period.is_zero() => Ok(period),
        ..3_600 => Err("InfluxDB keeps points for at least 1h; 0 is for ever".to_owned()),
        seconds if i32::try_from(seconds).is_err() => Err("at most 68 years; 0 is for ever".to_owned()),
        _ => Ok(period),
    }
}

/// Where it is, by the flags over the settings over what a fresh InfluxDB is called.
pub(super) struct Target {
    pub(super) url: String,
    pub(super) org: String,
}

impl Target {
    pub(super) fn of(url: Option<String>, org: Option<String>, installation: &Installation) -> Self {
        let url = url.or_else(|| installation.url.clone()).unwrap_or_else(|| "http://127.0.0.1:8086".to_owned());
        Self { url, org: org.or_else(|| installation.org.clone()).unwrap_or_else(|| "tagline".to_owned()) }
    }
}

impl SetupArgs {
    fn scope(&self) -> Scope {
        let tasks = match (self.remove_tasks, self.no_tasks) {
            (true, _) => Tasks::Remove,
            (false, true) => Tasks::Leave,
            (false, false) => Tasks::Install,
        };
        Scope {
            buckets: !self.remove_tasks,
            tokens: !self.no_tokens && !self.remove_tasks,
            tasks,
            update_retention: self.update_retention,
        }
    }
}

/// Runs the command.
pub async fn run(args: SetupArgs, mut installation: Installation) -> Result<(), Failure> {
    let target = Target::of(args.url.clone(), args.org.clone(), &installation);
    installation.bucket = args.bucket.clone().unwrap_or(installation.bucket);
    installation.retention = args.retention.unwrap_or(installation.retention);
    let wanted = Wanted::of(&installation, library::TASKS, args.scope()).map_err(Failure::Failed)?;

    let connection =
        Connection { url: &target.url, org: &target.org, token: "", timeout: Duration::from_secs(30), gzip: false };
    let anybody = client(&connection).map_err(Failure::Misuse)?;
    let at = |what: &str, why: String| Failure::Failed(format!("{what} at {}: {why}", target.url));
    let allowed = anybody.is_onboarding_allowed().await;
    let allowed = allowed.map_err(|error| at("asking whether InfluxDB is set up", brief(error)))?;
    if allowed && (args.dry_run || args.remove_tasks) {
        let plan = if args.remove_tasks { Plan::default() } else { plan(&Found::default(), &wanted) };
        return only_planned(&args, &target, &onboard::planned(plan, &args, &target));
    }
    let token = if allowed {
        onboard::onboard(&args, &target, &installation, &anybody).await?
    } else {
        admin_token(args.admin_token.clone(), &target)?
    };
    let server = Server::open(&target.url, &target.org, &token).await.map_err(Failure::Failed)?;
    let found = server.found(&wanted).await.map_err(Failure::Failed)?;
    let plan = plan(&found, &wanted);
    if args.dry_run {
        return only_planned(&args, &target, &plan);
    }
    told::plan(&plan, &target);
    let set_up = server.apply(&plan, &wanted).await.map_err(|why| {
        Failure::Failed(format!(
            "{why}\nWhat stands above it in the plan is done; run setup again to go on from there."
        ))
    })?;
    told::done(&plan);
    if args.remove_tasks {
        return Ok(());
    }
    print(&args, &target, &installation, &wanted, &set_up)
}

/// The token that the one needs who changes an InfluxDB.
pub(super) fn admin_token(given: Option<String>, target: &Target) -> Result<String, Failure> {
    given.filter(|token| !token.is_empty()).ok_or_else(|| {
        Failure::Misuse(format!(
            "{} was set up before: give a token that may make buckets, tokens and tasks in INFLUXDB_ADMIN_TOKEN",
            target.url
        ))
    })
}

/// The end of a dry run.
fn only_planned(args: &SetupArgs, target: &Target, plan: &Plan) -> Result<(), Failure> {
    if args.json {
        println!("{}", told::json(plan));
    }
    told::plan(plan, target);
    told::not_done(plan);
    match plan.changes() {
        changes if changes > 0 && args.exit_code => Err(Failure::Differs),
        _ => Ok(()),
    }
}

/// What a shell or a script takes.
fn print(
    args: &SetupArgs,
    target: &Target,
    installation: &Installation,
    wanted: &Wanted,
    set_up: &SetUp,
) -> Result<(), Failure> {
    let Target { url, org } = target;
    let bucket = &installation.bucket;
    // The gateway rejects older points, with a reason, before InfluxDB would.
    let kept = setting(set_up.retention.get(bucket).copied().unwrap_or(installation.retention));
    let tokens = match wanted.token_descriptions() {
        Some((write, read)) => Some((shown(set_up, write)?, shown(set_up, read)?)),
        None => None,
    };
    if args.json {
        let mut out = json!({ "url": url, "org": org, "bucket": bucket, "rollup_bucket": installation.answers.rollup_bucket, "retention": kept });
        if let Some((write, read)) = tokens {
            out["write_token"] = write.into();
            out["read_token"] = read.into();
        }
        println!("{out}");
    } else {
        println!("export INFLUXDB_URL={}", quoted(url));
        println!("export INFLUXDB_ORG={}", quoted(org));
        println!("export INFLUXDB_BUCKET={}", quoted(bucket));
        if let Some((write, read)) = tokens {
            println!("export INFLUXDB_TOKEN={}", quoted(write));
            println!("export INFLUXDB_READ_TOKEN={}", quoted(read));
        }
        println!("export TAGLINE__INFLUXDB__RETENTION={}", quoted(&kept));
    }
    if tokens.is_some() {
        eprintln!("Ready: INFLUXDB_TOKEN may only write, INFLUXDB_READ_TOKEN may only read.");
    }
    Ok(())
}

fn shown<'s>(set_up: &'s SetUp, description: &str) -> Result<&'s str, Failure> {
    set_up.tokens.get(description).and_then(Option::as_deref).ok_or_else(|| {
        Failure::Failed(format!(
            "everything is set up, but InfluxDB shows the token {description:?} no more: delete it (`influx auth list`, `influx auth delete`) and run setup again for a new one, or give --no-tokens"
        ))
    })
}

/// For a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
