//! The very first set-up of an InfluxDB: user, organisation, bucket.

use influxdb2::Client;

use super::{Failure, SetupArgs, Target, brief};
use crate::answers::install::{Mark, Plan, Step};
use crate::config::Installation;

/// The plan with that before it, for an InfluxDB that nobody has set up.
pub(super) fn planned(mut plan: Plan, args: &SetupArgs, target: &Target) -> Plan {
    if !args.remove_tasks {
        let what = format!("user {:?} and organisation {:?}: the first of this InfluxDB", args.username, target.org);
        plan.steps.insert(0, Step { mark: Mark::Create, what, details: Vec::new(), action: None });
    }
    plan
}

/// Does it. Returns the operator token.
pub(super) async fn onboard(
    args: &SetupArgs,
    target: &Target,
    installation: &Installation,
    anybody: &Client,
) -> Result<String, Failure> {
    let made_up = args.password.is_none();
    let password = args.password.clone().unwrap_or_else(password);
    let seconds = i32::try_from(installation.retention.as_secs()).unwrap_or(i32::MAX);
    let (url, org, bucket, user) = (&target.url, &target.org, &installation.bucket, &args.username);
    let answer = anybody.onboarding(user, org, bucket, Some(password.clone()), None, Some(seconds)).await;
    let answer = answer.map_err(|e| Failure::Failed(format!("setting up {url}: {}", brief(e))))?;
    let token = answer.auth.and_then(|auth| auth.token);
    let token = token.ok_or_else(|| Failure::Failed(format!("setting up {url}: the answer held no token")))?;
    eprintln!("Set up {url}: user {user:?}, organisation {org:?}, bucket {bucket:?}.");
    if made_up {
        eprintln!("Password of {user:?}, shown this once: {password}");
    }
    eprintln!("Operator token (all rights), shown this once; keep it as INFLUXDB_ADMIN_TOKEN: {token}");
    Ok(token)
}

pub(super) fn password() -> String {
    // 190 bits from the operating system's source, by the same crate that guards the tokens.
    let mut bytes = [0u8; 24];
    match aws_lc_rs::rand::fill(&mut bytes) {
        Ok(()) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        // Without randomness there is no password: InfluxDB refuses an empty one by name.
        Err(_) => String::new(),
    }
}
