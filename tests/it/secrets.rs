//! Secrets: none stands in a log, a metric, a page or an answer; none is left by a crash; and what is personal is stored only when somebody says so.

mod crash;
mod personal;

use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::support::keys::unix_seconds;
use crate::support::{
    Gateway, SigningKey, Totals, claims, config_for, event, eventually, http, influx, now_ms, random_text, tagline,
};

const SOON: Duration = Duration::from_secs(20);

/// How long a piece of a secret may stand somewhere by chance.
const PIECE: usize = 8;

/// A piece of the secret, plain or in Base64, that stands in the text. Whoever quotes 15 characters of it is found.
fn leak<'t>(text: &'t str, secret: &str) -> Option<&'t str> {
    let forms = [secret.to_owned(), STANDARD.encode(secret), URL_SAFE_NO_PAD.encode(secret)];
    let pieces = forms.iter().flat_map(|form| form.as_bytes().chunks_exact(PIECE));
    let mut found = pieces.filter_map(|piece| text.find(std::str::from_utf8(piece).ok()?));
    let at = found.next()?;
    let (start, end) = (text.floor_char_boundary(at.saturating_sub(60)), text.ceil_char_boundary(at + 60));
    Some(&text[start..end.min(text.len())])
}

/// The parts of a token that are one's own: its header is everybody's.
fn own_parts(token: &str) -> Vec<String> {
    token.split('.').skip(1).map(str::to_owned).collect()
}

#[test]
fn a_piece_of_a_secret_is_found_in_whatever_form() {
    let secret = random_text(40);
    for leaking in [
        format!("a {secret} b"),
        format!("a {}… b", &secret[..15]),
        format!("…{}", &secret[5..21]),
        STANDARD.encode(&secret),
        format!("é{}é", URL_SAFE_NO_PAD.encode(&secret)),
    ] {
        assert!(leak(&leaking, &secret).is_some(), "{leaking}");
    }
    assert_eq!(leak(&random_text(5_000), &secret), None);
}

/// Everything that an operator or a client can read of a gateway, but for its answers to requests.
fn pages(gateway: &Gateway, bearer: &str) -> String {
    let mut seen = String::new();
    let index = http::request(gateway.admin_address(), "GET", "/", &[("Authorization", bearer)], b"").text();
    let routes: Vec<&str> =
        index.lines().filter_map(|line| line.split_whitespace().next()).filter(|word| word.starts_with('/')).collect();
    assert!(routes.len() >= 7 && routes.contains(&"/admin/rejections"), "{index}");
    for route in routes {
        let answer = http::request(gateway.admin_address(), "GET", route, &[("Authorization", bearer)], b"");
        assert_eq!(answer.status, 200, "{route}: {answer:?}");
        let _ = writeln!(seen, "{route}: {:?} {}", answer.headers, answer.text());
    }
    seen
}

#[tokio::test]
async fn no_secret_stands_in_a_log_a_metric_a_page_or_an_answer() {
    let bucket = influx().bucket("secrets");
    let [admin, proxy, upload, globex, unknown, wrong, payload] = std::array::from_fn(|_| random_text(40));
    let (rsa, shared) = (SigningKey::rs256(), SigningKey::hs256());
    let by_hs = shared.issuer_toml("hs").replace("https://identity.example", "https://hs.example");
    let config = format!(
        "{}
[tenants.acme]
origins = [\"https://app.example\"]

[tenants.initech.keys.web]
key = \"{globex}\"
origins = [\"*\"]

{}
{by_hs}",
        config_for(&bucket),
        rsa.issuer_toml("idp"),
    );
    let signed = |key: &SigningKey, change: &[(&str, Value)]| {
        let mut all = claims("acme");
        // So that its parts are this token's alone.
        all["jti"] = json!(random_text(40));
        change.iter().for_each(|(name, value)| all[*name] = value.clone());
        key.sign(&all)
    };
    for level in ["info", "trace"] {
        let environment = [
            ("TAGLINE__LOG__LEVEL", level),
            ("TAGLINE__SERVER__ADMIN_TOKEN", &admin),
            ("TAGLINE__SERVER__PROXY_SECRET", &proxy),
            ("TAGLINE__SERVER__TRUSTED_PROXIES", "127.0.0.1/32"),
            ("TAGLINE__SERVER__TOKEN_COOKIE", "id"),
            ("TAGLINE__TENANTS__ACME__UPLOAD_SECRETS__MAIN__SECRET", &upload),
        ];
        let mut gateway = Gateway::start_with(&config, &environment).await;
        let bearer = format!("Bearer {admin}");

        let good = signed(&rsa, &[]);
        let by_secret = signed(&shared, &[("iss", json!("https://hs.example"))]);
        let expired = signed(&rsa, &[("exp", json!(unix_seconds() - 900))]);
        let forged = signed(&SigningKey::rs256(), &[]);
        let nobody = signed(&rsa, &[("tenant_id", json!(random_text(40)))]);
        let page = upload_token(&upload, "https://app.example");
        let stolen = upload_token(&upload, "https://other.example");
        let long = format!("{good}{}", random_text(9_000));
        let tokens = [&good, &by_secret, &expired, &forged, &nobody, &page, &stolen, &long];
        let cut = &good[..good.len() - 20];
        let not_utf8 = format!("{wrong}%FF");

        let mut requests: Vec<(String, Vec<(&str, String)>)> = Vec::new();
        for token in tokens.into_iter().map(String::as_str).chain([cut, &wrong]) {
            requests.push(("/v1/telemetry".to_owned(), vec![("Authorization", format!("Bearer {token}"))]));
            requests.push(("/v1/telemetry".to_owned(), vec![("Authorization", format!("Basic {token}"))]));
            requests.push((format!("/ingest?access_token={token}"), vec![]));
            requests.push((
                "/ingest".to_owned(),
                vec![("Cookie", format!("a=b; id={token}")), ("Origin", "https://app.example".to_owned())],
            ));
            requests.push(("/ingest".to_owned(), vec![("Cookie", format!("id={token}; id={token}"))]));
        }
        for key in [&globex, &unknown, &wrong, &not_utf8] {
            requests.push((format!("/v1/telemetry/{key}"), vec![]));
            requests.push((format!("/v1/telemetry/{key}/"), vec![]));
            requests.push((format!("/api/telemetry/ingest?k={key}"), vec![]));
            requests.push(("/ingest".to_owned(), vec![("X-Api-Key", key.clone())]));
            requests.push((format!("/no/such/{key}?k={key}&access_token={good}"), vec![]));
        }
        for secret in [&proxy, &wrong] {
            requests.push((
                "/ingest".to_owned(),
                vec![("X-Tenant-ID", "acme".to_owned()), ("X-Proxy-Secret", secret.clone())],
            ));
            requests
                .push(("/ingest".to_owned(), vec![("X-Tenant-ID", wrong.clone()), ("X-Proxy-Secret", secret.clone())]));
            requests.push((
                "/ingest".to_owned(),
                vec![("Origin", "https://no.origin/".to_owned()), ("X-Api-Key", globex.clone())],
            ));
        }
        // A body as it should be, and two that are refused, with a secret in them as a value.
        let bodies = [
            event(now_ms(), 1).to_string(),
            json!([{"viewName": "v", "actionName": "a", "metrics": {"duration_ms": payload}}]).to_string(),
            format!("{{\"viewName\": \"{payload}\", "),
        ];
        let mut answers = String::new();
        for (target, headers) in &requests {
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            for body in &bodies {
                let answer = http::request(gateway.address(), "POST", target, &headers, body.as_bytes());
                let _ = writeln!(answers, "{} {:?} {}", answer.status, answer.headers, answer.text());
            }
            // Sent to the wrong door, or by the wrong method.
            for (address, method) in [(gateway.admin_address(), "GET"), (gateway.address(), "PUT")] {
                let answer = http::request(address, method, target, &headers, b"");
                let _ = writeln!(answers, "{} {:?} {}", answer.status, answer.headers, answer.text());
            }
        }
        for (status, what) in [("202 ", "good"), ("401 ", "unknown"), ("403 ", "not allowed"), ("400 ", "bad bodies")] {
            assert!(answers.lines().any(|line| line.starts_with(status)), "no answer was {what}");
        }
        eventually(SOON, || async {
            let totals = ["acme", "initech"].map(|tenant| totals(&gateway, tenant, &bearer));
            if totals.iter().all(|totals| totals.accepted > 0 && totals.pending == 0) {
                Ok(())
            } else {
                Err(format!("{totals:?}"))
            }
        })
        .await;
        let pages = pages(&gateway, &bearer);
        let checked = tagline(gateway.folder(), &["check", "--config", &gateway.config_file()], &environment).await;
        assert_eq!(checked.code, Some(0), "{checked:?}");
        // A reload with mistakes, in the very line of a secret, and after it a good one.
        let broken = config.replace(&format!("key = \"{globex}\""), &format!("key = \"{globex}"));
        std::fs::write(gateway.config_file(), &broken).unwrap();
        gateway.signal("HUP");
        let refused = ("Authorization", bearer.as_str());
        eventually(SOON, || async {
            let metrics = http::request(gateway.admin_address(), "GET", "/metrics", &[refused], b"").text();
            let line = metrics
                .lines()
                .find(|line| line.starts_with("tagline_settings_reloads_total{") && line.contains("refused"))
                .map(str::to_owned);
            if line.as_ref().is_some_and(|line| !line.ends_with(" 0")) { Ok(()) } else { Err(format!("{line:?}")) }
        })
        .await;
        let ready = http::request(gateway.admin_address(), "GET", "/readyz", &[], b"").text();
        std::fs::write(gateway.config_file(), &config).unwrap();
        gateway.sigterm();
        assert_eq!(gateway.wait_exit(SOON).await.code(), Some(0));
        let log = gateway.log();
        assert!(log.lines().count() > 5 && log.contains("listening"), "the level {level} says nothing: {log}");

        let seen = [
            ("the log", log),
            ("an answer", answers),
            ("a page", pages),
            ("/readyz", ready),
            ("the output", gateway.stdout()),
            ("what check says", checked.stdout + &checked.stderr),
        ];
        let mut secrets = vec![
            ("the admin token", admin.clone()),
            ("the proxy's secret", proxy.clone()),
            ("the backend's secret", upload.clone()),
            ("a write key", globex.clone()),
            ("an unknown write key", unknown.clone()),
            ("what was guessed", wrong.clone()),
            ("a value of a body", payload.clone()),
            ("the issuer's secret", shared.secret().to_owned()),
            ("InfluxDB's token", bucket.token().to_owned()),
        ];
        for token in tokens {
            secrets.extend(own_parts(token).into_iter().map(|part| ("a token", part)));
        }
        for (place, text) in &seen {
            for (what, secret) in &secrets {
                let found = leak(text, secret);
                assert_eq!(found, None, "{what} stands in {place} at level {level}");
            }
        }
    }
}

fn totals(gateway: &Gateway, tenant: &str, bearer: &str) -> Totals {
    let answer = http::request(gateway.admin_address(), "GET", "/admin/ledger", &[("Authorization", bearer)], b"");
    Totals::read(&answer.json()["tenants"][tenant])
}

/// A token that the backend of `acme` mints for a page.
fn upload_token(secret: &str, origin: &str) -> String {
    let claims = json!({
        "iss": "tenant:acme", "aud": "tagline", "origin": origin, "exp": unix_seconds() + 300, "jti": random_text(40),
    });
    let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
}
