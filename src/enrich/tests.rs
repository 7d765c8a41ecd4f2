mod fields;
mod private;
mod time;

use bumpalo::Bump;

use super::fixture::{NOW, NOW_MS, context, settings};
use super::*;
use crate::config::SessionMode;
use crate::decode::{Event, MAX_METRICS, MAX_TAGS, decode};

/// A point in words: `measurement,tag=value field=value time`, unescaped.
fn told(point: &Point<'_>) -> String {
    let tags: String = point.tags.iter().map(|(key, value)| format!(",{key}={value}")).collect();
    let fields: Vec<_> = point.fields.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{}{tags} {} {}", point.measurement, fields.join(","), point.time)
}

/// The only event of `body` as a point, with whatever `change` makes of the request.
fn point_in(
    settings: &Settings,
    tenant: &Tenant,
    body: &str,
    change: impl Fn(&mut Context<'_>),
) -> Result<String, Rejected> {
    let enricher = Enricher::new(settings);
    let decoded = decode(body.as_bytes(), 10).unwrap();
    let mut context = context(tenant);
    context.sent_at_ms = decoded.sent_at_ms;
    change(&mut context);
    let request = enricher.request(context, &decoded.defaults);
    request.point(decoded.items[0].as_ref().unwrap(), &Bump::new()).map(|point| told(&point))
}

fn acme(session: SessionMode) -> Tenant {
    Tenant::for_test("acme", session, None)
}

fn point(body: &str) -> Result<String, Rejected> {
    point_in(&settings(), &acme(SessionMode::Tag), body, |_| ())
}

fn refusal(body: &str) -> (Reason, String) {
    let rejected = point(body).expect_err(body);
    (rejected.reason, rejected.detail)
}

/// An event of the measurement `open` with these members.
fn open(members: &str) -> String {
    format!(r#"{{"measurement":"open","timestamp":{NOW_MS},"seq":1,{members}}}"#)
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

const TIME: i64 = 1_790_000_000_000_000_001;

#[test]
fn the_servers_tags_stand_on_every_point() {
    let body = format!(
        r#"{{"sessionId":"s-1","viewName":"Users","actionName":"fetch","metrics":{{"duration_ms":12.6,"x":2}},"timestamp":{NOW_MS},"seq":1}}"#
    );
    let tags = "env=prod,host=app.example,instance=aks-weu-1,region=weu";
    let tenant = Tenant::for_test("acme", SessionMode::Tag, Some("app.example"));
    assert_eq!(
        point_in(&settings(), &tenant, &body, |_| ()).unwrap(),
        format!(
            "frontend_performance,action_name=fetch,{tags},session_id=s-1,tenant_id=acme,view_name=Users duration_ms=Int(13),x=Float(2.0) {TIME}"
        )
    );
}

#[test]
fn a_session_is_stored_as_the_tenant_says() {
    let body = open(r#""sessionId":"s-1","metrics":{"x":1}"#);
    let in_mode = |mode| point_in(&settings(), &acme(mode), &body, |_| ()).unwrap();
    let server = "env=prod,instance=aks-weu-1,region=weu";
    assert_eq!(in_mode(SessionMode::Tag), format!("open,{server},session_id=s-1,tenant_id=acme x=Float(1.0) {TIME}"));
    let field = in_mode(SessionMode::Field);
    let hashed = in_mode(SessionMode::Hash(4));
    let (field, time) = field.rsplit_once(' ').unwrap();
    assert_eq!(field, format!("open,{server},tenant_id=acme x=Float(1.0),session=Str(\"s-1\")"));
    assert!(hashed.starts_with(&format!("open,{server},session_bucket=")), "{hashed}");
    assert!(hashed.ends_with(&format!("tenant_id=acme x=Float(1.0),session=Str(\"s-1\") {time}")), "{hashed}");
    let bucket: u32 = hashed.split("session_bucket=").nth(1).unwrap().split(',').next().unwrap().parse().unwrap();
    assert!(bucket < 4);
}

#[test]
fn no_caller_can_name_a_tag_or_field_of_the_servers() {
    for name in [
        "tenant_id",
        "session_id",
        "session_bucket",
        "session",
        "host",
        "instance",
        "trace_id",
        "client_address",
        "time",
        "measurement",
        "view_name",
        "action_name",
        "env",
        "region",
        "_measurement",
        "_field",
        "_x",
    ] {
        let tag = refusal(&open(&format!(r#""metrics":{{"x":1}},"tags":{{"{name}":"evil"}}"#)));
        assert_eq!(tag.0, Reason::ReservedName, "tag {name}: {}", tag.1);
        let shared =
            format!(r#"{{"tags":{{"{name}":"evil"}},"events":[{{"measurement":"open","metrics":{{"x":1}}}}]}}"#);
        assert_eq!(refusal(&shared).0, Reason::ReservedName, "tag {name} of the envelope");
        let listed = format!(r#"[{{"metricName":"web_vitals_lcp","value":1,"tags":{{"path":"/","{name}":"evil"}}}}]"#);
        assert_eq!(refusal(&listed).0, Reason::ReservedName, "tag {name} of a metric list");
        let metric = refusal(&open(&format!(r#""metrics":{{"{name}":1}}"#)));
        assert_eq!(metric.0, Reason::ReservedName, "metric {name}: {}", metric.1);
    }
    assert_eq!(refusal(&open(r#""metrics":{"free":1}"#)).0, Reason::ReservedName, "a tag that the catalog lists");
}

#[test]
fn a_tenant_in_the_body_is_not_read() {
    let body = open(r#""metrics":{"x":1},"tenant_id":"evil","tenantId":"evil","tenant":{"id":"evil"}"#);
    assert!(!point(&body).unwrap().contains("evil"));
}

#[test]
fn free_tags_are_taken_by_the_allow_list_and_others_are_counted() {
    let settings = settings();
    let (enricher, tenant) = (Enricher::new(&settings), acme(SessionMode::Tag));
    let body = open(r#""metrics":{"x":1},"tags":{"free":"yes","color":"red","size":"XL","path":""}"#);
    let decoded = decode(body.as_bytes(), 10).unwrap();
    let request = enricher.request(context(&tenant), &decoded.defaults);
    let (arena, event) = (Bump::new(), decoded.items[0].as_ref().unwrap());
    let point = request.point(event, &arena).unwrap();
    let keys: Vec<_> = point.tags.iter().map(|(key, _)| *key).collect();
    assert_eq!(keys, ["env", "free", "instance", "region", "tenant_id"]);
    assert_eq!(request.tags_dropped(), 2);

    let bad = Event { metrics: Vec::new(), ..event.clone() };
    request.point(&bad, &arena).unwrap_err();
    assert_eq!(request.tags_dropped(), 2, "a rejected event counts as rejected only");
}

#[test]
fn an_events_own_tag_wins_over_its_envelopes() {
    let body = r#"{"tags":{"free":"shared","path":"/7"},"sessionId":"shared","viewName":"/v/7",
        "events":[{"measurement":"open","metrics":{"x":1},"tags":{"free":"own"},"sessionId":"own"}]}"#;
    let told = point(body).unwrap();
    assert!(told.contains(",free=own,") && told.contains(",path=/:id,") && told.contains(",session_id=own,"), "{told}");
    assert!(told.contains(",view_name=/v/:id "), "{told}");
}

#[test]
fn a_measurement_must_be_known_and_the_writers_own() {
    let named = |name: &str| refusal(&format!(r#"{{"measurement":"{name}","metrics":{{"x":1}}}}"#)).0;
    assert_eq!(named("nobody_knows"), Reason::UnknownMeasurement);
    for name in ["caddy_http_requests", "gateway_outcomes", "_internal"] {
        assert_eq!(named(name), Reason::ReservedName);
    }
}

#[test]
fn what_a_measurement_needs_must_be_there() {
    for (body, missing) in [
        (r#"{"metrics":{"x":1},"actionName":"a"}"#, "the member `viewName` is missing or empty"),
        (r#"{"metrics":{"x":1},"viewName":"v","actionName":""}"#, "the member `actionName` is missing or empty"),
        (
            r#"{"measurement":"backend_api_latency","metrics":{"latency_ms":1}}"#,
            "the tag `endpoint` is missing or empty",
        ),
        (r#"{"metricName":"web_vitals_lcp","value":1,"tags":{"path":"?x=1"}}"#, "the tag `path` is missing or empty"),
    ] {
        assert_eq!(refusal(body), (Reason::MissingMember, missing.to_owned()));
    }
}

fn time(settings: &Settings, mode: SessionMode, body: &str) -> Result<i64, Reason> {
    let told = point_in(settings, &acme(mode), body, |_| ()).map_err(|rejected| rejected.reason)?;
    Ok(told.rsplit(' ').next().unwrap().parse().unwrap())
}

#[test]
fn the_user_agent_fills_only_tags_that_the_catalog_lists_and_the_caller_left() {
    let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0";
    let told = |settings: &Settings, body: &str| {
        point_in(settings, &acme(SessionMode::Tag), body, |context| context.user_agent = Some(firefox)).unwrap()
    };
    let frontend = r#"{"viewName":"v","actionName":"a","metrics":{"x":1},"tags":{"os":"own"}}"#;
    let with = told(&settings(), frontend);
    assert!(with.contains(",browser=Firefox,device=desktop,env=") && with.contains(",os=own,"), "{with}");
    assert!(!told(&settings(), r#"{"measurement":"open","metrics":{"x":1}}"#).contains("Firefox"));
    let mut off = settings();
    off.enrich.user_agent = false;
    assert!(!told(&off, frontend).contains("Firefox"));
}

#[test]
fn no_point_allocates_outside_its_arena() {
    let settings = settings();
    let (enricher, tenant) =
        (Enricher::new(&settings), Tenant::for_test("acme", SessionMode::Hash(64), Some("app.example")));
    let body = format!(
        r#"{{"events":[{{"sessionId":"s-1","viewName":"/users/7","actionName":"fetch","metrics":{{"duration_ms":12.6,"x":2}},"timestamp":{NOW_MS},
            "seq":1,"tags":{{"path":"https://a.b/products/123?x=1","color":"red"}},"traceId":"{}"}}],"tags":{{"os":"own"}}}}"#,
        TRACE.to_uppercase()
    );
    let decoded = decode(body.as_bytes(), 10).unwrap();
    let mut context = context(&tenant);
    context.user_agent = Some("Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0");
    let request = enricher.request(context, &decoded.defaults);
    let event = decoded.items[0].as_ref().unwrap();
    let mut arena = Bump::with_capacity(4 << 10);
    request.point(event, &arena).unwrap();
    let counted = allocation_counter::measure(|| {
        for _ in 0..100 {
            arena.reset();
            request.point(event, &arena).unwrap();
        }
    });
    assert_eq!(counted.count_total, 0);
}

#[test]
fn a_write_key_writes_its_own_measurements_only() {
    let mut settings = settings();
    let tenant = fixture::bound_to(&mut settings, "acme", "open");
    let enricher = Enricher::new(&settings);
    let body = r#"[{"measurement":"open","metrics":{"x":1}},{"viewName":"v","actionName":"a","metrics":{"x":1}}]"#;
    let decoded = decode(body.as_bytes(), 10).unwrap();
    let request = enricher.request(context(&tenant), &decoded.defaults);
    let arena = Bump::new();
    let reasons: Vec<_> = decoded
        .items
        .iter()
        .map(|item| request.point(item.as_ref().unwrap(), &arena).err().map(|r| r.reason))
        .collect();
    assert_eq!(reasons, [None, Some(Reason::NotAllowed)]);
}
