//! Every code of a refusal.

use super::*;

/// Codes that need more than one request: those are in `jwks.rs` and `limits.rs`.
const ELSEWHERE: [&str; 2] = ["token_key_unknown", "address_limited"];

#[tokio::test]
async fn every_refusal_that_has_a_code_is_given_at_the_door() {
    const SECRET: &str = "between-proxy-and-gateway-0123456789";
    let bucket = influx().bucket("codes");
    let key = SigningKey::es256();
    const UPLOAD: &str = "between acme's backend and the gateway";
    let away = issuer(&key, "away", "").replace("public_key_file", "jwks_url");
    let away = away.replace(&key.public_key_file().display().to_string(), "http://127.0.0.1:1/");
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
{}denied_jti = [\"stolen\"]
{away}",
        key.issuer_toml("idp")
    );
    let upload_secret = ("TAGLINE__TENANTS__ACME__UPLOAD_SECRETS__ONE__SECRET", UPLOAD);
    let environment = [("TAGLINE__SERVER__PROXY_SECRET", SECRET), ("TAGLINE__SERVER__TRUSTED_PROXIES", "127.0.0.1/32")];
    let config = format!("{}\n{tenants}", config_for(&bucket));
    let behind = Gateway::start_with(&config, &environment).await;
    let direct = Gateway::start_with(&config, &[upload_secret]).await;
    let vouching = format!("{config}\n[tenant_defaults]\nunknown = \"accept\"\nmax_unknown = 1\n");
    let vouching = Gateway::start(&vouching).await;

    let now = unix_seconds();
    let signed = |name: &str, value: Value| {
        let mut claims = claims("acme");
        claims[name] = value;
        format!("Bearer {}", key.sign(&claims))
    };
    let good = signed("sub", json!("user-2"));
    let foreign = format!("Bearer {}", SigningKey::es256().sign(&claims("acme")));
    let uploaded = json!({ "iss": "tenant:acme", "aud": "tagline", "origin": "https://a.example", "exp": now + 7_200 });
    let uploaded = jsonwebtoken::encode(&Header::default(), &uploaded, &EncodingKey::from_secret(UPLOAD.as_bytes()));
    let uploaded = format!("Bearer {}", uploaded.expect("a token"));
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
        bearer("token_revoked", &signed("jti", json!("stolen"))),
        bearer("token_lifetime", &uploaded),
        row(
            "",
            "/ingest",
            &[("Authorization", &signed("iss", json!("https://away.example")))],
            503,
            "issuer_keys_loading",
        ),
        row("", "/ingest?k=no-such-key-0123456789", &[], 401, "write_key_unknown"),
        row("", "/ingest?k=initech-old-0123456789", &[], 401, "write_key_expired"),
        row("", "/ingest", &[("X-Tenant-ID", "acme"), ("X-Proxy-Secret", SECRET)], 401, "proxy_not_trusted"),
    ];
    rows.append(&mut forbidden);
    let proxied = [
        row("", "/ingest", &[("X-Tenant-ID", "acme"), ("X-Proxy-Secret", "guess")], 401, "proxy_secret"),
        row("", "/ingest", &[("X-Tenant-ID", "{a}"), ("X-Proxy-Secret", SECRET)], 403, "tenant_header_malformed"),
    ];
    let newcomer = |tenant: &str| signed("tenant_id", json!(tenant));
    let vouched = [
        row("", "/ingest", &[("Authorization", &newcomer("first"))], 202, ""),
        row("", "/ingest", &[("Authorization", &newcomer("second"))], 403, "tenants_full"),
        row("", "/ingest", &[("Authorization", &newcomer("first"))], 202, ""),
    ];
    hold(&direct, &rows);
    hold(&behind, &proxied);
    hold(&vouching, &vouched);
    let given = rows.iter().chain(&proxied).chain(&vouched).map(|row| row.code).filter(|code| !code.is_empty());
    let given: BTreeSet<&str> = given.chain(ELSEWHERE).collect();
    let known: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(given, known);
}
