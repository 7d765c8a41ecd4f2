//! A caller cannot write under another tenant, whichever way it tries: refused, or written under its own.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::support::{ACME_KEY, GLOBEX_KEY, Gateway, SigningKey, claims, config_for, eventually, http, influx};

/// One way in: what is sent, and the status that it must get.
struct Attempt {
    what: &'static str,
    target: String,
    headers: Vec<(&'static str, String)>,
    body: String,
    status: u16,
}

fn event(extra: &str) -> String {
    format!(r#"{{"sessionId":"s","viewName":"v","actionName":"a","metrics":{{"duration_ms":1}}{extra}}}"#)
}

fn attempt(what: &'static str, status: u16, body: impl Into<String>) -> Attempt {
    let target = format!("/v1/telemetry/{ACME_KEY}");
    Attempt { what, target, headers: Vec::new(), body: body.into(), status }
}

impl Attempt {
    fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn target(mut self, target: impl Into<String>) -> Self {
        self.target = target.into();
        self
    }
}

/// Every way in that the formats, the headers and the URL offer. The sender is `acme`; the victim is `globex`.
fn attempts(token: &str) -> Vec<Attempt> {
    let keyed = format!("/v1/telemetry/{ACME_KEY}");
    let forged_line = "x\\nfrontend_performance,tenant_id=globex duration_ms=1i";
    let mut attempts = vec![
        // In the body: members that name a tenant are not read.
        attempt("body member tenant_id", 202, event(r#","tenant_id":"globex""#)),
        attempt("body member tenantId", 202, event(r#","tenantId":"globex""#)),
        attempt("body member tenant", 202, event(r#","tenant":{"id":"globex"}"#)),
        attempt(
            "envelope member",
            202,
            format!(r#"{{"tenant_id":"globex","tenantId":"globex","events":[{}]}}"#, event("")),
        ),
        // As a tag or a metric: reserved.
        attempt("tag tenant_id", 400, event(r#","tags":{"tenant_id":"globex"}"#)),
        attempt(
            "envelope tag tenant_id",
            400,
            format!(r#"{{"tags":{{"tenant_id":"globex"}},"events":[{}]}}"#, event("")),
        ),
        attempt("tag instance", 400, event(r#","tags":{"instance":"elsewhere"}"#)),
        attempt("tag host", 400, event(r#","tags":{"host":"globex.example"}"#)),
        attempt("metric tenant_id", 400, r#"{"viewName":"v","actionName":"a","metrics":{"tenant_id":1}}"#),
        attempt("tag name with an escape", 400, event(r#","tags":{"a,tenant_id":"globex"}"#)),
        attempt(
            "metric name with an escape",
            400,
            r#"{"viewName":"v","actionName":"a","metrics":{"d=1i,tenant_id":1}}"#,
        ),
        attempt(
            "metric list tag",
            400,
            r#"[{"metricName":"web_vitals_lcp","value":1,"tags":{"path":"/","tenant_id":"globex"}}]"#,
        )
        .target(format!("/api/telemetry/ingest?k={ACME_KEY}")),
        attempt(
            "metric list member",
            202,
            r#"[{"metricName":"web_vitals_lcp","value":1,"tags":{"path":"/"},"tenantId":"globex"}]"#,
        )
        .target(format!("/ingest?k={ACME_KEY}")),
        // As another measurement.
        attempt("gateway's own measurement", 400, event(r#","measurement":"gateway_outcomes""#)),
        attempt("the edge's measurement", 400, event(r#","measurement":"caddy_http_requests""#)),
        attempt(
            "measurement with a tag in it",
            400,
            event(r#","measurement":"frontend_performance,tenant_id=globex""#),
        ),
        // A line forged by a newline in any string.
        attempt("newline in the view", 202, event("").replace("\"v\"", &format!("\"{forged_line}\""))),
        attempt("newline in the action", 202, event("").replace("\"a\"", &format!("\"{forged_line}\""))),
        attempt("newline in the session", 202, event("").replace("\"s\"", &format!("\"{forged_line}\""))),
        attempt("newline in a tag", 202, event(&format!(r#","tags":{{"path":"{forged_line}"}}"#))),
        attempt("backslash at the end of a tag", 202, event(r#","tags":{"path":"/a\\"}"#)),
        // By header and query string.
        attempt("X-Tenant-ID of another", 403, event("")).header("X-Tenant-ID", "globex"),
        attempt("X-Tenant-ID twice", 403, event("")).header("X-Tenant-ID", "acme").header("X-Tenant-ID", "globex"),
        attempt("X-Tenant-ID with a guess at the secret", 403, event(""))
            .header("X-Tenant-ID", "globex")
            .header("X-Proxy-Secret", "guess"),
        attempt("X-Tenant-ID alone", 401, event("")).target("/v1/telemetry").header("X-Tenant-ID", "globex"),
        attempt("tenant in the query", 202, event("")).target(format!("{keyed}?tenant_id=globex&tenant=globex")),
        attempt("tenant alone in the query", 401, event("")).target("/v1/telemetry?tenant_id=globex"),
        // Two credentials that disagree.
        attempt("two keys, path and query", 403, event(""))
            .target(format!("{keyed}?k={GLOBEX_KEY}"))
            .header("Origin", "https://globex.example"),
        attempt("two keys, path and header", 403, event(""))
            .header("X-Api-Key", GLOBEX_KEY)
            .header("Origin", "https://globex.example"),
        attempt("token of acme, key of globex", 403, event(""))
            .target(format!("/v1/telemetry/{GLOBEX_KEY}"))
            .header("Authorization", format!("Bearer {token}"))
            .header("Origin", "https://globex.example"),
        attempt("token of acme, header of globex", 403, event(""))
            .target("/v1/telemetry")
            .header("Authorization", format!("Bearer {token}"))
            .header("X-Tenant-ID", "globex"),
        // The other's key from a page that is not the other's.
        attempt("key of globex, foreign origin", 403, event(""))
            .target(format!("/v1/telemetry/{GLOBEX_KEY}"))
            .header("Origin", "https://globex.example.evil.example"),
        attempt("key of globex, no origin", 403, event("")).target(format!("/v1/telemetry/{GLOBEX_KEY}")),
    ];
    // The claim of a token whose signature is another's.
    let forged = SigningKey::rs256().sign(&claims("globex"));
    attempts.push(
        attempt("token of a foreign key", 401, event(""))
            .target("/v1/telemetry")
            .header("Authorization", format!("Bearer {forged}")),
    );
    attempts
}

#[tokio::test]
async fn a_spoofed_tenant_is_refused_or_overwritten_by_every_way_in() {
    let bucket = influx().bucket("spoofing");
    let key = SigningKey::rs256();
    let gateway = Gateway::start(&format!("{}\n{}", config_for(&bucket), key.issuer_toml("idp"))).await;
    let token = key.sign(&claims("acme"));

    let attempts = attempts(&token);
    let mut wrong = Vec::new();
    let mut taken = 0;
    for attempt in &attempts {
        let headers: Vec<_> = attempt.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = http::request(gateway.address(), "POST", &attempt.target, &headers, attempt.body.as_bytes());
        taken += u64::from(answer.status == 202);
        if answer.status != attempt.status {
            wrong.push(format!("{}: {} instead of {}: {}", attempt.what, answer.status, attempt.status, answer.text()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    // What was taken is there, all of it under acme, and nothing else is.
    eventually(Duration::from_secs(10), || async {
        let delivered = gateway.admin_json("/admin/ledger")["tenants"]["acme"]["outcomes"]["delivered"].as_u64();
        if delivered == Some(taken) { Ok(()) } else { Err(format!("{delivered:?} of {taken} delivered")) }
    })
    .await;
    assert_eq!(gateway.admin_json("/admin/ledger")["tenants"]["globex"]["accepted"], 0);
    let tenants: BTreeSet<_> = bucket
        .select("|> keep(columns: [\"tenant_id\"]) |> group() |> distinct(column: \"tenant_id\")")
        .await
        .iter()
        .map(|row| row.text("_value").to_owned())
        .collect();
    assert_eq!(tenants, BTreeSet::from(["acme".to_owned()]));
    let known = BTreeSet::from(["frontend_performance".to_owned(), "web_vitals_lcp".to_owned()]);
    let stored: BTreeSet<_> = bucket.measurements().await.into_iter().collect();
    assert_eq!(stored, known);
}
