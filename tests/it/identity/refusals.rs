//! Every code of a refusal, and that no credential stands in a log.

use super::*;

#[tokio::test]
async fn every_refusal_that_has_a_code_is_given_at_the_door() {
    const SECRET: &str = "between-proxy-and-gateway-0123456789";
    let bucket = influx().bucket("codes");
    let key = SigningKey::es256();
    let tenants = format!(
        "
[tenants.hooli]
require = \"jwt\"
keys.web = {{ key = \"hooli-key-0123456789\", origins = [\"*\"] }}

[tenants.umbrella]
disabled = true
keys.web = {{ key = \"umbrella-key-0123456789\", origins = [\"*\"] }}

[tenants.initech.keys.old]
key = \"initech-old-0123456789\"
origins = [\"*\"]
expires = 2020-01-01
{}",
        key.issuer_toml("idp")
    );
    let environment = [("TAGLINE__SERVER__PROXY_SECRET", SECRET), ("TAGLINE__SERVER__TRUSTED_PROXIES", "127.0.0.1/32")];
    let config = format!("{}\n{tenants}", config_for(&bucket));
    let behind = Gateway::start_with(&config, &environment).await;
    let direct = Gateway::start(&config).await;

    let now = unix_seconds();
    let signed = |name: &str, value: Value| {
        let mut claims = claims("acme");
        claims[name] = value;
        format!("Bearer {}", key.sign(&claims))
    };
    let good = signed("sub", json!("user-2"));
    let foreign = format!("Bearer {}", SigningKey::es256().sign(&claims("acme")));
    let many = format!("/ingest?k={ACME_KEY}&k={ACME_KEY}&k={ACME_KEY}&k={ACME_KEY}&k={ACME_KEY}");
    let bearer = |code, value: &str| row(code, "/ingest", &[("Authorization", value)], 401, code);
    let mut forbidden = vec![
        row("", "/ingest", &[("Authorization", &signed("tenant_id", json!(7)))], 403, "token_tenant_claim"),
        row("", "/ingest", &[("Authorization", &signed("tenant_id", json!("nobody")))], 403, "tenant_unknown"),
        row("", "/ingest?k=umbrella-key-0123456789", &[], 403, "tenant_disabled"),
        row("", "/ingest?k=hooli-key-0123456789", &[], 403, "tenant_requires_jwt"),
        row("", &format!("/ingest?k={ACME_KEY}"), &[("X-Tenant-ID", "globex")], 403, "tenant_mismatch"),
        row(
            "",
            &format!("/ingest?k={GLOBEX_KEY}"),
            &[("Authorization", &good), ("Origin", "https://globex.example")],
            403,
            "credentials_conflict",
        ),
        row("", &many, &[], 403, "credentials_too_many"),
        row("", &format!("/ingest?k={GLOBEX_KEY}"), &[], 403, "origin_missing"),
        row("", &format!("/ingest?k={GLOBEX_KEY}"), &[("Origin", "https://a.example")], 403, "origin_not_allowed"),
        row("", &format!("/ingest?k={GLOBEX_KEY}"), &[("Origin", "globex.example")], 403, "origin_malformed"),
        row(
            "",
            "/ingest",
            &[("Origin", "https://a.example"), ("Origin", "https://b.example")],
            403,
            "header_duplicated",
        ),
    ];
    let mut rows = vec![
        row("", "/ingest", &[], 401, "credential_missing"),
        bearer("token_malformed", "Bearer not.a.token"),
        bearer("token_too_large", &format!("{good}{}", "A".repeat(9_000))),
        bearer("token_signature", &foreign),
        bearer("token_issuer_unknown", &signed("iss", json!("https://evil.example"))),
        bearer("token_audience", &signed("aud", json!("billing"))),
        bearer("token_expired", &signed("exp", json!(now - 600))),
        bearer("token_not_yet_valid", &signed("nbf", json!(now + 600))),
        row("", "/ingest?k=no-such-key-0123456789", &[], 401, "write_key_unknown"),
        row("", "/ingest?k=initech-old-0123456789", &[], 401, "write_key_expired"),
        row("", "/ingest", &[("X-Tenant-ID", "acme"), ("X-Proxy-Secret", SECRET)], 401, "proxy_not_trusted"),
    ];
    rows.append(&mut forbidden);
    let proxied = [
        row("", "/ingest", &[("X-Tenant-ID", "acme"), ("X-Proxy-Secret", "guess")], 401, "proxy_secret"),
        row("", "/ingest", &[("X-Tenant-ID", "{a}"), ("X-Proxy-Secret", SECRET)], 403, "tenant_header_malformed"),
    ];
    hold(&direct, &rows);
    hold(&behind, &proxied);
    let given: BTreeSet<&str> = rows.iter().chain(&proxied).map(|row| row.code).collect();
    let known: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(given, known);
}

#[tokio::test]
async fn no_credential_stands_in_the_log_at_any_level() {
    let bucket = influx().bucket("log");
    let (key, secret) = (SigningKey::rs256(), SigningKey::hs256());
    let config = format!("{}\n{}{}", config_for(&bucket), key.issuer_toml("idp"), issuer(&secret, "hs", ""));
    let proxy_secret = "between-proxy-and-gateway-0123456789";
    for level in ["debug", "trace"] {
        let environment = [
            ("TAGLINE__LOG__LEVEL", level),
            ("TAGLINE__SERVER__PROXY_SECRET", proxy_secret),
            ("TAGLINE__SERVER__TRUSTED_PROXIES", "127.0.0.1/32"),
        ];
        let mut gateway = Gateway::start_with(&config, &environment).await;
        let (good, forged) = (key.sign(&claims("acme")), SigningKey::rs256().sign(&claims("acme")));
        let hs = secret.sign(&claims_of("hs", "acme"));
        let unknown = "no-such-key-0123456789abcdef";
        for (target, headers) in [
            (format!("/v1/telemetry/{ACME_KEY}"), vec![]),
            (format!("/v1/telemetry?k={ACME_KEY}"), vec![]),
            (format!("/v1/telemetry?k={unknown}"), vec![]),
            (format!("/no/such/route?k={ACME_KEY}&access_token={good}"), vec![]),
            (format!("/v1/telemetry?access_token={good}"), vec![]),
            (format!("/v1/telemetry?access_token={forged}"), vec![]),
            ("/v1/telemetry".to_owned(), vec![("Authorization", format!("Bearer {hs}"))]),
            ("/v1/telemetry".to_owned(), vec![("Authorization", format!("Bearer {forged}"))]),
            ("/v1/telemetry".to_owned(), vec![("X-Api-Key", GLOBEX_KEY.to_owned())]),
            (
                "/v1/telemetry".to_owned(),
                vec![("X-Tenant-ID", "acme".to_owned()), ("X-Proxy-Secret", proxy_secret.to_owned())],
            ),
        ] {
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let body = event(now_ms(), 1).to_string();
            http::request(gateway.address(), "POST", &target, &headers, body.as_bytes());
        }
        eventually(SOON, || async {
            let totals = Totals::of(&gateway, "acme");
            if totals.accepted == 5 && totals.pending == 0 { Ok(()) } else { Err(format!("{totals:?}")) }
        })
        .await;
        gateway.sigterm();
        assert_eq!(gateway.wait_exit(SOON).await.code(), Some(0));
        let log = gateway.log();
        assert!(log.lines().count() > 5, "the level {level} says nothing: {log}");
        for (what, credential) in [
            ("a write key", ACME_KEY),
            ("a write key", GLOBEX_KEY),
            ("an unknown write key", unknown),
            ("a token", good.rsplit('.').next().unwrap()),
            ("a forged token", forged.rsplit('.').next().unwrap()),
            ("an HS token", hs.rsplit('.').next().unwrap()),
            ("the claims of a token", good.split('.').nth(1).unwrap()),
            ("the issuer's secret", secret.secret()),
            ("the proxy's secret", proxy_secret),
            ("InfluxDB's token", bucket.token()),
        ] {
            let line = log.lines().find(|line| line.contains(credential));
            assert!(line.is_none(), "{what} stands in the log at level {level}: {line:?}");
        }
    }
}
