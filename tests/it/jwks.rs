//! Keys that an issuer publishes, from its server to the tenant of a point: a gateway that is up before the issuer, a rotation, an outage.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use jsonwebtoken::{Algorithm, Header};
use serde_json::{Value, json};

use crate::support::keys::{AUDIENCE, ISSUER};
use crate::support::provider::Provider;
use crate::support::{
    Answer, Gateway, SigningKey, Totals, claims, config_for, event, eventually, http, influx, now_ms, tagline,
};

const SOON: Duration = Duration::from_secs(20);

fn issuer(provider: &Provider) -> String {
    format!(
        "\n[issuers.idp]\nissuer = \"{ISSUER}\"\naudience = \"{AUDIENCE}\"\nalgorithms = [\"ES256\", \"RS256\"]\njwks_url = \"{}\"\n",
        provider.url()
    )
}

/// A token for globex that says which key signed it.
fn token(key: &SigningKey, algorithm: Algorithm, kid: &str) -> String {
    let header = Header { kid: Some(kid.to_owned()), ..Header::new(algorithm) };
    key.sign_with_header(&header, &claims("globex"))
}

fn send(gateway: &Gateway, token: &str) -> Answer {
    let headers = [("Authorization", format!("Bearer {token}"))];
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    http::request(gateway.address(), "POST", "/v1/telemetry", &headers, event(now_ms(), 1).to_string().as_bytes())
}

/// Sends until the answer is 202. Before that only 503 `issuer_keys_loading` may come, and it says when to ask again.
async fn accepted_after_503(gateway: &Gateway, token: &str) -> usize {
    let mut refused = 0;
    eventually(SOON, || {
        let answer = send(gateway, token);
        let taken = answer.status == 202;
        if !taken {
            let wait: u64 = answer.header("retry-after").expect("when to ask again").parse().expect("seconds");
            assert_eq!((answer.status, &answer.json()["code"]), (503, &json!("issuer_keys_loading")));
            assert!((1..=60).contains(&wait), "{wait}");
            refused += 1;
        }
        async move { if taken { Ok(()) } else { Err(format!("{answer:?}")) } }
    })
    .await;
    refused
}

/// The check of the issuer in `/readyz`, which is never the reason of a 503.
fn check(gateway: &Gateway) -> Value {
    let (status, body) = gateway.readiness();
    assert_eq!(status, 200, "{body}");
    let checks = body["checks"].as_array().unwrap();
    checks.iter().find(|check| check["name"] == "issuer:idp").unwrap_or_else(|| panic!("{body}")).clone()
}

#[tokio::test]
async fn a_client_sees_503_until_the_keys_are_there_and_never_a_401_through_rotation_and_outage() {
    let bucket = influx().bucket("jwks");
    let provider = Provider::away();
    let gateway = Gateway::start(&format!("{}{}", config_for(&bucket), issuer(&provider))).await;
    let (old, new) = (SigningKey::rs256(), SigningKey::es256());
    let (by_old, by_new) = (token(&old, Algorithm::RS256, "2025"), token(&new, Algorithm::ES256, "2026"));

    // The gateway is up before the issuer.
    let answer = send(&gateway, &by_old);
    assert_eq!((answer.status, &answer.json()["code"]), (503, &json!("issuer_keys_loading")));
    assert!(answer.header("retry-after").is_some());
    let told = check(&gateway);
    assert_eq!(told["status"], "degraded");
    assert!(told["detail"].as_str().unwrap().contains(&provider.url()), "{told}");
    provider.open(&[old.jwk("2025")]);
    accepted_after_503(&gateway, &by_old).await;
    assert_eq!(check(&gateway)["status"], "ok");
    assert_eq!(gateway.metric("tagline_jwks_fetches_total{result=\"changed\"}"), Some(1.0));

    // It rotates, to a key of another kind.
    provider.open(&[old.jwk("2025"), new.jwk("2026")]);
    let before = provider.requests();
    assert!(accepted_after_503(&gateway, &by_new).await >= 1, "the new key could not be known");
    assert_eq!(provider.requests(), before + 1);
    assert_eq!(send(&gateway, &by_old).status, 202);

    // It goes away. What it published holds on; whether it has a key that nobody knows, nobody can say.
    provider.close();
    assert_eq!((send(&gateway, &by_old).status, send(&gateway, &by_new).status), (202, 202));
    for kid in ["made-up", "../../etc/passwd", "' OR 1=1 --"] {
        let answer = send(&gateway, &token(&new, Algorithm::ES256, kid));
        assert_eq!((answer.status, &answer.json()["code"]), (503, &json!("issuer_keys_loading")), "{kid}");
    }
    // One issuer's key under another's name, and the kid of one with the signature of the other.
    let forged = send(&gateway, &token(&SigningKey::es256(), Algorithm::ES256, "2026"));
    assert_eq!((forged.status, &forged.json()["code"]), (401, &json!("token_signature")));

    let totals = eventually(SOON, || async {
        let totals = Totals::of(&gateway, "globex");
        if totals.accepted > 0 && totals.delivered == totals.accepted { Ok(totals) } else { Err(format!("{totals:?}")) }
    })
    .await;
    assert_eq!(totals.accepted, 5, "one for each 202");
    let rows = bucket.rows("frontend_performance").await;
    assert!(!rows.is_empty() && rows.iter().all(|row| row.text("tenant_id") == "globex"), "{rows:?}");
}

#[tokio::test]
async fn a_key_that_its_issuer_withdrew_is_gone_with_the_next_sighup() {
    let bucket = influx().bucket("jwks-withdrawn");
    let (old, new) = (SigningKey::rs256(), SigningKey::es256());
    let (by_old, by_new) = (token(&old, Algorithm::RS256, "2025"), token(&new, Algorithm::ES256, "2026"));
    let provider = Provider::with(&[old.jwk("2025"), new.jwk("2026")]);
    let mut gateway = Gateway::start(&format!("{}{}", config_for(&bucket), issuer(&provider))).await;
    // It was up before the gateway, whose start waits for the keys: the first request is taken.
    assert_eq!((send(&gateway, &by_old).status, send(&gateway, &by_new).status), (202, 202));
    provider.open(&[new.jwk("2026")]);
    gateway.signal("HUP");
    eventually(SOON, || async {
        let answer = send(&gateway, &by_old);
        if answer.status == 401 { Ok(()) } else { Err(format!("{answer:?}")) }
    })
    .await;
    assert_eq!(send(&gateway, &by_old).json()["code"], "token_key_unknown");
    assert_eq!(send(&gateway, &by_new).status, 202);
}

#[tokio::test]
async fn keys_are_taken_over_tls_only_from_a_server_that_proves_its_name() {
    let bucket = influx().bucket("jwks-tls");
    let key = SigningKey::es256();
    let token = token(&key, Algorithm::ES256, "a");
    let jwks = [key.jwk("a")];
    let start = async |provider: &Provider, trusted: &Provider| {
        let file = trusted.certificate_file().display().to_string();
        let config = format!("{}{}", config_for(&bucket), issuer(provider));
        Gateway::start_with(&config, &[("SSL_CERT_FILE", &file)]).await
    };
    let provider = Provider::with_tls("127.0.0.1".parse().unwrap(), &jwks);
    let gateway = start(&provider, &provider).await;
    assert_eq!(send(&gateway, &token).status, 202);
    assert!(provider.url().starts_with("https://") && provider.requests() >= 1);

    let another = Provider::with_tls("127.0.0.2".parse().unwrap(), &jwks);
    let strangers = [("not trusted", &provider, &another), ("of another name", &another, &another)];
    for (what, provider, trusted) in strangers {
        let before = provider.requests();
        let gateway = start(provider, trusted).await;
        let answer = send(&gateway, &token);
        assert_eq!((answer.status, &answer.json()["code"]), (503, &json!("issuer_keys_loading")), "{what}");
        let told = check(&gateway);
        assert!(told["detail"].as_str().unwrap().contains("certificate verify failed"), "{what}: {told}");
        assert_eq!(provider.requests(), before, "{what}: it was asked all the same");
    }
}

#[tokio::test]
async fn a_command_says_why_a_token_is_or_is_not_taken() {
    let folder = tempfile::TempDir::with_prefix("tagline-check-").unwrap();
    let key = SigningKey::es256();
    let provider = Provider::with(&[SigningKey::rs256().jwk("other"), key.jwk("mine")]);
    let config = format!("[tenants.globex]\n{}", issuer(&provider));
    std::fs::write(folder.path().join("tagline.toml"), config).unwrap();
    let arguments = ["check", "--config", "tagline.toml", "--token"];
    let good = token(&key, Algorithm::ES256, "mine");

    let ran = tagline(folder.path(), &[&arguments[..], &[&good]].concat(), &[]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let published = format!("published keys  2 from {}: \"other\", \"mine\"", provider.url());
    for part in [published.as_str(), "ok  signature", "Taken: tenant globex, proven by issuers.idp\n"] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
    // From stdin, as it should be done.
    let mut command = Command::new(env!("CARGO_BIN_EXE_tagline"));
    command.args(arguments).args(["-", "--origin", "https://app.example"]).env_clear().current_dir(folder.path());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "Bearer {good}").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("  origin "), "{output:?}");

    let forged = token(&SigningKey::es256(), Algorithm::ES256, "mine");
    let ran = tagline(folder.path(), &[&arguments[..], &[&forged]].concat(), &[]).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.contains("NO  signature       token_signature: "), "{}", ran.stdout);
    assert!(ran.stderr.contains("the gateway would answer 401 token_signature"), "{}", ran.stderr);
    for said in [&ran.stdout, &ran.stderr] {
        assert!(forged.split('.').all(|part| !said.contains(part)), "{said}");
    }

    provider.close();
    let ran = tagline(folder.path(), &[&arguments[..], &[&good]].concat(), &[]).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.contains("NO  published keys  could not be fetched from "), "{}", ran.stdout);
    let ran = tagline(folder.path(), &["check", "--origin", "https://app.example"], &[]).await;
    assert_eq!(ran.code, Some(2), "{ran:?}");
}
