//! What the command prints, the gateway takes.

use std::time::Duration;

use clap::{Args, Command, FromArgMatches};

use super::{TokenArgs, run};
use crate::auth::jwks_provider::{Provider, keys};
use crate::auth::tests::{KEYS, NANOS, NOW, Signer, build, settings};
use crate::auth::{Presented, Proof};
use crate::cli::Failure;
use crate::clock::Clock;
use crate::config::{IssuerKey, OriginRule, Settings, TenantId, WriteKey};

fn parse(line: &str) -> Result<TokenArgs, clap::Error> {
    let command = TokenArgs::augment_args(Command::new("token"));
    let matches = command.try_get_matches_from(line.split_whitespace())?;
    TokenArgs::from_arg_matches(&matches)
}

fn token(line: &str, settings: Option<&Settings>) -> Result<String, Failure> {
    let args = parse(line).unwrap_or_else(|e| panic!("{e}"));
    let mut out = Vec::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(run(&args, settings, &Clock::manual(NOW * NANOS), &mut out))?;
    Ok(String::from_utf8(out).unwrap())
}

fn misuse(line: &str, settings: Option<&Settings>) -> String {
    match token(line, settings) {
        Err(Failure::Misuse(message)) => message,
        other => panic!("{line}: {other:?}"),
    }
}

/// The tenant that the gateway sees in a token, some time after it was minted.
fn tenant_of(token: &str, after: Duration) -> Result<(String, Proof), &'static str> {
    let presented = Presented { access_token: vec![token.trim_end().to_owned()], ..Presented::default() };
    let now = NOW * NANOS + after.as_nanos() as i64;
    let tenant = build(&settings()).unwrap().verify(&presented, now, &|| Ok(())).map_err(|refused| refused.code)?;
    Ok((tenant.id().to_string(), tenant.proof().clone()))
}

fn key_file(signer: &Signer) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), signer.private_pem()).unwrap();
    file
}

#[test]
fn a_minted_token_is_taken_by_the_gateway() {
    let settings = settings();
    let keys = [("rsa", Some(&KEYS.rsa)), ("ec", Some(&KEYS.ec)), ("ed", Some(&KEYS.ed)), ("hmac", None)];
    for (issuer, signer) in keys {
        let file = signer.map(key_file);
        let key = file.as_ref().map(|f| format!("--private-key-file {}", f.path().display())).unwrap_or_default();
        let line = format!("token --tenant acme --issuer {issuer} {key} --ttl 5m");
        let minted = token(&line, Some(&settings)).unwrap();
        assert_eq!(minted.lines().count(), 1, "the token alone");
        let expected = Ok(("acme".to_owned(), Proof::Jwt(issuer.to_owned())));
        assert_eq!(tenant_of(&minted, Duration::from_secs(299)), expected);
        assert_eq!(tenant_of(&minted, Duration::from_secs(331)), Err("token_expired"));
    }
}

#[test]
fn a_pointer_is_filled_on_the_way_to_the_tenant() {
    let mut settings = settings();
    settings.issuers.get_mut("hmac").unwrap().tenant_claim = "/ctx/tenant~1id".to_owned();
    let minted = token(
        "token --tenant acme --issuer hmac --claim ctx={\"role\":\"x\"} --claim n=7 --claim s=x=y",
        Some(&settings),
    );
    let minted = minted.unwrap();
    let presented = Presented { access_token: vec![minted.trim_end().to_owned()], ..Presented::default() };
    let tenant = build(&settings).unwrap().verify(&presented, NOW * NANOS, &|| Ok(())).unwrap();
    assert_eq!(tenant.id().as_str(), "acme");
}

#[test]
fn a_minted_upload_token_is_taken_from_its_page() {
    let settings = settings();
    let gateway = build(&settings).unwrap();
    for (tenant, line) in [
        ("acme", "token --tenant acme --upload --origin https://app.example"),
        ("strict", "token --tenant strict --upload --origin HTTPS://App.Example:443 --for 10m"),
    ] {
        let minted = token(line, Some(&settings)).unwrap();
        assert_eq!(minted.lines().count(), 1, "the token alone");
        let from = |origin: &'static str, after: i64| {
            let token = vec![minted.trim_end().to_owned()];
            let presented = Presented { access_token: token, origin: vec![origin.as_bytes()], ..Presented::default() };
            let tenant = gateway.verify(&presented, (NOW + after) * NANOS, &|| Ok(()));
            tenant.map(|tenant| tenant.id().to_string()).map_err(|refused| refused.code)
        };
        assert_eq!(from("https://app.example", 0).as_deref(), Ok(tenant));
        assert_eq!(from("https://app.example", 629).as_deref(), Ok(tenant));
        assert_eq!(from("https://app.example", 630), Err("token_expired"));
        assert_eq!(from("https://evil.example", 0), Err("origin_not_allowed"));
    }
}

#[test]
fn an_issuers_table_says_which_value_the_token_holds() {
    let mut settings = settings();
    let tenants = [("42".to_owned(), TenantId::parse("globex").unwrap())].into();
    settings.issuers.get_mut("hmac").unwrap().tenants = tenants;
    let minted = token("token --tenant globex --issuer hmac", Some(&settings)).unwrap();
    let presented = Presented { access_token: vec![minted.trim_end().to_owned()], ..Presented::default() };
    let tenant = build(&settings).unwrap().verify(&presented, NOW * NANOS, &|| Ok(())).unwrap();
    assert_eq!(tenant.id().as_str(), "globex");
}

#[test]
fn a_token_for_an_issuer_that_publishes_keys_says_which_of_them_verifies_it() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let named = |signer: &Signer, kid: &str| {
        let mut jwk = signer.jwk();
        jwk["kid"] = kid.into();
        jwk
    };
    let provider = runtime.block_on(Provider::start(keys(&[named(&KEYS.other_rsa, "a"), named(&KEYS.rsa, "b")])));
    let mut settings = settings();
    settings.issuers.get_mut("rsa").unwrap().key = IssuerKey::Jwks { url: provider.url() };
    let file = key_file(&KEYS.rsa);
    let line = format!("token --tenant acme --issuer rsa --private-key-file {}", file.path().display());
    let minted = token(&line, Some(&settings)).unwrap();
    let header = jsonwebtoken::decode_header(minted.trim_end()).unwrap();
    assert_eq!(header.kid.as_deref(), Some("b"));

    // With a key that is not published, or with none, there is no token that would be taken.
    runtime.block_on(async { provider.reply(keys(&[named(&KEYS.other_rsa, "a")])) });
    assert!(matches!(token(&line, Some(&settings)), Err(Failure::Failed(_))));
    drop((provider, runtime));
    let Err(Failure::Failed(message)) = token(&line, Some(&settings)) else { panic!("nobody answers") };
    assert!(message.contains("could not be fetched from http://") && message.contains("/"), "{message}");
    assert!(!message.contains("give the PKCS#8"), "the key is not at fault: {message}");
}

#[test]
fn a_private_key_of_another_issuer_is_told_before_the_token_is_used() {
    let settings = settings();
    for (signer, name) in [(&KEYS.other_rsa, "another RSA key"), (&KEYS.ec, "another kind of key")] {
        let file = key_file(signer);
        let line = format!("token --tenant acme --issuer rsa --private-key-file {}", file.path().display());
        let Err(Failure::Failed(message)) = token(&line, Some(&settings)) else { panic!("{name}") };
        assert!(message.contains("private key"), "{name}: {message}");
    }
}

#[test]
fn every_misuse_says_what_to_do() {
    let settings = settings();
    let mut none = settings.clone();
    none.issuers.clear();
    let mut mapped = settings.clone();
    let mut issuer = mapped.issuers.remove("hmac").unwrap();
    issuer.tenants.insert("42".to_owned(), TenantId::parse("globex").unwrap());
    mapped.issuers.insert("mapped".to_owned(), issuer);
    let cases = [
        ("token --tenant acme", None, "--config"),
        ("token --tenant acme", Some(&none), "[issuers.NAME]"),
        ("token --tenant acme", Some(&settings), "ec, ed, hmac, rsa"),
        ("token --tenant acme --issuer nobody", Some(&settings), "ec, ed, hmac, rsa"),
        ("token --tenant acme --issuer rsa", Some(&settings), "--private-key-file"),
        ("token --tenant acme --issuer hmac --private-key-file x.pem", Some(&settings), "leave --private-key-file out"),
        ("token --tenant a,b --issuer hmac", Some(&settings), "no tenant id"),
        ("token --tenant acme --issuer hmac --ttl 0s", Some(&settings), "--ttl"),
        ("token --tenant acme --issuer hmac --claim role", Some(&settings), "NAME=VALUE"),
        ("token --tenant acme --issuer hmac --claim exp=1", Some(&settings), "--ttl"),
        ("token --tenant acme --issuer hmac --claim tid=beta", Some(&settings), "--tenant"),
        ("token --tenant acme --upload --origin https://app.example", None, "--config"),
        ("token --tenant acme --upload", Some(&settings), "--origin"),
        ("token --tenant acme --upload --origin https://a.example --origin https://b.example", Some(&settings), "once"),
        ("token --tenant acme --upload --origin *", Some(&settings), "no *"),
        ("token --tenant acme --upload --origin https://*.example", Some(&settings), "no *"),
        ("token --tenant acme --upload --origin https://app.example --ttl 61m", Some(&settings), "an hour"),
        ("token --tenant acme --upload --origin https://app.example --ttl 10ms", Some(&settings), "an hour"),
        ("token --tenant globex --upload --origin https://app.example", Some(&settings), "no upload secret"),
        ("token --tenant acme --issuer mapped", Some(&mapped), "stands for it"),
        ("token --write-key --origin app.example", None, "scheme://host"),
        ("token --write-key --origin https://app.example/", None, "without a path"),
    ];
    for (line, settings, expected) in cases {
        let message = misuse(line, settings);
        assert!(message.contains(expected), "{line}: {message}");
    }
    assert!(parse("token").is_err(), "a tenant is needed");
    assert!(parse("token --tenant acme --origin *").is_err(), "origins go with write keys");
    assert!(parse("token --tenant acme --ttl soon").is_err());
    assert!(parse("token --tenant acme --upload --write-key").is_err());
    assert!(parse("token --tenant acme --upload --issuer rsa").is_err());
    assert!(parse("token --upload --origin https://app.example").is_err(), "a tenant is needed");
}

#[test]
fn a_write_key_comes_as_lines_that_can_be_pasted() {
    let text =
        token("token --write-key --tenant acme --origin https://app.example --origin https://*.acme.example", None)
            .unwrap();
    let settings: toml_edit::DocumentMut = text.parse().unwrap();
    let table = &settings["tenants"]["acme"]["keys"]["web"];
    let key = table["key"].as_str().unwrap();
    assert_eq!(key.len(), 35);
    assert!(key.strip_prefix("tk_").unwrap().bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)), "{key}");
    assert_eq!(table["origins"].as_array().unwrap().len(), 2);
    let again = token("token --write-key", None).unwrap();
    assert!(!again.contains(key), "a fresh key each time");
    again.parse::<toml_edit::DocumentMut>().unwrap();
}

#[test]
fn a_made_write_key_is_taken_by_the_gateway() {
    let text = token("token --write-key --tenant acme --origin *", None).unwrap();
    let pasted: toml_edit::DocumentMut = text.parse().unwrap();
    let key = pasted["tenants"]["acme"]["keys"]["web"]["key"].as_str().unwrap().to_owned();
    let mut settings = settings();
    let acme = settings.tenants.get_mut(&TenantId::parse("acme").unwrap()).unwrap();
    let made =
        WriteKey { key: key.clone().into(), origins: vec![OriginRule::Any], expires: None, measurements: Vec::new() };
    acme.keys.insert("made".to_owned(), made);
    let presented = Presented { write_keys: vec![key], ..Presented::default() };
    let tenant = build(&settings).unwrap().verify(&presented, NOW * NANOS, &|| Ok(())).unwrap();
    assert_eq!(tenant.proof(), &Proof::WriteKey("made".to_owned()));
}
