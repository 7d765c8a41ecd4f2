//! What the server adds to an event, what of the caller's it keeps, and what it makes of it: read back from InfluxDB.

mod timestamps;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{ACME_KEY, Bucket, GLOBEX_KEY, Gateway, Row, config_for, influx};

/// The origin of globex's pages.
const GLOBEX: [(&str, &str); 1] = [("Origin", "https://globex.example")];

/// The key of a third tenant, for [`INITECH`].
const INITECH_KEY: &str = "initech-key-0123456789abcdef";

/// A third tenant, with what follows in its table.
fn initech(more: &str) -> String {
    format!("\n[tenants.initech]\n{more}\n[tenants.initech.keys.any]\nkey = \"{INITECH_KEY}\"\norigins = [\"*\"]\n")
}

/// 2023-11-14T22:13:20Z, in milliseconds.
const BASE: i64 = 1_700_000_000_000;

/// A valid event of this action.
fn event(action: &str) -> Value {
    json!({"sessionId": "s-1", "viewName": "v", "actionName": action, "metrics": {"duration_ms": 1}})
}

/// The same with one member more.
fn with(action: &str, member: &str, value: Value) -> Value {
    let mut event = event(action);
    event[member] = value;
    event
}

/// The points of `frontend_performance` by their action.
async fn by_action(bucket: &Bucket) -> impl Fn(&str) -> Row {
    let rows = bucket.rows("frontend_performance").await;
    move |action| {
        let found: Vec<_> = rows.iter().filter(|row| row.get("action_name") == Some(action)).collect();
        let [row] = found[..] else { panic!("not one point of {action}: {rows:?}") };
        row.clone()
    }
}

/// The names of a measurement's tags, or fields, as the schema knows them.
async fn keys(bucket: &Bucket, kind: &str, tenant: &str) -> BTreeSet<String> {
    let flux = format!(
        "import \"influxdata/influxdb/schema\"
         schema.{kind}Keys(bucket: \"{}\", predicate: (r) => r.tenant_id == \"{tenant}\", start: 1970-01-01T00:00:00Z)",
        bucket.name()
    );
    bucket.query(&flux).await.iter().map(|row| row.text("_value").to_owned()).collect()
}

#[tokio::test]
async fn a_session_is_a_tag_a_field_or_a_bucket_as_its_tenant_says() {
    let bucket = influx().bucket("sessions");
    let config = format!(
        "{}\n[enrich]\nsession = \"field\"\n[tenants.acme]\nsession = \"tag\"\n{}",
        config_for(&bucket),
        initech("session = \"hash:4\"")
    );
    let gateway = Gateway::start(&config).await;
    let events: Value = (0..40).map(|n| with("a", "sessionId", json!(format!("s-{n}")))).collect();
    gateway.accept(ACME_KEY, &[], &events);
    gateway.accept(GLOBEX_KEY, &GLOBEX, &events);
    gateway.accept(INITECH_KEY, &[], &events);
    for tenant in ["acme", "globex", "initech"] {
        gateway.delivered(tenant, 40).await;
    }

    let has = |keys: &BTreeSet<String>, names: [&str; 2]| names.map(|name| keys.contains(name));
    let expected = [("acme", [true, false], false), ("globex", [false, false], true), ("initech", [false, true], true)];
    for (tenant, tags, field) in expected {
        let seen = keys(&bucket, "tag", tenant).await;
        assert_eq!(has(&seen, ["session_id", "session_bucket"]), tags, "{tenant}: {seen:?}");
        let seen = keys(&bucket, "field", tenant).await;
        assert_eq!(seen.contains("session"), field, "{tenant}: {seen:?}");
    }
    let rows = bucket.rows("frontend_performance").await;
    assert_eq!(rows.len(), 120);
    let wanted: BTreeSet<_> = (0..40).map(|n| format!("s-{n}")).collect();
    for (tenant, column) in [("acme", "session_id"), ("globex", "session"), ("initech", "session")] {
        let of_tenant = rows.iter().filter(|row| row.text("tenant_id") == tenant);
        let seen: BTreeSet<_> = of_tenant.map(|row| row.text(column).to_owned()).collect();
        assert_eq!(seen, wanted, "{tenant}");
    }
    let buckets: BTreeSet<_> = rows.iter().filter_map(|row| row.get("session_bucket")).collect();
    assert_eq!(buckets, BTreeSet::from(["0", "1", "2", "3"]), "40 sessions fill four buckets");
}

#[tokio::test]
async fn a_static_tag_is_on_every_point_and_no_caller_overrides_it() {
    let bucket = influx().bucket("static-tags");
    // `release` is one that the catalog lets callers set.
    let config = format!(
        "{}\n[enrich]\nstatic_tags = {{ env = \"prod\", region = \"west, europe\", release = \"r=1\" }}\n",
        config_for(&bucket)
    );
    let gateway = Gateway::start(&config).await;
    gateway.accept(ACME_KEY, &[], &event("plain"));
    gateway.accept(ACME_KEY, &[], &json!([{"metricName": "web_vitals_lcp", "value": 1.5}]));
    for (what, refused) in [
        ("a tag", with("a", "tags", json!({"env": "dev"}))),
        ("a tag of the catalog's", with("a", "tags", json!({"release": "2"}))),
        ("a metric", with("a", "metrics", json!({"region": 1}))),
        ("an envelope's tag", json!({"tags": {"region": "x"}, "events": [event("a")]})),
    ] {
        let answer = gateway.post(ACME_KEY, &[], refused.to_string());
        assert_eq!((answer.status, &answer.json()["rejected"][0]["reason"]), (400, &json!("reserved_name")), "{what}");
    }
    gateway.delivered("acme", 2).await;
    for measurement in ["frontend_performance", "web_vitals_lcp"] {
        let rows = bucket.rows(measurement).await;
        assert_eq!(rows.len(), 1, "{measurement}");
        let seen = ["env", "region", "release"].map(|name| rows[0].text(name));
        assert_eq!(seen, ["prod", "west, europe", "r=1"], "{measurement}");
    }
}

#[tokio::test]
async fn the_instance_is_what_the_settings_say_and_else_the_host_name() {
    let bucket = influx().bucket("instance");
    let config = config_for(&bucket);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    for (instance, environment) in [
        (kernel.trim(), &[][..]),
        ("tagline-7", &[("HOSTNAME", "tagline-7")]),
        ("aks-weu-1", &[("HOSTNAME", "tagline-8"), ("TAGLINE__ENRICH__INSTANCE", "aks-weu-1")]),
    ] {
        let gateway = Gateway::start_with(&config, environment).await;
        gateway.accept(ACME_KEY, &[], &event(instance));
        gateway.delivered("acme", 1).await;
        assert_eq!(by_action(&bucket).await(instance).text("instance"), instance);
    }
}

#[tokio::test]
async fn the_host_is_that_of_a_listed_origin_and_never_that_of_a_star() {
    let bucket = influx().bucket("host");
    let listed = initech("")
        + "[tenants.initech.keys.web]\nkey = \"initech-web-0123456789abcdef\"\norigins = [\"https://*.shop.example:8443\"]\n";
    let gateway = Gateway::start(&format!("{}{listed}", config_for(&bucket))).await;
    let cases = [
        (GLOBEX_KEY, "https://globex.example", Some("globex.example")),
        (GLOBEX_KEY, "HTTPS://Globex.Example:443", Some("globex.example")),
        (ACME_KEY, "https://app.example", None),
        (ACME_KEY, "null", None),
        // The other key of the tenant lists it: it is one of the tenant's origins, whichever key is used.
        (INITECH_KEY, "https://a.b.shop.example:8443", Some("a.b.shop.example:8443")),
        (INITECH_KEY, "https://a.shop.example", None),
        (INITECH_KEY, "https://shop.example:8443", None),
    ];
    for (number, (key, origin, _)) in cases.iter().enumerate() {
        gateway.accept(key, &[("Origin", origin)], &event(&format!("case {number}")));
    }
    gateway.accept(
        ACME_KEY,
        &[("Referer", "https://globex.example/x"), ("X-Forwarded-Host", "globex.example")],
        &event("no origin"),
    );
    for (tenant, points) in [("globex", 2), ("acme", 3), ("initech", 3)] {
        gateway.delivered(tenant, points).await;
    }
    let of = by_action(&bucket).await;
    for (number, (_, origin, host)) in cases.iter().enumerate() {
        assert_eq!(of(&format!("case {number}")).get("host"), *host, "{origin}");
    }
    assert_eq!(of("no origin").get("host"), None);
}

#[tokio::test]
async fn a_path_becomes_its_template_and_a_query_string_is_never_stored() {
    let bucket = influx().bucket("paths");
    let config =
        format!("{}\n[enrich]\npath_rules = [\"/shops/{{shop}}/orders/{{}}\", \"/u/{{name}}\"]\n", config_for(&bucket));
    let gateway = Gateway::start(&config).await;
    let cases = [
        ("/products/123", "/products/:id"),
        ("/products/123?secret=1#secret", "/products/:id"),
        ("/products#secret", "/products"),
        ("https://app.example/products/123?secret=1", "/products/:id"),
        ("https://app.example?secret=1", "/"),
        ("/u/4bf92f35-77b3-4da6-a3ce-929d0e0e4736/edit", "/u/:uuid/edit"),
        ("/c/4bf92f3577b34da6a3ce929d0e0e4736", "/c/:hash"),
        ("/day/2026-11-21", "/day/:date"),
        ("/k/01ARZ3NDEKTSV4RRFFQ69G5FAV", "/k/:id"),
        ("/shops/delft/orders/next", "/shops/:shop/orders/:id"),
        ("/shops/delft/orders/next/lines", "/shops/delft/orders/next/lines"),
        ("/u/jane?token=secret", "/u/:name"),
        ("/a/b,c=d e/3", "/a/b,c=d e/:id"),
    ];
    let events = cases.iter().enumerate().flat_map(|(number, (path, _))| {
        let mut as_view = event(&format!("view {number}"));
        as_view["viewName"] = json!(path);
        [with(&format!("tag {number}"), "tags", json!({"path": path})), as_view]
    });
    let sent = gateway.accept(ACME_KEY, &[], &events.collect());
    let endpoint = json!({
        "measurement": "backend_api_latency", "tags": {"endpoint": "/api/users/42?secret=1", "http_method": "GET"}, "metrics": {"latency_ms": 4.5},
    });
    gateway.accept(ACME_KEY, &[], &endpoint);
    gateway.delivered("acme", sent + 1).await;
    let of = by_action(&bucket).await;
    for (number, (path, template)) in cases.iter().enumerate() {
        assert_eq!(of(&format!("tag {number}")).text("path"), *template, "{path}");
        assert_eq!(of(&format!("view {number}")).text("view_name"), *template, "{path}");
    }
    let backend = bucket.rows("backend_api_latency").await;
    assert_eq!((backend[0].text("endpoint"), backend[0].int("latency_ms")), ("/api/users/:id", 5));
    let stored = bucket.select("").await;
    assert!(!format!("{stored:?}").contains("secret"), "{stored:?}");
}

const CHROME: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36";
const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1";

#[tokio::test]
async fn the_user_agent_is_read_to_browser_os_and_device_unless_a_setting_says_no() {
    let bucket = influx().bucket("agents");
    let config = config_for(&bucket);
    let gateway = Gateway::start(&config).await;
    gateway.accept(ACME_KEY, &[("User-Agent", CHROME)], &event("chrome"));
    gateway.accept(ACME_KEY, &[("User-Agent", IPHONE)], &event("iphone"));
    gateway.accept(ACME_KEY, &[("User-Agent", "no browser, at all")], &event("unknown"));
    gateway.accept(ACME_KEY, &[("User-Agent", CHROME)], &with("own", "tags", json!({"browser": "Own, 1"})));
    gateway.accept(ACME_KEY, &[("User-Agent", CHROME)], &json!([{"metricName": "web_vitals_lcp", "value": 1}]));
    gateway.delivered("acme", 5).await;
    let off = Gateway::start_with(&config, &[("TAGLINE__ENRICH__USER_AGENT", "false")]).await;
    off.accept(ACME_KEY, &[("User-Agent", CHROME)], &event("off"));
    off.delivered("acme", 1).await;

    let of = by_action(&bucket).await;
    let seen = |action| {
        let row = of(action);
        ["browser", "os", "device"].map(|name| row.get(name).map(str::to_owned))
    };
    let wanted = |tags: [&str; 3]| tags.map(|tag| Some(tag.to_owned()));
    assert_eq!(seen("chrome"), wanted(["Chrome", "Windows", "desktop"]));
    assert_eq!(seen("iphone"), wanted(["Safari", "iOS", "mobile"]));
    assert_eq!(seen("unknown"), [None, None, None]);
    assert_eq!(seen("own"), wanted(["Own, 1", "Windows", "desktop"]));
    assert_eq!(seen("off"), [None, None, None]);
    // This measurement does not list them.
    assert_eq!(bucket.rows("web_vitals_lcp").await[0].get("browser"), None);
}

#[tokio::test]
async fn a_trace_is_the_events_own_and_else_the_requests() {
    let bucket = influx().bucket("traces");
    let gateway = Gateway::start(&config_for(&bucket)).await;
    let (own, header) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let traced = [("traceparent", header)];
    gateway.accept(ACME_KEY, &traced, &event("header"));
    gateway.accept(ACME_KEY, &traced, &with("id", "traceId", json!(own.to_uppercase())));
    gateway.accept(ACME_KEY, &[], &with("parent", "traceparent", json!(format!("00-{own}-00f067aa0ba902b7-00"))));
    gateway.accept(
        ACME_KEY,
        &[("traceparent", "00-00000000000000000000000000000000-b7ad6b7169203331-01")],
        &event("invalid"),
    );
    gateway.accept(ACME_KEY, &[], &event("none"));
    let answer = gateway.post(ACME_KEY, &traced, with("bad", "traceId", json!("4bf92f35\",x=\"")).to_string());
    assert_eq!(
        (answer.status, &answer.json()["rejected"][0]["reason"]),
        (400, &json!("malformed")),
        "{}",
        answer.text()
    );
    gateway.delivered("acme", 5).await;
    let of = by_action(&bucket).await;
    let ids = ["header", "id", "parent", "invalid", "none"].map(|action| of(action).get("trace_id").map(str::to_owned));
    let wanted = [Some("0af7651916cd43dd8448eb211c80319c"), Some(own), Some(own), None, None];
    assert_eq!(ids, wanted.map(|id| id.map(str::to_owned)));
    // A field: as a tag, each trace would be a series.
    assert!(!keys(&bucket, "tag", "acme").await.contains("trace_id"));
}

#[tokio::test]
async fn free_tags_are_kept_by_the_catalogs_list_and_the_others_counted() {
    let bucket = influx().bucket("free-tags");
    let config = format!(
        "{}\n[measurements.checkout]\ntags = [\"step\"]\nfields.total = {{ type = \"float\" }}\n",
        config_for(&bucket)
    );
    let gateway = Gateway::start(&config).await;
    let tags = json!({"step": "pay", "release": "1.2", "build": 7, "beta": true});
    gateway.accept(ACME_KEY, &[], &with("frontend", "tags", tags.clone()));
    gateway.accept(ACME_KEY, &[], &json!({"measurement": "checkout", "metrics": {"total": 5}, "tags": tags}));
    // What was refused has no tags that could be left out.
    let refused =
        gateway.post(ACME_KEY, &[], json!({"tags": tags, "viewName": "v", "metrics": {"duration_ms": 1}}).to_string());
    assert_eq!(refused.status, 400);
    let row = gateway.delivered("acme", 2).await;
    assert_eq!(row["tagsDropped"], 6, "{row}");
    assert_eq!(gateway.metric("tagline_tags_dropped_total"), Some(6.0));

    let kept = |row: &Row| ["step", "release", "build", "beta"].map(|name| row.get(name).map(str::to_owned));
    let some = |value: &str| Some(value.to_owned());
    assert_eq!(kept(&by_action(&bucket).await("frontend")), [None, some("1.2"), None, None]);
    assert_eq!(kept(&bucket.rows("checkout").await[0]), [some("pay"), None, None, None]);
}

#[tokio::test]
async fn a_fraction_in_an_integer_field_is_rounded_and_never_a_conflict_of_types() {
    let bucket = influx().bucket("types");
    let gateway = Gateway::start(&config_for(&bucket)).await;
    // In one series, in orders that let each kind of number come first; `other` has no rule and is a float for ever.
    let sent = [json!(12.6), json!(120), json!(-0.0), json!(1e3), json!(0.5), json!(120.0)];
    for (number, at) in sent.iter().zip(BASE..) {
        let mut event = with("a", "metrics", json!({"duration_ms": number, "other": number}));
        event["timestamp"] = json!(at);
        gateway.accept(ACME_KEY, &[], &event);
    }
    gateway.accept(GLOBEX_KEY, &GLOBEX, &with("a", "metrics", json!({"duration_ms": 3.49, "other": 7})));
    let row = gateway.delivered("acme", 6).await;
    assert_eq!(row["accepted"], row["outcomes"]["delivered"], "{row}");
    gateway.delivered("globex", 1).await;

    let rows = bucket.rows("frontend_performance").await;
    let acme: Vec<_> = rows.iter().filter(|row| row.text("tenant_id") == "acme").collect();
    let whole: Vec<_> = acme.iter().map(|row| row.int("duration_ms")).collect();
    assert_eq!(whole, [13, 120, 0, 1_000, 1, 120]);
    let floats: Vec<_> = acme.iter().map(|row| row.float("other")).collect();
    assert_eq!(floats, [12.6, 120.0, -0.0, 1_000.0, 0.5, 120.0]);
    for (field, kind) in [("duration_ms", "int"), ("other", "float")] {
        let typed = format!(
            "|> filter(fn: (r) => r._field == \"{field}\") |> filter(fn: (r) => types.isType(v: r._value, type: \"{kind}\"))"
        );
        let flux = format!(
            "import \"types\"\nfrom(bucket: \"{}\") |> range(start: 1970-01-01T00:00:00Z, stop: 2100-01-01T00:00:00Z) {typed} |> group() |> count()",
            bucket.name()
        );
        assert_eq!(
            bucket.query(&flux).await.first().map(|row| row.int("_value")),
            Some(7),
            "{field} is {kind} in every point"
        );
    }
}
