//! Tokens: every algorithm, every place, and every way to be not exactly right.

use super::*;

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
