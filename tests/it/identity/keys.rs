//! Write keys, tenant headers, and tenants that want more or nothing.

use super::*;

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
