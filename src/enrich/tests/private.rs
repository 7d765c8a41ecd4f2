//! What is private stands in no point, wherever in an event it stood.

use super::*;
use crate::config::ClientAddress;
use crate::decode::Event;

/// Every string of an event that a client may choose, set to `text`.
fn everywhere(text: &str) -> Vec<(&'static str, String)> {
    let own = r#""viewName":"v","actionName":"a","sessionId":"s""#;
    let with = |from: &str, to: &str| {
        let members = own.replace(from, &format!(r#""{to}":{}"#, serde_json::Value::from(text)));
        format!(r#"{{"metrics":{{"x":1}},{members},"timestamp":{NOW_MS},"seq":1}}"#)
    };
    let tag = |measurement: &str, tag: &str| {
        format!(
            r#"{{"measurement":"{measurement}","metrics":{{"latency_ms":1}},"tags":{{"endpoint":"/","{tag}":{}}},"timestamp":{NOW_MS},"seq":1}}"#,
            serde_json::Value::from(text)
        )
    };
    let shared = |member: &str| {
        format!(
            r#"{{"{member}":{},"events":[{{"metrics":{{"x":1}},"actionName":"a","viewName":"v"}}]}}"#,
            serde_json::Value::from(text)
        )
    };
    vec![
        ("viewName", with(r#""viewName":"v""#, "viewName")),
        ("actionName", with(r#""actionName":"a""#, "actionName")),
        ("sessionId", with(r#""sessionId":"s""#, "sessionId")),
        ("a free tag", tag("backend_api_latency", "http_method")),
        ("endpoint", tag("backend_api_latency", "endpoint").replacen(r#""endpoint":"/","#, "", 1)),
        (
            "path",
            format!(
                r#"{{"metricName":"web_vitals_lcp","value":1,"tags":{{"path":{}}}}}"#,
                serde_json::Value::from(text)
            ),
        ),
        ("the envelope's sessionId", shared("sessionId")),
        (
            "the envelope's tag",
            format!(
                r#"{{"tags":{{"free":{}}},"events":[{{"measurement":"open","metrics":{{"x":1}}}}]}}"#,
                serde_json::Value::from(text)
            ),
        ),
    ]
}

#[test]
fn no_string_of_an_event_holds_what_the_rules_take_out() {
    for (text, secret, mark) in [
        ("mail joe@example.com", "example", "[email]"),
        ("/users/joe%40example.com/x", "joe", "[email]"),
        ("Bearer s3cr3t-t0ken", "s3cr3t", "[bearer]"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJqb2UifQ.c2ln", "eyJ", "[bearer]"),
        ("card 4111 1111 1111 1111", "1111", "[card]"),
    ] {
        for (place, body) in everywhere(text) {
            let told = point(&body).unwrap_or_else(|refused| panic!("{place} {text}: {refused:?}"));
            assert!(!told.contains(secret) && told.contains(mark), "{place} {text}: {told}");
        }
    }
}

#[test]
fn no_string_of_an_event_holds_a_query_or_a_fragment() {
    for text in [
        "https://a.example/cart?s3cr3t=1#frag",
        "/cart?s3cr3t=1",
        "/cart#s3cr3t",
        "GET /cart?s3cr3t",
        "cart?token=s3cr3t",
        "https://joe:s3cr3t@a.example/cart",
        "GET https://joe:s3cr3t@localhost/cart",
    ] {
        for (place, body) in everywhere(text) {
            let told = point(&body).unwrap_or_else(|refused| panic!("{place} {text}: {refused:?}"));
            assert!(!told.contains("s3cr3t") && !told.contains("frag"), "{place} {text}: {told}");
        }
    }
}

#[test]
fn a_scrubbed_event_is_one_point_however_often_it_is_sent_and_two_sessions_stay_two() {
    let body = |session: &str| {
        open(&format!(r#""sessionId":"{session}","metrics":{{"x":1}},"tags":{{"free":"joe@example.com"}}"#))
    };
    for mode in [SessionMode::Tag, SessionMode::Field, SessionMode::Hash(4_096)] {
        let sent = |session: &str| point_in(&settings(), &acme(mode), &body(session), |_| ()).unwrap();
        assert_eq!(sent("joe@example.com"), sent("joe@example.com"), "{mode:?}");
        assert_ne!(sent("joe@example.com"), sent("jane@example.com"), "{mode:?}");
    }
}

#[test]
fn a_number_in_a_path_is_a_template_whether_or_not_it_could_be_a_cards() {
    let told =
        point(&open(r#""metrics":{"x":1},"tags":{"path":"/pay/4111111111111111/4111-1111-1111-1111"}"#)).unwrap();
    assert!(told.contains(",path=/pay/:id/[card],"), "{told}");
}

#[test]
fn a_rejection_names_no_value() {
    let secret = "joe@example.com";
    let long = format!("{secret}{}", "x".repeat(600));
    for (place, body) in everywhere(&long) {
        if let Err(rejected) = point(&body) {
            assert!(!rejected.detail.contains("joe"), "{place}: {}", rejected.detail);
        } else {
            panic!("{place} is longer than its bound");
        }
    }
    for body in [
        open(&format!(r#""metrics":{{"{secret}":1}}"#)),
        open(&format!(r#""metrics":{{"x":1}},"tags":{{"{secret}":"1"}}"#)),
        open(&format!(r#""metrics":{{"_{secret}":1}}"#)),
        open(&format!(r#""metrics":{{"x":1}},"traceId":"{secret}""#)),
        format!(r#"{{"measurement":"{secret}","metrics":{{"x":1}}}}"#),
    ] {
        assert!(!refusal(&body).1.contains("joe"), "{body}: {}", refusal(&body).1);
    }
}

#[test]
fn the_clients_address_is_stored_only_when_the_settings_say_so() {
    let body = r#"{"measurement":"open","metrics":{"x":1}}"#;
    let told = |how, address: &str| {
        let mut settings = settings();
        settings.enrich.client_address = how;
        point_in(&settings, &acme(SessionMode::Tag), body, |context| context.client = Some(address.parse().unwrap()))
            .unwrap()
    };
    assert_eq!(settings().enrich.client_address, ClientAddress::Off, "the default");
    assert!(!told(ClientAddress::Off, "203.0.113.77").contains("203.0.113"));
    for (how, address, field) in [
        (ClientAddress::Network, "203.0.113.77", "203.0.113.0/24"),
        (ClientAddress::Network, "::ffff:203.0.113.77", "203.0.113.0/24"),
        (ClientAddress::Network, "2001:db8:aaaa:bbbb::1", "2001:db8:aaaa::/48"),
        (ClientAddress::Full, "203.0.113.77", "203.0.113.77"),
        (ClientAddress::Full, "::ffff:203.0.113.77", "203.0.113.77"),
        (ClientAddress::Full, "2001:db8::1", "2001:db8::1"),
    ] {
        let told = told(how, address);
        assert!(told.contains(&format!(r#"client_address=Str("{field}")"#)), "{how:?} {address}: {told}");
    }
}

#[test]
fn scrubbed_strings_are_counted_by_rule() {
    let settings = settings();
    let (enricher, tenant) = (Enricher::new(&settings), acme(SessionMode::Tag));
    let body = open(
        r#""metrics":{"x":1},"sessionId":"a@b.co","tags":{"free":"c@d.co 4111111111111111","path":"/e@f.co","other":"g@h.co"}"#,
    );
    let decoded = decode(body.as_bytes(), 10).unwrap();
    let request = enricher.request(context(&tenant), &decoded.defaults);
    let event: &Event<'_> = decoded.items[0].as_ref().unwrap();
    request.point(event, &Bump::new()).unwrap();
    assert_eq!(request.scrubbed(), Scrubbed { email: 3, bearer: 0, card: 1, pattern: 0 });
}
