//! Keys that are not here: a rotation passes, and a flood of made-up ones costs one fetch a minute.

use super::*;

#[tokio::test]
async fn a_rotation_costs_a_client_one_second_and_no_401() {
    let provider = Provider::start(keys(&[named(&KEYS.rsa, "old")])).await;
    let gateway = Gateway::loaded(&provider).await;
    let (old, new) = (token(&KEYS.rsa, "RS256", Some("old")), token(&KEYS.other_rsa, "RS256", Some("new")));
    assert_eq!(gateway.verify(&old), acme());
    provider.reply(keys(&[named(&KEYS.rsa, "old"), named(&KEYS.other_rsa, "new")]));
    let version = gateway.version();
    for _ in 0..100 {
        assert_eq!(gateway.verify(&new), Err(("issuer_keys_loading", Some(1))));
    }
    gateway.after(1).await;
    // Both hold while both are published.
    assert_eq!((gateway.verify(&old), gateway.verify(&new)), (acme(), acme()));
    assert_eq!(provider.count(), 2);
    assert!(gateway.version() > version, "what was verified before must be verified again");

    // The old one is withdrawn: from the next fetch on, it holds no more.
    provider.reply(keys(&[named(&KEYS.other_rsa, "new")]));
    gateway.after(299).await;
    assert_eq!((gateway.verify(&old), provider.count()), (acme(), 2));
    gateway.after(1).await;
    assert_eq!(provider.count(), 3);
    assert_eq!(gateway.verify(&new), acme());
    assert_eq!(gateway.verify(&old), Err(("issuer_keys_loading", Some(1))), "it could have come back");
    gateway.after(1).await;
    assert_eq!(gateway.verify(&old), Err(("token_key_unknown", None)));
}

#[tokio::test]
async fn ten_thousand_made_up_kids_cost_one_fetch_a_minute() {
    let provider = Provider::start(keys(&[named(&KEYS.rsa, "a")])).await;
    let gateway = Gateway::loaded(&provider).await;
    let good = token(&KEYS.rsa, "RS256", Some("a"));
    // The signature is never looked at: one is enough for all.
    let signature = good.rsplit_once('.').unwrap().1;
    let made_up = |n: u64| {
        let header = json!({ "alg": "RS256", "kid": format!("made-up-{n}") }).to_string();
        format!("{}.{}.{signature}", b64(header), b64(claims()))
    };
    let mut asked = 0;
    for minute in 1..=5 {
        for second in 0..60 {
            for _ in 0..34 {
                // Each is another, that no fetch has looked for.
                let wait = if second == 0 { 1 } else { 60 - second };
                assert_eq!(gateway.verify(&made_up(asked)), Err(("issuer_keys_loading", Some(wait))));
                asked += 1;
            }
            assert_eq!(gateway.verify(&good), acme(), "nobody else is hurt");
            gateway.after(1).await;
        }
        assert_eq!(provider.count(), 1 + minute, "in minute {minute}");
    }
    assert!(asked > 10_000);
}

#[tokio::test]
async fn a_rotation_in_the_midst_of_made_up_kids_costs_a_minute_and_no_401() {
    let provider = Provider::start(keys(&[named(&KEYS.rsa, "a")])).await;
    let gateway = Gateway::loaded(&provider).await;
    let made_up = |n: u64| token(&KEYS.other_rsa, "RS256", Some(&format!("made-up-{n}")));
    // The fetch is spent on one that is made up; that one is then known to be none.
    assert_eq!(gateway.verify(&made_up(0)), Err(("issuer_keys_loading", Some(1))));
    gateway.after(1).await;
    assert_eq!(gateway.verify(&made_up(0)), Err(("token_key_unknown", None)));
    // The issuer rotates, and made-up ones go on coming.
    provider.reply(keys(&[named(&KEYS.rsa, "a"), named(&KEYS.other_rsa, "new")]));
    let new = token(&KEYS.other_rsa, "RS256", Some("new"));
    for second in 1..60 {
        assert_eq!(gateway.verify(&new), Err(("issuer_keys_loading", Some(60 - second))), "after {second} s");
        assert_eq!(gateway.verify(&made_up(second)), Err(("issuer_keys_loading", Some(60 - second))));
        gateway.after(1).await;
    }
    assert_eq!(gateway.verify(&made_up(60)), Err(("issuer_keys_loading", Some(1))), "the minute's fetch");
    gateway.after(1).await;
    assert_eq!(gateway.verify(&new), acme());
    assert_eq!(provider.count(), 3);
    // What was made up is known to be so by then, as far as it is remembered.
    assert_eq!(gateway.verify(&made_up(30)), Err(("token_key_unknown", None)));
}

#[tokio::test]
async fn while_a_fetch_runs_a_key_that_it_may_bring_is_503() {
    let provider = Provider::start(keys(&[named(&KEYS.rsa, "a")])).await;
    let gateway = Gateway::loaded(&provider).await;
    let new = token(&KEYS.other_rsa, "RS256", Some("new"));
    assert_eq!(gateway.verify(&new), Err(("issuer_keys_loading", Some(1))));
    gateway.after(1).await;
    assert_eq!(gateway.verify(&new), Err(("token_key_unknown", None)));
    // The regular one, that no token asked for.
    provider.reply(Reply::Hang);
    gateway.clock.advance(Duration::from_secs(300));
    let begun = gateway.sets.due();
    assert_eq!(begun.len(), 1);
    assert_eq!(gateway.verify(&new), Err(("issuer_keys_loading", Some(1))));
    assert!(gateway.sets.due().is_empty(), "it runs once");
    // Given up in the middle, it is due again by plan and not for ever running.
    drop(begun);
    provider.reply(keys(&[named(&KEYS.other_rsa, "new")]));
    gateway.after(300).await;
    assert_eq!(gateway.verify(&new), acme());
}

#[tokio::test]
async fn a_lone_key_without_kid_that_was_replaced_is_found_by_a_signature_that_fails() {
    let provider = Provider::start(keys(&[KEYS.rsa.jwk()])).await;
    let gateway = Gateway::loaded(&provider).await;
    provider.reply(keys(&[KEYS.other_rsa.jwk()]));
    let new = token(&KEYS.other_rsa, "RS256", None);
    for _ in 0..10 {
        assert_eq!(gateway.verify(&new), Err(("token_signature", None)));
    }
    gateway.after(1).await;
    assert_eq!(gateway.verify(&new), acme());
    let forged = token(&KEYS.rsa, "RS256", None);
    for _ in 0..57 {
        assert_eq!(gateway.verify(&forged), Err(("token_signature", None)));
        gateway.after(1).await;
    }
    assert_eq!(provider.count(), 2, "bad signatures cost no more than made-up kids");
}

#[tokio::test]
async fn the_task_fetches_what_a_token_asks_for_at_once_and_no_server_holds_up_another() {
    let (hanging, provider) =
        (Provider::start(Reply::Hang).await, Provider::start(keys(&[named(&KEYS.rsa, "a")])).await);
    let gateway = Gateway::new(&provider.url());
    let mut settings = settings_for(&provider.url());
    let silent = Issuer { issuer: "https://silent.example".to_owned(), ..jwks_issuer(&hanging.url(), &PINNED) };
    settings.issuers.insert("silent".to_owned(), silent);
    let gateway = Gateway { authenticator: build_with(&settings, &gateway.sets).unwrap(), ..gateway };
    let keeper = gateway.sets.keep();
    let eventually = async |token: &str, expected: Outcome| {
        while gateway.verify(token) != expected {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let (old, new) = (token(&KEYS.rsa, "RS256", Some("a")), token(&KEYS.other_rsa, "RS256", Some("new")));
    let both = async {
        eventually(&old, acme()).await;
        provider.reply(keys(&[named(&KEYS.rsa, "a"), named(&KEYS.other_rsa, "new")]));
        eventually(&new, acme()).await;
    };
    // The clock stands still: only the token's own asking makes the second fetch.
    tokio::time::timeout(PATIENCE - Duration::from_secs(1), both).await.expect("the hanging server holds up the other");
    assert_eq!((provider.count(), hanging.count()), (2, 1));
    drop(keeper);
}
