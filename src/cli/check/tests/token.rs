//! `--token`: one line a step, and the exit code that a script can go by.

use super::*;
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::auth::tests::{NANOS, NOW, Signer};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const SETTINGS: &str = "[tenants.acme]\n[issuers.main]\nissuer = \"https://login.example\"\naudience = \"telemetry\"\n\
                        algorithms = [\"HS256\"]\n";

/// What the command prints and how it ends, with this on the command line and this on stdin.
fn check(settings: &str, token: &str, stdin: &str) -> (String, Result<(), Failure>) {
    check_from(settings, token, stdin, None)
}

/// The same, from a page of this origin; beside the settings lies the file of an upload secret.
fn check_from(settings: &str, token: &str, stdin: &str, origin: Option<&str>) -> (String, Result<(), Failure>) {
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("settings.toml");
    std::fs::write(&path, settings).unwrap();
    std::fs::write(dir.path().join("upload"), SECRET).unwrap();
    let token = SecretString::from(token.to_owned());
    let args = CheckArgs { token: Some(token), origin: origin.map(str::to_owned) };
    let sources =
        Sources { file: Some(path), env: vec![("TAGLINE__ISSUERS__MAIN__HMAC_SECRET".to_owned(), SECRET.to_owned())] };
    let (clock, mut out) = (Clock::manual(NOW * NANOS), Vec::new());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ended = runtime.block_on(run(&args, &sources, &clock, &mut stdin.as_bytes(), &mut out));
    (String::from_utf8(out).unwrap(), ended)
}

fn token(changes: Value) -> String {
    let mut claims =
        json!({ "iss": "https://login.example", "aud": "telemetry", "exp": NOW + 60, "tenant_id": "acme" });
    claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    Signer::hmac(SECRET).token(&claims)
}

#[test]
fn a_token_that_is_taken_ends_with_0_from_the_command_line_and_from_stdin() {
    let good = token(json!({}));
    let stdin = [format!("{good}\n"), format!("Bearer {good}\r\n"), format!("  bearer  {good}")];
    let outs = [check(SETTINGS, &good, ""), check(SETTINGS, &format!("Bearer {good}"), "")];
    for (out, ended) in outs.into_iter().chain(stdin.iter().map(|stdin| check(SETTINGS, "-", stdin))) {
        assert_eq!(ended, Ok(()), "{out}");
        assert!(out.ends_with("Taken: tenant acme, proven by issuers.main\n"), "{out}");
        assert!(
            out.contains("\n  ok  times           ends in 1m (2026-01-01T00:01:00Z), with a leeway of 30s\n"),
            "{out}"
        );
        let (message, signature) = good.rsplit_once('.').unwrap();
        let parts = message.split('.').chain([signature, SECRET]);
        assert!(parts.into_iter().all(|part| !out.contains(part)), "{out}");
    }
}

#[test]
fn a_token_that_is_not_taken_ends_with_1_and_says_the_answer() {
    let (out, ended) = check(SETTINGS, &token(json!({ "exp": NOW - 86_400 })), "");
    let failure = ended.unwrap_err();
    assert_eq!((failure.code(), failure.to_string().as_str()), (1, "the gateway would answer 401 token_expired"));
    assert!(out.contains("\n  NO  times           token_expired: ended 1day ago (2025-12-31T00:00:00Z), "), "{out}");
    assert!(out.contains("\n  ok  signature       made with that key\n"), "{out}");
    assert!(out.lines().last().unwrap().starts_with("Not taken: 401 token_expired: "), "{out}");
    let (out, ended) = check(SETTINGS, &token(json!({ "tenant_id": "globex" })), "");
    assert_eq!(ended.unwrap_err().to_string(), "the gateway would answer 403 tenant_unknown", "{out}");
}

#[test]
fn an_upload_token_is_told_by_the_name_of_its_secret_and_asks_for_its_page() {
    let settings = format!("{SETTINGS}[tenants.acme.upload_secrets.first]\nsecret_file = \"upload\"\n");
    let claims = json!({ "iss": "tenant:acme", "aud": "tagline", "exp": NOW + 60, "origin": "https://app.example" });
    let token = Signer::hmac(SECRET).token(&claims);
    let (out, ended) = check_from(&settings, &token, "", Some("https://app.example"));
    assert_eq!(ended, Ok(()), "{out}");
    assert!(out.ends_with("Taken: tenant acme, proven by tenants.acme.upload_secrets.first\n"), "{out}");

    let (out, ended) = check_from(&settings, &token, "", None);
    let failure = ended.unwrap_err().to_string();
    assert!(failure.starts_with("the gateway would answer 403 origin_missing"), "{out}");
    assert!(failure.ends_with("say which page sends it with --origin"), "{failure}");
}

#[test]
fn another_audience_is_told_with_those_that_are_configured() {
    let (out, _) = check(SETTINGS, &token(json!({ "aud": "elsewhere" })), "");
    let step = out.lines().find(|line| line.starts_with("  NO  audience ")).unwrap();
    assert!(step.contains("token_audience") && step.ends_with("; configured: telemetry"), "{out}");
}

#[test]
fn no_token_and_bad_settings_end_with_2() {
    for stdin in ["", "\n", "Bearer \n"] {
        assert!(matches!(check(SETTINGS, "-", stdin).1, Err(Failure::Misuse(_))), "{stdin:?}");
    }
    let (out, ended) = check("[server]\nlistne = 1\n", &token(json!({})), "");
    assert_eq!(ended.unwrap_err().code(), 2);
    assert!(out.contains("settings.toml:2: "), "{out}");
}

#[test]
fn the_arguments_show_no_token() {
    let args = CheckArgs { token: Some(SecretString::from("eyJhbGciOi".to_owned())), origin: None };
    assert!(!format!("{args:?}").contains("eyJ"));
}
