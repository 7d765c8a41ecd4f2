use std::collections::BTreeSet;

use super::*;
use crate::auth::Tenant;
use crate::config::{SessionMode, Settings};
use crate::decode::{Event, decode};
use crate::encode::encode;
use crate::enrich::Enricher;
use crate::enrich::fixture::{NOW_MS, context, settings};

const DEMOTED: [Detail; 3] = [Detail::NoSession, Detail::NoFreeTags, Detail::Bare];

fn line(point: &Point<'_>) -> String {
    let mut line = Vec::new();
    encode(point, &mut line);
    String::from_utf8(line).unwrap()
}

/// The events of a body, with these details, as lines; of a tenant that stores sessions so, on the page `app.example`.
fn lines(settings: &Settings, mode: SessionMode, body: &str, details: &[Detail]) -> Vec<String> {
    let (enricher, tenant) = (Enricher::new(settings), Tenant::for_test("acme", mode, Some("app.example")));
    let decoded = decode(body.as_bytes(), 10_000).unwrap();
    let request = enricher.request(context(&tenant), &decoded.defaults);
    let arena = Bump::new();
    let drafts = decoded.items.iter().map(|item| request.draft(item.as_ref().unwrap(), &arena).unwrap());
    drafts
        .flat_map(|draft| details.iter().map(|&detail| line(&draft.demoted(detail, &arena))).collect::<Vec<_>>())
        .collect()
}

fn frontend(session: &str, seq: u64) -> String {
    format!(
        r#"{{"sessionId":"{session}","viewName":"Users","actionName":"fetch","metrics":{{"duration_ms":12,"x":2}},"timestamp":{NOW_MS},"seq":{seq},
            "tags":{{"path":"/users","browser":"Firefox"}},"traceId":"4bf92f3577b34da6a3ce929d0e0e4736"}}"#
    )
}

#[test]
fn each_step_takes_away_what_it_says_and_keeps_every_field() {
    let lines = lines(&settings(), SessionMode::Tag, &frontend("s-1", 5), &DEMOTED);
    let [no_session, no_free_tags, bare] = &lines[..] else { panic!("{lines:?}") };
    let fields = "duration_ms=12i,x=2.0,session=\"s-1\",trace_id=\"4bf92f3577b34da6a3ce929d0e0e4736\" 1790000000000";
    for (line, tags) in [
        (
            no_session,
            "action_name=fetch,browser=Firefox,env=prod,host=app.example,instance=aks-weu-1,path=/users,region=weu,tenant_id=acme,view_name=Users",
        ),
        (
            no_free_tags,
            "action_name=fetch,browser=__other__,env=prod,host=app.example,instance=aks-weu-1,path=__other__,region=weu,tenant_id=acme,view_name=Users",
        ),
        (
            bare,
            "action_name=__other__,browser=__other__,device=__other__,env=prod,host=__other__,instance=aks-weu-1,os=__other__,path=__other__,\
             region=weu,tenant_id=acme,view_name=__other__",
        ),
    ] {
        assert!(line.starts_with(&format!("frontend_performance,{tags} {fields}")), "{line}");
    }
}

#[test]
fn without_its_session_a_point_is_the_one_that_a_tenant_with_session_fields_gets() {
    for body in [frontend("s-1", 5), frontend("", 5), frontend("another", 7_000_000)] {
        let [whole] = &lines(&settings(), SessionMode::Field, &body, &[Detail::Full])[..] else { panic!() };
        for mode in [SessionMode::Tag, SessionMode::Field, SessionMode::Hash(16)] {
            assert_eq!(lines(&settings(), mode, &body, &[Detail::NoSession]), std::slice::from_ref(whole), "{mode:?}");
        }
    }
}

#[test]
fn without_free_tags_there_are_none_to_lose() {
    let body = open_with(r#""sessionId":"s","viewName":"v""#);
    let lines = lines(&settings(), SessionMode::Tag, &body, &DEMOTED);
    assert_eq!(lines[0], lines[1], "tags and time");
}

fn open_with(members: &str) -> String {
    format!(r#"{{"measurement":"open","metrics":{{"x":1}},"timestamp":{NOW_MS},"seq":3,{members}}}"#)
}

#[test]
fn a_bare_point_has_one_series_whatever_was_sent() {
    let bodies = [
        r#"{"measurement":"open","metrics":{"x":1}}"#.to_owned(),
        r#"{"measurement":"open","metrics":{"x":1},"tags":{"free":"a"},"sessionId":"s"}"#.to_owned(),
        r#"{"measurement":"open","metrics":{"y":1},"viewName":"/a","actionName":"b","tags":{"path":"/c","unknown":"d"}}"#.to_owned(),
    ];
    let series = |line: &String| line.split(' ').next().unwrap().to_owned();
    let bare: BTreeSet<String> = bodies
        .iter()
        .flat_map(|body| {
            [SessionMode::Tag, SessionMode::Hash(8)].map(|mode| lines(&settings(), mode, body, &[Detail::Bare]))
        })
        .map(|lines| series(&lines[0]))
        .collect();
    let wanted = "open,action_name=__other__,env=prod,free=__other__,host=__other__,instance=aks-weu-1,path=__other__,region=weu,\
                  tenant_id=acme,view_name=__other__";
    assert_eq!(bare, BTreeSet::from([wanted.to_owned()]));
}

#[test]
fn a_free_tag_that_is_a_static_one_too_stands_once() {
    let mut settings = settings();
    settings.enrich.static_tags.insert("path".to_owned(), "fixed".to_owned());
    let body = r#"{"measurement":"open","metrics":{"x":1},"tags":{"free":"a"}}"#;
    for line in lines(&settings, SessionMode::Tag, body, &[Detail::NoFreeTags, Detail::Bare]) {
        assert!(line.matches("path=").count() == 1 && line.contains(",path=fixed,"), "{line}");
    }
}

#[test]
fn a_demoted_event_with_seq_is_the_same_point_on_every_replica_and_at_every_try() {
    let (here, mut there) = (settings(), settings());
    there.enrich.lane = 8;
    let body = frontend("s-1", 5);
    assert_eq!(lines(&here, SessionMode::Tag, &body, &DEMOTED), lines(&there, SessionMode::Tag, &body, &DEMOTED));
}

fn times(lines: &[String]) -> BTreeSet<&str> {
    lines.iter().map(|line| line.trim_end().rsplit(' ').next().unwrap()).collect()
}

#[test]
fn events_that_their_tags_told_apart_stay_apart_in_the_series_that_they_come_to_share() {
    // One millisecond, one `seq`, no session: only the tags differ.
    let event = |n: usize| {
        format!(r#"{{"measurement":"open","metrics":{{"x":1}},"timestamp":{NOW_MS},"seq":1,"tags":{{"free":"v{n}"}}}}"#)
    };
    let body = format!("[{}]", (0..500).map(event).collect::<Vec<_>>().join(","));
    let lines = lines(&settings(), SessionMode::Tag, &body, &[Detail::Bare]);
    // A birthday among a million: 0.1 of 500 meet; the hash is the same at every run.
    assert_eq!(times(&lines).len(), 500);
}

#[test]
fn a_batch_with_one_time_for_all_and_no_seq_is_kept_whole() {
    let event =
        |n: usize| format!(r#"{{"measurement":"open","metrics":{{"x":1}},"timestamp":{NOW_MS},"sessionId":"s{n}"}}"#);
    let body = format!("[{}]", (0..5_000).map(event).collect::<Vec<_>>().join(","));
    for detail in DEMOTED {
        let lines = lines(&settings(), SessionMode::Tag, &body, &[detail]);
        assert_eq!(times(&lines).len(), 5_000, "{detail:?}");
        assert!(lines.iter().all(|line| line.contains(&format!(" {NOW_MS}"))));
    }
}

#[test]
fn a_time_at_the_edge_of_the_window_is_kept_when_the_point_is_demoted() {
    // `seq` makes the last storable nanosecond of a whole point; the hash's digits would be beyond it.
    let mut settings = settings();
    settings.enrich.max_future = std::time::Duration::from_secs(u32::MAX.into());
    let last = i64::MAX / 1_000_000;
    let (enricher, tenant) = (Enricher::new(&settings), Tenant::for_test("acme", SessionMode::Tag, None));
    let arena = Bump::new();
    let mut context = context(&tenant);
    context.received = i64::MAX - 5;
    let defaults = crate::decode::Defaults::default();
    let request = enricher.request(context, &defaults);
    for session in 0..100 {
        let event = Event {
            measurement: "open".into(),
            metrics: vec![("x".into(), crate::decode::Number::Int(1))],
            session_id: Some(format!("s{session}").into()),
            timestamp_ms: Some(crate::decode::Number::Int(last)),
            seq: Some(1),
            ..Event::default()
        };
        let draft = request.draft(&event, &arena).unwrap();
        for detail in DEMOTED {
            assert_eq!(draft.demoted(detail, &arena).time / 1_000_000, last);
        }
    }
}

#[test]
fn metrics_that_may_not_keep_their_names_keep_their_values() {
    let (settings, arena) = (settings(), Bump::new());
    let (enricher, tenant) = (Enricher::new(&settings), Tenant::for_test("acme", SessionMode::Tag, None));
    let body = r#"{"viewName":"v","actionName":"a","metrics":{"a":1,"duration_ms":2,"b":3,"c":4},"timestamp":1790000000000,"seq":1,"sessionId":"s"}"#;
    let decoded = decode(body.as_bytes(), 10).unwrap();
    let request = enricher.request(context(&tenant), &decoded.defaults);
    let mut draft = request.draft(decoded.items[0].as_ref().unwrap(), &arena).unwrap();
    let mut asked = Vec::new();
    let renamed = draft.rename_metrics(&arena, |measurement, name| {
        asked.push(format!("{measurement} {name}"));
        name == "b"
    });
    assert_eq!(asked, ["frontend_performance a", "frontend_performance b", "frontend_performance c"]);
    assert_eq!(renamed, 2);
    let fields = "other/1=1.0,duration_ms=2i,b=3.0,other/2=4.0";
    assert!(line(draft.point()).contains(&format!(" {fields} ")), "{}", line(draft.point()));
    let demoted = draft.demoted(Detail::NoSession, &arena);
    assert!(line(&demoted).contains(&format!(" {fields},session=\"s\" ")), "{}", line(&demoted));
}
