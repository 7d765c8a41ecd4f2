//! When a set is fetched, and what becomes of answers that are none.

use super::*;

fn lasting(cache_control: &str) -> Reply {
    Reply::Ok { headers: format!("Cache-Control: {cache_control}\r\n"), body: set(&[named(&KEYS.rsa, "a")]) }
}

#[tokio::test]
async fn a_set_is_fetched_again_when_it_ends_by_its_servers_word_within_bounds() {
    for (cache_control, seconds) in [
        ("max-age=600", 600),
        ("max-age=600\r\nAge: 200", 400),
        ("public", 300),
        ("max-age=1", 60),
        ("no-store", 60),
        ("max-age=86400", 3_600),
    ] {
        let provider = Provider::start(lasting(cache_control)).await;
        let gateway = Gateway::loaded(&provider).await;
        for round in 1..=2 {
            gateway.after(seconds - 1).await;
            assert_eq!(provider.count(), round, "{cache_control}: too early");
            gateway.after(1).await;
            assert_eq!(provider.count(), round + 1, "{cache_control}: too late");
        }
    }
}

#[tokio::test]
async fn a_set_that_did_not_change_is_not_sent_again() {
    let with_etag = |etag: &str, signer| Reply::Ok {
        headers: format!("ETag: {etag}\r\nCache-Control: max-age=120\r\n"),
        body: set(&[named(signer, "a")]),
    };
    let provider = Provider::start(with_etag("\"one\"", &KEYS.rsa)).await;
    let gateway = Gateway::loaded(&provider).await;
    assert!(!provider.last().contains("if-none-match"));
    let version = gateway.version();
    for _ in 0..3 {
        gateway.after(120).await;
        assert!(provider.last().contains("if-none-match: \"one\"\r\n"), "{}", provider.last());
    }
    assert_eq!((gateway.fetches("changed"), gateway.fetches("not_modified"), gateway.version()), (1, 3, version));
    assert_eq!(gateway.verify(&token(&KEYS.rsa, "RS256", Some("a"))), acme());
    // The same keys under another ETag are no change either.
    provider.reply(with_etag("W/\"two\"", &KEYS.rsa));
    gateway.after(120).await;
    assert_eq!((gateway.fetches("unchanged"), gateway.version()), (1, version));
    // The same kid with another key is one.
    provider.reply(with_etag("\"three\"", &KEYS.other_rsa));
    gateway.after(120).await;
    assert!(provider.last().contains("if-none-match: w/\"two\"\r\n"));
    assert_eq!((gateway.fetches("changed"), gateway.version()), (2, version + 1));
    assert_eq!(gateway.verify(&token(&KEYS.rsa, "RS256", Some("a"))), Err(("token_signature", None)));
    assert_eq!(gateway.verify(&token(&KEYS.other_rsa, "RS256", Some("a"))), acme());
}

#[tokio::test]
async fn keys_outlive_an_outage_of_their_server_for_as_long_as_it_lasts() {
    let mut provider = Provider::start(keys(&[named(&KEYS.rsa, "a")])).await;
    let gateway = Gateway::loaded(&provider).await;
    let (old, new) = (token(&KEYS.rsa, "RS256", Some("a")), token(&KEYS.other_rsa, "RS256", Some("new")));
    provider.go_away().await;
    let version = gateway.version();
    for hour in 1..=12 {
        for _ in 0..720 {
            gateway.after(5).await;
        }
        assert_eq!(gateway.verify(&old), acme(), "after {hour} hours");
        // Nobody can say whether the issuer has this key by now.
        let Err(("issuer_keys_loading", Some(1..=60))) = gateway.verify(&new) else {
            panic!("{:?}", gateway.verify(&new))
        };
    }
    let attempts = gateway.fetches("unreachable");
    assert!((12 * 60..=12 * 120 + 10).contains(&attempts), "{attempts} attempts in 12 hours");
    assert_eq!(gateway.version(), version);
    let Health { failing: Some((since, why)), loaded: true, .. } = gateway.health() else {
        panic!("{:?}", gateway.health())
    };
    assert!(since > Duration::from_secs(11 * 3_600) && why.starts_with("no connection: "), "{since:?} {why}");

    provider.reply(keys(&[named(&KEYS.rsa, "a"), named(&KEYS.other_rsa, "new")]));
    provider.come_back().await;
    gateway.second_by_second(60).await;
    assert_eq!((gateway.verify(&old), gateway.verify(&new)), (acme(), acme()));
    assert_eq!(gateway.health().failing, None);
}

#[tokio::test]
async fn an_answer_that_is_no_set_of_usable_keys_changes_nothing_and_is_told_by_name() {
    let target = Provider::start(keys(&[named(&KEYS.other_rsa, "a")])).await;
    let large = " ".repeat(300 << 10);
    let chunk = format!("8000\r\n{}\r\n", " ".repeat(0x8000));
    let chunked = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n", chunk.repeat(10));
    let moved = format!("Location: {}\r\n", target.url());
    let rows: Vec<(&str, Reply, &str)> = vec![
        ("redirect", status("302 Found", &moved), "with a redirect to \"http://127.0.0.1:"),
        ("redirect", status("308 Permanent Redirect", &moved), "set jwks_url to the last one"),
        ("status", status("500 Internal Server Error", ""), "answered 500"),
        ("status", status("404 Not Found", ""), "answered 404"),
        ("status", status("204 No Content", ""), "answered 204"),
        // Nobody asked for a change since something.
        ("redirect", status("304 Not Modified", ""), "answered 304"),
        ("too_large", Reply::Ok { headers: String::new(), body: large }, "larger than 256 KiB"),
        ("too_large", Reply::Raw(chunked.into_bytes()), "larger than 256 KiB"),
        ("malformed", Reply::Ok { headers: String::new(), body: "<html>login</html>".to_owned() }, "JSON Web Key Set"),
        ("malformed", Reply::Ok { headers: String::new(), body: "{\"keys\":{}}".to_owned() }, "JSON Web Key Set"),
        ("malformed", Reply::Ok { headers: String::new(), body: KEYS.rsa.jwk().to_string() }, "JSON Web Key Set"),
        ("no_usable_key", keys(&[]), "no key"),
        ("no_usable_key", keys(&[named(&KEYS.hmac, "a")]), "a shared secret"),
        ("no_usable_key", keys(&[jwk(&KEYS.other_rsa, json!({ "use": "enc" }))]), "its use is not sig"),
        ("unreachable", Reply::Raw(Vec::new()), "the connection failed"),
        ("unreachable", Reply::Raw(b"SSH-2.0-OpenSSH_9\r\n".to_vec()), "the connection failed"),
        (
            "unreachable",
            Reply::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{".to_vec()),
            "the connection failed",
        ),
    ];
    for (result, reply, why) in rows {
        let provider = Provider::start(keys(&[named(&KEYS.rsa, "a")])).await;
        let gateway = Gateway::loaded(&provider).await;
        let version = gateway.version();
        provider.reply(reply);
        gateway.after(300).await;
        let (_, told) = gateway.health().failing.unwrap_or_else(|| panic!("{result}: not told"));
        assert!(told.contains(why), "{result}: {told}");
        assert_eq!((gateway.fetches(result), gateway.version()), (1, version), "{result}");
        assert_eq!(gateway.verify(&token(&KEYS.rsa, "RS256", Some("a"))), acme(), "{result}");
    }
    assert_eq!(target.count(), 0, "a redirect was followed");
}

#[tokio::test]
async fn a_server_that_says_nothing_or_stops_in_the_middle_is_given_up() {
    for reply in [Reply::Hang, Reply::Stall] {
        let provider = Provider::start(reply).await;
        let gateway = Gateway::with_patience(&provider.url(), Duration::from_millis(200));
        gateway.sets.run_due().await;
        assert_eq!((gateway.fetches("timeout"), gateway.fetches("unreachable")), (1, 0));
        provider.reply(keys(&[named(&KEYS.rsa, "a")]));
        // A busy machine may need longer for a true answer than this gateway's little patience.
        while !gateway.health().loaded {
            gateway.after(10).await;
        }
        assert_eq!(gateway.verify(&token(&KEYS.rsa, "RS256", Some("a"))), acme());
    }
}

#[tokio::test]
async fn a_clock_that_is_set_back_does_not_put_off_the_next_fetch() {
    let provider = Provider::start(keys(&[named(&KEYS.rsa, "a")])).await;
    let gateway = Gateway::loaded(&provider).await;
    let earlier = Clock::manual((NOW - 86_400) * NANOS);
    assert!(gateway.authenticator.verify(&Presented::default(), earlier.now(), &|| Ok(())).is_err());
    let living = gateway.sets.living();
    assert!(!living[0].set().begin(gateway.clock.now()), "by the right clock it is not due");
    assert!(living[0].set().begin(earlier.now()));
}

#[tokio::test]
async fn the_query_of_the_url_is_sent_and_told_to_nobody() {
    let provider = Provider::start(keys(&[named(&KEYS.rsa, "one")])).await;
    let url = format!("{}&apikey=hidden", provider.url());
    let gateway = Gateway::new(&url);
    gateway.sets.run_due().await;
    assert!(provider.last().contains("&apikey=hidden "), "{}", provider.last());
    let (place, _) = url.split_once('?').unwrap();
    assert_eq!(gateway.health(), Health { url: format!("{place}?…"), loaded: true, failing: None });
}
