//! Identity through the real door: every credential, everywhere that it can stand, and what is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jsonwebtoken::Header;
use serde_json::{Value, json};
use tagline::auth::Code;

use crate::support::keys::{AUDIENCE, ISSUER, unix_seconds};
use crate::support::{
    ACME_KEY, GLOBEX_KEY, Gateway, SigningKey, Totals, claims, config_for, event, eventually, http, influx, now_ms,
};

const SOON: Duration = Duration::from_secs(15);

/// One request's credentials, and the answer that they must get: a status, and the code of a refusal.
struct Row<'r> {
    what: String,
    target: String,
    headers: Vec<(&'r str, String)>,
    status: u16,
    code: &'r str,
}

fn row<'r>(what: &str, target: &str, headers: &[(&'r str, &str)], status: u16, code: &'r str) -> Row<'r> {
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Row { what: what.to_owned(), target: target.to_owned(), headers, status, code }
}

/// Sends every row, and says all those that were answered otherwise.
fn hold(gateway: &Gateway, rows: &[Row<'_>]) {
    let mut wrong = Vec::new();
    for row in rows {
        let body = event(now_ms(), 1).to_string();
        let headers: Vec<_> = row.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = http::request(gateway.address(), "POST", &row.target, &headers, body.as_bytes());
        let code = if row.code.is_empty() { Value::Null } else { json!(row.code) };
        let said = serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
        if answer.status != row.status || (row.status != 202 && said["code"] != code) {
            wrong.push(format!("{}: {} {} instead of {} {}", row.what, answer.status, said, row.status, row.code));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// An issuer's settings, by its own `iss`.
fn issuer(key: &SigningKey, name: &str, more: &str) -> String {
    format!("{}{more}\n", key.issuer_toml(name).replace(ISSUER, &format!("https://{name}.example")))
}

/// Claims of that issuer.
fn claims_of(name: &str, tenant: &str) -> Value {
    let mut claims = claims(tenant);
    claims["iss"] = json!(format!("https://{name}.example"));
    claims
}

#[tokio::test]
async fn every_pinned_algorithm_proves_its_tenant_from_the_header_and_from_the_query_string() {
    let bucket = influx().bucket("algorithms");
    let keys: [(&str, SigningKey); 4] = [
        ("hs", SigningKey::hs256()),
        ("rs", SigningKey::rs256()),
        ("es", SigningKey::es256()),
        ("ed", SigningKey::ed25519()),
    ];
    let issuers: String = keys.iter().map(|(name, key)| issuer(key, name, "")).collect();
    let gateway = Gateway::start(&format!("{}\n{issuers}", config_for(&bucket))).await;
    let mut rows = Vec::new();
    for (name, key) in &keys {
        let token = key.sign(&claims_of(name, "globex"));
        let bearer = format!("Bearer {token}");
        rows.push(row(&format!("{name} in Authorization"), "/v1/telemetry", &[("Authorization", &bearer)], 202, ""));
        rows.push(row(&format!("{name} in the query"), &format!("/ingest?access_token={token}"), &[], 202, ""));
        // Another issuer's key under this issuer's name.
        for (other, foreign) in keys.iter().filter(|(other, _)| other != name) {
            let token = format!("Bearer {}", foreign.sign(&claims_of(name, "globex")));
            let what = format!("{name} signed with the key of {other}");
            rows.push(row(&what, "/v1/telemetry", &[("Authorization", &token)], 401, "token_signature"));
        }
    }
    hold(&gateway, &rows);
    let globex = eventually(SOON, || async {
        let totals = Totals::of(&gateway, "globex");
        if totals.delivered == 8 { Ok(totals) } else { Err(format!("{totals:?}")) }
    })
    .await;
    assert_eq!(globex.accepted, 8);
    assert_eq!(Totals::of(&gateway, "acme").accepted, 0);
    let tenants = bucket.rows("frontend_performance").await;
    assert!(!tenants.is_empty() && tenants.iter().all(|row| row.text("tenant_id") == "globex"), "{tenants:?}");
}

#[tokio::test]
async fn a_token_that_is_not_exactly_right_is_refused_with_its_own_code() {
    let bucket = influx().bucket("claims");
    let (rsa, secret) = (SigningKey::rs256(), SigningKey::hs256());
    let nested = issuer(&rsa, "nested", "tenant_claim = \"/org/tenants/0\"");
    let config = format!("{}\n{}{nested}{}", config_for(&bucket), rsa.issuer_toml("idp"), issuer(&secret, "hs", ""));
    let gateway = Gateway::start(&config).await;
    let now = unix_seconds();
    let with = |name: &str, value: Value| {
        let mut claims = claims("acme");
        claims[name] = value;
        claims
    };
    let without = |name: &str| {
        let mut claims = claims("acme");
        claims.as_object_mut().unwrap().remove(name);
        claims
    };
    let signed = [
        ("good", claims("acme"), 202, ""),
        ("within the leeway", with("exp", json!(now - 5)), 202, ""),
        ("expired", with("exp", json!(now - 600)), 401, "token_expired"),
        ("no exp", without("exp"), 401, "token_malformed"),
        ("not yet", with("nbf", json!(now + 600)), 401, "token_not_yet_valid"),
        ("another audience", with("aud", json!("billing")), 401, "token_audience"),
        ("several audiences", with("aud", json!(["billing", AUDIENCE])), 202, ""),
        ("no audience", without("aud"), 401, "token_audience"),
        ("another issuer", with("iss", json!("https://evil.example")), 401, "token_issuer_unknown"),
        ("no issuer", without("iss"), 401, "token_issuer_unknown"),
        ("no tenant", without("tenant_id"), 403, "token_tenant_claim"),
        ("a tenant that is none", with("tenant_id", json!("a b")), 403, "token_tenant_claim"),
        ("a tenant that is no text", with("tenant_id", json!(["acme"])), 403, "token_tenant_claim"),
        ("an unknown tenant", with("tenant_id", json!("umbrella")), 403, "tenant_unknown"),
    ];
    let mut tokens: Vec<(&str, String, u16, &str)> =
        signed.into_iter().map(|(what, claims, status, code)| (what, rsa.sign(&claims), status, code)).collect();

    // The claim deep in the token, and the flat one that the issuer's settings do not name.
    let mut deep = claims_of("nested", "acme");
    deep["org"] = json!({"tenants": ["globex"]});
    tokens.push(("a JSON pointer", rsa.sign(&deep), 202, ""));
    tokens.push((
        "only the claim that is not asked for",
        rsa.sign(&claims_of("nested", "acme")),
        403,
        "token_tenant_claim",
    ));

    // No signature, and the public key taken for a shared secret.
    let good = rsa.sign(&claims("acme"));
    let parts: Vec<&str> = good.split('.').collect();
    let none = base64_url(br#"{"alg":"none","typ":"JWT"}"#);
    tokens.push(("alg none, no signature", format!("{none}.{}.", parts[1]), 401, "token_signature"));
    tokens.push(("alg none, its old signature", format!("{none}.{}.{}", parts[1], parts[2]), 401, "token_signature"));
    let confused = jsonwebtoken::encode(
        &Header::new(jsonwebtoken::Algorithm::HS256),
        &claims("acme"),
        &jsonwebtoken::EncodingKey::from_secret(rsa.public_pem().as_bytes()),
    );
    tokens.push(("HS256 with the public PEM", confused.unwrap(), 401, "token_signature"));
    let stolen = format!("{}.{}.{}", parts[0], base64_url(claims("globex").to_string().as_bytes()), parts[2]);
    tokens.push(("another's claims under a good signature", stolen, 401, "token_signature"));
    tokens.push(("cut off", format!("{}.{}", parts[0], parts[1]), 401, "token_malformed"));
    tokens.push(("too long", format!("{good}{}", "A".repeat(9_000)), 401, "token_too_large"));

    let mut rows = Vec::new();
    for (what, token, status, code) in &tokens {
        rows.push(row(what, "/v1/telemetry", &[("Authorization", &format!("Bearer {token}"))], *status, code));
        rows.push(row(
            &format!("{what}, in the query"),
            &format!("/v1/telemetry?access_token={token}"),
            &[],
            *status,
            code,
        ));
    }
    hold(&gateway, &rows);
    // Four are good, twice each; one of them is globex's.
    let (acme, globex) = (Totals::of(&gateway, "acme"), Totals::of(&gateway, "globex"));
    assert_eq!((acme.accepted, globex.accepted), (6, 2));
}

fn base64_url(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

#[tokio::test]
async fn a_write_key_works_wherever_it_stands_and_only_from_its_origins() {
    let bucket = influx().bucket("origins");
    let config = format!(
        "{}
[tenants.initech.keys.web]
key = \"initech-key-0123456789\"
origins = [\"https://*.initech.example\", \"http://localhost:3000\"]

[tenants.initech.keys.old]
key = \"initech-old-0123456789\"
origins = [\"*\"]
expires = 2020-01-01

[tenants.initech.keys.backend]
key = \"initech-back-0123456789\"
origins = [\"*\"]
measurements = [\"backend_api_latency\"]
",
        config_for(&bucket)
    );
    let gateway = Gateway::start(&config).await;
    let (web, globex) = ("initech-key-0123456789", "https://globex.example");
    let mut rows = Vec::new();
    for (what, target, header) in [
        ("?k=", format!("/v1/telemetry?k={GLOBEX_KEY}"), None),
        ("the path", format!("/v1/telemetry/{GLOBEX_KEY}"), None),
        ("X-Api-Key", "/api/telemetry/ingest".to_owned(), Some(GLOBEX_KEY)),
    ] {
        let mut sent = |origin: Option<&str>, status, code| {
            let mut headers: Vec<(&str, &str)> = origin.map(|origin| ("Origin", origin)).into_iter().collect();
            headers.extend(header.map(|key| ("X-Api-Key", key)));
            rows.push(row(&format!("{what} from {origin:?}"), &target, &headers, status, code));
        };
        sent(Some(globex), 202, "");
        sent(Some("https://globex.example:443"), 202, "");
        sent(Some("HTTPS://Globex.Example"), 202, "");
        sent(Some("http://globex.example"), 403, "origin_not_allowed");
        sent(Some("https://globex.example:8443"), 403, "origin_not_allowed");
        sent(Some("https://app.globex.example"), 403, "origin_not_allowed");
        sent(Some("https://globex.example.evil.example"), 403, "origin_not_allowed");
        sent(Some("null"), 403, "origin_not_allowed");
        sent(Some("https://globex.example/page"), 403, "origin_malformed");
        sent(None, 403, "origin_missing");
    }
    for (origin, status) in [
        ("https://a.initech.example", 202),
        ("https://a.b.initech.example", 202),
        ("https://initech.example", 403),
        ("https://evilinitech.example", 403),
        ("https://a.initech.example:8443", 403),
        ("http://a.initech.example", 403),
        ("http://localhost:3000", 202),
        ("http://localhost:3001", 403),
    ] {
        let code = if status == 202 { "" } else { "origin_not_allowed" };
        rows.push(row(
            &format!("wildcard: {origin}"),
            &format!("/ingest?k={web}"),
            &[("Origin", origin)],
            status,
            code,
        ));
    }
    let two = [("Origin", globex), ("Origin", "https://evil.example")];
    rows.push(row("two origins", &format!("/ingest?k={GLOBEX_KEY}"), &two, 403, "header_duplicated"));
    rows.push(row("no origin, open key", &format!("/ingest?k={ACME_KEY}"), &[], 202, ""));
    rows.push(row("expired", "/ingest?k=initech-old-0123456789", &[], 401, "write_key_expired"));
    rows.push(row("unknown", "/ingest?k=initech-key-012345678", &[], 401, "write_key_unknown"));
    rows.push(row("percent-encoded", &format!("/ingest?k={}", ACME_KEY.replace('-', "%2D")), &[], 202, ""));
    rows.push(row("bound to another measurement", "/ingest?k=initech-back-0123456789", &[], 400, "no_valid_event"));
    hold(&gateway, &rows);

    // The host of a listed origin becomes a tag; a `*` lists none.
    let stored = eventually(SOON, || async {
        let stored = bucket.rows("frontend_performance").await;
        let tenants: BTreeMap<String, Vec<Option<String>>> = stored.iter().fold(BTreeMap::new(), |mut all, row| {
            let hosts: &mut Vec<_> = all.entry(row.text("tenant_id").to_owned()).or_default();
            hosts.push(row.get("host").map(str::to_owned));
            all
        });
        if tenants.len() == 3 { Ok(tenants) } else { Err(format!("{stored:?}")) }
    })
    .await;
    assert!(stored["acme"].iter().all(Option::is_none), "{stored:?}");
    assert!(stored["globex"].iter().all(|host| host.as_deref() == Some("globex.example")), "{stored:?}");
    assert!(stored["initech"].contains(&Some("localhost:3000".to_owned())), "{stored:?}");
}

#[tokio::test]
async fn a_tenant_header_is_believed_only_from_a_listed_address_with_the_secret() {
    const SECRET: &str = "between-proxy-and-gateway-0123456789";
    let bucket = influx().bucket("proxy");
    let config = config_for(&bucket);
    let secret = ("TAGLINE__SERVER__PROXY_SECRET", SECRET);
    let listed = Gateway::start_with(&config, &[secret, ("TAGLINE__SERVER__TRUSTED_PROXIES", "127.0.0.0/8")]).await;
    let elsewhere = Gateway::start_with(&config, &[secret, ("TAGLINE__SERVER__TRUSTED_PROXIES", "10.1.0.0/16")]).await;
    let nobody = Gateway::start(&config).await;
    let (acme, right, wrong) = (("X-Tenant-ID", "acme"), ("X-Proxy-Secret", SECRET), ("X-Proxy-Secret", "guess"));
    let keyed = format!("/v1/telemetry/{ACME_KEY}");

    hold(
        &listed,
        &[
            row("address and secret", "/v1/telemetry", &[acme, right], 202, ""),
            row("a wrong secret", "/v1/telemetry", &[acme, wrong], 401, "proxy_secret"),
            row("no secret", "/v1/telemetry", &[acme], 401, "proxy_secret"),
            row("two secrets", "/v1/telemetry", &[acme, right, wrong], 403, "header_duplicated"),
            row("two tenants", "/v1/telemetry", &[acme, ("X-Tenant-ID", "globex"), right], 403, "header_duplicated"),
            row(
                "a placeholder",
                "/v1/telemetry",
                &[("X-Tenant-ID", "{http.auth.tenant}"), right],
                403,
                "tenant_header_malformed",
            ),
            row("no tenant", "/v1/telemetry", &[("X-Tenant-ID", ""), right], 403, "tenant_header_malformed"),
            row("unknown tenant", "/v1/telemetry", &[("X-Tenant-ID", "umbrella"), right], 403, "tenant_unknown"),
            row("beside the same tenant's key", &keyed, &[acme, right], 202, ""),
            row("beside another tenant's key", &keyed, &[("X-Tenant-ID", "globex"), right], 403, "tenant_mismatch"),
            row(
                "a forged forwarding header",
                "/v1/telemetry",
                &[acme, wrong, ("X-Forwarded-For", "127.0.0.1")],
                401,
                "proxy_secret",
            ),
        ],
    );
    hold(
        &elsewhere,
        &[
            row("not listed, with the secret", "/v1/telemetry", &[acme, right], 401, "proxy_not_trusted"),
            row(
                "not listed, forwarded",
                "/v1/telemetry",
                &[acme, right, ("X-Forwarded-For", "10.1.0.1")],
                401,
                "proxy_not_trusted",
            ),
            row("compared: the same", &keyed, &[acme], 202, ""),
            row("compared: another", &keyed, &[("X-Tenant-ID", "globex")], 403, "tenant_mismatch"),
        ],
    );
    hold(
        &nobody,
        &[
            row("nobody is trusted", "/v1/telemetry", &[acme, right], 401, "proxy_not_trusted"),
            row("nobody is trusted, no secret", "/v1/telemetry", &[acme], 401, "credential_missing"),
        ],
    );
}

#[tokio::test]
async fn a_tenant_that_requires_a_jwt_takes_no_write_key_and_a_disabled_one_takes_nothing() {
    let bucket = influx().bucket("require");
    let key = SigningKey::ed25519();
    let tenants = "\n[tenants.acme]\nrequire = \"jwt\"\n\n[tenants.globex]\ndisabled = true\n";
    let gateway = Gateway::start(&format!("{}\n{tenants}{}", config_for(&bucket), key.issuer_toml("idp"))).await;
    let bearer = |tenant| format!("Bearer {}", key.sign(&claims(tenant)));
    let (acme, globex) = (bearer("acme"), bearer("globex"));
    let origin = ("Origin", "https://globex.example");
    hold(
        &gateway,
        &[
            row("its key", &format!("/v1/telemetry/{ACME_KEY}"), &[], 403, "tenant_requires_jwt"),
            row("its token", "/v1/telemetry", &[("Authorization", &acme)], 202, ""),
            row("its token beside its key", &format!("/v1/telemetry/{ACME_KEY}"), &[("Authorization", &acme)], 202, ""),
            row("disabled, by key", &format!("/v1/telemetry/{GLOBEX_KEY}"), &[origin], 403, "tenant_disabled"),
            row("disabled, by token", "/v1/telemetry", &[("Authorization", &globex)], 403, "tenant_disabled"),
        ],
    );
    assert_eq!(Totals::of(&gateway, "globex"), Totals::default());
}

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
