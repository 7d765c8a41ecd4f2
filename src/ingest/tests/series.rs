//! What a tenant's budget of series does to its lines.

use std::collections::BTreeSet;

use super::*;
use crate::admit::Demoted;
use crate::config::{DryRun, Limits as Budgets};
use crate::enrich::fixture::NOW;

const MANY: Limits = Limits { max_events: 5_000, max_lines: 16 << 20 };
/// Those of the fixture's catalog that a caller can write.
const MEASUREMENTS: usize = 4;

fn tenant(mode: SessionMode, per_hour: u32, dry_run: bool) -> Tenant {
    let dry_run = DryRun { series_per_hour: dry_run, series_per_day: dry_run, ..DryRun::default() };
    let limits = Budgets { series_per_hour: per_hour, dry_run, ..Budgets::generous() };
    Tenant::limited("acme", mode, None, limits)
}

fn made(enricher: &Enricher, tenant: &Tenant, at: i64, events: &[Value]) -> Lines {
    let mut context = context(tenant);
    context.received = at;
    let body = Value::from(events).to_string();
    let Ok(made) = ingest::<Infallible>(enricher, context, body.as_bytes(), MANY, |_| Ok(()));
    made.unwrap()
}

fn text(lines: &Lines) -> &str {
    std::str::from_utf8(&lines.body).unwrap()
}

/// The series of some lines. Nothing that is sent here holds a space.
fn series(lines: &Lines) -> Vec<&str> {
    text(lines).lines().map(|line| line.split(' ').next().unwrap()).collect()
}

fn event(session: usize, view: usize, free: usize) -> Value {
    json!({"measurement": "open", "metrics": {"x": 1}, "timestamp": NOW_MS + session as i64 % 1_000, "seq": session,
        "sessionId": format!("s{session}"), "viewName": format!("v{view}"), "tags": {"free": format!("f{free}")}})
}

#[test]
fn first_the_session_goes_then_the_free_tags_then_all_that_a_caller_can_set() {
    let (enricher, tenant) = (Enricher::new(&settings()), tenant(SessionMode::Tag, 100, false));
    let server = "env=prod,instance=aks-weu-1";
    let sent = |events: Vec<Value>| {
        let lines = made(&enricher, &tenant, NOW, &events);
        (series(&lines).into_iter().map(str::to_owned).collect::<Vec<_>>(), lines.demoted)
    };
    // The metric's name `x` takes one place of the 100.
    let (whole, demoted) = sent((0..99).map(|session| event(session, 0, 0)).collect());
    assert!(whole.iter().all(|series| series.contains(",session_id=")), "{whole:?}");
    assert_eq!(demoted, Demoted::default());

    let (no_session, demoted) = sent((200..250).map(|n| event(n, n, 0)).collect());
    assert_eq!(
        no_session[7],
        format!("open,{},free=f0,instance=aks-weu-1,region=weu,tenant_id=acme,view_name=v207", "env=prod")
    );
    assert_eq!(demoted, Demoted { session: 50, ..Demoted::default() });

    let (no_free_tags, demoted) = sent((300..350).map(|n| event(n, n, n)).collect());
    assert_eq!(
        no_free_tags[7],
        "open,env=prod,free=__other__,instance=aks-weu-1,region=weu,tenant_id=acme,view_name=v307"
    );
    assert_eq!(demoted, Demoted { free_tags: 50, ..Demoted::default() });

    let (bare, demoted) = sent((400..450).map(|n| event(n, n, n)).collect());
    let wanted = "open,action_name=__other__,env=prod,free=__other__,host=__other__,instance=aks-weu-1,path=__other__,region=weu,\
                  tenant_id=acme,view_name=__other__";
    assert!(bare.iter().all(|series| series == wanted), "{}", bare[0]);
    assert_eq!(demoted, Demoted { all_tags: 50, ..Demoted::default() });

    let (again, demoted) = sent(vec![event(5, 0, 0)]);
    assert!(
        again[0].contains(",session_id=s5,") && again[0].starts_with(&format!("open,{}", &server[..8])),
        "{again:?}"
    );
    assert_eq!(demoted, Demoted::default());
    let (next_hour, _) = {
        let lines = made(&enricher, &tenant, NOW + 3_600_000_000_000, &[event(999, 9, 9)]);
        (series(&lines).join(""), lines.demoted)
    };
    assert!(next_hour.contains(",session_id=s999,"), "{next_hour}");
}

#[test]
fn a_need_is_looked_at_in_what_was_sent() {
    let (enricher, tenant) = (Enricher::new(&settings()), tenant(SessionMode::Tag, 1, false));
    let vital = |path: String| json!({"metricName": "web_vitals_lcp", "value": 1, "tags": {"path": path}});
    let lines = made(&enricher, &tenant, NOW, &(0..500).map(|n| vital(format!("/p{n}x"))).collect::<Vec<_>>());
    assert_eq!((lines.points, lines.rejected.len()), (500, 0));
    assert!(text(&lines).contains(",path=__other__,"));
    let without = [json!({"metricName": "web_vitals_lcp", "value": 1})];
    let refused = made(&enricher, &tenant, NOW, &without);
    assert_eq!(refused.rejected[0].reason, Reason::MissingMember, "a bare point's `__other__` is no need that is met");
}

#[test]
fn made_up_metric_names_are_bounded_and_their_values_kept() {
    let (enricher, tenant) = (Enricher::new(&settings()), tenant(SessionMode::Field, 20, false));
    let event = |n: usize| {
        let name = |metric: usize| format!("m{}", n * 10 + metric);
        let metrics: serde_json::Map<_, _> = (0..10).map(|metric| (name(metric), n.into())).collect();
        json!({"measurement": "open", "metrics": metrics, "sessionId": "s", "seq": n, "timestamp": NOW_MS + n as i64})
    };
    let lines = made(&enricher, &tenant, NOW, &(0..100).map(event).collect::<Vec<_>>());
    let parsed: Vec<_> = parse_lines(text(&lines)).map(Result::unwrap).collect();
    let names: BTreeSet<_> =
        parsed.iter().flat_map(|line| line.field_set.iter().map(|(name, _)| name.to_string())).collect();
    assert!(names.len() <= 20 + 10 + 1, "{names:?}");
    assert!(names.contains("other/10") && names.contains("m0"), "{names:?}");
    assert!(parsed.iter().all(|line| line.field_set.len() == 11), "each value is there, and the session");
    assert_eq!(lines.demoted.metric_names, 1_000 - 19, "one place went to the series");
}

#[test]
fn hosts_agents_and_sessions_by_hash_make_no_more_series_than_the_bound() {
    for mode in [SessionMode::Hash(4_096), SessionMode::Tag] {
        let (enricher, tenant) = (Enricher::new(&settings()), tenant(mode, 10, false));
        let mut seen = BTreeSet::new();
        for n in 0..600 {
            // A wildcard among the origins makes the host the caller's to choose.
            let tenant = tenant.on_host(&format!("h{n}.app.example"));
            let mut event = event(n, 0, 0);
            event["measurement"] = "frontend_performance".into();
            event["actionName"] = "a".into();
            event["tags"] = json!({"browser": format!("b{n}"), "os": "o", "device": "d"});
            let lines = made(&enricher, &tenant, NOW, &[event]);
            seen.extend(series(&lines).into_iter().map(str::to_owned));
        }
        assert!(seen.len() <= 10 + 50 + 50 + 1, "{}", seen.len());
    }
}

#[test]
fn a_dry_run_changes_no_byte_and_counts_what_would_have_been() {
    let (dry, free) = (tenant(SessionMode::Tag, 10, true), tenant(SessionMode::Tag, 1_000_000, false));
    let events: Vec<_> = (0..500).map(|n| event(n, n, n)).collect();
    let [dry_lines, free_lines] = [&dry, &free].map(|tenant| made(&Enricher::new(&settings()), tenant, NOW, &events));
    assert_eq!(dry_lines, free_lines);
    assert!(dry.profile().series.usage(NOW)[0].beyond.abs_diff(491) < 50);
}

#[test]
fn one_tenants_series_are_not_anothers() {
    let enricher = Enricher::new(&settings());
    let [noisy, quiet] = [0; 2].map(|_| tenant(SessionMode::Tag, 10, false));
    let flood: Vec<_> = (0..1_000).map(|n| event(n, n, n)).collect();
    assert!(made(&enricher, &noisy, NOW, &flood).demoted.all_tags > 0);
    assert_eq!(made(&enricher, &quiet, NOW, &flood[..9]).demoted, Demoted::default());
}

#[test]
fn each_mode_of_sessions_makes_the_series_that_it_says() {
    for (mode, wanted) in [(SessionMode::Tag, 300), (SessionMode::Field, 1), (SessionMode::Hash(16), 16)] {
        let (enricher, tenant) = (Enricher::new(&settings()), tenant(mode, 1_000, false));
        let lines = made(&enricher, &tenant, NOW, &(0..300).map(|n| event(n, 0, 0)).collect::<Vec<_>>());
        assert_eq!(series(&lines).into_iter().collect::<BTreeSet<_>>().len(), wanted, "{mode:?}");
        assert_eq!(tenant.profile().series.series(NOW)[0], wanted as u64 + 1, "and the metric's name: {mode:?}");
    }
}

/// Events of a caller who sets everything that a caller can set.
fn any_event() -> impl Strategy<Value = Value> {
    let name = |prefix: &'static str, most: u32| (0..most).prop_map(move |n| format!("{prefix}{n}"));
    let measurement =
        proptest::sample::select(vec!["open", "frontend_performance", "web_vitals_lcp", "backend_api_latency"]);
    let members = (any::<u8>(), name("s", 40), name("v", 30), name("a", 30), name("t", 50), name("m", 9), 0..50_i64);
    (measurement, members).prop_map(|(measurement, (set, session, view, action, tag, metric, at))| {
        let mut event =
            json!({"measurement": measurement, "timestamp": NOW_MS + at, "seq": at, "metrics": {"x": 1, metric: 2}});
        let is = |bit: u8| set & 1 << bit != 0;
        if matches!(measurement, "web_vitals_lcp" | "backend_api_latency") {
            event["metrics"] =
                if measurement == "web_vitals_lcp" { json!({"value": 1}) } else { json!({"latency_ms": 1}) };
        }
        for (bit, member, value) in [(0, "sessionId", &session), (1, "viewName", &view), (2, "actionName", &action)] {
            if is(bit) {
                event[member] = value.as_str().into();
            }
        }
        event["tags"] = json!({});
        for (bit, key) in [(3, "path"), (4, "browser"), (5, "free"), (6, "component"), (7, "endpoint")] {
            if is(bit) && (key != "endpoint" || measurement == "backend_api_latency") {
                event["tags"][key] = format!("{tag}x").into();
            }
        }
        event
    })
}

/// Run longer by `make fuzz`.
mod property {
    use super::*;

    proptest! {
        #![proptest_config(crate::property::config(32))]

        #[test]
        fn whatever_is_sent_the_bound_holds_no_point_is_lost_and_sent_again_it_is_the_same(
            requests in proptest::collection::vec((proptest::collection::vec(any_event(), 1..150), 0..4_usize), 1..8),
            mode in proptest::sample::select(MODES.to_vec()),
            budget in 1..60_u32,
        ) {
            let enricher = Enricher::new(&settings());
            let (small, large) = (tenant(mode, budget, false), tenant(mode, 1_000_000, false));
            let mut all = BTreeSet::new();
            let mut first = Vec::new();
            for (events, host) in &requests {
                let on = |tenant: &Tenant| tenant.on_host(&format!("h{host}.example"));
                let lines = made(&enricher, &on(&small), NOW, events);
                let unbounded = made(&enricher, &on(&large), NOW, events);
                prop_assert_eq!(lines.points, unbounded.points);
                prop_assert_eq!(&lines.rejected, &unbounded.rejected);
                let parsed: Vec<_> = parse_lines(text(&lines)).map(Result::unwrap).collect();
                let whole: Vec<_> = parse_lines(text(&unbounded)).map(Result::unwrap).collect();
                prop_assert_eq!(parsed.len(), lines.points);
                for (one, other) in parsed.iter().zip(&whole) {
                    let tags = one.series.tag_set.as_ref().unwrap();
                    prop_assert!(tags.windows(2).all(|pair| pair[0].0 < pair[1].0), "sorted, none twice: {}", text(&lines));
                    prop_assert_eq!(one.timestamp.unwrap() / 1_000_000, other.timestamp.unwrap() / 1_000_000);
                    let session = usize::from(other.tag_value("session_id").is_some() && one.tag_value("session_id").is_none());
                    prop_assert_eq!(one.field_set.len(), other.field_set.len() + session, "every value is there");
                }
                all.extend(series(&lines).into_iter().map(str::to_owned));
                drop((parsed, whole));
                first.push(lines);
            }
            let bound = budget as usize + 50 + 50 + MEASUREMENTS;
            prop_assert!(all.len() <= bound, "{} series, at most {bound}", all.len());
            if small.profile().series.usage(NOW)[0].beyond == 0 {
                prop_assert!(first.iter().all(|lines| lines.demoted == Demoted::default()));
            }
            for ((events, host), before) in requests.iter().zip(first) {
                let again = made(&enricher, &small.on_host(&format!("h{host}.example")), NOW, events);
                prop_assert_eq!(text(&again), text(&before));
            }
        }
    }
}
